"""Dumps over one netlink socket, filtered by the kernel; nothing is imported but ``_socket``.

A dump that other changes ran into (NLM_F_DUMP_INTR) may lack what never went away, so it is asked for again.
"""

from __future__ import annotations

from _struct import Struct

from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.light import partial
from mwan_hook.model import Family, MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self, TypeVar

    T = TypeVar("T")

TRIES = 5
_ROUTE = Struct("=BBBBBBBBI")


class Dumps:
    """A socket of the network namespace it is opened in, and one that hears whether IPv6 routes change meanwhile."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._socket = netlink.connect()
        self._watch = netlink.connect(netlink.RTMGRP_IPV6_ROUTE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the sockets back."""
        self._socket.close()
        self._watch.close()

    def _messages(self, kind: int, body: bytes) -> list[bytes]:
        return self._dump(kind, body, split)

    def _dump(self, kind: int, body: bytes, use: Callable[[Iterable[bytes]], T]) -> T:
        return retry_interrupted(partial(self._dump_once, kind, body, use))

    def _dump_once(self, kind: int, body: bytes, use: Callable[[Iterable[bytes]], T], last: bool) -> T:
        watch = self._watch if kind == wire.RTM_GETROUTE and body[0] == Family.IPV6.af and not last else None
        try:
            return use(self._read(self._socket, kind, body, watch))
        except frames.InterruptedDumpError:
            self._socket.close()  # with what is left of the dump
            self._socket = netlink.connect()
            raise

    def _read(self, sock: socket, kind: int, body: bytes, watch: socket | None = None) -> Iterator[bytes]:
        """The buffers of a dump; everything that a reader knows comes by here."""
        return netlink.dump(sock, kind, body, watch)


def retry_interrupted(ask: Callable[[bool], T]) -> T:
    """Ask until the answer is of one moment; ``ask`` is told when it is for the last time."""
    for attempt in range(TRIES):
        try:
            return ask(attempt == TRIES - 1)
        except frames.InterruptedDumpError:
            pass
    raise MwanError("the kernel's tables change too fast to be read")


def split(buffers: Iterable[bytes]) -> list[bytes]:
    """The messages of buffers.  Raises InterruptedDumpError for a marked one."""
    return [message for buffer in buffers for message in frames.messages(buffer)]


def identity(message: bytes) -> bytes:
    """A route without what differs from dump to dump: the sequence number, and the age."""
    alike = [value for kind, value in wire.each_attribute(message, 28) if kind != wire.RTA_CACHEINFO]
    return message[16:24] + b"".join(alike)


def request(family: Family, table: int, oif: int = 0, protocol: int = 0, kind: int = 0) -> bytes:
    """The body of a dump of routes; what is 0 is not asked for: the kernel leaves out the others."""
    body = _ROUTE.pack(family.af, 0, 0, 0, 0, protocol, 0, kind, 0)
    body += frames.number(wire.RTA_TABLE, table) if table else b""
    return body + (frames.number(wire.RTA_OIF, oif) if oif else b"")
