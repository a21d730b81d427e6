"""Buffers of netlink messages: where each begins, where a dump ends; and what messages are made of.  Pure, and quick.

A dump's buffer mostly holds messages of one length.  Such a buffer is handled by columns (slices with the length as
step), which run at the speed of C.
"""

from __future__ import annotations

from _struct import Struct, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NLMSG_DONE = 3
NLM_F_REQUEST, NLM_F_DUMP_INTR = 0x1, 0x10
TYPE = 0x3FFF  # of an attribute, without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_HEADER, _ATTRIBUTE, _HOP = Struct("=IHHII"), Struct("=HH"), Struct("=HBBi")
_DONE = b"\x14\0\0\0\x03\0"  # its length and type, where the kernel adds no words


class InterruptedDumpError(Exception):
    """The kernel says that a dump is not of one moment."""


def stride(buffer: bytes | bytearray) -> int:
    """The padded length of every message if it is the same; 0 if it is not."""
    length = buffer[0] | buffer[1] << 8 if len(buffer) > 1 else 0
    if length < 16 or length & 3 or len(buffer) % length:
        return 0
    count = len(buffer) // length
    same = buffer[0::length].count(length & 0xFF) == count and buffer[1::length].count(length >> 8) == count
    return length if same and buffer[2::length].count(0) == count == buffer[3::length].count(0) else 0


def split(buffer: bytes) -> list[bytes]:
    """The messages of a buffer, the padding after them left out."""
    return _cut(buffer, stride(buffer))


def messages(buffer: bytes) -> list[bytes]:
    """The messages of a buffer; InterruptedDumpError if any of them says that the dump is not of one moment."""
    step = stride(buffer)
    found = _cut(buffer, step)
    calm(buffer[6::step] if step else [message[6] for message in found])
    return found


def _cut(buffer: bytes, step: int) -> list[bytes]:
    if step:
        return [buffer[start : start + step] for start in range(0, len(buffer), step)]
    return [buffer[start:end] for start, end in _bounds(buffer)]


def _bounds(buffer: bytes) -> Iterator[tuple[int, int]]:
    start, size = 0, len(buffer)
    while start + 16 <= size:
        length = buffer[start] | buffer[start + 1] << 8 | buffer[start + 2] << 16
        if length < 16:
            return
        yield start, start + length
        start += length + 3 & ~3


def checked(buffer: bytes) -> bytes:
    """The buffer; InterruptedDumpError if any of its messages says that the dump is not of one moment."""
    step = stride(buffer)
    calm(buffer[6::step] if step else [buffer[start + 6] for start, _ in _bounds(buffer)])
    return buffer


def calm(flags: Iterable[int]) -> None:
    """InterruptedDumpError if one of these, the low bytes of messages' flags, says that a dump is not of one moment."""
    if any(flag & NLM_F_DUMP_INTR for flag in {*flags}):
        raise InterruptedDumpError


def done(buffer: bytes) -> int:
    """Where NLMSG_DONE or NLMSG_ERROR begins, as far as the first and the last 20 bytes tell; -1 if not at all."""
    if buffer[4] <= NLMSG_DONE and not buffer[5]:
        return 0
    # The same sequence number and port as in the first message: no route's bytes look like that.
    if buffer[-20:-14] == _DONE and buffer[-12:-4] == buffer[8:16]:
        return len(buffer) - 20
    return -1


def done_with_words(buffer: bytes) -> int:
    """The same for an NLMSG_DONE that carries the kernel's words."""
    for start, _ in _bounds(buffer):
        if buffer[start + 4] <= NLMSG_DONE and not buffer[start + 5]:
            return start
    return -1


def request(kind: int, flags: int, body: bytes) -> bytes:
    """A message to send; ``body`` is what follows the netlink header."""
    return _HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST, 1, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) & 3)


def attributes(data: bytes, start: int) -> dict[int, bytes]:
    """Attributes from offset ``start`` to the end, by type; of equal ones the last counts."""
    found: dict[int, bytes] = {}
    end = len(data)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            break
        found[kind & TYPE] = data[start + 4 : start + length]
        start += length + 3 & ~3
    return found


def number(kind: int, value: int) -> bytes:
    """A 32-bit attribute."""
    return attribute(kind, pack("=I", value))


def leg(flags: int, weight: int, index: int, rest: bytes) -> bytes:
    """One nexthop for RTA_MULTIPATH; ``rest`` is its attributes."""
    return _HOP.pack(8 + len(rest), flags, weight - 1, index) + rest
