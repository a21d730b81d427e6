"""Transitions with all that hooks, mail and the like need to know of the moment."""

from __future__ import annotations

from mwan_hook.model import (
    FAMILIES,
    Connectivity,
    Contact,
    Family,
    Notice,
    State,
    Status,
    Transition,
    WayOut,
)
from mwan_hook.verdict.events import best_connectivity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Uplink

DEFAULT_ROUTE = "default-route"  # the event
FLUSHED = "flushed"  # all that was ours is gone
DIALLED = ("dialling", "dialled", "dial-failed", "hung-up", "exercise-failed")  # what is told of dialling
AGAIN = "again"  # what could not be told is told as it stands now
MOST_PENDING = 256  # in the state, while the spool cannot be written


def ways_out(before: State, after: State, wall: float) -> tuple[Transition, ...]:
    """``default-route`` events, one a family: its best way out has another interface, address or gateway."""
    found = []
    for family in FAMILIES:
        old, new = before.best.get(family, WayOut()), after.best.get(family, WayOut())
        if old[1:] != new[1:]:
            reason = f"the best uplink is {new.uplink}" if new.uplink else "no uplink is online"
            was, now = _described(old), _described(new)
            found.append(Transition(DEFAULT_ROUTE, new.uplink, new.interface, family, was, now, reason, wall))
    return tuple(found)


def notices(
    happened: Sequence[Transition],
    before: State,
    after: State,
    uplinks: Sequence[Uplink],
    boottime: float,
    nanoseconds: int,
) -> tuple[Notice, ...]:
    """One of each transition, in their order.  ``nanoseconds`` of the boot's clock make the ids."""
    online, here, offline = _standing(after, uplinks)
    best = {family: after.best.get(family, WayOut()) for family in FAMILIES}
    found = []
    for number, one in enumerate(happened):
        old, new = before.memory(one.uplink), after.memory(one.uplink)
        found.append(
            Notice(
                identity(nanoseconds, number),
                one.event,
                one.uplink,
                one.interface,
                new.index or old.index,
                one.family,
                one.old,
                one.new,
                best_connectivity(new) if one.uplink else Connectivity.UNKNOWN,
                best_connectivity(old) if one.uplink else Connectivity.UNKNOWN,
                one.reason,
                one.at,
                boottime,
                _contact(one, best, uplinks, Family.IPV4),
                _contact(one, best, uplinks, Family.IPV6),
                online,
                offline,
                best,
                here,
                after.dials[one.uplink].tries if one.event in DIALLED and one.uplink in after.dials else 0,
            )
        )
    return tuple(found)


def again(state: State, uplinks: Sequence[Uplink], at: float, boottime: float, nanoseconds: int) -> Notice:
    """How things stand, for those who could not be told before."""
    online, here, offline = _standing(state, uplinks)
    best = {family: state.best.get(family, WayOut()) for family in FAMILIES}
    return Notice(
        identity(nanoseconds),
        AGAIN,
        reason="some could not be told before",
        at=at,
        boottime=boottime,
        online=online,
        offline=offline,
        default=best,
        online_interfaces=here,
    )


def pending(stored: Sequence[Notice], fresh: Sequence[Notice]) -> tuple[Notice, ...]:
    """What waits in the state for the spool; not without end."""
    return (*stored, *fresh)[-MOST_PENDING:]


def identity(nanoseconds: int, number: int = 0) -> str:
    """An id; as text it sorts by time, and in the order of the numbers within one moment."""
    return f"{nanoseconds:020d}-{number:04d}"


def _standing(state: State, uplinks: Sequence[Uplink]) -> tuple[tuple[str, ...], ...]:
    """Names of those online, their interfaces, and interfaces of those that are there and not."""
    online = {
        name
        for name, memory in state.uplinks.items()
        if any(memory.family(family).status is Status.ONLINE for family in FAMILIES)
    }
    up = [uplink for uplink in uplinks if uplink.name in online]
    names, here = tuple(uplink.name for uplink in up), tuple(uplink.interface for uplink in up)
    return names, here, tuple(uplink.interface for uplink in uplinks if uplink.present and uplink.name not in online)


def _contact(one: Transition, best: dict[Family, WayOut], uplinks: Sequence[Uplink], family: Family) -> Contact:
    if one.event == DEFAULT_ROUTE:
        return Contact(best[family].address, best[family].gateway)
    for uplink in uplinks:
        if uplink.name == one.uplink:
            way = uplink.way(family)
            return Contact(way.source, way.gateway or "")
    return Contact()


def _described(way: WayOut) -> str:
    return " ".join(word for word in (way.interface, way.address, way.gateway) if word) or "none"
