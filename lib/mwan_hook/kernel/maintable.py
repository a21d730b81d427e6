"""Main's defaults, and what the search for them comes past: a large table is never read for them."""

from __future__ import annotations

from _socket import inet_ntop
from sys import byteorder

from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.kernel.dumps import Dumps, identity, request, retry_interrupted, split
from mwan_hook.light import partial
from mwan_hook.model import MAIN_TABLE, Address, Family, Link, Route
from mwan_hook.routing.priorities import CLAIMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from mwan_hook.model import OnLink

    T = TypeVar("T")

FEW = 2  # buffers of an IPv6 dump that are read before asking otherwise
LOOPBACK = 1
PIECE = 4  # the longest prefix that is a default in pieces: 0.0.0.0/1, ::/1, 2000::/3, 3000::/4

_EXT_MASK = frames.number(29, 1 << 3)  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
_DST_LEN, _SRC_LEN, _PROTOCOL, _KIND = 17, 18, 21, 23  # offsets in a message
_RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP, _RTN_UNREACHABLE = 2, 9, 16, 7
_FROM_OUTSIDE = frozenset((_RTPROT_RA, _RTPROT_DHCP))
NOTED = bytes((_RTPROT_KERNEL, *_FROM_OUTSIDE))  # whose routes are asked for, beside the wide ones


class MainTable(Dumps):
    """What a look asks of main; ``protocol`` is what marks a route as ours."""

    def __init__(self, protocol: int) -> None:
        super().__init__()
        self.protocol = protocol
        self._through: dict[int, list[bytes]] = {}  # main's IPv6 routes by device, where that took a search
        self._read6: list[bytes] = []  # of main's IPv6 routes what was read on the way to its defaults
        self._all6 = False
        self._pieces: dict[Family, list[bytes]] = {}  # of main's defaults, that the search for those has met
        self._brought: dict[Family, list[bytes]] = {}  # main's routes of leases and advertisements, without defaults

    def links(self) -> tuple[Link, ...]:
        """Every network device, the loopback too."""
        return tuple(map(wire.link, self._messages(wire.RTM_GETLINK, bytes(16) + _EXT_MASK)))

    def addresses(self) -> tuple[Address, ...]:
        """Addresses of both families; deprecated ones come last."""
        found = [message for message in self._messages(wire.RTM_GETADDR, bytes(8)) if wire.family_of(message)]
        return tuple(map(wire.address, sorted(found, key=wire.is_deprecated)))

    def _known(self, routes: Iterable[Route | None]) -> tuple[Route, ...]:
        """Routes to compare: through a nexthop object of ours its number, of others the kernel's nexthops."""
        return tuple([self._by_number(route) if route.nhid else route for route in routes if route])

    def _by_number(self, route: Route) -> Route:
        return route._replace(nexthops=()) if route.protocol == self.protocol else route._replace(nhid=0)

    def defaults_of_main(self, family: Family, links: Iterable[Link] = (), dead: bool = False) -> tuple[Route, ...]:
        """Every live default of main, and ours dead or alive, without reading the rest of a large table.

        A foreign one without a living nexthop is no way out, and is told only with ``dead``; of ours every leg
        counts, because it is to be replaced.  One for some sources only (IPv6's ``from``) is no way out.
        IPv4: the dump begins with the defaults.  IPv6: it ends with them, so a table that is not small is asked
        through each of ``links`` (all devices if none is named) that has an address, which the kernel filters
        without copying; the loopback stands for null routes (tests/netns/test_kernel_reader.py).
        """
        ask = self._defaults4 if family is Family.IPV4 else partial(self._defaults6, links, dead)
        found = [message for message in retry_interrupted(ask) if not message[_SRC_LEN]]
        return self._known(wire.route(one, keep_dead=dead or one[_PROTOCOL] == self.protocol) for one in found)

    def pieces_of_main(self, family: Family) -> tuple[Route, ...]:
        """Defaults in pieces, as far as :meth:`defaults_of_main` has come past them: of two halves the first."""
        return self._living(self._pieces.get(family, ()))

    def claims(self, family: Family) -> tuple[Route, ...]:
        """Living routes of main that a lease or an advertisement brought, and that are wider than any network.

        IPv6: as far as :meth:`defaults_of_main` has come past them.
        """
        if family is Family.IPV4:
            body = request(family, MAIN_TABLE, protocol=_RTPROT_DHCP, kind=wire.UNICAST)
            self._brought[family] = list(filter(_is_brought, self._messages(wire.RTM_GETROUTE, body)))
        brought = self._brought.get(family, ())
        return self._living([message for message in brought if message[_DST_LEN] <= CLAIMED[family]])

    def brought(self, family: Family) -> tuple[Route, ...]:
        """The narrower ones of what :meth:`claims` has read."""
        return self._living([m for m in self._brought.get(family, ()) if m[_DST_LEN] > CLAIMED[family]])

    def _living(self, messages: Iterable[bytes]) -> tuple[Route, ...]:
        """Routes with a nexthop that is alive, for packets of any source."""
        return self._known(wire.route(message, keep_dead=False) for message in messages if not message[_SRC_LEN])

    def blocked(self) -> tuple[str, ...]:
        """Prefixes that a DHCP client has made unreachable as a whole; the search for defaults has come past them."""
        found = [m for m in self._read6 if m[_KIND] == _RTN_UNREACHABLE and m[_PROTOCOL] == _RTPROT_DHCP]
        return tuple(_destination(message) for message in found if 16 <= message[_DST_LEN] <= 64)

    def networks(self) -> tuple[OnLink, ...]:
        """IPv6 networks of 64 bits that main reaches directly, by the kernel's own routes."""
        from mwan_hook.model import OnLink

        found = self._read6
        if not self._all6:
            body = request(Family.IPV6, MAIN_TABLE, protocol=_RTPROT_KERNEL, kind=wire.UNICAST)
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
        return self._dump(wire.RTM_GETROUTE, request(family, table, index, kind=wire.UNICAST), use)

    def _defaults4(self, _: bool) -> list[bytes]:
        """The leaf of key 0.0.0.0 comes first, its longest prefix first: stop at the first other key."""
        found: list[bytes] = []
        self._pieces[Family.IPV4] = []
        sock = netlink.connect()
        try:
            for buffer in self._read(sock, wire.RTM_GETROUTE, request(Family.IPV4, MAIN_TABLE)):
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
            for buffer in self._read(sock, wire.RTM_GETROUTE, request(Family.IPV6, MAIN_TABLE), watch):
                buffers.append(buffer)
                if len(buffers) > FEW:
                    return self._defaults6_by_link(links, dead)
        finally:
            sock.close()
        return self._defaults6_among(split(buffers))

    def _defaults6_among(self, read: list[bytes]) -> list[bytes]:
        """Main's IPv6 defaults, of ``read``: all of its routes that others may ask for."""
        self._read6, self._all6 = read, True
        self._pieces[Family.IPV6] = [message for message in read if 0 < message[_DST_LEN] <= PIECE]
        self._brought[Family.IPV6] = list(filter(_is_brought, read))
        return [message for message in read if not message[_DST_LEN]]

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
                messages = self._dump(wire.RTM_GETROUTE, request(Family.IPV6, MAIN_TABLE, LOOPBACK), split)
                self._read6, self._all6 = messages, False
            elif dead or link.index in able:
                messages = split(self._main6(link.index))
            else:
                continue
            found.update((identity(message), message) for message in messages if message[_DST_LEN] <= PIECE)
            brought.update((identity(message), message) for message in messages if _is_brought(message))
        self._brought[Family.IPV6] = list(brought.values())
        self._pieces[Family.IPV6] = [message for message in found.values() if message[_DST_LEN]]
        return [message for message in found.values() if not message[_DST_LEN]]

    def _main6(self, index: int) -> list[bytes]:
        """Buffers of main's IPv6 unicast routes through a device."""
        body = request(Family.IPV6, MAIN_TABLE, index, kind=wire.UNICAST)
        self._through[index] = self._dump(wire.RTM_GETROUTE, body, list)
        return self._through[index]


def _is_brought(message: bytes) -> bool:
    return message[_PROTOCOL] in _FROM_OUTSIDE and message[_KIND] == wire.UNICAST and message[_DST_LEN] > 0


def _destination(message: bytes) -> str:
    raw = wire.attributes(message, 28).get(wire.RTA_DST, bytes(16))
    return f"{inet_ntop(Family.IPV6.af, raw)}/{message[_DST_LEN]}"
