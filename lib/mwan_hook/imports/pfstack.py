"""What OPNsense and pfSense write alike: groups of gateways, rules in ``<filter>``, translation.

And gateways that only the system names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mwan_hook.imports import pfrules
from mwan_hook.imports.draft import DraftSection
from mwan_hook.imports.guard import whole
from mwan_hook.imports.pfconfig import Backup, Interface
from mwan_hook.imports.pfgateways import Gateway
from mwan_hook.imports.pfrules import End, PassRule, RuleTarget
from mwan_hook.imports.xmltree import Element
from mwan_hook.light import NamedTuple

NOT_QUICK = "it is not quick: the last such rule that fits counts there, the first policy here"
LEARNED = {"inet": ("dhcp", "pppoe", "ppp", "pptp", "l2tp"), "inet6": ("dhcp6", "slaac", "6rd", "6to4")}
_NARROW = ("icmptype", "sched", "tagged", "os", "dscp", "vlanprio", "tcpflags1", "tcpflags2", "prio", "interfacenot")
_BOTH = ("inet", "inet6")
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


def group(element: Element, names: dict[str, str], sticky: bool) -> Group:
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
            if number := whole(tier, 0):
                yield name, number
        else:
            place = child.tag.removeprefix("item") or "1"
            for name in child.text.split(",") if place in "12345" else ():
                if name.strip():
                    yield name.strip(), int(place)


def _target(firewall: Backup, group: Group, parts: dict[str, DraftSection], families: dict[str, str]) -> RuleTarget:
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


class Found(NamedTuple):
    """What the rules name."""

    gateways: list[Gateway]
    groups: list[Group]
    parts: dict[str, DraftSection]  # uplinks by the names of their gateways
    default: list[DraftSection]  # in the order in which they carry the default


def dynamic(
    firewall: Backup, written: Sequence[Gateway], name: Callable[[Interface, str], str], watched: bool
) -> Iterator[Gateway]:
    """Gateways of interfaces that learn their address, where the file has none for them."""
    known = {(one.interface, one.family) for one in written}
    for one in firewall.interfaces.values():
        for family, kinds in LEARNED.items():
            kind = one.dynamic(family)
            if kind in kinds and (one.logical, family) not in known and firewall.flag(one.element, "enable"):
                yield Gateway(name(one, kind), one.logical, family, "", "", watched, True, "1", None)


def policies(firewall: Backup, found: Found, first: Sequence[PassRule]) -> None:
    """Policies of the rules: of ``first``, and of ``<filter>`` behind them; and what holds for the whole router."""
    parts = found.parts
    families = {gateway.name: gateway.family for gateway in found.gateways}
    targets = {name: pfrules.RuleTarget([[(part, 1)]], frozenset({families[name]})) for name, part in parts.items()}
    targets.update((group.name, _target(firewall, group, parts, families)) for group in found.groups)
    _translation(firewall)
    pfrules.policies(firewall, [*first, *_rules(firewall)], targets, [[(part, 1)] for part in found.default])


def _translation(firewall: Backup) -> None:
    """Outbound NAT, and that pf's states keep the way that they began on."""
    router = firewall.draft.part("router")
    mode = next((one.get("mode") for one in firewall.root.under("nat", "outbound")), "")
    if mode in ("automatic", "hybrid"):
        router.set("masquerade", True)
    if mode in ("hybrid", "advanced"):
        router.lost(f"rules of outbound NAT ({mode})", "only the address of the uplink is put in place of a source")
    router.set("pin", True)


def listed(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(one.strip() for one in text.split(",") if one.strip() and one.strip() != "any")


def families(text: str) -> tuple[str, ...]:
    """Families of a rule: inet, inet6 or both."""
    return _BOTH if text == "inet46" else ("inet6",) if text == "inet6" else ("inet",)


def _rules(firewall: Backup) -> Iterator[PassRule]:
    """Rules of ``<filter>`` that pass packets, in the order in which pf looks at them: floating ones first."""
    found = list(enumerate(firewall.root.under("filter", "rule"), 1))
    for floating in (True, False):
        for number, one in found:
            wanted = one.get("type", "pass") == "pass" and not firewall.flag(one, "disabled")
            if wanted and _floats(one) == floating:
                yield _rule(firewall, number, one)


def _floats(rule: Element) -> bool:
    return rule.get("floating") in ("yes", "1")


def _rule(firewall: Backup, number: int, one: Element) -> PassRule:
    why_not = ""
    direction = one.get("direction") or ("any" if _floats(one) else "in")
    if direction != "in":
        why_not = f"its direction is {direction}: a policy chooses what comes in"
    elif one.get("quick", "" if _floats(one) else "1") not in ("yes", "1"):
        why_not = NOT_QUICK
    return pfrules.PassRule(
        f"rule {number}",
        one.get("descr"),
        listed(one.get("interface")),
        families(one.get("ipprotocol")),
        one.get("protocol") or "any",
        _end(firewall, one.first("source")),
        _end(firewall, one.first("destination")),
        one.get("gateway"),
        tuple(tag for tag in _NARROW if one.get(tag)),
        why_not,
    )


def _end(firewall: Backup, one: Element | None) -> End:
    if one is None:
        return pfrules.End()
    address = "" if one.has("any") else one.get("network") or one.get("address")
    return pfrules.End(address, one.get("port"), firewall.flag(one, "not"))
