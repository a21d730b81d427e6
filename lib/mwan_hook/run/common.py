"""Rounds without the targets that are dead behind every uplink; and what others answer of one, asked before.

Imported only where a target has failed, or is ignored.
"""

from __future__ import annotations

from mwan_hook.model import FAMILIES, Connectivity
from mwan_hook.run.ask import answers
from mwan_hook.run.scene import ProbedRound
from mwan_hook.run.wish import clock
from mwan_hook.verdict import common, doubts, rounds, schedule
from mwan_hook.verdict.common import Site
from mwan_hook.verdict.decide import has_way
from mwan_hook.verdict.facts import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import Job, Result, State, Uplink
    from mwan_hook.probes.loop import Late
    from mwan_hook.run.scene import Judged, Scene
    from mwan_hook.verdict.common import Name, Question

MOST_ASKED = 6  # rounds of questions: others, gateways, and again until all is clear


def site_of(seen: Scene, state: State, asked: Iterable[ProbedRound]) -> Site:
    """All uplinks with what they answered in these rounds."""
    found: dict[Name, list[Result]] = {}
    for one in asked:
        found.setdefault((one.job.uplink, one.job.family), []).extend(one.results)
    return Site(seen.uplinks, state.uplinks, found, state.ignored)


def settled(seen: Scene, asked: Sequence[ProbedRound]) -> tuple[dict[str, float], list[ProbedRound]]:
    """Which targets are ignored after these rounds, and the rounds without them.  Pure."""
    by_name = {uplink.name: uplink for uplink in seen.uplinks}
    fitting = [one for one in asked if one.job.uplink in by_name and fits(one.job, by_name[one.job.uplink])]
    ignored = common.ignored(site_of(seen, seen.state, fitting), seen.now)
    known = {
        (uplink.name, family): seen.state.memory(uplink.name).family(family).targets
        for uplink in seen.uplinks
        for family in FAMILIES
    }
    found = []
    for one in fitting:
        name = (one.job.uplink, one.job.family)
        counted = one._replace(round=one.round._replace(targets=common.counted(one.round.targets, known[name])))
        known[name] = (*counted.round.targets, *known[name])  # of one target the first counts
        apart = one.witness or one.measured is not None
        found.append(counted if apart else _judged(seen, by_name[one.job.uplink], counted, ignored))
    return ignored, found


def _judged(seen: Scene, uplink: Uplink, one: ProbedRound, ignored: Mapping[str, float]) -> ProbedRound:
    family, state = one.job.family, seen.state
    memory = state.memory(uplink.name).family(family)
    names = common.names_of(ignored, family)
    by_facts = memory.may_pass or not memory.judged or not has_way(state.uplinks, family)
    return one._replace(round=common.without(one.round, one.results, uplink.config.probe, names, by_facts))


def asked(judged: Judged, seen: Sequence[ProbedRound], late: Late, answered: set[str]) -> list[ProbedRound]:
    """What others answer of the targets that failed in these rounds.

    ``answered``: targets that were alive earlier in this run; those that are now are added.
    """
    found: list[ProbedRound] = []
    rounds_of = {(one.job.uplink, one.job.family): one.round for one in seen}
    for _ in range(MOST_ASKED):
        both = [*seen, *found]
        answered |= _alive(both)
        questions = doubts.questions(site_of(judged.scene, judged.state, both), rounds_of, answered)
        begun, jobs = clock(), [job for one in questions for job in _jobs(judged.state, one)]
        if not jobs:
            break
        for results in answers(judged.scene.root, jobs, late).values():
            found.append(ProbedRound(results[0].job, rounds.summarise(results, 1), begun, tuple(results), witness=True))
    return found


def _jobs(state: State, question: Question) -> tuple[Job, ...]:
    """Wait for the answer no longer than a burst of its uplink does."""
    uplink, family, target = question
    memory, probe = state.memory(uplink.name).family(family), uplink.config.probe
    jobs = rounds.jobs_for(uplink, family, probe._replace(targets=(target,)), with_portal=False)
    if probe.burst_interval <= 0:
        return jobs
    short = schedule.burst_timeouts(memory, probe)
    if target == common.GATEWAY:
        return tuple(job._replace(timeout=short.echo) for job in jobs)
    return rounds.hurried(jobs, short, probe.timeout)


def _alive(seen: Iterable[ProbedRound]) -> set[str]:
    return {
        common.key(result.job.family, result.job.target.name)
        for one in seen
        for result in one.results
        if result.connectivity is Connectivity.FULL
    }
