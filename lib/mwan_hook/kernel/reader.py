"""Reading the kernel over one netlink socket: dumps that the kernel filters, nothing imported but ``_socket``.

A dump that other changes ran into (NLM_F_DUMP_INTR) may lack what never went away, so it is asked for again.
"""

from __future__ import annotations

from _socket import inet_ntop
from struct import Struct
from sys import byteorder

from mwan_hook import plainos as os
from mwan_hook.kernel import build, frames, netlink, wire
from mwan_hook.light import partial
from mwan_hook.model import (
    DEFAULT_TABLE,
    FAMILIES,
    LOCAL_TABLE,
    MAIN_TABLE,
    PROTOCOL,
    Address,
    Family,
    Link,
    MwanError,
    Route,
    Rule,
)
from mwan_hook.routing.priorities import CLAIMED, KERNEL_DEFAULT, KERNEL_MAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    from mwan_hook.model import OnLink

    T = TypeVar("T")

TRIES = 5
FEW = 2  # buffers of an IPv6 dump that are read before asking otherwise
LOOPBACK = 1
MOST = 64  # routes of one uplink that may be of tunnels
PIECE = 4  # the longest prefix that is a default in pieces: 0.0.0.0/1, ::/1, 2000::/3, 3000::/4

_EXT_MASK = build.number(29, 1 << 3)  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
_ROUTE = Struct("=BBBBBBBBI")

_NDA_IFINDEX = 8

_DST_LEN, _SRC_LEN, _PROTOCOL, _KIND = 17, 18, 21, 23  # offsets in a message
_RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP, _RTN_UNREACHABLE = 2, 9, 16, 7
_NO_PROGRAM = frozenset((1, _RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP))  # 1: redirects
_FROM_OUTSIDE = frozenset((_RTPROT_RA, _RTPROT_DHCP))

_RULE = Struct("=BBBBBBBI")  # struct fib_rule_hdr without the family


def _kernel_rule(table: int, priority: int) -> bytes:
    """A rule that the kernel makes in every network namespace, without length, sequence number and family."""
    found = build.number(wire.FRA_TABLE, table) + build.number(wire.FRA_SUPPRESS_PREFIXLEN, 0xFFFFFFFF)
    found += build.attribute(wire.FRA_PROTOCOL, bytes((_RTPROT_KERNEL,)))
    found += build.number(wire.FRA_PRIORITY, priority) if priority else b""
    return _RULE.pack(0, 0, 0, table, 0, 0, 1, 0) + found


_LOCAL_RULE = _kernel_rule(LOCAL_TABLE, 0)
_USUAL_RULES = (_kernel_rule(MAIN_TABLE, KERNEL_MAIN), _kernel_rule(DEFAULT_TABLE, KERNEL_DEFAULT))


class Reader:
    """A look at links, addresses, routes and rules of the network namespace it is opened in.

    ``protocol`` is what marks an object as ours.  Every method raises MwanError where the kernel refuses; a family
    that this kernel lacks has no objects.
    """

    def __init__(self, protocol: int = PROTOCOL) -> None:
        self.protocol = protocol
        self._socket = netlink.connect()
        self._watch = netlink.connect(netlink.RTMGRP_IPV6_ROUTE)
        self._through: dict[int, list[bytes]] = {}  # main's IPv6 routes by device, where that took a search
        self._read6: list[bytes] = []  # of main's IPv6 routes what was read on the way to its defaults
        self._all6 = False
        self._pieces: dict[Family, list[bytes]] = {}  # of main's defaults, that the search for those has met
        self._brought: dict[Family, list[bytes]] = {}  # main's routes of leases and advertisements, without defaults

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
        self._watch.close()

    def families(self) -> tuple[Family, ...]:
        """The families that this kernel knows (``ipv6.disable=1``, or a kernel built without it)."""
        return tuple(family for family in FAMILIES if os.path.isdir(f"/proc/sys/net/{family.value}/conf"))

    def vrfs(self) -> bool:
        """Whether the kernel's module for VRFs is loaded (since Linux 5.8, which has this setting)."""
        return os.path.isdir("/proc/sys/net/vrf")

    def links(self) -> tuple[Link, ...]:
        """Every network device, the loopback too."""
        return tuple(map(wire.link, self._messages(wire.RTM_GETLINK, bytes(16) + _EXT_MASK)))

    def addresses(self) -> tuple[Address, ...]:
        """Addresses of both families; deprecated ones come last."""
        found = [message for message in self._messages(wire.RTM_GETADDR, bytes(8)) if wire.family_of(message)]
        return tuple(map(wire.address, sorted(found, key=wire.is_deprecated)))

    def addresses_of(self, family: Family, index: int) -> list[bytes]:
        """Raw messages of a family's addresses on one link."""
        found = self._messages(wire.RTM_GETADDR, bytes((family.af,)) + bytes(3) + index.to_bytes(4, byteorder))
        return [message for message in found if message[20:24] == index.to_bytes(4, byteorder)]

    def rules(self, family: Family) -> tuple[Rule, ...]:
        """Our rules."""
        return self.all_rules(family)[0]

    def all_rules(self, family: Family) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """Our rules, and all others in the order in which the kernel asks them.

        The kernel's own for main and default are left out where they are as it made them, and its own for local at
        priority 0 is not decoded: every machine has these.
        """
        ours: list[Rule] = []
        others: list[Rule] = []
        for message in self._messages(wire.RTM_GETRULE, bytes((family.af,)) + bytes(11)):
            if message[17:] == _LOCAL_RULE:
                others.append(Rule(family, 0, LOCAL_TABLE, protocol=_RTPROT_KERNEL))
            elif message[17:] not in _USUAL_RULES:
                rule = wire.rule(message)
                (ours if rule.protocol == self.protocol else others).append(rule)
        return tuple(ours), tuple(others)

    def table(self, family: Family, table: int, protocol: int = 0) -> tuple[Route, ...]:
        """All routes of a table, those included whose device is down; empty where there is no such table.

        ``protocol`` leaves out, in the kernel, routes of other programs.
        """
        found = self._dump(wire.RTM_GETROUTE, _request(family, table, protocol=protocol), _split)
        return tuple(self._known(route) for route in map(wire.route, found) if route)

    def _known(self, route: Route) -> Route:
        """A route to compare: through a nexthop object of ours its number, of others the kernel's nexthops."""
        if not route.nhid:
            return route
        return route._replace(nexthops=()) if route.protocol == self.protocol else route._replace(nhid=0)

    def neighbours(self, family: Family, index: int) -> list[bytes]:
        """What is known of a device's neighbours, as messages."""
        return self._messages(wire.RTM_GETNEIGH, bytes((family.af,)) + bytes(11) + build.number(_NDA_IFINDEX, index))

    def objects(self) -> list[bytes]:
        """All nexthop objects, as messages."""
        return self._messages(wire.RTM_GETNEXTHOP, bytes(8))

    def ours(self, family: Family, table: int) -> tuple[Route, ...]:
        """Our routes of one table."""
        return self.table(family, table, protocol=self.protocol)

    def ours_anywhere(self, family: Family, but: Iterable[int] = ()) -> tuple[Route, ...]:
        """Our routes of every table, those ``but`` left out before they are decoded: they may hold thousands."""
        known = {build.number(wire.RTA_TABLE, table) for table in but}  # the kernel's first attribute
        found = self._dump(wire.RTM_GETROUTE, _request(family, 0, 0, self.protocol), _split)
        routes = (wire.route(raw) for raw in found if raw[28:36] not in known)
        return tuple(self._known(route) for route in routes if route)

    def defaults_of_main(self, family: Family, links: Iterable[Link] = (), dead: bool = False) -> tuple[Route, ...]:
        """Every live default of main, and ours dead or alive, without reading the rest of a large table.

        A foreign one without a living nexthop is no way out, and is told only with ``dead``; of ours every leg
        counts, because it is to be replaced.  One for some sources only (IPv6's ``from``) is no way out.
        IPv4: the dump begins with the defaults.  IPv6: it ends with them, so a table that is not small is asked
        through each of ``links`` (all devices if none is named) that has an address, which the kernel filters
        without copying; the loopback stands for null routes.
        """
        ask = self._defaults4 if family is Family.IPV4 else partial(self._defaults6, links, dead)
        found = (
            wire.route(raw, keep_dead=dead or raw[_PROTOCOL] == self.protocol)
            for raw in _retry_interrupted(ask)
            if not raw[_SRC_LEN]
        )
        return tuple(self._known(route) for route in found if route)

    def pieces_of_main(self, family: Family) -> tuple[Route, ...]:
        """Defaults in pieces, as far as :meth:`defaults_of_main` has come past them: of two halves the first."""
        routes = (wire.route(message, keep_dead=False) for message in self._pieces.get(family, ()))
        return tuple(self._known(route) for route in routes if route)

    def claims(self, family: Family) -> tuple[Route, ...]:
        """Living routes of main that a lease or an advertisement brought, and that are wider than any network.

        IPv6: as far as :meth:`defaults_of_main` has come past them.
        """
        if family is Family.IPV4:
            body = _request(family, MAIN_TABLE, protocol=_RTPROT_DHCP, kind=wire.UNICAST)
            self._brought[family] = list(filter(_is_brought, self._messages(wire.RTM_GETROUTE, body)))
        brought = self._brought.get(family, ())
        return self._living([message for message in brought if message[_DST_LEN] <= CLAIMED[family]])

    def brought(self, family: Family) -> tuple[Route, ...]:
        """The narrower ones of what :meth:`claims` has read."""
        return self._living([m for m in self._brought.get(family, ()) if m[_DST_LEN] > CLAIMED[family]])

    def _living(self, messages: Iterable[bytes]) -> tuple[Route, ...]:
        found = (wire.route(message, keep_dead=False) for message in messages if not message[_SRC_LEN])
        return tuple(self._known(route) for route in found if route)

    def wide(self, family: Family, table: int, longest: int = PIECE) -> tuple[Route, ...]:
        """Live routes of a table that lead anywhere: defaults, whole or in pieces; the rest is not decoded."""

        def use(buffers: Iterable[bytes]) -> list[bytes]:
            return [m for m in _split(buffers) if m[_DST_LEN] <= longest and not m[_SRC_LEN]]

        found = (wire.route(raw, keep_dead=False) for raw in self.routes(family, table, use))
        return tuple(self._known(route) for route in found if route)

    def hosts_of_main(self, family: Family, index: int) -> tuple[Route, ...]:
        """Routes through a device that programs have made, dead ones too, hosts first; the rest is not decoded."""

        def use(buffers: Iterable[bytes]) -> list[bytes]:
            return [m for m in _split(buffers) if m[_DST_LEN] > PIECE and self._by_a_program(m[_PROTOCOL])]

        found = sorted(self.unicast(family, MAIN_TABLE, index, use), key=_narrowest)[:MOST]
        return tuple(self._known(route) for route in map(wire.route, found) if route)

    def _by_a_program(self, protocol: int) -> bool:
        return protocol not in _NO_PROGRAM and protocol != self.protocol

    def defaults_elsewhere(self, family: Family, index: int, tables: Iterable[int] = ()) -> tuple[Route, ...]:
        """Living foreign defaults through a device that are not in main: of these tables, or of all."""
        found: list[Route | None] = []
        for table in tables or (0,):
            messages = self._messages(wire.RTM_GETROUTE, _request(family, table, index, kind=wire.UNICAST))
            able = [m for m in messages if not m[_DST_LEN] and not m[_SRC_LEN] and m[_PROTOCOL] != self.protocol]
            found += [wire.route(message, keep_dead=False) for message in able]
        return tuple(self._known(route) for route in found if route and route.table != MAIN_TABLE)

    def blocked(self) -> tuple[str, ...]:
        """Prefixes that a DHCP client has made unreachable as a whole; the search for defaults has come past them."""
        found = [m for m in self._read6 if m[_KIND] == _RTN_UNREACHABLE and m[_PROTOCOL] == _RTPROT_DHCP]
        return tuple(_destination(message) for message in found if 16 <= message[_DST_LEN] <= 64)

    def networks(self) -> tuple[OnLink, ...]:
        """IPv6 networks of 64 bits that main reaches directly, by the kernel's own routes."""
        from mwan_hook.model import OnLink

        found = self._read6
        if not self._all6:
            body = _request(Family.IPV6, MAIN_TABLE, protocol=_RTPROT_KERNEL, kind=wire.UNICAST)
            found = self._messages(wire.RTM_GETROUTE, body)
        own = [m for m in found if m[_DST_LEN] == 64 and m[_PROTOCOL] == _RTPROT_KERNEL and m[_KIND] == wire.UNICAST]
        routes = [(wire.attributes(message, 28).get(wire.RTA_OIF), _destination(message)) for message in own]
        return tuple(OnLink(int.from_bytes(oif, byteorder), prefix) for oif, prefix in routes if oif)

    def unicast(self, family: Family, table: int, index: int, use: Callable[[Iterable[bytes]], T]) -> T:
        """What ``use`` makes of the buffers of a table's unicast routes through a device.

        ``use`` raises InterruptedDumpError where a message is marked so, and is then called again.
        """
        if family is Family.IPV6 and table == MAIN_TABLE and index in self._through:
            return use(self._through[index])
        return self._dump(wire.RTM_GETROUTE, _request(family, table, index, kind=wire.UNICAST), use)

    def routes(self, family: Family, table: int, use: Callable[[Iterable[bytes]], T]) -> T:
        """The same for all routes of a table."""
        return self._dump(wire.RTM_GETROUTE, _request(family, table), use)

    def _messages(self, kind: int, body: bytes) -> list[bytes]:
        return self._dump(kind, body, _split)

    def _dump(self, kind: int, body: bytes, use: Callable[[Iterable[bytes]], T]) -> T:
        return _retry_interrupted(partial(self._dump_once, kind, body, use))

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

    def _defaults4(self, _: bool) -> list[bytes]:
        """The leaf of key 0.0.0.0 comes first, its longest prefix first: stop at the first other key."""
        found: list[bytes] = []
        self._pieces[Family.IPV4] = []
        sock = netlink.connect()
        try:
            for buffer in self._read(sock, wire.RTM_GETROUTE, _request(Family.IPV4, MAIN_TABLE)):
                for message in frames.messages(buffer):
                    if not message[_DST_LEN]:
                        found.append(message)
                    elif wire.attributes(message, 28).get(wire.RTA_DST) != bytes(4):
                        return found
                    elif message[_DST_LEN] <= PIECE:
                        self._pieces[Family.IPV4].append(message)
        finally:
            sock.close()  # with what is left of the dump
        return found

    def _defaults6(self, links: Iterable[Link], dead: bool, last: bool) -> list[bytes]:
        buffers: list[bytes] = []
        sock = netlink.connect()
        try:
            watch = None if last else self._watch
            for buffer in self._read(sock, wire.RTM_GETROUTE, _request(Family.IPV6, MAIN_TABLE), watch):
                buffers.append(buffer)
                if len(buffers) > FEW:
                    return self._defaults6_by_link(links, dead)
        finally:
            sock.close()
        self._read6, self._all6 = _split(buffers), True
        self._pieces[Family.IPV6] = [message for message in self._read6 if 0 < message[_DST_LEN] <= PIECE]
        self._brought[Family.IPV6] = list(filter(_is_brought, self._read6))
        return [message for message in self._read6 if not message[17]]

    def _defaults6_by_link(self, links: Iterable[Link], dead: bool) -> list[bytes]:
        """Defaults through each device, without ``dead`` through each that has an address to send from.

        A multipath route shows under each of its devices.  Null routes are the loopback's.  What is found stays at
        hand for the copies.
        """
        able = {address.index for address in self.addresses() if address.family is Family.IPV6 and address.usable}
        found: dict[bytes, bytes] = {}
        brought: dict[bytes, bytes] = {}
        for link in links or self.links():
            if link.index == LOOPBACK:
                messages = self._dump(wire.RTM_GETROUTE, _request(Family.IPV6, MAIN_TABLE, LOOPBACK), _split)
                self._read6, self._all6 = messages, False
            elif dead or link.index in able:
                messages = _split(self._main6(link.index))
            else:
                continue
            found.update((_identity(message), message) for message in messages if message[_DST_LEN] <= PIECE)
            brought.update((_identity(message), message) for message in messages if _is_brought(message))
        self._brought[Family.IPV6] = list(brought.values())
        self._pieces[Family.IPV6] = [message for message in found.values() if message[_DST_LEN]]
        return [message for message in found.values() if not message[_DST_LEN]]

    def _main6(self, index: int) -> list[bytes]:
        """Buffers of main's IPv6 unicast routes through a device."""
        body = _request(Family.IPV6, MAIN_TABLE, index, kind=wire.UNICAST)
        self._through[index] = self._dump(wire.RTM_GETROUTE, body, list)
        return self._through[index]


def _is_brought(message: bytes) -> bool:
    return message[_PROTOCOL] in _FROM_OUTSIDE and message[_KIND] == wire.UNICAST and message[_DST_LEN] > 0


def _narrowest(message: bytes) -> int:
    return -message[_DST_LEN]


def _retry_interrupted(ask: Callable[[bool], T]) -> T:
    """Ask until the answer is of one moment; ``ask`` is told when it is for the last time."""
    for attempt in range(TRIES):
        try:
            return ask(attempt == TRIES - 1)
        except frames.InterruptedDumpError:
            pass
    raise MwanError("the kernel's tables change too fast to be read")


def _split(buffers: Iterable[bytes]) -> list[bytes]:
    return [message for buffer in buffers for message in frames.messages(buffer)]


def _destination(message: bytes) -> str:
    raw = wire.attributes(message, 28).get(wire.RTA_DST, bytes(16))
    return f"{inet_ntop(Family.IPV6.af, raw)}/{message[_DST_LEN]}"


def _identity(message: bytes) -> bytes:
    """A route without what differs from dump to dump: the sequence number, and the age."""
    alike = [value for kind, value in wire.each_attribute(message, 28) if kind != wire.RTA_CACHEINFO]
    return message[16:24] + b"".join(alike)


def _request(family: Family, table: int, oif: int = 0, protocol: int = 0, kind: int = 0) -> bytes:
    body = _ROUTE.pack(family.af, 0, 0, 0, 0, protocol, 0, kind, 0)
    body += build.number(wire.RTA_TABLE, table) if table else b""
    return body + (build.number(wire.RTA_OIF, oif) if oif else b"")
