"""Changes to routes and rules on a real kernel."""

from __future__ import annotations

import pytest

from mwan_hook.kernel.build import canonical
from mwan_hook.model import GUARD_METRIC, MAIN_TABLE, Change, Family, Op, Route, Rule, Sysctl
from tests.lab import WITHOUT_CAPABILITIES, Lab
from tests.netns.kernel import Kernel, changes, hop

A4, B4, A6, B6 = "192.168.1.1", "192.168.3.1", "2001:db8:1::1", "2001:db8:3::1"
GATEWAYS = {Family.IPV4: (A4, B4), Family.IPV6: (A6, B6)}
SOURCES = {Family.IPV4: "192.168.1.80", Family.IPV6: "2001:db8:1::80"}
NETWORKS = {Family.IPV4: "198.18.0.0/15", Family.IPV6: "2001:db8:77::/48"}
BOTH = pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)


class Bed(Kernel):
    """Two uplinks."""

    one: int
    two: int

    @classmethod
    def with_two_links(cls, lab: Lab) -> Bed:
        """Both of them with an address of each family."""
        made = cls(lab.netns("kernel"))
        made.one = made.link("wan1", "192.168.1.80/24", "2001:db8:1::80/64")
        made.two = made.link("wan2", "192.168.3.2/24", "2001:db8:3::2/64")
        return made

    def hops(self, family: Family, weight: int = 3) -> tuple[Route, ...]:
        """Routes of every kind that the program makes."""
        a, b = GATEWAYS[family]
        near, far = hop(self.one, a), hop(self.two, b, weight)
        v4 = family is Family.IPV4
        source = SOURCES[family]
        return (
            Route(family, 1000, metric=1, nexthops=(near, far)),
            Route(family, 1000, metric=2, nexthops=(near,)),
            Route(family, 1000, metric=3, nexthops=(far,), mtu=1400, src=source),
            Route(family, 1000, metric=4, nexthops=(hop(self.two),), scope=253 if v4 else 0),
            Route(family, 1000, metric=GUARD_METRIC, kind="unreachable"),
            Route(family, 1000, metric=9, kind="blackhole"),
            Route(family, 77, NETWORKS[family], nexthops=(hop(self.one),), src=source, scope=253 if v4 else 0),
            Route(
                family, 77, NETWORKS[family], metric=5, nexthops=(hop(self.one, a, onlink=True),), tos=8 if v4 else 0
            ),
            Route(family, 4294967295, metric=6, nexthops=(near,)),
            Route(family, MAIN_TABLE, metric=66, nexthops=(near,)),
        )

    def rulebook(self, family: Family) -> tuple[Rule, ...]:
        """Rules of every kind that the program makes."""
        return (
            Rule(family, 1000, MAIN_TABLE, suppress_prefixlength=0),
            Rule(family, 1100, 1001, oif="wan1"),
            Rule(family, 1200, 1001, src=SOURCES[family]),
            Rule(family, 1210, 4294967295, src=NETWORKS[family], dst=NETWORKS[family], iif="wan2"),
            Rule(family, 1300, 1001, mark=0x100, mask=0x3F00),
            Rule(family, 1301, 1001, mark=0x4, mask=0xFFFFFFFF),
            Rule(family, 1400, 1001, src=NETWORKS[family], iif="wan2", ipproto=6, sport=(1, 9), dport=(443, 443)),
            Rule(family, 1400, 1001, iif="lo", mark=0x4, mask=0xFFFFC0FF, ipproto=255, uids=(0, 4294967294)),
            Rule(family, 1401, 0, ipproto=17, dport=(65000, 65534), action="unreachable"),
            Rule(family, 1401, 0, dst=NETWORKS[family], action="blackhole"),
            Rule(family, 1900, 1000),
        )

    def all_ours(self, family: Family) -> tuple[Route, ...]:
        """Ours in every table."""
        found: tuple[Route, ...] = self.call("read", "ours_anywhere", family)
        return found


@pytest.fixture
def bed(lab: Lab) -> Bed:
    return Bed.with_two_links(lab)


@BOTH
def test_what_is_added_reads_back_equal_and_goes_again(bed: Bed, family: Family) -> None:
    routes, rules = bed.hops(family), bed.rulebook(family)
    assert bed.add(*routes, *rules) == []
    assert set(bed.all_ours(family)) == set(map(canonical, routes))
    assert set(bed.rules(family)) == set(rules)
    assert bed.delete(*routes, *rules) == []
    assert (bed.all_ours(family), bed.rules(family)) == ((), ())


@BOTH
def test_what_is_already_so_is_no_failure(bed: Bed, family: Family) -> None:
    objects: list[Route | Rule] = [*bed.hops(family), *bed.rulebook(family)]
    assert bed.add(*objects) == []
    assert bed.add(*objects) == []
    assert bed.apply(*changes(Op.REPLACE, *bed.hops(family))) == []
    assert bed.apply(*changes(Op.APPEND, *bed.hops(family))) == []
    assert set(bed.all_ours(family)) == set(map(canonical, bed.hops(family)))
    assert len(bed.rules(family)) == len(bed.rulebook(family))
    assert bed.delete(*objects) == []
    assert bed.delete(*objects) == []


@BOTH
def test_a_multipath_route_is_replaced_in_place(bed: Bed, family: Family) -> None:
    best = bed.hops(family)[0]
    assert bed.add(best) == []
    for nexthops in (best.nexthops[:1], best.nexthops, (best.nexthops[0]._replace(weight=9), best.nexthops[1])):
        assert bed.apply(*changes(Op.REPLACE, best._replace(nexthops=nexthops))) == []
        assert bed.routes(family, 1000) == (best._replace(nexthops=nexthops),)


@BOTH
def test_foreign_routes_beside_ours_survive_a_delete(bed: Bed, family: Family) -> None:
    ours = bed.hops(family)
    foreign = tuple(route._replace(protocol=4, metric=route.metric + 100) for route in ours if route.metric < 1000)
    assert bed.add(*foreign) == []
    before = [bed.routes(family, table) for table in (77, 1000, 4294967295)]
    assert bed.add(*ours) == []
    assert bed.delete(*ours) == []
    assert [bed.routes(family, table) for table in (77, 1000, 4294967295)] == before


@BOTH
def test_a_delete_never_takes_the_foreign_route_at_the_same_place(bed: Bed, family: Family) -> None:
    foreign = [route._replace(protocol=4) for route in bed.hops(family)]
    assert bed.add(*foreign) == []
    assert bed.delete(*bed.hops(family)) == []
    assert set(bed.routes(family, 1000)) == {canonical(route) for route in foreign if route.table == 1000}


@BOTH
def test_foreign_rules_survive_a_delete_of_equal_ones(bed: Bed, family: Family) -> None:
    rules = bed.rulebook(family)
    assert bed.add(*(rule._replace(protocol=4) for rule in rules), *rules) == []
    assert bed.delete(*rules) == []
    assert bed.rules(family) == ()
    left = [rule for rule in bed.ns.rules(family.value) if str(rule.get("protocol")) in ("4", "static")]
    assert len(left) == len(rules)


def test_an_ipv4_route_is_put_beside_a_foreign_one_instead_of_replacing_it(bed: Bed) -> None:
    foreign = Route(Family.IPV4, 1000, metric=1, nexthops=(hop(bed.one, A4),), protocol=4)
    old, new = (
        Route(Family.IPV4, 1000, metric=1, nexthops=(hop(bed.two, gateway),)) for gateway in (B4, "192.168.3.9")
    )
    assert bed.add(foreign) == []
    assert bed.apply(*changes(Op.APPEND, old)) == []
    assert bed.apply(*changes(Op.REPLACE, new)) == []
    assert set(bed.routes(Family.IPV4, 1000)) == {foreign, new}


def test_an_ipv6_route_does_not_replace_or_join_a_foreign_one(bed: Bed) -> None:
    foreign = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.one, A6),), protocol=4)
    ours = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.two, B6),))
    assert bed.add(foreign) == []
    for op in (Op.ADD, Op.REPLACE):
        assert bed.apply(*changes(op, ours)) == [
            f"ip -6 route {op.value} default via {B6} dev wan2 table 1000 proto 172 metric 1: "
            "another route has this destination and metric"
        ]
    assert bed.routes(Family.IPV6, 1000) == (foreign,)


def test_the_first_failure_does_not_stop_the_rest(bed: Bed) -> None:
    good = bed.hops(Family.IPV4)[1]
    wrong = [
        Route(Family.IPV4, 1000, metric=7, nexthops=(hop(99, A4),)),
        Route(Family.IPV4, 1000, metric=8, nexthops=(hop(bed.one, "203.0.113.1"),)),
    ]
    assert bed.add(*wrong, good, Rule(Family.IPV4, 1900, 1000)) == [
        f"ip route add default via {A4} dev if99 table 1000 proto 172 metric 7: there is no such interface",
        "ip route add default via 203.0.113.1 dev wan1 table 1000 proto 172 metric 8: the gateway cannot be reached",
    ]
    assert bed.routes(Family.IPV4, 1000) == (good,)
    assert len(bed.rules(Family.IPV4)) == 1


@BOTH
def test_an_interface_that_goes_takes_nothing_else_along(bed: Bed, family: Family) -> None:
    routes = bed.hops(family)
    assert bed.add(*routes) == []
    bed.ns.ip("link del wan2")
    assert bed.delete(*routes) == []
    assert bed.all_ours(family) == ()
    failed = bed.add(*routes)
    assert len(failed) == sum(any(h.index == bed.two for h in route.nexthops) for route in routes)
    assert all("there is no such interface" in line for line in failed)


def test_without_the_permission_one_message_says_so(bed: Bed) -> None:
    everything = [*changes(Op.ADD, *bed.hops(Family.IPV4), *bed.rulebook(Family.IPV4))]
    failed = bed.call("apply", everything, prefix=WITHOUT_CAPABILITIES)
    assert failed == ["changing routes is not permitted: this needs root (CAP_NET_ADMIN)"]


@BOTH
def test_many_routes_are_deleted_at_once_and_foreign_ones_stay(bed: Bed, family: Family) -> None:
    prefix = "10.{}.{}.0/24" if family is Family.IPV4 else "2001:db8:{:x}:{:x}::/64"
    many = [
        Route(family, 1001, prefix.format(n >> 8, n & 255), 5, (hop(bed.one, GATEWAYS[family][0]),))
        for n in range(0x9900, 0x9900 + 300)
    ]
    assert bed.add(*many[:3], many[3]._replace(protocol=4)) == []
    assert bed.delete(*many) == []
    assert bed.routes(family, 1001) == (many[3]._replace(protocol=4),)


@BOTH
def test_a_raw_delete_names_every_kind_of_route(bed: Bed, family: Family) -> None:
    routes = bed.hops(family)
    assert bed.add(*routes) == []
    assert bed.delete(*routes * 7) == []  # enough for the raw way
    assert bed.all_ours(family) == ()


def test_sysctls_are_written_and_a_missing_one_is_no_failure(bed: Bed) -> None:
    key = "net/ipv4/conf/{}/ignore_routes_with_linkdown"
    assert (
        bed.apply(
            Change(Op.REPLACE, Sysctl(key.format("wan1"), "1")), Change(Op.REPLACE, Sysctl(key.format("gone"), "1"))
        )
        == []
    )
    assert bed.ns.read_sysctl("ipv4/conf/wan1/ignore_routes_with_linkdown") == "1"
    assert len(bed.apply(Change(Op.REPLACE, Sysctl(key.format("wan1"), "nonsense")))) == 1


def test_an_ipv4_route_through_an_ipv6_gateway_reads_back(bed: Bed) -> None:
    route = Route(Family.IPV4, 1000, metric=1, nexthops=(hop(bed.one, "inet6 fe80::1"),))
    both = route._replace(metric=2, nexthops=(*route.nexthops, hop(bed.two, B4, 2)))
    assert bed.add(route, both) == []
    assert bed.routes(Family.IPV4, 1000) == (route, both)
    assert bed.delete(route, both) == []


def test_an_ipv6_multipath_route_needs_main_before_the_rules_by_device(bed: Bed) -> None:
    """The kernel looks a link's gateway up by the rules: a table by oif that does not know the subnet hides it."""
    best = bed.hops(Family.IPV6)[0]
    by_device = [Rule(Family.IPV6, 1100, 1001, oif="wan1"), Rule(Family.IPV6, 1101, 1001, oif="wan2")]
    guard = Route(Family.IPV6, 1001, metric=GUARD_METRIC, kind="unreachable")
    assert bed.add(*by_device, guard) == []
    assert all("the gateway cannot be reached" in line for line in bed.add(best))
    assert bed.add(Rule(Family.IPV6, 1000, MAIN_TABLE, suppress_prefixlength=0), best) == []


@BOTH
def test_two_interfaces_with_one_address_and_gateway_are_told_apart(bed: Bed, family: Family) -> None:
    v4 = family is Family.IPV4
    address, gateway = ("192.168.8.100/24", "192.168.8.1") if v4 else ("fd00:8::100/64", "fe80::1")
    one, two = bed.link("usb0", address), bed.link("usb1", address)
    routes = [
        Route(family, table, metric=9, nexthops=(hop(index, gateway),)) for table, index in ((31, one), (32, two))
    ]
    assert bed.add(*routes) == []
    assert [bed.routes(family, table) for table in (31, 32)] == [(route,) for route in routes]
    for table, index in ((31, one), (32, two)):
        errors, left = bed.settle(table, index, family)
        assert (errors, left.add, left.extra) == ([], (), (routes[table - 31],))
    assert bed.delete(routes[0]) == []
    assert routes[1] in bed.routes(family, 32)


@pytest.mark.parametrize("op", [Op.PREPEND, Op.ADD, Op.REPLACE])
@pytest.mark.parametrize("legs", [1, 2])
def test_an_ipv4_route_goes_in_front_of_a_foreign_one(bed: Bed, op: Op, legs: int) -> None:
    foreign = Route(Family.IPV4, 1000, metric=1, nexthops=(hop(bed.two, "192.168.3.9"),), protocol=4)
    hops = (hop(bed.one, A4, onlink=True), hop(bed.two, B4, 3))[:legs]
    ours = Route(Family.IPV4, 1000, metric=1, nexthops=hops, src=SOURCES[Family.IPV4], mtu=1400)
    assert bed.add(foreign) == []
    for _ in range(2):
        assert bed.apply(*changes(op, ours)) == []
        assert bed.routes(Family.IPV4, 1000) == (ours, foreign)
    assert bed.delete(ours) == []
    assert bed.routes(Family.IPV4, 1000) == (foreign,)


def test_an_ipv4_route_does_not_go_beside_another_of_ours(bed: Bed) -> None:
    one, two = (Route(Family.IPV4, 1000, metric=1, nexthops=(hop(bed.two, gw),)) for gw in (B4, "192.168.3.9"))
    assert bed.add(one) == []
    assert len(bed.add(two)) == 1
    assert bed.routes(Family.IPV4, 1000) == (one,)


@pytest.mark.parametrize("op", [Op.PREPEND, Op.ADD])
def test_an_ipv6_route_does_not_join_a_foreign_one(bed: Bed, op: Op) -> None:
    foreign = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.one, A6),), protocol=4)
    assert bed.add(foreign) == []
    failed = bed.apply(*changes(op, foreign._replace(nexthops=(hop(bed.two, B6),), protocol=172)))
    assert failed == [
        f"ip -6 route add default via {B6} dev wan2 table 1000 proto 172 metric 1: "
        "another route has this destination and metric"
    ]
    assert bed.routes(Family.IPV6, 1000) == (foreign,)


def test_a_dead_foreign_default_of_main_is_not_replaced(bed: Bed) -> None:
    foreign = Route(Family.IPV4, MAIN_TABLE, metric=1, nexthops=(hop(bed.two, B4),), protocol=4)
    ours = Route(Family.IPV4, MAIN_TABLE, metric=1, nexthops=(hop(bed.one, A4),))
    bed.ns.sysctl({"ipv4/conf/wan2/ignore_routes_with_linkdown": 1})
    assert bed.add(foreign) == []
    bed.ns.ip("link set wan2-p down")
    assert bed.apply(*changes(Op.REPLACE, ours)) == []
    assert bed.ns.ip("route show default").count("default") == 2


@pytest.mark.parametrize("count", [1, 70])
@pytest.mark.parametrize("table", [77, MAIN_TABLE])
def test_a_delete_of_metric_0_takes_no_other_metric(bed: Bed, count: int, table: int) -> None:
    routes = [Route(Family.IPV4, table, nexthops=(hop(bed.one, A4),))]
    routes += [Route(Family.IPV4, table, f"10.{n}.0.0/16", nexthops=(hop(bed.one, A4),)) for n in range(1, count)]
    others = [route._replace(metric=5) for route in routes]
    assert bed.add(*routes, *others) == []
    for _ in range(2):
        assert bed.delete(*routes) == []
        assert {r for r in bed.routes(Family.IPV4, table) if r.metric} == set(others)
        assert not set(routes) & set(bed.routes(Family.IPV4, table))


@pytest.mark.parametrize("count", [1, 70])
def test_a_route_for_some_sources_is_read_and_deleted(bed: Bed, count: int) -> None:
    plain = Route(Family.IPV6, 1001, metric=5, nexthops=(hop(bed.one, A6),))
    sourced = plain._replace(from_="2001:db8:1::/64")
    for word in ("", "from 2001:db8:1::/64"):
        bed.ns.ip(f"-6 route add default {word} via {A6} dev wan1 table 1001 metric 5 proto 172")
    assert set(bed.routes(Family.IPV6, 1001)) == {plain, sourced}
    assert bed.delete(*[sourced] * count) == []
    assert bed.routes(Family.IPV6, 1001) == (plain,)


def test_a_default_for_some_sources_is_no_way_out(bed: Bed) -> None:
    bed.ns.ip(f"-6 route add default from 2001:db8:1::/64 via {A6} dev wan1")
    assert bed.defaults(Family.IPV6) == ()


@pytest.mark.parametrize("count", [1, 70])
@pytest.mark.parametrize("legs", [1, 2])
def test_a_foreign_leg_that_joined_ours_survives_a_delete(bed: Bed, legs: int, count: int) -> None:
    ours = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.one, A6), hop(bed.two, B6))[:legs])
    assert bed.add(ours) == []
    bed.ns.ip("-6 route append default via 2001:db8:3::9 dev wan2 table 1000 metric 1 proto static")
    (joined,) = bed.all_ours(Family.IPV6)
    assert len(joined.nexthops) == legs + 1
    assert bed.delete(*[joined] * count) == []
    foreign = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.two, "2001:db8:3::9"),), protocol=4)
    assert bed.routes(Family.IPV6, 1000) == (foreign,)


@pytest.mark.parametrize("new", [1, 2])
def test_a_foreign_leg_that_joined_ours_survives_a_replace(bed: Bed, new: int) -> None:
    ours = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.one, A6),))
    assert bed.add(ours) == []
    bed.ns.ip("-6 route append default via 2001:db8:3::9 dev wan2 table 1000 metric 1 proto static")
    hops = (hop(bed.two, B6), hop(bed.one, A6))[:new]
    failed = bed.apply(*changes(Op.REPLACE, ours._replace(nexthops=hops)))
    assert [line.rpartition(": ")[2] for line in failed] == ["a route of another program has become one with it"]
    assert "via 2001:db8:3::9 dev wan2" in bed.ns.ip("-6 route show table 1000")
    bed.ns.ip("-6 route del default via 2001:db8:3::9 dev wan2 table 1000 metric 1 proto static")
    assert bed.apply(*changes(Op.REPLACE, ours._replace(nexthops=hops))) == []
    assert bed.routes(Family.IPV6, 1000) == (ours._replace(nexthops=hops),)


def test_legs_of_ours_are_replaced_by_others(bed: Bed) -> None:
    ours = Route(Family.IPV6, 1000, metric=1, nexthops=(hop(bed.one, A6), hop(bed.two, B6, 3)))
    assert bed.add(ours) == []
    for hops in (
        (hop(bed.one, "2001:db8:1::9"), hop(bed.two, "2001:db8:3::9", 5)),
        (hop(bed.two, B6),),
        ours.nexthops,
    ):
        assert bed.apply(*changes(Op.REPLACE, ours._replace(nexthops=hops))) == []
        assert bed.routes(Family.IPV6, 1000) == (ours._replace(nexthops=hops),)
