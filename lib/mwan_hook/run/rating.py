"""What a run thinks of the uplinks: facts, then rounds, then who is preferred.  The kernel's part is `judge`'s."""

from __future__ import annotations

from mwan_hook.model import FAMILIES, LATENCY, Connectivity, State, Status, Uplink, UplinkState
from mwan_hook.run.scene import ProbedRound, Scene, limited
from mwan_hook.verdict.decide import judge_round, updated, with_only_way
from mwan_hook.verdict.events import counted, transitions
from mwan_hook.verdict.facts import fits, judge_uplink, with_sources
from mwan_hook.verdict.schedule import interval
from mwan_hook.verdict.standing import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from mwan_hook.model import Transition, Usage


def rated(seen: Scene, rounds: Sequence[ProbedRound], asked: frozenset[str]) -> tuple[Scene, State]:
    """The scene with the uplinks by preference, and the state with their verdicts.  Pure.

    ``asked``: interfaces that an event named.
    """
    seen, usage = _with_usage(seen)
    seen, state = weighed(seen, rounds, asked)
    return seen, state._replace(usage=usage)


def weighed(seen: Scene, rounds: Sequence[ProbedRound], asked: frozenset[str]) -> tuple[Scene, State]:
    """The same where quotas have been counted already.  All that it looks at is on record (model.recording).  Pure."""
    ignored, rounds = settled(seen, rounds)
    memories = verdicts(seen, rounds, asked)
    memories = {name: counted(seen.state.memory(name), one) for name, one in memories.items()}
    for uplink in seen.uplinks:
        memories[uplink.name] = with_sources(memories[uplink.name], uplink)
    if seen.config.routing.prefer == LATENCY or _is_any_degraded(memories):
        seen, memories = _preferred(seen, memories)
    drains = dict(seen.bound.drains)
    state = seen.state._replace(uplinks=memories, config=seen.fingerprint, drains=drains, ignored=ignored)
    if state.dark or state.dark_since or not any(map(_lives, memories.values())):
        from mwan_hook.verdict import dark

        state = dark.darkened(state, seen.uplinks, seen.now)
    return seen, state


def _preferred(seen: Scene, memories: dict[str, UplinkState]) -> tuple[Scene, dict[str, UplinkState]]:
    """The scene with the places that measuring leaves uplinks in each family, and the memories of who leads."""
    from mwan_hook.verdict import leading

    uplinks = leading.demoted(seen.uplinks, memories)
    if seen.config.routing.prefer == LATENCY:
        memories = leading.led(uplinks, memories, seen.now)
        uplinks = leading.behind_leaders(uplinks, memories)
    if uplinks == seen.uplinks:
        return seen, memories
    bound = seen.bound._replace(uplinks=uplinks)
    if bound.policies:
        from mwan_hook.policy import policies

        bound = bound._replace(policies=policies.reordered(bound.policies, uplinks, uplinks))
    return seen._replace(bound=bound, unplaced=seen.uplinks), memories


def turned(before: State, after: State, wall: float) -> tuple[Transition, ...]:
    """The transitions that follow from verdicts, in the order in which they are told.  ``wall``: since the epoch."""
    found = transitions(before, after, wall)
    if before.best != after.best:
        from mwan_hook.verdict.notices import ways_out

        found += ways_out(before, after, wall)
    if after.ignored != before.ignored or after.dark_since != before.dark_since:
        from mwan_hook.verdict import dark

        found += dark.transitions(before, after, wall)
    return found


def settled(seen: Scene, rounds: Sequence[ProbedRound]) -> tuple[dict[str, float], Sequence[ProbedRound]]:
    """Which targets are ignored after these rounds, because they are dead behind every uplink; and rounds without."""
    if seen.tally is None:
        return _settled(seen, rounds)
    from mwan_hook.run import evidence

    ignored, rounds = _settled(seen, rounds)
    return ignored, [evidence.decided(seen.state, one, ignored) for one in rounds]


def _settled(seen: Scene, rounds: Sequence[ProbedRound]) -> tuple[dict[str, float], Sequence[ProbedRound]]:
    good = all(one.connectivity is Connectivity.FULL for asked in rounds for one in asked.round.targets)
    if good and not seen.state.ignored:
        return {}, rounds
    from mwan_hook.run import common

    return common.settled(seen, rounds)


def _is_any_degraded(memories: Mapping[str, UplinkState]) -> bool:
    return any(one.ipv4.degraded or one.ipv6.degraded for one in memories.values())


def _lives(memory: UplinkState) -> bool:
    """Whether a probe says so."""
    return any(one.status is Status.ONLINE and not one.by_facts for one in (memory.ipv4, memory.ipv6))


def verdicts(seen: Scene, rounds: Sequence[ProbedRound], asked: frozenset[str]) -> dict[str, UplinkState]:
    """The memory of each uplink after the facts and ``rounds``; in each family something is online if anything can be.

    Pure.
    """
    dialled = seen.dialled
    memories = {
        uplink.name: judge_uplink(seen.state.memory(uplink.name), uplink, seen.now, uplink.name in dialled)
        for uplink in seen.uplinks
    }
    for named in seen.uplinks:
        if named.interface in asked and not rounds:
            memories[named.name] = _due_now(memories[named.name])
    if seen.tally is not None:
        from mwan_hook.run import evidence

        memories = evidence.noted(seen, memories, rounds)
    by_name = {uplink.name: uplink for uplink in seen.uplinks}
    if seen.state.dark:
        from mwan_hook.verdict import dark

        memories = dark.unturned(memories, seen.state.dark, {})
    for one in rounds:
        uplink = by_name.get(one.job.uplink)
        if uplink and fits(one.job, uplink):
            memories[uplink.name] = with_round(memories, uplink, one, seen.now, seen.bound.drains)
            if seen.tally is not None:
                memories[uplink.name] = evidence.closed(seen, uplink, one, memories[uplink.name])
    if seen.state.dark:
        memories = dark.unturned(memories, seen.state.dark, seen.state.uplinks)
    memories = with_only_way(memories, seen.uplinks, seen.now)
    if _is_any_degraded(memories):
        from mwan_hook.verdict import quality

        memories = quality.put_aside(memories, seen.uplinks, seen.now)
    if all(memories[uplink.name].family(family).known for uplink in seen.uplinks for family in FAMILIES):
        return memories
    from mwan_hook.verdict.firstsight import known

    return known(memories, seen.uplinks, seen.now)


def _with_usage(seen: Scene) -> tuple[Scene, dict[str, Usage]]:
    """What was carried; an uplink beyond its quota is preferred to none, also where one has to stand in."""
    if not limited(seen):
        return seen, {}
    from mwan_hook.run import metering

    return metering.counted(seen)


def _due_now(memory: UplinkState) -> UplinkState:
    return memory._replace(ipv4=memory.ipv4._replace(next_probe_at=None), ipv6=memory.ipv6._replace(next_probe_at=None))


def with_round(
    memories: Mapping[str, UplinkState], uplink: Uplink, one: ProbedRound, now: float, drained: Container[str]
) -> UplinkState:
    memory, config, family = memories[uplink.name], uplink.config, one.job.family
    if one.measured is not None:
        from mwan_hook.verdict import quality

        return memory.with_family(family, quality.judged(memory.family(family), one.measured, config.probe, now))
    before = memory.family(family)
    if one.witness:
        from mwan_hook.verdict import common

        return memory.with_family(family, common.noted(before, one.round, config.probe))
    every = interval(config, another_online(memories, uplink.name, drained))
    seen = one.round._replace(targets=updated(before.targets, one.round.targets)) if one.round.partial else one.round
    return memory.with_family(family, judge_round(before, seen, config.probe, now, begun=one.begun, every=every))
