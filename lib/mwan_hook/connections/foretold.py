"""What becomes of a socket as things stand, in words, for ``trace``.  Pure."""

from __future__ import annotations

from mwan_hook.connections import own
from mwan_hook.durations import duration
from mwan_hook.light import NamedTuple
from mwan_hook.model import Failback, Family, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Router, Socket, State, Uplink


class Fate(NamedTuple):
    """What becomes of a socket; ``left``: whose it is, where it is to be ended."""

    kept: bool
    why: str
    left: own.Left | None = None


def foretold(one: Socket, uplinks: Sequence[Uplink], state: State, router: Router, now: float) -> Fate:
    """Whether a socket that nothing of its own spares stays as things stand, and why; for ``trace``."""
    family = Family.of(one.local)
    for uplink in uplinks:
        memory = state.memory(uplink.name).family(family)
        if one.local not in (*memory.sources, *uplink.way(family).sources):
            continue
        if router.own == own.KEEP or state.unable:
            return Fate(True, state.unable or "`own = keep`")
        if memory.status is Status.OFFLINE:
            return _foretold_offline(uplink, one, uplinks, state, router, now)
        if memory.status is Status.DISABLED:
            return Fate(True, f"{uplink.name} is disabled, and that is not offline")
        hard = uplink.config.failback is Failback.HARD and not uplink.draining
        left = ", or once a better uplink takes over (`failback = hard`)" if hard else ""
        return Fate(True, f"{uplink.name} is online; ended {router.own_after:g} s after it goes offline{left}")
    return Fate(True, f"{one.local} is no address of an uplink")


def _foretold_offline(
    uplink: Uplink, one: Socket, uplinks: Sequence[Uplink], state: State, router: Router, now: float
) -> Fate:
    family = Family.of(one.local)
    at = own.due_for(uplink, family, state, router)
    if one.local not in state.memory(uplink.name).family(family).sources:
        return Fate(True, f"{uplink.name} is offline, and was not online with {one.local} in this boot")
    if at is None:
        return Fate(True, f"{uplink.name} is offline, and so is every other uplink: ended when one is online")
    if one.local not in own.alone(uplink, family, uplinks, state):
        return Fate(True, f"{uplink.name} is offline, and an uplink that is not has the address, too")
    when = f"in {duration(at - now)}" if at - now >= 1 else "by the next run"
    left = own.Left(uplink, family, (one.local,))
    return Fate(False, f"{when}: {left.why}", left)
