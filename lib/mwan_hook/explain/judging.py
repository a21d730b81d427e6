"""One run judged again from what it saw, without a kernel.  Pure."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Activation, Allotment, Config, Snapshot, State, Status, turn_key
from mwan_hook.routing.uplinks import Bound
from mwan_hook.run.rating import turned, weighed, with_round
from mwan_hook.run.scene import ProbedRound, Scene
from mwan_hook.verdict.schedule import is_steady
from mwan_hook.verdict.standing import open_to_new, with_ways_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.explain.frame import Seen
    from mwan_hook.model import Transition, Uplink

_OURS = Activation(ours=True)


class Instant(NamedTuple):
    """When it was."""

    now: float  # CLOCK_BOOTTIME seconds
    wall: float  # seconds since the epoch


class Verdict(NamedTuple):
    """What follows."""

    uplinks: tuple[Uplink, ...]  # by preference
    state: State
    happened: tuple[Transition, ...]  # that follow from verdicts


def judged(before: State, config: Config, seen: Seen, rounds: Sequence[ProbedRound], at: Instant) -> Verdict:
    """What a run makes of what it saw."""
    scene = scene_of(before, config, seen, at)
    scene, state = weighed(scene, rounds, frozenset(seen.asked))
    state = with_ways_out(state, scene.uplinks, open_to_new(seen.families, scene.uplinks, state))
    state = _worded(before, state, seen.reasons) if seen.reasons else state
    return Verdict(scene.uplinks, state, turned(before, state, at.wall))


def counted(before: State, seen: Seen, rounds: Sequence[ProbedRound], now: float) -> State:
    """What a run by the short way leaves: its rounds, all of them good, are counted, and nothing else is judged."""
    memories, uplinks = {**before.uplinks}, {uplink.name: uplink for uplink in seen.uplinks}
    for one in rounds:
        memories[one.job.uplink] = with_round(memories, uplinks[one.job.uplink], one, now, seen.drains)
    return before._replace(uplinks=memories)


def in_peace(before: State, rounds: Sequence[ProbedRound]) -> bool:
    """Whether good rounds find all that was asked in peace: they are no more than counted then."""
    found = [before.memory(one.job.uplink).family(one.job.family) for one in rounds]
    return all(map(is_steady, found))


def scene_of(before: State, config: Config, seen: Seen, at: Instant) -> Scene:
    """What the run looked at, as far as verdicts follow from it."""
    dials = dict.fromkeys(seen.dialled, _OURS)
    state = before._replace(dials=dials)
    bound = Bound(seen.uplinks, Allotment(), drains=seen.drains)
    snapshot, fingerprint = Snapshot(families=seen.families), before.config
    return Scene("", config, fingerprint, state, bound.allotment, bound, snapshot, at.now, at.wall, tally=seen.counters)


def _worded(before: State, state: State, reasons: dict[str, str]) -> State:
    """The state in which uplinks that went because they were hung up say so."""
    memories = {**state.uplinks}
    for name, memory in state.uplinks.items():
        for family in FAMILIES:
            words, one = reasons.get(turn_key(name, family)), memory.family(family)
            old = before.uplinks.get(name)
            if words and old and one.status is Status.OFFLINE and old.family(family).status is Status.ONLINE:
                memories[name] = memories[name].with_family(family, one._replace(reason=words))
    return state._replace(uplinks=memories)


def verdicts_of(state: State) -> State:
    """What verdicts are made from, and what follows from them, of a stored state."""
    return State(
        state.boot_id,
        state.uplinks,
        state.last_online,
        state.best,
        dials={name: _OURS for name, one in state.dials.items() if one.ours},
        drains=state.drains,
        ignored=state.ignored,
        dark_since=state.dark_since,
        dark=state.dark,
        light_at=state.light_at,
    )
