"""What other uplinks answer of a target that failed, asked before a verdict follows from that.

Imported only where a target has failed.
"""

from __future__ import annotations

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity
from mwan_hook.run.ask import answers
from mwan_hook.run.common import site_of
from mwan_hook.run.scene import ProbedRound
from mwan_hook.run.wish import clock
from mwan_hook.verdict import common, doubts, rounds, schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import Job, State
    from mwan_hook.probes.loop import Late
    from mwan_hook.run.scene import Judged
    from mwan_hook.verdict.common import Question

MOST_ASKED = 6  # rounds of questions: others, gateways, and again until all is clear


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
