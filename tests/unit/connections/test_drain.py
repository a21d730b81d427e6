"""Drained uplinks, from values alone: what they carry, how long a drain lasts, and what ends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mwan_hook import credible
from mwan_hook.connections import drain
from mwan_hook.firewall import table
from mwan_hook.model import (
    MAIN_TABLE,
    Allotment,
    Config,
    Delegated,
    Drain,
    Draining,
    Failback,
    Fallback,
    Family,
    Link,
    Match,
    Policy,
    Router,
    Rule,
    State,
    Status,
    UplinkConfig,
)
from mwan_hook.policy.policies import via, with_policies
from mwan_hook.routing import priorities
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.uplinks import Bound, Inputs
from mwan_hook.store import codec
from mwan_hook.verdict import switches
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE
V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)
THERE = b.snapshot(*b.NAMES, families=BOTH)
ALL = b.state(fiber=ON, cable=ON, lte=ON)
WORD = Drain(2_000_000.0, 600.0)
FIBER = Allotment(draining={"fiber": WORD})
NOW, WALL = 5_000.0, WORD.until - 600.0


def drained(state: State, *names: str) -> State:
    """The state as a run leaves it that knows of the drain."""
    return state._replace(drains={name: Draining(WORD.until, NOW + 600, 1) for name in names})


def config(*wanted: Policy, pin: bool = True, metrics: Mapping[str, int] | None = None, **more: Any) -> Config:
    metrics = metrics or {"fiber": 100, "cable": 100, "lte": 200}
    entries = tuple(b.uplink(name, metric=metric, **more) for name, metric in metrics.items())
    return b.config(*entries)._replace(policies=wanted, router=Router(pin=pin))


def bound(made: Config, allotment: Allotment = FIBER) -> Bound:
    return b.bound(made, Inputs(THERE, State(), allotment))


def desired(made: Config, state: State = ALL, allotment: Allotment = FIBER) -> Desired:
    found = bound(made, allotment)
    state = drained(state, *(one.name for one in found.uplinks if one.draining))
    wanted = desire(made, found.uplinks, state, THERE)
    return with_policies(wanted, found.policies, made.routing, state, THERE)


def devices(made: Desired, family: Family) -> set[int]:
    return {hop.index for route in made.shared if route.family is family for hop in route.nexthops}


def marks(made: Desired, family: Family) -> set[int]:
    at = 1000 + priorities.MARKS
    return {rule.table for rule in made.rules if rule.priority == at and rule.family is family and rule.mark}


# ---------------------------------------------------------------- what it carries


@pytest.mark.parametrize("default_table", [1000, MAIN_TABLE])
@pytest.mark.parametrize("family", BOTH)
def test_it_is_out_of_the_shared_default_and_keeps_its_rules_and_its_table(family: Family, default_table: int) -> None:
    made = config()
    made = made._replace(routing=made.routing._replace(default_table=default_table))
    whole, less = desired(made, allotment=Allotment()), desired(made)
    assert devices(whole, family) == {2, 3, 4}
    assert devices(less, family) == {3, 4}, "no fallback either: the kernel would take it at the first carrier loss"
    assert less.online[family] == ("cable", "lte")
    assert (less.rules, less.tables) == (whole.rules, whole.tables)
    off = desired(made, allotment=Allotment(enabled={"fiber": False}))
    assert marks(off, family) < marks(less, family), "its pinned connections stay"


def test_it_carries_all_while_nothing_else_is_online_in_a_family() -> None:
    state = b.state(fiber=ON, cable=OFF, lte=OFF)
    assert desired(config(), state).online == {V4: ("fiber",), V6: ("fiber",)}
    only_four = state.uplinks["cable"]._replace(ipv4=ALL.uplinks["cable"].ipv4)
    state = state._replace(uplinks={**state.uplinks, "cable": only_four})
    assert desired(config(), state).online == {V4: ("cable",), V6: ("fiber",)}
    both = Allotment(draining={"fiber": WORD, "cable": WORD})
    assert desired(config(), b.state(fiber=ON, cable=ON, lte=OFF), both).online[V4] == ("fiber", "cable")


@pytest.mark.parametrize(
    ("uplinks", "fallback", "carried"),
    [
        ("fiber+cable", Fallback.DEFAULT, ("cable",)),
        ("fiber lte", Fallback.DEFAULT, ("lte",)),
        ("fiber", Fallback.DEFAULT, ()),
        ("fiber", Fallback.UNREACHABLE, ()),
    ],
)
def test_a_policy_goes_on_to_its_next_uplink_or_its_fallback(
    uplinks: str, fallback: Fallback, carried: tuple[str, ...]
) -> None:
    made = config(Policy("web", order=b.order(uplinks), fallback=fallback))
    found = bound(made)
    assert via(found.policies[0], V4, drained(ALL, "fiber")) == carried
    led = {rule.table for rule in desired(made).rules if rule.priority == found.policies[0].priority}
    fiber = found.uplinks[0].table
    assert fiber not in led and bool(led) is bool(carried)
    refused = [rule for rule in desired(made).rules if rule.action == "unreachable" and rule.priority > 1400]
    assert bool(refused) is (fallback is Fallback.UNREACHABLE)
    alone = drained(b.state(fiber=ON, cable=OFF, lte=OFF), "fiber")
    assert via(found.policies[0], V4, alone) == ("fiber",), "as long as nothing else is online"


@pytest.mark.parametrize("uplinks", ["fiber cable", "fiber"])
@pytest.mark.parametrize("settings", [{"sticky": 9}, {"dscp": (46,), "sticky": 9}])
def test_what_a_policy_has_pinned_to_it_stays_and_its_sources_choose_anew(
    uplinks: str, settings: dict[str, Any]
) -> None:
    made = config(Policy("web", order=b.order(uplinks), **settings))
    found = bound(made)
    course, fiber = found.policies[0], found.uplinks[0].table
    pair = dict(course.held)["fiber"]
    led = [rule for rule in desired(made).rules if rule.mark == pair and rule.priority == 1000 + priorities.MARKS]
    assert {rule.table for rule in led} == {fiber}
    assert all(rule.table for rule in desired(made).rules if rule.action == "lookup")
    known = f"@sticky_web_fiber_{pair:x}"
    lines = [line for line in commands(made) if known in line and line.startswith("add rule")]
    before = [line for line in commands(made, Allotment()) if known in line and line.startswith("add rule")]
    assert any(f" meta mark set meta mark & {~0x3F00 & 0xFFFFFFFF:#x} | {pair:#x}" in line for line in before), before
    assert not [line for line in lines if f"| {pair:#x}" in line or "update" in line], lines
    assert any(f"ct mark & 0x3f00 == {pair:#x} meta mark" in line for line in commands(made)), "restored"


def commands(made: Config, allotment: Allotment = FIBER, state: State = ALL) -> tuple[str, ...]:
    found = bound(made, allotment)
    state = drained(state, *(one.name for one in found.uplinks if one.draining))
    return table.wanted(made, found.uplinks, state, THERE, found.policies)


@pytest.mark.parametrize(("which", "given_up"), [("fiber", {"lte"}), ("lte", set()), ("", {"lte"})])
def test_a_hard_failback_takes_nothing_from_it_nor_in_favour_of_it(which: str, given_up: set[str]) -> None:
    made = config(metrics={"fiber": 100, "cable": 100, "lte": 200}, failback=Failback.HARD)
    allotment = Allotment(draining={which: WORD}) if which else Allotment()
    found = bound(made, allotment)
    lines = commands(made, allotment)
    names = {
        one.name
        for one in found.uplinks
        if any(f"== {one.mark:#x} return" in line and "meta nfproto ipv4" in line for line in lines)
    }
    assert names == given_up
    two = commands(made, allotment, b.state(fiber=ON, cable=OFF, lte=ON))
    assert any("ct direction original" in line and "return" in line and "nfproto" in line for line in two) is (
        which == ""
    ), "a drained one is not better"


def test_the_nft_table_is_the_same_with_and_without_a_drain_but_for_policies() -> None:
    assert commands(config()) == commands(config(), Allotment())


@pytest.mark.parametrize(
    ("pin", "masquerade", "left"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_its_delegated_prefix_goes_by_another_that_translates_where_old_connections_have_a_mark(
    pin: bool, masquerade: bool, left: bool
) -> None:
    prefix = "2001:db8:1100::/56"
    there = THERE._replace(delegated=(Delegated(prefix, "fiber"),))
    made = config()._replace(router=Router(pin=pin, masquerade=(V6,) if masquerade else (), deprecate_prefixes=True))
    found = b.bound(made, Inputs(there, State(), FIBER))
    state = drained(ALL, "fiber")
    rules = desire(made, found.uplinks, state, there).rules
    own = [rule for rule in rules if rule.src == prefix and rule.table == found.uplinks[0].table]
    assert bool(own) is not left
    assert not [rule for rule in rules if rule.src == prefix and rule.action == "unreachable" and rule.priority < 1300]
    assert table.deprecated(made, found.uplinks, state, there) == (prefix,)
    alone = drained(b.state(fiber=ON, cable=OFF, lte=OFF), "fiber")
    assert table.deprecated(made, found.uplinks, alone, there) == ()


# ---------------------------------------------------------------- words


def said(allotment: Allotment, *names: str, entries: tuple[UplinkConfig, ...] = ()) -> Allotment:
    return switches.drained(allotment, entries or (b.uplink("fiber"), b.uplink("lte")), names, WORD)


def test_a_drain_is_kept_and_every_other_word_ends_it() -> None:
    entries = (b.uplink("fiber"), b.uplink("lte"))
    kept = said(Allotment(), "fiber")
    assert (kept.draining, kept.configured, kept.enabled) == ({"fiber": WORD}, {"fiber": True}, {})
    assert switches.standing(kept, entries) == kept
    for word, left in ((True, {}), (False, {"fiber": False})):
        after = switches.said(kept, entries, {"fiber"}, word)
        assert (after.draining, after.enabled) == ({}, left)
    assert switches.ended(kept, entries, {WORD}).enabled == {"fiber": False}
    again = switches.drained(kept, entries, {"fiber"}, WORD._replace(until=9e9))
    assert again.draining["fiber"].until == 9e9


def test_a_change_of_the_configuration_ends_it_and_is_said() -> None:
    kept = said(Allotment(), "fiber")
    off = b.bound(b.config(b.uplink("fiber", enabled=False)), Inputs(b.snapshot("fiber"), State(), kept))
    assert (off.allotment.draining, off.uplinks[0].enabled, off.uplinks[0].draining) == ({}, False, False)
    assert list(switches.overruled(kept, off.uplinks)) == [
        "uplink fiber: enabled = no in the configuration is newer than `mwan-hook drain` and counts"
    ]
    assert list(switches.overruled(kept, bound(config(), kept).uplinks)) == []


STICKS = (UplinkConfig("usb", (Match("name", "usb*"),), metric=100), b.uplink("lte", metric=200))


def sticks(allotment: Allotment) -> dict[str, tuple[bool, bool]]:
    """Whether each uplink is on, and whether it is drained."""
    links = tuple(Link(7 + number, f"usb{number}", True, True) for number in range(3))
    there = THERE._replace(links=(*THERE.links, *links))
    found = b.bound(b.config(*STICKS), Inputs(there, State(), allotment))
    return {one.name: (one.enabled, one.draining) for one in found.uplinks if one.config.name == "usb"}


def test_a_template_is_drained_with_all_of_its_uplinks_that_are_on_and_ends_as_one() -> None:
    one_off = switches.said(Allotment(), STICKS, {"usb@usb1"}, False)
    kept = said(one_off, "usb", entries=STICKS)
    assert sticks(kept) == {"usb@usb0": (True, True), "usb@usb1": (False, False), "usb@usb2": (True, True)}
    back = switches.said(kept, STICKS, {"usb@usb0"}, True)
    assert sticks(back) == {"usb@usb0": (True, False), "usb@usb1": (False, False), "usb@usb2": (True, True)}
    over = switches.ended(back, STICKS, {WORD})
    assert sticks(over) == {"usb@usb0": (True, False), "usb@usb1": (False, False), "usb@usb2": (False, False)}
    assert sticks(switches.said(over, STICKS, {"usb"}, True)) == dict.fromkeys(sticks(over), (True, False))
    one_on = switches.said(switches.said(Allotment(), STICKS, {"usb"}, False), STICKS, {"usb@usb2"}, True)
    some = said(one_on, "usb", entries=STICKS)
    assert sticks(some) == {"usb@usb0": (False, False), "usb@usb1": (False, False), "usb@usb2": (True, True)}


def test_it_is_stored_and_a_name_that_cannot_be_is_refused() -> None:
    text = codec.encode(said(Allotment(), "fiber"))
    assert codec.decode(text, "Allotment") == said(Allotment(), "fiber")
    assert b"draining" not in codec.encode(Allotment()) and b"drains" not in codec.encode(State())
    assert credible.allotment(said(Allotment(), "fiber")) == ""
    assert "no uplink" in credible.allotment(Allotment(draining={"a/b": WORD}))


# ---------------------------------------------------------------- how long


def records(stored: dict[str, Draining], count: int | None, now: float = NOW, wall: float = WALL) -> Draining:
    counts = {"fiber": count}
    return drain.records(bound(config()).uplinks[:1], FIBER, stored, counts, now, wall)["fiber"]


@pytest.mark.parametrize("skew", [-1e9, -3600.0, 0.0, 3600.0, 1e9])
def test_within_a_boot_no_clock_that_is_set_changes_the_time(skew: float) -> None:
    first = records({}, 3)
    assert first == Draining(WORD.until, NOW + 600, 3)
    later = records({"fiber": first}, 2, NOW + 100, WALL + 100 + skew)
    assert later == Draining(WORD.until, NOW + 600, 2)


@pytest.mark.parametrize(("wall", "left"), [(WALL + 500, 100), (WALL + 700, 0), (0.0, 600), (WALL - 86400, 600)])
def test_after_a_boot_it_lasts_as_long_as_the_date_says_and_never_longer_than_the_command(
    wall: float, left: float
) -> None:
    assert records({}, 1, now=30.0, wall=wall).ends == 30.0 + left


def test_another_drain_has_its_own_time_and_a_count_that_failed_is_none() -> None:
    earlier = Draining(1.0, NOW + 5, 7)
    assert records({"fiber": earlier}, 2) == Draining(WORD.until, NOW + 600, 2)
    known = Draining(WORD.until, NOW + 5, 7)
    assert records({"fiber": known}, None).connections is None
    uncounted = drain.records(bound(config()).uplinks[:1], FIBER, {"fiber": known}, {}, NOW, WALL)
    assert uncounted["fiber"].connections == 7, "status does not count"


def over(count: int | None, now: float, state: State = ALL, known: bool = True) -> list[str]:
    record = Draining(WORD.until, NOW, count)
    made = bound(config())
    stored = {"fiber": record} if known else {}
    found = drain.over(made.uplinks, FIBER, state._replace(drains={"fiber": record}), stored, now, WALL)
    return list(found.values())


@pytest.mark.parametrize(
    ("count", "now", "why"),
    [
        (0, NOW - 1, ["no connection is left"]),
        (1, NOW - 1, []),
        (None, NOW - 1, []),
        (1, NOW, ["the time is up, with 1 connection"]),
        (12, NOW + 9, ["the time is up, with 12 connections"]),
        (None, NOW, ["the time is up"]),
    ],
)
def test_it_is_over_when_no_connection_is_left_or_the_time_is_up(count: int | None, now: float, why: list[str]) -> None:
    assert over(count, now) == why
    assert over(count, now, known=False) == [], "what was counted before the routes changed counts for nothing"


@pytest.mark.parametrize(("cable", "ends"), [(OFF, False), (ON, True)])
def test_it_is_not_over_before_another_uplink_is_online(cable: Status, ends: bool) -> None:
    assert bool(over(0, NOW, b.state(fiber=ON, cable=cable, lte=OFF))) is ends
    assert bool(over(9, NOW, b.state(fiber=OFF, cable=cable, lte=OFF))) is ends


def test_it_is_not_over_while_it_alone_carries_one_of_its_families() -> None:
    made, known = bound(config()), {"fiber": Draining(WORD.until, NOW, 0)}
    state = ALL._replace(drains=known)
    others = {name: state.uplinks[name] for name in ("cable", "lte")}
    without = {name: one.with_family(V4, one.ipv4._replace(status=OFF)) for name, one in others.items()}
    state = state._replace(uplinks={**state.uplinks, **without})
    assert drain.over(made.uplinks, FIBER, ALL._replace(drains=known), known, NOW, WALL)
    assert not drain.over(made.uplinks, FIBER, state, known, NOW, WALL), "nothing else has IPv4"


def test_uplinks_of_one_command_end_together_and_a_word_about_none_at_its_date() -> None:
    both = Allotment(draining={"fiber": WORD, "cable": WORD, "gone": WORD._replace(until=9e9)})
    known = {"fiber": Draining(WORD.until, NOW, 0), "cable": Draining(WORD.until, NOW, 2)}
    made, state = bound(config(), both), ALL._replace(drains=known)
    assert drain.over(made.uplinks, both, state, known, NOW - 1, WALL) == {}
    assert list(drain.over(made.uplinks, both, state, known, NOW, WALL)) == [WORD]
    gone = drain.over(made.uplinks, both, state, known, NOW - 1, 9e9)
    assert gone == {both.draining["gone"]: "the time is up"}


@pytest.mark.parametrize(
    ("count", "now", "words"),
    [
        (37, NOW, "draining (37 connections) until 12:04"),
        (1, NOW, "draining (1 connection) until 12:04"),
        (None, NOW, "draining until 12:04"),
        (0, NOW + 600, "draining (0 connections), nothing else is online"),
    ],
)
def test_what_status_says(count: int | None, now: float, words: str) -> None:
    assert drain.words(Draining(WORD.until, NOW + 600, count), "12:04", now) == words


def test_a_rule_of_its_device_stays() -> None:
    """What is bound to it, our probes for one, goes by it."""
    assert any(isinstance(rule, Rule) and rule.oif == "fiber" for rule in desired(config()).rules)
