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
    Family,
    FamilyState,
    Lease,
    Nexthop,
    Probe,
    Route,
    Snapshot,
    State,
    Status,
    Turn,
    Uplink,
    UplinkConfig,
    Way,
)
from mwan_hook.routing.desired import desire
from mwan_hook.routing.gateways import strays
from mwan_hook.routing.turns import turn
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

FIBER = b.NAMES["fiber"]
HERE = b.address("fiber")  # 192.168.2.2/24
BY_NETWORKD = HERE._replace(no_network=True)
FIRST, SECOND, THIRD = "192.168.2.1", "192.168.2.7", "192.168.2.9"


def via(gateway: str | None, metric: int = 100, table: int = MAIN_TABLE, onlink: bool = False) -> Route:
    hop = Nexthop(FIBER, gateway, onlink=onlink)
    return Route(Family.IPV4, table, metric=metric, nexthops=(hop,), protocol=16)


def uplink(snapshot: Snapshot, lease: str | None = None, state: State | None = None, **own: object) -> Uplink:
    around = Inputs(snapshot, state or State(), Allotment(), leases={FIBER: Lease(lease)})
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


def test_with_nobody_else_it_stays_though_probes_get_nothing() -> None:
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
