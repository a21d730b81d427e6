"""By whose order a packet takes its way, each kind of reason with its sentence in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from mwan_hook.explain import packets, why, words
from mwan_hook.explain.reasons import ROWS
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.kernel.question import Question
from mwan_hook.model import MAIN_TABLE, PROTOCOL, Family, LastResort, Nexthop, Policy, Route, Routing, Status
from mwan_hook.policy.policies import BoundPolicy
from mwan_hook.trace.values import AnyRule, Device, KernelAnswer, KernelState, Leg, RouteEntry
from mwan_hook.trace.walk import trace
from mwan_hook.trace.words import Names
from tests.frames import frame, line, state
from tests.unit.explain.test_reasons import KINDS

V4 = Family.IPV4
DEVICES = {1: Device("eth1"), 2: Device("eth2"), 3: Device("wg0"), 4: Device("br0"), 5: Device("red", vrf=77, master=5)}
NAMES = Names({1000: "mwan"}, DEVICES, {1: ("one", "online"), 2: ("two", "online")})
ONE, TWO, TUNNEL, BRIDGE = Leg(1, "10.0.1.1"), Leg(2, "10.0.2.1"), Leg(3), Leg(4)
LINES = (line(1, "one"), line(2, "two"))
POLICY = BoundPolicy(Policy("voip", order=(("two",),)), 1400, ((LINES[1],),))
ELSEWHERE = "`mwan-hook trace 192.0.2.9` shows each step."
DESTINATION = "192.0.2.9"


def rule(priority: int, table: int = 0, protocol: int = PROTOCOL, **more: object) -> AnyRule:
    return AnyRule(V4, priority, table=table, protocol=protocol, **more)  # type: ignore[arg-type]


def route(table: int, *legs: Leg, dst: str = "default", kind: str = "unicast", protocol: int = PROTOCOL) -> RouteEntry:
    hops = tuple(Nexthop(leg.index, leg.gateway) for leg in legs)
    return RouteEntry(Route(V4, table, dst, nexthops=hops, kind=kind, protocol=protocol), legs)


FIRST = rule(1000, MAIN_TABLE, suppress_prefixlength=0)
DEFAULT, MAIN = rule(1900, 1000), rule(32766, MAIN_TABLE, 2)
SHARED = {1000: (route(1000, ONE),)}


def seen(table: int = 1000, last_resort: LastResort = LastResort.MAIN) -> Situation:
    made = why.view_of(frame(LINES), readable=True)
    routing = Routing(default_table=table, last_resort=last_resort)
    return made._replace(config=made.config._replace(routing=routing), policies=(POLICY,))


def without(name: str) -> Situation:
    """The same while one line is offline."""
    out: Any = {name: {"status": Status.OFFLINE, "good": 0}}
    return seen()._replace(state=state(LINES, **out))


def told(
    rules: tuple[AnyRule, ...],
    tables: Mapping[int, tuple[RouteEntry, ...]],
    *,
    view: Situation | None = None,
    answer: KernelAnswer | None = None,
    oif: int = 0,
    notes: tuple[str, ...] = (),
) -> list[str]:
    """All sentences about a packet."""
    view = view or seen()
    asked = Question(V4, DESTINATION, oif=oif)
    done = trace(asked, KernelState(rules, tables, DEVICES))
    found = packets.explained(done, answer, NAMES._replace(notes=notes), view)
    return [words.sentences([reason], view, "It") for reason in found.reasons]


class Case(NamedTuple):
    kind: str
    told: list[str]
    words: str


CASES = (
    Case(
        "leaves",
        told((FIRST, DEFAULT, MAIN), SHARED),
        "A packet of this machine to 192.0.2.9 leaves by one (eth1).",
    ),
    Case(
        "by_default",
        told((FIRST, DEFAULT, MAIN), SHARED),
        "No rule or route takes it before: it goes with the IPv4 default.",
    ),
    Case(
        "specific",
        told((FIRST, DEFAULT), {**SHARED, 254: (route(254, BRIDGE, dst="192.0.2.0/24", protocol=4),)}),
        "The main table has a route that is narrower than a default: 192.0.2.0/24 dev br0.",
    ),
    Case(
        "pieces",
        told((FIRST, DEFAULT), {**SHARED, 254: (route(254, TUNNEL, dst="128.0.0.0/1", protocol=4),)}),
        "The main table has a default in pieces, as VPNs lay it, and that comes first: 128.0.0.0/1 dev wg0.",
    ),
    Case(
        "outside",
        told((rule(500, 51820, 0),), {51820: (route(51820, TUNNEL),)}),
        "wg0 is no uplink, so no verdict of mwan-hook counts there.",
    ),
    Case(
        "foreign_rule",
        told((rule(500, 51820, 0), DEFAULT), {**SHARED, 51820: (route(51820, TUNNEL),)}),
        "A rule of another program comes first and takes it: 500: from all lookup 51820. `mwan-hook trace 192.0.2.9`"
        " shows each step, `mwan-hook doctor` what to do about such rules.",
    ),
    Case(
        "vrf",
        told((rule(1000, 0, 0, l3mdev=True), DEFAULT), {**SHARED, 77: (route(77, ONE),)}, oif=5),
        "It belongs to a VRF, whose table 77 answers.",
    ),
    Case(
        "main_default",
        told((FIRST, MAIN), {254: (route(254, ONE, protocol=16),)}),
        "No rule of mwan-hook takes it: the main table answers with default via 10.0.1.1 dev eth1.",
    ),
    Case(
        "by_policy",
        told((FIRST, rule(1400, 1002), DEFAULT), {**SHARED, 1002: (route(1002, TWO),)}),
        "Policy voip takes it: 1400: from all lookup 1002.",
    ),
    Case(
        "first_of_policy",
        told((FIRST, rule(1400, 1002), DEFAULT), {**SHARED, 1002: (route(1002, TWO),)}),
        "Of the uplinks in its order (two) this is the first that is online.",
    ),
    Case(
        "foreign_refusal",
        told((rule(500, 0, 0, action="prohibit"), DEFAULT), SHARED),
        "A rule of another program refuses it: 500: from all prohibit. `mwan-hook trace 192.0.2.9` shows each step,"
        " `mwan-hook doctor` what to do about such rules.",
    ),
    Case(
        "policy_passed",
        told((FIRST, DEFAULT), SHARED, view=without("two")),
        "Policy voip would take it, and none of its uplinks (two) takes packets now: so it goes on.",
    ),
    Case(
        "refused_by_resort",
        told(
            (FIRST, DEFAULT),
            {1000: (route(1000, kind="unreachable"),)},
            view=seen(last_resort=LastResort.UNREACHABLE),
        ),
        "It is refused: no uplink is online for IPv4, and last_resort = unreachable. The first uplink that is online"
        " takes it.",
    ),
    Case(
        "refused_by_policy",
        told((FIRST, rule(1401, action="unreachable"), DEFAULT), SHARED),
        "Policy voip takes it and refuses it: none of its uplinks is online (1401: from all unreachable).",
    ),
    Case(
        "by_rule",
        told((rule(1100, 1001, oif="eth1"), DEFAULT), {**SHARED, 1001: (route(1001, ONE),)}, oif=1),
        "A rule of mwan-hook takes it: 1100: from all oif eth1 lookup 1001.",
    ),
    Case(
        "here",
        told((rule(0, 255, 2), DEFAULT), {**SHARED, 255: (route(255, ONE, dst="192.0.2.9/32", kind="local"),)}),
        "It is an address of this machine: nothing leaves.",
    ),
    Case(
        "no_way",
        told((rule(0, 255, 2),), {}),
        f"It has no way: no rule leads to a route. {ELSEWHERE}",
    ),
    Case(
        "marked",
        told((FIRST, DEFAULT), SHARED, notes=("policy voip chooses by dscp, in nft; what it chose: --mark 0x100",)),
        "policy voip chooses by dscp, in nft; what it chose: --mark 0x100.",
    ),
    Case(
        "differs",
        told((FIRST, DEFAULT), SHARED, answer=KernelAnswer(entry=route(1000, TWO), leg=TWO)),
        f"The kernel says otherwise (by table mwan: default via 10.0.2.1 dev eth2; this packet goes via 10.0.2.1 dev"
        f" eth2). {ELSEWHERE}",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_a_packet_in_full(case: Case) -> None:
    assert case.words in case.told


def test_a_default_in_the_main_table_is_the_default_all_the_same() -> None:
    found = told((MAIN,), {254: (route(254, ONE),)}, view=seen(MAIN_TABLE))
    assert found[1] == "No rule or route takes it before: it goes with the IPv4 default."


def test_a_packet_that_may_go_two_ways_names_both() -> None:
    found = told((DEFAULT,), {1000: (route(1000, ONE, TWO),)})
    assert found[0] == "A packet of this machine to 192.0.2.9 leaves by one (eth1) or two (eth2)."


AHEAD = {
    "ahead": (
        rule(500, 51820, 0),
        "A rule of another program takes IPv4 packets of this machine before that: 500: from all lookup 51820. They"
        " leave by wg0.",
    ),
    "ahead_in_pieces": (
        FIRST,
        "A default in pieces in the main table, as VPNs lay it, takes IPv4 packets before that: 128.0.0.0/1 dev wg0."
        " They leave by wg0.",
    ),
    "ahead_refused": (
        rule(500, 0, 0, action="prohibit"),
        "IPv4 packets of this machine do not get that far: a rule of another program refuses them (from all prohibit)."
        f" {ELSEWHERE}",
    ),
}


@pytest.mark.parametrize("kind", AHEAD)
def test_what_takes_packets_before_the_default_is_said_of_that(kind: str) -> None:
    first, expected = AHEAD[kind]
    half = route(254, TUNNEL, dst="128.0.0.0/1", protocol=4)
    tables = {**SHARED, 51820: (route(51820, TUNNEL),), 254: (half,)}
    done = trace(Question(V4, DESTINATION), KernelState((first, DEFAULT), tables, DEVICES))
    found = packets.ahead(done, NAMES, seen())
    assert [(reason.kind, words.sentences([reason], seen(), "It")) for reason in found] == [(kind, expected)]


def test_nothing_is_ahead_of_the_default_where_it_is_taken() -> None:
    done = trace(Question(V4, DESTINATION), KernelState((FIRST, DEFAULT), SHARED, DEVICES))
    assert packets.ahead(done, NAMES, seen()) == ()


def test_the_record_has_no_rules() -> None:

    expected = "Rules and routes are not recorded: what follows is the IPv6 default of that time."
    assert words.says(Reason("unrecorded", "", Family.IPV6), seen()) == expected


def test_every_kind_has_its_case() -> None:
    cases = {*KINDS, *AHEAD, *(case.kind for case in CASES), "unrecorded"}
    assert cases == {*ROWS}
