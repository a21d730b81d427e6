"""One round of probes: what is asked, and what the answers make of it."""

from __future__ import annotations

import time

from mwan_hook.light import NamedTuple
from mwan_hook.model import NO_NEXTHOP, PROTOCOL, Connectivity, Status
from mwan_hook.run.scene import ProbedRound, memory_of
from mwan_hook.verdict import rounds, schedule
from mwan_hook.verdict.standing import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Family, Job, Result, Round
    from mwan_hook.probes.loop import Late
    from mwan_hook.run.scene import Judged, Key

    Results = dict[tuple[str, Family], list[Result]]


class Questions(NamedTuple):
    """What one round may ask: as little as will do while all is well (empty: it would save nothing), or everything."""

    spared: tuple[Job, ...]
    whole: tuple[Job, ...]

    def after(self, results: Sequence[Result]) -> tuple[Job, ...]:
        """What is to be asked still: nothing if the spared ones answered; else all of the kind that did not."""
        if not self.spared:
            return ()
        own, portal = _parted(results)
        if not rounds.suffices(own):
            return tuple(job for job in self.whole if not job.portal)
        return () if rounds.suffices(portal) else tuple(job for job in self.whole if job.portal)


def _parted(results: Sequence[Result]) -> tuple[list[Result], list[Result]]:
    return [r for r in results if not r.job.portal], [r for r in results if r.job.portal]


def ask(judged: Judged, asked: Sequence[Key], late: Late) -> list[ProbedRound]:
    """One round of each, all at once, and what each says."""
    begun = round(time.clock_gettime(time.CLOCK_BOOTTIME), 6)
    late.patience = max([late.patience, *(key.uplink.config.probe.timeout for key in asked)])
    questions = {key.name: questions_for(judged, key) for key in asked}
    root, beside = judged.scene.root, _beside(judged, asked)
    jobs = [job for one in questions.values() for job in one.spared or one.whole]
    first = answers(root, [*jobs, *(job for few in beside.values() for job in few)], late)
    others: dict[tuple[str, Family], list[Result]] = {}
    if any(beside.values()):
        from mwan_hook.run import evidence

        first, others = evidence.parted(first, beside)
    more = {name: questions[name].after(results) for name, results in first.items()}
    second = answers(root, [job for jobs in more.values() for job in jobs], late)
    first, second = _explained(judged, asked, first, second)
    required = {key.name: key.uplink.config.probe.required for key in asked}
    found = [
        ProbedRound(
            results[0].job,
            merged(questions[name], results, again := second.get(name, []), required[name]),
            begun,
            (*_newest(results, again), *others.get(name, ())),
        )
        for name, results in first.items()
    ]
    return _decided(judged, found)


def _explained(judged: Judged, asked: Sequence[Key], *answers: Results) -> tuple[Results, ...]:
    """The answers; of lines that are out, and give none, with what the kernel knows of the gateway."""
    silent = [
        key
        for key in asked
        if memory_of(judged, key).status is Status.OFFLINE
        and not any(r.connectivity is Connectivity.FULL for one in answers for r in one.get(key.name, ()))
    ]
    return explained(silent, answers) if silent else answers


def explained(silent: Sequence[Key], answers: Sequence[Results]) -> tuple[Results, ...]:
    """The answers, of which those of lines with a silent gateway say so.  ``silent``: lines where nothing answered.

    Nothing is asked for it: the probes have made the kernel look for the gateway's link address.  A line that is online
    is judged without a look: the kernel believes for up to a minute that a gateway is there which has just died.  What
    was heard stays: a host that refuses a connection has answered, and that may decide.
    """
    from mwan_hook.kernel import neighbours
    from mwan_hook.kernel.reader import Reader
    from mwan_hook.probes.bound import is_silence

    def is_dead(key: Key) -> bool:
        link, gateway = key.uplink.link, key.uplink.way(key.family).gateway
        return link is not None and gateway is not None and neighbours.is_silent(reader, key.family, link, gateway)

    def said(one: Result, dead: bool) -> Result:
        return one._replace(error=NO_NEXTHOP) if dead and is_silence(one.error) else one

    with Reader(PROTOCOL) as reader:
        dead = {key.name for key in silent if is_dead(key)}
    return tuple({name: [said(r, name in dead) for r in found] for name, found in one.items()} for one in answers)


def _beside(judged: Judged, asked: Sequence[Key]) -> dict[tuple[str, Family], tuple[Job, ...]]:
    """What is asked over TCP beside the rounds, where traffic counts."""
    if judged.scene.tally is None:
        return {}
    from mwan_hook.run import evidence

    return evidence.extra(judged, asked)


def _decided(judged: Judged, found: list[ProbedRound]) -> list[ProbedRound]:
    """The rounds with what was asked beside them: without an answer over TCP one may be bad."""
    if judged.scene.tally is None:
        return found
    from mwan_hook.run import evidence

    return [evidence.decided(judged.state, evidence.paid(one), judged.state.ignored) for one in found]


def _newest(first: Sequence[Result], second: Sequence[Result]) -> list[Result]:
    """Results of a round; of targets asked twice the second ones."""
    own, portal = _parted(first)
    own_again, portal_again = _parted(second)
    return [*(own_again or own), *(portal_again or portal)]


def merged(questions: Questions, first: Sequence[Result], second: Sequence[Result], required: int) -> Round:
    """One round of results; of targets asked twice the second answer counts, and the bytes of both were spent."""
    own, portal = _parted(first)
    own_again, portal_again = _parted(second)
    spent = sum(r.wire_bytes for r in (*(own if own_again else ()), *(portal if portal_again else ())))
    one = rounds.summarise(_newest(first, second), required)
    partial = bool(questions.spared) and not own_again
    lost = tuple([r.job.target.name for r in (*own, *own_again) if r.connectivity is not Connectivity.FULL])
    return one._replace(wire_bytes=one.wire_bytes + spent, partial=partial, lost=lost)


def questions_for(judged: Judged, key: Key) -> Questions:
    state, probe = memory_of(judged, key), key.uplink.config.probe
    online, in_peace = state.status is Status.ONLINE, schedule.in_peace(state)
    # In doubt only the line is asked for: a portal check waits longer than a failover may take.
    others = another_online(judged.state.uplinks, key.uplink.name, judged.state.drains)
    ask_portal = schedule.portal_due(state, key.uplink.config, key.family, judged.scene.now, others)
    with_portal = ask_portal and not (online and state.bad)
    if judged.state.ignored:
        from mwan_hook.verdict import common

        probe = common.with_gateway(probe, judged.state.ignored, key.family)
    jobs = rounds.jobs_for(key.uplink, key.family, probe, with_portal=with_portal)
    short = schedule.burst_timeouts(state, probe)
    whole = rounds.hurried(jobs, short, probe.timeout) if schedule.hurries(state, probe) else jobs
    if judged.scene.tally is not None:
        from mwan_hook.run import evidence

        if evidence.is_silent(judged, key):
            return Questions((), whole)
    if not in_peace and not (others and schedule.waits_behind_portal(state, key.uplink.config)):
        return Questions((), whole)
    # What the spared ones are asked is heard until the whole round is over.
    first = rounds.hurried(jobs, short._replace(service=short.echo), probe.timeout) if in_peace else whole
    return Questions(rounds.sparing(first, probe.required, state.good or state.bad), whole)


def answers(root: str, jobs: Sequence[Job], late: Late) -> dict[tuple[str, Family], list[Result]]:
    """Results of each uplink and family, all asked at once."""
    found: dict[tuple[str, Family], list[Result]] = {}
    if jobs:
        from mwan_hook.probes import runner

        for result in runner.run(jobs, root=root, late=late):
            found.setdefault((result.job.uplink, result.job.family), []).append(result)
    return found
