"""The facts of one family of one uplink: what it has, and in words what it lacks."""

from __future__ import annotations

from mwan_hook.addresses import elsewhere, preferred
from mwan_hook.model import Address, Family, Link, Route, UplinkConfig, Way
from mwan_hook.routing.gateways import Place, Sources, candidates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NO_ADDRESS = "no address"


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
