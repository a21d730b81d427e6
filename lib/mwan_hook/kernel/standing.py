"""What stands in the kernel where a route is to be put in or taken out, and what of it is meant."""

from __future__ import annotations

from mwan_hook.kernel.reader import Reader
from mwan_hook.model import DEFAULT, MAIN_TABLE, Change, Family, Nexthop, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def at(route: Route) -> list[Route]:
    """What the kernel has at the destination and metric of a route, of any program."""
    key = (route.dst, route.tos, route.metric, route.from_)
    return [old for old in _near(route) if (old.dst, old.tos, old.metric, old.from_) == key]


def _near(route: Route) -> tuple[Route, ...]:
    """All defaults of main for one of them, else the whole table of a route."""
    with Reader(route.protocol) as reader:
        if route.table == MAIN_TABLE and route.dst == DEFAULT and not route.from_:
            return reader.defaults_of_main(route.family, dead=True)
        return reader.table(route.family, route.table)


def share_a_way(one: Route, other: Route) -> bool:
    """Whether they have a nexthop in common."""
    return bool({(hop.index, hop.gateway) for hop in one.nexthops} & {(h.index, h.gateway) for h in other.nexthops})


def spare_legs(wanted: Route, there: Sequence[Route]) -> list[Route]:
    """Nexthops of multipath routes with a gateway that the wanted route has not, each as a route of its own."""
    legs = {(hop.index, hop.gateway) for hop in wanted.nexthops}
    return [
        old._replace(nexthops=(hop._replace(weight=1),))
        for old in there
        if len(old.nexthops) > 1
        for hop in old.nexthops
        if hop.gateway and (hop.index, hop.gateway) not in legs
    ]


def holds(there: Route, wanted: Route) -> bool:
    """Whether a route is the wanted one, or an IPv6 one that it has become a nexthop of."""
    if there.protocol != wanted.protocol or there.kind != wanted.kind:
        return False
    if wanted.nhid or there.nhid:
        return there == wanted
    legs = {(hop.index, hop.gateway) for hop in there.nexthops}
    joined = wanted.family is Family.IPV6 and {(hop.index, hop.gateway) for hop in wanted.nexthops} <= legs
    return there == wanted or (joined and bool(legs))


def still_there(changes: Sequence[Change]) -> list[Change]:
    """The changes without loose ones whose route is gone: the kernel would take another."""
    there: dict[tuple[Family, int, int, bool], list[tuple[object, ...]]] = {}
    kept = []
    for change in changes:
        what = change.what
        if isinstance(what, Route) and _is_loose(what):
            place = what.family, what.table, what.protocol, what.dst == DEFAULT and not what.from_
            if place not in there:
                there[place] = [_named(old) for old in _near(what) if _is_loose(old)]
            if _named(what) not in there[place]:
                continue
            there[place].remove(_named(what))
        kept.append(change)
    return kept


def _is_loose(route: Route) -> bool:
    """True if a delete may hit another (tests/netns/test_kernel_routes.py).

    IPv4's metric 0 is any; IPv6 takes the route for all sources, too.
    """
    return bool(route.from_) or (route.family is Family.IPV4 and not route.metric)


def _named(route: Route) -> tuple[object, ...]:
    """What the kernel compares; of nexthops only the first, as it does itself where one is named (test_kernel.py)."""
    hop = route.nexthops[0] if route.nexthops else Nexthop(0)
    return route.protocol, route.dst, route.from_, route.metric, route.tos, route.kind, hop.index, hop.gateway
