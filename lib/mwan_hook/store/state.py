"""The state file: verdicts and last results of this boot.  Reading takes no lock, because it is replaced whole."""

from __future__ import annotations

import os

from mwan_hook.core import credible
from mwan_hook.model import State
from mwan_hook.store import codec, files

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id() -> str:
    """The kernel's name for this boot.  Raises MwanError."""
    return (files.read(BOOT_ID) or b"").decode("ascii", "replace").strip()


def load(root: str, writes: bool, boot: str | None = None) -> tuple[State, tuple[str, ...]]:
    """The state of this boot and messages; ``State()``, whose boot_id is empty, if there is none to be had.

    A file of another boot says nothing of this kernel and counts as none; one that cannot be used is set
    aside by a caller that ``writes``.  ``boot``: this boot's id, where it is known.  Raises MwanError if the file
    cannot be read.
    """
    state, messages = files.load(files.under(root, files.STATE), "State", State(), credible.state, writes)
    if state.boot_id != (boot_id() if boot is None else boot):
        return State(), messages
    return state, messages


def save(root: str, state: State) -> None:
    """Replace the state file.  The caller holds the state lock.  Raises MwanError; the old file is whole then."""
    path = files.under(root, files.STATE)
    files.make_directory(os.path.dirname(path))
    files.replace(path, codec.encode(state if state.boot_id else state._replace(boot_id=boot_id())))


def stamp(root: str) -> tuple[int, int]:
    """Changes whenever the state was saved; (0, 0) if there is none."""
    try:
        status = os.stat(files.under(root, files.STATE))
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)
