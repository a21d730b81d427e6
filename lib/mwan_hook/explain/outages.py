"""Outages, availability and percentiles of each line, from hours.  Pure."""

from __future__ import annotations

from mwan_hook.explain import histogram
from mwan_hook.explain.causes import GATEWAY, SILENT
from mwan_hook.light import NamedTuple
from mwan_hook.model import DEGRADED, FAMILIES, STANDBY, UNKNOWN, Family, Hour, LineHour, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.explain.standings import Line

ONLINE, OFFLINE, DISABLED = (status.value for status in Status)
WORDS = (ONLINE, DEGRADED, OFFLINE, DISABLED, STANDBY, UNKNOWN)
JUDGED = (ONLINE, DEGRADED, OFFLINE)  # what counts in an availability
TROUBLE = (OFFLINE, DEGRADED, DISABLED)


class Period(NamedTuple):
    """How a line stood from one moment to another, seconds since the epoch."""

    begin: float
    end: float
    word: str
    carries: bool = False
    bridged: bool = False
    cause: str = ""
    reason: str = ""

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.begin


class Outage(NamedTuple):
    """A time in which a line was out, degraded, or taken out by hand."""

    uplink: str
    family: Family
    word: str
    begin: float
    end: float
    causes: tuple[str, ...]  # in order
    reason: str  # the first one's
    bridged: float = 0.0  # seconds in which another uplink stood in
    sudden: bool = True  # False: what was before is unknown
    over: bool = True  # False: what came after is unknown, or it goes on

    @property
    def seconds(self) -> float:
        """How long it was seen."""
        return self.end - self.begin


class Probes(NamedTuple):
    """What was asked of a line, and how it answered."""

    sent: int = 0  # while it was up
    lost: int = 0
    out_sent: int = 0
    out_lost: int = 0
    round_trips: dict[str, int] = {}

    @property
    def asked(self) -> int:
        """All of them."""
        return self.sent + self.out_sent

    @property
    def loss(self) -> float | None:
        """Per cent of those that were sent while the line was up."""
        return 100 * self.lost / self.sent if self.sent else None

    def percentile(self, percent: float) -> float | None:
        """Milliseconds."""
        return histogram.percentile(self.round_trips, percent)


def lines(hours: Iterable[Hour]) -> tuple[Line, ...]:
    """Every line of which anything is known, uplinks in order of appearance."""
    found = {(line.uplink, line.family): None for hour in hours for line in hour.lines}
    names = list(dict.fromkeys(uplink for uplink, _ in found))
    return tuple(sorted(found, key=lambda line: (names.index(line[0]), FAMILIES.index(line[1]))))


def periods(hours: Iterable[Hour], line: Line, since: float, until: float) -> tuple[Period, ...]:
    """How a line stood, without a hole: what no hour covers is unknown."""
    found: list[Period] = []
    reached = since
    for hour in sorted(hours, key=lambda one: one.since):
        for one in hour.lines:
            if (one.uplink, one.family) == line:
                for period in _periods_of(hour, one):
                    reached = _add(found, reached, period, until)
    _add(found, reached, Period(until, until, UNKNOWN), until)
    return tuple(found)


def _periods_of(hour: Hour, line: LineHour) -> Iterable[Period]:
    edges = [*(hour.begin + stretch.at for stretch in line.stretches), hour.until]
    edges[0] = hour.since
    for number, stretch in enumerate(line.stretches):
        yield Period(edges[number], edges[number + 1], *stretch[1:])


def _add(found: list[Period], reached: float, period: Period, until: float) -> float:
    """Put a period behind the others, and unknown before it where there is a hole; how far that is."""
    begin, end = max(reached, min(period.begin, until)), min(period.end, until)
    if begin > reached:
        _join(found, Period(reached, begin, UNKNOWN))
    if end > begin:
        _join(found, period._replace(begin=begin, end=end))
    return max(begin, end)


def _join(found: list[Period], period: Period) -> None:
    """Add it, or make the last one longer if it is the same."""
    if found and found[-1][2:6] == period[2:6]:
        found[-1] = found[-1]._replace(end=period.end)
    else:
        found.append(period)


def seconds(found: Iterable[Period]) -> dict[str, float]:
    """Seconds of each of WORDS, which together are the whole time."""
    sums = dict.fromkeys(WORDS, 0.0)
    for period in found:
        sums[period.word] = sums.get(period.word, 0.0) + period.seconds
    return sums


def availability(by_word: dict[str, float]) -> float | None:
    """Per cent of the time in which it was to be up and was observed; None where there was no such time."""
    up, down = by_word[ONLINE] + by_word[DEGRADED], by_word[OFFLINE]
    return 100 * up / (up + down) if up + down else None


def outages(found: Sequence[Period], line: Line) -> tuple[Outage, ...]:
    """Each time of trouble; offline that turns into degraded is two."""
    made: list[Outage] = []
    before = UNKNOWN
    for number, period in enumerate(found):
        if period.word in TROUBLE:
            after = found[number + 1].word if number + 1 < len(found) else UNKNOWN
            if before == period.word:
                made[-1] = _longer(made[-1], period, after)
            else:
                made.append(_begun(line, period, before, after))
        before = period.word
    return tuple(made)


def _begun(line: Line, period: Period, before: str, after: str) -> Outage:
    stood_in = period.seconds if period.bridged else 0.0
    causes = (period.cause,) if period.cause else ()
    known = (before != UNKNOWN, after != UNKNOWN)
    return Outage(*line, period.word, period.begin, period.end, causes, period.reason, stood_in, *known)


def _longer(outage: Outage, period: Period, after: str) -> Outage:
    causes = tuple(dict.fromkeys(filter(None, (*outage.causes, period.cause))))
    if GATEWAY in causes:  # which the kernel finds out later than probes that nothing answers
        causes = tuple(one for one in causes if one != SILENT)
    bridged = outage.bridged + (period.seconds if period.bridged else 0.0)
    return outage._replace(end=period.end, causes=causes, bridged=bridged, over=after != UNKNOWN)


def probes(hours: Iterable[Hour], line: Line) -> Probes:
    """What was asked in all of these hours."""
    found = [one for hour in hours for one in hour.lines if (one.uplink, one.family) == line]
    return Probes(
        sum(one.sent for one in found),
        sum(one.lost for one in found),
        sum(one.out_sent for one in found),
        sum(one.out_lost for one in found),
        histogram.merged(one.round_trips for one in found),
    )


def moved(hours: Iterable[Hour], uplink: str) -> tuple[int, int]:
    """Bytes received and sent."""
    found = [one for hour in hours for one in hour.moved if one.uplink == uplink]
    return sum(one.received for one in found), sum(one.sent for one in found)
