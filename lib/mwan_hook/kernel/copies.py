"""What an uplink's table lacks of main's routes, and what it has too many of.

Both sides are read raw and become canonical bytes (:mod:`canonical`); as sets they cancel each other, and only what is
left is looked into.
"""

from __future__ import annotations

from mwan_hook.kernel import shapes
from mwan_hook.kernel.canonical import decoded
from mwan_hook.light import partial
from mwan_hook.model import MAIN_TABLE, Copies, CopyRoutes, Family
from mwan_hook.routing.priorities import DISGUISED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.kernel.reader import Reader
    from mwan_hook.kernel.shapes import CanonicalRoutes


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
        have = self._reader.routes(family, table, partial(shapes.collect, protocol=self._reader.protocol))
        wanted, there = set(source.others), set(have.ours)
        if not wanted <= there:
            from mwan_hook.kernel import copydiff

            return copydiff.difference(family, table, source, have, self._reader.protocol)
        extra = decoded(sorted(there - wanted - set(source.dead)), table, self._reader.protocol)
        return Copies(family, table, extra=extra, kept=len(wanted))

    def _source(self, family: Family, index: int) -> CanonicalRoutes:
        collect = partial(shapes.collect, protocol=self._reader.protocol, defaults=False)
        if self._mode is CopyRoutes.OWN:
            own = partial(collect, oif=index)
            return self._reader.unicast(family, MAIN_TABLE, index, own)
        if family not in self._main:
            own = partial(collect, disguised=DISGUISED[family])
            self._main[family] = self._reader.routes(family, MAIN_TABLE, own)
        return self._main[family]

    def _with_home(self, source: CanonicalRoutes, family: Family, home: int, index: int) -> CanonicalRoutes:
        """Main's routes come before those of another table."""
        collect = partial(shapes.collect, protocol=self._reader.protocol, defaults=False, oif=index)
        more = self._reader.unicast(family, home, index, collect)
        from mwan_hook.kernel import copydiff

        return copydiff.beside(source, more)


