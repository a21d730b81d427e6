"""One look at everything a run decides from, and what it decides.  Takes no lock and changes nothing."""

from __future__ import annotations

import time

from mwan_hook.config import for_interface
from mwan_hook.kernel.reader import Reader
from mwan_hook.light import NamedTuple
from mwan_hook.machine import networkd
from mwan_hook.model import (
    LOCAL_TABLE,
    Allotment,
    Change,
    Config,
    Family,
    Job,
    Link,
    Round,
    Snapshot,
    State,
    Sysctl,
    TargetResult,
    Uplink,
    UplinkState,
    WayOut,
)
from mwan_hook.routing import former
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.gateways import has_choice, strays
from mwan_hook.routing.plan import plan
from mwan_hook.routing.rules import needs_copies
from mwan_hook.routing.uplinks import Bound, Surroundings, bind, interfaces_to_describe
from mwan_hook.run.look import details, may_be_delegated
from mwan_hook.store import allotment as allotments
from mwan_hook.store import state as states
from mwan_hook.verdict.decide import judge_round, with_only_way
from mwan_hook.verdict.events import counted
from mwan_hook.verdict.facts import another_online, fits, judge_uplink
from mwan_hook.verdict.schedule import interval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.config import Loaded


OWN = "mwan-own"  # what the table is called that own packets take where forwarded ones go by a group


class Seen(NamedTuple):
    """A round and what it was seen on; ``begun`` is CLOCK_BOOTTIME seconds."""

    job: Job
    round: Round
    begun: float


class Scene(NamedTuple):
    """What one look saw.  ``now`` is CLOCK_BOOTTIME seconds, ``wall`` seconds since the epoch."""

    root: str
    config: Config
    fingerprint: str
    state: State  # as stored
    allotment: Allotment  # as stored
    bound: Bound
    snapshot: Snapshot
    now: float
    wall: float
    messages: tuple[str, ...] = ()

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        """The uplinks in order of the configuration."""
        return self.bound.uplinks

    @property
    def named_tables(self) -> dict[int, str]:
        """What tables are called, beside the shared default's."""
        own = self.snapshot.pool.own if self.snapshot.pool and self.snapshot.pool.use else 0
        return {**self.bound.named_tables, own: OWN} if own else self.bound.named_tables


class Judged(NamedTuple):
    """What follows from a scene."""

    scene: Scene
    state: State  # to be stored
    desired: Desired
    changes: tuple[Change, ...]
    deprecated: tuple[str, ...] = ()  # prefixes that hosts of the LAN shall not use
    stamp: tuple[int, int] = (0, 0)  # identity of the state file when it was stored


def look(root: str, loaded: Loaded) -> Scene:
    """Read the kernel and the state for a command that changes nothing, no file either."""
    return _look(root, loaded, None, writes=False)


def look_to_write(root: str, loaded: Loaded, memory: State | None = None) -> Scene:
    """Read the kernel, and the state where ``memory`` does not stand for it, for a run that holds the lock.

    Files that cannot be used are set aside.
    """
    return _look(root, loaded, memory, writes=True)


def _look(root: str, loaded: Loaded, memory: State | None, writes: bool) -> Scene:
    state, messages = (memory, ()) if memory else states.load(root, writes)
    allotment, more = allotments.load(root, writes)
    now, wall = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
    config = loaded.config
    with Reader(config.routing.protocol) as reader:
        outlines = _outlines(reader)
        described = _attributes(root, config, outlines.links)
        around = Surroundings(outlines, state, allotment, described, networkd.leases(root))
        bound = bind(config, around)
        if strays(bound.uplinks, outlines, state) or any(has_choice(uplink) for uplink in bound.uplinks):
            from mwan_hook.run import gateways

            outlines, bound = gateways.settled(reader, config, around, bound, now)
        if config.policies:
            from mwan_hook.policy import policies

            bound = policies.bound(config, bound)
        bound = _overlaid(loaded, bound)
        snapshot = details(reader, loaded, bound, state, outlines)
        if may_be_delegated(bound, state, snapshot):
            from mwan_hook.routing import prefixes
            from mwan_hook.run import delegation

            known = delegation.known(root, reader, config, bound.uplinks, state, snapshot, now)
            snapshot = snapshot._replace(delegated=known)
            bound = bound._replace(uplinks=prefixes.lending(bound.uplinks, snapshot))
    seen = Scene(root, config, loaded.fingerprint, state, allotment, bound, snapshot, now, wall, (*messages, *more))
    if not limited(seen):
        return seen
    from mwan_hook.run import metering

    return metering.looked(seen, writes)


def _beside_others(uplinks: Sequence[Uplink], snapshot: Snapshot) -> bool:
    """Whether other programs have rules besides those of local addresses, or routes that tell of a tunnel or a line."""
    tabled = any(rule.table != LOCAL_TABLE for rule in snapshot.foreign_rules)
    return bool(tabled or snapshot.pieces or snapshot.hosts) or _has_spares(uplinks, snapshot)


def _has_spares(uplinks: Sequence[Uplink], snapshot: Snapshot) -> bool:
    """Whether a default of main leads by an interface that is no uplink."""
    ours = {uplink.index for uplink in uplinks}
    return any(hop.index not in ours for route in snapshot.defaults for hop in route.nexthops)


def limited(seen: Scene) -> bool:
    """Whether any uplink has a quota."""
    return any(uplink.config.quota for uplink in seen.uplinks)


def judge(seen: Scene, rounds: Sequence[Seen] = (), asked: frozenset[str] = frozenset()) -> Judged:
    """Facts, then rounds, then what should be in the kernel and what is to do about it.  Pure.

    ``asked``: interfaces that an event named; they are due, whoever probes next.
    """
    memories = verdicts(seen, rounds, asked)
    memories = {name: counted(seen.state.uplinks.get(name, UplinkState()), one) for name, one in memories.items()}
    state = seen.state._replace(uplinks=memories, config=seen.fingerprint)
    seen, state = _with_usage(seen, state)
    desired = desire(seen.config, seen.uplinks, state, seen.snapshot)
    if seen.bound.policies:
        from mwan_hook.policy import policies

        desired = policies.joined(desired, seen.bound.policies, seen.config.routing, state, seen.snapshot)
    if _beside_others(seen.uplinks, seen.snapshot):
        from mwan_hook.others import tunnels

        desired = tunnels.joined(desired, seen.config, seen.uplinks, seen.snapshot)
    if seen.snapshot.claims or seen.snapshot.inside:
        from mwan_hook.others import claims

        desired = claims.joined(desired, seen.config, seen.uplinks, seen.snapshot)
    if needs_copies(seen.snapshot):
        from mwan_hook.others import ahead

        desired = ahead.joined(desired, seen.config.routing, seen.snapshot)
    if seen.snapshot.pool:
        from mwan_hook.routing import nexthops

        desired = nexthops.joined(desired, seen.uplinks, seen.snapshot)
        state = nexthops.remembered(state, seen.snapshot.pool, desired.objects)
    state = _remembered(state, seen, desired)
    changes = plan(seen.config.routing, desired, seen.snapshot)
    if seen.snapshot.firewall is None:
        return Judged(seen, state, desired, changes)
    from mwan_hook.firewall import table

    there, known = seen.snapshot.firewall, seen.state.firewall
    commands = table.wanted(seen.config, seen.uplinks, state, seen.snapshot, seen.bound.policies)
    deprecated = table.deprecated(seen.config, seen.uplinks, state, seen.snapshot)
    state = state._replace(firewall=table.remembered(commands, there, known))
    changes = (*changes, *table.difference(commands, there, known))
    return Judged(seen, state, desired, changes, deprecated)


def verdicts(seen: Scene, rounds: Sequence[Seen], asked: frozenset[str]) -> dict[str, UplinkState]:
    """The memory of each uplink after the facts and ``rounds``; in each family something is online if anything can be.

    Pure.
    """
    memories = {
        uplink.name: judge_uplink(seen.state.uplinks.get(uplink.name, UplinkState()), uplink, seen.now)
        for uplink in seen.uplinks
    }
    for named in seen.uplinks:
        if named.interface in asked and not rounds:
            memories[named.name] = _due_now(memories[named.name])
    by_name = {uplink.name: uplink for uplink in seen.uplinks}
    for one in rounds:
        uplink = by_name.get(one.job.uplink)
        if uplink and fits(one.job, uplink):
            memories[uplink.name] = _with_round(memories, uplink, one, seen.now)
    return with_only_way(memories, seen.uplinks, seen.now)


def _with_usage(seen: Scene, state: State) -> tuple[Scene, State]:
    """What was carried; an uplink beyond its quota is preferred to none."""
    if not limited(seen):
        return seen, state._replace(usage={}) if state.usage else state
    from mwan_hook.run import metering

    seen, usage = metering.counted(seen)
    return seen, state._replace(usage=usage)


def _due_now(memory: UplinkState) -> UplinkState:
    return memory._replace(ipv4=memory.ipv4._replace(next_probe_at=None), ipv6=memory.ipv6._replace(next_probe_at=None))


def _with_round(memories: Mapping[str, UplinkState], uplink: Uplink, one: Seen, now: float) -> UplinkState:
    memory, config, family = memories[uplink.name], uplink.config, one.job.family
    every = interval(config, another_online(memories, uplink.name))
    before = memory.family(family)
    seen = one.round._replace(targets=_updated(before.targets, one.round.targets)) if one.round.partial else one.round
    return memory.with_family(family, judge_round(before, seen, config.probe, now, begun=one.begun, every=every))


def _updated(known: Sequence[TargetResult], fresh: Sequence[TargetResult]) -> tuple[TargetResult, ...]:
    """The last word on every target, in the order they were asked first."""
    return tuple({**{one.target: one for one in known}, **{one.target: one for one in fresh}}.values())


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
        protocols=former.carried(state, seen.snapshot),
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
    before = {old.key: old.value for old in former.followed(state.sysctls, snapshot.links)}
    current = {found.key: found for found in snapshot.sysctls}
    changed = [current[want.key] for want in desired.sysctls if want.key in current]
    missing = [old for old in desired.originals if current.get(old.key, old).value != old.value]
    return (*(found._replace(value=before.get(found.key, found.value)) for found in changed), *missing)


def _outlines(reader: Reader) -> Snapshot:
    """Links, addresses and main's defaults: enough to tell which interface is which uplink."""
    families, links = reader.families(), reader.links()
    return Snapshot(
        links=links,
        addresses=reader.addresses(),
        defaults=tuple(route for family in families for route in reader.defaults_of_main(family, links)),
        families=families,
        protocol=reader.protocol,
        blocked=reader.blocked(),
        pieces=tuple(route for family in families for route in reader.pieces_of_main(family)),
        claims=tuple(route for family in families for route in reader.claims(family)),
    )


def _attributes(root: str, config: Config, links: Sequence[Link]) -> dict[str, dict[str, str]]:
    described = interfaces_to_describe(config, links)
    if not described:
        return {}
    from mwan_hook.machine import udev

    return {link.name: udev.attributes(root, link.name, link.index) for link in described}


def _overlaid(loaded: Loaded, bound: Bound) -> Bound:
    """The interface's ``.network`` file beneath the configuration."""
    if not loaded.networks:
        return bound
    return bound._replace(
        uplinks=tuple(
            uplink._replace(config=for_interface(loaded, uplink.config, uplink.link)) if uplink.link else uplink
            for uplink in bound.uplinks
        )
    )
