"""One look at everything a run decides from, and what it decides.  Takes no lock and changes nothing."""

from __future__ import annotations

from mwan_hook.model import LOCAL_TABLE, Snapshot, State, Sysctl, Uplink, UplinkState
from mwan_hook.routing import former
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.plan import plan
from mwan_hook.routing.rules import needs_copies
from mwan_hook.run.rating import rated
from mwan_hook.run.scene import Judged, ProbedRound, Scene
from mwan_hook.verdict.standing import with_ways_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import FamilyState


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
    seen, state = rated(seen, rounds, asked)
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
    return four.status, four.way, four.sources, four.degraded, six.status, six.way, six.sources, six.degraded


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


def _remembered(state: State, seen: Scene, desired: Desired) -> State:
    """The parts of the state that follow from the desired kernel."""
    tables = {uplink.table for uplink in seen.uplinks if uplink.present}
    tables |= {seen.config.routing.default_table, *seen.bound.policy_tables}
    tables |= {route.table for route in desired.policies}
    return with_ways_out(state, seen.uplinks, desired.online)._replace(
        tables=tuple(sorted(tables)),
        sysctls=_originals(state, seen.snapshot, desired),
        foreign=desired.foreign,
        protocols=former.protocols_to_remember(state, seen.snapshot),
        delegated=seen.snapshot.delegated,
        warnings=(*seen.bound.told, *desired.notes),
        turns=dict(seen.bound.turns),
        elsewhere=tuple(sorted({route.table for route in seen.snapshot.elsewhere})),
    )


def _originals(state: State, snapshot: Snapshot, desired: Desired) -> tuple[Sysctl, ...]:
    """Values from before us, until they are back or the interface is gone."""
    before = {old.key: old.value for old in former.after_renames(state.sysctls, snapshot.links)}
    current = {found.key: found for found in snapshot.sysctls}
    changed = [current[want.key] for want in desired.sysctls if want.key in current]
    missing = [old for old in desired.originals if current.get(old.key, old).value != old.value]
    return (*(found._replace(value=before.get(found.key, found.value)) for found in changed), *missing)
