"""A reader for all looks of a run that copies all of main: large tables are read again only where they changed.

A look after changes finds main as the one before did, unless another program was at it meanwhile; and once the uplinks'
tables are right, what follows from verdicts does not touch them.  Imported only where ``copy_routes = main``.
"""

from __future__ import annotations

from mwan_hook.kernel import frames, netlink, watch, wire
from mwan_hook.kernel.dumps import request
from mwan_hook.kernel.maintable import FEW as FEW_BUFFERS
from mwan_hook.kernel.maintable import LOOPBACK, NOTED, PIECE
from mwan_hook.kernel.reader import Reader
from mwan_hook.light import NamedTuple
from mwan_hook.model import MAIN_TABLE, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from mwan_hook.kernel.copies import CanonicalRoutes
    from mwan_hook.kernel.reader import Compare
    from mwan_hook.model import Copies, Link, Route

_WIDE = bytes(range(PIECE + 1))  # lengths of prefixes
FEW = 500  # routes that are sooner read again than listened to


class _Kept(NamedTuple):
    """What was made of a table, each as a list of one or none; it holds until there is news."""

    watch: socket
    routes: list[CanonicalRoutes]
    defaults: list[tuple[Route, ...]]
    unsorted: list[bytes]  # buffers that were read for the defaults

    def forget(self) -> None:
        """Have it read again."""
        self.routes.clear()
        self.defaults.clear()
        self.unsorted.clear()


class Rereader(Reader):
    """A reader that keeps what it has made of large tables; it asks whether they changed before it reads."""

    def __init__(self, protocol: int) -> None:
        super().__init__(protocol)
        self._kept: dict[tuple[Family, int], _Kept] = {}
        self._compared: dict[tuple[Family, int], tuple[CanonicalRoutes, CanonicalRoutes, Copies]] = {}
        self._beside = watch.beside()
        self._doubtful = False  # what this look reads: the kernel tells of a nexthop object before its routes go
        self._searched: dict[Family, set[int]] = {}
        self._closed = False

    def __enter__(self) -> Self:
        """Look once more; what may be of a moment between two is forgotten."""
        if self._closed:
            self._open()
        if self._doubtful:
            self._forget()
        self._doubtful = False
        return self

    def close(self) -> None:
        """Leave open what hears of kept tables, and no more: the kernel tells every open socket what is written."""
        super().close()
        self._closed = True

    def whole(self, family: Family, table: int, use: Callable[[Iterable[bytes]], CanonicalRoutes]) -> CanonicalRoutes:
        """What ``use`` makes of a table, read again after news alone; ``use`` is the same one for each table."""
        kept = self._unchanged(family, table)
        if kept.routes:
            return kept.routes[0]
        found = use(kept.unsorted) if kept.unsorted else super().whole(family, table, use)
        kept.unsorted.clear()
        kept.routes.append(found)
        if sum(map(len, found)) < FEW:
            self._kept.pop((family, table)).watch.close()
        return found

    def compared(
        self, family: Family, table: int, source: CanonicalRoutes, have: CanonicalRoutes, compare: Compare
    ) -> Copies:
        """What was made of the same two before."""
        known = self._compared.get((family, table))
        if not (known and known[0] is source and known[1] is have):
            known = source, have, super().compared(family, table, source, have, compare)
            self._compared[family, table] = known
        return known[2]

    def defaults_of_main(self, family: Family, links: Iterable[Link] = (), dead: bool = False) -> tuple[Route, ...]:
        """Main's defaults, IPv6's kept with all that the search has come past; IPv4's cost next to nothing."""
        if family is Family.IPV4 or dead:
            return super().defaults_of_main(family, links, dead)
        kept = self._unchanged(family, MAIN_TABLE)
        if not kept.defaults:
            kept.defaults.append(super().defaults_of_main(family, links))
        return kept.defaults[0]

    def _defaults6(self, links: Iterable[Link], dead: bool, last: bool) -> list[bytes]:
        """Main's IPv6 defaults, of all of its routes: the copies are made of the same buffers, so it is read once."""
        if dead:
            return super()._defaults6(links, dead, last)
        buffers = self._dump(wire.RTM_GETROUTE, request(Family.IPV6, MAIN_TABLE), _checked)
        self._kept[Family.IPV6, MAIN_TABLE].unsorted[:] = buffers
        found = self._defaults6_among([message for buffer in buffers for message in _noted(buffer)])
        return found if len(buffers) <= FEW_BUFFERS else self._able(found)

    def _able(self, defaults: list[bytes]) -> list[bytes]:
        """These, pieces and what leases bring, as a reader sees them that asks device by device."""
        able = {address.index for address in self.addresses() if address.family is Family.IPV6 and address.usable}

        def of(messages: Sequence[bytes]) -> list[bytes]:
            devices = [wire.attributes(message, 28).get(wire.RTA_OIF) for message in messages]
            seen = [not raw or int.from_bytes(raw, "little") in {LOOPBACK, *able} for raw in devices]
            return [message for message, is_seen in zip(messages, seen, strict=True) if is_seen]

        for kept in (self._pieces, self._brought):
            kept[Family.IPV6] = of(kept[Family.IPV6])
        return of(defaults)

    def ours_anywhere(self, family: Family, but: Iterable[int] = ()) -> tuple[Route, ...]:
        """Our routes of all tables once, then of those in which something was found and those left out."""
        but = {*but}
        if family in self._searched:
            tables = sorted(self._searched[family] - but)
            found = tuple([route for table in tables for route in self.ours(family, table)])
        else:
            found = super().ours_anywhere(family, but)
        self._searched.setdefault(family, set()).update(but, [route.table for route in found])
        return found

    def _unchanged(self, family: Family, table: int) -> _Kept:
        """What was made of a table that is as it was."""
        place = family, table
        if place not in self._kept:
            self._kept[place] = _Kept(watch.table(family, table), [], [], [])
        kept = self._kept[place]
        if netlink.any_change((self._beside,)):
            self._forget()
            self._doubtful = True
        elif netlink.any_change((kept.watch,)):
            kept.forget()
        return kept

    def _forget(self) -> None:
        for kept in self._kept.values():
            kept.forget()


def _checked(buffers: Iterable[bytes]) -> list[bytes]:
    return [frames.checked(buffer) for buffer in buffers]


def _noted(buffer: bytes) -> list[bytes]:
    """The messages that others than the copies may ask for: wide routes, and those that no program of routes made."""
    step = frames.stride(buffer)
    if step:
        lengths, protocols = buffer[wire.HEADER + wire.LENGTH :: step], buffer[wire.HEADER + wire.PROTOCOL :: step]
        count = len(lengths)
        if len(lengths.translate(None, _WIDE)) == count == len(protocols.translate(None, NOTED)):
            return []
    return [message for message in frames.messages(buffer) if _is_noted(message)]


def _is_noted(message: bytes) -> bool:
    return message[wire.HEADER + wire.LENGTH] <= PIECE or message[wire.HEADER + wire.PROTOCOL] in NOTED
