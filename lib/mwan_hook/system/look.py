"""Reading the kernel over one netlink socket: dumps that the kernel filters, nothing imported but ``_socket``.

A dump that other changes ran into (NLM_F_DUMP_INTR) may lack what never went away, so it is asked for again.
"""

from __future__ import annotations

import os
from _socket import AF_NETLINK, MSG_DONTWAIT, SO_RCVBUF, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET, socket
from errno import EAFNOSUPPORT, ENODEV, ENOENT, EOPNOTSUPP
from struct import Struct, unpack_from

from mwan_hook.model import FAMILIES, MAIN_TABLE, PROTOCOL, Address, Family, Link, MwanError, Route, Rule
from mwan_hook.system import build, frames, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12
TRIES = 5
RECEIVE = 65536  # the kernel never makes a dump's buffer larger than 32 KiB
FEW = 2  # buffers of a dump that are read before asking otherwise
LOOPBACK = 1

_EXT_MASK = build.number(29, 1 << 3)  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
_ROUTE = Struct("=BBBBBBBBI")
_NLMSGERR_ATTR_MSG = 1
_ABSENT = (ENOENT, ENODEV, EAFNOSUPPORT, EOPNOTSUPP)


class _InterruptedDumpError(Exception):
    """The kernel says that the dump is not of one moment."""


def open_netlink() -> socket:
    """A route netlink socket that checks requests strictly and explains its refusals."""
    sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)
    for option in (NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, NETLINK_CAP_ACK):
        sock.setsockopt(SOL_NETLINK, option, 1)
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 1 << 20)
    sock.bind((0, 0))
    return sock


def refusal(message: bytes) -> tuple[int, str]:
    """(errno, the kernel's own words) of an NLMSG_ERROR with NETLINK_CAP_ACK, or an NLMSG_DONE."""
    code: int = unpack_from("=i", message, 16)[0]
    start = 36 if message[4] == wire.NLMSG_ERROR else 20
    words = wire.attributes(message, start).get(_NLMSGERR_ATTR_MSG, b"")
    return -code, words.rstrip(b"\0").decode(errors="replace")


class Reader:
    """Looks at links, addresses, routes and rules of the network namespace it is opened in.

    ``protocol`` is what marks an object as ours.  Every method raises MwanError where the kernel refuses; a family
    that this kernel lacks has no objects.
    """

    def __init__(self, protocol: int = PROTOCOL) -> None:
        self.protocol = protocol
        self._socket = open_netlink()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def families(self) -> tuple[Family, ...]:
        """The families that this kernel knows (``ipv6.disable=1``, or a kernel built without it)."""
        return tuple(family for family in FAMILIES if os.path.isdir(f"/proc/sys/net/{family.value}/conf"))

    def links(self) -> tuple[Link, ...]:
        """Every network device, the loopback too."""
        return tuple(map(wire.link, self._messages(wire.RTM_GETLINK, bytes(16) + _EXT_MASK)))

    def addresses(self) -> tuple[Address, ...]:
        """Addresses of both families; per family, deprecated ones come last."""
        found = [message for message in self._messages(wire.RTM_GETADDR, bytes(8)) if wire.family_of(message)]
        return tuple(map(wire.address, sorted(found, key=wire.is_deprecated)))

    def rules(self, family: Family) -> tuple[Rule, ...]:
        """Ours.  The kernel filters no rules, so foreign ones are passed over before they are decoded."""
        mark = build.attribute(wire.FRA_PROTOCOL, bytes((self.protocol,)))
        body = bytes((family.af,)) + bytes(11)
        found = [wire.rule(message) for message in self._messages(wire.RTM_GETRULE, body) if mark in message]
        return tuple(rule for rule in found if rule.protocol == self.protocol)

    def table(self, family: Family, table: int, oif: int = 0, protocol: int = 0) -> tuple[Route, ...]:
        """All routes of a table, of any program unless ``protocol`` says whose, as far as they use ``oif``."""
        return _decode(self.raw_routes(family, table, oif=oif, protocol=protocol))

    def ours(self, family: Family, table: int) -> tuple[Route, ...]:
        """Our routes of one table, those included whose device is down."""
        return self.table(family, table, protocol=self.protocol)

    def ours_anywhere(self, family: Family) -> tuple[Route, ...]:
        """Our routes of every table."""
        return self.table(family, 0, protocol=self.protocol)

    def defaults_of_main(self, family: Family, links: Iterable[Link] = ()) -> tuple[Route, ...]:
        """Every live default of main, ours and foreign, without reading the rest of a large table.

        IPv4: the dump begins with the defaults.  IPv6: it ends with them, so a table that is not small is asked
        through each of ``links`` (all devices if none is named), which the kernel filters without copying.
        """
        for _ in range(TRIES):
            try:
                found = self._first_defaults() if family is Family.IPV4 else self._defaults6(links)
            except _InterruptedDumpError:
                continue
            return tuple(route for route in (wire.route(raw, keep_dead=False) for raw in found) if route)
        raise MwanError("the routing table changes too fast to be read")

    def raw_routes(self, family: Family, table: int, oif: int = 0, protocol: int = 0, kind: int = 0) -> list[bytes]:
        """Buffers of route messages as the kernel sent them, NLMSG_DONE not included; filters of 0 let all pass."""
        return self.dump(wire.RTM_GETROUTE, _route_request(family, table, oif, protocol, kind))

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Buffers of whole messages; empty for a table or family that does not exist."""
        for _ in range(TRIES):
            try:
                return list(self._buffers(self._socket, kind, body))
            except _InterruptedDumpError:
                pass
        raise MwanError("the kernel's tables change too fast to be read")

    def _messages(self, kind: int, body: bytes) -> Iterator[bytes]:
        for buffer in self.dump(kind, body):
            yield from frames.split(buffer)

    def _buffers(self, sock: socket, kind: int, body: bytes) -> Iterator[bytes]:
        """One dump, to its end; an interrupted one too, so that the socket can be used again."""
        sock.send(build.request(kind, wire.NLM_F_DUMP, body))
        interrupted, last, buffer = False, -1, b""
        while last < 0:
            try:
                # The kernel fills the next buffer while it hands this one out, so there is never a wait.
                following = sock.recv(RECEIVE, MSG_DONTWAIT)
            except BlockingIOError:
                last = frames.done_with_words(buffer)
                if last < 0:
                    raise MwanError("the kernel broke off a dump") from None
                break
            if buffer:
                yield buffer
            buffer, last = following, frames.done(following)
            interrupted = interrupted or frames.interrupted(buffer)
        if interrupted:
            raise _InterruptedDumpError
        _check(buffer[last:])
        if last:
            yield buffer[:last]

    def _first_defaults(self) -> list[bytes]:
        """The leaf of key 0.0.0.0 comes first, its longest prefix first: stop at the first other key."""
        found: list[bytes] = []
        sock = open_netlink()
        try:
            for buffer in self._buffers(sock, wire.RTM_GETROUTE, _route_request(Family.IPV4, MAIN_TABLE)):
                if frames.interrupted(buffer):
                    raise _InterruptedDumpError
                for message in frames.split(buffer):
                    if not message[17]:
                        found.append(message)
                    elif wire.attributes(message, 28).get(wire.RTA_DST) != bytes(4):
                        return found
        finally:
            sock.close()  # with what is left of the dump
        return found

    def _defaults6(self, links: Iterable[Link]) -> list[bytes]:
        buffers: list[bytes] = []
        sock = open_netlink()
        try:
            for buffer in self._buffers(sock, wire.RTM_GETROUTE, _route_request(Family.IPV6, MAIN_TABLE)):
                buffers.append(buffer)
                if len(buffers) > FEW:
                    return self._defaults6_by_link(links)
        finally:
            sock.close()
        return [message for buffer in buffers for message in frames.split(buffer) if not message[17]]

    def _defaults6_by_link(self, links: Iterable[Link]) -> list[bytes]:
        """The loopback carries the null routes.  A multipath route shows under each of its devices."""
        found: dict[bytes, None] = {}
        for index in dict.fromkeys((LOOPBACK, *(link.index for link in (links or self.links())))):
            for buffer in self.raw_routes(Family.IPV6, MAIN_TABLE, oif=index):
                found.update((message, None) for message in frames.split(buffer) if not message[17])
        return list(found)


def _decode(buffers: Iterable[bytes]) -> tuple[Route, ...]:
    found = (wire.route(message) for buffer in buffers for message in frames.split(buffer))
    return tuple(route for route in found if route)


def _route_request(family: Family, table: int, oif: int = 0, protocol: int = 0, kind: int = 0) -> bytes:
    body = _ROUTE.pack(family.af, 0, 0, 0, 0, protocol, 0, kind, 0)
    body += build.number(wire.RTA_TABLE, table) if table else b""
    return body + (build.number(wire.RTA_OIF, oif) if oif else b"")


def _check(message: bytes) -> None:
    """Raise for a refusal; a table, family or device that is not there has nothing to show."""
    code, words = refusal(message)
    if code > 0 and code not in _ABSENT:
        raise MwanError(f"reading from the kernel: {words or os.strerror(code)}")
