"""Doctor: rules of others that come before ours, between them, or behind the one that ends every walk.  Pure."""

from __future__ import annotations

from mwan_hook.core import doctorknown, tracewords
from mwan_hook.core.desired import LAST_PRIORITY
from mwan_hook.core.doctor import Finding, Fix, Severity
from mwan_hook.core.traced import ROUTE_ERRORS, Device
from mwan_hook.core.tracewords import Names
from mwan_hook.light import NamedTuple
from mwan_hook.model import LOCAL_TABLE, MAIN_TABLE, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mwan_hook.core.doctor import Case
    from mwan_hook.core.traced import AnyRule, Entry

MAIN_PRIORITY, DEFAULT_PRIORITY = 32766, 32767
SPAN = 900  # from our first priority to the shared default's rule
HALVES = 2  # 0.0.0.0/1 and 128.0.0.0/1 together are a default, too


class Foreign(NamedTuple):
    """What others have in the kernel: rules, and of each table that one looks in the routes to anywhere."""

    rules: tuple[AnyRule, ...] = ()
    tables: Mapping[tuple[Family, int], tuple[Entry, ...]] = {}
    devices: Mapping[int, Device] = {}


def is_foreign(rule: AnyRule, protocol: int) -> bool:
    """Neither ours nor the kernel's own three."""
    own = rule.table == LOCAL_TABLE or (rule.priority, rule.table) in ((MAIN_PRIORITY, MAIN_TABLE), (32767, 253))
    return rule.protocol != protocol and not own and not rule.l3mdev


def check(case: Case, foreign: Foreign) -> Iterator[Finding]:
    """Each foreign rule that meets one of ours."""
    if not case.uplinks:
        return
    first, last = span(case)
    for rule in foreign.rules:
        if not is_foreign(rule, case.config.routing.protocol) or not case.concerns(rule.family):
            continue
        if rule.priority <= last:
            yield from _before(rule, case, foreign, first)
        elif rule.priority < MAIN_PRIORITY and rule.action != "nop":
            yield from _behind(rule, case, foreign, last)


def span(case: Case) -> tuple[int, int]:
    """Our first priority and that of the rule for the shared default, behind which nobody comes."""
    base = case.config.routing.rule_priority
    own = [entry.rule_priority for entry in case.config.uplinks if entry.rule_priority is not None]
    if case.config.routing.default_table == MAIN_TABLE:
        return min(base, *own) if own else base, MAIN_PRIORITY - 1
    return min([base, *own]), min(max(base + SPAN, *own, 0) if own else base + SPAN, LAST_PRIORITY)


def catches_all(rule: AnyRule) -> bool:
    """Nothing is asked, or all is meant but a little."""
    if rule.suppress_prefixlength is not None or rule.action in ("nop", "goto"):
        return False
    return rule.inverted or not _selects(rule)


def _selects(rule: AnyRule) -> bool:
    numbers = rule.mask or rule.tos or rule.ipproto or rule.tunnel or rule.flowlabel_mask or rule.dscp is not None
    return bool(numbers or rule.src or rule.dst or rule.iif or rule.oif or rule.uids or rule.sport or rule.dport)


def has_default(entries: Sequence[Entry]) -> bool:
    """Whether the routes lead anywhere."""
    if any(not one.length for one in entries):
        return True
    halves = {one.route.dst for one in entries if one.length == 1}
    return len(halves) >= HALVES or any(1 < one.length <= 3 and ":" in one.route.dst for one in entries)


def _words(rule: AnyRule) -> str:
    flag = "ip -6 rule" if rule.family is Family.IPV6 else "ip rule"
    program = doctorknown.of_rule(rule)
    return f"{flag} {rule.priority}: {tracewords.rule(rule, Names())}" + (
        f", of {program} it seems," if program else ""
    )


def _devices(entries: Sequence[Entry], foreign: Foreign) -> tuple[str, ...]:
    """Where the defaults of a table lead; a null route's kind."""
    names = [one.route.kind for one in entries if one.route.kind in ROUTE_ERRORS]
    for one in entries:
        names += [foreign.devices[leg.index].name for leg in one.legs if leg.index in foreign.devices]
    return tuple(dict.fromkeys(names))


def _before(rule: AnyRule, case: Case, foreign: Foreign, first: int) -> Iterator[Finding]:
    entries = foreign.tables.get((rule.family, rule.table), ())
    leads = rule.action != "lookup" or has_default(entries)
    if catches_all(rule) and leads:
        yield _first(rule, case, _devices(entries, foreign) if rule.action == "lookup" else (rule.action,))
    elif first <= rule.priority <= first + SPAN and rule.action != "nop":
        what = f"{_words(rule)} stands between ours (from {first} on)"
        breaks = "what it chooses never gets to policies and rules of ours that come later"
        words = f"if that is not meant: another priority for it, or for ours ([routing] rule_priority, now {first})"
        yield Finding("rule-between", Severity.NOTE, _about(rule), what, breaks, Fix(words=words))


def _about(rule: AnyRule) -> str:
    return f"{rule.family.value} {rule.priority}"


def _first(rule: AnyRule, case: Case, ways: tuple[str, ...]) -> Finding:
    """A tunnel that takes everything is meant to; a rule that leads to an uplink, or nowhere, hardly is."""
    interfaces = {uplink.interface for uplink in case.uplinks}
    tunnel = bool(ways) and not interfaces & set(ways) and not set(ways) & set(ROUTE_ERRORS)
    what = f"{_words(rule)} comes before our shared default and leads to {' and '.join(ways) or 'a default'}"
    breaks = "all that it takes goes there whatever the uplinks do: no failover, no sharing"
    severity = Severity.PROBLEM
    words = "take it out, or give it a selector or a priority behind ours (ip rule del, ip rule add priority ...)"
    if tunnel:
        severity = Severity.WARNING
        breaks = (
            "all traffic goes into that tunnel; only its own packets, and what is bound to an uplink, are ours to lead"
        )
        words = (
            "nothing, if the tunnel is meant to take all; else keep a default out of its table (AllowedIPs=, Table=off)"
        )
    return Finding("rule-first", severity, _about(rule), what, breaks, Fix(words=words))


def _behind(rule: AnyRule, case: Case, foreign: Foreign, last: int) -> Iterator[Finding]:
    """Our shared default answers everything, so what comes later is asked only while nothing is online."""
    entries = foreign.tables.get((rule.family, rule.table), ())
    everything = catches_all(rule) and rule.action == "lookup" and has_default(entries)
    what = f"{_words(rule)} comes after our shared default ({last}), which answers everything"
    breaks = "it is never asked while an uplink is online: " + (
        f"what should go by {' and '.join(_devices(entries, foreign)) or 'its table'} goes out by an uplink"
        if everything
        else "what it is for goes out by an uplink"
    )
    severity = Severity.PROBLEM if everything else Severity.WARNING
    yield Finding("rule-behind", severity, _about(rule), what, breaks, _move(case, foreign))


def _move(case: Case, foreign: Foreign) -> Fix:
    """Ours behind the last of theirs, where there is room."""
    if any(entry.rule_priority is not None for entry in case.config.uplinks):
        return Fix(
            words="a priority before ours for it, or higher ones for ours ([routing] and uplinks' rule_priority)"
        )
    others = [one.priority for one in foreign.rules if is_foreign(one, case.config.routing.protocol)]
    base = (max(one for one in others if one < MAIN_PRIORITY) // 100 + 1) * 100
    if base + SPAN <= LAST_PRIORITY:
        return Fix(words=f"[routing] rule_priority = {base} in mwan-hook.conf: ours then come after all of theirs")
    return Fix(words=f"a priority below {case.config.routing.rule_priority} for it")
