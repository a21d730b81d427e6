"""VyOS: ``load-balancing wan``, and ``protocols failover route`` by :mod:`mwan_hook.imports.vyosfailover`.

A rule that chooses nothing but the LAN is the shared default: metrics and weights of the uplinks.  The others are
policies.  All of it is IPv4 there.
"""

from __future__ import annotations

from collections.abc import Iterator

from mwan_hook.imports import order, traffic, vyosfailover, vyostree
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import NotUnderstood, whole
from mwan_hook.imports.vyostree import Tree
from mwan_hook.light import NamedTuple

Uplinks = dict[str, DraftSection]
Tiers = list[list[tuple[DraftSection, int]]]

PERIOD = 5  # seconds between two rounds of tests
COUNT, RESPONSE = 1, 5  # defaults: rounds that change the state, seconds for an answer


def read(text: str, draft: Draft) -> None:
    """Put what the file says into the draft.  Raises NotUnderstood."""
    tree = vyostree.parse(text)
    wan = tree.get("load-balancing", {}).get("wan", {})
    routes = tree.get("protocols", {}).get("failover", {}).get("route", {})
    if not wan and not routes:
        raise NotUnderstood("expected load-balancing wan or protocols failover route: it has neither")
    uplinks: Uplinks = {}
    if wan:
        _balancing(wan, draft, uplinks)
    vyosfailover.read(routes, draft, uplinks)


def _balancing(wan: Tree, draft: Draft, uplinks: Uplinks) -> None:
    probe = draft.part("probe")
    probe.set("interval", PERIOD)
    probe.set("timeout", RESPONSE)
    probe.set("fall", COUNT)
    probe.set("rise", COUNT)
    health = wan.get("interface-health", {})
    named = [interface for rule in wan.get("rule", {}).values() for interface in rule.get("interface", {})]
    for interface in dict.fromkeys((*health, *named)):
        part = uplinks[interface] = vyosfailover.uplink(interface, draft)
        _health(health.get(interface, {}), part)
    plain = _rules(wan, draft, uplinks)
    _router(wan, draft, plain)


def _health(health: Tree, part: DraftSection) -> None:
    """Gateway, targets and counts of one interface."""
    if not health:
        part.differs("it has no interface-health: it is judged by link, address and gateway")
    hop = vyostree.value(health, "nexthop", "dhcp")
    if hop != "dhcp":
        part.set("gateway", hop)
    for key, ours in (("failure-count", "fall"), ("success-count", "rise")):
        if key in health:
            part.set(ours, vyostree.value(health, key, ""))
    tests = health.get("test", {})
    targets, seconds = [], [RESPONSE]
    for name in sorted(tests, key=vyostree.rank):
        test, kind = tests[name], vyostree.value(tests[name], "type", "ping")
        if kind == "ping" and "target" in test:
            targets.append(f"icmp://{vyostree.value(test, 'target', '')}")
            seconds.append(whole(vyostree.value(test, "resp-time", str(RESPONSE)), RESPONSE))
        else:
            part.lost(f"test {name} ({kind})", "mwan-hook has no such probe")
    targets = list(dict.fromkeys(targets))
    if tests and not targets:
        part.differs("none of its tests is left: it is judged by link, address and gateway")
    part.set("targets", targets)
    if len(targets) > 1:
        part.set("required", len(targets))
    if targets and max(seconds[1:]) != RESPONSE:
        part.set("timeout", max(seconds[1:]))


class _Rule(NamedTuple):
    """One rule with the uplinks that carry it."""

    name: str
    tree: Tree
    tiers: Tiers
    iif: str  # nothing: any

    @property
    def whole(self) -> bool:
        """Whether it chooses all that comes in by its interface."""
        chosen = any(self.tree.get(end) for end in ("source", "destination"))
        return not chosen and vyostree.value(self.tree, "protocol", "all") == "all" and "exclude" not in self.tree


def _rules(wan: Tree, draft: Draft, uplinks: Uplinks) -> bool:
    """The shared default and the policies; whether packets of the router itself meet any of them."""
    rules = [_rule(name, wan["rule"][name], uplinks) for name in sorted(wan.get("rule", {}), key=vyostree.rank)]
    default = next((rule for rule in rules if rule.whole), None)
    weights = order.Weights()
    if default:
        _default(default, weights, uplinks)
    reached: list[_Rule] = []
    for rule in rules:
        _remarks(rule, draft, is_default=rule is default)
        if any(earlier.iif in ("", rule.iif) for earlier in reached):
            draft.part("policies").note(f"rule {rule.name} is never reached: an earlier one has all of its packets")
        elif default and rule is not default and (rule.whole or "exclude" in rule.tree):
            _beside(rule, default, weights, draft)
        elif "exclude" in rule.tree:
            draft.part("policies").lost(f"rule {rule.name} (exclude)", "a policy cannot keep traffic out of others")
        elif rule is not default:
            _policy(rule, weights, draft)
        if rule.whole:
            reached.append(rule)
    return bool(default) or any(not rule.iif for rule in rules)


def _rule(name: str, tree: Tree, uplinks: Uplinks) -> _Rule:
    links = [
        (uplinks[interface], whole(vyostree.value(one, "weight", "1"), 1))
        for interface, one in tree.get("interface", {}).items()
    ]
    if "failover" in tree:
        tiers = [[(part, 1)] for part, _ in sorted(links, key=lambda link: -link[1])]
    else:
        weights = order.reduced(weight for _, weight in links)
        tiers = [[(part, weight) for (part, _), weight in zip(links, weights, strict=True)]]
    iif = vyostree.value(tree, "inbound-interface", "any")
    if iif.startswith("!") and iif[1:] in uplinks:
        iif = "any"  # all but what comes in by an uplink
    return _Rule(name, tree, tiers, "" if iif == "any" else iif)


def _default(rule: _Rule, weights: order.Weights, uplinks: Uplinks) -> None:
    order.default(rule.tiers)
    for tier in filter(None, rule.tiers):
        weights.share(tier, tier[0][0])
    within = [part for tier in rule.tiers for part, _ in tier]
    for part in uplinks.values():
        if part not in within:
            part.set("metric", (len(rule.tiers) + 1) * order.STEP)
            part.differs(f"rule {rule.name} leaves it out, and here it is the last resort of the shared default")


def _remarks(rule: _Rule, draft: Draft, is_default: bool) -> None:
    """What a rule says that neither a policy nor an uplink can."""
    at = draft.part("uplinks" if is_default else "policies")
    if "description" in rule.tree:
        at.note(f"rule {rule.name}: {vyostree.value(rule.tree, 'description', '')}")
    if "limit" in rule.tree:
        at.lost(f"limit of rule {rule.name}", "no uplink is chosen by rate: the rule has all of its packets")
    if "per-packet-balancing" in rule.tree:
        at.lost(f"per-packet-balancing of rule {rule.name}", "connections are shared here, never packets")
    if is_default and rule.iif:
        words = f"the shared default (rule {rule.name}) is for all that no policy chooses"
        at.differs(f"{words}; there it is for what comes in by {rule.iif}, and main decides on the rest")


def _beside(rule: _Rule, default: _Rule, weights: order.Weights, draft: Draft) -> None:
    """A rule for another interface like the default's, or one that keeps out of later rules."""
    if "exclude" in rule.tree:
        words = "what it chooses goes by main there, here by the shared default, unless main has a more specific route"
        _policy(rule._replace(tiers=default.tiers), weights, draft).differs(f"exclude of rule {rule.name}: {words}")
    elif rule.tiers != default.tiers:
        _policy(rule, weights, draft)


def _policy(rule: _Rule, weights: order.Weights, draft: Draft) -> DraftSection:
    """A policy of a rule, or why there is none."""
    try:
        keys = list(_chosen(rule, draft))
    except ValueError as error:
        draft.part("policies").lost(f"rule {rule.name}", str(error))
        return draft.part("policies")
    part = draft.policy(f"rule-{rule.name}")
    for key, values in keys:
        part.set(key, values)
    part.set("uplinks", order.spelled(rule.tiers))
    for tier in rule.tiers:
        weights.share(tier, part)
    return part


def _chosen(rule: _Rule, draft: Draft) -> Iterator[tuple[str, list[str]]]:
    """Keys of a policy that choose what the rule chooses.  Raises ValueError."""
    if rule.iif:
        if rule.iif.startswith("!"):
            raise ValueError("a policy cannot say what is not")
        if set(rule.iif) & set("*?["):
            raise ValueError(f"a policy cannot say {rule.iif}, only the names of interfaces")
        yield "iif", [draft.renamed(rule.iif)]
    if found := traffic.protos(vyostree.value(rule.tree, "protocol", "all")):
        yield "proto", found
    ends = (("source", "from", "sport"), ("destination", "to", "dport"))
    family = ["0.0.0.0/0"]
    for end, address, port in ends:
        tree = rule.tree.get(end, {})
        for key in tree:
            if key not in ("address", "port"):
                raise ValueError(f"it chooses by {end} {key}")
        if "address" in tree:
            family = []
            yield address, traffic.prefixes(vyostree.value(tree, "address", ""))
        if "port" in tree and (numbers := traffic.ports(vyostree.value(tree, "port", ""))):
            yield port, numbers
    if family:
        yield "to", family


def _router(wan: Tree, draft: Draft, plain: bool) -> None:
    """What the whole of it says."""
    router = draft.part("router")
    if "disable-source-nat" not in wan:
        router.set("masquerade", True)
    if "inbound" in wan.get("sticky-connections", {}):
        router.set("pin", True)
    if "enable-local-traffic" not in wan and plain:
        router.differs("enable-local-traffic is not set: the router's own connections go by main there, as others here")
    if "flush-connections" in wan:
        router.lost("flush-connections", "connections are not forgotten when an uplink changes")
    if "hook" in wan:
        words = (
            "put it into online.d and offline.d, and read UPLINK and STATE (online, offline) instead of WLB_INTERFACE_*"
        )
        router.lost(f"hook {vyostree.value(wan, 'hook', '')}", f"it is a program of VyOS': {words}")
