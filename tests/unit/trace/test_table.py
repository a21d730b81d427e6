"""What one table answers: which of its routes, and why the others are passed over."""

from __future__ import annotations

import pytest

from mwan_hook.kernel.question import Question
from mwan_hook.model import Family, Nexthop, Route
from mwan_hook.trace.table import DEAD, SILENT, lookup, needs_device
from mwan_hook.trace.values import KernelState, Leg, RouteEntry

V4, V6 = Family.IPV4, Family.IPV6
ASKED = Question(V6, "2001:db8::1", source="2001:db8:9::2")
BOUND = Question(V6, "2001:db8::1", oif=3)
GROUND = KernelState(host=True, silent=frozenset({(2, "fe80::2")}))


def entry(
    *legs: Leg,
    dst: str = "default",
    metric: int = 1024,
    kind: str = "unicast",
    source: str | None = None,
    nhid: int = 0,
    preference: int = 2,
    family: Family = V6,
) -> RouteEntry:
    hops = tuple(Nexthop(leg.index, leg.gateway, leg.weight) for leg in legs)
    made = Route(family, 254, dst, metric, hops, kind)
    return RouteEntry(made._replace(from_=source) if source else made, legs, nhid, preference)


def chosen(*entries: RouteEntry, asked: Question = ASKED, ground: KernelState = GROUND) -> tuple[int, ...]:
    """Places of the route that is taken and, in their order, of those that were passed over."""
    found = lookup(entries, asked, ground)
    places = [entries.index(found.entry)] if found.entry else [-1]
    return (*places, *(entries.index(one.entry) for one in found.passed))


TALKS, QUIET, GONE, OTHER = Leg(2, "fe80::1"), Leg(2, "fe80::2"), Leg(2, "fe80::1", dead=True), Leg(3, "fe80::3")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry(TALKS)], (0,)),
        ([entry(GONE), entry(TALKS)], (1, 0)),
        ([entry(TALKS, metric=9), entry(OTHER, metric=5)], (1,)),  # the lower metric, wherever it stands
        ([entry(TALKS, preference=1), entry(OTHER, preference=3)], (1,)),
        ([entry(TALKS), entry(OTHER)], (0,)),  # among equals the first
        ([entry(TALKS), entry(OTHER, dst="2001:db8::/64")], (1,)),
        ([entry(TALKS), entry(GONE, dst="2001:db8::/64")], (0, 1)),  # back to the shorter prefix
        ([entry(TALKS), entry(OTHER, source="2001:db8:9::/48")], (1,)),
        ([entry(TALKS), entry(OTHER, source="2001:db8:8::/48")], (0,)),
        ([entry(QUIET), entry(OTHER, metric=2048)], (1, 0)),  # a gateway that does not answer
        ([entry(QUIET)], (0,)),  # better than none
        ([entry(GONE)], (-1, 0)),
        ([entry(GONE), entry(OTHER, metric=2048), entry(TALKS, metric=4096)], (1, 0)),  # of all others the best
        ([entry(GONE), entry(OTHER, metric=2048), entry(TALKS, metric=4096, preference=3)], (2, 0)),
        ([entry(Leg(1), kind="blackhole", nhid=7), entry(TALKS, preference=3)], (0,)),  # such an object ends it
        ([entry(Leg(1), kind="blackhole", preference=1), entry(TALKS, preference=3)], (1,)),
        ([entry(TALKS, nhid=7), entry(OTHER, preference=3)], (1,)),
    ],
)
def test_of_ipv6_routes_the_kernel_takes_the_one_of_most_worth(
    entries: list[RouteEntry], expected: tuple[int, ...]
) -> None:
    assert chosen(*entries) == expected


def test_a_router_avoids_no_silent_gateway() -> None:
    assert chosen(entry(QUIET), entry(OTHER, metric=2048), ground=GROUND._replace(host=False)) == (0,)


def test_a_socket_bound_to_an_interface_gets_no_other_without_a_source_and_prefers_it_with_one() -> None:
    assert chosen(entry(TALKS), entry(OTHER), asked=BOUND) == (1, 0)
    assert chosen(entry(TALKS), asked=BOUND) == (-1, 0)
    with_source = BOUND._replace(source="2001:db8:9::2")
    assert chosen(entry(TALKS), entry(OTHER), asked=with_source) == (1,)
    assert chosen(entry(TALKS), asked=with_source) == (0,)


@pytest.mark.parametrize(
    ("leg", "asked", "why"),
    [
        (GONE, ASKED, DEAD),
        (GONE._replace(index=3), BOUND, DEAD),
        (TALKS, BOUND, "not through the interface asked for"),
        (OTHER, BOUND, SILENT),
    ],
)
def test_each_route_that_is_passed_over_says_why(leg: Leg, asked: Question, why: str) -> None:
    ground = KernelState(host=True, silent=frozenset({(3, "fe80::3")}))
    better = entry(Leg(asked.oif or 2, "fe80::9"), metric=2048)
    [passed] = lookup((entry(leg), better), asked, ground).passed
    assert passed.why == why


def test_a_group_of_objects_spreads_over_all_living_legs_and_a_plain_route_over_those_asked_for() -> None:
    legs = (TALKS, OTHER, GONE)
    asked = Question(V6, "2001:db8::1", oif=3)
    assert lookup((entry(*legs, nhid=9),), asked, KernelState()).legs == (TALKS, OTHER)
    assert lookup((entry(*legs),), asked, KernelState()).legs == (OTHER,)
    assert lookup((entry(Leg(1), kind="prohibit"),), ASKED, KernelState()).legs == ()


FOUR = Question(V4, "192.0.2.9")


@pytest.mark.parametrize(
    ("entries", "asked", "expected"),
    [
        ([entry(Leg(2), metric=9), entry(Leg(3), metric=5)], FOUR, (1,)),
        ([entry(Leg(2)), entry(Leg(3), dst="192.0.2.0/24", metric=9)], FOUR, (1,)),
        ([entry(Leg(2, dead=True)), entry(Leg(3))], FOUR, (1, 0)),
        ([entry(Leg(2)), entry(Leg(3))], FOUR._replace(oif=3), (1, 0)),
        ([entry(kind="throw"), entry(Leg(3), metric=2048)], FOUR, (0,)),
        # behind a dead object its own network is left for a shorter prefix
        ([entry(Leg(2, dead=True), nhid=7), entry(Leg(3), metric=2048)], FOUR, (-1, 0, 1)),
        ([entry(Leg(2, dead=True), nhid=7, dst="192.0.2.0/24"), entry(Leg(3))], FOUR, (1, 0)),
        ([entry(Leg(3), metric=5), entry(Leg(2), dst="192.0.2.0/24", metric=9)], FOUR, (1,)),
    ],
)
def test_of_ipv4_routes_the_kernel_takes_the_longest_prefix_then_the_lower_metric(
    entries: list[RouteEntry], asked: Question, expected: tuple[int, ...]
) -> None:
    assert chosen(*map(four, entries), asked=asked, ground=KernelState()) == expected


def four(one: RouteEntry) -> RouteEntry:
    return one._replace(route=one.route._replace(family=V4))


def test_a_route_for_a_traffic_class_is_asked_first_and_passed_over() -> None:
    plain = four(entry(Leg(2), metric=5))
    classed = plain._replace(route=plain.route._replace(tos=8, metric=900))
    [passed] = lookup((plain, classed), FOUR, KernelState()).passed
    assert (passed.entry, passed.why) == (classed, "for another traffic class")


@pytest.mark.parametrize(
    ("legs", "asked", "why"),
    [
        ((GONE,), FOUR, DEAD),
        ((GONE,), FOUR._replace(oif=3), DEAD),
        ((GONE, TALKS), FOUR._replace(oif=3), "not through the oif asked for"),
    ],
)
def test_of_ipv4_too_each_says_why(legs: tuple[Leg, ...], asked: Question, why: str) -> None:
    [passed] = lookup((four(entry(*legs)),), asked, KernelState()).passed
    assert passed.why == why


FIRST, SECOND = (four(entry(Leg(n, f"192.168.{n}.1"))) for n in (2, 3))
NETWORK = four(entry(Leg(2, "192.168.2.1"), dst="192.0.2.0/24"))


@pytest.mark.parametrize(
    ("entries", "asked", "rivals"),
    [
        ((FIRST, SECOND), FOUR, (SECOND,)),
        ((FIRST, SECOND), FOUR._replace(oif=2), ()),
        ((FIRST, SECOND), FOUR._replace(iif=9), ()),
        ((FIRST, four(entry(Leg(3, "192.168.3.1"), metric=2048))), FOUR, ()),
        ((FIRST, four(entry(Leg(3)))), FOUR, ()),  # it has no gateway that could answer
        ((FIRST, four(entry(kind="throw"))), FOUR, ()),
        ((FIRST, four(entry())), FOUR, ()),
        ((four(entry(Leg(2, "192.168.2.1"), Leg(4, "192.168.4.1"))), SECOND), FOUR, ()),
        ((NETWORK, SECOND), FOUR, ()),
    ],
)
def test_equal_defaults_are_rivals_of_a_packet_of_this_machine(
    entries: tuple[RouteEntry, ...], asked: Question, rivals: tuple[RouteEntry, ...]
) -> None:
    assert lookup(entries, asked, KernelState()).rivals == rivals


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Question(V6, "fe80::77", oif=3, source="fe80::1"), True),
        (Question(V6, "::1", oif=3, source="fe80::1"), True),
        (Question(V6, "2001:db8::1", oif=3), True),
        (Question(V6, "2001:db8::1", oif=3, source="fe80::1"), False),
        (Question(V6, "2001:db8::1"), False),
    ],
)
def test_only_routes_through_the_interface_fit_a_link_local_destination(asked: Question, expected: bool) -> None:
    assert needs_device(asked) is expected


def test_what_comes_in_by_an_interface_prefers_routes_through_it() -> None:
    assert chosen(entry(TALKS), entry(OTHER), asked=ASKED._replace(iif=3)) == (1,)
