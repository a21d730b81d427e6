"""Rules of OPNsense and pfSense that name a gateway or a group of them, as policies.

pf takes the first rule that fits.  A rule without gateway before one with a gateway keeps its packets from it: they go
by the default there, and as the default would here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mwan_hook.imports import order, traffic
from mwan_hook.imports.draft import DraftSection
from mwan_hook.imports.pfconfig import EVERYTHING, Backup
from mwan_hook.light import NamedTuple

Tiers = list[list[tuple[DraftSection, int]]]


class End(NamedTuple):
    """Source or destination of a rule; everything: no address."""

    address: str = ""
    port: str = ""
    negated: bool = False


class PassRule(NamedTuple):
    """One rule that passes packets, as far as it matters for their way."""

    name: str  # what it is called in remarks
    called: str  # its description
    interfaces: tuple[str, ...]  # logical; none: any
    families: tuple[str, ...]
    protocol: str
    source: End
    destination: End
    gateway: str
    more: tuple[str, ...]  # what else it chooses by
    why_not: str = ""  # why it can be no policy


class RuleTarget(NamedTuple):
    """What a rule's gateway stands for."""

    tiers: Tiers
    families: frozenset[str]
    sticky: bool = False
    words: tuple[str, ...] = ()  # what does not hold of it


def policies(firewall: Backup, rules: Sequence[PassRule], targets: dict[str, RuleTarget], default: Tiers) -> None:
    """A policy for each rule with a gateway, and for those that come before one and keep packets from it."""
    said: set[str] = set()
    later = [rule for rule in reversed(rules) if rule.gateway]
    for rule in rules:
        if rule.gateway:
            later.pop()
            _routed(firewall, rule, targets, said)
        elif default and _keeps(firewall, rule, later) and (part := _policy(firewall, rule, default)):
            part.note(f"{rule.name} has no gateway: it comes before one that has, and goes as the shared default")


def _routed(firewall: Backup, rule: PassRule, targets: dict[str, RuleTarget], said: set[str]) -> None:
    target = targets.get(rule.gateway)
    if target is None or not target.tiers:
        firewall.draft.part("policies").lost(rule.name, f"its gateway {rule.gateway} is no uplink here")
        return
    carried = tuple(family for family in rule.families if family in target.families)
    if not carried:
        words = f"{rule.gateway} is no gateway of {' and '.join(rule.families)}"
        firewall.draft.part("policies").lost(f"{rule.name}{_called(rule)}", words)
        return
    part = _policy(firewall, rule._replace(families=carried), target.tiers)
    if part is None:
        return
    if target.sticky:
        part.set("sticky", True)
    for words in target.words if rule.gateway not in said else ():
        part.differs(words)
    said.add(rule.gateway)


def _keeps(firewall: Backup, rule: PassRule, later: Iterable[PassRule]) -> bool:
    """Whether a rule without gateway takes packets from later ones that have one, and not to networks of main."""
    if rule.destination.address and not rule.destination.negated and _local(firewall, rule.destination.address):
        return False
    return any(
        set(one.families) & set(rule.families)
        and (not rule.interfaces or not one.interfaces or set(one.interfaces) & set(rule.interfaces))
        for one in later
    )


def _local(firewall: Backup, address: str) -> bool:
    """Whether it is a network at an interface, or this machine."""
    logical = address.removesuffix("ip")
    networks = {one.network(family) for one in firewall.interfaces.values() for family in EVERYTHING}
    return address == "(self)" or logical in firewall.interfaces or address in networks


def _policy(firewall: Backup, rule: PassRule, tiers: Tiers) -> DraftSection | None:
    try:
        keys = list(_chosen(firewall, rule))
    except ValueError as error:
        firewall.draft.part("policies").lost(f"{rule.name}{_called(rule)}", str(error))
        return None
    part = firewall.draft.policy(rule.called or rule.name)
    if rule.interfaces:
        part.set("iif", [firewall.device(logical, part) for logical in rule.interfaces])
    for key, values in keys:
        part.set(key, values)
    part.set("uplinks", order.spelled(tiers))
    return part


def _called(rule: PassRule) -> str:
    return f" ({rule.called})" if rule.called else ""


def _chosen(firewall: Backup, rule: PassRule) -> Iterator[tuple[str, list[str]]]:
    """Keys of the policy but for the interfaces.  Raises ValueError."""
    if rule.why_not:
        raise ValueError(rule.why_not)
    if rule.more:
        raise ValueError(f"a policy does not choose by {', '.join(rule.more)}")
    for logical in rule.interfaces:
        if logical not in firewall.interfaces:
            raise ValueError(f"{logical} is no interface of the file")
    if found := _protos(rule):
        yield "proto", found
    family = len(rule.families) == 1
    for key, port, end in (("from", "sport", rule.source), ("to", "dport", rule.destination)):
        if found := _addresses(firewall, rule, end):
            family = False
            yield key, found
        if end.port and (found := _ports(firewall, end.port)):
            yield port, found
    if family:
        yield "to", [EVERYTHING[rule.families[0]]]


def _protos(rule: PassRule) -> list[str]:
    if rule.protocol.lower() == "icmp":
        return [{"inet": "icmp", "inet6": "ipv6-icmp"}[family] for family in rule.families]
    return traffic.protos(rule.protocol)


def _addresses(firewall: Backup, rule: PassRule, end: End) -> list[str]:
    """Prefixes of one end, of the rule's families; none for everything."""
    found: list[str] = []
    for word in end.address.split(","):
        logical = word.strip()
        if not logical or logical == "any":
            continue
        if end.negated:
            raise ValueError("a policy cannot say what is not")
        if logical in firewall.interfaces:
            if end is rule.source and rule.interfaces == (logical,):
                continue  # what comes in by an interface has its network
            found += _networks(firewall, rule, logical)
        else:
            found += _literal(firewall, rule, logical)
    return found


def _networks(firewall: Backup, rule: PassRule, logical: str) -> Iterator[str]:
    """The networks of an interface.  Raises ValueError."""
    for family in rule.families:
        network = firewall.interfaces[logical].network(family)
        if not network:
            raise ValueError(f"the network of {logical} is not written in the file")
        yield network


def _literal(firewall: Backup, rule: PassRule, word: str) -> list[str]:
    """An address, a network, a range, or what an alias stands for, in the families of the rule.  Raises ValueError."""
    found = []
    for text in firewall.hosts.get(word, [word]):
        try:
            found += traffic.prefixes(text)
        except ValueError as error:
            raise ValueError(str(error) if text == word else f"alias {word}: {error}") from None
    of_family = [one for one in found if ("inet6" if ":" in one else "inet") in rule.families]
    if not of_family:
        raise ValueError(f"{word} has no address of {' and '.join(rule.families)}")
    return of_family


def _ports(firewall: Backup, text: str) -> list[str]:
    words = [port for word in text.split(",") for port in firewall.ports.get(word.strip(), [word])]
    return traffic.ports(",".join(words))
