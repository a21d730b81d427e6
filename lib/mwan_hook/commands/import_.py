"""``mwan-hook import``: the configuration of another program in our words, on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mwan_hook.imports import guard, kinds
from mwan_hook.model import UsageError
from mwan_hook.say import complain

LOSES = 3  # exit status: something of the source does not hold


def run(root: str, kind: str, file: str, maps: Sequence[tuple[str, str]]) -> int:
    """Print what ``file`` means, and its remarks to stderr too.  Raises UsageError, OSError.

    ``root`` is not looked at: ``file`` is a name as for any program that reads one.
    """
    devices = dict(maps)
    for logical, device in maps:
        if devices[logical] != device:
            raise UsageError(f"--map {logical}: given twice, as {device} and {devices[logical]}")
    with sys.stdin.buffer if file == "-" else open(file, "rb") as stream:
        content = stream.read(guard.LARGEST + 1)
    name = "standard input" if file == "-" else os.path.basename(file)
    done = kinds.imported(kind, name, content, devices)
    for remark in done.remarks:
        complain((f"{name}: {remark}",))
    sys.stdout.write(done.text)  # not `say`, for which a full disk is no mistake
    sys.stdout.flush()
    return LOSES if done.loses else 0
