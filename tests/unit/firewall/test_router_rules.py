"""Rules of policies, their marks, and the nft table: what is done for one must not be done for another."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.firewall import policies as policynft
from mwan_hook.firewall import table as firewall
from mwan_hook.model import (
    Address,
    Allotment,
    Config,
    Delegated,
    Failback,
    Family,
    Firewall,
    Nat6,
    OnLink,
    Policy,
    Route,
    Router,
    Routing,
    Rule,
    Snapshot,
    State,
    Status,
)
from mwan_hook.policy import marks as policymarks
from mwan_hook.policy import policies, selectors
from mwan_hook.policy.policies import BoundPolicy, with_policies
from mwan_hook.routing import priorities
from mwan_hook.routing.desired import desire
from mwan_hook.routing.uplinks import Bound, Inputs
from tests.unit import builders as b

V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)
ON, OFF = Status.ONLINE, Status.OFFLINE
THERE = b.snapshot(*b.NAMES, families=BOTH)
ALL = b.state(fiber=ON, cable=ON, lte=ON)
MAC, DSCP = ("02:00:5e:10:00:01",), (46,)
MASK = Routing().mark_mask
FAILBACK = {"soft": Failback.SOFT, "hard": Failback.HARD}


def config(*wanted: Policy, pin: bool = False, hard: str = "", **router: Any) -> Config:
    """Three uplinks of rising metrics."""
    entries = tuple(
        b.uplink(name, metric=100 * place, failback=FAILBACK["hard" if name in hard.split() else "soft"])
        for place, name in enumerate(b.NAMES, 1)
    )
    return b.config(*entries)._replace(policies=wanted, router=Router(pin=pin, **router))


def policy(name: str = "web", uplinks: str = "fiber cable", **settings: object) -> Policy:
    """By preference."""
    return Policy(name, order=b.order(uplinks), **settings)  # type: ignore[arg-type]


def bound(made: Config, snapshot: Snapshot = THERE, allotment: Allotment | None = None) -> Bound:
    """To what is there."""
    return b.bound(made, Inputs(snapshot, State(), allotment or Allotment()))


def commands(made: Config, state: State = ALL, snapshot: Snapshot = THERE) -> tuple[str, ...]:
    """Of nft."""
    found = bound(made, snapshot)
    return firewall.wanted(made, found.uplinks, state, snapshot, found.policies)


def chain(lines: tuple[str, ...], name: str) -> list[str]:
    """Its rules."""
    start = f"add rule inet mwan_hook {name} "
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def hooks(lines: tuple[str, ...]) -> dict[str, str]:
    """Chains with hooks, and where they hang."""
    found = [line.split(" ", 4) for line in lines if line.startswith("add chain") and "{ type" in line]
    return {
        words[4].partition(" ")[0]: words[4].partition("{ ")[2].removesuffix("; policy accept; }") for words in found
    }


# ---------------------------------------------------------------- the nft table


def test_every_chain_hangs_where_its_work_is_possible() -> None:
    """Marks before routing; own packets are routed anew; NAT behind all others."""
    made = config(policy(dscp=DSCP, sticky=60), pin=True, masquerade=(V4,))
    assert hooks(commands(made)) == {
        "policies": "type filter hook prerouting priority -95",
        "own": "type route hook output priority -95",
        "learning": "type filter hook forward priority -145",
        "prerouting": "type filter hook prerouting priority -145",
        "output": "type route hook output priority -145",
        "postrouting": "type filter hook postrouting priority -145",
        "srcnat": "type nat hook postrouting priority 120",
    }


@pytest.mark.parametrize(
    ("settings", "pin", "chains"),
    [
        ({"macs": MAC}, False, {"policies"}),
        ({"dscp": DSCP}, False, {"policies", "own", "srcnat"}),
        ({"sticky": 60}, False, {"policies", "learning"}),
        ({"macs": MAC}, True, {"policies", "prerouting", "output", "postrouting"}),
        ({}, True, {"prerouting", "output", "postrouting"}),
        ({}, False, set()),
    ],
)
def test_a_chain_is_made_only_where_something_needs_it(settings: dict[str, Any], pin: bool, chains: set[str]) -> None:
    assert set(hooks(commands(config(policy(**settings), pin=pin)))) == chains


@pytest.mark.parametrize("hard", ["", "cable", "fiber cable lte"])
@pytest.mark.parametrize("online", [("fiber", "cable", "lte"), ("cable", "lte"), ("lte",), ()])
def test_only_a_hard_failback_gives_connections_up_and_only_for_a_better_one_that_is_online(
    hard: str, online: tuple[str, ...]
) -> None:
    """A soft one is restored to its uplink beside all else; what came in is answered by it in any case."""
    made = config(policy(uplinks="fiber cable lte", macs=MAC), pin=True, hard=hard)
    lines = commands(made, b.state(**{name: ON if name in online else OFF for name in b.NAMES}))
    names = list(b.NAMES)
    marks = {name: place for place, name in enumerate(names, 1)}
    for name in names:
        better = name in hard.split() and any(other in online for other in names[: marks[name] - 1])
        own = f"ct mark & {MASK:#x} == {marks[name] << 8:#x}"
        pair = f"ct mark & {MASK:#x} == {0x3F00 - (marks[name] << 8):#x}"
        for mine in (own, pair):
            for place in ("prerouting", "output"):
                given_up = [line for line in chain(lines, place) if line.endswith(f"{mine} return")]
                assert given_up == (
                    [f"meta nfproto {family.value} ct direction original {mine} return" for family in BOTH]
                    if better
                    else []
                )
                assert (
                    sum(
                        line.startswith(f"{mine} meta mark & {MASK:#x} == 0 meta mark set")
                        for line in chain(lines, place)
                    )
                    == 1
                )


@pytest.mark.parametrize(("mark", "pinned"), [(0x100, True), (0x3F00, True), (0x4000, False), (0x4100, False)])
def test_a_mark_outside_the_mask_pins_nothing(mark: int, pinned: bool) -> None:
    made = b.config(b.uplink("fiber", mark=mark))._replace(router=Router(pin=True))
    lines = commands(made, b.state(fiber=ON), b.snapshot("fiber"))
    assert (chain(lines, "postrouting") != []) is pinned


@pytest.mark.parametrize(
    ("own", "of_all", "v4", "v6"),
    [
        (None, (), False, False),
        (None, (V4,), True, False),
        (None, BOTH, True, True),
        ((), BOTH, False, False),
        ((V6,), (V4,), False, True),
    ],
)
@pytest.mark.parametrize("nat6", [Nat6.NO, Nat6.MASQUERADE])
def test_only_what_is_named_is_masqueraded(
    own: tuple[Family, ...] | None, of_all: tuple[Family, ...], v4: bool, v6: bool, nat6: Nat6
) -> None:
    made = b.config(b.uplink("fiber", masquerade=own, nat6=nat6))._replace(router=Router(masquerade=of_all))
    found = " ".join(chain(commands(made, b.state(fiber=ON), b.snapshot("fiber")), "srcnat"))
    assert ("nfproto ipv4" in found) is v4
    assert ("nfproto ipv6" in found) is (v6 or nat6 is Nat6.MASQUERADE)


LAN = 9


@pytest.mark.parametrize(
    ("address", "length", "usable", "index", "translated"),
    [
        ("2001:db8:f::1", 64, True, LAN, True),
        ("2001:db8:f::1", 65, True, LAN, False),
        ("2001:db8:f::1", 64, False, LAN, False),
        ("2001:db8:f::1", 64, True, b.NAMES["fiber"], False),
        ("3fff:1::1", 56, True, LAN, True),
        ("fd00:1::1", 64, True, LAN, True),
        ("fc00:1::1", 64, True, LAN, True),
        ("fe80::1", 64, True, LAN, False),
        ("::1", 64, True, LAN, False),
    ],
)
def test_networks_of_hosts_are_translated_and_neither_single_addresses_nor_uplinks(
    address: str, length: int, usable: bool, index: int, translated: bool
) -> None:
    made = b.config(b.uplink("fiber", nat6=Nat6.PREFIX, nat6_prefix="2001:db8:aaaa::/64"))
    there = b.snapshot("fiber", families=BOTH)
    there = there._replace(addresses=(*there.addresses, Address(index, V6, address, length, usable)))
    assert bool(chain(commands(made, b.state(fiber=ON), there), "srcnat")) is translated


def test_networks_are_translated_in_one_order_however_they_are_listed() -> None:
    """Else the table would be made anew whenever the kernel lists addresses in another order."""
    made = b.config(b.uplink("fiber", nat6=Nat6.PREFIX, nat6_prefix="2001:db8:aaaa::/64"))
    lans = [Address(LAN, V6, f"2001:db8:{number:x}::1", 64, True) for number in (0xF1, 0xF9, 0xF3, 0xF7, 0xF5)]
    there = b.snapshot("fiber", families=BOTH)
    one, other = (there._replace(addresses=(*there.addresses, *order)) for order in (lans, lans[::-1]))
    found = chain(commands(made, b.state(fiber=ON), one), "srcnat")
    assert len(found) == 5 and found == sorted(found)
    assert found == chain(commands(made, b.state(fiber=ON), other), "srcnat")


@pytest.mark.parametrize(("wanted", "known", "dead"), [(True, True, True), (False, True, False), (True, False, False)])
def test_prefixes_are_deprecated_where_that_is_wanted_and_one_is_known(wanted: bool, known: bool, dead: bool) -> None:
    prefix = Delegated("2001:db8:1100::/56", "fiber", lans=(OnLink(LAN, "2001:db8:1100:4::/64"),))
    there = THERE._replace(delegated=(prefix,) if known else ())
    made = config(deprecate_prefixes=wanted)
    state = b.state(fiber=OFF, cable=ON, lte=ON)
    assert bool(firewall.deprecated(made, bound(made, there).uplinks, state, there)) is dead


def test_what_is_known_of_a_table_is_kept_until_it_stands_and_nothing_of_one_that_is_gone() -> None:
    want, known = ("a",), Firewall(3, "digest", ("a",))
    there = Firewall(9, "digest")
    assert firewall.remembered(want, there, known) == Firewall(9, "digest", want)
    assert firewall.remembered(("b",), there, known) == known
    assert firewall.remembered(want, Firewall(9, "other"), known) == known
    assert firewall.remembered((), there, known) == known
    assert firewall.remembered((), Firewall(9), known) == Firewall()


# ---------------------------------------------------------------- policies and their marks


@pytest.mark.parametrize("number", [0, 253, 254, 255, 1000, 1001, 1007])
def test_a_policys_table_is_of_no_other(number: int) -> None:
    """Neither one of the kernel's, nor the shared default's, nor an uplink's by configuration or by allotment."""
    entries = (b.uplink("fiber", table=1007), b.uplink("cable"), b.uplink("lte"))
    made = b.config(*entries)._replace(policies=(policy(),))
    found = bound(made, allotment=Allotment(policies={"web": number}, tables={"cable": 1001}))
    (course,) = found.policies
    others = {uplink.table for uplink in found.uplinks} | {0, 253, 254, 255, 1000}
    assert course.table not in others
    assert found.allotment.policies == {"web": course.table}
    kept = bound(made, allotment=Allotment(policies={"web": 1234}, tables={"cable": 1001}))
    assert kept.policies[0].table == 1234


@pytest.mark.parametrize(
    ("settings", "marked"), [({}, False), ({"sticky": 1}, True), ({"macs": MAC}, True), ({"dscp": DSCP}, True)]
)
def test_marks_are_given_to_who_needs_them_and_taken_from_who_does_not(settings: dict[str, Any], marked: bool) -> None:
    for before in ({}, {"web": 0x2A00}, {"web/fiber": 0x2B00, "gone": 0x2C00}):
        found = bound(config(policy(**settings)), allotment=Allotment(policy_marks=before))
        assert ("web" in found.allotment.policy_marks) is marked
        assert bool(found.policies[0].mark) is marked
        assert "gone" not in found.allotment.policy_marks
        if marked and "web" in before:
            assert found.policies[0].mark == 0x2A00
        assert bool(found.policies[0].held) is ("sticky" in settings)


@pytest.mark.parametrize("mark", [0, 0x40, 0x4100, 0x100])
def test_a_remembered_mark_that_cannot_be_is_replaced(mark: int) -> None:
    """None, outside the mask, or another uplink's by now."""
    found = bound(config(policy(macs=MAC)), allotment=Allotment(policy_marks={"web": mark}, marks={"fiber": 0x100}))
    assert found.policies[0].mark == 0x3F00


def test_marks_of_policies_come_before_those_of_pairs() -> None:
    """Where they are short: without a pair's mark only the pair is lost."""
    made = config(policy("a", sticky=9), policy("b", sticky=9))
    made = made._replace(routing=made.routing._replace(mark_mask=0x700))
    courses, allotted = policymarks.allot(
        made, [course._replace(mark=0) for course in bound(made).policies], Allotment()
    )
    assert [course.mark for course in courses] == [0x700, 0x600]
    assert set(allotted.policy_marks) >= {"a", "b", "a/fiber", "a/cable"}


@pytest.mark.parametrize("family", BOTH)
def test_what_an_earlier_run_left_is_its_own_lookups_by_marks_of_the_policy(family: Family) -> None:
    course = bound(config(policy(sticky=9, dscp=DSCP))).policies[0]
    mine = [Rule(family, 1198, 7, mark=mark, mask=MASK) for mark in course.marks]
    odd = (
        mine[0]._replace(family=V4 if family is V6 else V6),
        mine[0]._replace(mark=0x55),
        mine[0]._replace(mark=None),
        mine[0]._replace(priority=course.priority),
        mine[0]._replace(priority=course.priority + 1),
        mine[0]._replace(action="unreachable"),
    )
    assert policymarks.left(course, family, Snapshot(rules=(*odd, *mine))) == mine


def test_a_held_mark_leads_to_its_uplink_while_that_carries_and_else_with_the_policy() -> None:
    made = config(policy(sticky=9, dscp=DSCP))
    found = bound(made)
    (course,) = found.policies
    _, cable = course.uplinks
    leading = [Rule(V4, course.priority, course.table, mark=mark, mask=MASK) for mark in course.marks]
    rules = policymarks.held(course, V4, made.routing, [cable], leading)
    base = made.routing.rule_priority
    own = {rule.mark: rule.table for rule in rules if rule.priority == base + priorities.OWN_MARKS}
    all_ = {rule.mark: rule.table for rule in rules if rule.priority == base + priorities.MARKS}
    marks = dict(course.held)
    assert all_ == {marks["cable"]: cable.table}
    assert own == {course.mark: course.table, marks["fiber"]: course.table, marks["cable"]: cable.table}
    assert {rule.iif for rule in rules if rule.priority == base + priorities.OWN_MARKS} == {"lo"}


def test_a_policy_that_rules_can_choose_for_has_no_rules_of_marks() -> None:
    def added(wanted: Policy, family: Family = V4) -> set[int]:
        made, there = config(wanted), b.snapshot(*b.NAMES, families=(family,))
        found = bound(made, there)
        plain = desire(made, found.uplinks, ALL, there)
        both = with_policies(plain, found.policies, made.routing, ALL, there)
        return {rule.priority - made.routing.rule_priority for rule in {*both.rules} - {*plain.rules}}

    marked = {priorities.OWN_MARKS, priorities.MARKS}
    assert not marked & added(policy(sources=("10.0.0.0/8",)))
    assert marked <= added(policy(sources=("10.0.0.0/8",), sticky=9, dscp=DSCP))
    assert added(policy(sources=("10.0.0.0/8",), sticky=9, dscp=DSCP), V6) == set(), "it is for IPv4"


def test_where_an_uplink_and_a_policy_pin_a_connection_the_policys_mark_comes_first_when_it_leaves() -> None:
    plain, both = (commands(config(*wanted, pin=True)) for wanted in ((), (policy(sticky=9),)))
    for name in ("prerouting", "output", "postrouting"):
        uplinks, found = chain(plain, name), chain(both, name)
        assert uplinks and len(found) > len(uplinks)
        own = found[: -len(uplinks)] if name == "postrouting" else found[len(uplinks) :]
        rest = found[len(own) :] if name == "postrouting" else found[: len(uplinks)]
        assert rest == uplinks and not {*own} & {*uplinks}, "what uplinks have stays, word for word"
    assert chain(commands(config(policy(sticky=9))), "postrouting") == []
    masked, wanted = config(masquerade=(V4,)), policy(dscp=DSCP)
    own = chain(commands(config(wanted)), "srcnat")
    assert chain(commands(masked._replace(policies=(wanted,))), "srcnat") == own + chain(commands(masked), "srcnat")


def test_without_verdicts_a_policy_keeps_what_stands_in_each_family_alone() -> None:
    made = config(policy())
    found = bound(made)
    full = with_policies(desire(made, found.uplinks, ALL, THERE), found.policies, made.routing, ALL, THERE)
    table = found.policies[0].table
    other = Route(V4, table + 50)
    there = THERE._replace(rules=full.rules, policies=(*full.policies, other))
    kept = with_policies(desire(made, found.uplinks, State(), there), found.policies, made.routing, State(), there)
    assert set(kept.policies) == set(full.policies) and len(kept.policies) == len(full.policies)
    of_policy = [rule for rule in full.rules if rule.table == table]
    assert len(of_policy) == 2
    assert [rule for rule in kept.rules if rule.table == table] == of_policy
    nothing = with_policies(desire(made, found.uplinks, State(), THERE), found.policies, made.routing, State(), THERE)
    assert nothing.policies == ()


def test_an_uplink_that_came_to_be_preferred_less_is_listed_last_and_the_others_keep_their_order() -> None:
    found = bound(config(policy(uplinks="lte cable fiber")))
    before = found.uplinks
    now = [one._replace(metric=9000) if one.name == "cable" else one for one in before]
    (course,) = policies.reordered(found.policies, before, now)
    assert [(one.name, one.metric) for one in course.uplinks] == [("lte", 300), ("fiber", 100), ("cable", 9000)]
    (same,) = policies.reordered(found.policies, before, before)
    assert same == found.policies[0]


@pytest.mark.parametrize("wanted", [(6,), (1,), (58,), (1, 58), (6, 1, 58), ()])
def test_a_family_has_no_other_familys_icmp(wanted: tuple[int, ...]) -> None:
    for family, other in ((V4, 58), (V6, 1)):
        found = selectors.protocols_of(policy(protocols=wanted), family)
        assert list(found) == ([number for number in wanted if number != other] if wanted else [None])


# ---------------------------------------------------------------- what nft chooses


def marked(made: Config, state: State = ALL) -> policynft.Marked:
    """All that its lines depend on."""
    found = bound(made)
    return policynft.Marked(tuple(found.policies), tuple(found.uplinks), made, state, THERE)


def test_what_comes_in_by_an_uplink_is_never_chosen_and_replies_never_either() -> None:
    lines = policynft.chains(marked(config(policy(dscp=DSCP))))
    returns = [f'iifname "{name}" return' for name in b.NAMES]
    spared = [f"meta mark & {MASK:#x} != 0 return", "ct direction reply return"]
    assert lines["policies"][:5] == [*returns, *spared]
    assert lines["own"][:2] == spared
    assert all(line not in lines["own"] for line in returns)


@pytest.mark.parametrize(("settings", "stays"), [({"macs": MAC}, True), ({"sticky": 9}, False), ({"dscp": DSCP}, True)])
def test_only_what_packets_may_change_is_remembered_of_a_connection(settings: dict[str, Any], stays: bool) -> None:
    lines = policynft.chains(marked(config(policy(**settings))))
    choosing = lines["policy_web_3f00"]
    assert any(line.startswith(f"ct mark & {MASK:#x} == 0 ct mark set") for line in choosing) is stays
    assert any(line.startswith(f"ct mark & {MASK:#x} == {{") for line in lines["policies"]) is stays
    assert choosing[-1].startswith("meta mark set")


@pytest.mark.parametrize(
    ("uplinks", "online", "known"),
    [
        ("fiber cable lte", ("fiber", "cable", "lte"), ["fiber"]),
        ("fiber cable lte", ("cable", "lte"), ["fiber", "cable"]),
        ("fiber cable lte", ("lte",), ["fiber", "cable", "lte"]),
        ("fiber cable lte", (), ["fiber", "cable", "lte"]),
        ("lte fiber", ("fiber", "lte"), ["lte"]),  # against the metrics
        ("cable+lte fiber", ("fiber", "cable", "lte"), ["cable", "lte"]),
        ("cable+lte fiber", ("fiber", "lte"), ["cable", "lte"]),
        ("fiber cable+lte", ("cable", "lte"), ["fiber", "cable", "lte"]),
    ],
)
def test_a_backup_lets_go_of_sources_while_a_better_one_is_online(
    uplinks: str, online: tuple[str, ...], known: list[str]
) -> None:
    made = config(policy(uplinks=uplinks, sticky=9))
    state = b.state(**{name: ON if name in online else OFF for name in b.NAMES})
    lines = policynft.chains(marked(made, state))["policy_web_3f00"]
    for family, key in ((V4, "ip"), (V6, "ip6")):
        found = [line.split("_")[2] for line in lines if line.startswith(f"{key} saddr @") and family.value in line]
        assert found == known


@pytest.mark.parametrize(
    ("settings", "masqueraded"), [({"dscp": DSCP}, True), ({"macs": MAC}, False), ({"sticky": 9}, False)]
)
def test_only_own_packets_that_nft_chose_get_another_source(settings: dict[str, Any], masqueraded: bool) -> None:
    found = list(policynft.translating(marked(config(policy(**settings)))))
    assert [line.split('"')[1] for line in found] == (["fiber", "cable"] if masqueraded else [])


def test_a_course_knows_all_marks_of_its_packets() -> None:
    (course,) = bound(config(policy(sticky=9))).policies
    assert course.marks == (0x3F00, 0x3E00, 0x3D00)
    assert course.shared
    assert not BoundPolicy(policy(), 1400, (course.uplinks[:1],)).shared
