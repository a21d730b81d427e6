"""What could not be told is told again: notify writes that down, and the next check run that is due asks for it.

A hook that could not do its work makes the record too, empty.  The record holds how often it was tried and
when it is due next, on the boot clock; it is gone at boot.
"""

from __future__ import annotations

import time

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.store import files

FIRST, LONGEST = 5.0, 600.0  # seconds between two tries


def due(root: str) -> bool:
    """True if something is to be told again now; the next try is put off.  Raises MwanError."""
    path = files.under(root, files.AGAIN)
    if not os.path.exists(path):
        return False
    tries, when = _read(path)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    if now < when:
        return False
    pause = min(FIRST * 2 ** min(tries, 16), LONGEST)
    files.replace(path, b"%d %.3f\n" % (tries + 1, now + pause), durable=False)
    return True


def wanted(root: str) -> None:
    """Have it told again; a record that is there keeps its times.  Raises MwanError."""
    path = files.under(root, files.AGAIN)
    if not os.path.exists(path):
        files.replace(path, b"0 0\n", durable=False)


def done(root: str) -> None:
    """Everything is told."""
    try:
        os.unlink(files.under(root, files.AGAIN))
    except FileNotFoundError:
        return
    except OSError as error:
        raise MwanError(f"cannot remove {files.under(root, files.AGAIN)}: {files.why(error)}") from error


def _read(path: str) -> tuple[int, float]:
    """Zero for a record that a hook has made, and for one that is broken."""
    try:
        tries, when = (files.read(path) or b"").split()
        return int(tries), float(when)
    except (ValueError, MwanError):
        return 0, 0.0
