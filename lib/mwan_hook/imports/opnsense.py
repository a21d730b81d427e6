"""OPNsense: gateways, gateway groups and the rules that name them, from config.xml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mwan_hook.imports import pfconfig, pfgateways, pfrules, pfstack
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import NotUnderstood, whole
from mwan_hook.imports.pfconfig import FAMILIES, Backup, filled
from mwan_hook.imports.pfgateways import Dpinger, Gateway
from mwan_hook.imports.pfrules import PassRule
from mwan_hook.imports.xmltree import Element

PRIORITY = 255  # of a gateway without one
DPINGER = Dpinger(interval=1, wait=4, units=1)
_MODEL = ("OPNsense", "Gateways")
_RULES = ("OPNsense", "Firewall", "Filter", "rules", "rule")


def read(text: str, draft: Draft) -> None:
    """Put what the file says into the draft.  Raises NotUnderstood."""
    firewall = pfconfig.opened(text, "opnsense", draft, filled)
    items = [(one, True) for one in firewall.root.under(*_MODEL, "gateway_item")]
    items += [(one, False) for one in firewall.root.under("gateways", "gateway_item")]
    gateways = [pfgateways.gateway(firewall, one, _is_watched(one, model)) for one, model in items]
    gateways += pfstack.dynamic(firewall, gateways, lambda one, kind: f"{one.logical}_{kind}".upper(), watched=False)
    if not gateways:
        raise NotUnderstood("expected gateways: it has none, and no interface with DHCP or PPP")
    if not any(filled(one, "gw_switch_default") for one in firewall.root.all("system")):
        words = "gw_switch_default is not set: the default stays there where it is, and follows the verdicts here"
        draft.part("uplinks").differs(words)
    parts = pfgateways.uplinks(firewall, gateways, DPINGER)
    names = {one.attributes.get("uuid", ""): one.get("name") for one, _ in items}
    groups = [*firewall.root.under(*_MODEL, "gateway_group"), *firewall.root.under("gateways", "gateway_group")]
    known = [pfstack.group(one, names, sticky=False) for one in groups]
    found = pfstack.Found(gateways, known, parts, _default(draft, gateways, parts))
    pfstack.policies(firewall, found, list(_rules(firewall)))


def _default(draft: Draft, gateways: Sequence[Gateway], parts: dict[str, DraftSection]) -> list[DraftSection]:
    """Give the uplinks their metrics, by their IPv4 gateways if they have any; returns them in that order."""
    ranks: dict[str, dict[DraftSection, tuple[bool, int]]] = {family: {} for family in FAMILIES}
    for gateway in gateways:
        if gateway.name in parts:
            ranks[gateway.family].setdefault(parts[gateway.name], _rank(gateway))
    ranked = {part: ranks["inet"].get(part) or ranks["inet6"][part] for part in dict.fromkeys(parts.values())}
    found = sorted(ranked, key=ranked.__getitem__)
    pfgateways.prefer(found, [ranked[part][1] for part in found])
    of_ipv6 = [ranks["inet6"][part] for part in found if part in ranks["inet6"]]
    if sorted(of_ipv6) != of_ipv6:
        draft.part("uplinks").lost("the order of IPv6 gateways", "an uplink has one metric for both families")
    return found


def _is_watched(element: Element, model: bool) -> bool:
    return (element.get("monitor_disable", "1" if model else "0") or "0") == "0"


def _rank(gateway: Gateway) -> tuple[bool, int]:
    """Default candidates first, then by priority."""
    element = gateway.element
    if element is None:
        return True, PRIORITY
    return not filled(element, "defaultgw"), whole(element.get("priority"), PRIORITY)


def _rules(firewall: Backup) -> Iterator[PassRule]:
    """Rules of the model that pass packets: floating ones first, each by its sequence."""
    found = [one for one in firewall.root.under(*_RULES) if one.get("enabled", "1") == "1"]
    found = [one for one in found if one.get("action", "pass") == "pass"]
    for one in sorted(found, key=lambda one: (_single(one), whole(one.get("sequence"), 0))):
        yield _rule(one)


def _single(rule: Element) -> bool:
    return bool(rule.get("interface")) and "," not in rule.get("interface") and not filled(rule, "interfacenot")


def _rule(one: Element) -> PassRule:
    source, destination = (
        pfrules.End(one.get(f"{end}_net", "any"), one.get(f"{end}_port"), filled(one, f"{end}_not"))
        for end in ("source", "destination")
    )
    direction = one.get("direction", "in") or "in"
    why_not = "" if direction == "in" else f"its direction is {direction}: a policy chooses what comes in"
    if filled(one, "interfacenot"):
        why_not = "a policy cannot say what is not"
    if one.get("quick", "1") == "0":
        why_not = pfstack.NOT_QUICK
    more = (tag for tag in ("icmptype", "icmp6type", "sched", "schedule", "tagged", "prio", "tos") if one.get(tag))
    return pfrules.PassRule(
        f"rule {one.get('sequence') or one.attributes.get('uuid', '')}",
        one.get("description"),
        pfstack.listed(one.get("interface")),
        pfstack.families(one.get("ipprotocol")),
        one.get("protocol") or "any",
        source,
        destination,
        one.get("gateway"),
        tuple(more),
        why_not,
    )
