"""Which of several addresses an uplink sends from."""

from __future__ import annotations

import itertools

import pytest

from mwan_hook.addresses import covers, network, preferred
from mwan_hook.model import Address, Allotment, Family, Nexthop, Route, Snapshot, State, Way
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

FIBER = b.NAMES["fiber"]
GLOBAL = Address(FIBER, Family.IPV6, "2001:db8:2::80", 64, True)
SECOND = Address(FIBER, Family.IPV6, "2a00:77::80", 64, True)
OLD = Address(FIBER, Family.IPV6, "2001:db8:99::80", 64, True, deprecated=True)
PRIVATE = Address(FIBER, Family.IPV6, "2001:db8:2::dead", 64, True, temporary=True)
LOCAL_USE = Address(FIBER, Family.IPV6, "fd12::80", 64, True)
LINK = Address(FIBER, Family.IPV6, "fe80::80", 64, False)
YOUNG = Address(FIBER, Family.IPV6, "2001:db8:2::81", 64, False, tentative=True)
ALIAS = Address(FIBER, Family.IPV4, "192.168.100.10", 24, True)
PUBLIC = Address(FIBER, Family.IPV4, "203.0.113.49", 24, True)


def via(gateway: str | None, src: str | None = None) -> Route:
    return Route(Family.IPV6, 0, nexthops=(Nexthop(FIBER, gateway),), src=src)


def first(addresses: tuple[Address, ...], default: Route | None) -> str:
    return Way(Family.IPV6, preferred(addresses, default)).source


@pytest.mark.parametrize(
    ("addresses", "gateway", "best"),
    [
        ((GLOBAL, LOCAL_USE, LINK), "fe80::1", GLOBAL),
        ((GLOBAL, PRIVATE, LINK), "fe80::1", GLOBAL),
        ((GLOBAL, OLD, YOUNG), "fe80::1", GLOBAL),
        ((PRIVATE, LOCAL_USE, OLD), None, PRIVATE),
        ((OLD, LINK, YOUNG), "fe80::1", OLD),
        ((LOCAL_USE, LINK), "fe80::1", LOCAL_USE),
        ((GLOBAL, SECOND), "2a00:77::1", SECOND),
        ((GLOBAL, LOCAL_USE), "fd12::1", GLOBAL),
        ((ALIAS, PUBLIC), "203.0.113.254", PUBLIC),
        ((ALIAS, PUBLIC), "192.168.100.1", ALIAS),
    ],
)
def test_one_is_chosen_in_any_order(addresses: tuple[Address, ...], gateway: str | None, best: Address) -> None:
    for order in itertools.permutations(addresses):
        assert first(order, via(gateway)) == best.address


def test_the_source_of_the_default_comes_before_all() -> None:
    for order in itertools.permutations((GLOBAL, LOCAL_USE, OLD)):
        assert first(order, via("fe80::1", LOCAL_USE.address)) == LOCAL_USE.address
        assert first(order, via("fe80::1", OLD.address)) == OLD.address
        assert first(order, via("fe80::1", "2001:db8:5::5")) == GLOBAL.address


def test_what_cannot_be_used_is_never_the_source() -> None:
    assert first((LINK, YOUNG), via("fe80::1", YOUNG.address)) == ""
    assert first((GLOBAL, YOUNG), via("fe80::1", YOUNG.address)) == GLOBAL.address


def test_among_equals_the_kernels_order_stays() -> None:
    for order in itertools.permutations((GLOBAL, SECOND)):
        assert preferred(order, via("fe80::1")) == order


def way(*addresses: Address, src: str | None) -> Way:
    default = b.foreign("fiber", 100)._replace(src=src)
    seen = Snapshot(links=(b.link("fiber"),), addresses=addresses, defaults=(default,), families=(Family.IPV4,))
    around = Inputs(seen, State(), Allotment())
    return bind(b.config(b.uplink("fiber")), around).uplinks[0].ipv4


def test_a_source_that_the_loopback_has_stands_for_the_uplink() -> None:
    lo = Address(1, Family.IPV4, "203.0.113.7", 32, True)
    found = way(b.address("fiber"), lo, src=lo.address)
    assert (found.source, found.missing) == (lo.address, "")
    assert way(lo, src=lo.address).missing == ""  # an unnumbered link
    assert way(lo, src=None).missing == "no address"
    assert way(b.address("fiber"), src="203.0.113.8").source == "192.168.2.2"  # no address of this machine


@pytest.mark.parametrize(
    ("outer", "inner", "inside"),
    [
        ("10.64.0.0/10", "10.127.255.255", True),
        ("10.64.0.0/10", "10.128.0.0", False),
        ("10.64.0.0/10", "10.64.0.0/9", False),
        ("0.0.0.0/0", "198.51.100.7/32", True),
        ("198.51.100.7", "198.51.100.7/32", True),
        ("198.51.100.7", "198.51.100.6", False),
        ("2001:db8:40::/44", "2001:db8:4f:ffff::/64", True),
        ("2001:db8:40::/44", "2001:db8:50::/64", False),
        ("::/0", "10.0.0.1", False),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_a_prefix_covers_what_begins_with_its_bits(outer: str, inner: str, inside: bool) -> None:
    assert covers(outer, inner) is inside


@pytest.mark.parametrize(
    ("address", "length", "prefix"),
    [
        ("172.31.200.9", 13, "172.24.0.0/13"),
        ("172.31.200.9", 32, "172.31.200.9/32"),
        ("2001:db8:1:f2ff::9", 56, "2001:db8:1:f200::/56"),
        ("2001:db8:1::9", 0, "::/0"),
    ],
)
def test_a_network_is_the_prefix_of_an_address(address: str, length: int, prefix: str) -> None:
    assert network(address, length) == prefix
    assert covers(prefix, address)
