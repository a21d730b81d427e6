"""What a history comes to: failovers, time online and offline, time and bytes on the metered line.  Pure."""

from __future__ import annotations

from mwan_hook.explain.standings import holds_for
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Status, UplinkState, WayOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.explain.frame import Frame
    from mwan_hook.explain.replay import Played
    from mwan_hook.model import State, Uplink


class LineSum:
    """One uplink in one history."""

    def __init__(self) -> None:
        self.failovers = 0  # the default left it for another one, other than back to a better one
        self.outages = 0  # it went offline in a family
        self.online = 0.0  # seconds, in any family
        self.offline = 0.0
        self.carried = 0.0  # seconds in which it had the default of a family
        self.moved = 0.0  # bytes, both ways


class History:
    """One history: what all uplinks come to, and each."""

    def __init__(self) -> None:
        self.uplinks: dict[str, LineSum] = {}
        self.failovers = 0
        self.without = 0.0  # seconds in which nothing was online
        self.failing = 0.0  # seconds in which the last round of what had the default of a family was bad
        self.metered = 0.0  # seconds in which a metered uplink had the default of a family
        self.metered_names: set[str] = set()  # of uplinks that were metered at any time

    @property
    def metered_bytes(self) -> float:
        """Bytes of metered uplinks, both ways."""
        return sum(self.of(name).moved for name in self.metered_names)

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
            line.online += seconds * online
            line.offline += seconds * (not online and Status.DISABLED not in words)
            line.carried += seconds * (uplink.name in carrying)
            metered = metered or (uplink.config.metered and uplink.name in carrying)
        self.without += seconds * (not any_online)
        self.metered += seconds * metered
        self.failing += seconds * _fails(state)


def _failed_over(uplinks: Sequence[Uplink], before: State, state: State) -> Iterator[str]:
    """The uplinks from which the default of a family went to a lesser one, or to any because they are not online."""
    metrics = {uplink.name: uplink.metric for uplink in uplinks}
    for family in FAMILIES:
        old, new = (each.best.get(family, WayOut()).uplink for each in (before, state))
        if old and new and old != new:
            memory = state.uplinks.get(old, UplinkState()).family(family)
            if memory.status is not Status.ONLINE or metrics.get(new, 0) > metrics.get(old, 0):
                yield old


class Compared(NamedTuple):
    """Two histories of the same time."""

    recorded: History
    replayed: History
    begin: float  # seconds since the epoch
    end: float
    runs: int
    gaps: int  # breaks in the record
    observed: float  # seconds
    unknown: float


class Comparison:
    """Two histories while they are played."""

    def __init__(self) -> None:
        self.recorded, self.replayed = History(), History()
        self._first: Frame | None = None
        self._last: Played | None = None
        self._runs = self._gaps = 0
        self._observed = self._unknown = 0.0
        self._shifts: dict[tuple[str, str], float] = {}  # seconds by who had the default, and who would have had it

    def add(self, one: Played) -> None:
        """Take one more frame."""
        frame = one.frame
        if self._first is None:
            self._first = frame
        elif self._last is not None:
            self._pass(self._last, frame)
        if frame.ran:
            self._runs += 1
            self.recorded.take(frame.uplinks, frame.before, frame.state)
            self.replayed.take(one.uplinks, one.before, one.state)
        if frame.moved:
            self._move(frame)
        self._last = one

    def _pass(self, last: Played, frame: Frame) -> None:
        """The time up to a frame."""
        seconds = (
            max(0.0, frame.now - last.frame.now) if frame.boot == last.frame.boot else frame.wall - last.frame.wall
        )
        if frame.gap or frame.boot != last.frame.boot or seconds > holds_for(last.frame):
            self._gaps += 1
            self._unknown += max(0.0, seconds)
            return
        self._observed += seconds
        self.recorded.last(last.frame.uplinks, last.frame.state, seconds)
        self.replayed.last(last.uplinks, last.state, seconds)
        places = _carrier(last.frame.state), _carrier(last.state)
        self._shifts[places] = self._shifts.get(places, 0.0) + seconds

    def _move(self, frame: Frame) -> None:
        """What was carried since the last sample; what another one would have carried moves with the time."""
        total, seconds = sum(map(sum, frame.moved.values())), sum(self._shifts.values())
        for name, ways in frame.moved.items():
            self.recorded.of(name).moved += sum(ways)
            self.replayed.of(name).moved += sum(ways)
        for (was, would), share in self._shifts.items():
            if was != would and was and would:
                line = self.replayed.of(was)
                shifted = min(line.moved, total * share / seconds)
                line.moved -= shifted
                self.replayed.of(would).moved += shifted
        self._shifts = {}

    def done(self) -> Compared:
        """The two histories."""
        begin = self._first.wall if self._first else 0.0
        end = self._last.frame.wall if self._last else 0.0
        return Compared(self.recorded, self.replayed, begin, end, self._runs, self._gaps, self._observed, self._unknown)


def _fails(state: State) -> bool:
    """Whether a family has its default by an uplink that was not answered last."""
    carrying = [(family, state.uplinks.get(way.uplink)) for family, way in state.best.items()]
    return any(memory is not None and memory.family(family).bad > 0 for family, memory in carrying)


def _carrier(state: State) -> str:
    """The uplink that has the default: of IPv4, else of IPv6."""
    ways = [state.best.get(family, WayOut()).uplink for family in FAMILIES]
    return next(filter(None, ways), "")
