"""Rounds without the targets that are dead behind every uplink.

Imported only where a target has failed, or is ignored.
"""

from __future__ import annotations

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import FAMILIES
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict import common
from mwan_hook.verdict.common import Site
from mwan_hook.verdict.decide import has_way
from mwan_hook.verdict.facts import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import Family, Probe, Result, State, Uplink
    from mwan_hook.run.scene import Scene
    from mwan_hook.verdict.common import Name


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
    names = names_of(ignored, family)
    by_facts = memory.may_pass or not memory.judged or not has_way(state.uplinks, family)
    return one._replace(round=common.without(one.round, one.results, uplink.config.probe, names, by_facts))


def names_of(ignored: Mapping[str, float], family: Family) -> frozenset[str]:
    """The targets of one family that are ignored."""
    return frozenset(name.partition(" ")[2] for name in ignored if name.startswith(f"{family.value} "))


def with_gateway(probe: Probe, state: State, family: Family) -> Probe:
    """Where all targets of a line are ignored its gateway is asked, too: it may tell that the line is dead."""
    names = names_of(state.ignored, family)
    left = any(target.applies(family) and target.name not in names for target in probe.targets)
    return probe if left or not names else probe._replace(targets=(*probe.targets, common.GATEWAY))
