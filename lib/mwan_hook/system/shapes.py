"""Routes as bytes that compare equal when the routes are equal, whatever table and protocol they are in.

A canonical route is the message without its netlink header, with table, protocol and what the kernel tells but does
not take back (state of the nexthops, age, counters) taken out:

    family dst_len src_len tos  0 0  scope type  onlink 0 0 0  RTA_TABLE = 0  other attributes

Most messages of a dump have the same attributes of the same lengths.  So a message is looked at once for its shape,
and the others of that shape are cut by offsets; where a whole buffer has one shape, by columns.
"""

from __future__ import annotations

from struct import Struct, unpack_from

from mwan_hook.light import NamedTuple
from mwan_hook.system import build, frames, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TABLE = b"\x08\0\x0f\0\0\0\0\0"  # RTA_TABLE = 0
ATTRIBUTES = 12  # where they begin in a canonical route
RTA_ENCAP_TYPE, RTA_ENCAP, RTA_FLOW = 21, 22, 11

_FIRST = 28  # where attributes begin in a message
_ODD = frozenset((wire.RTA_MULTIPATH, wire.RTA_NH_ID))  # take more than cutting
_OF_A_HOP = frozenset((wire.RTA_OIF, wire.RTA_GATEWAY, wire.RTA_VIA, wire.RTA_MULTIPATH, RTA_ENCAP, RTA_ENCAP_TYPE))
_STEADY = bytes((0, wire.RTNH_F_ONLINK))  # flags of a nexthop that need no second look


class Found(NamedTuple):
    """The routes of a dump, canonical, in the kernel's order."""

    ours: list[bytes]
    others: list[bytes]  # of other programs
    dead: list[bytes]  # of other programs, with no nexthop that is alive


class _Shape(NamedTuple):
    heads: Callable[[bytes], tuple[bytes, ...]]  # the attributes' headers of a message
    expected: tuple[bytes, ...]
    places: tuple[int, ...]  # where these headers are
    cut: int  # where RTA_CACHEINFO begins and ends, or the message ends
    resume: int


def collect(buffers: Iterable[bytes], protocol: int, oif: int = 0, defaults: bool = True) -> Found:
    """Sort the routes of a dump.

    Of multipath routes only the legs through ``oif`` are taken, if it is given; of other programs' default routes
    none without ``defaults``.
    """
    sorter = _Sorter(protocol, oif, 0 if defaults else 1)
    for buffer in buffers:
        if not sorter.columns(buffer):
            for message in frames.split(buffer):
                sorter.one(message)
    return sorter.found


class _Sorter:
    def __init__(self, protocol: int, oif: int, shortest: int) -> None:
        self.found = Found([], [], [])
        self._shortest = shortest
        self._protocol = protocol
        self._oif = oif
        self._shapes: dict[int, list[_Shape]] = {}

    def columns(self, buffer: bytes) -> bool:
        """Take a buffer whose messages all have one shape; False if they do not."""
        step = frames.stride(buffer)
        if not step:
            return False
        count = len(buffer) // step
        shape = self._shape(buffer[:step])
        ours = buffer[21::step].count(self._protocol)
        if shape is None or ours not in (0, count) or buffer[24::step].translate(None, _STEADY):
            return False
        if not ours and self._shortest and 0 in buffer[17::step]:
            return False
        for place, head in zip(shape.places, shape.expected, strict=True):
            for byte in range(4):
                if buffer[place + byte :: step].count(head[byte]) != count:
                    return False
        patched = bytearray(buffer)
        zeros = bytes(count)
        for place in (20, 21, 25, 26, 27, 32, 33, 34, 35):
            patched[place::step] = zeros
        clean = bytes(patched)
        size, skip = shape.cut, shape.resume
        starts = range(0, len(clean), step)
        if size == step:
            cut = [clean[start + 16 : start + size] for start in starts]
        else:
            cut = [clean[start + 16 : start + size] + clean[start + skip : start + step] for start in starts]
        (self.found.ours if ours else self.found.others).extend(cut)
        return True

    def one(self, message: bytes) -> None:
        """Take one message."""
        if message[17] < self._shortest and message[21] != self._protocol:
            return
        flags = message[24]
        shape = self._shape(message)
        if shape is None or flags & wire.RTNH_F_DEAD:
            self._odd(message)
            return
        start = message[16:20] + b"\0\0" + message[22:24] + bytes((flags & wire.RTNH_F_ONLINK,)) + b"\0\0\0" + TABLE
        whole = start + message[36 : shape.cut] + message[shape.resume :]
        (self.found.ours if message[21] == self._protocol else self.found.others).append(whole)

    def _shape(self, message: bytes) -> _Shape | None:
        """The shape of a message that can be cut; None if it cannot."""
        known = self._shapes.setdefault(len(message), [])
        for shape in known:
            if shape.heads(message) == shape.expected:
                return shape
        made = _measure(message)
        if made is not None:
            known.insert(0, made)
        return made

    def _odd(self, message: bytes) -> None:
        alive, canonical = _rewrite(message, self._oif)
        if message[21] == self._protocol:
            self.found.ours.append(canonical)
        else:
            (self.found.others if alive else self.found.dead).append(canonical)


def _measure(message: bytes) -> _Shape | None:
    places, layout, at = [], "=28x", _FIRST
    cut = resume = len(message)
    for kind, value in wire.each_attribute(message, _FIRST):
        padded = len(value) + 3 & ~3
        if kind in _ODD or (kind == wire.RTA_TABLE) != (at == _FIRST):
            return None
        if kind == wire.RTA_CACHEINFO:
            cut, resume = at, at + 4 + padded
        places.append(at)
        layout += f"4s{padded}x"
        at += 4 + padded
    if at != len(message) or not places:
        return None
    heads = Struct(layout).unpack
    return _Shape(heads, heads(message), tuple(places), cut, resume)


def _rewrite(message: bytes, oif: int) -> tuple[bool, bytes]:
    """(whether a nexthop is alive, canonical route) of any message, attribute by attribute."""
    flags = message[24]
    alive, onlink = not flags & wire.RTNH_F_DEAD, flags & wire.RTNH_F_ONLINK
    found = list(wire.each_attribute(message, _FIRST))
    by_object = any(kind == wire.RTA_NH_ID for kind, _ in found)
    body = b""
    for kind, value in found:
        if kind in (wire.RTA_TABLE, wire.RTA_CACHEINFO) or (by_object and kind in _OF_A_HOP):
            continue  # of a nexthop object the kernel tells the nexthops too, but does not take both
        if kind == wire.RTA_MULTIPATH:
            living, all_legs = _legs(value, oif)
            alive = bool(living)
            made, onlink = _ways(living or all_legs)
            body += made
        else:
            body += build.attribute(kind, value)
    head = message[16:20] + b"\0\0" + message[22:24] + bytes((0 if by_object else onlink, 0, 0, 0))
    return alive, head + TABLE + body


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
        body = b"".join(build.attribute(kind, of_leg.pop(kind)) for kind in first)
        body += build.number(wire.RTA_OIF, index)
        body += b"".join(build.attribute(kind, value) for kind, value in of_leg.items())
        return body, flags & wire.RTNH_F_ONLINK
    made = sorted(build.leg(flags & wire.RTNH_F_ONLINK, weight, index, rest) for flags, weight, index, rest in legs)
    return build.attribute(wire.RTA_MULTIPATH, b"".join(made)), 0


def message(canonical: bytes, table: int, protocol: int, flags: int) -> bytes:
    """A canonical route as RTM_NEWROUTE into a table, as a program with this protocol number."""
    where = bytes((table if table < 256 else wire.RT_TABLE_COMPAT, protocol))
    body = canonical[:4] + where + canonical[6:16] + table.to_bytes(4, "little") + canonical[20:]
    return build.request(wire.RTM_NEWROUTE, flags, body, 0)


def key(canonical: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """What the kernel tells routes of one table apart by: prefix lengths and tos, destination, source, metric."""
    found = wire.attributes(canonical, ATTRIBUTES)
    parts = (found.get(kind, b"") for kind in (wire.RTA_DST, wire.RTA_SRC, wire.RTA_PRIORITY))
    destination, source, metric = parts
    return canonical[:4], destination, source, metric


def length(canonical: bytes) -> int:
    """The destination's prefix length; 0 is the default route."""
    return canonical[1]


def has_gateway(canonical: bytes) -> bool:
    """IPv6: whether the kernel would join it with another such route of its key into one multipath route."""
    found = wire.attributes(canonical, ATTRIBUTES)
    if wire.RTA_MULTIPATH in found:
        return True
    return canonical[7] == wire.UNICAST and wire.RTA_GATEWAY in found


def join(canonicals: list[bytes]) -> bytes:
    """IPv6: the one multipath route that the kernel makes of routes of one key."""
    legs: dict[bytes, None] = {}
    for canonical in canonicals:
        for kind, value in wire.each_attribute(canonical, ATTRIBUTES):
            if kind == wire.RTA_MULTIPATH:
                legs.update((build.leg(*way), None) for way in wire.legs(value))
        legs.update((plain, None) for plain in _plain(canonical))
    first, body = canonicals[0], b""
    for kind, value in wire.each_attribute(first, 20):
        body += b"" if kind in _OF_A_HOP else build.attribute(kind, value)
    ways = build.attribute(wire.RTA_MULTIPATH, b"".join(sorted(legs)))
    pref = build.attribute(wire.RTA_PREF, b"\0")
    at = len(body) - len(pref)  # the kernel names the nexthops before the preference
    return first[:8] + bytes(4) + TABLE + body[:at] + ways + body[at:]


def _plain(canonical: bytes) -> list[bytes]:
    found = wire.attributes(canonical, ATTRIBUTES)
    if wire.RTA_MULTIPATH in found or wire.RTA_OIF not in found:
        return []
    rest = build.attribute(wire.RTA_GATEWAY, found[wire.RTA_GATEWAY])
    index: int = unpack_from("=i", found[wire.RTA_OIF])[0]
    return [build.leg(canonical[8], 1, index, rest)]
