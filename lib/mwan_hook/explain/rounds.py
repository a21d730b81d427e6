"""Rounds on record under another configuration: summed up again from their answers.  Pure."""

from __future__ import annotations

from mwan_hook.model import Job, Result, UplinkState
from mwan_hook.verdict.facts import probed
from mwan_hook.verdict.rounds import applies, summarise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Config, State, TargetResult, Uplink
    from mwan_hook.run.scene import ProbedRound


def under(rounds: Sequence[ProbedRound], before: Config, uplinks: Sequence[Uplink], state: State) -> list[ProbedRound]:
    """The rounds as these uplinks' configurations read them; without those that would not have been made.

    ``before``: the configuration that they were asked under.  ``state``: what is remembered when they are judged.
    """
    old, new = {one.name: one for one in before.uplinks}, {one.name: one for one in uplinks}
    found = []
    for one in rounds:
        uplink, was = new.get(one.job.uplink), old.get(one.job.uplink)
        if uplink is None or was is None or uplink.config.probe == was.probe:
            found.append(one)
        elif uplink.enabled and probed(uplink, one.job.family):
            same = (uplink.config.probe.targets, uplink.config.probe.required) == (
                was.probe.targets,
                was.probe.required,
            )
            memory = state.uplinks.get(uplink.name, UplinkState()).family(one.job.family)
            known = was.probe.targets
            again = one if same else _again(one, uplink, [target.name for target in known], memory.targets)
            if again is not None and (one.measured is None or uplink.config.probe.measured):
                found.append(again)
    return found


def _again(
    one: ProbedRound, uplink: Uplink, known: Sequence[str], memory: Sequence[TargetResult]
) -> ProbedRound | None:
    """One round; None where nothing is left of it.  ``known``: names of its targets when it was asked."""
    if one.measured is not None or one.witness:
        return one
    own = {target.name: target for target in uplink.config.probe.targets if applies(target, uplink, one.job.family)}
    gone = {name for name in known if name not in own}
    kept = [result for result in one.results if result.job.portal or result.job.target.name not in gone]
    judging = [result for result in kept if result.job.portal or result.job.target.name in own]
    more = [*_remembered(one, uplink, judging, memory)] if one.round.partial else []
    if not any(not result.job.portal for result in (*judging, *more)):
        return None
    seen = summarise([*judging, *more], uplink.config.probe.required)
    seen = seen._replace(
        targets=summarise(judging, 1).targets,
        wire_bytes=one.round.wire_bytes,
        partial=one.round.partial,
        lost=tuple(name for name in one.round.lost if name not in gone),
    )
    return one._replace(round=seen, results=tuple(kept))


def _remembered(
    one: ProbedRound, uplink: Uplink, asked: Sequence[Result], memory: Sequence[TargetResult]
) -> Iterator[Result]:
    """What other targets answered last, where fewer were asked now than must answer."""
    names = {result.job.target.name for result in asked if not result.job.portal}
    lacking = uplink.config.probe.required - len(names)
    last = {known.target: known for known in memory}
    for target in uplink.config.probe.targets:
        known = last.get(target.name)
        if lacking > 0 and known and target.name not in names and applies(target, uplink, one.job.family):
            lacking -= 1
            job: Job = one.job._replace(target=target, portal=False)
            yield Result(job, known.connectivity, known.rtt_ms, known.error)
