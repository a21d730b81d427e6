"""The facts of one family of one uplink: what it has, what it lacks in words, and which ways its default can take."""

from __future__ import annotations

from mwan_hook.addresses import elsewhere, holds, near, preferred
from mwan_hook.light import NamedTuple
from mwan_hook.model import DEFAULT, PROTOCOL, Address, Family, Lease, Link, Nexthop, Route, Snapshot, UplinkConfig, Way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import State, Uplink

SCOPE_LINK = 253  # of an IPv4 route without gateway, as ip(8) makes it
IPV6_METRIC = 1024  # what the kernel makes of an IPv6 route without metric (IP6_RT_PRIO_USER of linux/ipv6_route.h)
LAST_METRIC = 1024  # of an uplink that neither the configuration nor a route gives one
NO_ADDRESS = "no address"


class Sources(NamedTuple):
    """Where gateways and addresses come from."""

    snapshot: Snapshot
    lease: Lease = Lease()
    remembered: tuple[Route, ...] = ()  # foreign defaults that ours stand for
    turns: tuple[tuple[Family, str], ...] = ()  # of several gateways the one whose turn it is
    named: bool = False  # the configuration means this interface: a point-to-point link needs no default of others


class Place(NamedTuple):
    """One family of one uplink: where a default is looked for."""

    family: Family
    config: UplinkConfig
    link: Link
    addresses: tuple[Address, ...]


def way(family: Family, config: UplinkConfig, link: Link | None, sources: Sources) -> Way:
    """Addresses, gateway and own default of one family, or what is missing."""
    snapshot = sources.snapshot
    blank = Way(family, servers=tuple([server for server in sources.lease.servers if Family.of(server) is family]))
    if link is None:
        return blank._replace(missing="interface is gone")
    if family not in config.families or family not in snapshot.families:
        return blank._replace(missing=f"{family.value} is not used")
    addresses = tuple([a for a in snapshot.addresses if a.index == link.index and a.family is family])
    found = candidates(Place(family, config, link, addresses), sources)
    default = _in_turn(family, found, sources)
    hop = default.nexthops[0] if default else None
    lent = elsewhere(default.src, addresses, snapshot.addresses) if default and default.src else ""
    return blank._replace(
        addresses=preferred(addresses, default),
        gateway=hop.gateway if hop else None,
        onlink=hop.onlink if hop else False,
        default=default,
        missing=missing(link, addresses, default, lent),
        lent=lent,
        choices=tuple([leg.nexthops[0].gateway or "" for leg in found]) if len(found) > 1 else (),
        homes=_homes(default, snapshot.elsewhere) if snapshot.elsewhere else (),
    )


def _in_turn(family: Family, found: Sequence[Route], sources: Sources) -> Route | None:
    for of, gateway in sources.turns if len(found) > 1 else ():
        for leg in found:
            if of is family and leg.nexthops[0].gateway == gateway:
                return leg
    return found[0] if found else None


def _homes(default: Route | None, elsewhere: Sequence[Route]) -> tuple[int, ...]:
    """Tables in which a foreign default takes the same way."""
    if default is None:
        return ()
    index, gateway = default.nexthops[0][:2]
    same = [route for route in elsewhere if route.family is default.family]
    return tuple([route.table for route in same if (index, gateway) in [hop[:2] for hop in route.nexthops]])


def missing(link: Link, addresses: Sequence[Address], default: Route | None, lent: str) -> str:
    """What it cannot be used without; empty where it has all of it."""
    if not link.up:
        return "administratively down"
    if not link.carrier:
        return "no carrier"
    if not lent and not any(address.usable for address in addresses):
        return "address is tentative" if any(address.tentative for address in addresses) else NO_ADDRESS
    return "" if default else "no gateway"


def candidates(place: Place, sources: Sources) -> list[Route]:
    """Defaults for the uplink's table (table 0 here), one a gateway, the first one to be tried first.

    The gateways come from the configuration; else from foreign defaults of main; else from foreign defaults of other
    tables; else from networkd's lease; else from a default in pieces that a lease has put into main; else from a
    foreign default that one of ours stands for since it changed its metric.  A default of main whose gateway is in no
    network of the uplink's is a leftover of an earlier lease, or has a host route: another one comes before it, and so
    does the lease.  Without any of these a point-to-point link leads to its other end.
    """
    snapshot, wanted = sources.snapshot, place.config.gateway(place.family)
    main = _legs([r for r in snapshot.defaults if r.protocol != snapshot.protocol], place)
    fitting = [leg for leg in main if fits(leg, place.addresses)]
    if fitting and not wanted:
        return _distinct(fitting)
    known = _legs(still_valid(sources.remembered, snapshot.addresses), place)
    main = [_reached(place, leg, in_main=True) for leg in main]
    others = _legs(snapshot.elsewhere, place)
    likely = [leg for leg in others if fits(leg, place.addresses)]
    others = [_reached(place, leg, in_main=False) for leg in (*likely, *others)]
    if wanted:
        return [_through(place, gateway, [*main, *others, *known]) for gateway in wanted]
    leased = sources.lease.gateway4 if place.family is Family.IPV4 else None
    if main:
        better = leased and (leased in map(_gateway, main) or any(holds(one, leased) for one in place.addresses))
        return [_through(place, leased, main)] if leased and better else _distinct(main)
    if others:
        return _distinct(others)
    claimed = _legs([route._replace(dst=DEFAULT) for route in snapshot.claims], place)
    if claimed and not leased:
        return _distinct([_reached(place, leg, in_main=True) for leg in claimed])
    return [_through(place, leased, known)] if leased else known[:1] or _by_device(place, sources)


def _by_device(place: Place, sources: Sources) -> list[Route]:
    """The default by a point-to-point link that has an address: what enters it has only one way to go.

    pppd before 2.5.1 sets none while main has any other, and before systemd 260 no program does for a mobile session.
    """
    if not (sources.named and place.link.noarp and place.addresses):
        return []
    metric = LAST_METRIC if place.config.metric is None else place.config.metric
    return [single(Route(place.family, 0, metric=canonical_metric(place.family, metric)), Nexthop(place.link.index))]


def strays(uplinks: Iterable[Uplink], snapshot: Snapshot, state: State) -> list[tuple[Family, Uplink]]:
    """Uplinks that could send in a family, and for which main has no default: another table may have one.

    Where the configuration names the gateway, only those whose networks main may lack, too.
    """
    foreign = [r for r in snapshot.defaults if r.protocol != snapshot.protocol and not r.tos]
    in_main = {(route.family, hop.index) for route in foreign for hop in route.nexthops}
    return [
        (family, uplink)
        for uplink in uplinks
        if uplink.link and uplink.link.up
        for family in snapshot.families
        if family in uplink.config.families and (family, uplink.index) not in in_main
        if _could_send(uplink, family, state)
    ]


def _could_send(uplink: Uplink, family: Family, state: State) -> bool:
    way = uplink.way(family)
    if uplink.config.gateway(family):
        return any(one.no_network and one.usable for one in way.addresses)
    if way.lent or any(one.usable or one.tentative for one in way.addresses):
        return True
    served = uplink.config.prefixes or uplink.interface in [one.interface for one in state.delegated]
    return bool(family is Family.IPV6 and served and way.addresses)


def has_choice(uplink: Uplink) -> bool:
    """Whether it has several gateways in a family."""
    return bool(uplink.ipv4.choices or uplink.ipv6.choices)


def fits(leg: Route, addresses: Iterable[Address]) -> bool:
    """Whether its gateway is there to be asked, as far as addresses tell."""
    hop = leg.nexthops[0]
    if hop.gateway is None or hop.onlink or near(hop.gateway):
        return True
    return any(holds(one, hop.gateway) for one in addresses)


def _reached(place: Place, leg: Route, *, in_main: bool) -> Route:
    """A default that the kernel takes in any table (tests/netns/test_ways.py).

    ``in_main``: main reaches its gateway, or did when it was put there.  Otherwise only a network does whose route the
    kernel has made itself; who makes them himself (networkd) may have put it into another table.
    """
    hop = leg.nexthops[0]
    if hop.gateway is None or hop.onlink or near(hop.gateway) or (in_main and place.link.noarp):
        return leg
    if any(holds(one, hop.gateway) and (in_main or not one.no_network) for one in place.addresses):
        return leg
    return leg._replace(nexthops=(hop._replace(onlink=True),))


def _through(place: Place, gateway: str, at_hand: Iterable[Route]) -> Route:
    """The default at hand through a gateway, with its source and MTU; else one that no route names."""
    for leg in at_hand:
        if _gateway(leg) == gateway:
            return leg
    metric = canonical_metric(place.family, place.config.metric or 0)
    made = Route(place.family, 0, metric=metric, nexthops=(Nexthop(place.link.index, gateway),))
    return _reached(place, made, in_main=False)


def _legs(routes: Iterable[Route], place: Place) -> list[Route]:
    """The legs through one interface of defaults, each a route of its own, in the kernel's order of preference.

    Among equal metrics the kernel takes the first that it lists (tests/netns/test_routing_defects.py); a route for one
    type of service is no default.
    """
    legs = [
        single(route, hop)
        for route in routes
        if route.family is place.family and route.dst == DEFAULT and route.kind == "unicast" and not route.tos
        for hop in route.nexthops
        if hop.index == place.link.index
    ]
    return legs if len(legs) < 2 else sorted(legs, key=lambda leg: leg.metric)


def _distinct(legs: Sequence[Route]) -> list[Route]:
    """The first one of each gateway."""
    first: dict[str | None, Route] = {}
    for leg in legs:
        first.setdefault(_gateway(leg), leg)
    return list(first.values())


def _gateway(leg: Route) -> str | None:
    return leg.nexthops[0].gateway


def still_valid(remembered: Iterable[Route], addresses: Iterable[Address]) -> list[Route]:
    """What the kernel would have left of routes of main when addresses went (tests/netns/test_kernel_routes.py).

    It takes out IPv4 routes from an address that is gone, and lets IPv6 ones forget it.
    """
    here = {None, *(address.address for address in addresses)}
    return [
        route if route.src in here else route._replace(src=None)
        for route in remembered
        if route.src in here or route.family is Family.IPV6
    ]


def single(route: Route, hop: Nexthop) -> Route:
    """One leg of a foreign route as a plain default of ours, for no table yet."""
    scope = SCOPE_LINK if route.family is Family.IPV4 and hop.gateway is None else 0
    return route._replace(table=0, nexthops=(hop._replace(weight=1),), scope=scope, tos=0, protocol=PROTOCOL)


def canonical_metric(family: Family, metric: int) -> int:
    """IPv6 has no metric 0: it reads back as 1024."""
    return metric or (IPV6_METRIC if family is Family.IPV6 else 0)
