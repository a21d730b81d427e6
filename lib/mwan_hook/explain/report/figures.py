"""What a report says, as values: of each line and each uplink, in total and over time.  Pure."""

from __future__ import annotations

import math

from mwan_hook.durations import DAY, HOUR
from mwan_hook.explain import outages
from mwan_hook.explain.outages import OFFLINE, Outage, Period, Probes
from mwan_hook.light import NamedTuple
from mwan_hook.model import UNKNOWN, Family, Hour
from mwan_hook.phrases import FAMILIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.explain.standings import Line

MOST_SLOTS = 186  # that a plot shows: of a month, of four hours each


class About(NamedTuple):
    """What a report is about, and who made it."""

    title: str  # the machine, or the uplink of one that goes to a provider
    version: str
    made: float  # seconds since the epoch
    one: bool = False  # of one uplink alone, for others to read
    targets: tuple[str, ...] = ()  # that its probes asked


class TimeSlot(NamedTuple):
    """A part of the time, for plots and tables."""

    begin: float
    end: float
    probes: Probes
    received: int = 0  # bytes of the uplink's interface, in all families
    sent: int = 0


class LineFigures(NamedTuple):
    """One family of an uplink."""

    uplink: str
    family: Family
    periods: tuple[Period, ...]
    seconds: dict[str, float]  # by word
    outages: tuple[Outage, ...]  # degraded and disabled times, too
    probes: Probes
    slots: tuple[TimeSlot, ...]

    @property
    def name(self) -> str:
        """``fiber IPv4``."""
        return f"{self.uplink} {FAMILIES[self.family]}"

    @property
    def seen(self) -> tuple[float, float]:
        """The first and the last moment of which anything is known."""
        known = [one for one in self.periods if one.word != UNKNOWN]
        return known[0].begin, known[-1].end

    @property
    def availability(self) -> float | None:
        """Per cent."""
        return outages.availability(self.seconds)

    @property
    def judged(self) -> float:
        """Seconds that the availability is a share of."""
        return sum(self.seconds[word] for word in outages.JUDGED)

    @property
    def whole(self) -> float:
        """Seconds of the report."""
        return sum(self.seconds.values())

    @property
    def out(self) -> tuple[Outage, ...]:
        """Outages proper."""
        return tuple(one for one in self.outages if one.word == OFFLINE)

    @property
    def longest(self) -> float:
        """Seconds."""
        return max((one.seconds for one in self.out), default=0.0)

    @property
    def carried(self) -> float:
        """Seconds."""
        return sum(one.seconds for one in self.periods if one.carries)

    @property
    def bridged(self) -> float:
        """Seconds in which it was out and another one stood in."""
        return sum(one.seconds for one in self.periods if one.bridged)


class UplinkFigures(NamedTuple):
    """An uplink with all its families."""

    name: str
    lines: tuple[LineFigures, ...]
    received: int
    sent: int


class Report(NamedTuple):
    """All that is said, and of which time; seconds since the epoch."""

    since: float
    until: float
    uplinks: tuple[UplinkFigures, ...]
    slot: float  # seconds that one lasts

    @property
    def lines(self) -> tuple[LineFigures, ...]:
        """Every line."""
        return tuple(line for uplink in self.uplinks for line in uplink.lines)

    @property
    def outages(self) -> tuple[Outage, ...]:
        """Every time of trouble, the newest first."""
        found = [outage for line in self.lines for outage in line.outages]
        return tuple(sorted(found, key=lambda one: one.begin, reverse=True))

    @property
    def together(self) -> tuple[tuple[Outage, ...], ...]:
        """The same, with those of both families of an uplink that began and ended at once in one place."""
        found: dict[tuple[object, ...], list[Outage]] = {}
        for one in self.outages:
            alike = (one.uplink, one.word, one.causes, round(one.begin), round(one.end), one.sudden, one.over)
            found.setdefault(alike, []).append(one)
        return tuple(tuple(sorted(group, key=lambda one: one.family.value)) for group in found.values())


def report(hours: Sequence[Hour], since: float, until: float, order: Sequence[str], slot: float = 0) -> Report:
    """What these hours say of the time from ``since``, a full hour, to ``until``.

    ``order``: uplinks as they shall be shown; others come behind.  ``slot``: seconds; 0: so that a plot can show them.
    """
    hours = [hour for hour in hours if since <= hour.begin < until]
    slot = slot or slot_for(until - since)
    names = list(dict.fromkeys(uplink for uplink, _ in outages.lines(hours)))
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    slots = _slots(hours, since, until, slot)
    found = [
        UplinkFigures(
            name,
            tuple(_line(hours, line, since, until, slots) for line in outages.lines(hours) if line[0] == name),
            *outages.moved(hours, name),
        )
        for name in names
    ]
    return Report(since, until, tuple(found), slot)


def slot_for(length: float) -> float:
    """Seconds of a slot, whole hours that a day is made of, or whole days."""
    hours = length / HOUR / MOST_SLOTS
    return next((one * HOUR for one in (1, 2, 3, 4, 6, 8, 12, 24) if one >= hours), math.ceil(hours / 24) * DAY)


def _slots(hours: Sequence[Hour], since: float, until: float, slot: float) -> dict[tuple[float, float], list[Hour]]:
    """The hours of each slot, by its beginning and end."""
    found: dict[tuple[float, float], list[Hour]] = {}
    for hour in sorted(hours, key=lambda one: one.begin):
        begin = since + (hour.begin - since) // slot * slot
        found.setdefault((begin, min(until, begin + slot)), []).append(hour)
    return found


def _line(
    hours: Sequence[Hour], line: Line, since: float, until: float, groups: dict[tuple[float, float], list[Hour]]
) -> LineFigures:
    periods = outages.periods(hours, line, since, until)
    slots = tuple(
        TimeSlot(*edges, outages.probes(group, line), *outages.moved(group, line[0])) for edges, group in groups.items()
    )
    trouble = outages.outages(periods, line)
    return LineFigures(*line, periods, outages.seconds(periods), trouble, outages.probes(hours, line), slots)
