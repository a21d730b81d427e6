"""What the reader sees of a real kernel."""

from __future__ import annotations

import subprocess

import pytest

from mwan_hook.model import GUARD_METRIC, MAIN_TABLE, Address, Family, Link, Op, Route, Rule
from tests.lab import Lab, wait_for
from tests.netns.kernel import LIB, Kernel, changes, hop
from tests.netns.test_kernel import BOTH, GATEWAYS, Bed

MANY = 3000  # routes: too many for the first buffers of a dump


@pytest.fixture
def bed(lab: Lab) -> Bed:
    return Bed.with_two_links(lab)


def fill(kernel: Kernel, family: Family, device: str, count: int = MANY) -> None:
    """Foreign routes in main, on both sides of anything else."""
    flag, form = ("-4", "{}.{}.{}.0/24") if family is Family.IPV4 else ("-6", "2a{:02x}:{:x}:{:x}::/48")
    places = ((1 + n % 9, n >> 8, n & 255) for n in range(count))
    lines = [f"route add {form.format(*place)} dev {device} proto bird metric 5" for place in places]
    kernel.ns.run("ip", flag, "-batch", "-", text="\n".join(lines) + "\n")


def links(kernel: Kernel) -> dict[str, Link]:
    return {link.name: link for link in kernel.call("read", "links")}


def addresses(kernel: Kernel) -> dict[str, Address]:
    return {address.address: address for address in kernel.call("read", "addresses")}


def test_links_show_state_carrier_address_and_other_names(bed: Bed) -> None:
    bed.ns.ip("link set wan1 address 02:00:00:00:00:01")
    bed.ns.ip("link property add dev wan1 altname fibre-line altname wan-one")
    bed.ns.ip("link set wan2-p down")
    bed.ns.ip("tuntap add dev ppp0 mode tun")
    found = links(bed)
    assert found["wan1"] == Link(
        bed.one, "wan1", True, True, "02:00:00:00:00:01", False, ("fibre-line", "wan-one"), 1500
    )
    assert (found["wan2"].up, found["wan2"].carrier) == (True, False)
    assert (found["wan2-p"].up, found["wan2-p"].carrier) == (False, False)
    assert found["ppp0"].noarp
    assert found["lo"].index == 1


def test_the_address_of_a_peer_is_never_ours(bed: Bed) -> None:
    bed.ns.ip("address add 10.64.0.2 peer 10.64.0.1/32 dev wan1")
    bed.ns.ip("address add fd00:64::2 peer fd00:64::1/128 dev wan1 nodad")
    found = addresses(bed)
    assert found["10.64.0.2"] == Address(bed.one, Family.IPV4, "10.64.0.2", 32, True)
    assert found["fd00:64::2"].usable
    assert not {"10.64.0.1", "fd00:64::1"} & set(found)


def test_addresses_that_no_packet_should_come_from_are_not_usable(bed: Bed) -> None:
    bed.ns.ip("address add 169.254.7.7/16 dev wan1")
    bed.ns.ip("address add 10.9.0.1/24 dev wan1 scope link")
    bed.ns.ip("address add fe80::77/64 dev wan1 nodad")
    found = addresses(bed)
    for address in ("127.0.0.1", "::1", "169.254.7.7", "10.9.0.1", "fe80::77"):
        assert not found[address].usable, address
    assert found["192.168.1.80"].usable
    assert found["2001:db8:1::80"].usable


def test_a_tentative_address_is_seen_but_not_usable_yet(bed: Bed) -> None:
    bed.ns.sysctl({"ipv6/conf/wan1/accept_dad": 1, "ipv6/conf/wan1/dad_transmits": 100})
    bed.ns.ip("address add 2001:db8:1::99/64 dev wan1")
    found = addresses(bed)["2001:db8:1::99"]
    assert (found.usable, found.tentative) == (False, True)


def test_an_address_that_another_machine_has_is_not_usable(bed: Bed) -> None:
    bed.ns.ip("address add 2001:db8:1::99/64 dev wan1-p nodad")
    bed.ns.sysctl({"ipv6/conf/wan1/accept_dad": 1})
    bed.ns.ip("address add 2001:db8:1::99/64 dev wan1")
    wait_for("the duplicate to be found", lambda: "dadfailed" in bed.ns.ip("-6 address show dev wan1"))
    mine = [a for a in bed.call("read", "addresses") if a.address == "2001:db8:1::99" and a.index == bed.one]
    assert [address.usable for address in mine] == [False]


def test_deprecated_addresses_come_last(bed: Bed) -> None:
    bed.ns.ip("address add 2001:db8:1::1:1/64 dev wan1 nodad preferred_lft 0")
    bed.ns.ip("address add 2001:db8:1::1:2/64 dev wan1 nodad")
    order = [address.address for address in bed.call("read", "addresses")]
    assert order.index("2001:db8:1::1:1") == len(order) - 1


@BOTH
def test_foreign_rules_are_told_from_the_kernels_own(bed: Bed, family: Family) -> None:
    local = Rule(family, 0, 255, protocol=2)
    assert bed.call("read", "all_rules", family) == ((), (local,))
    flag = "" if family is Family.IPV4 else "-6 "
    for words in (
        "lookup local pref 31000 protocol 4",
        "l3mdev pref 1000 protocol 4",
        "not fwmark 0xca6c lookup 51820 pref 5209 protocol 4",
        "lookup main suppress_prefixlength 0 pref 5208 protocol 4",
        "tos 0x10 lookup 52 pref 5300 protocol 4",
        "fwmark 0/0xff00 lookup 52 pref 5301 protocol 4",
        "goto 31000 pref 5310 protocol 4",
        "lookup main pref 32766 protocol 4",
        "sport 1000-2000 lookup 77 pref 7 protocol 172",
    ):
        bed.ns.ip(f"{flag}rule add {words}")
    bed.ns.ip(f"{flag}rule del pref 0")
    bed.ns.ip(f"{flag}rule del pref 32766 lookup main protocol kernel")
    ours, others = bed.call("read", "all_rules", family)
    assert ours == (Rule(family, 7, 77, sport=(1000, 2000)),)
    assert others == (
        Rule(family, 1000, 0, protocol=4, l3mdev=True),
        Rule(family, 5208, 254, suppress_prefixlength=0, protocol=4),
        Rule(family, 5209, 51820, mark=0xCA6C, mask=0xFFFFFFFF, protocol=4, inverted=True),
        Rule(family, 5300, 52, protocol=4, narrowed=True),
        Rule(family, 5301, 52, mark=0, mask=0xFF00, protocol=4),
        Rule(family, 5310, 0, protocol=4, action="goto", target=31000),
        Rule(family, 31000, 255, protocol=4),
        Rule(family, 32766, 254, protocol=4),
    )


@BOTH
@pytest.mark.parametrize("filled", [False, True], ids=["small", "large"])
def test_every_default_of_main_is_found_without_reading_the_rest(bed: Bed, family: Family, filled: bool) -> None:
    a, b = GATEWAYS[family]
    near, far = hop(bed.one, a), hop(bed.two, b)
    v4 = family is Family.IPV4
    wanted = [
        Route(family, MAIN_TABLE, metric=5, nexthops=(near, far._replace(weight=3)), protocol=4),
        Route(family, MAIN_TABLE, metric=6, nexthops=(hop(bed.two),), protocol=16, scope=253 if v4 else 0),
        Route(family, MAIN_TABLE, metric=GUARD_METRIC, kind="unreachable", protocol=4),
        *(Route(family, MAIN_TABLE, metric=100 + n, nexthops=(near,), protocol=9) for n in range(200)),
    ]
    bed.ns.ip("-4 route add 0.0.0.0/8 dev wan2")
    bed.ns.ip("-6 route add ::/8 dev wan2")
    bed.ns.ip("-6 route add ::/128 dev wan2")
    if filled:
        fill(bed, family, "wan2")
    assert bed.add(*wanted) == []
    found = bed.defaults(family)
    assert len(found) == len(wanted)
    assert set(found) == set(wanted)


@pytest.mark.parametrize("filled", [False, True], ids=["small", "large"])
def test_a_piece_for_some_sources_alone_is_no_default_in_pieces(bed: Bed, filled: bool) -> None:
    bed.ns.ip("-6 route add 2000::/3 dev wan1")
    bed.ns.ip("-6 route add 3000::/4 from fd00:7::/48 dev wan2")
    if filled:
        fill(bed, Family.IPV6, "wan2")
    assert [route.dst for route in bed.call("pieces", Family.IPV6)] == ["2000::/3"]


@BOTH
def test_foreign_defaults_and_legs_that_are_dead_are_left_out_and_ours_are_not(bed: Bed, family: Family) -> None:
    a, b = GATEWAYS[family]
    near, far = hop(bed.one, a), hop(bed.two, b)
    for name in ("wan1", "wan2"):
        bed.ns.sysctl({f"{family.value}/conf/{name}/ignore_routes_with_linkdown": 1})
    ours = Route(family, MAIN_TABLE, metric=4, nexthops=(near, far))
    both = ours._replace(metric=5, protocol=4)
    assert (
        bed.add(ours, both, both._replace(metric=6, nexthops=(near,)), both._replace(metric=7, nexthops=(far,))) == []
    )
    bed.ns.ip("link set wan2-p down")
    wait_for("the kernel to notice", lambda: "dead" in bed.ns.ip(f"{family.flag} route show default metric 7"))
    alive = {ours, both._replace(nexthops=(near,)), both._replace(metric=6, nexthops=(near,))}
    assert set(bed.defaults(family)) == alive
    bed.ns.ip("link set wan2-p up")
    wait_for("the routes to come to life", lambda: len(bed.defaults(family)) == 4)


@BOTH
def test_a_table_that_does_not_exist_is_empty(bed: Bed, family: Family) -> None:
    assert bed.routes(family, 4242) == ()


@BOTH
def test_the_kernel_filters_by_protocol(bed: Bed, family: Family) -> None:
    mine = bed.hops(family)
    assert bed.add(*mine, *(route._replace(protocol=4, metric=route.metric + 20) for route in mine[:4])) == []
    assert {route.table for route in bed.all_ours(family)} == {77, 1000, 4294967295, MAIN_TABLE}
    assert {route.protocol for route in bed.routes(family, 1000)} == {4, 172}
    assert set(bed.call("read", "ours", family, 1000)) < set(bed.routes(family, 1000))


@BOTH
def test_foreign_rules_are_not_seen(bed: Bed, family: Family) -> None:
    mine = Rule(family, 1100, 1001, oif="wan1")
    foreign = mine._replace(protocol=4)
    lookalike = mine._replace(protocol=4, priority=0x15, table=172)
    assert bed.add(mine, foreign, lookalike) == []
    bed.ns.ip(f"-{'4' if family is Family.IPV4 else '6'} rule add priority 9 goto 1100 protocol 3")
    assert bed.rules(family) == (mine,)


def test_both_families_are_seen_where_the_kernel_has_them(bed: Bed) -> None:
    assert bed.call("read", "families") == tuple(Family)


def test_a_kernel_without_ipv6_has_only_ipv4(bed: Bed) -> None:
    hide = ("unshare", "--mount", "--", "sh", "-ec", 'mount -t tmpfs none /proc/sys/net/ipv6\nexec "$@"', "sh")
    assert bed.call("read", "families", prefix=hide) == (Family.IPV4,)


@BOTH
def test_a_table_that_changes_all_the_time_is_still_read_whole(bed: Bed, family: Family) -> None:
    """Routes that stay must be in every dump, while others come and go."""
    fill(bed, family, "wan1", 600)
    flag, place = ("-4", "100.64.0.0/24") if family is Family.IPV4 else ("-6", "2001:db8:aaaa::/48")
    noise = f"while :; do ip {flag} route add {place} dev wan2; ip {flag} route del {place} dev wan2; done"
    path = bed.ns.argv("timeout", "20", "sh", "-c", noise)
    with subprocess.Popen(path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as busy:
        try:
            for _ in range(5):
                found = [r for r in bed.routes(family, MAIN_TABLE) if r.protocol == 12]
                assert len(set(found)) == 600
        finally:
            busy.terminate()


def test_looking_imports_nothing_heavy(bed: Bed) -> None:
    script = (
        "import sys; from mwan_hook.kernel.reader import Reader; from mwan_hook.kernel.copies import Copier\n"
        "from mwan_hook.model import *\n"
        "with Reader(172) as r:\n"
        "    r.links(), r.addresses(), [Copier(r, CopyRoutes.OWN).compare(f, 1001, 3, ()) for f in FAMILIES]\n"
        "print(*sorted(set(sys.modules) & {'typing', 'socket', 'pyroute2', 'subprocess', 'ipaddress', 'signal'}))"
    )
    done = bed.ns.run(bed.python, "-S", "-c", script, env={"PYTHONPATH": str(LIB)})
    assert done.stdout.split() == []


@BOTH
def test_what_stands_in_main_from_us_is_told_from_foreign(bed: Bed, family: Family) -> None:
    gateway = GATEWAYS[family][0]
    ours = Route(family, MAIN_TABLE, metric=9, nexthops=(hop(bed.one, gateway),))
    foreign = ours._replace(metric=10, protocol=16)
    assert bed.apply(*changes(Op.ADD, ours, foreign)) == []
    assert set(bed.defaults(family)) == {ours, foreign}
