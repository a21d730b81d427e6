"""Large buffers of a dump to canonical routes, at the speed of C.

A dump has few shapes: the same attributes of the same lengths.  A buffer whose messages all have one shape is handled
by columns (slices with the length as step).  A mixed one is first cut at the part of the netlink header that all of
its messages share, and the pieces of one length are handled as such a buffer each.  Imported only for such buffers.
"""

from __future__ import annotations

from _struct import Struct

from mwan_hook.kernel import canonical, frames, wire
from mwan_hook.kernel.wire import FLAGS, HEADER, LENGTH, PROTOCOL, SOURCE_LENGTH
from mwan_hook.light import NamedTuple, defaultdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.kernel.copies import Sorter

# A piece is a message without its first twelve bytes, with the length of the next message behind it.
_PIECE, _TAIL = 4, 4
_CLEARED = (4, PROTOCOL, 9, 10, 11, 16, 17, 18, 19)  # and the table, flags that are not the nexthop's, RTA_TABLE
_ODD = frozenset((wire.RTA_MULTIPATH, wire.RTA_NH_ID))  # take more than cutting
_ONLINK_ALONE = bytes(flags & wire.RTNH_F_ONLINK for flags in range(256))
_NEAR = 16  # bytes that are sooner moved by columns than one by one
_LIVING = bytes(flags for flags in range(256) if not flags & wire.RTNH_F_DEAD)


class _Shape(NamedTuple):
    """Where things are in an item: a message, or a piece of one."""

    size: int
    body: int  # where struct rtmsg begins
    heads: Callable[[bytes], tuple[bytes, ...]]  # the port number and the attributes' headers
    expected: tuple[bytes, ...]
    places: tuple[int, ...]  # where these are
    cut: int  # where RTA_CACHEINFO begins and ends, or the route ends
    resume: int
    end: int
    odd: bool  # needs a look at its attributes one by one


class _TornError(Exception):
    """A piece is not one whole message."""


class Columns:
    """Hands a sorter's buffers on to it; keeps the shapes of one dump."""

    def __init__(self, sorter: Sorter) -> None:
        self._sorter = sorter
        self._shapes: dict[tuple[int, int], list[_Shape]] = {}

    def buffer(self, buffer: bytes) -> None:
        """Whole messages; InterruptedDumpError if one says that the dump is not of one moment."""
        step = frames.stride(buffer)
        if step:
            self.items(frames.checked(buffer), step, HEADER, 0)
            return
        found = self._sorter.found
        before = [len(routes) for routes in found]
        try:
            self.pieces(buffer, buffer[4:12])
        except _TornError:
            for routes, count in zip(found, before, strict=True):
                del routes[count:]
            for message in frames.messages(buffer):  # a header that differs is often one that says so
                self.items(message, len(message), HEADER, 0)

    def pieces(self, buffer: bytes, mark: bytes) -> None:
        """A mixed buffer.

        The mark (type, flags and sequence number) ends with a random number, so it is nowhere else; if it were, the
        attributes would not fill the pieces.
        """
        _, *pieces = buffer.split(mark)
        pieces[-1] += bytes(_TAIL)
        groups: dict[int, list[bytes]] = defaultdict(list)
        for piece in pieces:
            groups[len(piece)].append(piece)
        for size, same in groups.items():
            self.items(b"".join(same), size, _PIECE, _TAIL)

    def items(self, data: bytes, size: int, body: int, tail: int) -> None:
        """Messages, or pieces of them, all of one size."""
        while data:
            shape = self._shape(data[:size], body, tail)
            if _is_uniform(data, shape):
                self._same_shape(data, shape)
                return
            fitting: list[bytes] = []
            others: list[bytes] = []
            for start in range(0, len(data), size):
                item = data[start : start + size]
                (fitting if shape.heads(item) == shape.expected else others).append(item)
            self._same_shape(b"".join(fitting), shape)
            data = b"".join(others)

    def _shape(self, item: bytes, body: int, tail: int) -> _Shape:
        known = self._shapes.setdefault((len(item), body), [])
        for shape in known:
            if shape.heads(item) == shape.expected:
                return shape
        known.append(_measure(item, body, tail))
        return known[-1]

    def _same_shape(self, data: bytes, shape: _Shape) -> None:
        size, body = shape.size, shape.body
        ours = data[body + PROTOCOL :: size].count(self._sorter.protocol)
        lengths = data[body + LENGTH :: size]
        left_out = not self._sorter.all_kinds and (
            len(lengths.translate(None, self._sorter.wide)) < len(lengths) or any(data[body + SOURCE_LENGTH :: size])
        )
        dying = data[body + FLAGS :: size].translate(None, _LIVING)
        if ours == len(data) // size and not (shape.odd or dying):
            self._sorter.found.ours.extend(_cut(data, shape))
        elif not (ours or left_out or shape.odd or dying):
            self._sorter.found.others.extend(_cut(data, shape))
        else:
            for start in range(0, len(data), size):
                self._sorter.one(data[start + body : start + shape.end])


def _measure(item: bytes, body: int, tail: int) -> _Shape:
    """The shape of one item; its attributes must fill it."""
    at = body + canonical.ATTRIBUTES
    end = cut = resume = len(item) - tail
    places, layout, odd = [body - 4], f"={body - 4}x4s{at - body}x", False
    for kind, value in wire.each_attribute(item[:end], at):
        padded = len(value) + 3 & ~3
        if kind == 0:
            raise _TornError
        odd = odd or kind in _ODD or (kind == wire.RTA_TABLE) != (len(places) == 1)
        if kind == wire.RTA_CACHEINFO:
            cut, resume = at, at + 4 + padded
        places.append(at)
        layout += f"4s{padded}x"
        at += 4 + padded
    if at != end:
        raise _TornError
    heads = Struct(f"{layout}{tail}x").unpack
    return _Shape(len(item), body, heads, heads(item), tuple(places), cut, resume, end, odd)


def _is_uniform(data: bytes, shape: _Shape) -> bool:
    """Whether all items have the port number and the attributes' headers of the shape.

    In items of less than 256 bytes the low bytes of lengths and types tell.
    """
    size = shape.size
    count = len(data) // size
    telling = (0, 2) if size < 256 else (0, 1, 2, 3)
    for place, head in zip(shape.places, shape.expected, strict=True):
        for byte in telling:
            if data[place + byte :: size].count(head[byte]) != count:
                return False
    return True


def _cut(data: bytes, shape: _Shape) -> list[bytes]:
    """Canonical routes from items of one shape."""
    size, body = shape.size, shape.body
    patched = bytearray(data)
    zeros = bytes(len(data) // size)
    for place in _CLEARED:
        patched[body + place :: size] = zeros
    patched[body + FLAGS :: size] = data[body + FLAGS :: size].translate(_ONLINK_ALONE)
    cut, resume, end = shape.cut, shape.resume, shape.end
    if end - resume <= _NEAR:  # what follows the age is drawn over it, so that each route is one slice
        for place in range(resume, end):
            patched[place - resume + cut :: size] = data[place::size]
        cut, resume = cut + end - resume, end
    clean = bytes(patched)
    starts = range(body, len(clean), size)
    cut, resume, end = cut - body, resume - body, end - body
    if resume == end:
        return [clean[start : start + cut] for start in starts]
    return [clean[start : start + cut] + clean[start + resume : start + end] for start in starts]
