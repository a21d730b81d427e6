"""Doctor: rules of others that come before ours, between them, or behind what they must not follow.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mwan_hook.doctor import known
from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Case, Finding, Fix
from mwan_hook.light import NamedTuple
from mwan_hook.model import DEFAULT_TABLE, LOCAL_TABLE, MAIN_TABLE, Family, Rule
from mwan_hook.others import foreign
from mwan_hook.routing import priorities
from mwan_hook.routing.rules import comes_first, numbered
from mwan_hook.trace.values import ROUTE_ERRORS, AnyRule, Device, RouteEntry
from mwan_hook.trace.words import listed

_KERNELS = ((priorities.KERNEL_MAIN, MAIN_TABLE), (priorities.KERNEL_DEFAULT, DEFAULT_TABLE))
_RUN = Fix(commands=("mwan-hook check",), words="a run lays a copy of it in front of our rules")
_BACK = Fix("nothing, if VRFs are why it was moved; else put it back to priority 0")
HALVES = 2  # 0.0.0.0/1 and 128.0.0.0/1 together are a default, too


class Foreign(NamedTuple):
    """What others have in the kernel: rules, and of each table that one looks in the routes to anywhere."""

    rules: tuple[AnyRule, ...] = ()
    tables: Mapping[tuple[Family, int], tuple[RouteEntry, ...]] = {}
    devices: Mapping[int, Device] = {}


def is_foreign(rule: AnyRule, protocol: int) -> bool:
    """True if the rule is neither ours nor one of the kernel's own three."""
    own = rule.table == LOCAL_TABLE or (rule.priority, rule.table) in _KERNELS
    return rule.protocol != protocol and not own and not rule.l3mdev


def check(case: Case, others: Foreign) -> Iterator[Finding]:
    """Each foreign rule that meets one of ours."""
    if not case.uplinks:
        return
    for rule in others.rules:
        if not is_foreign(rule, case.config.routing.protocol) or not case.concerns(rule.family):
            continue
        first, last = span(case, rule.family)
        if rule.priority <= last:
            yield from _before(rule, case, others, first)
        elif rule.priority < priorities.KERNEL_MAIN and rule.action != "nop":
            yield _behind(rule, case, others, last)


def span(case: Case, family: Family) -> tuple[int, int]:
    """Our first priority and that of the rule for the shared default, as a run places it beside those of others."""
    base = case.config.routing.rule_priority
    own = [entry.rule_priority for entry in case.config.uplinks if entry.rule_priority is not None]
    if case.config.routing.default_table == MAIN_TABLE:
        return min([base, *own]), priorities.LAST
    here = foreign.Here(family, case.config, case.uplinks, case.snapshot, foreign.of_family(family, case.snapshot))
    return min([base, *own]), foreign.place(here, priorities.default(case.config))


def catches_all(rule: AnyRule) -> bool:
    """True if the rule has no selector, or only a negated one."""
    if rule.suppress_prefixlength is not None or rule.action in ("nop", "goto"):
        return False
    return rule.inverted or not _selects(rule)


def _selects(rule: AnyRule) -> bool:
    numbers = rule.mask or rule.tos or rule.ipproto or rule.tunnel or rule.flowlabel_mask or rule.dscp is not None
    return bool(numbers or rule.src or rule.dst or rule.iif or rule.oif or rule.uids or rule.sport or rule.dport)


def has_default(entries: Sequence[RouteEntry]) -> bool:
    """Whether the routes lead anywhere, from any source."""
    entries = [one for one in entries if not one.route.from_]
    if any(not one.length for one in entries):
        return True
    halves = {one.route.dst for one in entries if one.length == 1}
    return len(halves) >= HALVES or any(
        1 < one.length <= priorities.DISGUISED[Family.IPV6] and ":" in one.route.dst for one in entries
    )


def named(rule: AnyRule) -> str:
    program = known.of_rule(rule)
    return listed(rule) + (f", of {program} it seems," if program else "")


def _devices(entries: Sequence[RouteEntry], others: Foreign) -> tuple[str, ...]:
    """Where the defaults of a table lead; a null route's kind."""
    names = [one.route.kind for one in entries if one.route.kind in ROUTE_ERRORS]
    for one in entries:
        names += [others.devices[leg.index].name for leg in one.legs if leg.index in others.devices]
    return tuple(dict.fromkeys(names))


def _before(rule: AnyRule, case: Case, others: Foreign, first: int) -> Iterator[Finding]:
    entries = others.tables.get((rule.family, rule.table), ())
    leads = rule.action != "lookup" or has_default(entries)
    if catches_all(rule) and leads:
        yield _first(rule, case, _devices(entries, others) if rule.action == "lookup" else (rule.action,))
    elif _passes_us_by(rule, case, first):
        what = f"{named(rule)} comes before our shared default and leads to main's own default"
        breaks = "what it chooses goes there, with its uplinks online or not"
        yield Finding("rule-to-main", NOTE, _about(rule), what, breaks, Fix(f"if that is not meant: {IN_MAIN}"))
    elif first <= rule.priority <= first + priorities.DEFAULT and rule.action != "nop":
        what = f"{named(rule)} stands between ours (from {first} on)"
        breaks = "what it chooses never gets to policies and rules of ours that come later"
        words = f"if that is not meant: give it another priority, or ours ([routing] rule_priority, now {first})"
        yield Finding("rule-between", NOTE, _about(rule), what, breaks, Fix(words))


IN_MAIN = "[routing] default_table = main in mwan-hook.conf: main's default then follows the verdicts"


def _passes_us_by(rule: AnyRule, case: Case, first: int) -> bool:
    """Whether its packets take main's default, and no rule of ours leads them before."""
    if rule.table != MAIN_TABLE or rule.suppress_prefixlength is not None or rule.priority > first + priorities.DEFAULT:
        return False
    shared = case.config.routing.default_table
    alike = (one for one in case.snapshot.rules if one.family is rule.family and one.table == shared)
    led = any((one.mark, one.mask) == (rule.mark, rule.mask) for one in alike)
    return shared != MAIN_TABLE and rule.action == "lookup" and not led


def _about(rule: AnyRule) -> str:
    return f"{rule.family.value} {rule.priority}"


def _first(rule: AnyRule, case: Case, ways: tuple[str, ...]) -> Finding:
    """A tunnel that takes everything is meant to; a rule that leads to an uplink, or nowhere, hardly is."""
    interfaces = {uplink.interface for uplink in case.uplinks}
    tunnel = bool(ways) and not interfaces & set(ways) and not set(ways) & set(ROUTE_ERRORS)
    what = f"{named(rule)} comes before our shared default and leads to {' and '.join(ways) or 'a default'}"
    breaks = "all that it takes goes there, uplinks online or not: no failover, no sharing"
    severity = PROBLEM
    words = "take it out, or give it a selector or a priority behind ours (ip rule del, ip rule add priority ...)"
    if rule.table == MAIN_TABLE and case.config.routing.default_table != MAIN_TABLE:
        words += f"; or {IN_MAIN}"
    if tunnel:
        severity = WARNING
        breaks = (
            "all traffic goes into that tunnel; only its own packets, and what is bound to an uplink, are ours to lead"
        )
        words = (
            "nothing, if the tunnel is meant to take all; else keep a default out of its table (AllowedIPs=, Table=off)"
        )
    return Finding("rule-first", severity, _about(rule), what, breaks, Fix(words))


def _behind(rule: AnyRule, case: Case, others: Foreign, last: int) -> Finding:
    """The shared default stands where everything went before us; what comes later was not asked then, either."""
    entries = others.tables.get((rule.family, rule.table), ())
    ways = _devices(entries, others)
    interfaces = {uplink.interface for uplink in case.uplinks}
    what = f"{named(rule)} comes after our shared default ({last}), which answers everything"
    if catches_all(rule) and (rule.table == MAIN_TABLE or (ways and interfaces.issuperset(ways))):
        breaks = "nothing while an uplink is online: the shared default does its work"
        return Finding("rule-behind", NOTE, _about(rule), what, breaks, Fix("nothing"))
    breaks = "it is never asked while an uplink is online: what it is for goes out by an uplink"
    fix = Fix(f"give it a priority below {last}")
    return Finding("rule-behind", WARNING, _about(rule), what, breaks, fix)


def check_copied(case: Case) -> Iterator[Finding]:
    """Look-ups of local addresses and of VRFs that others have put behind our rules: the first of each kind."""
    for family in case.snapshot.families:
        copies = {one.l3mdev: one for one in case.snapshot.rules if one.family is family and comes_first(one)}
        ours = [r.priority for r in case.snapshot.rules if r.family is family and not comes_first(r)]
        kinds: dict[bool, Rule] = {}
        for rule in case.snapshot.foreign_rules:
            if rule.family is family and comes_first(rule):
                kinds.setdefault(rule.l3mdev, rule)
        for rule in kinds.values():
            if ours and rule.priority >= min(ours):
                yield from _overtaken(rule, min(ours), copies.get(rule.l3mdev))


def _overtaken(rule: Rule, first: int, copy: Rule | None) -> Iterator[Finding]:
    name = numbered(rule.family, rule.priority)
    what = f"{name}: from all {'l3mdev' if rule.l3mdev else 'lookup local'} stands behind ours (from {first} on)"
    about = f"{rule.family.value} {rule.priority}"
    if copy is None and rule.l3mdev:
        breaks = "what is in a VRF is looked up in our tables first, and leaves by an uplink"
        yield Finding("vrf-behind", PROBLEM, about, what, breaks, _RUN)
    elif copy is None:
        breaks = "packets for addresses of this machine are led out of it: none of them answers"
        yield Finding("local-behind", PROBLEM, about, what, breaks, _RUN)
    elif not rule.l3mdev:
        breaks = f"ours has a copy at {copy.priority}; rules of others that come before both lead such packets away"
        yield Finding("local-behind", WARNING, about, what, breaks, _BACK)
