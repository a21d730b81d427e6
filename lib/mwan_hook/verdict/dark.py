"""All uplinks dead at once: that is said as one thing, no line is repaired for it, and none is held back after it.

Pure.  All times are CLOCK_BOOTTIME seconds and are given, never asked for.
"""

from __future__ import annotations

from mwan_hook.durations import duration
from mwan_hook.model import BY_US, FAMILIES, FamilyState, Status, Transition, UplinkState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import State, Uplink

EVENT = "common"
WINDOW = 60.0  # seconds in which the last of them died
LEAST = 2  # of them
WORDS = "common: all uplinks at once; upstream, power or this machine"
PATIENCE = 3600.0  # seconds without repair; after that steps are tried all the same, because nothing is left to lose


def darkened(state: State, uplinks: Sequence[Uplink], now: float) -> State:
    """The state, whose verdicts are new, with what is known of an outage of all."""
    living = [uplink.name for uplink in uplinks if lives(state.memory(uplink.name))]
    if not living:
        died = tuple(uplink.name for uplink in uplinks if _died(state.uplinks, uplink, now))
        if state.dark_since or len(died) < LEAST:
            return state
        return state._replace(dark_since=now, dark=died, light_at=0.0)
    if state.dark_since:
        state = state._replace(dark_since=0.0, light_at=now)
    waits = {
        u.name for u in uplinks if u.name not in living and now - state.light_at < u.config.probe.hysteresis_backoff
    }
    left = tuple(name for name in state.dark if name in waits)
    return state._replace(dark=left, light_at=state.light_at if left else 0.0)


def lives(memory: UplinkState) -> bool:
    """Whether an uplink is online; a family that is not probed tells nothing beside one that is."""
    families = [one for one in (memory.ipv4, memory.ipv6) if one.way]
    probed = [one for one in families if not one.by_facts]
    return any(one.status is Status.ONLINE for one in probed or families)


def _died(memories: Mapping[str, UplinkState], uplink: Uplink, now: float) -> bool:
    memory = memories.get(uplink.name, UplinkState())
    return uplink.enabled and any(_has_died(memory.family(family), now) for family in FAMILIES)


def _has_died(one: FamilyState, now: float) -> bool:
    lately = one.status is Status.OFFLINE and one.transitions > 0 and now - one.since <= WINDOW
    return lately and not one.reason.startswith(BY_US)


def transitions(before: State, after: State, wall: float) -> tuple[Transition, ...]:
    """``common`` events: all died, the first is back; and ``target-...`` events of what is ignored."""
    found = [_target(one, "counted", "ignored", wall) for one in after.ignored if one not in before.ignored]
    found += [_target(one, "ignored", "counted", wall) for one in before.ignored if one not in after.ignored]
    if after.dark_since and not before.dark_since:
        found.append(_all("online", "offline", f"{WORDS}: {', '.join(after.dark)}", wall))
    if before.dark_since and not after.dark_since:
        back = [name for name in after.uplinks if lives(after.uplinks[name])]
        found.append(_all("offline", "online", f"{', '.join(back)} back{_after(before, after)}", wall))
    return tuple(found)


def _after(before: State, after: State) -> str:
    return f" after {duration(after.light_at - before.dark_since)}" if after.light_at else ""


def _all(old: str, new: str, reason: str, wall: float) -> Transition:
    return Transition(EVENT, "", "", None, old, new, reason, wall)


def _target(key: str, old: str, new: str, wall: float) -> Transition:
    word, _, target = key.partition(" ")
    family = next(family for family in FAMILIES if family.value == word)
    told = {
        "ignored": f"{target} is dead behind every uplink: no verdict follows from it until it answers again",
        "counted": f"{target} answers again, or is not configured any more",
    }
    return Transition(f"target-{new}", "", "", family, old, new, told[new], wall)


def keeps_back(state: State, now: float) -> bool:
    """Whether no line is repaired now: the fault is none of theirs."""
    return state.dark_since > 0 and 0 <= now - state.dark_since < PATIENCE


def unturned(
    memories: Mapping[str, UplinkState], names: Sequence[str], known: Mapping[str, UplinkState]
) -> dict[str, UplinkState]:
    """The memories; those of ``names`` have last turned full when ``known`` says so.

    What comes back from an outage of all has not flapped.
    """
    found = {**memories}
    for name in names:
        for family in FAMILIES if name in found else ():
            full_at = known[name].family(family).full_at if name in known else None
            found[name] = found[name].with_family(family, found[name].family(family)._replace(full_at=full_at))
    return found
