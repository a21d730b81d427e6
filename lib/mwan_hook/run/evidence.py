"""What traffic says in a run: our nft table's counters are read, and judged beside the facts and the rounds.

Imported only with `[router] evidence = traffic`.
"""

from __future__ import annotations

from mwan_hook.firewall.evidence import ANSWERED, BEGUN, counter
from mwan_hook.firewall.table import stands
from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import FAMILIES, Counted, Status, UplinkState, turn_key
from mwan_hook.run.scene import memory_of
from mwan_hook.verdict import common, evidence, rounds, schedule
from mwan_hook.verdict.facts import fits
from mwan_hook.verdict.standing import another_online

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import Evidence, Family, FamilyState, Job, Result, State, Uplink
    from mwan_hook.run.scene import Judged, Key, ProbedRound, Scene

    Name = tuple[str, Family]
    Results = dict[Name, list[Result]]

GENERATIONS = 0xFFFF  # as much of a generation as a dump tells


def looked(seen: Scene) -> Scene:
    """The scene with the counters as they are now; none where the table is not the one that we have made."""
    from mwan_hook.kernel import counted

    there, (generation, packets) = seen.snapshot.firewall, counted.read()
    if there is None or not stands(there, seen.state.firewall) or (there.generation - 1) & GENERATIONS != generation:
        return seen._replace(tally={})
    found = {}
    for uplink in seen.uplinks:
        for family in FAMILIES:
            begun, answered = (packets.get(counter(chain, family, uplink.table)) for chain in (BEGUN, ANSWERED))
            if begun is not None and answered is not None:
                found[turn_key(uplink.name, family)] = Counted(begun, answered)
    return seen._replace(tally=found)


def _counters(seen: Scene, uplink: Uplink, family: Family) -> Counted | None:
    return seen.tally.get(turn_key(uplink.name, family)) if seen.tally else None


def noted(seen: Scene, memories: Mapping[str, UplinkState], asked: Iterable[ProbedRound]) -> dict[str, UplinkState]:
    """The memories with what was counted by uplinks that have no round now.  Pure."""
    found, there = {**memories}, {uplink.name: uplink for uplink in seen.uplinks}
    fitting = (one.job for one in asked if one.job.uplink in there and fits(one.job, there[one.job.uplink]))
    busy = {(job.uplink, job.family) for job in fitting}
    for uplink in seen.uplinks:
        others = another_online(memories, uplink.name, seen.bound.drains)
        for family in FAMILIES if uplink.enabled else ():
            counters = _counters(seen, uplink, family)
            before = found[uplink.name].family(family)
            if counters is not None and (uplink.name, family) not in busy:
                after = evidence.weighed(
                    before, uplink.config.probe, counters, _pace(seen, uplink, family, before, others)
                )
                found[uplink.name] = found[uplink.name].with_family(family, after)
    return found


def _pace(seen: Scene, uplink: Uplink, family: Family, memory: FamilyState, others: bool) -> evidence.Pace:
    config, now = uplink.config, seen.now
    due = schedule.due(memory, config, now, others) and not schedule.portal_due(memory, config, family, now, others)
    return evidence.Pace(now, schedule.interval(config, others), due)


def closed(seen: Scene, uplink: Uplink, one: ProbedRound, memory: UplinkState) -> UplinkState:
    """The memory after a round of an uplink, or after it was asked in another way.  Pure."""
    family = one.job.family
    counters = _counters(seen, uplink, family)
    before = memory.family(family)
    if counters is None or not before.way:
        return memory
    judged = not one.witness and one.measured is None
    return memory.with_family(family, evidence.closed(before, counters, one.results, seen.now, judged))


def extra(judged: Judged, asked: Sequence[Key]) -> dict[Name, tuple[Job, ...]]:
    """What is asked over TCP beside the rounds."""
    found = {}
    for key in asked:
        memory, probe = memory_of(judged, key), key.uplink.config.probe
        targets = evidence.wanted(memory, probe, key.family, judged.scene.now)
        jobs = rounds.jobs_for(key.uplink, key.family, probe._replace(targets=targets), with_portal=False)
        short = schedule.burst_timeouts(memory, probe)
        found[key.name] = tuple(job._replace(timeout=short.service) for job in jobs)
    return found


def is_silent(judged: Judged, key: Key) -> bool:
    """Whether only an answer over TCP makes a good round."""
    known = memory_of(judged, key).evidence
    return judged.scene.tally is not None and known is not None and known.silent


def decided(state: State, one: ProbedRound, ignored: Iterable[str]) -> ProbedRound:
    """A round in which TCP has the last word, where it has.  Pure."""
    family = one.job.family
    known = state.memory(one.job.uplink).family(family).evidence
    if known is None or not known.silent or one.witness or one.measured is not None:
        return one
    if {target.target for target in one.round.targets}.isdisjoint(known.deciding) and not _other_way(state, one, known):
        return one
    names = common.names_of(ignored, family)
    return one._replace(round=evidence.decided(one.round, one.results, known, names))


def _other_way(state: State, one: ProbedRound, known: Evidence) -> bool:
    """Whether another uplink is online, and does not lack the same answers: what decides here is not configured.

    A server that is gone for all would else take every line out, and the last one too.
    """
    others = [each.family(one.job.family) for name, each in state.uplinks.items() if name != one.job.uplink]
    carrying = [each.evidence for each in others if each.status is Status.ONLINE]
    alike = [each for each in carrying if each and each.silent and not {*each.deciding}.isdisjoint(known.deciding)]
    return len(carrying) > len(alike)


def paid(one: ProbedRound) -> ProbedRound:
    """A round with the bytes of what was asked beside it, and is not among its targets.  Pure."""
    names = {target.target for target in one.round.targets}
    spent = sum(result.wire_bytes for result in one.results if result.job.target.name not in names)
    return one._replace(round=one.round._replace(wire_bytes=one.round.wire_bytes + spent)) if spent else one


def parted(found: Mapping[Name, list[Result]], beside: Mapping[Name, Iterable[Job]]) -> tuple[Results, Results]:
    """The rounds' own results, and those of what was asked beside them.  Pure."""
    own: Results = {}
    others: Results = {}
    for name, results in found.items():
        names = {job.target.name for job in beside.get(name, ())}
        own[name] = [one for one in results if one.job.portal or one.job.target.name not in names]
        others[name] = [one for one in results if one not in own[name]]
    return own, others
