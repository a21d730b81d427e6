"""What a run in peace compares: replies of the kernel, files and settings, with what an earlier run has noted.

Of :mod:`mwan_hook.run.quiet`, which see.
"""

from __future__ import annotations

import posix
from _struct import Struct

from mwan_hook.kernel import frames, netlink
from mwan_hook.probes import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from typing import Any

LARGEST = 1 << 19  # bytes of what the kernel replied: what takes longer to compare is for the whole program

_LINK, _ADDRESS, _ROUTE, _RULE = 16, 20, 24, 32  # RTM_NEW*
_LINK_READ = frozenset((1, 3, 4, 16, 52))  # IFLA_ADDRESS, IFNAME, MTU, OPERSTATE, PROP_LIST
_CACHEINFO = {_ADDRESS: 6, _ROUTE: 12}  # IFA_CACHEINFO, RTA_CACHEINFO: ages and lifetimes
_BODY = {_LINK: 32, _ADDRESS: 24, _ROUTE: 28}  # where attributes begin
_ATTRIBUTE = Struct("=HH")


class Doubt(Exception):  # noqa: N818 - no error: the whole program knows more
    """A reason for the whole program.  ``stands``: what is remembered may hold, for a later run."""

    def __init__(self, stands: bool = False) -> None:
        self.stands = stands


def compare_files(memo: dict[str, Any]) -> None:
    """Raise Doubt unless every file is what it was, and every setting of the kernel has its value."""
    for path, known in memo["files"].items():
        if stamp(path) != known:
            raise Doubt
    for path, value in memo["values"].items():
        if value_of(path) != value:
            raise Doubt


def stamp(path: str) -> list[int] | None:
    """What changes when a file or directory does; None when it is not there (or not for us to see)."""
    try:
        found = posix.stat(path)
    except OSError:
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def value_of(path: str) -> str | None:
    """What a setting of the kernel says, "" for a directory; None where there is no such thing."""
    try:
        return content(path).decode("ascii")
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        return ""


def compare_kernel(dumps: list[list[Any]], replies: bytes, known_same: Container[int]) -> None:
    """Raise Doubt unless the kernel replies what it replied then; kinds ``known_same`` are not asked for."""
    sock, start = netlink.connect(), 0
    for kind, body, length, whole in dumps:
        known = replies[start : start + length]
        if kind in known_same:
            pass
        elif whole:
            _compare(plainly(netlink.dump(sock, kind, bytes.fromhex(body))), known)
        else:
            _compare(_beginning(kind, bytes.fromhex(body), length), known)
        start += length


def compare_generic(name: str, dumps: list[int], asked: list[int], known: str) -> None:
    """The same for a family of generic netlink, which announces no change."""
    from mwan_hook.kernel import generic

    if generic.replies(name, dumps, asked).hex() != known:
        raise Doubt


def _compare(found: bytes, known: bytes) -> None:
    if found != known and still(found) != still(known):
        raise Doubt


def _beginning(kind: int, body: bytes, length: int) -> bytes:
    """The part of a reply that was read then: its socket goes with the rest."""
    sock, found = netlink.connect(), b""
    for buffer in netlink.dump(sock, kind, body):
        found += plainly((buffer,))
        if len(found) >= length:
            break
    sock.close()
    return found[:length]


def plainly(buffers: Iterable[bytes]) -> bytes:
    """The messages of a reply without what each has of its request: sequence number and port."""
    return b"".join([buffer.replace(buffer[8:16], bytes(8)) for buffer in buffers])


def still(reply: bytes) -> list[bytes]:
    """Messages without what changes by itself.  Raises InterruptedDumpError."""
    return [lasting(message) for message in frames.messages(reply)]


def lasting(message: bytes) -> bytes:
    """A message without its header's numbers, and without what changes by itself: lifetimes, ages, timers of bridges.

    Of a link only what the program reads.
    """
    kind, family = message[4], message[16]
    if kind == _LINK:
        return message[16:32] + b"".join(part for one, part in _parts(message, 32) if one in _LINK_READ)
    if kind == _ADDRESS or (kind == _ROUTE and family == plain.AF_INET6):
        without, start = _CACHEINFO[kind], _BODY[kind]
        return message[16:start] + b"".join([part for one, part in _parts(message, start) if one != without])
    if kind in (_ROUTE, _RULE):
        return message[16:]
    raise Doubt


def _parts(message: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Attributes as (type, all of it)."""
    end = len(message)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(message, start)
        if length < 4:
            raise Doubt
        following = start + length + 3 & ~3
        yield kind & 0x3FFF, message[start:following]
        start = following


def under(root: str, path: str) -> str:
    """``path`` (without leading slash) below ``--root``."""
    return f"{root.rstrip('/')}/{path}"


def content(path: str) -> bytes:
    """The bytes of a file that ends, and is no link."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        parts = []
        while part := posix.read(descriptor, LARGEST):
            parts.append(part)
        return b"".join(parts)
    finally:
        posix.close(descriptor)
