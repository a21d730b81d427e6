"""Members and policies of mwan3: where packets go in each family, and what becomes of them at last."""

from __future__ import annotations

from mwan_hook.imports import order
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.imports.draft import Draft
    from mwan_hook.imports.mwan3lines import WanLine
    from mwan_hook.imports.section import DraftSection
    from mwan_hook.imports.uci import UciSection

    Tier = list[tuple[DraftSection, int]]

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


def whole(text: str, default: int) -> int:
    """A number of a file, where it is one."""
    return int(text[:9]) if text.isascii() and text.isdigit() else default
