"""The facts of one family of one uplink: what it has, and in words what it lacks."""

from __future__ import annotations

from _socket import inet_pton  # the C half of `socket`; the other half costs half of a bare Python

from mwan_hook.light import NamedTuple
from mwan_hook.model import (
    DEFAULT,
    PROTOCOL,
    Address,
    Family,
    Lease,
    Link,
    Nexthop,
    Route,
    Snapshot,
    UplinkConfig,
    Way,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCOPE_LINK = 253  # of an IPv4 route without gateway, as ip(8) makes it
IPV6_METRIC = 1024  # what the kernel makes of an IPv6 route without metric


class Sources(NamedTuple):
    """Where gateways and addresses come from."""

    snapshot: Snapshot
    lease: Lease = Lease()
    remembered: tuple[Route, ...] = ()  # foreign defaults that ours stand for


def way(family: Family, config: UplinkConfig, link: Link | None, sources: Sources) -> Way:
    """Addresses, gateway and own default of one family, or what is missing.

    The gateway comes from the configuration, else from a foreign default of main, else from networkd's lease,
    else from a foreign default that one of ours stands for since it changed its metric.
    """
    snapshot = sources.snapshot
    servers = tuple(server for server in sources.lease.servers if Family.of(server) is family)
    blank = Way(family, servers=servers)
    if link is None:
        return blank._replace(missing="interface is gone")
    if family not in config.families or family not in snapshot.families:
        return blank._replace(missing=f"{family.value} is not used")
    addresses = tuple(a for a in snapshot.addresses if a.index == link.index and a.family is family)
    default = _default(family, config, link, addresses, sources)
    hop = default.nexthops[0] if default else None
    found = blank._replace(
        addresses=addresses,
        gateway=hop.gateway if hop else None,
        onlink=hop.onlink if hop else False,
        default=default,
    )
    return found._replace(missing=_missing(link, addresses, default))


def _missing(link: Link, addresses: Sequence[Address], default: Route | None) -> str:
    if not link.up:
        return "administratively down"
    if not link.carrier:
        return "no carrier"
    if not any(address.usable for address in addresses):
        return "address is tentative" if any(address.tentative for address in addresses) else "no address"
    return "" if default else "no gateway"


def _default(
    family: Family, config: UplinkConfig, link: Link, addresses: Sequence[Address], sources: Sources
) -> Route | None:
    """The uplink's own default as its table shall have it (table 0 here)."""
    snapshot = sources.snapshot
    foreign = [route for route in snapshot.defaults if route.protocol != snapshot.protocol]
    found = _best(foreign, family, link.index)
    known = _best(still_valid(sources.remembered, snapshot.addresses), family, link.index)
    wanted = config.gateway(family)
    if wanted is None and found is None:
        wanted = sources.lease.gateway4 if family is Family.IPV4 else None
    if wanted is None:
        return found or known
    for route in (found, known):
        if route and route.nexthops[0].gateway == wanted:
            return route
    return _made(family, config, link, addresses, wanted)


def _made(family: Family, config: UplinkConfig, link: Link, addresses: Sequence[Address], gateway: str) -> Route:
    """A default through a gateway that no route of main names."""
    hop = Nexthop(link.index, gateway, onlink=not _reachable(gateway, addresses))
    return Route(family, 0, metric=canonical_metric(family, config.metric or 0), nexthops=(hop,))


def _best(routes: Iterable[Route], family: Family, index: int) -> Route | None:
    """The leg through one interface of the default that the kernel would prefer, as a route of its own.

    Among equal metrics the kernel takes the first that it lists; a route for one type of service is no default.
    """
    legs = [
        single(route, hop)
        for route in routes
        if route.family is family and route.dst == DEFAULT and route.kind == "unicast" and not route.tos
        for hop in route.nexthops
        if hop.index == index
    ]
    return min(legs, key=lambda leg: leg.metric) if legs else None


def still_valid(remembered: Iterable[Route], addresses: Iterable[Address]) -> list[Route]:
    """What the kernel would have left of routes when addresses went.

    It takes out IPv4 routes from an address that is gone, and lets IPv6 ones forget it.
    """
    here = {None, *(address.address for address in addresses)}
    return [
        route if route.src in here else route._replace(src=None)
        for route in remembered
        if route.src in here or route.family is Family.IPV6
    ]


def single(route: Route, hop: Nexthop) -> Route:
    """One leg of a route of main as a plain default of ours, for no table yet."""
    scope = SCOPE_LINK if route.family is Family.IPV4 and hop.gateway is None else 0
    return route._replace(table=0, nexthops=(hop._replace(weight=1),), scope=scope, tos=0, protocol=PROTOCOL)


def canonical_metric(family: Family, metric: int) -> int:
    """IPv6 has no metric 0: it reads back as 1024."""
    return metric or (IPV6_METRIC if family is Family.IPV6 else 0)


def _reachable(gateway: str, addresses: Sequence[Address]) -> bool:
    """True for a gateway inside a connected prefix, and for link-local ones."""
    if gateway.lower().startswith("fe80:"):
        return True
    asked = int.from_bytes(inet_pton(Family.of(gateway).af, gateway), "big")
    for address in addresses:
        packed = inet_pton(address.family.af, address.address)
        shift = len(packed) * 8 - address.prefixlen
        if int.from_bytes(packed, "big") >> shift == asked >> shift:
            return True
    return False
