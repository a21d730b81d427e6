"""What an uplink's table lacks of main's routes, and what it has too many of.

Both sides are read raw and become canonical bytes (:mod:`canonical`); as sets they cancel each other, and only what is
left is looked into.  Large buffers are handled by :mod:`columns`.
"""

from __future__ import annotations

from mwan_hook.kernel import canonical, frames, wire
from mwan_hook.light import NamedTuple, partial
from mwan_hook.model import MAIN_TABLE, Copies, CopyRoutes, Family
from mwan_hook.routing.priorities import DISGUISED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.kernel.reader import Reader

_SMALL = 2048  # bytes of a buffer in which a shape is not worth its measuring


class CanonicalRoutes(NamedTuple):
    """The routes of a dump, canonical."""

    ours: list[bytes]
    others: list[bytes]  # of other programs
    dead: list[bytes]  # of other programs, with no nexthop that is alive


def collect(buffers: Iterable[bytes], protocol: int, oif: int, defaults: bool, disguised: int) -> CanonicalRoutes:
    """Sort the routes of a dump; InterruptedDumpError if it is not of one moment.

    Of multipath routes only the legs through ``oif`` are taken, if it is given; of other programs' default routes
    none without ``defaults``, nor any that is for some sources only, or has a prefix of ``disguised`` bits or less.
    """
    sorter, columns = Sorter(protocol, oif, all_kinds=defaults, widest=disguised), None
    for buffer in buffers:
        if len(buffer) < _SMALL:
            for message in frames.messages(buffer):
                sorter.one(message[wire.HEADER :])
            continue
        if columns is None:
            from mwan_hook.kernel.columns import Columns

            columns = Columns(sorter)
        columns.buffer(buffer)
    return sorter.found


class Sorter:
    """Sorts routes by whose they are."""

    def __init__(self, protocol: int, oif: int, all_kinds: bool, widest: int) -> None:
        self.found = CanonicalRoutes([], [], [])
        self.protocol = protocol
        self.all_kinds = all_kinds  # of other programs' routes; else only those that are copied
        self.wide = bytes(range(widest + 1))  # lengths of prefixes that are defaults
        self._oif = oif

    def one(self, route: bytes) -> None:
        """One route, looked at by itself."""
        if route[wire.PROTOCOL] == self.protocol:
            self.found.ours.append(canonical.rewrite(route, self._oif)[1])
        elif self.all_kinds or (route[wire.LENGTH] not in self.wide and not route[wire.SOURCE_LENGTH]):
            alive, made = canonical.rewrite(route, self._oif)
            (self.found.others if alive else self.found.dead).append(made)


class Copier:
    """A comparison of uplinks' tables with main, which is read once where all uplinks copy all of it."""

    def __init__(self, reader: Reader, mode: CopyRoutes) -> None:
        self._reader = reader
        self._mode = mode
        self._main: dict[Family, CanonicalRoutes] = {}

    def compare(self, family: Family, table: int, index: int, homes: Iterable[int]) -> Copies:
        """The difference for one family and table of the uplink with interface ``index``.

        ``homes``: tables of others that its default was found in; what else leads through it there is copied, too,
        because the uplink's rules come before those that lead there.  A route whose nexthops are all dead is not
        copied, but a copy that is there already stays: it comes to life together with the original.
        """
        source = self._source(family, index)
        for home in homes:
            source = self._with_home(source, family, home, index)
        all_kinds = partial(collect, protocol=self._reader.protocol, oif=0, defaults=True, disguised=0)
        return self._reader.compared(family, table, source, self._reader.whole(family, table, all_kinds), _difference)

    def _source(self, family: Family, index: int) -> CanonicalRoutes:
        sort = partial(collect, protocol=self._reader.protocol, defaults=False)
        if self._mode is CopyRoutes.OWN:
            own = partial(sort, oif=index, disguised=0)
            return self._reader.unicast(family, MAIN_TABLE, index, own)
        if family not in self._main:
            own = partial(sort, oif=0, disguised=DISGUISED[family])
            self._main[family] = self._reader.whole(family, MAIN_TABLE, own)
        return self._main[family]

    def _with_home(self, source: CanonicalRoutes, family: Family, home: int, index: int) -> CanonicalRoutes:
        """Main's routes come before those of another table."""
        own = partial(collect, protocol=self._reader.protocol, oif=index, defaults=False, disguised=0)
        more = self._reader.unicast(family, home, index, own)
        from mwan_hook.kernel import copydiff

        return copydiff.beside(source, more)


def _difference(family: Family, table: int, source: CanonicalRoutes, have: CanonicalRoutes, protocol: int) -> Copies:
    there = set(have.ours)
    if not there.issuperset(source.others):
        from mwan_hook.kernel import copydiff

        return copydiff.difference(family, table, source, have, protocol)
    unwanted = there.difference(source.others)
    extra = canonical.decoded(sorted(unwanted.difference(source.dead)), table, protocol)
    return Copies(family, table, extra=extra, kept=len(there) - len(unwanted))
