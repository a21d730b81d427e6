"""rtnetlink messages to and from values: pure, no sockets.

Layouts are those of linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h and fib_rules.h; a message is its bytes with
the netlink header in front.
"""

from __future__ import annotations

from _socket import AF_INET6, inet_ntop
from _struct import Struct, unpack_from
from sys import byteorder

from mwan_hook.addresses import LINK_LOCAL, VIA_IPV6
from mwan_hook.kernel import frames
from mwan_hook.model import DEFAULT, LOOKUP, Address, Family, Link, Nexthop, Route, Rule
from mwan_hook.routing.gateways import IPV6_METRIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_GETLINK = 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_GETNEXTHOP = 104, 105, 106
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLM_F_DUMP, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x300, 0x100, 0x200, 0x400, 0x800

RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = 1, 2, 4, 5, 6, 7, 8, 9
RTA_CACHEINFO, RTA_TABLE, RTA_VIA, RTA_PREF, RTA_NH_ID = 12, 15, 18, 20, 30
RTNH_F_DEAD, RTNH_F_ONLINK, RTNH_F_LINKDOWN = 1, 4, 16
RTAX_MTU = 2
RT_TABLE_COMPAT = 252
UNICAST = 1
KINDS = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
    9: "throw",
}
NULL_KINDS = frozenset(("blackhole", "unreachable", "prohibit", "throw"))

_ATTRIBUTE = Struct("=HH")
_HOP = Struct("=HBBi")
FAMILY_OF_AF = {2: Family.IPV4, 10: Family.IPV6}

_IFF_UP, _IFF_POINTOPOINT, _IFF_NOARP, _IFF_LOWER_UP = 1, 0x10, 0x80, 0x10000
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_PROP_LIST, _IFLA_ALT_IFNAME = 1, 3, 4, 52, 53
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x20, 0x40
_IFA_F_TEMPORARY, _IFA_F_NOPREFIXROUTE = 0x01, 0x200  # the first of IPv6; IPv4 calls it secondary
_SCOPE_LINK = 253
_OF_A_LINK = ("169.254.", *LINK_LOCAL)
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK = 1, 2, 3, 4, 6, 10
FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_PROTOCOL = 14, 15, 16, 17, 21
FRA_UID_RANGE, FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 20, 22, 23, 24
FRA_L3MDEV = 19
_FRA_DECODED = {1, 2, 3, 4, 6, 10, 14, 15, 16, 17, 19, 20, 21, 22, 23, 24}
HEADER = 16
LENGTH, SOURCE_LENGTH, PROTOCOL, FLAGS = 1, 2, 5, 8  # places in struct rtmsg
_FRA_DECODED |= {11, 18, 28, 29}  # realm and padding select nothing, the ports' masks are as good as known
FIB_RULE_INVERT = 2
_NO_SUPPRESSION = 0xFFFFFFFF
ACTIONS = {1: LOOKUP, 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}


attributes = frames.attributes


def each_attribute(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Attributes in their order as (type, value)."""
    end = len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            return
        yield kind & frames.TYPE, data[start + 4 : start + length]
        start += length + 3 & ~3


def family_of(message: bytes) -> Family | None:
    """The address family an address, route or rule message speaks of; None is one we do not route."""
    return FAMILY_OF_AF.get(message[16])


def link(message: bytes) -> Link:
    """RTM_NEWLINK."""
    index, flags = unpack_from("=iI", message, 20)
    found = attributes(message, 32)
    others = each_attribute(found.get(_IFLA_PROP_LIST, b""), 0)
    return Link(
        index,
        _name(found.get(_IFLA_IFNAME, b"")),
        bool(flags & _IFF_UP),
        bool(flags & _IFF_LOWER_UP),
        found.get(_IFLA_ADDRESS, b"").hex(":"),
        bool(flags & (_IFF_NOARP | _IFF_POINTOPOINT)),
        tuple(_name(value) for kind, value in others if kind == _IFLA_ALT_IFNAME),
        int.from_bytes(found.get(_IFLA_MTU, b""), byteorder),
    )


def _name(raw: bytes) -> str:
    """Interface names are bytes to the kernel; undecodable ones survive the way back."""
    return raw.rstrip(b"\0").decode("utf-8", "surrogateescape")


def address(message: bytes) -> Address:
    """RTM_NEWADDR.  IFA_LOCAL is ours; IFA_ADDRESS is the peer's on a point-to-point link."""
    family, prefixlen, flags, scope, index = unpack_from("=BBBBI", message, 16)
    found = attributes(message, 24)
    flags = int.from_bytes(found.get(IFA_FLAGS, bytes((flags,))), "little")
    text = inet_ntop(family, found.get(IFA_LOCAL) or found[IFA_ADDRESS])
    tentative = bool(flags & _IFA_F_TENTATIVE) and not flags & _IFA_F_OPTIMISTIC
    local = scope >= _SCOPE_LINK or text.startswith(_OF_A_LINK)
    usable = not (local or tentative or flags & _IFA_F_DADFAILED)
    return Address(
        index,
        FAMILY_OF_AF[family],
        text,
        prefixlen,
        usable,
        tentative,
        bool(flags & _IFA_F_DEPRECATED),
        bool(flags & _IFA_F_TEMPORARY) and family == AF_INET6,
        bool(flags & _IFA_F_NOPREFIXROUTE),
    )


def is_deprecated(message: bytes) -> bool:
    """RTM_NEWADDR of an address that new connections should no longer use."""
    return bool(message[18] & _IFA_F_DEPRECATED)


def route(message: bytes, keep_dead: bool = True) -> Route | None:
    """RTM_NEWROUTE in canonical form; None if ``keep_dead`` is false and no nexthop is alive.

    The kernel calls a nexthop dead when its device is down, or without carrier under ignore_routes_with_linkdown
    (tests/netns/test_kernel_copies.py).
    """
    af, length, sources, tos, table, protocol, scope, kind, flags = unpack_from("=BBBBBBBBI", message, 16)
    found = attributes(message, 28)
    family = FAMILY_OF_AF[af]
    word = KINDS.get(kind, str(kind))
    hops = () if word in NULL_KINDS else tuple(_hops(af, found, flags, keep_dead))
    if not (hops or keep_dead or word in NULL_KINDS or RTA_NH_ID in found):
        return None
    metrics = attributes(found.get(RTA_METRICS, b""), 0)
    return Route(
        family,
        _u32(found.get(RTA_TABLE, bytes((table,)))),
        f"{inet_ntop(af, found[RTA_DST])}/{length}" if length else DEFAULT,
        _u32(found.get(RTA_PRIORITY, b"")) or (IPV6_METRIC if family is Family.IPV6 else 0),
        hops if len(hops) != 1 else (hops[0]._replace(weight=1),),
        word,
        inet_ntop(af, found[RTA_PREFSRC]) if RTA_PREFSRC in found else None,
        _u32(metrics.get(RTAX_MTU, b"")),
        scope,
        tos,
        protocol,
        f"{inet_ntop(af, found[RTA_SRC])}/{sources}" if sources else None,
        _u32(found.get(RTA_NH_ID, b"")),
    )


def _u32(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _hops(af: int, found: dict[int, bytes], flags: int, keep_dead: bool) -> Iterator[Nexthop]:
    if RTA_MULTIPATH not in found:
        if (keep_dead or not flags & RTNH_F_DEAD) and (RTA_OIF in found or RTA_GATEWAY in found):
            yield _nexthop(af, found, _u32(found.get(RTA_OIF, b"")), 1, flags)
        return
    for leg_flags, weight, index, rest in legs(found[RTA_MULTIPATH]):
        if keep_dead or not leg_flags & RTNH_F_DEAD:
            yield _nexthop(af, attributes(rest, 0), index, weight, leg_flags)


def legs(multipath: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The nexthops of RTA_MULTIPATH as (flags, weight, interface index, attributes)."""
    start = 0
    while start + 8 <= len(multipath):
        length, flags, hops, index = _HOP.unpack_from(multipath, start)
        if length < 8:
            return
        yield flags, hops + 1, index, multipath[start + 8 : start + length]
        start += length + 3 & ~3


def _nexthop(af: int, found: dict[int, bytes], index: int, weight: int, flags: int) -> Nexthop:
    return Nexthop(index, gateway(af, found), weight, bool(flags & RTNH_F_ONLINK))


def gateway(af: int, found: dict[int, bytes]) -> str | None:
    """The gateway of a route or nexthop; an IPv4 route may have one of IPv6."""
    if RTA_GATEWAY in found:
        return inet_ntop(af, found[RTA_GATEWAY])
    if RTA_VIA in found:
        (other,) = unpack_from("=H", found[RTA_VIA])
        return f"{VIA_IPV6}{inet_ntop(other, found[RTA_VIA][2:])}"
    return None


def rule(message: bytes) -> Rule:
    """RTM_NEWRULE.  A rule that leads to no table (unreachable, goto) has table 0."""
    af, dst_len, src_len = message[16], message[17], message[18]
    found = attributes(message, 28)
    suppress = _u32(found.get(FRA_SUPPRESS_PREFIXLEN, b"\xff\xff\xff\xff"))
    # The kernel leaves a mark of 0 out, and tells its mask alone (tests/netns/test_kernel_messages.py).
    mark = found.get(FRA_FWMARK, b"" if FRA_FWMASK in found else None)
    return Rule(
        FAMILY_OF_AF[af],
        _u32(found.get(FRA_PRIORITY, b"")),
        _u32(found.get(FRA_TABLE, b"")),
        _prefix(af, found[FRA_SRC], src_len) if FRA_SRC in found else None,
        _prefix(af, found[FRA_DST], dst_len) if FRA_DST in found else None,
        _name(found[FRA_IIFNAME]) if FRA_IIFNAME in found else None,
        _name(found[FRA_OIFNAME]) if FRA_OIFNAME in found else None,
        None if mark is None else _u32(mark),
        None if mark is None else _u32(found.get(FRA_FWMASK, b"\xff\xff\xff\xff")),
        None if suppress == _NO_SUPPRESSION else suppress,
        _u32(found.get(FRA_PROTOCOL, b"")),
        found[FRA_IP_PROTO][0] if FRA_IP_PROTO in found else None,
        _range("=HH", found[FRA_SPORT_RANGE]) if FRA_SPORT_RANGE in found else None,
        _range("=HH", found[FRA_DPORT_RANGE]) if FRA_DPORT_RANGE in found else None,
        _range("=II", found[FRA_UID_RANGE]) if FRA_UID_RANGE in found else None,
        ACTIONS.get(message[23], str(message[23])),
        bool(message[24] & FIB_RULE_INVERT),
        found.get(FRA_L3MDEV, b"\0") != b"\0",
        bool(message[19] or found.keys() - _FRA_DECODED),
        _u32(found[FRA_GOTO]) if FRA_GOTO in found else 0,
    )


def _range(layout: str, value: bytes) -> tuple[int, int]:
    first, last = unpack_from(layout, value)
    return first, last


def _prefix(af: int, value: bytes, length: int) -> str:
    text = inet_ntop(af, value)
    return text if length == 8 * len(value) else f"{text}/{length}"
