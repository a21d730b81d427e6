"""Which gateways an uplink can have, and which of several has its turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import (
    MAIN_TABLE,
    Address,
    Allotment,
    Copies,
    Delegated,
    Family,
    FamilyState,
    Lease,
    Link,
    Match,
    Nexthop,
    Probe,
    Route,
    Snapshot,
    State,
    Status,
    Turn,
    Uplink,
    UplinkConfig,
    UplinkState,
    Way,
)
from mwan_hook.routing.desired import desire
from mwan_hook.routing.gateways import strays
from mwan_hook.routing.prefixes import lending
from mwan_hook.routing.turns import turn
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.verdict.standing import uses
from tests.unit import builders as b

FIBER = b.NAMES["fiber"]
HERE = b.address("fiber")  # 192.168.2.2/24
BY_NETWORKD = HERE._replace(no_network=True)
FIRST, SECOND, THIRD = "192.168.2.1", "192.168.2.7", "192.168.2.9"


def via(gateway: str | None, metric: int = 100, table: int = MAIN_TABLE, onlink: bool = False) -> Route:
    hop = Nexthop(FIBER, gateway, onlink=onlink)
    return Route(Family.IPV4, table, metric=metric, nexthops=(hop,), protocol=16)


def uplink(snapshot: Snapshot, lease: str | None = None, state: State | None = None, **own: object) -> Uplink:
    around = Inputs(snapshot, state or State(), Allotment(), lease=lambda _: Lease(lease))
    return bind(b.config(b.uplink("fiber", **own)), around).uplinks[0]


def seen(*defaults: Route, address: Address = HERE) -> Snapshot:
    main = tuple(route for route in defaults if route.table == MAIN_TABLE)
    others = tuple(route for route in defaults if route.table != MAIN_TABLE)
    return b.snapshot("fiber")._replace(defaults=main, elsewhere=others, addresses=(address,))


def found(way: Way) -> tuple[str | None, bool]:
    return way.gateway, way.onlink


STALE = "10.9.9.1"  # in no network of the interface


@pytest.mark.parametrize(
    ("snapshot", "lease", "gateway", "onlink"),
    [
        (seen(via(STALE, 5), via(FIRST, 50)), None, FIRST, False),
        (seen(via(STALE, 50), via(FIRST, 50)), None, FIRST, False),
        (seen(via(STALE, 5)), SECOND, SECOND, False),
        (seen(via(STALE, 5)), STALE, STALE, True),  # what the lease says, too, has a host route
        (seen(via(STALE, 5)), "10.8.8.1", STALE, True),
        (seen(via(STALE, 5)), None, STALE, True),
        (seen(via(STALE, 5, onlink=True), via(FIRST, 50)), None, STALE, True),
        (seen(via(None, 5), via(FIRST, 50)), None, None, False),
        (seen(via(FIRST)), SECOND, FIRST, False),
        (seen(via(FIRST), address=BY_NETWORKD), None, FIRST, False),  # main took it
        (seen(via(FIRST, table=100)), None, FIRST, False),
        (seen(via(FIRST, table=100), address=BY_NETWORKD), None, FIRST, True),
        (seen(via(STALE, 5, table=99), via(FIRST, 50, table=100)), None, FIRST, False),
        (seen(address=BY_NETWORKD), FIRST, FIRST, True),
        (seen(), None, None, False),
    ],
)
def test_the_likeliest_gateway_comes_first(snapshot: Snapshot, lease: str | None, gateway: str, onlink: bool) -> None:
    assert found(uplink(snapshot, lease).ipv4) == (gateway, onlink)


POINT = Link(FIBER, "fiber", True, True, noarp=True)
PEERED = Address(FIBER, Family.IPV4, "198.51.100.20", 32, True)
LOCAL6 = Address(FIBER, Family.IPV6, "fe80::7", 64, False)


def point(*addresses: Address, defaults: tuple[Route, ...] = ()) -> Snapshot:
    """A point-to-point link with these addresses; both families, and the default of another line in main."""
    other = b.foreign("cable", 100)
    return seen(*defaults, other)._replace(links=(POINT,), addresses=addresses, families=tuple(Family))


@pytest.mark.parametrize(
    ("match", "address", "metric", "expected"),
    [
        ("fiber", PEERED, 40, 40),  # with a peer
        ("fiber", PEERED._replace(prefixlen=30), None, 1024),  # a mobile session's network
        ("fi*", PEERED, None, 1024),
        ("fiber", Address(FIBER, Family.IPV6, "2001:db8:7::1", 64, True), None, 1024),
        ("*", PEERED, 40, None),  # means any interface, also the tunnel that stands beside
    ],
)
def test_a_point_to_point_link_with_an_address_needs_no_default_of_others(
    match: str, address: Address, metric: int | None, expected: int | None
) -> None:
    entry = b.uplink("fiber", metric=metric)._replace(match=(Match("name", match),))
    one = bind(b.config(entry), Inputs(point(address, LOCAL6), State(), Allotment())).uplinks[0]
    way, other = (one.ipv4, one.ipv6) if address.family is Family.IPV4 else (one.ipv6, one.ipv4)
    assert (way.missing, way.gateway) == ("" if expected else "no gateway", None)
    assert (way.default.metric if way.default else None) == expected
    assert one.metric == (metric or 1024)
    assert other.missing == "no address"


def test_a_default_that_is_set_by_the_same_link_changes_only_its_metric() -> None:
    plain = uplink(point(PEERED)).ipv4
    for own in (via(None, 0), via(None, 700)):
        way = uplink(point(PEERED, defaults=(own,))).ipv4
        assert (way.key, way.default and way.default.metric) == (plain.key, own.metric)
    assert uplink(point(PEERED), gateways=(FIRST,)).ipv4.gateway == FIRST
    assert uplink(point(PEERED), lease=SECOND).ipv4.gateway == SECOND


def test_an_ethernet_or_a_link_that_the_configuration_does_not_name_has_no_way_without_a_default() -> None:
    assert uplink(point(PEERED)._replace(links=(b.link("fiber"),))).ipv4.missing == "no gateway"
    known = State(uplinks={"fiber": UplinkState("fiber", FIBER)})  # it had a default earlier in this boot
    left = bind(b.config(), Inputs(point(PEERED), known, Allotment())).uplinks
    assert [one.ipv4.missing for one in left if one.name == "fiber"] == ["no gateway"]


def test_a_link_without_an_address_of_its_own_leads_what_has_one_of_the_prefix_that_came_by_it() -> None:
    inside = Address(b.NAMES["lte"], Family.IPV6, "2001:db8:77::1", 64, True)
    delegated = (Delegated("2001:db8:77::/56", interface="fiber"),)
    snapshot = point(LOCAL6, inside)._replace(delegated=delegated)
    one = lending([uplink(snapshot)], snapshot)[0]
    assert (one.ipv6.missing, one.ipv6.source, one.ipv6.gateway) == ("", inside.address, None)
    assert uses(one, Family.IPV6, State()), "else it has no table to be probed by"
    assert [route.nexthops for route in desire(b.config(one.config), (one,), State(), snapshot).tables] == [
        (Nexthop(FIBER),)
    ]


def test_the_source_and_the_mtu_of_another_tables_default_are_kept() -> None:
    there = via(FIRST, table=100)._replace(src="192.168.2.2", mtu=1400)
    way = uplink(seen(there)).ipv4
    assert way.default and (way.default.src, way.default.mtu, way.default.table) == ("192.168.2.2", 1400, 0)
    assert way.homes == (100,)


def test_each_gateway_is_tried_once_in_the_order_of_its_best_route() -> None:
    way = uplink(seen(via(SECOND, 30), via(FIRST, 10), via(FIRST, 40), via(THIRD, 20))).ipv4
    assert way.choices == (FIRST, THIRD, SECOND)


def test_a_default_that_stands_in_the_uplinks_own_table_is_not_doubled() -> None:
    snapshot = seen(via(FIRST, table=100))
    one = uplink(snapshot, table=100)
    tables = desire(b.config(one.config), (one,), State(), snapshot).tables
    assert [route.kind for route in tables if route.table == 100 and route.kind == "unicast"] == []


def test_another_table_is_looked_in_only_where_main_has_no_default() -> None:
    bare, state = seen(), State()
    assert strays([uplink(seen(via(FIRST)))], seen(via(FIRST)), state) == []
    assert [family for family, _ in strays([uplink(bare)], bare, state)] == [Family.IPV4]
    ours = seen(via(FIRST)._replace(protocol=172))
    assert strays([uplink(ours)], ours, state)
    assert strays([uplink(bare, gateways=(FIRST,))], bare, state) == []
    alone = seen(address=BY_NETWORKD)
    assert strays([uplink(alone, gateways=(FIRST,))], alone, state)
    down = bare._replace(links=(b.link("fiber", up=False),))
    assert strays([uplink(down)], down, state) == []
    homeless = bare._replace(addresses=())
    assert strays([uplink(homeless)], homeless, state) == []


def test_a_default_waits_for_the_carrier_where_it_does_not_stand() -> None:
    snapshot = seen(via(FIRST))._replace(links=(b.link("fiber", carrier=False),))
    one = uplink(snapshot)
    config, memory = b.config(one.config), b.state(fiber=Status.OFFLINE)

    def defaults(there: Snapshot) -> list[Route]:
        return [r for r in desire(config, (one,), memory, there).tables if r.kind == "unicast"]

    assert defaults(snapshot) == []
    assert one.ipv4.default
    standing = one.ipv4.default._replace(table=one.table)
    there = snapshot._replace(copies=(Copies(Family.IPV4, one.table, extra=(standing,)),))
    assert defaults(there) == [standing]


def test_gateways_of_the_configuration_are_tried_in_their_order() -> None:
    snapshot = seen(via(FIRST)._replace(mtu=1480))
    listed = (SECOND, FIRST, "fe80::9")
    way = uplink(snapshot, gateways=listed).ipv4
    assert (way.choices, way.gateway) == ((SECOND, FIRST), SECOND)
    turned = State(turns={"fiber/ipv4": Turn(FIRST)})
    way = uplink(snapshot, state=turned, gateways=listed).ipv4
    assert way.default and (way.gateway, way.default.mtu) == (FIRST, 1480)
    strange = State(turns={"fiber/ipv4": Turn(THIRD)})
    assert uplink(snapshot, state=strange, gateways=listed).ipv4.gateway == SECOND


PROBE = Probe(fall=3, hysteresis_delay=180)
ALL = (FIRST, SECOND, THIRD)


def gone_bad(gateway: str) -> FamilyState:
    return FamilyState(status=Status.OFFLINE, judged=True, bad=3, way=f"192.168.2.2 {gateway}")


def went(before: Turn, answers: dict[str, bool | None], memory: FamilyState | None = None, now: float = 1000) -> Turn:
    return turn(before, ALL, answers, memory or FamilyState(), PROBE, now)


@pytest.mark.parametrize(
    ("answers", "gateway"),
    [
        ({FIRST: True, SECOND: True}, FIRST),
        ({FIRST: None, SECOND: True}, SECOND),
        ({FIRST: False, SECOND: None, THIRD: True}, THIRD),
        ({FIRST: None, SECOND: None}, FIRST),
        ({FIRST: False, SECOND: None}, FIRST),
    ],
)
def test_at_first_the_first_that_answers(answers: dict[str, bool | None], gateway: str) -> None:
    assert went(Turn(""), answers).gateway == gateway


def test_a_silent_one_is_left_and_used_again_after_a_while() -> None:
    left = went(Turn(FIRST), {FIRST: False, SECOND: True})
    assert left == Turn(SECOND, {FIRST: 1000})
    assert went(left, {FIRST: True, SECOND: True}, now=1179).gateway == SECOND
    assert went(left, {FIRST: None, SECOND: True}, now=1200).gateway == SECOND
    assert went(left, {FIRST: True, SECOND: True}, now=1180) == Turn(FIRST)
    assert went(left, {FIRST: True, SECOND: False}, now=1010).gateway == FIRST  # nothing else is left


def test_while_all_are_silent_it_stays() -> None:
    silent: dict[str, bool | None] = dict.fromkeys(ALL, False)
    assert went(Turn(SECOND), silent).gateway == SECOND
    assert went(Turn(SECOND), {**silent, FIRST: None}).gateway == SECOND


def test_behind_which_probes_get_nothing_the_next_has_its_turn_until_it_fails_too() -> None:
    every: dict[str, bool | None] = dict.fromkeys(ALL, True)
    left = went(Turn(FIRST), every, gone_bad(FIRST))
    assert left == Turn(SECOND, {}, (FIRST,))
    assert went(left, every, FamilyState(status=Status.ONLINE, judged=True), now=9999).gateway == SECOND
    last = went(left, every, gone_bad(SECOND))
    assert last == Turn(THIRD, {}, (FIRST, SECOND))
    assert went(last, every, gone_bad(FIRST)).gateway == THIRD  # what was seen by another way counts no more
    assert went(last, every, gone_bad(THIRD)) == Turn(FIRST, {}, (THIRD,))


def test_with_no_other_it_stays_though_probes_get_nothing() -> None:
    assert went(Turn(FIRST), {FIRST: True, SECOND: False}, gone_bad(FIRST)) == Turn(FIRST)


answer = st.sampled_from((True, False, None))


@given(st.lists(st.tuples(answer, answer, answer, st.booleans()), min_size=1, max_size=30))
def test_it_never_leaves_a_gateway_that_works_for_a_worse_one_nor_swings(seen: list[tuple[object, ...]]) -> None:
    """A step of ten seconds each: what is left is silent or failed, and what is taken instead answers."""
    now, before = 0.0, Turn("")
    taken: dict[str, float] = {}
    for first, second, third, bad in seen:
        now += 10
        answers: dict[str, bool | None] = dict(zip(ALL, (first, second, third), strict=True))  # type: ignore[arg-type]
        memory = gone_bad(before.gateway) if bad else FamilyState(status=Status.ONLINE, judged=True)
        after = turn(before, ALL, answers, memory, PROBE, now)
        if before.gateway and after.gateway != before.gateway:
            assert answers[after.gateway]
            better = ALL.index(after.gateway) < ALL.index(before.gateway)
            assert answers[before.gateway] is False or bad or (better and now - taken.get(after.gateway, -200) >= 180)
            taken[before.gateway] = now
        before = after


def test_an_uplink_without_several_gateways_has_no_turn() -> None:
    config = UplinkConfig("fiber", gateways=(FIRST,))
    assert config.gateway(Family.IPV4) == (FIRST,)
    assert uplink(seen(via(FIRST))).ipv4.choices == ()
