"""What changed between two states, in the words of events: what the history and hooks hear of."""

from __future__ import annotations

from mwan_hook.model import DEGRADED, FAMILIES, Connectivity, FamilyState, Status, UplinkState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Family, State, Transition


def best_connectivity(state: UplinkState) -> Connectivity:
    """An uplink's connectivity is the best of its families; unknown while one was not probed and the other has none."""
    best = max(state.ipv4.connectivity, state.ipv6.connectivity)
    unknown = any(memory.way and memory.connectivity is Connectivity.UNKNOWN for memory in (state.ipv4, state.ipv6))
    return Connectivity.UNKNOWN if best is Connectivity.NONE and unknown else best


def counted(old: UplinkState, new: UplinkState) -> UplinkState:
    """``new`` with one more transition in each family whose verdict turned since ``old``, which is as it was stored."""
    for family in FAMILIES:
        was, now = old.family(family), new.family(family)
        if was is not now and (was.status is Status.ONLINE) is not (now.status is Status.ONLINE):
            new = new.with_family(family, now._replace(transitions=was.transitions + 1))
    return new


def transitions(before: State, after: State, wall: float) -> tuple[Transition, ...]:
    """Events from one saved state to the next; ``wall`` is seconds since the epoch."""
    found: list[Transition] = []
    for name in (*before.uplinks, *(name for name in after.uplinks if name not in before.uplinks)):
        old = before.memory(name)
        new = after.uplinks.get(name)
        if old is not new:
            found += _of(name, old, _dropped(old) if new is None else new, wall)
    return tuple(found)


def _dropped(old: UplinkState) -> UplinkState:
    """An uplink that the configuration does not know any more: its interface is still there."""
    gone = FamilyState(reason="not configured any more")
    return UplinkState(old.interface, old.index, gone, gone)


def _of(name: str, old: UplinkState, new: UplinkState, wall: float) -> list[Transition]:
    interface = new.interface or old.interface
    found: list[Transition] = []

    def add(event: str, was: str, now: str, reason: str, family: Family | None = None) -> None:
        from mwan_hook.model import Transition

        found.append(Transition(event, name, interface, family, was, now, reason, wall))

    if old.index != new.index:
        if old.index:
            add("unplugged", "plugged", "unplugged", f"{old.interface} is gone")
        if new.index:
            add("plugged", "unplugged", "plugged", f"{interface} is there")
    for family in FAMILIES:
        was, now = old.family(family), new.family(family)
        if (was.status is Status.ONLINE) != (now.status is Status.ONLINE):
            event = "online" if now.status is Status.ONLINE else "offline"
            add(event, was.word, now.status.value, now.reason, family)
            if now.word == DEGRADED:
                add(DEGRADED, "online", DEGRADED, now.reason, family)
        elif was.word != now.word and now.status is Status.ONLINE:
            add(now.word, was.word, now.word, now.reason, family)
        elif now.known and not was.known and now.status is Status.OFFLINE:
            add("offline", "unknown", "offline", now.reason, family)
    was_best, best = best_connectivity(old), best_connectivity(new)
    if best is not was_best and best is not Connectivity.UNKNOWN:
        add(best.word, was_best.word, best.word, _reason(new, best))
    return found


def _reason(state: UplinkState, best: Connectivity) -> str:
    """The words of the family that the uplink's connectivity comes from."""
    return next(state.family(family).reason for family in FAMILIES if state.family(family).connectivity is best)
