"""Sockets of this machine that are ended: whose, and when, after their uplink is no way out any more.  Pure.

A socket keeps its address for life, and packets with an uplink's address never leave by another one: its program would
wait for 13 to 30 minutes.  Once it is ended the program gets an error, and connects again by the way of now.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Failback, Family, Status, WayOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import Router, State, Uplink
    from mwan_hook.policy.policies import BoundPolicy

    Online = Mapping[Family, Sequence[str]]

ABORT, KEEP = "abort", "keep"  # [router] own
STAY = "connections of this machine by an uplink that has failed stay until they time out, in 13 to 30 minutes"
AGAIN = 10.0  # seconds, at least, until sockets of an uplink that stays offline are looked through once more


class Left(NamedTuple):
    """One family of an uplink whose sockets are to be ended."""

    uplink: Uplink
    family: Family
    sources: tuple[str, ...]  # addresses that are its own alone
    better: tuple[str, ...] = ()  # uplinks that have taken over from one that is online; none: it is offline

    @property
    def why(self) -> str:
        """The reason in words."""
        if self.better:
            return f"{self.uplink.name} has `failback = hard` and {self.better[0]} is back"
        return f"{self.uplink.name} is offline"


def due(uplinks: Sequence[Uplink], state: State, router: Router, online: Online) -> float | None:
    """When there may be sockets to end, CLOCK_BOOTTIME seconds; 0: now.  None: not before something turns.

    ``online``: uplinks by preference, as the kernel has them.
    """
    if router.own == KEEP or state.unable:
        return 0.0 if any(state.followed.values()) else None
    if any(tuple(names) != state.followed.get(family, ()) for family, names in online.items()):
        return 0.0
    times = [at for one in uplinks for family in FAMILIES if (at := due_for(one, family, state, router)) is not None]
    return min(times, default=None)


def due_for(uplink: Uplink, family: Family, state: State, router: Router) -> float | None:
    """When sockets of one family of an uplink are to be looked through."""
    memory = state.memory(uplink.name).family(family)
    if memory.status is not Status.OFFLINE or not memory.sources or not state.best.get(family, WayOut()).uplink:
        return None
    if memory.ended_at is not None and memory.ended_at >= memory.since:
        return memory.ended_at + max(AGAIN, router.own_after)
    return memory.since + router.own_after


def offline(uplinks: Sequence[Uplink], state: State, router: Router, now: float) -> list[Left]:
    """Families of uplinks that have been offline for long enough while another one is online."""
    if router.own == KEEP or state.unable:
        return []
    found = []
    for uplink in uplinks:
        for family in FAMILIES:
            at = due_for(uplink, family, state, router)
            if at is not None and at <= now:
                found.append(Left(uplink, family, alone(uplink, family, uplinks, state)))
    return found


def taken_over(
    uplinks: Sequence[Uplink],
    courses: Sequence[BoundPolicy],
    state: State,
    router: Router,
    online: Online,
) -> list[Left]:
    """Online ones with a hard failback that a better one has taken over from since the last time."""
    if router.own == KEEP or state.unable:
        return []
    found = []
    for family, names in online.items():
        before = state.followed.get(family, ())
        for uplink in uplinks:
            if uplink.config.failback is Failback.HARD and uplink.name in names and uplink.name in before:
                better = _ahead(uplink, family, uplinks, courses, before, names)
                if better:
                    found.append(Left(uplink, family, alone(uplink, family, uplinks, state), better))
    return found


def _ahead(
    left: Uplink,
    family: Family,
    uplinks: Sequence[Uplink],
    courses: Sequence[BoundPolicy],
    before: Sequence[str],
    now: Sequence[str],
) -> tuple[str, ...]:
    """Uplinks that one has to give way to, by preference or by a policy, and had not at the last time."""
    preferred = {one.name for one in uplinks if one.preference(family)[:2] < left.preference(family)[:2]}
    listing = [course for course in courses if any(one.name == left.name for one in course.uplinks)]
    listed = {one.name for course in listing for one in course.better(left)}
    behind = before[before.index(left.name) :]
    new = [name for name in now if name not in before or (name in behind and name in preferred)]
    return tuple([name for name in new if name in preferred or name in listed])


def alone(uplink: Uplink, family: Family, uplinks: Sequence[Uplink], state: State) -> tuple[str, ...]:
    """Addresses that an uplink has, or had when it was online last, and that no other one has that is not offline."""
    others = {
        address
        for other in uplinks
        if other.name != uplink.name and state.memory(other.name).family(family).status is not Status.OFFLINE
        for address in other.way(family).sources
    }
    return tuple([one for one in state.memory(uplink.name).family(family).sources if one not in others])
