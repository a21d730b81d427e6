"""Whose rules these are, and which of them meet ours."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.doctor import known
from mwan_hook.doctor.checks import rules as doctorrules
from mwan_hook.doctor.finding import Case, Severity
from mwan_hook.model import LOCAL_TABLE, Family, Rule
from mwan_hook.trace.values import AnyRule, Span
from tests.unit import builders as b

V4, V6 = Family.IPV4, Family.IPV6


@pytest.mark.parametrize(
    ("rule", "program"),
    [
        ({"priority": 5200, "table": 52}, "Tailscale"),
        ({"priority": 5299, "mask": 0xFF0000}, "Tailscale"),
        ({"priority": 5199, "table": 52}, ""),
        ({"priority": 5300, "table": 52}, ""),
        ({"priority": 5250, "table": 53}, ""),
        ({"mark": 0xCA6C}, "WireGuard (wg-quick)"),
        ({"table": 51820}, "WireGuard (wg-quick)"),
        ({"mark": 0x200, "mask": 0xF00}, "Cilium"),
        ({"mark": 0x300, "mask": 0xF00}, ""),
        ({"mark": 0x200, "mask": 0xFF00}, ""),
        ({"priority": 1001, "iif": "wan", "table": 1}, "mwan3"),
        ({"priority": 1255, "iif": "wan", "table": 255}, "mwan3"),
        ({"priority": 1256, "iif": "wan", "table": 256}, ""),
        ({"priority": 1000, "iif": "wan", "table": 0}, ""),
        ({"priority": 3000, "iif": "wan", "table": 0}, ""),
        ({"priority": 4001, "iif": "wan", "table": 1}, ""),
        ({"priority": 1001, "iif": "wan", "table": 2}, ""),
        ({"priority": 1001, "table": 1}, ""),
        ({"priority": 2001, "mask": 0x3F00}, "mwan3"),
        ({"priority": 1001, "mask": 0x3F00}, ""),
        ({"mark": 0x4000, "mask": 0x4000}, "kube-proxy"),
        ({"mark": 0x4000, "mask": 0x8000}, ""),
        ({"mark": 0x8000, "mask": 0x8000}, "kube-proxy"),
        ({"priority": 2000, "mask": 0x3F00}, ""),
        ({"priority": 4001, "mask": 0x3F00}, ""),
        ({"priority": 2001, "mask": 0xFF}, ""),
    ],
)
def test_programs_are_known_by_their_rules(rule: dict[str, Any], program: str) -> None:
    assert known.of_rule(AnyRule(**{"family": V4, "priority": 7000, **rule})) == program


@pytest.mark.parametrize(
    "selector",
    [
        {"mask": 1},
        {"tos": 4},
        {"ipproto": 6},
        {"tunnel": 1},
        {"flowlabel_mask": 1},
        {"dscp": 0},
        {"src": "10.0.0.0/8"},
        {"dst": "10.0.0.0/8"},
        {"iif": "lan0"},
        {"oif": "wan0"},
        {"uids": Span(0, 9)},
        {"sport": Span(1, 2)},
        {"dport": Span(1, 2)},
    ],
)
def test_each_selector_leaves_some_packets_out_unless_it_is_turned_round(selector: dict[str, Any]) -> None:
    rule = AnyRule(V4, 500, table=77, **selector)
    assert not doctorrules.catches_all(rule)
    assert doctorrules.catches_all(rule._replace(inverted=True)) and doctorrules.catches_all(AnyRule(V4, 500, table=77))


@pytest.mark.parametrize("more", [{"suppress_prefixlength": 0}, {"action": "nop"}, {"action": "goto"}])
def test_what_only_passes_on_catches_nothing(more: dict[str, Any]) -> None:
    assert not doctorrules.catches_all(AnyRule(V4, 500, table=77)._replace(**more))


LOCAL, VRFS = Rule(V4, 2000, LOCAL_TABLE), Rule(V4, 2000, 0, l3mdev=True)
OURS = Rule(V4, 1000, 254, suppress_prefixlength=0, protocol=172)


@pytest.mark.parametrize(
    ("foreign", "ours", "expected"),
    [
        ((LOCAL,), (OURS,), [("local-behind", Severity.PROBLEM)]),
        ((VRFS,), (OURS,), [("vrf-behind", Severity.PROBLEM)]),
        ((LOCAL,), (OURS, LOCAL._replace(priority=999, protocol=172)), [("local-behind", Severity.WARNING)]),
        ((VRFS,), (OURS, VRFS._replace(priority=999, protocol=172)), []),
        ((LOCAL,), (OURS, VRFS._replace(priority=999, protocol=172)), [("local-behind", Severity.PROBLEM)]),
        ((LOCAL._replace(priority=1000),), (OURS,), [("local-behind", Severity.PROBLEM)]),  # it was there first, but
        ((LOCAL._replace(priority=999),), (OURS,), []),
        ((LOCAL._replace(priority=0), LOCAL), (OURS,), []),  # the first is what counts
        ((LOCAL,), (), []),
        ((LOCAL,), (OURS._replace(family=V6),), []),
        ((LOCAL,), (OURS, LOCAL._replace(priority=999, family=V6)), [("local-behind", Severity.PROBLEM)]),
        ((LOCAL._replace(src="192.0.2.1"),), (OURS,), []),
        ((Rule(V4, 2000, 77),), (OURS,), []),
    ],
)
@pytest.mark.parametrize("family", [V4, V6])
def test_look_ups_of_local_addresses_and_vrfs_behind_ours_are_found(
    family: Family, foreign: tuple[Rule, ...], ours: tuple[Rule, ...], expected: list[tuple[str, Severity]]
) -> None:
    def turned(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        other = {V4: family, V6: V4 if family is V6 else V6}
        return tuple(rule._replace(family=other[rule.family]) for rule in rules)

    seen = b.snapshot("fiber", families=(V4, V6))._replace(rules=turned(ours), foreign_rules=turned(foreign))
    found = list(doctorrules.check_copied(Case(b.config(b.uplink("fiber")), snapshot=seen)))
    assert [(one.code, one.severity) for one in found] == expected
    flag = "ip rule" if family is V4 else "ip -6 rule"
    for one in found:
        assert one.what.startswith(f"{flag} {foreign[-1].priority}: ") and "(from 1000 on)" in one.what
        assert ("l3mdev" in one.what) is foreign[-1].l3mdev
        assert one.about == f"{family.value} {foreign[-1].priority}"


def test_a_rule_of_ours_for_the_same_mark_in_the_same_family_leads_its_packets_before_main() -> None:
    rule = AnyRule(V4, 1500, table=254, mark=7, mask=0xFF)
    case = Case(b.config(b.uplink("fiber")))
    for family, mark, table, led in (
        (V4, 7, 1000, True),
        (V6, 7, 1000, False),
        (V4, 8, 1000, False),
        (V4, 7, 5, False),
    ):
        ours = Rule(family, 1499, table, mark=mark, mask=0xFF)
        there = case._replace(snapshot=case.snapshot._replace(rules=(ours,)))
        assert doctorrules._passes_us_by(rule, there, 1000) is not led
    for odd in ({"table": 77}, {"suppress_prefixlength": 0}, {"priority": 1901}, {"action": "goto"}):
        assert not doctorrules._passes_us_by(rule._replace(**odd), case, 1000)
    assert doctorrules._passes_us_by(rule._replace(priority=1900), case, 1000)
