"""What is on record judged again, under the recorded configuration or another one.  Pure."""

from __future__ import annotations

from mwan_hook.explain import changes
from mwan_hook.explain.judging import Instant, counted, in_peace, judged
from mwan_hook.explain.rounds import under
from mwan_hook.light import NamedTuple
from mwan_hook.run.rating import turned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.explain.changes import Option
    from mwan_hook.explain.frame import Frame, Seen
    from mwan_hook.model import Config, State, Transition, Uplink


class Played(NamedTuple):
    """A frame, and what would have followed from it."""

    frame: Frame
    uplinks: tuple[Uplink, ...]  # by preference
    before: State
    state: State
    happened: tuple[Transition, ...]


# Events that follow from verdicts; all others (quotas, dials, drains) are facts, and stand as they were told.
JUDGED = frozenset(
    (
        *("online", "offline", "degraded", "full", "portal", "limited", "none", "default-route"),
        *("plugged", "unplugged", "common", "target-ignored", "target-counted"),
    )
)


def played(frames: Iterable[Frame], options: Sequence[Option] = ()) -> Iterator[Played]:
    """Each frame with what follows from it; the same as was told, where there are no ``options``.  Raises ConfigError.

    What happened follows a break in the record from what was stored then.
    """
    if not options:
        yield from (_as_it_was(frame) for frame in frames)
        return
    known: dict[int, tuple[Config, Config]] = {}
    last: Frame | None = None
    state: State | None = None
    uplinks: tuple[Uplink, ...] = ()
    for frame in frames:
        if state is None or last is None or not follows(last, frame):
            state = frame.before
        _, config = known.get(id(frame.config), (None, None))
        if config is None:  # the first is kept so that no other one gets its number
            config = changes.changed(frame.config, options)
            known[id(frame.config)] = frame.config, config
        if not frame.ran:
            yield Played(frame, uplinks or frame.uplinks, state, state, ())
            continue
        one = _under(frame, config, state, uplinks)
        last, state, uplinks = frame, one.state, one.uplinks
        yield one


def follows(last: Frame, frame: Frame) -> bool:
    """Whether a frame goes on from the one before."""
    return not frame.gap and frame.before == last.state


def _as_it_was(frame: Frame) -> Played:
    found = turned(frame.before, frame.state, frame.wall)
    return Played(frame, frame.uplinks, frame.before, frame.state, _with_facts(frame, found))


def _differs(frame: Frame, config: Config) -> bool:
    """Whether any uplink of the rounds is judged in another way."""
    old, new = ({uplink.name: uplink.probe for uplink in one.uplinks} for one in (frame.config, config))
    return any(old[one.job.uplink] != new[one.job.uplink] for one in frame.rounds)


def _under(frame: Frame, config: Config, state: State, uplinks: tuple[Uplink, ...]) -> Played:
    seen = _seen(frame.seen, frame.config, config)
    if frame.short and not _differs(frame, config) and in_peace(state, frame.rounds):
        state_then = counted(state, seen, frame.rounds, frame.now)
        return Played(frame, uplinks, state, state_then, ())
    found = under(frame.rounds, frame.config, seen.uplinks, state)
    verdict = judged(state, config, seen, found, Instant(frame.now, frame.wall))
    return Played(frame, verdict.uplinks, state, verdict.state, _with_facts(frame, verdict.happened))


def _with_facts(frame: Frame, found: tuple[Transition, ...]) -> tuple[Transition, ...]:
    return (*found, *(one for one in frame.happened if one.event not in JUDGED))


def _seen(seen: Seen, before: Config, config: Config) -> Seen:
    """The facts as they are under another configuration."""
    old = {one.name: one for one in before.uplinks}
    new = {one.name: one for one in config.uplinks}
    uplinks = []
    for uplink in seen.uplinks:
        was, now = old.get(uplink.name, uplink.config), new.get(uplink.name, uplink.config)
        metric, enabled = uplink.metric, uplink.enabled
        if now.metric != was.metric and now.metric is not None and metric in (was.metric, _found(was.metric, metric)):
            metric = now.metric
        if now.enabled is not was.enabled and uplink.switched is None:
            enabled = now.enabled
        uplinks.append(uplink._replace(config=now, metric=metric, enabled=enabled))
    return seen._replace(uplinks=tuple(uplinks))


def _found(configured: int | None, metric: int) -> int | None:
    """The metric of an uplink whose route gave it; a quota that is used up has put any other one aside."""
    return metric if configured is None else None
