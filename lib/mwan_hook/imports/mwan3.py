"""mwan3 of OpenWrt: ``/etc/config/mwan3`` (openwrt/packages at 0521bb5, mwan3 2.12.2).

An interface becomes an uplink (:mod:`mwan_hook.imports.mwan3lines`), a rule (:mod:`mwan_hook.imports.mwan3rules`) a
policy, and the rule for all that is left the order of the shared default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mwan_hook.imports import mwan3lines, mwan3rules, order, uci
from mwan_hook.imports.draft import Draft
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.imports.mwan3rules import ANYWHERE, RESORTS, WORST, ChosenTraffic, Course, Rules, Tier
from mwan_hook.imports.uci import UciSection
from mwan_hook.model import Family

KINDS = ("globals", "interface", "member", "policy", "rule")
MASK = 0x3F00  # of both
BURST = "mwan3 waits so long between two rounds while a line fails; without this line it is left within seconds"


def read(text: str, draft: Draft) -> None:
    """Interfaces, members, policies and rules of a file."""
    found = uci.sections(text, "mwan3")
    if not any(one.kind == "interface" and set(one.values) & {"enabled", "track_ip", "family"} for one in found):
        raise NotUnderstood("expected `config interface` with what mwan3 knows of one")
    for section in found:
        if section.kind not in KINDS:
            draft.top.lost(f"line {section.line}, config {section.kind}", "mwan-hook does not know it")
    for section in found:
        if section.kind == "globals":
            _globals(draft, section)
    _everywhere(draft)
    lines = mwan3lines.lines(draft, [one for one in found if one.kind == "interface"])
    _traffic(Rules(draft, found, lines), found)


def _globals(draft: Draft, section: UciSection) -> None:
    routing = draft.part("routing")
    for key in section.values:
        if key in ("logging", "loglevel"):
            routing.note(f"{key} has no counterpart: runs tell the journal")
        elif key == "rt_table_lookup":
            because = "only the networks of main come before policies (main_first)"
            routing.lost(f"rt_table_lookup {section.get(key)}", because)
        elif key == "bypass_network":
            routing.lost(f"bypass_network {section.get(key)}", "no policy leaves packets to main")
        elif key not in ("mmx_mask", "source_routing"):
            routing.lost(f"{key} = {section.get(key)}", "mwan-hook does not know it")
    mask = section.get("mmx_mask")
    if mask and mask.lower() not in (hex(MASK), str(MASK)):
        routing.set("mark_mask", mask)


def _everywhere(draft: Draft) -> None:
    """What holds in mwan3 without being written."""
    probe, router = draft.part("probe"), draft.part("router")
    for key, value in (("timeout", 4), ("fall", 5), ("rise", 5)):
        probe.set(key, value)
    probe.note(BURST)
    probe.set("burst_interval", 10)
    router.set("pin", True)
    router.note("mwan3 leaves translation to the firewall: add masquerade = yes, unless a table of yours does it")
    draft.top.note(
        "/etc/mwan3.user is not looked at: its actions go to scripts in online.d and offline.d (docs/hooks.md)"
    )


def _traffic(rules: Rules, sections: Sequence[UciSection]) -> None:
    """Put the order of the shared default and the policies into the draft."""
    for section in sections:
        if section.kind == "policy" and len(section.name) > mwan3rules.LONGEST_NAME:
            rules.place.note(
                f"policy {section.name}: mwan3 passes over names of more than {mwan3rules.LONGEST_NAME} characters"
            )
            rules.policies.pop(section.name, None)
    choices, left = mwan3rules.choices(rules, [section for section in sections if section.kind == "rule"])
    default = {family: choice for choice in choices if choice.everything for family in choice.courses}
    exact = _default(rules, {family: choice.courses[family] for family, choice in default.items()}, not left)
    if left:
        words = ", ".join(family.value for family in left)
        rules.place.note(f"what no rule takes of {words} is main's in mwan3, and the shared default's here")
    for choice in choices:
        said = exact if choice.everything else set[Family]()
        courses = {family: one for family, one in choice.courses.items() if family not in said and not one.idle}
        _policies(rules, choice._replace(courses=_unchosen(rules, choice, courses)))


def _unchosen(rules: Rules, choice: ChosenTraffic, courses: Mapping[Family, Course]) -> dict[Family, Course]:
    """The courses of what no rule before chooses in the same words."""
    found = {}
    for family, course in courses.items():
        other = rules.chosen.setdefault((str(sorted(choice.selectors.items())), family), choice.name)
        if other == choice.name:
            found[family] = course
        else:
            rules.place.note(f"rule {choice.name} does nothing for {family.value}: {other} chooses the same before it")
    return found


def _default(rules: Rules, courses: Mapping[Family, Course], everywhere: bool) -> set[Family]:
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


def _policies(rules: Rules, choice: ChosenTraffic) -> None:
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
