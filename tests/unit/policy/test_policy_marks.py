"""Marks of policies, their rules, and what nft is told of them, from values alone."""

from __future__ import annotations

import pytest

from mwan_hook.firewall import match, table
from mwan_hook.model import Allotment, Config, Failback, Fallback, Family, Policy, Router, Routing, Rule, State, Status
from mwan_hook.policy.policies import with_policies
from mwan_hook.routing.desired import desire
from mwan_hook.routing.uplinks import Bound, Inputs
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE
V4, V6 = Family.IPV4, Family.IPV6
THERE = b.snapshot(*b.NAMES)
ALL = b.state(fiber=ON, cable=ON, lte=ON)
MAC = ("02:00:5e:10:00:01",)


def config(*wanted: Policy, pin: bool = False, **routing: object) -> Config:
    entries = (b.uplink("fiber", metric=100), b.uplink("cable", metric=100), b.uplink("lte", metric=200))
    return b.config(*entries, **routing)._replace(policies=wanted, router=Router(pin=pin))


def policy(name: str = "web", uplinks: str = "fiber cable", **settings: object) -> Policy:
    return Policy(name, order=b.order(uplinks), **settings)  # type: ignore[arg-type]


def bound(made: Config, allotment: Allotment | None = None) -> Bound:
    return b.bound(made, Inputs(THERE, State(), allotment or Allotment()))


def rules(made: Config, state: State = ALL) -> list[Rule]:
    """Those with marks of policies."""
    found = bound(made)
    marks = {mark for course in found.policies for mark in course.marks}
    wanted = desire(made, found.uplinks, state, THERE)
    both = with_policies(wanted, found.policies, made.routing, state, THERE)
    return [rule for rule in both.rules if rule.mark in marks]


def commands(made: Config, state: State = ALL) -> tuple[str, ...]:
    found = bound(made)
    return table.wanted(made, found.uplinks, state, THERE, found.policies)


def test_marks_come_from_the_top_of_the_mask_and_stay_with_whom_they_have() -> None:
    first = bound(config(policy(sticky=9)))
    assert first.allotment.policy_marks == {"web": 0x3F00, "web/fiber": 0x3E00, "web/cable": 0x3D00}
    assert sorted(first.allotment.marks.values()) == [0x100, 0x200, 0x300]
    more = config(policy("first", dscp=(46,)), policy(sticky=9))
    assert bound(more, first.allotment).allotment.policy_marks == {**first.allotment.policy_marks, "first": 0x3C00}
    assert bound(config(), first.allotment).allotment.policy_marks == {}


def test_marks_clash_neither_with_fixed_ones_nor_with_those_that_uplinks_got() -> None:
    entries = (b.uplink("fiber", mark=0x3E00), b.uplink("cable", mark=0x1000, mask=0x1000), b.uplink("lte"))
    made = config(policy(dscp=(1,)), pin=True)._replace(uplinks=entries)
    found = bound(made, Allotment(marks={"lte": 0x2F00})).allotment.policy_marks
    assert found == {"web": 0x2E00, "web/fiber": 0x2D00, "web/cable": 0x2C00}
    full = config(policy(sticky=1), mark_mask=0x300)
    found_full = bound(full)
    assert found_full.allotment.policy_marks == {"web": 0x300}, "without it a policy chooses nothing"
    assert len(found_full.allotment.marks) == 2
    assert "none for uplinks lte" in found_full.short[0]


def test_a_policy_without_a_mark_is_told() -> None:
    full = config(policy(sticky=1), policy("more", sticky=1), mark_mask=0x100)
    assert "no mark left for policies more" in " ".join(bound(full).short)


def test_pairs_with_uplinks_that_are_gone_give_their_marks_up() -> None:
    made = config(policy(sticky=9), mark_mask=0x700)  # 3 uplinks, the policy, and 2 pairs of 2 others
    gone = {"web/fiber": 0x700, "web/cable": 0x600}
    there = b.bound(made, Inputs(b.snapshot("cable", "lte"), State(), Allotment(policy_marks=gone)))
    assert there.allotment.policy_marks == {"web": 0x500, **gone}
    less = config(policy(sticky=9), mark_mask=0x500)
    earlier = Allotment(policy_marks={"web/fiber": 0x500})
    found = b.bound(less, Inputs(b.snapshot("cable", "lte"), State(), earlier))
    assert found.allotment.policy_marks == {"web": 0x400, "web/cable": 0x500}


def test_a_policy_that_rules_can_say_keeps_its_rules_and_marks_lead_to_uplinks_only() -> None:
    made = config(policy(sticky=9))
    assert [(r.priority, r.mark, r.table) for r in rules(made)] == [(1300, 0x3E00, 1001), (1300, 0x3D00, 1002)]
    dead = b.state(fiber=OFF, cable=ON, lte=ON)
    assert [(r.priority, r.mark, r.table) for r in rules(made, dead)] == [(1300, 0x3D00, 1002)]


def test_what_nft_chose_is_led_by_all_marks_of_the_policy_and_refused_by_them() -> None:
    made = config(policy(macs=MAC, fallback=Fallback.UNREACHABLE), pin=True)
    dead = b.state(fiber=OFF, cable=ON, lte=ON)
    found = [(r.priority, r.mark, r.action) for r in rules(made, dead)]
    assert found == [
        (1300, 0x3D00, "lookup"),
        *((1400, mark, "lookup") for mark in (0x3F00, 0x3E00, 0x3D00)),
        *((1401, mark, "unreachable") for mark in (0x3F00, 0x3E00, 0x3D00)),
    ]
    none = b.state(fiber=OFF, cable=OFF, lte=ON)
    assert {(r.priority, r.action) for r in rules(made, none)} == {(1401, "unreachable")}


def test_own_packets_are_led_and_refused_before_the_rules_of_their_addresses() -> None:
    made = config(policy(uplinks="lte", dscp=(46,), fallback=Fallback.BLACKHOLE))
    found = [(r.priority, r.iif, r.table, r.action) for r in rules(made) if r.priority < 1200]
    assert found == [(1198, "lo", 1003, "lookup"), (1199, "lo", 0, "blackhole")]


def test_rules_stay_while_it_is_not_known_who_is_online() -> None:
    made = config(policy(uplinks="fiber cable", sticky=9, dscp=(46,)))
    before = [rule for rule in rules(made) if rule.table]
    found = bound(made)
    there = THERE._replace(rules=tuple(before))
    left = with_policies(desire(made, found.uplinks, State(), there), found.policies, made.routing, State(), there)
    assert [rule for rule in left.rules if rule in before] == before


def test_ranges_and_prefixes_that_overlap_are_one_element() -> None:
    wanted = policy(
        protocols=(6, 17),
        dport=((80, 90), (85, 100), (443, 443)),
        sources=("10.0.0.0/8", "10.1.0.0/16", "192.168.1.1", "2001:db8::/32"),
        dscp=(46,),
    )
    (line,) = match.matches(wanted, V4, Routing(), own=False)
    assert line == (
        "meta nfproto ipv4 ip saddr { 10.0.0.0/8, 192.168.1.1 } meta l4proto { 6, 17 } th dport { 80-100, 443 }"
        " ip dscp { 46 }"
    )
    (six,) = match.matches(wanted, V6, Routing(), own=True)
    assert "ip6 saddr { 2001:db8::/32 }" in six and six.endswith("ip6 dscp { 46 }")


def test_of_whom_a_policy_is_decides_where_nft_looks_for_it() -> None:
    def seen(**settings: object) -> list[int]:
        wanted = Policy("web", **settings)  # type: ignore[arg-type]
        return [len(list(match.matches(wanted, V4, Routing(), own=own))) for own in (False, True)]

    assert seen() == [1, 1]
    assert seen(macs=MAC) == [1, 0]
    assert seen(iif=("br0",)) == [1, 0]
    assert seen(iif=("lo", "br0")) == [1, 1]
    assert seen(uids=((0, 0),)) == [0, 1]
    assert seen(marks=((4, None), (8, 0xFF))) == [2, 2]
    assert seen(sources=("2001:db8::1",)) == [0, 0]


def test_failovers_inside_a_tier_leave_the_table_as_it_is() -> None:
    made = config(policy(uplinks="fiber+cable lte", sticky=9), pin=True)
    one_dead = commands(made, b.state(fiber=OFF, cable=ON, lte=ON))
    assert one_dead == commands(made)
    lookups = [line for line in commands(made) if "add rule" in line and "policy_web" in line and "saddr @" in line]
    assert len(lookups) == 2, "the backup lets go of its sources"
    assert len([line for line in commands(made, b.state(lte=ON)) if "policy_web" in line and "saddr @" in line]) == 3


def test_a_hard_failback_gives_connections_back_to_their_policy() -> None:
    entries = (b.uplink("fiber", metric=100), b.uplink("lte", metric=200, failback=Failback.HARD))
    made = config(policy(uplinks="fiber lte", sticky=9), pin=True)._replace(uplinks=entries)
    mine = "ct mark & 0x3f00 == 0x3d00"
    lines = [line.partition("prerouting ")[2] for line in commands(made) if mine in line and " prerouting " in line]
    assert [line.endswith("return") for line in lines] == [True, False]
    assert lines[0] == f"meta nfproto ipv4 ct direction original {mine} return"
    dead = commands(made, b.state(fiber=OFF, lte=ON))
    assert not any(line.endswith(f"{mine} return") for line in dead)


@pytest.mark.parametrize("uplinks", ["lte fiber", "fiber+lte"])
def test_a_hard_failback_of_a_policy_goes_by_the_policy_s_order(uplinks: str) -> None:
    entries = (b.uplink("fiber", metric=100), b.uplink("lte", metric=200, failback=Failback.HARD))
    made = config(policy(uplinks=uplinks, sticky=9), pin=True)._replace(uplinks=entries)
    pair = bound(made).allotment.policy_marks["web/lte"]
    assert not any(line.endswith(f"ct mark & 0x3f00 == {pair:#x} return") for line in commands(made))


def test_a_policy_without_an_uplink_leaves_its_packets_to_the_next_one_that_nft_chooses() -> None:
    first, last = policy("first", uplinks="lte", macs=MAC), policy("last", sticky=9)
    walk = "add rule inet mwan_hook policies "
    both = [line for line in commands(config(first, last)) if line.startswith(walk) and "goto policy_first" in line]
    dead = b.state(fiber=ON, cable=ON, lte=OFF)
    gone = [line for line in commands(config(first, last), dead) if line.startswith(walk) and "ether" in line]
    assert len([line for line in both if "ether" in line]) == 1
    assert gone == []
    alone = commands(config(first), dead)
    assert alone == commands(config(first)), "no policy comes after it"
    refusing = config(first._replace(fallback=Fallback.UNREACHABLE), last)
    assert commands(refusing, dead) == commands(refusing)


def test_names_of_sets_are_nfts_and_tell_all_that_makes_another_set() -> None:
    made = config(policy("vo:ip+ü", sticky=9))
    names = [line.split()[4] for line in commands(made) if line.startswith("add set")]
    assert names == ["sticky_vo_ip___fiber_3e00_9_ipv4", "sticky_vo_ip___cable_3d00_9_ipv4"]
    other = [line.split()[4] for line in commands(config(policy("vo:ip+ü", sticky=8))) if line.startswith("add set")]
    assert not set(names) & set(other)
