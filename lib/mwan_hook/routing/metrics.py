"""``[[[metrics]]]``: the metric of an uplink's own default in main follows its verdict.

The foreign default is not changed in place: one of ours with the new metric is added, then the foreign one is
taken out and remembered, so that it can be put back.
"""

from __future__ import annotations

from itertools import count, islice

from mwan_hook.model import (
    BEST_METRIC,
    DEFAULT,
    FAMILIES,
    MAIN_TABLE,
    Config,
    Connectivity,
    Family,
    FamilyState,
    Metrics,
    Route,
    Snapshot,
    State,
    Status,
    Uplink,
)
from mwan_hook.routing.gateways import canonical_metric, still_valid
from mwan_hook.routing.rules import tagged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.routing.desired import Desired


def fallback_metrics(family: Family, snapshot: Snapshot, uplinks: Sequence[Uplink], length: int) -> list[int]:
    """Metrics of the shared default and its fallbacks in main, where others may have defaults too.

    IPv4: ours are put in front of those of the same metric, and nothing but metric 0 precedes metric 0.  IPv6
    would make one route of two of the same metric, so metrics of others are left out; one of ours that a way of no
    uplink has joined is theirs too.
    """
    ways = {(uplink.index, uplink.way(family).gateway) for uplink in uplinks}
    foreign = {
        route.metric
        for route in snapshot.defaults
        if route.family is family and route.dst == DEFAULT and not route.tos
        if route.protocol != snapshot.protocol or (family is Family.IPV6 and _joined(route, ways))
    }
    if family is Family.IPV4:
        first = 0 if 0 in foreign else BEST_METRIC
        return list(range(first, first + length))
    return list(islice((metric for metric in count(BEST_METRIC) if metric not in foreign), length))


def _joined(route: Route, ways: set[tuple[int, str | None]]) -> bool:
    return len(route.nexthops) > 1 and not ways.issuperset((hop.index, hop.gateway) for hop in route.nexthops)


def with_own_defaults(
    desired: Desired, config: Config, uplinks: Sequence[Uplink], state: State, snapshot: Snapshot
) -> Desired:
    """What is desired, with the defaults of every uplink that has ``[[[metrics]]]``, both families."""
    wanted: list[Route] = []
    displaced: list[Route] = []
    managed = [uplink for uplink in uplinks if uplink.present and uplink.config.metrics != Metrics()]
    ours = {uplink.index for uplink in managed}
    in_main = config.routing.default_table == MAIN_TABLE
    for family in FAMILIES:
        shared = fallback_metrics(family, snapshot, uplinks, len(uplinks) + 1) if in_main else []
        for uplink in managed:
            if not uplink.way(family).missing:
                route, replaced = _one(uplink, family, state, snapshot, shared, ours)
                wanted += [route] if route else []
                displaced += replaced
    foreign = {(*_leg(route), route.metric): route for route in _still_meant(managed, wanted, state)}
    foreign.update({(*_leg(route), route.metric): route for route in displaced})
    return desired._replace(
        main=tagged(wanted, config.routing),
        displaced=tuple(displaced),
        foreign=_without_dead(foreign.values(), snapshot),
        restored=_to_restore(managed, state, snapshot),
    )


def _without_dead(remembered: Iterable[Route], snapshot: Snapshot) -> tuple[Route, ...]:
    """One from an address that is gone waits for it only as long as nothing newer is known of the same leg."""
    remembered = tuple(remembered)
    valid = [route for route in remembered if route in still_valid((route,), snapshot.addresses)]
    known = {_leg(route) for route in valid}
    return tuple(route for route in remembered if route in valid or _leg(route) not in known)


def _still_meant(managed: Sequence[Uplink], wanted: Sequence[Route], state: State) -> list[Route]:
    """Remembered ones that ours stand for, or whose way is out of order just now."""
    stood_for = {_leg(route) for route in wanted}
    waiting = {(family, up.index) for up in managed for family in FAMILIES if up.way(family).missing}
    return [r for r in state.foreign if _leg(r) in stood_for or (r.family, r.nexthops[0].index) in waiting]


def _to_restore(managed: Sequence[Uplink], state: State, snapshot: Snapshot) -> tuple[Route, ...]:
    """Remembered ones of interfaces whose metrics are no longer ours to set."""
    up = {link.index for link in snapshot.links if link.up} - {uplink.index for uplink in managed}
    there = {
        _leg(leg)
        for index in up
        for family in FAMILIES
        for leg in legs(snapshot, family, index)
        if leg.protocol != snapshot.protocol
    }
    remembered = still_valid(state.foreign, snapshot.addresses)
    return tuple(route for route in remembered if route.nexthops[0].index in up and _leg(route) not in there)


def _leg(route: Route) -> tuple[Family, int, str | None]:
    """Which way a single-leg default takes."""
    return route.family, route.nexthops[0].index, route.nexthops[0].gateway


def _one(
    uplink: Uplink, family: Family, state: State, snapshot: Snapshot, shared: Sequence[int], managed: set[int]
) -> tuple[Route | None, list[Route]]:
    """Our default for one uplink and family (None: the foreign one may stay), and the foreign ones it displaces.

    ``shared``: metrics of the shared default, where that is in main.  ``managed``: interfaces whose defaults are ours.
    """
    way = uplink.way(family)
    memory = state.memory(uplink.name).family(family)
    there = legs(snapshot, family, uplink.index)
    mine = [leg for leg in there if leg.protocol == snapshot.protocol and leg.metric > max(shared, default=0)]
    foreign = [leg for leg in there if leg.protocol != snapshot.protocol]
    metric = _metric(uplink.config.metrics, memory, mine)
    if metric is None or way.default is None:
        return (mine[0] if mine and not foreign else None), []
    taken = {*shared, *_occupied(family, snapshot, uplink.index, managed)}
    own = {route.metric for route in foreign}
    metric = next(free for free in count(canonical_metric(family, metric)) if free in own or free not in taken)
    if metric in own:
        return None, [route for route in foreign if route.metric != metric]
    return way.default._replace(table=MAIN_TABLE, metric=metric), foreign


def _occupied(family: Family, snapshot: Snapshot, index: int, managed: set[int]) -> set[int]:
    """IPv6 metrics of foreign defaults through other interfaces: ours would become one route with them.

    The kernel shows such a route with the protocol of its first leg (tests/netns/test_kernel_routes.py), so one of ours
    may have foreign legs.
    """
    if family is Family.IPV4:
        return set()
    return {
        route.metric
        for route in snapshot.defaults
        if route.family is family
        for hop in route.nexthops
        if hop.index != index and (route.protocol != snapshot.protocol or hop.index not in managed)
    }


def _metric(metrics: Metrics, memory: FamilyState, mine: Sequence[Route]) -> int | None:
    """Online: ``full``.  Offline: by the last round; a good round that has yet to earn its rise changes nothing."""
    if not memory.judged or memory.status is Status.DISABLED:
        return None
    if memory.status is Status.ONLINE:
        return metrics.full
    if memory.connectivity is Connectivity.FULL:
        if mine:
            return mine[0].metric
        return next((value for value in (metrics.limited, metrics.portal, metrics.none) if value is not None), None)
    by_word = {
        Connectivity.PORTAL: metrics.portal,
        Connectivity.LIMITED: metrics.limited,
        Connectivity.NONE: metrics.none,
    }
    return by_word.get(memory.connectivity)


def legs(snapshot: Snapshot, family: Family, index: int) -> list[Route]:
    """Every default of main through one interface.

    IPv6 merges defaults of equal metric into one that can be taken apart again; of an IPv4 multipath route
    no leg can be taken out alone, so those are left to the program that made them.
    """
    return [
        route._replace(nexthops=(hop._replace(weight=1),))
        for route in snapshot.defaults
        if route.family is family and route.dst == DEFAULT and route.kind == "unicast" and not route.tos
        if family is Family.IPV6 or len(route.nexthops) == 1
        for hop in route.nexthops
        if hop.index == index
    ]
