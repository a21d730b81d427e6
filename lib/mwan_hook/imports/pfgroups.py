"""Gateway groups of OPNsense and pfSense: tiers, triggers and what keeps a source to one gateway."""

from __future__ import annotations

from mwan_hook.imports.pfrules import RuleTarget
from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.imports.pfconfig import Backup
    from mwan_hook.imports.section import DraftSection
    from mwan_hook.imports.xmltree import Element

_TRIGGERS = {
    "downloss": "a member leaves it there at its lower limit of loss",
    "downlatency": "a member leaves it there at its lower limit of latency",
    "downlosslatency": "a member leaves it there at its lower limits of loss and latency",
}


class Group(NamedTuple):
    """One group: names of gateways by tier, and what else it says."""

    name: str
    tiers: list[list[str]]
    trigger: str
    sticky: bool


def read(element: Element, names: dict[str, str], sticky: bool) -> Group:
    """A group in either spelling; ``names``: of gateways by their uuid."""
    tiers: dict[int, list[str]] = {}
    for gateway, tier in _members(element):
        tiers.setdefault(tier, []).append(names.get(gateway, gateway))
    sticky = sticky or "sticky-address" in element.get("poolopts")
    return Group(element.get("name"), [tiers[tier] for tier in sorted(tiers)], element.get("trigger"), sticky)


def _members(element: Element) -> Iterator[tuple[str, int]]:
    """(gateway, tier): ``<item>NAME|TIER...</item>``, or a list of names in item, item2, ... item5."""
    for child in element.children:
        if not child.tag.startswith("item"):
            continue
        if "|" in child.text:
            name, tier = child.text.split("|")[:2]
            if tier.isascii() and tier.isdigit() and int(tier[:4]) > 0:
                yield name, int(tier[:4])
        else:
            place = child.tag.removeprefix("item") or "1"
            for name in child.text.split(",") if place in "12345" else ():
                if name.strip():
                    yield name.strip(), int(place)


def target(firewall: Backup, group: Group, parts: dict[str, DraftSection], families: dict[str, str]) -> RuleTarget:
    """What rules with this group mean, in the words of ours."""
    tiers: list[list[tuple[DraftSection, int]]] = []
    for tier in group.tiers:
        earlier = [part for tier in tiers for part, _ in tier]
        known = dict.fromkeys(parts[name] for name in tier if name in parts and parts[name] not in earlier)
        tiers.append([(part, 1) for part in known])
        for name in tier:
            if name not in parts:
                words = f"it is a member of group {group.name} that is no gateway of the file"
                firewall.draft.part("policies").lost(f"gateway {name}", words)
    tiers = [tier for tier in tiers if tier]
    limit = _TRIGGERS.get(group.trigger)
    said = (f"trigger {group.trigger} of group {group.name}: {limit}, with its verdict here",) if limit else ()
    of = frozenset(families[name] for tier in group.tiers for name in tier if name in parts)
    return RuleTarget(tiers, of, group.sticky and any(len(tier) > 1 for tier in tiers), said)
