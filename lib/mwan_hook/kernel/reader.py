"""Links, addresses, routes and rules, read over one netlink socket."""

from __future__ import annotations

from _struct import Struct
from sys import byteorder

from mwan_hook import plainos as os
from mwan_hook.kernel import frames, wire
from mwan_hook.kernel.dumps import request, split
from mwan_hook.kernel.maintable import PIECE, MainTable
from mwan_hook.model import (
    DEFAULT_TABLE,
    FAMILIES,
    LOCAL_TABLE,
    MAIN_TABLE,
    Family,
    Route,
    Rule,
)
from mwan_hook.routing.priorities import KERNEL_DEFAULT, KERNEL_MAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from mwan_hook.kernel.copies import CanonicalRoutes
    from mwan_hook.model import Copies

    Compare = Callable[[Family, int, CanonicalRoutes, CanonicalRoutes, int], Copies]
    T = TypeVar("T")

MOST = 64  # routes of one uplink that may be of tunnels

_NDA_IFINDEX = 8

_DST_LEN, _PROTOCOL = 17, 21  # offsets in a message
_RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP = 2, 9, 16
_NO_PROGRAM = frozenset((1, _RTPROT_KERNEL, _RTPROT_RA, _RTPROT_DHCP))  # 1: redirects

_RULE = Struct("=BBBBBBBI")  # struct fib_rule_hdr without the family


def _kernel_rule(table: int, priority: int) -> bytes:
    """A rule that the kernel makes in every network namespace, without length, sequence number and family."""
    found = frames.number(wire.FRA_TABLE, table) + frames.number(wire.FRA_SUPPRESS_PREFIXLEN, 0xFFFFFFFF)
    found += frames.attribute(wire.FRA_PROTOCOL, bytes((_RTPROT_KERNEL,)))
    found += frames.number(wire.FRA_PRIORITY, priority) if priority else b""
    return _RULE.pack(0, 0, 0, table, 0, 0, 1, 0) + found


_LOCAL_RULE = _kernel_rule(LOCAL_TABLE, 0)
_USUAL_RULES = (_kernel_rule(MAIN_TABLE, KERNEL_MAIN), _kernel_rule(DEFAULT_TABLE, KERNEL_DEFAULT))


class Reader(MainTable):
    """A look at links, addresses, routes and rules of the network namespace it is opened in.

    ``protocol`` is what marks an object as ours.  Every method raises MwanError where the kernel refuses; a family
    that this kernel lacks has no objects.
    """

    def families(self) -> tuple[Family, ...]:
        """The families that this kernel knows (``ipv6.disable=1``, or a kernel built without it)."""
        return tuple(family for family in FAMILIES if os.path.isdir(f"/proc/sys/net/{family.value}/conf"))

    def vrfs(self) -> bool:
        """Whether the kernel's module for VRFs is loaded (since Linux 5.8, which has this setting)."""
        return os.path.isdir("/proc/sys/net/vrf")

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
        found = self._dump(wire.RTM_GETROUTE, request(family, table, protocol=protocol), split)
        return self._known(map(wire.route, found))

    def neighbours(self, family: Family, index: int) -> list[bytes]:
        """What is known of a device's neighbours, as messages."""
        return self._messages(wire.RTM_GETNEIGH, bytes((family.af,)) + bytes(11) + frames.number(_NDA_IFINDEX, index))

    def objects(self) -> list[bytes]:
        """All nexthop objects, as messages."""
        return self._messages(wire.RTM_GETNEXTHOP, bytes(8))

    def ours(self, family: Family, table: int) -> tuple[Route, ...]:
        """Our routes of one table."""
        return self.table(family, table, protocol=self.protocol)

    def ours_anywhere(self, family: Family, but: Iterable[int] = ()) -> tuple[Route, ...]:
        """Our routes of every table, those ``but`` left out before they are decoded: they may hold thousands."""
        # The kernel tells the table in the first attribute (tests/netns/test_kernel_messages.py).
        known = {frames.number(wire.RTA_TABLE, table) for table in but}
        found = self._dump(wire.RTM_GETROUTE, request(family, 0, 0, self.protocol), split)
        return self._known(wire.route(message) for message in found if message[28:36] not in known)

    def wide(self, family: Family, table: int, longest: int = PIECE) -> tuple[Route, ...]:
        """Live routes of a table that lead anywhere: defaults, whole or in pieces; the rest is not decoded."""

        def use(buffers: Iterable[bytes]) -> list[bytes]:
            return [message for message in split(buffers) if message[_DST_LEN] <= longest]

        return self._living(self.routes(family, table, use))

    def hosts_of_main(self, family: Family, index: int) -> tuple[Route, ...]:
        """Routes through a device that programs have made, dead ones too, hosts first; the rest is not decoded."""

        def use(buffers: Iterable[bytes]) -> list[bytes]:
            return [m for m in split(buffers) if m[_DST_LEN] > PIECE and self._by_a_program(m[_PROTOCOL])]

        found = sorted(self.unicast(family, MAIN_TABLE, index, use), key=_narrowest)[:MOST]
        return self._known(map(wire.route, found))

    def _by_a_program(self, protocol: int) -> bool:
        return protocol not in _NO_PROGRAM and protocol != self.protocol

    def defaults_elsewhere(self, family: Family, index: int, tables: Iterable[int] = ()) -> tuple[Route, ...]:
        """Living foreign defaults through a device that are not in main: of these tables, or of all."""
        found: list[bytes] = []
        for table in tables or (0,):
            messages = self._messages(wire.RTM_GETROUTE, request(family, table, index, kind=wire.UNICAST))
            found += [one for one in messages if not one[_DST_LEN] and one[_PROTOCOL] != self.protocol]
        return tuple([route for route in self._living(found) if route.table != MAIN_TABLE])

    def routes(self, family: Family, table: int, use: Callable[[Iterable[bytes]], T]) -> T:
        """The same for all routes of a table."""
        return self._dump(wire.RTM_GETROUTE, request(family, table), use)

    def whole(self, family: Family, table: int, use: Callable[[Iterable[bytes]], CanonicalRoutes]) -> CanonicalRoutes:
        """What ``use`` makes of a table that is compared with another; it may have thousands of routes."""
        return self.routes(family, table, use)

    def compared(
        self, family: Family, table: int, source: CanonicalRoutes, have: CanonicalRoutes, compare: Compare
    ) -> Copies:
        """What ``compare`` makes of main's routes and those of a table."""
        return compare(family, table, source, have, self.protocol)


def _narrowest(message: bytes) -> int:
    return -message[_DST_LEN]
