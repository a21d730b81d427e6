"""Rules, routes and the kernel's answer to one question, with all that a message holds; decoding only, no sockets.

:mod:`wire` decodes what the program itself makes; here is what any program may have made.
"""

from __future__ import annotations

from _socket import inet_ntop
from collections.abc import Iterable, Iterator
from struct import unpack_from

from mwan_hook.addresses import first_bits
from mwan_hook.kernel import wire
from mwan_hook.model import Family, Route
from mwan_hook.trace.values import AnyRule, Device, Leg, RouteEntry, Span

RTA_PREF = 20

_ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
_INVERT, _UNRESOLVED, _IIF_GONE, _OIF_GONE = 2, 4, 8, 16
_DST, _SRC, _IIF, _GOTO, _PRIORITY, _MARK, _TUNNEL = 1, 2, 3, 4, 6, 10, 12
_GROUP, _PREFIXLEN, _TABLE, _MASK, _OIF, _L3MDEV, _UIDS, _PROTOCOL = 13, 14, 15, 16, 17, 19, 20, 21
_IPPROTO, _SPORT, _DPORT, _DSCP, _LABEL, _LABEL_MASK, _SPORT_MASK, _DPORT_MASK, _DSCP_MASK = range(22, 31)
_NONE = 0xFFFFFFFF
_FAMILIES = {2: Family.IPV4, 10: Family.IPV6}

_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_GROUP = 3, 10, 18, 27
_INFO_KIND, _INFO_DATA, _VRF_TABLE = 1, 2, 1

_NHA_ID, _NHA_GROUP, _NHA_OIF, _NHA_GATEWAY = 1, 2, 5, 6
_NUD_FAILED = 0x20
_NDA_DST = 1


def rule(message: bytes) -> AnyRule:
    """RTM_NEWRULE."""
    af, dst_len, src_len, tos = message[16:20]
    flags = int.from_bytes(message[24:28], "little")
    found = wire.attributes(message, 28)
    number = {kind: int.from_bytes(value, "little") for kind, value in found.items()}
    prefixlen, group = number.get(_PREFIXLEN, _NONE), number.get(_GROUP, _NONE)
    return AnyRule(
        _FAMILIES[af],
        number.get(_PRIORITY, 0),
        _ACTIONS.get(message[23], f"action {message[23]}"),
        number.get(_TABLE, message[20]),
        _prefix(af, found.get(_SRC), src_len),
        _prefix(af, found.get(_DST), dst_len),
        _text(found.get(_IIF)),
        _text(found.get(_OIF)),
        bool(flags & _IIF_GONE),
        bool(flags & _OIF_GONE),
        number.get(_MARK, 0),
        number.get(_MASK, _NONE if _MARK in found else 0),
        tos,
        number.get(_DSCP),
        number.get(_DSCP_MASK, 0x3F),
        number.get(_IPPROTO, 0),
        _span("=HH", found.get(_SPORT), number.get(_SPORT_MASK, 0)),
        _span("=HH", found.get(_DPORT), number.get(_DPORT_MASK, 0)),
        _span("=II", found.get(_UIDS), 0),
        int.from_bytes(found.get(_TUNNEL, b""), "big"),
        int.from_bytes(found.get(_LABEL, b""), "big"),
        int.from_bytes(found.get(_LABEL_MASK, b""), "big"),
        bool(number.get(_L3MDEV)),
        bool(flags & _INVERT),
        None if prefixlen == _NONE else prefixlen,
        None if group == _NONE else group,
        number.get(_GOTO, 0),
        bool(flags & _UNRESOLVED),
        number.get(_PROTOCOL, 0),
    )


def _prefix(af: int, value: bytes | None, length: int) -> str | None:
    if value is None or not length:
        return None
    text = inet_ntop(af, value)
    return text if length == 8 * len(value) else f"{text}/{length}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _span(form: str, value: bytes | None, mask: int) -> Span | None:
    """A range; a mask of all bits says no more than the range itself."""
    if value is None:
        return None
    low, high = unpack_from(form, value)
    return Span(low, high, mask if mask != 0xFFFF else 0)


def covering(messages: Iterable[bytes], addresses: Iterable[bytes]) -> Iterator[bytes]:
    """The routes of a table that any of the addresses may take: the rest, maybe a million, is not decoded."""
    known = tuple(addresses)
    for message in messages:
        length = message[17]
        if length:
            network = first_bits(wire.attributes(message, 28)[wire.RTA_DST], length)
            if all(first_bits(address, length) != network for address in known):
                continue
        yield message


def entry(message: bytes) -> RouteEntry:
    """RTM_NEWROUTE: a route of a table, or RTM_GETROUTE's answer with RTM_F_FIB_MATCH."""
    found = wire.attributes(message, 28)
    flags = int.from_bytes(message[24:28], "little")
    preference = found.get(RTA_PREF, b"\0")[0] ^ 2
    nhid = int.from_bytes(found.get(wire.RTA_NH_ID, b""), "little")
    return RouteEntry(_route(message), tuple(_legs(message[16], found, flags)), nhid, preference)


def _route(message: bytes) -> Route:
    route = wire.route(message)
    assert route is not None  # dead ones are kept
    return route


def _legs(af: int, found: dict[int, bytes], flags: int) -> Iterator[Leg]:
    if wire.RTA_MULTIPATH in found:
        for leg_flags, weight, index, rest in wire.legs(found[wire.RTA_MULTIPATH]):
            yield _leg(index, wire.gateway(af, wire.attributes(rest, 0)), weight, leg_flags)
    elif wire.RTA_OIF in found:
        yield _leg(int.from_bytes(found[wire.RTA_OIF], "little"), wire.gateway(af, found), 1, flags)


def _leg(index: int, via: str | None, weight: int, flags: int) -> Leg:
    return Leg(index, via, weight, bool(flags & wire.RTNH_F_DEAD), bool(flags & wire.RTNH_F_LINKDOWN))


def leg(message: bytes) -> Leg:
    """The way of one packet: RTM_GETROUTE's plain answer."""
    found = wire.attributes(message, 28)
    return Leg(int.from_bytes(found.get(wire.RTA_OIF, b""), "little"), wire.gateway(message[16], found))


def source(message: bytes) -> str | None:
    """The source address of that packet, where the kernel chose one."""
    value = wire.attributes(message, 28).get(wire.RTA_PREFSRC)
    return None if value is None else inet_ntop(message[16], value)


def device(message: bytes) -> tuple[int, Device]:
    """RTM_NEWLINK: index and what routing asks; masters that are no VRF are put right by :func:`with_vrfs`."""
    index, flags = unpack_from("=iI", message, 20)
    found = wire.attributes(message, 32)
    info = wire.attributes(found.get(_IFLA_LINKINFO, b""), 0)
    vrf = 0
    if info.get(_INFO_KIND, b"").rstrip(b"\0") == b"vrf":
        data = wire.attributes(info.get(_INFO_DATA, b""), 0)
        vrf = int.from_bytes(data.get(_VRF_TABLE, b""), "little")
    master = index if vrf else int.from_bytes(found.get(_IFLA_MASTER, b""), "little")
    group = int.from_bytes(found.get(_IFLA_GROUP, b""), "little")
    return index, Device(_text(found.get(_IFLA_IFNAME)) or str(index), bool(flags & 1), group, master, vrf)


def with_vrfs(devices: dict[int, Device]) -> dict[int, Device]:
    """A bridge or bond as master is none of a VRF's."""
    vrfs = {index: one.vrf for index, one in devices.items() if one.vrf}
    return {
        index: one._replace(master=one.master if one.master in vrfs else 0, vrf=vrfs.get(one.master, 0))
        for index, one in devices.items()
    }


def silent(message: bytes) -> tuple[int, str] | None:
    """RTM_NEWNEIGH of a neighbour that did not answer."""
    index, state = unpack_from("=iH", message, 20)
    address = wire.attributes(message, 28).get(_NDA_DST)
    return (index, inet_ntop(message[16], address)) if state & _NUD_FAILED and address else None


class Objects:
    """Nexthop objects, for routes that the kernel shows by number alone (``nexthop_compat_mode=0``)."""

    def __init__(self, messages: Iterable[bytes], ignores_linkdown: frozenset[int]) -> None:
        self._legs: dict[int, Leg] = {}
        self._groups: dict[int, list[tuple[int, int]]] = {}
        for message in messages:
            found = wire.attributes(message, 24)
            number = int.from_bytes(found[_NHA_ID], "little")
            if _NHA_GROUP in found:
                members = found[_NHA_GROUP]
                self._groups[number] = [unpack_from("=IH", members, at) for at in range(0, len(members), 8)]
            else:
                self._legs[number] = self._one(message, found, ignores_linkdown)

    @staticmethod
    def _one(message: bytes, found: dict[int, bytes], ignores_linkdown: frozenset[int]) -> Leg:
        index = int.from_bytes(found.get(_NHA_OIF, b""), "little")
        flags = int.from_bytes(message[20:24], "little")
        via = inet_ntop(message[16], found[_NHA_GATEWAY]) if _NHA_GATEWAY in found else None
        one = _leg(index, via, 1, flags)
        return one._replace(dead=one.dead or (one.linkdown and index in ignores_linkdown))

    def resolved(self, one: RouteEntry) -> RouteEntry:
        """The route with its nexthops."""
        members = self._groups.get(one.nhid, [(one.nhid, 0)])
        legs = [self._legs[number]._replace(weight=weight + 1) for number, weight in members if number in self._legs]
        return one._replace(legs=tuple(legs))
