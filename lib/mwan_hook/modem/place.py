"""What of a bearer is set on its interface.  What a carrier says is believed only where it is an address."""

from __future__ import annotations

from mwan_hook.addresses import is_address
from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.light import NamedTuple
from mwan_hook.model import MAIN_TABLE, Family, Nexthop, Route
from mwan_hook.modem.values import BearerSeen, IpMethod, IpSettings

STATIC = 4  # the protocol of routes that an administrator has set; a default of ours would be no default to a run
LINK_SCOPE = 253
SMALLEST, LARGEST = 576, 65535
SMALLEST_IPV6 = 1280  # below it the kernel takes IPv6 from the interface
BEHIND = 4096  # of main's metrics: networkd's leases have 1024, sticks 2048, NetworkManager's modems 700
LARGEST_METRIC = (1 << 32) - 1
TURNS = 16  # metrics that are tried


class Placing(NamedTuple):
    """Addresses as ADDRESS/LENGTH, a default for each family with one, name servers."""

    addresses: tuple[str, ...] = ()
    defaults: tuple[Route, ...] = ()
    servers: tuple[str, ...] = ()
    mtu: int = 0
    left: tuple[Family, ...] = ()  # to systemd-networkd, or to the kernel, by DHCP or advertisements


def placing(bearer: BearerSeen, index: int, noarp: bool, metric: int) -> Placing:
    """What is set for a connected bearer.  Raises DialError for one that gives nothing that could be used."""
    both = ((Family.IPV4, bearer.ipv4), (Family.IPV6, bearer.ipv6))
    if any(told.method is IpMethod.PPP for _, told in both):
        words = "this modem speaks PPP on a serial port, and has no network interface of its own: dial it by pppd"
        raise DialError(causes.CONFIGURATION, words)
    static = [(family, told) for family, told in both if told.method is IpMethod.STATIC and _sound(family, told)]
    left = tuple([family for family, told in both if told.method is IpMethod.DHCP])
    local = [bearer.ipv6] if Family.IPV6 in left and _sound(Family.IPV6, bearer.ipv6) else []
    if not static and not left:
        raise DialError(causes.NO_NETWORK, "connected, but the network gave no address")
    servers = [server for family, told in both for server in told.servers if is_of(family, server)]
    return Placing(
        tuple([f"{told.address}/{told.prefixlen}" for told in (*[told for _, told in static], *local)]),
        tuple([_default(family, told, index, noarp, metric) for family, told in static]),
        tuple(dict.fromkeys(servers)),
        _mtu(bearer, any(family is Family.IPV6 for family, _ in static) or Family.IPV6 in left),
        left,
    )


def is_of(family: Family, text: str) -> bool:
    """Whether a text is an address of the family."""
    return is_address(text) and Family.of(text) is family


def _sound(family: Family, told: IpSettings) -> bool:
    """Whether it is an address that a host can have, with the length of a network's prefix."""
    if not is_of(family, told.address) or not 0 < told.prefixlen <= (32 if family is Family.IPV4 else 128):
        return False
    first = told.address.partition(".")[0]
    if family is Family.IPV4:
        return first not in ("0", "127") and int(first) < 224
    return told.address not in ("::", "::1") and not told.address.lower().startswith("ff")


def _default(family: Family, told: IpSettings, index: int, noarp: bool, metric: int) -> Route:
    """A default by device where there are no neighbours to ask, else by the gateway."""
    gateway = told.gateway if not noarp and is_of(family, told.gateway) else None
    scope = LINK_SCOPE if family is Family.IPV4 and gateway is None else 0
    hop = Nexthop(index, gateway, onlink=gateway is not None)
    return Route(family, MAIN_TABLE, metric=metric, nexthops=(hop,), src=told.address, scope=scope, protocol=STATIC)


def _mtu(bearer: BearerSeen, ipv6: bool) -> int:
    """The smaller of what both families say; 0: none that an interface may have."""
    told = [one.mtu for one in (bearer.ipv4, bearer.ipv6) if one.mtu]
    mtu = min(told, default=0)
    return mtu if (SMALLEST_IPV6 if ipv6 else SMALLEST) <= mtu <= LARGEST else 0


def in_main(metric: int) -> int:
    """The metric of an uplink's default in main.

    Main alone, without rules of ours, goes on as it did before the dial; of two modems it prefers the better uplink.
    """
    return min(BEHIND + metric, LARGEST_METRIC - TURNS)


def turns(route: Route) -> tuple[Route, ...]:
    """The route at its metric and the ones after it: main may have another program's default there."""
    return tuple([route._replace(metric=route.metric + step) for step in range(TURNS)])
