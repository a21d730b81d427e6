"""What is on record judged again, under the recorded configuration or another one.  Pure.

Most of a record are runs in peace, which have counted good rounds and judged nothing else.  They are counted here, too,
where a whole judgement finds nothing to do now and in REST seconds: as in a run, which has this for its short way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mwan_hook.explain import changes
from mwan_hook.explain.changes import Option
from mwan_hook.explain.frame import Frame, Seen
from mwan_hook.explain.judging import Instant, counted, in_peace, judged
from mwan_hook.light import NamedTuple
from mwan_hook.model import LATENCY, Config, Job, Result, State, Status, TargetResult, Transition, Uplink
from mwan_hook.run.rating import turned
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict.facts import probed
from mwan_hook.verdict.rounds import applies, summarise


class Played(NamedTuple):
    """A frame, and what would have followed from it."""

    frame: Frame
    uplinks: tuple[Uplink, ...]  # by preference
    before: State
    state: State
    happened: tuple[Transition, ...]


REST = 300.0
# Events that follow from verdicts; all others (quotas, dials, drains) are facts, and stand as they were told.
JUDGED = frozenset(
    (
        *("online", "offline", "degraded", "full", "portal", "limited", "none", "default-route"),
        *("plugged", "unplugged", "common", "target-ignored", "target-counted"),
    )
)


def played(frames: Iterable[Frame], options: Sequence[Option], hurry: bool) -> Iterator[Played]:
    """Each frame with what follows from it; the same as was told, where there are no ``options``.  Raises ConfigError.

    What follows a break in the record follows from what was stored then.  Without ``hurry`` every run is judged whole.
    """
    other = _Other(options, hurry)
    for frame in frames:
        yield other.play(frame) if options else _as_it_was(frame)


def _as_it_was(frame: Frame) -> Played:
    found = turned(frame.before, frame.state, frame.wall)
    return Played(frame, frame.uplinks, frame.before, frame.state, _with_facts(frame, found))


def _with_facts(frame: Frame, found: tuple[Transition, ...]) -> tuple[Transition, ...]:
    return (*found, *(one for one in frame.happened if one.event not in JUDGED))


class _Other:
    """What happens under another configuration."""

    def __init__(self, options: Sequence[Option], hurry: bool) -> None:
        self._options, self._hurry = options, hurry
        self._last: Frame | None = None
        self._state: State | None = None
        self._uplinks: tuple[Uplink, ...] = ()
        self._config: tuple[Config | None, Config | None] = None, None  # recorded, and as it is changed
        self._seen: tuple[Seen | None, Seen | None] = None, None
        self._rests: tuple[State | None, Seen | None, float] = None, None, 0.0  # until when nothing follows from these

    def play(self, frame: Frame) -> Played:
        """Go on with one more."""
        if self._last is None or self._state is None or not follows(self._last, frame):
            self._state, self._uplinks = frame.before, frame.uplinks
        if not frame.ran:
            return Played(frame, self._uplinks, self._state, self._state, ())
        self._last, before = frame, self._state
        config, seen = self._known(frame)
        state = self._counted(frame, seen, before) if frame.short and self._hurry else None
        if state is not None:
            self._state = state
            return Played(frame, self._uplinks, before, state, ())
        found = _read_anew(frame, seen.uplinks, before)
        verdict = judged(before, config, seen, found, Instant(frame.now, frame.wall))
        self._state, self._uplinks = verdict.state, verdict.uplinks
        if frame.short and self._hurry:
            self._look_ahead(frame, config, seen, verdict.state)
        return Played(frame, verdict.uplinks, before, verdict.state, _with_facts(frame, verdict.happened))

    def _known(self, frame: Frame) -> tuple[Config, Seen]:
        """The configuration, and the facts as they are under it."""
        recorded, config = self._config
        if config is None or recorded is not frame.config:
            config = changes.changed(frame.config, self._options)
            self._config, self._seen = (frame.config, config), (None, None)
        was, seen = self._seen
        if seen is None or was is not frame.seen:
            seen = _under(frame.seen, frame.config, config)
            self._seen = frame.seen, seen
        return config, seen

    def _counted(self, frame: Frame, seen: Seen, before: State) -> State | None:
        """The state where no more than counting follows; None where more may."""
        state, known, until = self._rests
        if state is not before or known is not seen or frame.now >= until or not in_peace(before, frame.rounds):
            return None
        found = _read_anew(frame, seen.uplinks, before)
        after = counted(before, seen, found, frame.now)
        for one in found:
            was, now = (each.uplinks[one.job.uplink].family(one.job.family) for each in (before, after))
            if now.good <= was.good or now.status is not Status.ONLINE:
                return None
        self._rests = after, seen, until
        return after

    def _look_ahead(self, frame: Frame, config: Config, seen: Seen, state: State) -> None:
        """Find out whether nothing follows from a state for a while."""
        later = (judged(state, config, seen, (), Instant(frame.now + wait, frame.wall + wait)) for wait in (0.0, REST))
        if config.routing.prefer != LATENCY and all(one.state == state for one in later):
            self._rests = state, seen, frame.now + REST


def follows(last: Frame, frame: Frame) -> bool:
    """Whether a frame goes on from the one before."""
    return not frame.gap and frame.before == last.state


def _under(seen: Seen, before: Config, config: Config) -> Seen:
    """The facts as they are under another configuration."""
    old = {one.name: one for one in before.uplinks}
    new = {one.name: one for one in config.uplinks}
    uplinks = []
    for uplink in seen.uplinks:
        was, now = old.get(uplink.name, uplink.config), new.get(uplink.name, uplink.config)
        metric, enabled = uplink.metric, uplink.enabled
        if now.metric != was.metric and now.metric is not None and was.metric in (None, metric):
            metric = now.metric  # any other one has been put aside by a quota that is used up
        if now.enabled is not was.enabled and uplink.switched is None:
            enabled = now.enabled
        uplinks.append(uplink._replace(config=now, metric=metric, enabled=enabled))
    return seen._replace(uplinks=tuple(uplinks))


def _read_anew(frame: Frame, uplinks: Sequence[Uplink], state: State) -> list[ProbedRound]:
    """The rounds as these uplinks' configurations read them, summed up again from their answers.

    Those that would not have been made are left out.  ``state``: what is remembered when they are judged.
    """
    old, new = {one.name: one for one in frame.config.uplinks}, {one.name: one for one in uplinks}
    found = []
    for one in frame.rounds:
        uplink, was = new.get(one.job.uplink), old.get(one.job.uplink)
        if uplink is None or was is None or uplink.config.probe == was.probe:
            found.append(one)
        elif uplink.enabled and probed(uplink, one.job.family):
            same = all(getattr(uplink.config.probe, key) == getattr(was.probe, key) for key in ("targets", "required"))
            memory = state.memory(uplink.name).family(one.job.family)
            known = [target.name for target in was.probe.targets]
            again = one if same else _again(one, uplink, known, memory.targets)
            if again is not None and (one.measured is None or uplink.config.probe.measured):
                found.append(again)
    return found


def _again(
    one: ProbedRound, uplink: Uplink, known: Sequence[str], memory: Sequence[TargetResult]
) -> ProbedRound | None:
    """One round; None where nothing is left of it.  ``known``: names of its targets when it was asked."""
    if one.measured is not None or one.witness:
        return one
    own = {target.name: target for target in uplink.config.probe.targets if applies(target, uplink, one.job.family)}
    gone = {name for name in known if name not in own}
    kept = [result for result in one.results if result.job.portal or result.job.target.name not in gone]
    judging = [result for result in kept if result.job.portal or result.job.target.name in own]
    more = [*_remembered(one, uplink, judging, memory)] if one.round.partial else []
    if not any(not result.job.portal for result in (*judging, *more)):
        return None
    seen = summarise([*judging, *more], uplink.config.probe.required)
    seen = seen._replace(
        targets=summarise(judging, 1).targets,
        wire_bytes=one.round.wire_bytes,
        partial=one.round.partial,
        lost=tuple(name for name in one.round.lost if name not in gone),
    )
    return one._replace(round=seen, results=tuple(kept))


def _remembered(
    one: ProbedRound, uplink: Uplink, asked: Sequence[Result], memory: Sequence[TargetResult]
) -> Iterator[Result]:
    """What other targets answered last, where fewer were asked now than must answer."""
    names = {result.job.target.name for result in asked if not result.job.portal}
    lacking = uplink.config.probe.required - len(names)
    last = {known.target: known for known in memory}
    for target in uplink.config.probe.targets:
        known = last.get(target.name)
        if lacking > 0 and known and target.name not in names and applies(target, uplink, one.job.family):
            lacking -= 1
            job: Job = one.job._replace(target=target, portal=False)
            yield Result(job, known.connectivity, known.rtt_ms, known.error)
