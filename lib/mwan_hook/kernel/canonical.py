"""Routes as bytes that compare equal when the routes are equal but for their table and protocol.

A canonical route is the message without its netlink header, with table, protocol and what the kernel tells but does
not take back (state of the nexthops, age, counters; tests/netns/test_kernel_copies.py) taken out:

    family dst_len src_len tos  0 0  scope type  onlink 0 0 0  RTA_TABLE = 0  other attributes
"""

from __future__ import annotations

from _struct import Struct

from mwan_hook.kernel import frames, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mwan_hook.model import Route

TABLE = b"\x08\0\x0f\0\0\0\0\0"  # RTA_TABLE = 0
ATTRIBUTES = 12  # where they begin, after struct rtmsg
RTA_ENCAP_TYPE, RTA_ENCAP = 21, 22

_HEADER = Struct("=IHHII")
OF_A_HOP = frozenset((wire.RTA_OIF, wire.RTA_GATEWAY, wire.RTA_VIA, wire.RTA_MULTIPATH, RTA_ENCAP, RTA_ENCAP_TYPE))


def rewrite(body: bytes, oif: int) -> tuple[bool, bytes]:
    """(whether a nexthop is alive, canonical route) of any message without its header, attribute by attribute.

    Of multipath routes only the legs through ``oif`` are taken, if it is given.
    """
    flags = body[8]
    alive, onlink = not flags & wire.RTNH_F_DEAD, flags & wire.RTNH_F_ONLINK
    found = list(wire.each_attribute(body, ATTRIBUTES))
    by_object = wire.RTA_NH_ID in dict(found)
    made = body[:4] + b"\0\0" + body[6:8] + bytes(4) + TABLE
    for kind, value in found:
        if kind in (wire.RTA_TABLE, wire.RTA_CACHEINFO) or (by_object and kind in OF_A_HOP):
            continue  # of a nexthop object the kernel tells the nexthops too, but does not take both
        if kind == wire.RTA_MULTIPATH:
            living, all_legs = _legs(value, oif)
            alive = bool(living)
            ways, onlink = _ways(living or all_legs)
            made += ways
        else:
            made += frames.attribute(kind, value)
    return alive, made[:8] + bytes((0 if by_object else onlink,)) + made[9:]


_Leg = tuple[int, int, int, bytes]


def _legs(multipath: bytes, oif: int) -> tuple[list[_Leg], list[_Leg]]:
    """(living legs, all legs) through ``oif``; a leg that is dead now comes to life in every table at once."""
    chosen = [way for way in wire.legs(multipath) if not oif or way[2] == oif]
    return [way for way in chosen if not way[0] & wire.RTNH_F_DEAD], chosen


def _ways(legs: list[_Leg]) -> tuple[bytes, int]:
    """Attributes for these nexthops, and the route's flags: the kernel keeps a lone one as a plain route."""
    if len(legs) == 1:
        flags, _, index, rest = legs[0]
        of_leg = dict(wire.each_attribute(rest, 0))
        first = [kind for kind in of_leg if kind in (wire.RTA_GATEWAY, wire.RTA_VIA)]
        body = b"".join(frames.attribute(kind, of_leg.pop(kind)) for kind in first)
        body += frames.number(wire.RTA_OIF, index)
        body += b"".join(frames.attribute(kind, value) for kind, value in of_leg.items())
        return body, flags & wire.RTNH_F_ONLINK
    made = sorted(frames.leg(flags & wire.RTNH_F_ONLINK, weight, index, rest) for flags, weight, index, rest in legs)
    return frames.attribute(wire.RTA_MULTIPATH, b"".join(made)), 0


def writer(table: int, protocol: int, flags: int) -> Callable[[bytes], bytes]:
    """What makes RTM_NEWROUTE of a canonical route, into a table and as a program with this protocol number."""
    where = bytes((table if table < 256 else wire.RT_TABLE_COMPAT, protocol))
    number, flags = table.to_bytes(4, "little"), flags | wire.NLM_F_REQUEST

    def message(route: bytes) -> bytes:
        header = _HEADER.pack(16 + len(route), wire.RTM_NEWROUTE, flags, 0, 0)
        return header + route[:4] + where + route[6:16] + number + route[20:]

    return message


def decoded(routes: Iterable[bytes], table: int, protocol: int) -> tuple[Route, ...]:
    """Canonical routes as values."""
    made = map(wire.route, map(writer(table, protocol, 0), routes))
    return tuple([route for route in made if route])  # none is left out for being dead
