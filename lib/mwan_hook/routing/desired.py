"""What should be in the kernel, from the uplinks as they stand and the verdicts on them (section 6 of the contract)."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import (
    BEST_METRIC,
    MAIN_TABLE,
    Config,
    Family,
    LastResort,
    Metrics,
    Nexthop,
    Route,
    Routing,
    Rule,
    Snapshot,
    State,
    Sysctl,
    Uplink,
    Way,
)
from mwan_hook.routing.former import after_renames
from mwan_hook.routing.gateways import SCOPE_LINK, canonical_metric
from mwan_hook.routing.rules import (
    REFUSED,
    Standing,
    addresses,
    best_tier,
    share_a_network,
    shared_addresses,
    tagged,
    wanted_rules,
)
from mwan_hook.verdict.standing import by_preference, online_of, taking, unjudged, used_in, was_judged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import NexthopObject


class Desired(NamedTuple):
    """Everything of ours; what is not in here and carries our protocol goes."""

    tables: tuple[Route, ...] = ()  # defaults of the uplinks' tables; the copies are compared in bulk
    shared: tuple[Route, ...] = ()  # the shared default, in `default_table`
    main: tuple[Route, ...] = ()  # uplinks' own defaults in main at the metric of their verdict
    rules: tuple[Rule, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    originals: tuple[Sysctl, ...] = ()  # values from before us, of interfaces that are no uplinks any more
    displaced: tuple[Route, ...] = ()  # foreign defaults that one of `main` stands for
    foreign: tuple[Route, ...] = ()  # displaced ones to remember from now on
    restored: tuple[Route, ...] = ()  # displaced ones to put back: nothing of ours stands for them any more
    online: dict[Family, tuple[str, ...]] = {}  # by preference
    policies: tuple[Route, ...] = ()  # of the policies' own tables
    objects: tuple[NexthopObject, ...] = ()  # that the shared default goes through
    notes: tuple[str, ...] = ()  # what is said once of other programs' rules and routes


def desire(config: Config, uplinks: Sequence[Uplink], state: State, snapshot: Snapshot) -> Desired:
    """The kernel as it should be, both families."""
    tables: list[Route] = []
    shared: list[Route] = []
    rules: list[Rule] = []
    online: dict[Family, tuple[str, ...]] = {}
    for family in snapshot.families:
        standing = _standing_of(family, config, uplinks, state, snapshot)
        online[family] = tuple(uplink.name for uplink in standing.open_to_new)
        tables += [route for uplink in standing.used for route in _table(family, uplink, snapshot)]
        shared += standing.ways_out
        rules += _rules(family, config, uplinks, standing, state, snapshot)
    sysctls = wanted_sysctls(uplinks, snapshot)
    desired = Desired(
        tables=tagged(tables, config.routing),
        shared=tagged(shared, config.routing),
        rules=tagged(rules, config.routing),
        sysctls=sysctls,
        originals=leftover_sysctls(sysctls, state, snapshot),
        online=online,
    )
    if not state.foreign and all(uplink.config.metrics == Metrics() for uplink in uplinks):
        return desired
    from mwan_hook.routing.metrics import with_own_defaults

    return with_own_defaults(desired, config, uplinks, state, snapshot)


def _standing_of(
    family: Family, config: Config, uplinks: Sequence[Uplink], state: State, snapshot: Snapshot
) -> Standing:
    used = used_in(family, uplinks, state)
    carrying = online_of(family, used, state)
    open_to_new = taking(carrying)
    ways_out = _placed(_shared(family, config.routing, used, open_to_new, state), snapshot, uplinks)
    if not carrying and any(unjudged(uplink, family, state) for uplink in used):
        ways_out = _left_standing(family, config.routing, len(uplinks), snapshot) or ways_out
    leading = [uplink for uplink in used if _has_way(uplink, family, state, snapshot)]
    return Standing(used, leading, carrying, open_to_new, ways_out)


def _rules(
    family: Family, config: Config, uplinks: Sequence[Uplink], standing: Standing, state: State, snapshot: Snapshot
) -> list[Rule]:
    rules = [*wanted_rules(family, config, standing, snapshot)]
    leading = standing.leading
    if share_a_network(leading, family):
        from mwan_hook.routing import samenetwork

        twins = shared_addresses(leading, family)
        rules += samenetwork.rules(family, config.routing, leading, standing.carrying, twins)
    if family is Family.IPV6 and snapshot.delegated:
        from mwan_hook.routing import prefixes

        rules += prefixes.rules(config, uplinks, standing.open_to_new, state, snapshot)
    return rules


def _has_way(uplink: Uplink, family: Family, state: State, snapshot: Snapshot) -> bool:
    """Whether it has a way out, or had one in this boot; else its addresses go on as they did without us."""
    if uplink.way(family).default is not None or was_judged(uplink, family, state):
        return True
    guarded = {rule.src for rule in snapshot.rules if rule.action == REFUSED}
    return any(source in guarded for source in addresses(uplink, family))


def _left_standing(family: Family, routing: Routing, count: int, snapshot: Snapshot) -> list[Route]:
    """The shared default as an earlier run left it: it stays until there are verdicts (the state file was lost)."""
    there = snapshot.defaults if routing.default_table == MAIN_TABLE else snapshot.shared
    last = BEST_METRIC + count  # beside a foreign metric 0 the best stands at 0
    return [r for r in there if r.family is family and r.protocol == snapshot.protocol and r.metric <= last]


def wanted_sysctls(uplinks: Sequence[Uplink], snapshot: Snapshot) -> tuple[Sysctl, ...]:
    """What the uplinks' interfaces are set to."""
    there = [uplink for uplink in uplinks if uplink.present]
    # carrier loss shall move traffic inside the kernel
    linkdown = (
        Sysctl(f"net/{family.value}/conf/{uplink.interface}/ignore_routes_with_linkdown", "1", uplink.index)
        for uplink in there
        for family in snapshot.families
    )
    return (*linkdown, *_loose_rp_filter(there))


def _loose_rp_filter(uplinks: Sequence[Uplink]) -> list[Sysctl]:
    """Loose rp_filter for interfaces that share an address: by strict checks only one of them could be answered."""
    twins = shared_addresses(uplinks, Family.IPV4)
    holders = [uplink for uplink in uplinks if set(twins) & set(addresses(uplink, Family.IPV4))]
    return [Sysctl(f"net/ipv4/conf/{holder.interface}/rp_filter", "2", holder.index) for holder in holders]


def leftover_sysctls(wanted: Iterable[Sysctl], state: State, snapshot: Snapshot) -> tuple[Sysctl, ...]:
    """Remembered values of interfaces that nothing is wanted of: they are put back."""
    keys = {sysctl.key for sysctl in wanted}
    return tuple(old for old in after_renames(state.sysctls, snapshot.links) if old.key not in keys)


def _table(family: Family, uplink: Uplink, snapshot: Snapshot) -> list[Route]:
    """The uplink's default."""
    way, link = uplink.way(family), uplink.link
    if way.default is None or link is None or not link.up or not _routable(way) or uplink.table in way.homes:
        # The kernel takes no route through a device that is down, or to a gateway without a subnet
        # (tests/netns/test_kernel_routes.py).
        return []
    own = way.default._replace(table=uplink.table, metric=canonical_metric(family, way.default.metric))
    if not link.carrier and own._replace(protocol=snapshot.protocol) not in _standing_in(uplink.table, snapshot):
        return []  # nor to one that only a network without carrier reaches: it comes with the carrier
    return [own]


def _routable(way: Way) -> bool:
    """Whether the kernel takes a default (tests/netns/test_kernel_routes.py).

    An IPv6 one needs no more than the interface's own address.
    """
    if way.lent or any(one.usable or one.tentative for one in way.addresses):
        return True
    return way.family is Family.IPV6 and bool(way.addresses)


def _standing_in(table: int, snapshot: Snapshot) -> list[Route]:
    """Our routes in an uplink's table that are no copies."""
    return [route for copies in snapshot.copies if copies.table == table for route in copies.extra]


def _plain(family: Family, uplink: Uplink, table: int, metric: int) -> Route:
    """One uplink's part of the shared default: its own default at another place."""
    way = uplink.way(family)
    scope = SCOPE_LINK if family is Family.IPV4 and way.gateway is None else 0
    route = Route(family, table, metric=metric, nexthops=(_hop(uplink, family, 1),), scope=scope)
    return route._replace(src=way.default.src, mtu=way.default.mtu) if way.default else route


def _hop(uplink: Uplink, family: Family, weight: int) -> Nexthop:
    way = uplink.way(family)
    return Nexthop(uplink.index, way.gateway, weight, way.onlink)


def _shared(
    family: Family, routing: Routing, used: Sequence[Uplink], carrying: Sequence[Uplink], state: State
) -> list[Route]:
    """The best tier as one route, then every online uplink alone at rising metrics."""
    table = routing.default_table
    if not carrying and used:
        if routing.last_resort in (LastResort.UNREACHABLE, LastResort.BLACKHOLE):
            return [Route(family, table, metric=BEST_METRIC, kind=routing.last_resort.value)]
        if routing.last_resort is LastResort.KEEP:
            carrying = last_known(family, used, state)
    if not carrying:
        return []
    return stacked(family, table, carrying, best_tier(carrying, family))


def stacked(family: Family, table: int, carrying: Sequence[Uplink], tier: Sequence[Uplink]) -> list[Route]:
    """One route by all of ``tier``, and below it one by each uplink alone, at rising metrics."""
    best = _best(family, table, tier)
    rest = [_plain(family, uplink, table, BEST_METRIC + 1 + place) for place, uplink in enumerate(carrying)]
    return [best, *rest]


def _placed(routes: Sequence[Route], snapshot: Snapshot, uplinks: Sequence[Uplink]) -> list[Route]:
    """The shared default with the metrics that it can have where it stands."""
    if not routes or routes[0].table != MAIN_TABLE:
        return list(routes)
    from mwan_hook.routing.metrics import fallback_metrics

    metrics = fallback_metrics(routes[0].family, snapshot, uplinks, len(routes))
    return [route._replace(metric=metric) for route, metric in zip(routes, metrics, strict=True)]


def last_known(family: Family, used: Sequence[Uplink], state: State) -> list[Uplink]:
    """Uplinks for ``last_resort = keep``: those online last that still have a route; else all that have one."""
    able = [uplink for uplink in used if uplink.enabled and not uplink.way(family).missing]
    names = state.last_online.get(family, ())
    return by_preference(taking([uplink for uplink in able if uplink.name in names] or able), family)


def _best(family: Family, table: int, tier: Sequence[Uplink]) -> Route:
    """One multipath route.

    The kernel shares an IPv6 one only among nexthops with a gateway (tests/netns/test_kernel_routes.py), and gives it
    one source for all of them: an uplink that sends from an address of another interface needs its own.
    """
    if family is Family.IPV6 and any(uplink.ipv6.gateway is None or uplink.ipv6.lent for uplink in tier):
        tier = [uplink for uplink in tier if uplink.ipv6.gateway and not uplink.ipv6.lent] or tier[:1]
    if len(tier) == 1:
        return _plain(family, tier[0], table, BEST_METRIC)
    hops = tuple(_hop(uplink, family, uplink.config.weight) for uplink in tier)
    defaults = [uplink.way(family).default for uplink in tier]
    mtus = [route.mtu for route in defaults if route and route.mtu]
    return Route(family, table, metric=BEST_METRIC, nexthops=hops, mtu=min(mtus, default=0))
