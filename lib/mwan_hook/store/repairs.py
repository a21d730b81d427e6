"""What is remembered of repairs, over boots.  Times are those of :mod:`mwan_hook.repair.ladder`."""

from __future__ import annotations

import time

from mwan_hook.repair.ladder import Climb, Clocks, Done, Repairs
from mwan_hook.store import codec, files
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

codec.teach(Done, Climb, Repairs)

MOST = 100  # uplinks; sticks that come under ever new names must not fill the disk


def load(root: str, writes: bool) -> tuple[Repairs, tuple[str, ...]]:
    """The record and messages; a caller that ``writes`` sets an unusable file aside.

    Raises MwanError if it cannot be read.
    """
    return codec.load(files.under(root, files.REPAIRS), "Repairs", Repairs(), None, writes)


def moment() -> Clocks:
    """Now.  Raises MwanError."""
    return Clocks(states.boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def change(root: str, name: str, action: Callable[[Climb], Climb]) -> Climb:
    """What is remembered of an uplink after ``action``, on the disk.  The caller holds the state lock.

    Raises MwanError; the old file is whole then.
    """
    known, _ = load(root, writes=True)
    before = known.uplinks.get(name, Climb())
    after = action(before)
    if after != before:
        others = {other: one for other, one in known.uplinks.items() if other != name}
        oldest = sorted(others, key=lambda other: max([one.wall for one in others[other].done], default=0.0))
        kept = {other: others[other] for other in oldest[-MOST + 1 :]}
        files.replace(files.under(root, files.REPAIRS), codec.encode(Repairs({**kept, name: after})), durable=True)
    return after
