"""The past of a machine, one run after the other: each judged again on the state that the one before it led to."""

from __future__ import annotations

from mwan_hook.explain.frame import Frame, Seen
from mwan_hook.explain.judging import Instant, Verdict, counted, judged, verdicts_of
from mwan_hook.explain.recorded import config_of, rounds_of, seen_in, seen_of
from mwan_hook.model import BaseRecord, BytesRecord, Config, ConfigRecord, FactsRecord, RunRecord, State, Uplink
from mwan_hook.store import recording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.run.scene import ProbedRound
    from mwan_hook.store.recording import Record

LONGEST = 1000.0  # seconds of a segment: one that began so long before what is asked for has nothing of it


def frames(root: str, since: float, until: float) -> Iterator[Frame]:
    """All that is recorded between two moments, seconds since the epoch, the oldest first.  Raises MwanError."""
    for frame in frames_of(recording.read(root, since - LONGEST), since):
        if since <= frame.wall <= until:  # a clock that was wrong for a while ends nothing
            yield frame


def frames_of(records: Iterable[Record], since: float = float("-inf")) -> Iterator[Frame]:
    """A frame of each run and of each sample of counters.

    Segments that end before ``since``, seconds since the epoch, are left out.
    """
    chain = _Chain(since)
    for record in records:
        found = chain.add(record)
        if found is not None:
            yield found


class _Chain:
    """What is known on the way."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.config: ConfigRecord | None = None
        self.looked: tuple[FactsRecord, ConfigRecord] | None = None
        self.base: BaseRecord | None = None  # of the segment
        self.whole = False  # whether the segment can be played up to here
        self.last: Frame | None = None
        self.reached = ("", 0.0)  # boot and time of the last run on record
        self.state = State()
        self.gap = True
        self.known = Config()
        self.uplinks: dict[str, Uplink] = {}
        self.seen = Seen()
        self.sample: BytesRecord | None = None

    def add(self, record: Record) -> Frame | None:
        """Take one more; the frame of it, if it makes one."""
        if isinstance(record, RunRecord):
            return self._run(record)
        if isinstance(record, BytesRecord):
            return self._bytes(record)
        if isinstance(record, BaseRecord):
            self._begin(record)
        elif isinstance(record, ConfigRecord):
            if record != self.config:
                self.known = config_of(record)
            self.config, self.whole = record, False
        elif self.config is not None:
            self._look(record, self.config)
        return None

    def _look(self, facts: FactsRecord, config: ConfigRecord) -> None:
        """Know these facts; values of earlier ones stay where they are the same."""
        if self.looked != (facts, config):
            self.looked = facts, config
            self.seen = seen_of(facts, config)
            self.uplinks = {uplink.name: uplink for uplink in self.seen.uplinks}

    def _begin(self, base: BaseRecord) -> None:
        """A segment goes on from what came before it, unless the state says otherwise."""
        self.base, self.whole = base, base.wall >= self.since - LONGEST
        if not self.whole:
            self.last = None
            return
        state, last = verdicts_of(base.state._replace(boot_id=base.boot)), self.last
        if last is None or last.boot != base.boot or not alike(last.state, state):
            self.state = state
            self.gap = self.reached != (base.boot, base.after)

    def _run(self, run: RunRecord) -> Frame | None:
        self.reached = (run.at.boot, run.at.now)
        if not self.whole or self.looked is None or self.base is None:
            return None
        facts, config = self.looked
        if (run.at.config, run.at.facts, run.at.base) != (config.id, facts.id, self.base.now):
            self.whole = False  # a record between is lost
            return None
        seen = seen_in(run, self.seen)
        rounds = rounds_of(run.rounds, self.uplinks)
        verdict = self._verdict(run, seen, rounds)
        self.last = Frame(
            run.at.wall,
            run.at.now,
            run.at.boot,
            self.known,
            verdict.uplinks,
            self.state,
            verdict.state,
            rounds,
            run.happened,
            self.gap,
            seen=seen,
            short=run.short,
        )
        self.state, self.gap = verdict.state, False
        return self.last

    def _verdict(self, run: RunRecord, seen: Seen, rounds: Sequence[ProbedRound]) -> Verdict:
        if not run.short or self.last is None:
            return judged(self.state, self.known, seen, rounds, Instant(run.at.now, run.at.wall))
        return Verdict(self.last.uplinks, counted(self.state, seen, rounds, run.at.now), ())

    def _bytes(self, record: BytesRecord) -> Frame | None:
        before, self.sample = self.sample, record
        last = self.last
        if last is None or last.boot != record.boot:
            return None
        return last._replace(
            wall=record.wall,
            now=record.now,
            before=last.state,
            rounds=(),
            happened=(),
            gap=False,
            moved=_moved(before, record) if before else {},
            ran=False,
        )


def _moved(before: BytesRecord, record: BytesRecord) -> dict[str, tuple[int, int]]:
    """Bytes since the sample before: counters begin anew with each interface, and in each boot."""
    found = {}
    for name, (index, received, sent) in record.carried.items():
        old, was_in, was_out = before.carried.get(name, (index, 0, 0))
        same = before.boot == record.boot and old == index and received >= was_in and sent >= was_out
        found[name] = (received - was_in, sent - was_out) if same else (received, sent)
    return found


def alike(one: State, other: State) -> bool:
    """Whether the same verdicts follow from both: what became of sockets since is no part of that."""
    return _apart(one) == _apart(other)


def _apart(state: State) -> State:
    uplinks = {
        name: memory._replace(
            ipv4=memory.ipv4._replace(ended_at=None, aborted=0), ipv6=memory.ipv6._replace(ended_at=None, aborted=0)
        )
        for name, memory in state.uplinks.items()
    }
    return state._replace(uplinks=uplinks, dials={}, drains={})
