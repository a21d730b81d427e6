"""What a history comes to: failovers, time online and offline, time and bytes on the metered line.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mwan_hook.explain.frame import Frame
from mwan_hook.explain.replay import Played
from mwan_hook.explain.standings import holds_for
from mwan_hook.model import FAMILIES, State, Status, Uplink, WayOut


class LineSum:
    """One uplink in one history."""

    def __init__(self) -> None:
        self.failovers = 0  # the default left it for another one, other than back to a better one
        self.outages = 0  # it went offline in a family
        self.online_seconds = 0.0  # in any family
        self.offline_seconds = 0.0
        self.default_seconds = 0.0  # in which it had the default of a family
        self.bytes = 0.0  # both ways


class History:
    """One history: what all uplinks come to, and each."""

    def __init__(self) -> None:
        self.uplinks: dict[str, LineSum] = {}
        self.failovers = 0
        self.nothing_online_seconds = 0.0
        self.failing_default_seconds = 0.0  # in which the last round of what had the default of a family was bad
        self.metered_seconds = 0.0  # in which a metered uplink had the default of a family
        self.metered_names: set[str] = set()  # of uplinks that were metered at any time

    @property
    def metered_bytes(self) -> float:
        """Bytes of metered uplinks, both ways."""
        return sum(self.of(name).bytes for name in self.metered_names)

    def of(self, name: str) -> LineSum:
        """One uplink's."""
        return self.uplinks.setdefault(name, LineSum())

    def take(self, uplinks: Sequence[Uplink], before: State, state: State) -> None:
        """What turned in one run."""
        self.metered_names |= {uplink.name for uplink in uplinks if uplink.config.metered}
        for uplink in uplinks:
            line = self.of(uplink.name)
            was, now = before.uplinks.get(uplink.name), state.uplinks.get(uplink.name)
            for family in FAMILIES if was and now else ():
                if was and now and was.family(family).status is Status.ONLINE:
                    line.outages += now.family(family).status is Status.OFFLINE
        for old in _failed_over(uplinks, before, state):
            self.failovers += 1
            self.of(old).failovers += 1

    def last(self, uplinks: Iterable[Uplink], state: State, seconds: float) -> None:
        """How it stood for a while."""
        carrying = {way.uplink for way in state.best.values() if way.uplink}
        any_online, metered = False, False
        for uplink in uplinks:
            line, memory = self.of(uplink.name), state.uplinks.get(uplink.name)
            words = [memory.family(family).status for family in FAMILIES] if memory else []
            online = Status.ONLINE in words
            any_online = any_online or online
            line.online_seconds += seconds * online
            line.offline_seconds += seconds * (not online and Status.DISABLED not in words)
            line.default_seconds += seconds * (uplink.name in carrying)
            metered = metered or (uplink.config.metered and uplink.name in carrying)
        self.nothing_online_seconds += seconds * (not any_online)
        self.metered_seconds += seconds * metered
        self.failing_default_seconds += seconds * _fails(state)


def _failed_over(uplinks: Sequence[Uplink], before: State, state: State) -> Iterator[str]:
    """The uplinks from which the default of a family went to a lesser one, or to any because they are not online."""
    metrics = {uplink.name: uplink.metric for uplink in uplinks}
    for family in FAMILIES:
        old, new = (each.best.get(family, WayOut()).uplink for each in (before, state))
        if old and new and old != new:
            memory = state.memory(old).family(family)
            if memory.status is not Status.ONLINE or metrics.get(new, 0) > metrics.get(old, 0):
                yield old


class Comparison:
    """Two histories of the same time."""

    def __init__(self) -> None:
        self.recorded, self.replayed = History(), History()
        self.begin = self.end = 0.0  # seconds since the epoch
        self.runs = self.gaps = 0  # gaps: breaks in the record
        self.observed = self.unknown = 0.0  # seconds
        self._last: Played | None = None
        self._shifts: dict[tuple[str, str], float] = {}  # seconds by who had the default, and who would have had it

    def add(self, one: Played) -> None:
        """Take one more frame."""
        frame = one.frame
        if self._last is None:
            self.begin = frame.wall
        else:
            self._pass(self._last, frame)
        if frame.ran:
            self.runs += 1
            self.recorded.take(frame.uplinks, frame.before, frame.state)
            self.replayed.take(one.uplinks, one.before, one.state)
        if frame.moved:
            self._move(frame)
        self._last, self.end = one, frame.wall

    def _pass(self, last: Played, frame: Frame) -> None:
        """The time up to a frame."""
        seconds = (
            max(0.0, frame.now - last.frame.now) if frame.boot == last.frame.boot else frame.wall - last.frame.wall
        )
        if frame.gap or frame.boot != last.frame.boot or seconds > holds_for(last.frame):
            self.gaps += 1
            self.unknown += max(0.0, seconds)
            return
        self.observed += seconds
        self.recorded.last(last.frame.uplinks, last.frame.state, seconds)
        self.replayed.last(last.uplinks, last.state, seconds)
        places = _carrier(last.frame.state), _carrier(last.state)
        self._shifts[places] = self._shifts.get(places, 0.0) + seconds

    def _move(self, frame: Frame) -> None:
        """What was carried since the last sample; what another one would have carried moves with the time."""
        total, seconds = sum(map(sum, frame.moved.values())), sum(self._shifts.values())
        for name, ways in frame.moved.items():
            self.recorded.of(name).bytes += sum(ways)
            self.replayed.of(name).bytes += sum(ways)
        for (was, would), share in self._shifts.items():
            if was != would and was and would:
                line = self.replayed.of(was)
                shifted = min(line.bytes, total * share / seconds)
                line.bytes -= shifted
                self.replayed.of(would).bytes += shifted
        self._shifts = {}


def _fails(state: State) -> bool:
    """Whether a family has its default by an uplink that was not answered last."""
    carrying = [(family, state.uplinks.get(way.uplink)) for family, way in state.best.items()]
    return any(memory is not None and memory.family(family).bad > 0 for family, memory in carrying)


def _carrier(state: State) -> str:
    """The uplink that has the default: of IPv4, else of IPv6."""
    ways = [state.best.get(family, WayOut()).uplink for family in FAMILIES]
    return next(filter(None, ways), "")
