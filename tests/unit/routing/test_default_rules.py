"""Rules of uplinks' defaults: which way they take, what the kernel takes of them, and at which metric they stand."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.model import (
    MAIN_TABLE,
    PROTOCOL,
    Allotment,
    Config,
    Connectivity,
    Copies,
    Family,
    FamilyState,
    Lease,
    Metrics,
    Nexthop,
    Op,
    Route,
    Routing,
    Rule,
    Snapshot,
    State,
    Status,
    Uplink,
    UplinkState,
)
from mwan_hook.routing import gateways, metrics
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.metrics import with_own_defaults
from mwan_hook.routing.plan import plan
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)
ON, OFF, DISABLED = Status.ONLINE, Status.OFFLINE, Status.DISABLED
FIBER, CABLE = b.NAMES["fiber"], b.NAMES["cable"]
LEASE = Lease("192.168.2.1", servers=("192.0.2.53", "2001:db8::53", "192.0.2.54"))


def sources(snapshot: Snapshot, **more: Any) -> gateways.Sources:
    """Where a way is looked for."""
    return gateways.Sources(snapshot, **more)


# ---------------------------------------------------------------- ways


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(
    ("configured", "kernel", "used"),
    [(BOTH, BOTH, True), ((V4,), BOTH, None), ((V6,), BOTH, None), (BOTH, (V4,), None), (BOTH, (V6,), None)],
)
def test_a_family_is_used_where_the_configuration_and_the_kernel_have_it(
    family: Family, configured: tuple[Family, ...], kernel: tuple[Family, ...], used: bool | None
) -> None:
    snapshot = b.snapshot("fiber", families=BOTH)._replace(families=kernel)
    way = gateways.way(family, b.uplink("fiber", families=configured), b.link("fiber"), sources(snapshot))
    expected = family in configured and family in kernel
    assert used is None or used is expected
    assert (way.missing == "") is expected
    assert (way.default is not None) is expected
    if not expected:
        assert (way.missing, way.addresses, way.gateway) == (f"{family.value} is not used", (), None)


@pytest.mark.parametrize(("family", "servers"), [(V4, ("192.0.2.53", "192.0.2.54")), (V6, ("2001:db8::53",))])
def test_a_way_has_the_name_servers_of_its_family_also_while_its_interface_is_gone(
    family: Family, servers: tuple[str, ...]
) -> None:
    seen = sources(b.snapshot("fiber", families=BOTH), lease=LEASE)
    for link in (b.link("fiber"), None):
        way = gateways.way(family, b.uplink("fiber"), link, seen)
        assert way.servers == servers
        assert way.missing == ("" if link else "interface is gone")


def test_a_way_has_the_addresses_of_its_own_interface_and_family_alone() -> None:
    snapshot = b.snapshot("fiber", "cable", families=BOTH)
    for family in BOTH:
        way = gateways.way(family, b.uplink("fiber"), b.link("fiber"), sources(snapshot))
        assert way.addresses == (b.address("fiber", family),)


@pytest.mark.parametrize(
    ("up", "carrier", "usable", "tentative", "default", "lent", "missing"),
    [
        (True, True, True, False, True, "", ""),
        (False, False, False, False, False, "", "administratively down"),
        (True, False, True, False, True, "", "no carrier"),
        (True, True, False, True, True, "", "address is tentative"),
        (True, True, False, False, True, "", "no address"),
        (True, True, False, False, True, "lo", ""),
        (True, True, True, True, False, "", "no gateway"),
        (True, True, False, False, False, "lo", "no gateway"),
    ],
)
def test_the_first_thing_that_is_missing_is_named(
    up: bool, carrier: bool, usable: bool, tentative: bool, default: bool, lent: str, missing: str
) -> None:
    address = b.address("fiber")._replace(usable=usable, tentative=tentative)
    found = gateways.missing(b.link("fiber", up, carrier), (address,), b.foreign("fiber", 5) if default else None, lent)
    assert found == missing


@pytest.mark.parametrize(
    ("family", "gateway", "scope"), [(V4, None, 253), (V4, "192.168.2.1", 0), (V6, None, 0), (V6, "fe80::1", 0)]
)
def test_a_leg_of_a_foreign_route_becomes_a_plain_one_of_ours(family: Family, gateway: str | None, scope: int) -> None:
    """An IPv4 one by device reaches no further than the link."""
    hop = Nexthop(FIBER, gateway, weight=7)
    theirs = Route(
        family, 99, metric=50, nexthops=(Nexthop(CABLE, gateway), hop), scope=9, tos=8, protocol=16, mtu=1400
    )
    made = gateways.single(theirs, hop)
    assert made == Route(
        family, 0, metric=50, nexthops=(Nexthop(FIBER, gateway, 1),), scope=scope, protocol=PROTOCOL, mtu=1400
    )


@pytest.mark.parametrize(
    ("family", "metric", "canonical"), [(V4, 0, 0), (V6, 0, 1024), (V4, 1, 1), (V6, 1, 1), (V6, 1024, 1024)]
)
def test_ipv6_has_no_metric_0(family: Family, metric: int, canonical: int) -> None:
    assert gateways.canonical_metric(family, metric) == canonical


@pytest.mark.parametrize(("family", "gateway"), [(V4, "192.168.2.77"), (V6, "fe80::77")])
@pytest.mark.parametrize("metric", [None, 0, 5])
def test_a_gateway_of_the_configuration_that_no_route_names_makes_a_default_at_its_metric(
    family: Family, gateway: str, metric: int | None
) -> None:
    config = b.uplink("fiber", metric=metric, gateways=(gateway,))
    default = gateways.way(family, config, b.link("fiber"), sources(b.snapshot("fiber", families=BOTH))).default
    assert default is not None
    assert (default.metric, default.nexthops) == (metric or (0 if family is V4 else 1024), (Nexthop(FIBER, gateway),))


def test_of_foreign_defaults_only_plain_ones_through_the_interface_count_the_best_first() -> None:
    good = b.foreign("fiber", 20)
    odd = (
        b.foreign("cable", 1),
        good._replace(metric=2, tos=8),
        good._replace(metric=3, kind="blackhole"),
        good._replace(metric=4, dst="10.0.0.0/8"),
        good._replace(metric=5, protocol=PROTOCOL),
    )
    better = good._replace(metric=10, nexthops=(Nexthop(FIBER, "192.168.2.9"),))
    snapshot = b.snapshot("fiber")._replace(defaults=(*odd, good, better))
    found = gateways.candidates(
        gateways.Place(V4, b.uplink("fiber"), b.link("fiber"), snapshot.addresses), sources(snapshot)
    )
    assert [(leg.metric, leg.nexthops[0].gateway) for leg in found] == [(10, "192.168.2.9"), (20, "192.168.2.1")]


@pytest.mark.parametrize(("src", "v4", "v6"), [(None, True, True), ("192.168.2.2", True, True), ("x", False, True)])
def test_a_remembered_default_loses_what_the_kernel_would_have_taken(src: str | None, v4: bool, v6: bool) -> None:
    for family, stays in ((V4, v4), (V6, v6)):
        route = b.foreign("fiber", 5, family)._replace(src=src)
        found = gateways.still_valid([route], [b.address("fiber")])
        assert found == ([route._replace(src=None if src == "x" else src)] if stays else [])


# ---------------------------------------------------------------- desired


def uplinks_of(config: Config, snapshot: Snapshot, state: State) -> tuple[Uplink, ...]:
    """Bound to what is there."""
    return tuple(bind(config, Inputs(snapshot, state, Allotment())).uplinks)


def wanted(config: Config, snapshot: Snapshot, state: State) -> Desired:
    """What should be in the kernel."""
    return desire(config, uplinks_of(config, snapshot, state), state, snapshot)


@pytest.mark.parametrize(("tier", "weights"), [(("fiber", "cable"), (7, 3)), (("fiber",), (1,)), (("cable",), (1,))])
def test_weights_are_between_uplinks_that_share_and_one_alone_has_none(
    tier: tuple[str, ...], weights: tuple[int, ...]
) -> None:
    """A weight that is left on a single way would make it another route than the kernel shows."""
    config = b.config(b.uplink("fiber", metric=1, weight=7), b.uplink("cable", metric=1, weight=3))
    state = b.state(**{name: ON if name in tier else OFF for name in ("fiber", "cable")})
    for family in BOTH:
        found = wanted(config, b.snapshot("fiber", "cable", families=BOTH), state).shared
        best, *rest = [route for route in found if route.family is family]
        assert tuple(hop.weight for hop in best.nexthops) == weights
        assert [[hop.weight for hop in route.nexthops] for route in rest] == [[1]] * len(tier)


@pytest.mark.parametrize(
    ("link", "address", "stands"),
    [
        ({}, {}, True),
        ({"up": False}, {}, False),
        ({}, {"usable": False}, False),
        ({}, {"usable": False, "tentative": True}, True),
        ({"carrier": False}, {}, False),  # nothing of ours stands there yet
    ],
)
def test_an_uplinks_table_has_a_default_that_the_kernel_takes(
    link: dict[str, bool], address: dict[str, bool], stands: bool
) -> None:
    snapshot = b.snapshot("fiber")
    snapshot = snapshot._replace(
        links=(snapshot.links[0]._replace(**link),),  # type: ignore[arg-type]
        addresses=(snapshot.addresses[0]._replace(**address),),  # type: ignore[arg-type]
    )
    assert bool(wanted(b.config(b.uplink("fiber")), snapshot, b.state(fiber=ON)).tables) is stands


@pytest.mark.parametrize(("table", "stays"), [(1001, True), (1002, False)])
def test_without_carrier_only_what_stands_in_the_uplinks_own_table_stays(table: int, stays: bool) -> None:
    """Into another one the kernel would take it no more than into this one."""
    config, there = b.config(b.uplink("fiber")), b.snapshot("fiber")
    (ours,) = wanted(config, there, b.state(fiber=ON)).tables
    copies = (Copies(V4, table, extra=(ours,)),)
    cut = there._replace(links=(b.link("fiber", carrier=False),), copies=copies)
    assert bool(wanted(config, cut, b.state(fiber=OFF)).tables) is stays


def test_a_family_that_is_no_longer_wanted_has_no_rule_although_it_had_a_verdict() -> None:
    for families, devices in (((V4, V6), ["fiber"]), ((V6,), [])):
        config = b.config(b.uplink("fiber", families=families))
        made = wanted(config, b.snapshot("fiber"), b.state(fiber=ON))
        assert [rule.oif for rule in made.rules if rule.oif] == devices


# ---------------------------------------------------------------- metrics

ALL = Metrics(full=10, portal=20, limited=30, none=40)


def memory(name: str, status: Status, connectivity: Connectivity, judged: bool = True) -> State:
    """Of both families of one uplink."""
    one = FamilyState(status=status, judged=judged, way="x", connectivity=connectivity)
    return State(uplinks={name: UplinkState(name, b.NAMES[name], one, one)})


def own(state: State, snapshot: Snapshot, *entries: Any, **routing: object) -> Desired:
    """What main should hold."""
    config = b.config(*(entries or (b.uplink("fiber", metrics=ALL),)), **routing)
    return with_own_defaults(Desired(), config, uplinks_of(config, snapshot, state), state, snapshot)


NONE, PORTAL, LIMITED, FULL, UNKNOWN = (
    Connectivity.NONE, Connectivity.PORTAL, Connectivity.LIMITED, Connectivity.FULL, Connectivity.UNKNOWN
)  # fmt: skip


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(
    ("status", "connectivity", "judged", "metric"),
    [
        (ON, FULL, True, 10),
        (ON, LIMITED, True, 10),  # a bad round is not yet a verdict
        (OFF, PORTAL, True, 20),
        (OFF, LIMITED, True, 30),
        (OFF, NONE, True, 40),
        (OFF, FULL, True, 30),  # it has yet to earn its rise
        (OFF, UNKNOWN, True, None),
        (OFF, LIMITED, False, None),
        (DISABLED, UNKNOWN, True, None),
        (DISABLED, LIMITED, True, None),
    ],
)
def test_the_metric_follows_the_verdict(
    family: Family, status: Status, connectivity: Connectivity, judged: bool, metric: int | None
) -> None:
    theirs = b.foreign("fiber", 500, family)
    snapshot = b.snapshot("fiber", families=BOTH)._replace(defaults=(theirs,))
    found = own(memory("fiber", status, connectivity, judged), snapshot)
    assert [(route.metric, route.table) for route in found.main] == ([(metric, MAIN_TABLE)] if metric else [])
    assert found.displaced == ((theirs,) if metric else ())
    assert found.foreign == found.displaced


def test_a_good_round_on_the_way_up_leaves_the_metric_of_ours_that_stands() -> None:
    ours = b.foreign("fiber", 40, protocol=PROTOCOL)
    snapshot = b.snapshot("fiber")._replace(defaults=(ours,))
    state = memory("fiber", OFF, FULL)._replace(foreign=(b.foreign("fiber", 500),))
    found = own(state, snapshot)
    assert [route.metric for route in found.main] == [40]
    assert found.foreign == state.foreign


@pytest.mark.parametrize(("family", "expected"), [(V4, 10), (V6, 11)])
def test_an_ipv6_metric_that_another_interface_has_is_left_out(family: Family, expected: int) -> None:
    """The kernel would make one route of the two; IPv4 keeps them apart."""
    other = b.foreign("cable", 10, family)
    snapshot = b.snapshot("fiber", "cable", families=BOTH)._replace(defaults=(b.foreign("fiber", 500, family), other))
    found = own(memory("fiber", ON, FULL), snapshot)
    assert [route.metric for route in found.main] == [expected]
    assert other not in found.displaced


def test_ours_of_one_ipv6_metric_are_one_route_and_stay_it() -> None:
    entries = b.uplink("fiber", metrics=ALL), b.uplink("cable", metrics=ALL)
    state = State(uplinks={**memory("fiber", ON, FULL).uplinks, **memory("cable", ON, FULL).uplinks})
    snapshot = b.snapshot("fiber", "cable", metric=500, families=(V6,))
    first = own(state, snapshot, *entries)
    assert [route.metric for route in first.main] == [10, 10]
    hops = tuple(hop for route in first.main for hop in route.nexthops)
    there = snapshot._replace(defaults=(first.main[0]._replace(nexthops=hops, protocol=PROTOCOL),))
    assert own(state._replace(foreign=first.foreign), there, *entries).main == first.main


def test_a_foreign_default_that_has_become_one_route_with_another_s_is_left_where_it_is() -> None:
    both = b.foreign("fiber", 10, V6)._replace(nexthops=(Nexthop(FIBER, "fe80::1"), Nexthop(CABLE, "fe80::1")))
    snapshot = b.snapshot("fiber", "cable", families=(V6,))._replace(defaults=(both,))
    found = own(memory("fiber", ON, FULL), snapshot)
    assert (found.main, found.displaced) == ((), ())


def test_a_foreign_default_that_ours_no_longer_stands_for_is_forgotten() -> None:
    gone, right = b.foreign("fiber", 500), b.foreign("fiber", 10)
    state = memory("fiber", ON, FULL)._replace(foreign=(gone,))
    assert own(state, b.snapshot("fiber")._replace(defaults=(right,))).foreign == ()


def test_a_foreign_default_that_has_the_metric_already_stays_and_its_twins_go() -> None:
    right, wrong = b.foreign("fiber", 10), b.foreign("fiber", 500)
    found = own(memory("fiber", ON, FULL), b.snapshot("fiber")._replace(defaults=(right, wrong)))
    assert (found.main, found.displaced) == ((), (wrong,))


@pytest.mark.parametrize("family", BOTH)
def test_beside_the_shared_default_in_main_an_own_one_stands_below_every_rung(family: Family) -> None:
    """One rung for the best tier, and one for each uplink."""
    entries = (b.uplink("fiber", metrics=ALL._replace(full=1)), b.uplink("cable"))
    snapshot = b.snapshot("fiber", "cable", metric=500, families=BOTH)
    found = own(memory("fiber", ON, FULL), snapshot, *entries, default_table=MAIN_TABLE)
    assert [route.metric for route in found.main if route.family is family] == [4]
    apart = own(memory("fiber", ON, FULL), snapshot, *entries)
    assert [route.metric for route in apart.main if route.family is family] == [1]


@pytest.mark.parametrize(
    ("theirs", "v4", "v6"),
    [
        ((), [1, 2, 3], [1, 2, 3]),
        ((2,), [1, 2, 3], [1, 3, 4]),
        ((0,), [0, 1, 2], [1, 2, 3]),
        ((1, 2), [1, 2, 3], [3, 4, 5]),
    ],
)
def test_rungs_in_main_keep_out_of_the_way_of_foreign_ipv6_defaults(
    theirs: tuple[int, ...], v4: list[int], v6: list[int]
) -> None:
    for family, expected in ((V4, v4), (V6, v6)):
        defaults = tuple(b.foreign("fiber", metric, family) for metric in theirs)
        snapshot = b.snapshot("fiber", families=BOTH)._replace(defaults=defaults)
        assert metrics.fallback_metrics(family, snapshot, (), 3) == expected
        odd = tuple(one for route in defaults for one in (route._replace(tos=8), route._replace(dst="10.0.0.0/8")))
        assert metrics.fallback_metrics(family, snapshot._replace(defaults=odd), (), 3) == [1, 2, 3], "no defaults"
        mine = tuple(route._replace(protocol=PROTOCOL) for route in defaults)
        assert metrics.fallback_metrics(family, snapshot._replace(defaults=mine), (), 3) == [1, 2, 3], "ours"


def test_what_was_displaced_is_remembered_while_its_way_is_out_of_order_and_put_back_without_metrics() -> None:
    old = (b.foreign("fiber", 500), b.foreign("cable", 600))
    state = memory("fiber", ON, FULL)._replace(foreign=old)
    broken = b.snapshot("fiber", "cable")._replace(links=(b.link("fiber", carrier=False), b.link("cable")), defaults=())
    found = own(state, broken)
    assert found.foreign == old[:1], "cable has no metrics any more"
    assert found.restored == old[1:]
    there = broken._replace(defaults=(b.foreign("cable", 77),))
    assert own(state, there).restored == (), "its client has put one there again"
    down = broken._replace(links=(b.link("fiber", carrier=False), b.link("cable", up=False)))
    assert own(state, down).restored == (), "no route goes through a device that is down"


@pytest.mark.parametrize(
    "odd", [{"tos": 8}, {"dst": "10.0.0.0/8"}, {"kind": "blackhole"}, {"family": V6}, {"nexthops": (Nexthop(CABLE),)}]
)
def test_a_leg_is_one_of_a_plain_default_through_the_interface(odd: dict[str, Any]) -> None:
    route = b.foreign("fiber", 5)
    snapshot = Snapshot(defaults=(route, route._replace(**odd)))
    assert metrics.legs(snapshot, V4, FIBER) == [route]


def test_legs_of_an_ipv6_route_are_told_apart_and_an_ipv4_one_is_left_whole() -> None:
    hops = (Nexthop(FIBER, "fe80::1", weight=3), Nexthop(CABLE, "fe80::1"))
    for family, count in ((V4, 0), (V6, 1)):
        snapshot = Snapshot(defaults=(b.foreign("fiber", 5, family)._replace(nexthops=hops),))
        found = metrics.legs(snapshot, family, FIBER)
        assert [leg.nexthops for leg in found] == [(Nexthop(FIBER, "fe80::1"),)] * count


# ---------------------------------------------------------------- plan


def shared(family: Family, *gateways_: str | None, metric: int = 1, nhid: int = 0) -> Route:
    """A shared default of ours."""
    hops = tuple(Nexthop(FIBER + place, gateway) for place, gateway in enumerate(gateways_))
    return Route(family, 1000, metric=metric, nexthops=hops, nhid=nhid)


@pytest.mark.parametrize(
    ("old", "new", "ops"),
    [
        (shared(V4, "192.0.2.1"), shared(V4, None), ["replace"]),
        (shared(V6, "fe80::1"), shared(V6, "fe80::2"), ["replace"]),
        (shared(V6, None), shared(V6, None)._replace(mtu=1400), ["replace"]),
        (shared(V6, "fe80::1"), shared(V6, None), ["add", "del"]),
        (shared(V6, None), shared(V6, "fe80::1"), ["add", "del"]),
        (shared(V6, "fe80::1"), Route(V6, 1000, metric=1, kind="unreachable"), ["add", "del"]),
        (Route(V6, 1000, metric=1, kind="unreachable"), shared(V6, "fe80::1"), ["add", "del"]),
        (shared(V6, nhid=5), shared(V6, None), ["replace"]),
        (shared(V6, None), shared(V6, nhid=5), ["replace"]),
        (shared(V6, "fe80::1", metric=2), shared(V6, "fe80::1"), ["add", "del"]),
    ],
)
def test_like_replaces_like_and_else_the_new_one_comes_first(old: Route, new: Route, ops: list[str]) -> None:
    changes = plan(Routing(), Desired(shared=(new,)), Snapshot(shared=(old,)))
    assert [change.op.value for change in changes] == ops
    assert [change.what for change in changes] == ([new] if len(ops) == 1 else [new, old])
    assert {(change.table, change.family) for change in changes} == {(1000, new.family)}


def main_default(metric: int, protocol: int = PROTOCOL, name: str = "fiber") -> Route:
    """In main."""
    return b.foreign(name, metric, protocol=protocol)


@pytest.mark.parametrize("table", [1000, MAIN_TABLE])
def test_of_ours_in_main_what_is_not_wanted_goes_and_what_is_someone_elses_stays(table: int) -> None:
    """With the shared default in main its rungs are ours too, and are told by the metric from own defaults."""
    theirs, stale, mine = main_default(7, 16), main_default(8), main_default(9)
    routing, snapshot = Routing(default_table=table), Snapshot(defaults=(theirs, stale, mine))
    changes = plan(routing, Desired(main=(mine,)), snapshot)
    assert [(change.op, change.what) for change in changes] == [(Op.DELETE, stale)]
    rung = main_default(1)
    changes = plan(routing, Desired(main=(mine,), shared=(rung,)), Snapshot(defaults=(rung, mine)))
    assert [(c.op, c.what) for c in changes] == (
        [] if table == MAIN_TABLE else [(Op.ADD, rung), (Op.DELETE, rung)]
    )  # fmt: skip


@pytest.mark.parametrize("gone", [True, False])
def test_what_ours_stands_for_goes_behind_it_and_before_ours_that_is_no_longer_wanted(gone: bool) -> None:
    theirs, new, old = main_default(500, 16), main_default(10), main_default(40)
    changes = plan(
        Routing(),
        Desired(main=(new,), displaced=(theirs,) if gone else ()),
        Snapshot(defaults=(theirs, old)),
    )
    expected = [(Op.APPEND, new), *([(Op.DELETE, theirs)] if gone else []), (Op.DELETE, old)]
    assert [(change.op, change.what) for change in changes] == expected


def test_rules_come_by_rising_priority_and_go_by_falling_one() -> None:
    new, old = ([Rule(V4, number, table) for number in (30, 10, 20)] for table in (1001, 1002))
    changes = plan(Routing(), Desired(rules=tuple(new)), Snapshot(rules=tuple(old)))
    assert [(change.op, change.what) for change in changes] == [
        *((Op.ADD, new[place]) for place in (1, 2, 0)),
        *((Op.DELETE, old[place]) for place in (0, 2, 1)),
    ]
