"""Rules, policies and members of mwan3: what each rule chooses, and where that goes in each family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mwan_hook.imports import order, traffic
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import whole
from mwan_hook.imports.mwan3lines import WanLine
from mwan_hook.imports.uci import UciSection
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family

Tier = list[tuple[DraftSection, int]]

LONGEST_NAME = 15  # mwan3 passes over longer ones
ANYWHERE = {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}
KNOWN = {
    *("family", "proto", "src_ip", "dest_ip", "src_port", "dest_port", "src_iface", "ipset", "ipset_src", "sticky"),
    *("timeout", "use_policy", "logging"),
}
STICKY = 600
WORST = 256  # metric of a member
RESORTS = {"unreachable": "unreachable", "blackhole": "blackhole", "default": "main"}  # [routing] last_resort
NOWHERE = "nowhere"  # an uplink that carries nothing


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
        metric, weight = (whole(member.get(key), 1) for key in ("metric", "weight"))
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
            self.nowhere.match(NOWHERE)
            self.nowhere.set("enabled", False)
        return [self.nowhere.name]


def choices(rules: Rules, sections: Sequence[UciSection]) -> tuple[list[ChosenTraffic], list[Family]]:
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
    sticky = whole(section.get("timeout"), STICKY) if section.get("sticky") == "1" else 0
    return ChosenTraffic(name, selectors, sticky, courses)


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
        found["iif"] = [line.part.device if line else rules.draft.device(interface, rules.place)]
    return {key: words for key, words in found.items() if words}
