"""Records as the values that a run judged from.  Pure."""

from __future__ import annotations

from mwan_hook.config.targets import parse
from mwan_hook.explain.frame import Seen
from mwan_hook.model import Config, Connectivity, Job, Method, Result, Round, Target
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict.rounds import summarise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mwan_hook.model import AnswerRecord, ConfigRecord, FactsRecord, Probe, RoundRecord, RunRecord, Uplink

MEASURED = Round(Connectivity.UNKNOWN, None, "")  # that was no round


def config_of(record: ConfigRecord) -> Config:
    """The configuration, as far as verdicts depend on it."""
    return Config(record.routing, record.probe, tuple(record.uplinks.values()))


def seen_of(facts: FactsRecord, config: ConfigRecord) -> Seen:
    """What a look saw; the uplinks have their configurations again."""
    uplinks = tuple([one._replace(config=config.uplinks.get(one.name, one.config)) for one in facts.uplinks])
    return Seen(uplinks, facts.families, facts.drains, facts.dialled)


def seen_in(run: RunRecord, seen: Seen) -> Seen:
    """What a run judged from, beside its rounds."""
    if not (run.asked or run.hung) and run.counters is None:
        return seen
    return seen._replace(asked=run.asked, counters=run.counters, reasons=run.hung)


def rounds_of(records: Iterable[RoundRecord], uplinks: Mapping[str, Uplink]) -> tuple[ProbedRound, ...]:
    """The rounds of a run.  ``uplinks``: by name."""
    return tuple([_round(one, uplinks[one.uplink]) for one in records if one.uplink in uplinks])


def _round(one: RoundRecord, uplink: Uplink) -> ProbedRound:
    way, probe = uplink.way(one.family), uplink.config.probe
    job = Job(uplink.name, one.family, _target("", probe), uplink.interface, uplink.index, way.source, way.gateway)
    results = tuple([_result(answer, job, probe) for answer in one.answers])
    first = results[0].job if results else job
    if one.measured is not None:
        return ProbedRound(first, MEASURED, one.begun, measured=one.measured)
    found = one.round or summarise(results, 1 if one.witness else probe.required)
    if one.round is None:
        spent = found.wire_bytes if one.spent is None else one.spent
        found = found._replace(wire_bytes=spent, partial=one.partial, lost=one.lost)
    return ProbedRound(first, found, one.begun, results, one.witness)


def _result(answer: AnswerRecord, job: Job, probe: Probe) -> Result:
    asked = job._replace(target=_target(answer.target, probe), portal=answer.portal)
    return Result(asked, answer.connectivity, answer.rtt_ms, answer.error, answer.wire_bytes)


_targets: dict[str, Target] = {}


def _target(name: str, probe: Probe) -> Target:
    """The target of that name; what was asked beside an uplink's own says by its name what it is."""
    for target in (*probe.targets, *probe.portal_targets):
        if target.name == name:
            return target
    found = _targets.get(name)
    if found is None:
        found = _targets[name] = _parsed(name)
    return found


def _parsed(name: str) -> Target:
    try:
        return parse(name)._replace(name=name)
    except ValueError:
        return Target(name, Method.ICMP, name=name)
