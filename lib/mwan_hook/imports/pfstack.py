"""What OPNsense and pfSense write alike: rules in ``<filter>``, translation, gateways that only the system names."""

from __future__ import annotations

from mwan_hook.imports import pfgroups, pfrules
from mwan_hook.imports.pfgateways import Gateway
from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mwan_hook.imports.pfconfig import Backup, Interface
    from mwan_hook.imports.pfgroups import Group
    from mwan_hook.imports.pfrules import End, PassRule
    from mwan_hook.imports.section import DraftSection
    from mwan_hook.imports.xmltree import Element

NOT_QUICK = "it is not quick: the last such rule that fits counts there, the first policy here"
LEARNED = {"inet": ("dhcp", "pppoe", "ppp", "pptp", "l2tp"), "inet6": ("dhcp6", "slaac", "6rd", "6to4")}
_NARROW = ("icmptype", "sched", "tagged", "os", "dscp", "vlanprio", "tcpflags1", "tcpflags2", "prio", "interfacenot")
_BOTH = ("inet", "inet6")


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
    targets.update((group.name, pfgroups.target(firewall, group, parts, families)) for group in found.groups)
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
