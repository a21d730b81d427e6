"""Dumps of routes to canonical routes (:mod:`canonical`); large buffers by :mod:`columns`."""

from __future__ import annotations

from mwan_hook.kernel import canonical, frames
from mwan_hook.kernel.wire import HEADER, LENGTH, PROTOCOL, SOURCE_LENGTH
from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SMALL = 2048  # bytes of a buffer in which a shape is not worth its measuring


class CanonicalRoutes(NamedTuple):
    """The routes of a dump, canonical."""

    ours: list[bytes]
    others: list[bytes]  # of other programs
    dead: list[bytes]  # of other programs, with no nexthop that is alive


def collect(
    buffers: Iterable[bytes], protocol: int, oif: int = 0, defaults: bool = True, disguised: int = 0
) -> CanonicalRoutes:
    """Sort the routes of a dump; InterruptedDumpError if it is not of one moment.

    Of multipath routes only the legs through ``oif`` are taken, if it is given; of other programs' default routes
    none without ``defaults``, nor any that is for some sources only, or has a prefix of ``disguised`` bits or less.
    """
    sorter, columns = Sorter(protocol, oif, all_kinds=defaults, widest=disguised), None
    for buffer in buffers:
        if len(buffer) < _SMALL:
            for message in frames.split(frames.checked(buffer)):
                sorter.one(message[HEADER:])
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
        if route[PROTOCOL] == self.protocol:
            self.found.ours.append(canonical.rewrite(route, self._oif)[1])
        elif self.all_kinds or (route[LENGTH] not in self.wide and not route[SOURCE_LENGTH]):
            alive, made = canonical.rewrite(route, self._oif)
            (self.found.others if alive else self.found.dead).append(made)
