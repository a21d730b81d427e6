"""What a file of mwan3 means together: the order of the shared default, and policies."""

from __future__ import annotations

from mwan_hook.imports import order
from mwan_hook.imports.mwan3courses import RESORTS, WORST, Course
from mwan_hook.imports.mwan3rules import ANYWHERE
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mwan_hook.imports.mwan3courses import ChosenTraffic, Rules, Tier


def default(rules: Rules, courses: Mapping[Family, Course], everywhere: bool) -> set[Family]:
    """Metrics and weights by the rule that takes all; the families in which they say all that it says.

    ``everywhere``: every family has such a rule, so that its last resort can be that of the shared default.
    """
    ranks: dict[str, int] = {}
    for course in courses.values():
        for tier in course.ordered:
            rules.weights.share(tier, rules.place)
        for metric, tier in course.tiers.items():
            for part, _ in tier:
                ranks.setdefault(part.name, metric)
    if not ranks:
        return set()
    behind = [name for name in rules.uplinks if name not in ranks]
    ranks |= {name: WORST + place for place, name in enumerate(behind, 1)}
    steps = {rank: place * order.STEP for place, rank in enumerate(sorted(set(ranks.values())), 1)}
    for name, rank in ranks.items():
        rules.uplinks[name].part.set("metric", steps[rank])
    exact = {family for family, course in courses.items() if course.names == _by_metric(rules, ranks, family) != []}
    resort = next((courses[family].fallback for family in Family if family in exact and everywhere), "default")
    if resort != "default":
        rules.draft.part("routing").set("last_resort", RESORTS[resort])
    return {family for family in exact if courses[family].fallback == resort}


def _by_metric(rules: Rules, ranks: Mapping[str, int], family: Family) -> list[list[str]]:
    """The uplinks of the shared default of a family, in their order."""
    names = rules.capable(family)
    tiers = [[name for name in sorted(names) if ranks[name] == rank] for rank in sorted(set(ranks.values()))]
    return [tier for tier in tiers if tier]


def policies(rules: Rules, choice: ChosenTraffic) -> None:
    """One policy, or one for each family where these go different ways."""
    families = [*choice.courses]
    together = _together(rules, choice.courses)
    if together:
        _policy(rules, choice, choice.name, together, None)
        return
    for family, course in choice.courses.items():
        name = f"{choice.name}-{family.value}" if len(families) > 1 else choice.name
        _policy(rules, choice, name, course, family)


def _together(rules: Rules, courses: Mapping[Family, Course]) -> Course | None:
    """The course of both families, if one list says it."""
    if len(courses) < 2 or len({course.fallback for course in courses.values()}) > 1:
        return None
    tiers: dict[int, Tier] = {}
    for course in courses.values():
        for metric, tier in course.tiers.items():
            there = tiers.setdefault(metric, [])
            there += [one for one in tier if one[0].name not in [part.name for part, _ in there]]
    whole = Course(tiers, courses[Family.IPV4].fallback)
    for family, course in courses.items():
        able = rules.capable(family)
        names = [[name for name in tier if name in able] for tier in whole.names]
        if [tier for tier in names if tier] != course.names:
            return None
    return whole if tiers else None


def _policy(rules: Rules, choice: ChosenTraffic, name: str, course: Course, family: Family | None) -> None:
    """A policy; ``family`` names the only one that it is for."""
    part = rules.draft.policy(name)
    for key, words in choice.selectors.items():
        part.set(key, words)
    if family and not {"from", "to"} & choice.selectors.keys():
        part.set("to", [ANYWHERE[family]])
    for tier in course.ordered:
        rules.weights.share(tier, part)
    part.set("uplinks", order.spelled(course.ordered) or rules.carrier_of_nothing(family or Family.IPV4))
    if course.fallback != "default":
        part.set("fallback", course.fallback)
    else:
        part.note("last_resort default: the policies below and the shared default come next, not main")
    if choice.sticky and len(course.ordered) + sum(map(len, course.ordered)) > 2:
        part.set("sticky", choice.sticky)
        part.note("sticky: for forwarded connections; those of this machine share as without")
