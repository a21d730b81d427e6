"""The walk through rules and tables, on values."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mwan_hook.kernel import build
from mwan_hook.kernel.question import Question
from mwan_hook.model import Family, Nexthop, Route, Rule
from mwan_hook.routing.words import rule as spelled
from mwan_hook.trace import decode, words
from mwan_hook.trace.compare import agree, askable, shares
from mwan_hook.trace.pictures import mermaid, svg
from mwan_hook.trace.values import AnyRule, Device, KernelAnswer, KernelState, Leg, RouteEntry, Span
from mwan_hook.trace.walk import trace
from mwan_hook.trace.words import Names

V4, V6 = Family.IPV4, Family.IPV6
DEVICES = {1: Device("lo"), 2: Device("wan1"), 3: Device("wan2"), 4: Device("br0")}
NAMES = Names({1001: "fiber", 1000: "mwan"}, DEVICES, {2: ("fiber", "online"), 3: ("cable", "offline")})


def route(table: int, *legs: Leg, dst: str = "default", kind: str = "unicast", metric: int = 0) -> RouteEntry:
    """A route with its legs."""
    hops = tuple(Nexthop(leg.index, leg.gateway, leg.weight) for leg in legs)
    return RouteEntry(Route(V4, table, dst, metric, hops, kind), legs)


FIBER, CABLE = Leg(2, "192.168.1.1", 3), Leg(3, "192.168.3.1", 1)
GROUND = KernelState(
    (
        AnyRule(V4, 0, table=255),
        AnyRule(V4, 1000, table=254, suppress_prefixlength=0),
        AnyRule(V4, 1200, table=1001, src="192.168.1.80"),
        AnyRule(V4, 1900, table=1000),
        AnyRule(V4, 32766, table=254),
    ),
    {
        255: (RouteEntry(Route(V4, 255, "192.168.1.80/32", kind="local"), (Leg(2),)),),
        254: (route(254, FIBER, metric=100),),
        1001: (route(1001, FIBER),),
        1000: (route(1000, FIBER, CABLE),),
    },
    DEVICES,
)
ASKED = Question(V4, "8.8.8.8")


def test_each_rule_says_why_it_matched_or_not() -> None:
    lines = list(words.lines(trace(ASKED, GROUND), NAMES))
    assert "1200 from 192.168.1.80 lookup fiber: source is not given" in lines
    suppressed = "main: default via 192.168.1.1 dev wan1 metric 100: passed over by suppress_prefixlength 0"
    assert f"      {suppressed}" in lines
    assert "1 more rule is not reached (from 32766 on)" in lines


def test_of_two_outcomes_that_may_be_the_kernel_gives_one() -> None:
    right, wrong = trace(ASKED, GROUND).outcome, trace(ASKED._replace(mark=1), KernelState((), {}, DEVICES)).outcome
    entry = route(1000, FIBER)
    answer = KernelAnswer(entry=entry, leg=FIBER)
    assert agree(right, answer) and agree(wrong._replace(otherwise=right), answer)
    assert not agree(wrong, answer) and not agree(wrong._replace(otherwise=wrong), answer)


def test_legs_share_by_weight_and_say_their_uplink() -> None:
    outcome = trace(ASKED, GROUND).outcome
    assert shares(outcome) == (0.75, 0.25)
    assert words.legs(outcome, NAMES) == [
        "via 192.168.1.1 dev wan1, 75% of the flows (weight 3), uplink fiber, online",
        "via 192.168.3.1 dev wan2, 25% of the flows (weight 1), uplink cable, offline",
    ]


def test_a_source_chooses_its_table() -> None:
    done = trace(ASKED._replace(source="192.168.1.80"), GROUND)
    assert (done.outcome.table, done.steps[-1].rule.priority) == (1001, 1200)


def test_a_dead_leg_takes_no_share() -> None:
    dead = GROUND._replace(tables={**GROUND.tables, 1000: (route(1000, FIBER._replace(dead=True), CABLE),)})
    assert shares(trace(ASKED, dead).outcome) == (1.0,)


def test_a_table_whose_routes_are_all_dead_is_left_for_the_next_rule() -> None:
    dead = GROUND._replace(tables={**GROUND.tables, 1000: (route(1000, FIBER._replace(dead=True)),)})
    done = trace(ASKED, dead)
    assert done.outcome.table == 254
    assert any("dead" in line for line in words.lines(done, NAMES))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (AnyRule(V4, 5, mark=0x100, mask=0x3F00), "no mark is given"),
        (AnyRule(V4, 5, ipproto=6), "the protocol is udp"),
        (AnyRule(V4, 5, dport=Span(80, 90)), "no destination port is given"),
        (AnyRule(V4, 5, uids=Span(1000, 2000)), "the user is 0"),
        (AnyRule(V4, 5, iif="br0"), "sent by this machine (iif lo), not forwarded"),
        (AnyRule(V4, 5, oif="wan1"), "no oif is given"),
        (AnyRule(V4, 5, oif="gone", oif_gone=True), "there is no interface gone"),
        (AnyRule(V4, 5, dst="10.0.0.0/8"), "the destination is 8.8.8.8"),
        (AnyRule(V4, 5, inverted=True), "what it excludes fits"),
        (AnyRule(V4, 5, tos=0x10), "the packet's traffic class is 0"),
        (AnyRule(V4, 5, l3mdev=True), "no VRF is involved"),
    ],
)
def test_a_selector_that_does_not_fit_is_named(rule: AnyRule, why: str) -> None:
    step = trace(ASKED, KernelState((rule,), {}, DEVICES)).steps[0]
    assert (step.matched, step.why) == (False, why)


def test_an_address_in_a_vrf_is_this_machines_too() -> None:
    """The kernel has its route in the VRF's table, and asks no table about a source that is sent from."""
    devices = {**DEVICES, 9: Device("vrf1", master=9, vrf=77), 3: Device("wan2", master=9, vrf=77)}
    own = RouteEntry(Route(V4, 77, "192.168.8.2/32", kind="local"), (Leg(3),))
    there = GROUND._replace(devices=devices, tables={**GROUND.tables, 77: (own,)})
    assert not trace(ASKED._replace(source="192.168.8.2"), there).outcome.error
    assert "is no address of this machine" in trace(ASKED._replace(source="192.168.8.3"), there).outcome.why
    assert trace(ASKED._replace(source="192.168.8.2"), there._replace(devices=DEVICES)).outcome.error


def test_a_vrf_has_its_table_by_the_rule_for_all_of_them() -> None:
    devices = {**DEVICES, 9: Device("vrf1", master=9, vrf=77), 2: Device("wan1", master=9, vrf=77)}
    ground = KernelState((AnyRule(V4, 1000, l3mdev=True),), {77: (route(77, FIBER),)}, devices)
    for oif in (2, 9):
        assert trace(ASKED._replace(oif=oif), ground).outcome.table == 77


@pytest.mark.parametrize(("kind", "error"), [("unreachable", 113), ("blackhole", 22), ("prohibit", 13)])
def test_a_null_route_ends_the_walk_even_before_suppression(kind: str, error: int) -> None:
    tables = {254: (route(254, kind=kind),), 1000: (route(1000, FIBER),)}
    assert trace(ASKED, GROUND._replace(tables=tables)).outcome.error == error


def test_the_kernel_agrees_when_it_picks_any_leg_of_ours_and_no_other() -> None:
    outcome, entry = trace(ASKED, GROUND).outcome, GROUND.tables[1000][0]
    for leg in (FIBER, CABLE):
        assert agree(outcome, KernelAnswer(entry=entry, leg=leg._replace(weight=1)))
    assert not agree(outcome, KernelAnswer(entry=entry, leg=Leg(3, "192.168.3.9")))
    assert not agree(outcome, KernelAnswer(entry=GROUND.tables[1001][0], leg=FIBER))
    assert not agree(outcome, KernelAnswer(113, "No route to host"))


def test_only_protocols_that_the_kernel_takes_are_asked() -> None:
    assert askable(ASKED._replace(proto=1))
    assert not askable(ASKED._replace(proto=47))
    assert not askable(Question(V6, "2001:db8::1", proto=1))


NASTY = 'a"]<b>&|\x1b'


def test_names_break_neither_picture() -> None:
    devices = {**DEVICES, 2: Device(NASTY)}
    names = NAMES._replace(devices=devices, uplinks={2: (NASTY, "online")})
    done = trace(ASKED, GROUND._replace(devices=devices))
    answer = KernelAnswer(entry=GROUND.tables[1000][0], leg=FIBER)
    texts = [element.text or "" for element in ElementTree.fromstring(svg(done, answer, names)).iter()]
    assert any('a"]<b>&|' in text for text in texts)
    for line in mermaid(done, answer, names):
        label = line[line.find('"') + 1 : line.rfind('"')]
        assert not set('"<&\x1b') & set(label), line


def test_the_picture_grows_with_what_it_shows() -> None:
    done = trace(ASKED, GROUND)
    short = done._replace(steps=done.steps[:1])
    heights = [float(ElementTree.fromstring(svg(one, None, NAMES)).attrib["height"]) for one in (short, done)]
    assert heights[0] < heights[1]


def test_equal_defaults_of_ipv4_stand_in_for_each_other() -> None:
    tables = {**GROUND.tables, 1000: (route(1000, FIBER._replace(weight=1)), route(1000, CABLE))}
    done = trace(ASKED, GROUND._replace(tables=tables))
    assert agree(done.outcome, KernelAnswer(entry=tables[1000][1], leg=CABLE))
    assert any(line.strip().startswith("or else by table mwan") for line in words.lines(done, NAMES))
    forwarded = ASKED._replace(iif=4, source="192.168.99.1")
    assert trace(forwarded, GROUND._replace(tables=tables)).outcome.otherwise is None


@pytest.mark.parametrize(
    "what",
    [
        Rule(Family.IPV4, 1207, 1004, src="10.4.0.0/15", dst="192.0.2.6"),
        Rule(Family.IPV4, 1301, 77, mark=0x2A00, mask=0x3F00, iif="lo", suppress_prefixlength=1),
        Rule(Family.IPV6, 1402, 1003, oif="wan5", ipproto=6, dport=(8000, 8010), uids=(33, 34)),
        Rule(Family.IPV6, 1403, 0, src="2001:db8:7::/56", mark=9, action="unreachable"),
        Rule(Family.IPV4, 1050, 0, inverted=True, dst="203.0.113.0/24", action="goto", target=1400),
    ],
)
def test_a_rule_is_spelled_as_plan_spells_it(what: Rule) -> None:
    read = decode.rule(build.rule(what, True))
    assert f"priority {read.priority} {words.rule(read, Names())} proto {read.protocol}" == spelled(what)
