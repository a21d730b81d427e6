"""A run in peace on record, as :mod:`mwan_hook.run.record` has it.  Of :mod:`mwan_hook.run.quiet`, which see."""

from __future__ import annotations

import posix

from mwan_hook import plainjson
from mwan_hook.run.alike import Doubt, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = "run/mwan-hook/record"
TAIL = 320


def last(root: str, state: dict[str, Any]) -> dict[str, Any]:
    """What the last run on record builds on.  Raises Doubt unless that is the one that has stored this state."""
    descriptor = posix.open(under(root, RECORD), posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK)
    try:
        size = posix.fstat(descriptor).st_size
        tail = posix.pread(descriptor, TAIL, max(0, size - TAIL))
    finally:
        posix.close(descriptor)
    at = plainjson.last_object(tail, b"at")
    if at.get("v") != 1 or (at["boot"], at["now"]) != (state["boot_id"], state["saved_at"]):
        raise Doubt
    return at


def round_of(one: dict[str, Any], results: list[Any], begun: float) -> dict[str, Any]:
    """A RoundRecord of good answers."""
    found = {"uplink": one["uplink"], "family": one["family"], "begun": begun, "answers": results}
    return {**found, "partial": True} if one["spares"] else found


def add(root: str, rounds: list[dict[str, Any]], at: dict[str, Any]) -> None:
    """Add a run to the record, after its state was stored; without room for it the run is none the worse."""
    line = plainjson.dumps({"v": 1, "k": "run", "short": True, "rounds": rounds, "at": at}).encode() + b"\n"
    try:
        flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
        descriptor = posix.open(under(root, RECORD), flags)
        try:
            posix.write(descriptor, line)
        finally:
            posix.close(descriptor)
    except OSError:
        return
