"""Hours from frames: what of a record outlives the record.  Pure.

Time between two frames counts as observed if the second came as soon as the configuration of the first has another run
recorded (:func:`standings.holds_for`), in the same boot.  Otherwise all of it is unknown.
"""

from __future__ import annotations

from mwan_hook.durations import HOUR
from mwan_hook.explain import histogram
from mwan_hook.explain.standings import NOT_OBSERVED, Condition, holds_for, standings
from mwan_hook.light import NamedTuple
from mwan_hook.model import UNKNOWN, Connectivity, Hour, LineHour, Moved, Status, Stretch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.explain.frame import Frame
    from mwan_hook.explain.standings import Line
    from mwan_hook.run.scene import ProbedRound

_UNANSWERED = (Connectivity.NONE, Connectivity.LIMITED)


class _Probes(NamedTuple):
    """What was asked in an hour: while the line was up and while it was not, and how long answers took."""

    up: list[int]  # sent, lost
    out: list[int]
    round_trips: dict[str, int]


_NOT_ASKED = _Probes([0, 0], [0, 0], {})


def summed(frames: Iterable[Frame], since: float, until: float) -> tuple[Hour, ...]:
    """What the frames show of the time from ``since`` to ``until``, seconds since the epoch.

    Frames before ``since`` say how things stood there; the last one before it is enough.  Those after ``until`` say
    whether the last span was observed; without one, ``until`` is a moment at which the program runs.  So hours that are
    summed one after the other add up to those summed at once.
    """
    sums = _Sums(since, until)
    for frame in frames:
        if sums.add(frame):
            break
    return sums.hours()


class _Sums:
    """What has been seen so far."""

    def __init__(self, since: float, until: float) -> None:
        self._since, self._until = since, until
        self._last: Frame | None = None
        self._known: dict[Line, Condition] = {}
        self._reached = since
        self._changes: dict[Line, list[tuple[float, Condition]]] = {}
        self._probes: dict[tuple[int, Line], _Probes] = {}
        self._moved: dict[tuple[int, str], list[int]] = {}
        self._sampled: float | None = None
        self._lines: tuple[Line, ...] = ()

    def add(self, frame: Frame) -> bool:
        """Take one more; True if nothing of what follows matters."""
        self._pass(frame.wall, self._observed(frame))
        if frame.wall >= self._until:
            self._last = None
            return True
        self._last, self._known = frame, standings(frame)
        if frame.wall >= self._since:
            self._count(frame)
        if frame.moved:
            self._sampled = frame.wall
        return False

    def hours(self) -> tuple[Hour, ...]:
        """One for each hour of which anything is known."""
        if self._last is not None:
            self._pass(self._until, self._until - self._last.wall <= holds_for(self._last))
        self._pass(self._until, False)
        self._lines = tuple(dict.fromkeys((*self._changes, *(line for _, line in self._probes))))
        found = map(self._hour_of, range(_hour(self._since), _hour(self._until) + HOUR, HOUR))
        return tuple(hour for hour in found if hour.lines or hour.moved)

    def _observed(self, frame: Frame) -> bool:
        last = self._last
        if last is None or frame.gap or frame.boot != last.boot:
            return False
        return max(frame.wall - last.wall, frame.now - last.now) <= holds_for(last)

    def _pass(self, wall: float, observed: bool) -> None:
        """Go on to this moment, as the last frame says, or as unknown."""
        until = min(wall, self._until)
        if until <= self._reached:
            return
        for line in {**self._changes, **(self._known if observed else {})}:
            standing = self._known.get(line, NOT_OBSERVED) if observed else NOT_OBSERVED
            changes = self._changes.setdefault(line, [(self._since, NOT_OBSERVED)])
            if not standing.same(changes[-1][1]):
                changes.append((self._reached, standing))
        self._reached = until

    def _count(self, frame: Frame) -> None:
        for seen in frame.rounds:
            line = (seen.job.uplink, seen.job.family)
            probes = self._probes.setdefault((_hour(frame.wall), line), _Probes([0, 0], [0, 0], {}))
            _note(probes, seen, _was_up(frame, line))
        for name, bytes_moved in frame.moved.items():
            self._spread(name, bytes_moved, frame)

    def _spread(self, name: str, moved: tuple[int, int], frame: Frame) -> None:
        """Share what was carried since the last sample among the hours since then."""
        begin = frame.wall if self._sampled is None or frame.gap else max(self._sampled, self._since)
        length = frame.wall - begin
        done = [0, 0]
        for hour in range(_hour(begin), _hour(frame.wall) + HOUR, HOUR):
            reached = 1.0 if length <= 0 else min(1.0, (hour + HOUR - begin) / length)
            counts = self._moved.setdefault((hour, name), [0, 0])
            for way in (0, 1):
                share = round(moved[way] * reached)
                counts[way] += share - done[way]
                done[way] = share

    def _hour_of(self, begin: int) -> Hour:
        since, until = max(begin, self._since), min(begin + HOUR, self._until)
        nothing = [(self._since, NOT_OBSERVED)]
        lines = []
        for line in self._lines:
            stretches = tuple(_within(self._changes.get(line, nothing), begin, since, until))
            (sent, lost), (out_sent, out_lost), round_trips = self._probes.get((begin, line), _NOT_ASKED)
            if any(one.word != UNKNOWN for one in stretches) or (stretches and (begin, line) in self._probes):
                lines.append(LineHour(*line, stretches, sent, lost, out_sent, out_lost, {**round_trips}))
        moved = tuple(Moved(name, *counts) for (hour, name), counts in self._moved.items() if hour == begin)
        return Hour(float(begin), since, until, tuple(lines), moved)


def _hour(wall: float) -> int:
    return int(wall // HOUR) * HOUR


def _within(changes: Sequence[tuple[float, Condition]], begin: int, since: float, until: float) -> Iterator[Stretch]:
    """The stretches between two moments, the first at ``since``."""
    for number, (at, standing) in enumerate(changes):
        end = changes[number + 1][0] if number + 1 < len(changes) else until
        if max(at, since) < min(end, until):
            yield Stretch(round(max(at, since) - begin, 3), *standing)


def _was_up(frame: Frame, line: Line) -> bool:
    """Whether it was online when it was asked: the rounds that take a line down are losses of a line that was up."""
    memory = frame.before.uplinks.get(line[0])
    return memory is not None and memory.family(line[1]).status is Status.ONLINE


def _note(probes: _Probes, seen: ProbedRound, up: bool) -> None:
    """A round, or echoes that were sent to measure; of the round trips each gives one, as status shows it."""
    counts = probes.up if up else probes.out
    if seen.measured:
        counts[0] += seen.measured.sent
        counts[1] += seen.measured.lost
        times = sorted(seen.measured.rtts)
        rtt = times[(len(times) - 1) // 2] if times else None
    else:
        asked = [one for one in seen.results if not one.job.portal]
        counts[0] += len(asked)
        counts[1] += sum(one.rtt_ms is None and one.connectivity in _UNANSWERED for one in asked)
        rtt = None if seen.witness else seen.round.latency_ms
    if rtt is not None:
        name = histogram.bucket(rtt)
        probes.round_trips[name] = probes.round_trips.get(name, 0) + 1
