"""Copies of main's routes in the uplinks' tables, on a real kernel."""

from __future__ import annotations

import re

import pytest

from mwan_hook.model import GUARD_METRIC, MAIN_TABLE, Change, Copies, CopyRoutes, Family, Op, Route
from tests.lab import Lab, wait_for
from tests.netns.kernel import Kernel, hop
from tests.netns.test_kernel import BOTH, GATEWAYS, Bed

OWN, MAIN = CopyRoutes.OWN, CopyRoutes.MAIN
NOTHING: tuple[tuple[bytes, ...], ...] = ((), ())
V4, V6 = Family.IPV4, Family.IPV6


@pytest.fixture
def bed(lab: Lab) -> Bed:
    return Bed.with_two_links(lab)


def ip(kernel: Kernel, family: Family, *lines: str) -> None:
    for line in lines:
        kernel.ns.ip(f"{family.flag} {line}")


def listed(kernel: Kernel, family: Family, table: str) -> set[str]:
    """`ip route show` without what a copy has otherwise: its protocol, and an age."""
    lines = kernel.ns.ip(f"{family.flag} -d route show table {table}", check=False).replace("\t", " ").splitlines()
    joined = re.sub(r"\n +nexthop", " nexthop", "\n".join(lines)).splitlines()
    return {re.sub(r" (proto \S+|table \S+|expires \S+)", "", line).strip() for line in joined}


def copied(kernel: Kernel, family: Family, table: int, index: int, mode: CopyRoutes = OWN) -> Copies:
    """Settle the table; what is left to do must be nothing."""
    errors, left = kernel.settle(table, index, family, mode)
    assert errors == []
    assert (left.add, left.replace) == NOTHING
    assert isinstance(left, Copies)
    return left


def of_one(lines: set[str]) -> set[str]:
    return {line for line in lines if "wan1 " in f"{line} " and "default" not in line}


SHAPES = {
    V4: (
        "10.1.0.0/16 via 192.168.1.1",
        "10.2.0.0/16 via 192.168.1.1 metric 7 src 192.168.1.80 mtu 1400",
        "10.3.0.0/16 via 192.168.1.1 mtu lock 1300 advmss 1200 window 5000 rto_min 40ms initcwnd 12 initrwnd 13",
        "10.4.0.0/16 via 203.0.113.5 onlink",
        "10.5.0.0/16 scope link",
        "10.6.0.0/16 tos 0x10 metric 3",
        "10.7.0.0/16 via 192.168.1.1 congctl reno features ecn quickack 1",
        "10.8.0.0/16 via inet6 fe80::1",
        "10.9.0.0/16 via 192.168.1.1 realm 5",
        "10.10.0.1/32 scope host metric 9",
    ),
    V6: (
        "2001:db8:a1::/48 via 2001:db8:1::1",
        "2001:db8:a2::/48 via 2001:db8:1::1 metric 7 src 2001:db8:1::80 mtu 1400",
        "2001:db8:a3::/48 via fe80::1 mtu lock 1300 advmss 1200 rto_min 40ms initcwnd 12",
        "2001:db8:a4::/48 via 2001:db8:99::1 onlink",
        "2001:db8:a5::/48 metric 9",
        "2001:db8:a6::/48 via fe80::1 pref high",
        "2001:db8:a7::/48 via fe80::1 expires 600",
        "2001:db8:a8::/128 via fe80::1 congctl reno",
    ),
}


@BOTH
@pytest.mark.parametrize("mode", list(CopyRoutes))
def test_a_copy_keeps_all_that_makes_a_route(bed: Bed, family: Family, mode: CopyRoutes) -> None:
    for shape in SHAPES[family]:
        ip(bed, family, f"route add {shape} dev wan1 proto static")
    left = copied(bed, family, 1001, bed.one, mode)
    assert of_one(listed(bed, family, "1001")) == of_one(listed(bed, family, "main"))
    assert left.extra == ()
    assert left.kept >= len(SHAPES[family])
    assert all(route.protocol == 172 for route in bed.routes(family, 1001))


@BOTH
def test_own_copies_only_what_leads_through_the_uplink(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    nets = [f"10.{n}.0.0/16" if family is V4 else f"2001:db8:b{n}::/48" for n in range(8)]
    ip(bed, family, f"route add {nets[0]} via {a}", f"route add {nets[1]} via {b}", f"route add unreachable {nets[2]}")
    ip(
        bed,
        family,
        f"route add blackhole {nets[3]}",
        f"route add default via {a} metric 5",
        f"route add throw {nets[4]}",
    )
    ip(bed, family, f"route add {nets[5]} via {a} proto 172")
    ip(bed, family, f"route add {nets[6]} nexthop via {a} weight 2 nexthop via {b} weight 5")
    copied(bed, family, 1001, bed.one)
    routes = {route.dst: route for route in bed.routes(family, 1001)}
    assert {nets[0], nets[6]} <= set(routes)
    assert not {nets[1], nets[2], nets[3], nets[4], nets[5], "default"} & set(routes)
    assert routes[nets[6]].nexthops == (hop(bed.one, a),)


@BOTH
def test_main_copies_every_route_but_defaults_and_ours(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    nets = [f"10.{n}.0.0/16" if family is V4 else f"2001:db8:b{n}::/48" for n in range(8)]
    ip(bed, family, f"route add {nets[0]} via {a}", f"route add unreachable {nets[1]}", f"route add prohibit {nets[2]}")
    ip(
        bed,
        family,
        f"route add {nets[3]} nexthop via {a} weight 2 nexthop via {b} weight 5",
        f"route add default via {a}",
    )
    ip(bed, family, f"route add {nets[4]} via {b} proto 172")
    for table in (1001, 1002):
        copied(bed, family, table, bed.one, MAIN)
        assert listed(bed, family, str(table)) == {
            line for line in listed(bed, family, "main") if "default" not in line and nets[4] not in line
        }


@BOTH
def test_what_is_ours_besides_copies_is_named_as_extra(bed: Bed, family: Family) -> None:
    default = Route(family, 1001, metric=5, nexthops=(hop(bed.one, GATEWAYS[family][0]),))
    guard = Route(family, 1001, metric=GUARD_METRIC, kind="unreachable")
    stale = Route(family, 1001, "10.77.0.0/16" if family is V4 else "2001:db8:77::/48", 5, default.nexthops)
    ip(bed, family, f"route add default via {GATEWAYS[family][0]} metric 5")  # equal to ours but for the protocol
    assert bed.add(default, guard, stale) == []
    found = bed.call("compare", OWN, family, 1001, bed.one)
    assert set(found.extra) == {default, guard, stale}
    assert set(copied(bed, family, 1001, bed.one).extra) == {default, guard}


@BOTH
def test_a_changed_route_is_replaced_in_place(bed: Bed, family: Family) -> None:
    a = GATEWAYS[family][0]
    net = "10.1.0.0/16" if family is V4 else "2001:db8:a1::/48"
    ip(bed, family, f"route add {net} via {a} metric 5")
    copied(bed, family, 1001, bed.one)
    other = "192.168.1.9" if family is V4 else "2001:db8:1::9"
    for change in (f"via {other}", f"via {other} mtu 1400", "dev wan1", f"via {a}"):
        ip(bed, family, f"route replace {net} {change} metric 5")
        found = bed.call("compare", OWN, family, 1001, bed.one)
        assert (found.add, len(found.replace), found.extra) == ((), 1, ()), change
        copied(bed, family, 1001, bed.one)
        assert of_one(listed(bed, family, "1001")) == of_one(listed(bed, family, "main"))


@BOTH
def test_foreign_routes_in_the_table_are_neither_replaced_nor_joined(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    nets = [f"10.{n}.0.0/16" if family is V4 else f"2001:db8:b{n}::/48" for n in range(3)]
    ip(bed, family, *(f"route add {net} via {a} metric 7" for net in nets))
    ip(
        bed,
        family,
        f"route add {nets[0]} via {b} metric 7 table 1001 proto static",
        f"route add {nets[1]} via {b} table 1001",
    )
    foreign = {route for route in bed.routes(family, 1001) if route.protocol != 172}
    copied_once = bed.call("settle", OWN, family, 1001, bed.one)
    assert copied_once[0] == []
    assert (copied_once[1].add, copied_once[1].replace) == NOTHING
    assert {route for route in bed.routes(family, 1001) if route.protocol != 172} == foreign
    ip(bed, family, f"route replace {nets[0]} via {a} metric 7 mtu 1300")
    copied(bed, family, 1001, bed.one)
    assert {route for route in bed.routes(family, 1001) if route.protocol != 172} == foreign


def test_a_copy_is_put_beside_a_foreign_route_that_is_dead(bed: Bed) -> None:
    a, b = GATEWAYS[V4]
    bed.ns.sysctl({"ipv4/conf/wan2/ignore_routes_with_linkdown": 1})
    ip(bed, V4, f"route add 10.1.0.0/16 via {b} table 1001 proto static", f"route add 10.1.0.0/16 via {a}")
    bed.ns.ip("link set wan2-p down")
    wait_for("the kernel to notice", lambda: "dead" in bed.ns.ip("route show table 1001"))
    copied(bed, V4, 1001, bed.one)
    found = [route for route in bed.routes(V4, 1001) if route.dst == "10.1.0.0/16"]
    assert {(route.protocol, route.nexthops[0].index) for route in found} == {(4, bed.two), (172, bed.one)}


@BOTH
def test_copies_survive_a_lost_carrier_and_dead_routes_are_not_copied(bed: Bed, family: Family) -> None:
    a = GATEWAYS[family][0]
    nets = [f"10.{n}.0.0/16" if family is V4 else f"2001:db8:b{n}::/48" for n in range(2)]
    bed.ns.sysctl({f"{family.value}/conf/wan1/ignore_routes_with_linkdown": 1})
    ip(bed, family, f"route add {nets[0]} via {a}")
    before = copied(bed, family, 1001, bed.one)
    bed.ns.ip("link set wan1-p down")
    wait_for("the kernel to notice", lambda: "dead" in bed.ns.ip(f"{family.flag} route show {nets[0]}"))
    ip(bed, family, f"route add {nets[1]} via {a}")
    found = bed.call("compare", OWN, family, 1001, bed.one)
    assert (found.add, found.replace, found.extra) == ((), (), before.extra)
    bed.ns.ip("link set wan1-p up")
    wait_for("the routes to come to life", lambda: "dead" not in bed.ns.ip(f"{family.flag} route show dev wan1"))
    copied(bed, family, 1001, bed.one)
    assert nets[1] in {route.dst for route in bed.routes(family, 1001)}


@BOTH
def test_a_link_set_down_and_up_gets_its_copies_back(bed: Bed, family: Family) -> None:
    bed.ns.sysctl({"ipv6/conf/wan1/keep_addr_on_down": 1})
    copied(bed, family, 1001, bed.one)
    before = bed.routes(family, 1001)
    assert before
    bed.ns.ip("link set wan1 down")
    copied(bed, family, 1001, bed.one)
    assert all(route.nexthops[0].index != bed.one for route in bed.routes(family, 1001))
    bed.ns.ip("link set wan1 up")
    bed.ns.run("sh", "-c", "until ip -6 route show fe80::/64 | grep -q 'wan1 '; do :; done")
    copied(bed, family, 1001, bed.one)
    assert set(bed.routes(family, 1001)) == set(before)


@BOTH
def test_a_dead_leg_is_left_out_until_it_lives(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    net = "10.1.0.0/16" if family is V4 else "2001:db8:a1::/48"
    for name in ("wan1", "wan2"):
        bed.ns.sysctl({f"{family.value}/conf/{name}/ignore_routes_with_linkdown": 1})
    bed.ns.ip("link set wan2-p down")
    wait_for("the kernel to notice", lambda: "dead" in bed.ns.ip(f"{family.flag} route show dev wan2"))
    ip(bed, family, f"route add {net} nexthop via {a} nexthop via {b}")
    copied(bed, family, 1001, bed.one, MAIN)
    (route,) = (route for route in bed.routes(family, 1001) if route.dst == net)
    assert route.nexthops == (hop(bed.one, a),)
    bed.ns.ip("link set wan2-p up")
    wait_for("the leg to come to life", lambda: "dead" not in bed.ns.ip(f"{family.flag} route show"))
    copied(bed, family, 1001, bed.one, MAIN)
    (route,) = (route for route in bed.routes(family, 1001) if route.dst == net)
    assert set(route.nexthops) == {hop(bed.one, a), hop(bed.two, b)}


@BOTH
def test_several_routes_of_one_destination_are_all_copied(bed: Bed, family: Family) -> None:
    """Two modems with one subnet: the kernel's own routes differ by device alone."""
    address = "192.168.8.100/24" if family is V4 else "fd00:8::100/64"
    bed.link("usb0", address)
    bed.link("usb1", address)
    left = copied(bed, family, 1001, bed.one, MAIN)
    assert left.extra == ()
    assert listed(bed, family, "1001") == listed(bed, family, "main")


@BOTH
def test_a_gateway_behind_another_route_is_copied_in_any_order(bed: Bed, family: Family) -> None:
    gateway = GATEWAYS[family][0]
    first, behind = ("10.200.0.1", "10.1.0.0/16") if family is V4 else ("2001:db8:f00::1", "2001:db8:a1::/48")
    ip(bed, family, f"route add {first} dev wan1", f"route add {behind} via {first} dev wan1")
    header = b"\x08\0\x05\0" if family is V4 else b"\x14\0\x05\0"
    through_gateways = [header in raw for raw in bed.call("compare", OWN, family, 1001, bed.one).add]
    assert through_gateways == sorted(through_gateways)
    copied(bed, family, 1001, bed.one)
    assert of_one(listed(bed, family, "1001")) == of_one(listed(bed, family, "main"))
    assert gateway


@BOTH
def test_copies_through_nexthop_objects_name_the_object(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    nets = [f"10.{n}.0.0/16" if family is V4 else f"2001:db8:b{n}::/48" for n in range(2)]
    ip(bed, family, f"nexthop add id 7 via {a} dev wan1", f"nexthop add id 8 via {b} dev wan2")
    bed.ns.ip("nexthop add id 9 group 7,3/8,5")
    ip(bed, family, f"route add {nets[0]} nhid 7", f"route add {nets[1]} nhid 9")
    copied(bed, family, 1001, bed.one, MAIN)
    assert listed(bed, family, "1001") == listed(bed, family, "main")


def test_ipv6_routes_of_one_key_are_copied_as_the_one_route_they_become(bed: Bed) -> None:
    """Router advertisements may leave several in main; put in by a program, they are one multipath route."""
    ip(bed, V6, "route add 2001:db8:a1::/48 via fe80::1 dev wan1 proto ra metric 9 expires 600")
    ip(bed, V6, "route append 2001:db8:a1::/48 via fe80::2 dev wan2 proto ra metric 9 expires 600")
    ip(bed, V6, "route append 2001:db8:a1::/48 dev wan2 proto ra metric 9")
    copied(bed, V6, 1001, bed.one, MAIN)
    assert len([route for route in bed.routes(V6, 1001) if route.dst == "2001:db8:a1::/48"]) == 2


@BOTH
def test_ten_thousand_routes_of_many_shapes_are_copied_exactly(bed: Bed, family: Family) -> None:
    a, source = GATEWAYS[family][0], "192.168.1.80" if family is V4 else "2001:db8:1::80"
    form = "{}.{}.{}.0/24" if family is V4 else "2a{:02x}:{:x}:{:x}::/48"
    words = (
        "dev wan1",
        f"via {a}",
        f"via {a} metric 9",
        f"dev wan1 metric 8 src {source}",
        f"via {a} mtu 1400",
        "dev wan2",
    )
    lines = [
        f"route add {form.format(11 + n % 7, n >> 8, n & 255)} {words[n * n % 11 % 6]} proto bird" for n in range(10000)
    ]
    bed.ns.run("ip", family.flag, "-batch", "-", text="\n".join(lines) + "\n")
    left = copied(bed, family, 1001, bed.one, MAIN)
    assert left.kept > 10000
    assert left.extra == ()
    assert listed(bed, family, "1001") == listed(bed, family, "main")
    bed.ns.ip(f"{family.flag} route flush proto bird table main")
    found = bed.call("compare", MAIN, family, 1001, bed.one)
    assert len(found.extra) == 10000
    copied(bed, family, 1001, bed.one, MAIN)
    assert listed(bed, family, "1001") == listed(bed, family, "main")


@BOTH
def test_a_copy_that_fails_is_said_in_words_and_the_rest_is_done(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    net = "10.1.0.0/16" if family is V4 else "2001:db8:a1::/48"
    ip(bed, family, f"route add {net} via {b}", f"route add {net} via {a} metric 9999")
    found = bed.call("compare", MAIN, family, 1001, bed.one)
    bed.ns.ip("link del wan2")
    failed = bed.apply(*(Change(Op.ADD, raw, 1001, family) for raw in found.add))
    assert any(net in line and f"via {b} dev if{bed.two} table 1001 proto 172" in line for line in failed)
    assert all(line.endswith(": there is no such interface") for line in failed)
    assert any(route.dst == net for route in bed.routes(family, 1001))


@BOTH
def test_a_default_of_main_that_is_ours_is_left_alone(bed: Bed, family: Family) -> None:
    ours = Route(family, MAIN_TABLE, metric=1, nexthops=(hop(bed.one, GATEWAYS[family][0]),))
    assert bed.add(ours) == []
    assert all(route.dst != "default" for route in bed.routes(family, 1001))
    copied(bed, family, 1001, bed.one, MAIN)
    assert ours in bed.routes(family, MAIN_TABLE)


@BOTH
def test_a_foreign_guard_is_none_of_ours(bed: Bed, family: Family) -> None:
    guard = Route(family, 1001, metric=GUARD_METRIC, kind="unreachable")
    ip(bed, family, f"route add unreachable default table 1001 metric {GUARD_METRIC} proto static")
    assert copied(bed, family, 1001, bed.one).extra == ()
    ip(bed, family, f"route del unreachable default table 1001 metric {GUARD_METRIC} proto static")
    assert bed.add(guard) == []
    assert copied(bed, family, 1001, bed.one).extra == (guard,)


@pytest.mark.parametrize("mode", list(CopyRoutes))
def test_routes_for_some_sources_are_not_copied_and_one_that_stands_goes(bed: Bed, mode: CopyRoutes) -> None:
    for n in range(3):
        ip(bed, V6, f"route add 2001:db8:a{n}::/48 from 2001:db8:1::/64 via fe80::1 dev wan1")
    ip(bed, V6, "route add 2001:db8:a1::/48 via fe80::1 dev wan1")
    ip(bed, V6, "route add 2001:db8:a0::/48 from 2001:db8:1::/64 via fe80::1 dev wan1 table 1001 proto 172")
    assert copied(bed, V6, 1001, bed.one, mode).extra == ()
    assert {r.dst for r in bed.routes(V6, 1001) if r.from_} == set()
    assert "2001:db8:a1::/48" in {r.dst for r in bed.routes(V6, 1001)}
