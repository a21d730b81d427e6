"""One look at everything a run decides from, and what it decides.  Takes no lock and changes nothing."""

from __future__ import annotations

from mwan_hook.model import (
    FAMILIES,
    LATENCY,
    LOCAL_TABLE,
    Connectivity,
    Family,
    Snapshot,
    State,
    Status,
    Sysctl,
    Uplink,
    UplinkState,
    WayOut,
)
from mwan_hook.routing import former
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.plan import plan
from mwan_hook.routing.rules import needs_copies
from mwan_hook.run.scene import Judged, ProbedRound, Scene, limited
from mwan_hook.verdict.decide import judge_round, updated, with_only_way
from mwan_hook.verdict.events import counted
from mwan_hook.verdict.facts import another_online, fits, judge_uplink, with_sources
from mwan_hook.verdict.schedule import interval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from mwan_hook.model import FamilyState, Usage


def _beside_others(uplinks: Sequence[Uplink], snapshot: Snapshot) -> bool:
    """Whether other programs have rules besides those of local addresses, or routes that tell of a tunnel or a line."""
    tabled = any(rule.table != LOCAL_TABLE for rule in snapshot.foreign_rules)
    return bool(tabled or snapshot.pieces or snapshot.hosts) or _has_spares(uplinks, snapshot)


def _has_spares(uplinks: Sequence[Uplink], snapshot: Snapshot) -> bool:
    """Whether a default of main leads by an interface that is no uplink."""
    ours = {uplink.index for uplink in uplinks}
    return any(hop.index not in ours for route in snapshot.defaults for hop in route.nexthops)


def judge(
    seen: Scene,
    rounds: Sequence[ProbedRound] = (),
    asked: frozenset[str] = frozenset(),
    earlier: Judged | None = None,
) -> Judged:
    """Facts, then rounds, then what should be in the kernel and what is to do about it.  Pure.

    ``asked``: interfaces that an event named; they are due in the next probing, which may be another run's.
    ``earlier``: what this run judged before; where the same follows, it is not worked out again.
    """
    seen, usage = _with_usage(seen)
    ignored, rounds = settled(seen, rounds)
    memories = verdicts(seen, rounds, asked)
    memories = {name: counted(seen.state.uplinks.get(name, UplinkState()), one) for name, one in memories.items()}
    for uplink in seen.uplinks:
        memories[uplink.name] = with_sources(memories[uplink.name], uplink)
    if seen.config.routing.prefer == LATENCY or _is_any_degraded(memories):
        from mwan_hook.run import preferring

        seen, memories = preferring.preferred(seen, memories)
    drains = dict(seen.bound.drains)
    state = seen.state._replace(uplinks=memories, config=seen.fingerprint, usage=usage, drains=drains, ignored=ignored)
    if state.dark or state.dark_since or not any(map(_lives, memories.values())):
        from mwan_hook.verdict import dark

        state = dark.darkened(state, seen.uplinks, seen.now)
    basis = at_rest(state)
    same = earlier is not None and _is_same(earlier, seen, basis)
    desired = earlier.desired if earlier and same else _desired(seen, state)
    if seen.snapshot.pool:
        from mwan_hook.routing import nexthops

        state = nexthops.remembered(state, seen.snapshot.pool, desired.objects)
    state = _remembered(state, seen, desired)
    if _turned(seen.state, state):
        state = state._replace(follow_at=seen.now)
    changes = () if same else plan(seen.config.routing, desired, seen.snapshot)
    if seen.snapshot.firewall is None:
        return _followed(Judged(seen, state, desired, changes, basis=basis))
    from mwan_hook.firewall import table

    there, known = seen.snapshot.firewall, seen.state.firewall
    commands = table.wanted(seen.config, seen.uplinks, state, seen.snapshot, seen.bound.policies)
    deprecated = table.deprecated(seen.config, seen.uplinks, state, seen.snapshot)
    state = state._replace(firewall=table.remembered(commands, there, known))
    changes = (*changes, *table.difference(commands, there, known))
    return _followed(Judged(seen, state, desired, changes, deprecated, basis=basis))


def _followed(judged: Judged) -> Judged:
    if judged.scene.snapshot.paths is None:
        return judged
    from mwan_hook.run import follow_endpoints

    return follow_endpoints.at_once(judged)


def _turned(before: State, now: State) -> bool:
    """Whether connections are to be looked after: a verdict, a way, the best one or the configuration has changed."""
    if before.best != now.best or before.config != now.config:
        return True
    known = before.uplinks
    return any(name not in known or _standing(known[name]) != _standing(one) for name, one in now.uplinks.items())


def _standing(one: UplinkState) -> tuple[object, ...]:
    four, six = one.ipv4, one.ipv6
    return four.status, four.way, four.sources, six.status, six.way, six.sources


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


def at_rest(state: State) -> State:
    """A state without what a good round in peace moves: where two are equal the same kernel follows from them."""
    uplinks = {
        name: one._replace(ipv4=_resting(one.ipv4), ipv6=_resting(one.ipv6)) for name, one in state.uplinks.items()
    }
    return state._replace(uplinks=uplinks, saved_at=0.0, saved_wall=0.0, run_seconds=0.0)


def _resting(memory: FamilyState) -> FamilyState:
    """A memory without what a good round in peace moves: no route, rule or setting follows from that."""
    if not memory.good or memory.probed_at is None:
        return memory
    return memory._replace(
        good=1,
        portal_at=None,
        probed_at=0.0,
        next_probe_at=0.0,
        latency_ms=None,
        srtt_ms=None,
        probe_bytes=0,
        targets=(),
        rounds=0,
        reason="",
        evidence=None,
    )


def _is_same(earlier: Judged, seen: Scene, basis: State) -> bool:
    """Whether nothing was to do, and nothing that this was found from has changed."""
    before = earlier.scene
    same = before.snapshot is seen.snapshot and before.bound is seen.bound and before.config is seen.config
    return same and not earlier.changes and earlier.basis == basis


def _desired(seen: Scene, state: State) -> Desired:
    """What should be in the kernel, beside what others have there."""
    desired = desire(seen.config, seen.uplinks, state, seen.snapshot)
    if seen.bound.policies:
        from mwan_hook.policy import policies

        desired = policies.with_policies(desired, seen.bound.policies, seen.config.routing, state, seen.snapshot)
    if _beside_others(seen.uplinks, seen.snapshot):
        from mwan_hook.others import tunnels

        desired = tunnels.with_tunnels(desired, seen.config, seen.uplinks, seen.snapshot)
    if seen.snapshot.claims or seen.snapshot.inside:
        from mwan_hook.others import claims

        desired = claims.beside_claims(desired, seen.config, seen.uplinks, seen.snapshot)
    if needs_copies(seen.snapshot):
        from mwan_hook.others import ahead

        desired = ahead.with_copies(desired, seen.config.routing, seen.snapshot)
    if seen.snapshot.pool:
        from mwan_hook.routing import nexthops

        desired = nexthops.with_groups(desired, seen.uplinks, seen.snapshot)
    return desired


def verdicts(seen: Scene, rounds: Sequence[ProbedRound], asked: frozenset[str]) -> dict[str, UplinkState]:
    """The memory of each uplink after the facts and ``rounds``; in each family something is online if anything can be.

    Pure.
    """
    dialled = seen.dialled
    memories = {
        uplink.name: judge_uplink(
            seen.state.uplinks.get(uplink.name, UplinkState()), uplink, seen.now, uplink.name in dialled
        )
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
            memories[uplink.name] = _with_round(memories, uplink, one, seen.now, seen.bound.drains)
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


def _with_round(
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


def _remembered(state: State, seen: Scene, desired: Desired) -> State:
    """The parts of the state that follow from the desired kernel."""
    tables = {uplink.table for uplink in seen.uplinks if uplink.present}
    tables |= {seen.config.routing.default_table, *seen.bound.policy_tables}
    tables |= {route.table for route in desired.policies}
    return state._replace(
        last_online={**state.last_online, **{family: names for family, names in desired.online.items() if names}},
        best={family: _way_out(seen.uplinks, family, names) for family, names in desired.online.items()},
        tables=tuple(sorted(tables)),
        sysctls=_originals(state, seen.snapshot, desired),
        foreign=desired.foreign,
        protocols=former.protocols_to_remember(state, seen.snapshot),
        delegated=seen.snapshot.delegated,
        warnings=(*seen.bound.told, *desired.notes),
        turns=dict(seen.bound.turns),
        elsewhere=tuple(sorted({route.table for route in seen.snapshot.elsewhere})),
    )


def _way_out(uplinks: Sequence[Uplink], family: Family, names: Sequence[str]) -> WayOut:
    for uplink in uplinks:
        if names and uplink.name == names[0]:
            way = uplink.way(family)
            return WayOut(uplink.name, uplink.interface, way.source, way.gateway or "")
    return WayOut()


def _originals(state: State, snapshot: Snapshot, desired: Desired) -> tuple[Sysctl, ...]:
    """Values from before us, until they are back or the interface is gone."""
    before = {old.key: old.value for old in former.after_renames(state.sysctls, snapshot.links)}
    current = {found.key: found for found in snapshot.sysctls}
    changed = [current[want.key] for want in desired.sysctls if want.key in current]
    missing = [old for old in desired.originals if current.get(old.key, old).value != old.value]
    return (*(found._replace(value=before.get(found.key, found.value)) for found in changed), *missing)
