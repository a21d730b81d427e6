"""Places that measuring leaves to uplinks: degraded ones behind all others, and who leads its equals.  Pure.

Where ``prefer = latency`` the quicker one carries, and the others wait.  It leads until it is online no more or
degraded, or until another one is surely quicker: by :data:`MARGIN` of its own smoothed round trip and :data:`LEAST_MS`,
and not before it has led for :data:`STAY`.  So nothing swings.
Times are CLOCK_BOOTTIME seconds and are given, never asked for.
"""

from __future__ import annotations

from mwan_hook.model import DEMOTE, FAMILIES, OFFLINE
from mwan_hook.verdict.standing import carries, taking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import Family, FamilyState, Uplink, UplinkState


MARGIN = 0.2  # of the leader's round trip
LEAST_MS = 5.0
STAY = 300.0  # seconds


def led(uplinks: Sequence[Uplink], memories: Mapping[str, UplinkState], now: float) -> dict[str, UplinkState]:
    """The memories with one leader among the online uplinks of each metric, in each family that they share."""
    found = {**memories}
    for family in FAMILIES:
        for group in _groups(uplinks, family):
            online = taking(uplink for uplink in group if carries(uplink, family, found[uplink.name]))
            leader = _leader(online, found, family, now) if len(group) > 1 else ""
            for uplink in group:
                state = found[uplink.name].family(family)
                since = state.leads if state.leads is not None and state.leads <= now else now
                leads = since if uplink.name == leader else None
                if leads != state.leads:
                    found[uplink.name] = found[uplink.name].with_family(family, state._replace(leads=leads))
    return found


def behind_leaders(uplinks: Sequence[Uplink], memories: Mapping[str, UplinkState]) -> tuple[Uplink, ...]:
    """The uplinks, those that are led marked as such."""
    leading = {
        (family, *uplink.preference(family)): uplink.name
        for family in FAMILIES
        for uplink in uplinks
        if memories[uplink.name].family(family).leads is not None
    }
    found = []
    for uplink in uplinks:
        names = {family: leading.get((family, *uplink.preference(family)), uplink.name) for family in FAMILIES}
        second = tuple(family for family, name in names.items() if name != uplink.name)
        found.append(uplink._replace(second=second) if second else uplink)
    return tuple(found)


def _groups(uplinks: Sequence[Uplink], family: Family) -> Iterable[list[Uplink]]:
    found: dict[tuple[bool, int, bool], list[Uplink]] = {}
    for uplink in uplinks:
        found.setdefault(uplink.preference(family), []).append(uplink)
    return found.values()


def _leader(online: Sequence[Uplink], memories: Mapping[str, UplinkState], family: Family, now: float) -> str:
    """The name of the leader; none where nothing is online."""
    if not online:
        return ""
    states = {uplink.name: memories[uplink.name].family(family) for uplink in online}
    quickest = min(states, key=lambda name: _round_trip(states[name]))
    leaders = [name for name, state in states.items() if state.leads is not None]
    if not leaders:
        return quickest
    leader = states[leaders[0]]
    usual = _round_trip(leader)
    better = usual - _round_trip(states[quickest]) > max(LEAST_MS, MARGIN * usual) if usual < _UNKNOWN else False
    stayed = leader.leads is not None and now - leader.leads >= STAY
    return quickest if better and stayed else leaders[0]


_UNKNOWN = float("inf")


def _round_trip(state: FamilyState) -> float:
    return _UNKNOWN if state.srtt_ms is None else state.srtt_ms


def demoted(uplinks: Sequence[Uplink], memories: Mapping[str, UplinkState]) -> tuple[Uplink, ...]:
    """The uplinks, degraded ones behind all others of the family; among themselves they keep their order.

    One that is to be offline while it is degraded is behind them as long as it is the only way.
    """
    return tuple([_demoted(uplink, memories[uplink.name]) for uplink in uplinks])


def _demoted(uplink: Uplink, memory: UplinkState) -> Uplink:
    if (uplink.config.probe.degraded or DEMOTE) not in (DEMOTE, OFFLINE):
        return uplink
    behind = tuple(family for family in FAMILIES if memory.family(family).degraded)
    return uplink._replace(behind=behind) if behind else uplink
