"""Rules and tables of policies, from values alone."""

from __future__ import annotations

import pytest

from mwan_hook.model import (
    MAIN_TABLE,
    Allotment,
    Change,
    Config,
    Fallback,
    Family,
    Op,
    Policy,
    Route,
    Rule,
    Snapshot,
    State,
    Status,
)
from mwan_hook.policy import order, policies, selectors
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.plan import plan
from mwan_hook.routing.uplinks import Bound, Inputs
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE
V4, V6 = Family.IPV4, Family.IPV6
OWN = 1004  # the first table that three uplinks leave
THERE = b.snapshot(*b.NAMES)
ALL = b.state(fiber=ON, cable=ON, lte=ON)
NEW = Allotment()


def config(*wanted: Policy, **routing: object) -> Config:
    entries = (b.uplink("fiber", metric=100), b.uplink("cable", metric=200), b.uplink("lte", metric=200, weight=3))
    return b.config(*entries, **routing)._replace(policies=wanted)


def policy(name: str = "web", uplinks: str = "lte", **settings: object) -> Policy:
    return Policy(name, order=b.order(uplinks), **settings)  # type: ignore[arg-type]


def bound(config: Config, snapshot: Snapshot = THERE, allotment: Allotment = NEW) -> Bound:
    return b.bound(config, Inputs(snapshot, State(), allotment))


def desired(config: Config, state: State = ALL, snapshot: Snapshot = THERE) -> Desired:
    found = bound(config, snapshot)
    made = desire(config, found.uplinks, state, snapshot)
    return policies.with_policies(made, found.policies, config.routing, state, snapshot)


def of_policies(made: Desired) -> list[Rule]:
    return [rule for rule in made.rules if 1400 <= rule.priority < 1900]


def devices(routes: tuple[Route, ...]) -> list[list[tuple[int, int]]]:
    return [[(hop.index, hop.weight) for hop in route.nexthops] for route in routes]


def test_one_uplink_carries_by_a_rule_to_its_own_table() -> None:
    made = desired(config(policy(dport=((443, 443),), protocols=(6,))))
    assert of_policies(made) == [Rule(V4, 1400, 1003, ipproto=6, dport=(443, 443))]
    assert made.policies == ()


def test_the_first_online_of_several_carries_with_the_others_below_it() -> None:
    made = desired(config(policy(uplinks="lte fiber")))
    assert of_policies(made) == [Rule(V4, 1400, OWN)]
    assert devices(made.policies) == [[(4, 1)], [(4, 1)], [(2, 1)]]
    assert [(route.table, route.metric) for route in made.policies] == [(OWN, 1), (OWN, 2), (OWN, 3)]
    made = desired(config(policy(uplinks="lte fiber")), b.state(fiber=ON, cable=ON, lte=OFF))
    assert (of_policies(made), devices(made.policies)) == ([Rule(V4, 1400, OWN)], [[(2, 1)], [(2, 1)]])


@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("fallback", list(Fallback))
def test_no_hold_keeps_a_good_uplink_from_packets_that_have_no_other_way(fallback: Fallback, family: Family) -> None:
    there = b.snapshot(*b.NAMES, families=(family,))
    state = b.state(fiber=ON, cable=OFF, lte=OFF)
    held = state.uplinks["lte"].family(family)._replace(good=2, held_until=180.0)
    alone, several = policy(fallback=fallback), policy("other", "cable lte", fallback=fallback, protocols=(6,))
    for memory, uplink in ((held, ["lte"]), (held._replace(good=0), []), (held._replace(status=ON), ["lte"])):
        now = state._replace(uplinks={**state.uplinks, "lte": state.uplinks["lte"].with_family(family, memory)})
        courses = bound(config(alone, several), there).policies
        carried = [[one.name for one in policies.online(course, family, now)] for course in courses]
        waits = fallback is Fallback.DEFAULT and memory is held
        assert carried == [[] if waits else uplink] * 2


@pytest.mark.parametrize(
    ("uplinks", "offline", "shared", "below"),
    [
        ("lte+fiber cable", "", [(4, 3), (2, 1)], [4, 2, 3]),  # of two metrics
        ("fiber+lte cable", "", [(2, 1), (4, 3)], [2, 4, 3]),
        ("lte+fiber cable", "fiber", [(4, 1)], [4, 3]),
        ("lte+fiber cable", "lte fiber", [(3, 1)], [3]),
        ("lte cable fiber", "", [(4, 1)], [4, 3, 2]),  # of one metric
        ("cable lte fiber", "", [(3, 1)], [3, 4, 2]),
        ("fiber lte+cable", "fiber", [(4, 3), (3, 1)], [4, 3]),
        ("fiber lte+cable", "fiber lte", [(3, 1)], [3]),
        ("cable+lte+fiber", "", [(3, 1), (4, 3), (2, 1)], [3, 4, 2]),
    ],
)
@pytest.mark.parametrize("family", [V4, V6])
def test_a_plus_shares_by_weight_and_a_comma_orders_also_against_the_metrics(
    family: Family, uplinks: str, offline: str, shared: list[tuple[int, int]], below: list[int]
) -> None:
    there = b.snapshot(*b.NAMES, families=(family,))
    state = b.state(**{name: OFF if name in offline.split() else ON for name in b.NAMES})
    made = desired(config(policy(uplinks=uplinks)), state, there)
    assert devices(made.policies) == [shared, *[[(index, 1)] for index in below]]


def test_status_tells_who_shares_in_the_words_of_the_file() -> None:
    wanted = policy(uplinks="fiber+lte cable")
    (course,) = bound(config(wanted)).policies
    assert order.text(wanted) == "fiber + lte, cable"
    assert policies.via(course, V4, ALL) == ("fiber", "lte")
    assert policies.via(course, V4, b.state(fiber=OFF, cable=ON, lte=ON)) == ("lte",)
    assert policies.via(course, V4, b.state(fiber=OFF, cable=ON, lte=OFF)) == ("cable",)


def test_what_has_none_plugged_in_leaves_its_place_to_the_next() -> None:
    made = desired(config(policy(uplinks="lte+cable fiber")), ALL, b.snapshot("fiber", "cable"))
    assert devices(made.policies) == [[(3, 1)], [(3, 1)], [(2, 1)]]


@pytest.mark.parametrize(
    ("uplinks", "metrics", "found"),
    [
        ("fiber cable lte", {"fiber": 1, "cable": 2, "lte": 2}, ("cable", "lte")),
        ("fiber cable lte", {"fiber": 1, "cable": 2, "lte": 3}, None),
        ("fiber cable", {"fiber": 5}, None),
        ("fiber+cable lte", {"fiber": 1, "cable": 1, "lte": 1}, None),
    ],
)
def test_what_shared_before_there_was_a_plus_is_named(
    uplinks: str, metrics: dict[str, int], found: tuple[str, ...] | None
) -> None:
    assert order.formerly_shared([policy("p", uplinks)], metrics).get("p") == found
    meant = policy("q", "fiber+lte", sources=("10.0.0.1",))
    assert order.formerly_shared([policy("p", uplinks), meant], metrics) == {}, "who writes + means commas"


def test_the_shared_default_is_as_without_policies() -> None:
    plain, made = desired(config()), desired(config(policy(uplinks="lte cable")))
    assert made.shared == plain.shared
    assert [rule for rule in made.rules if rule not in of_policies(made)] == sorted(
        plain.rules, key=lambda rule: rule.priority
    )


def test_every_combination_is_a_rule_of_its_own() -> None:
    wanted = policy(
        sources=("10.0.0.0/8", "2001:db8::/32"),
        protocols=(6, 17),
        sport=((1, 2),),
        dport=((80, 80), (5000, 5100)),
        iif=("br0", "br1"),
        marks=((4, 255),),
    )
    made = of_policies(desired(config(wanted)))
    assert len(made) == len(set(made)) == selectors.size(wanted, V4) == 8
    assert {(r.src, r.sport, r.mark, r.mask, r.table) for r in made} == {("10.0.0.0/8", (1, 2), 4, 255, 1003)}
    assert {(r.ipproto, r.dport, r.iif) for r in made} == {
        (proto, dport, iif) for proto in (6, 17) for dport in ((80, 80), (5000, 5100)) for iif in ("br0", "br1")
    }


def test_a_family_is_chosen_by_addresses_and_by_the_two_icmps() -> None:
    assert selectors.families(policy()) == (V4, V6)
    assert selectors.families(policy(sources=("10.0.0.0/8",))) == (V4,)
    assert selectors.families(policy(protocols=(58,))) == (V6,)
    assert selectors.families(policy(destinations=("::/0",), protocols=(1, 6))) == (V6,)
    assert selectors.families(policy(sources=("10.0.0.1",), destinations=("2001:db8::1",))) == ()
    assert [r.ipproto for r in selectors.selected(policy(protocols=(1, 58, 6)), V6, config().routing)] == [58, 6]


def test_a_whole_family_needs_no_selector() -> None:
    (rule,) = selectors.selected(policy(sources=("0.0.0.0/0", "10.0.0.0/8")), V4, config().routing)
    assert rule.src is None
    assert list(selectors.selected(policy(sources=("0.0.0.0/0",)), V6, config().routing)) == []


def test_a_mark_without_a_mask_leaves_our_own_bits_alone() -> None:
    (rule,) = of_policies(desired(config(policy(marks=((4, None),)))))
    assert (rule.mark, rule.mask) == (4, 0xFFFFC0FF)


def test_root_s_packets_are_our_own_not_those_that_are_forwarded() -> None:
    rules = of_policies(desired(config(policy(uids=((0, 0), (1000, 1999))))))
    assert [(rule.iif, rule.uids) for rule in rules] == [("lo", (0, 0)), (None, (1000, 1999))]


def test_priorities_follow_the_configuration_and_a_fallback_stands_right_behind() -> None:
    wanted = (
        policy("a", sources=("10.0.0.1",)),
        policy("b", sources=("10.0.0.2",), fallback=Fallback.UNREACHABLE),
        policy("c", sources=("10.0.0.3",), fallback=Fallback.BLACKHOLE),
    )
    rules = [(r.priority, r.src, r.action, r.table) for r in of_policies(desired(config(*wanted)))]
    assert rules == [
        (1400, "10.0.0.1", "lookup", 1003),
        (1402, "10.0.0.2", "lookup", 1003),
        (1403, "10.0.0.2", "unreachable", 0),
        (1404, "10.0.0.3", "lookup", 1003),
        (1405, "10.0.0.3", "blackhole", 0),
    ]
    none = [(r.priority, r.action) for r in of_policies(desired(config(*wanted), b.state(fiber=ON, cable=ON, lte=OFF)))]
    assert none == [(1403, "unreachable"), (1405, "blackhole")]


def test_the_last_policy_that_has_room_stands_before_the_default() -> None:
    wanted = [policy(str(n), sources=(f"10.0.0.{n}",), fallback=Fallback.BLACKHOLE) for n in range(policies.MOST)]
    assert max(rule.priority for rule in of_policies(desired(config(*wanted)))) == 1899


def test_main_comes_first_also_where_no_uplink_knows_the_family() -> None:
    both = b.snapshot(*b.NAMES)._replace(families=(V4, V6))
    wanted = policy(fallback=Fallback.UNREACHABLE)
    only = [rule for rule in desired(config(wanted), State(), both).rules if rule.family is V6]
    assert only == [
        Rule(V6, 1000, MAIN_TABLE, suppress_prefixlength=0),
        Rule(V6, 1199, 0, iif="lo", action="unreachable"),
        Rule(V6, 1401, 0, action="unreachable"),
    ]
    made = desired(config(wanted, main_first=False), State(), both)
    assert [rule.priority for rule in made.rules if rule.family is V6] == [1199, 1401]


def test_ipv6_is_refused_before_it_can_ask_again_from_an_uplink_s_address() -> None:
    both = b.snapshot(*b.NAMES, families=(V4, V6))
    wanted = config(policy(fallback=Fallback.BLACKHOLE), policy("b", fallback=Fallback.BLACKHOLE, iif=("br0",)))
    made = desired(wanted, b.state(fiber=ON, cable=ON, lte=OFF), both)
    early = [rule for rule in made.rules if rule.action != "lookup" and rule.priority < 1200]
    assert [(rule.family, rule.priority, rule.iif) for rule in early] == [(V6, 1199, "lo")]
    later = [rule.priority for rule in desired(wanted, ALL, both).rules if rule.action != "lookup"]
    assert min(later) == 1250, "guards of addresses, and fallbacks"


def test_each_family_is_carried_on_its_own() -> None:
    both = b.snapshot(*b.NAMES, families=(V4, V6))
    lame = ALL.uplinks["lte"]._replace(ipv6=ALL.uplinks["lte"].ipv6._replace(status=OFF))
    made = desired(config(policy()), ALL._replace(uplinks={**ALL.uplinks, "lte": lame}), both)
    assert [rule.family for rule in of_policies(made)] == [V4]


def test_a_disabled_uplink_carries_nothing() -> None:
    wanted = config(policy(uplinks="lte fiber"))
    found = bound(wanted, allotment=Allotment(enabled={"lte": False}))
    made = desire(wanted, found.uplinks, ALL, THERE)
    made = policies.with_policies(made, found.policies, wanted.routing, ALL, THERE)
    assert devices(made.policies) == [[(2, 1)], [(2, 1)]]


def test_a_template_s_name_stands_for_all_of_its_uplinks_and_one_has_its_own() -> None:
    entry = b.uplink("any", metric=7)._replace(match=b.uplink("[cl]*").match)
    wanted = b.config(entry)._replace(policies=(policy("all", "any"), policy("one", "any@lte")))
    courses = bound(wanted).policies
    assert [[uplink.name for uplink in course.uplinks] for course in courses] == [["any@cable", "any@lte"], ["any@lte"]]
    assert [bool(course.table) for course in courses] == [True, False]
    assert [len(course.tiers) for course in courses] == [1, 1], "they share"
    (apart,) = bound(b.config(entry)._replace(policies=(policy("apart", "any@lte any@cable"),))).policies
    assert [[uplink.name for uplink in tier] for tier in apart.tiers] == [["any@lte"], ["any@cable"]]


def test_tables_are_remembered_and_never_collide() -> None:
    wanted = config(policy(uplinks="lte fiber"), policy("other", "cable fiber"))
    first = bound(wanted).allotment
    assert first.policies == {"web": OWN, "other": OWN + 1}
    again = bound(wanted._replace(policies=wanted.policies[::-1]), allotment=first)
    assert again.allotment == first
    fixed = b.uplink("fiber", metric=100, table=OWN)
    moved = bound(wanted._replace(uplinks=(fixed, *wanted.uplinks[1:])), allotment=first)
    tables = [uplink.table for uplink in moved.uplinks] + list(moved.allotment.policies.values())
    assert len(set(tables)) == 5
    assert moved.allotment.policies["other"] == OWN + 1
    more = b.uplink("wan9", metric=1)
    late = bound(wanted._replace(uplinks=(*wanted.uplinks, more)), allotment=first)
    assert late.allotment.tables["wan9"] == OWN + 2


def test_without_verdicts_what_stands_stays() -> None:
    wanted = config(policy(uplinks="lte fiber", sources=("10.0.0.1",)))
    made = desired(wanted)
    there = THERE._replace(rules=made.rules, policies=made.policies)
    lost = desired(wanted, State(), there)
    assert (of_policies(lost), lost.policies) == (of_policies(made), made.policies)
    changed = config(policy(uplinks="lte fiber", sources=("10.0.0.2",)))
    assert of_policies(desired(changed, State(), there)) == []


def test_what_is_unplugged_and_unjudged_holds_nothing_that_stood() -> None:
    wanted = config(policy(uplinks="lte fiber"))
    made = desired(wanted)
    there = b.snapshot("fiber", "cable")._replace(rules=made.rules, policies=made.policies)
    lost = desired(wanted, b.state(fiber=OFF, cable=ON), there)
    assert (of_policies(lost), lost.policies) == ([], ())


def test_the_new_way_stands_before_the_old_one_goes() -> None:
    wanted = config(policy(uplinks="lte"))
    before = desired(wanted)
    there = THERE._replace(rules=before.rules, shared=before.shared, policies=before.policies)
    after = desired(wanted._replace(policies=(policy(uplinks="lte cable"),)), ALL, there)
    changes = plan(wanted.routing, after, there)
    order = [(one.op, one.table) for one in changes if matters(one)]
    assert order == [(Op.ADD, OWN)] * 4 + [(Op.DELETE, 1003)]


def matters(change: Change) -> bool:
    what = change.what
    return (isinstance(what, Rule) and what.priority == 1400) or (isinstance(what, Route) and what.table == OWN)


def test_a_table_that_is_not_needed_any_more_is_emptied_after_its_rule() -> None:
    wanted = config(policy(uplinks="lte fiber"))
    before = desired(wanted)
    there = THERE._replace(rules=before.rules, shared=before.shared, policies=before.policies)
    off = b.state(fiber=OFF, cable=ON, lte=OFF)
    changes = plan(wanted.routing, desired(wanted, off, there), there)
    order = [type(one.what) for one in changes if matters(one) and one.op is Op.DELETE]
    assert order == [Rule, Route, Route, Route]


@pytest.mark.parametrize(
    ("iif", "forwards", "own"),
    [((), True, True), (("lo",), False, True), (("br0",), True, False), (("br0", "lo"), True, True)],
)
def test_which_packets_a_policy_means_is_told_by_where_they_come_in(
    iif: tuple[str, ...], forwards: bool, own: bool
) -> None:
    wanted = policy(iif=iif, dscp=(46,))
    assert (wanted.forwards, wanted.marks_own) == (forwards, own)
    assert not policy(iif=iif, uids=((0, 0),)).forwards
    assert not policy(iif=iif, dscp=(46,), macs=("02:00:00:00:00:01",)).marks_own
    assert not policy(iif=iif).marks_own
