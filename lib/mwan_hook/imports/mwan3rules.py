"""Rules, policies and members of mwan3 as the order of the shared default, and as policies."""

from __future__ import annotations

from mwan_hook.imports import order, traffic
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.imports.draft import Draft, DraftSection
    from mwan_hook.imports.mwan3lines import WanLine
    from mwan_hook.imports.uci import UciSection

    Tier = list[tuple[DraftSection, int]]

LONGEST_NAME = 15  # mwan3 passes over longer ones
WORST = 256  # metric of a member
ANYWHERE = {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}
RESORTS = {"unreachable": "unreachable", "blackhole": "blackhole", "default": "main"}  # [routing] last_resort
KNOWN = {
    *("family", "proto", "src_ip", "dest_ip", "src_port", "dest_port", "src_iface", "ipset", "ipset_src", "sticky"),
    *("timeout", "use_policy", "logging"),
}
NOWHERE = "nowhere"  # an uplink that carries nothing
STICKY = 600


class Course(NamedTuple):
    """Members by metric in one family, and what becomes of packets that none of them carries."""

    tiers: dict[int, Tier]
    fallback: str

    @property
    def ordered(self) -> list[Tier]:
        """The best one first."""
        return [self.tiers[metric] for metric in sorted(self.tiers)]

    @property
    def names(self) -> list[list[str]]:
        """The uplinks, in the same order."""
        return [sorted(part.name for part, _ in tier) for tier in self.ordered]

    @property
    def idle(self) -> bool:
        """Whether main has all of it."""
        return not self.tiers and self.fallback == "default"


class ChosenTraffic(NamedTuple):
    """A rule: what it chooses, in our words, and where that goes, by family."""

    name: str
    selectors: dict[str, list[str]]
    sticky: int
    courses: dict[Family, Course]

    @property
    def everything(self) -> bool:
        """Whether nothing of a family is left for the rules behind it."""
        return not self.selectors and not self.sticky


class Rules:
    """The rules of a file, one after the other."""

    def __init__(self, draft: Draft, sections: Sequence[UciSection], lines: Mapping[str, WanLine]) -> None:
        self.draft = draft
        self.lines = lines
        self.uplinks = {line.part.name: line for line in lines.values()}
        self.weights = order.Weights()
        self.members = {one.name: one for one in sections if one.kind == "member"}
        self.policies = {one.name: one for one in sections if one.kind == "policy"}
        self.place = draft.part("policies")
        self.nowhere: DraftSection | None = None
        self.chosen: dict[tuple[str, Family], str] = {}

    def course(self, name: str, family: Family) -> Course:
        """Where a policy that there is leads in a family."""
        policy = self.policies.get(name)
        if policy is None:
            return Course({}, name)
        tiers: dict[int, Tier] = {}
        for word in policy.words("use_member"):
            self._member(word, family, tiers)
        return Course(tiers, policy.get("last_resort") if policy.get("last_resort") in RESORTS else "unreachable")

    def _member(self, name: str, family: Family, tiers: dict[int, Tier]) -> None:
        member = self.members.get(name)
        line = self.lines.get(member.get("interface")) if member else None
        if not member or not line or family not in line.families:
            return
        if member.get("interface") != line.sections[family].name:
            return
        metric, weight = (_whole(member.get(key), 1) for key in ("metric", "weight"))
        if metric > WORST:
            self.place.note(f"member {name} has a metric above {WORST}: mwan3 passes over it")
            return
        others = {part.name for tier in tiers.values() for part, _ in tier}
        if line.part.name not in others:
            tiers.setdefault(metric, []).append((line.part, weight))

    def capable(self, family: Family) -> set[str]:
        """Names of the uplinks that mwan3 uses for a family."""
        return {name for name, line in self.uplinks.items() if family in line.families}

    def carrier_of_nothing(self, family: Family) -> list[str]:
        """Uplinks that never carry a family: those that have none of it, or one that is made for it."""
        without = sorted(name for name, line in self.uplinks.items() if line.families and family not in line.families)
        if without and not self.capable(family):
            return without
        if not self.nowhere:
            self.nowhere = self.draft.uplink(NOWHERE)
            self.nowhere.note("there is no such device: policies that lead to it have only their fallback")
            self.nowhere.set("match", NOWHERE)
            self.nowhere.set("enabled", False)
        return [self.nowhere.name]


def read(draft: Draft, sections: Sequence[UciSection], lines: Mapping[str, WanLine]) -> None:
    """Put the order of the shared default and the policies into the draft."""
    rules = Rules(draft, sections, lines)
    for section in sections:
        if section.kind == "policy" and len(section.name) > LONGEST_NAME:
            rules.place.note(f"policy {section.name}: mwan3 passes over names of more than {LONGEST_NAME} characters")
            rules.policies.pop(section.name, None)
    choices, left = _choices(rules, [section for section in sections if section.kind == "rule"])
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


def _choices(rules: Rules, sections: Sequence[UciSection]) -> tuple[list[ChosenTraffic], list[Family]]:
    """The rules that have an effect, up to the one that takes all, and families for which there is none of those."""
    left = [family for family in Family if rules.capable(family)] or [*Family]
    open_, found = [*Family], []
    for number, section in enumerate(sections, 1):
        choice = _choice(rules, section, section.name or f"rule-{number}", open_)
        if choice:
            found.append(choice)
        if choice and choice.everything:
            open_ = [family for family in open_ if family not in choice.courses]
        elif choice is None and _takes_all(section):
            open_ = [family for family in open_ if family not in _families(section)]
    return found, [family for family in left if family in open_]


def _takes_all(section: UciSection) -> bool:
    """Whether a rule leaves all packets of its families to main."""
    own = {key for key in section.values if key not in ("family", "use_policy", "logging", "sticky", "timeout")}
    anywhere = all(section.get(key) in ("", *ANYWHERE.values()) for key in ("src_ip", "dest_ip"))
    return section.get("use_policy") == "default" and own <= {"src_ip", "dest_ip", "proto"} and anywhere


def _choice(rules: Rules, section: UciSection, name: str, open_: Sequence[Family]) -> ChosenTraffic | None:
    """A rule; None, and a remark, where it has no effect or cannot be said."""
    families = [family for family in _families(section) if family in open_]
    if idle := _idle(rules, section, families):
        rules.place.note(f"rule {name} {idle}")
        return None
    if section.get("use_policy") == "default":
        if not _takes_all(section):
            because = "no policy leaves packets to main; what main has a network for goes there before all policies"
            rules.place.lost(f"rule {name}, use_policy default", because)
        return None
    try:
        selectors = _selectors(rules, section, name)
    except ValueError as error:
        rules.place.lost(f"rule {name}", f"{error}; the rules behind it take its packets")
        return None
    courses = {family: rules.course(section.get("use_policy"), family) for family in families}
    return ChosenTraffic(name, selectors, _sticky(section), courses)


def _idle(rules: Rules, section: UciSection, families: Sequence[Family]) -> str:
    """The words why a rule does nothing in mwan3; empty where it does something."""
    target = section.get("use_policy")
    if len(section.name) > LONGEST_NAME:
        return f"does nothing: mwan3 passes over names of more than {LONGEST_NAME} characters"
    if not target or (target not in rules.policies and target not in RESORTS):
        return "does nothing: it uses no policy that there is"
    return "" if families else "does nothing: earlier ones take all that it could"


def _families(section: UciSection) -> list[Family]:
    """The families that a rule is for, by its family and its addresses."""
    wanted = {"ipv4": [Family.IPV4], "ipv6": [Family.IPV6]}.get(section.get("family"), [*Family])
    for key in ("src_ip", "dest_ip"):
        if address := section.get(key):
            own = Family.IPV6 if ":" in address else Family.IPV4
            wanted = [family for family in wanted if family is own]
    return wanted


def _selectors(rules: Rules, section: UciSection, name: str) -> dict[str, list[str]]:
    """What it chooses, everything left out.  Raises ValueError."""
    if by_set := section.get("ipset", section.get("ipset_src")):
        raise ValueError(f"no policy chooses by a set ({by_set})")
    for key in section.values:
        if key not in KNOWN:
            rules.place.lost(f"rule {name}: {key} = {section.get(key)}", "mwan-hook does not know it")
    found: dict[str, list[str]] = {}
    for key, ours in (("src_ip", "from"), ("dest_ip", "to")):
        words = section.get(key).replace(",", " ").split()
        found[ours] = [one for word in words for one in traffic.prefixes(word) if one not in ANYWHERE.values()]
    found["proto"] = traffic.protos(section.get("proto", "all"))
    for key, ours in (("src_port", "sport"), ("dest_port", "dport")):
        if section.get(key) and section.get("proto") in ("tcp", "udp"):
            found[ours] = traffic.ports(section.get(key).replace(" ", ","))
        elif section.get(key):
            rules.place.note(f"rule {name}: {key} is for tcp and udp only: mwan3 passes over it")
    if interface := section.get("src_iface"):
        line = rules.lines.get(interface)
        found["iif"] = [line.part.get("match") if line else rules.draft.device(interface, rules.place)]
    return {key: words for key, words in found.items() if words}


def _sticky(section: UciSection) -> int:
    return _whole(section.get("timeout"), STICKY) if section.get("sticky") == "1" else 0


def _whole(text: str, default: int) -> int:
    return int(text[:9]) if text.isascii() and text.isdigit() else default


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
