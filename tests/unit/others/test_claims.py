"""Routes that a lease or a router advertisement claims everything by, from values alone."""

from __future__ import annotations

import pytest

from mwan_hook.model import MAIN_TABLE, Address, Allotment, Config, Family, Link, Nexthop, Route, Rule, Status
from mwan_hook.others import claims
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

ON = Status.ONLINE
V4, V6 = Family.IPV4, Family.IPV6
LAN = 9
HALF = Route(V4, MAIN_TABLE, "0.0.0.0/1", 2048, (Nexthop(4, "192.168.4.1"),), protocol=16)
MULTICAST = Route(V4, MAIN_TABLE, "224.0.0.0/4", nexthops=(Nexthop(LAN),), protocol=3)
ASIDE = 999


def made(
    *brought: Route, short: tuple[Route, ...] = (), families: tuple[Family, ...] = (V4,), **routing: object
) -> Desired:
    """What is wanted of fiber and LTE with these routes in main."""
    snapshot = b.snapshot("fiber", "lte", families=families)._replace(claims=brought, short=short, aside=ASIDE)
    snapshot = snapshot._replace(links=(*snapshot.links, Link(LAN, "lan0", True, True)))
    config = b.config(b.uplink("fiber", metric=1), b.uplink("lte", metric=2), **routing)
    state = b.state(fiber=ON, lte=ON)
    uplinks = bind(config, Inputs(snapshot, state, Allotment())).uplinks
    return claims.beside_claims(desire(config, uplinks, state, snapshot), config, uplinks, snapshot)


def networks(found: Desired) -> list[tuple[Family, int, int | None]]:
    """How main's networks are asked for."""
    rules = [rule for rule in found.rules if rule.table == MAIN_TABLE]
    return [(rule.family, rule.priority, rule.suppress_prefixlength) for rule in rules]


def test_mains_networks_are_asked_for_without_anything_as_wide_in_that_family_alone() -> None:
    found = made(HALF, families=(V4, V6))
    assert sorted(networks(found)) == [(V4, 1000, 7), (V6, 1000, 0)]
    wide6 = Route(V6, MAIN_TABLE, "2000::/3", 2048, (Nexthop(4, "fe80::1"),), protocol=9)
    assert sorted(networks(made(wide6, families=(V4, V6)))) == [(V4, 1000, 0), (V6, 1000, 15)]
    assert not [route for route in found.policies if route.table == ASIDE]


def test_what_stands_already_is_kept() -> None:
    before, snapshot = made(), b.snapshot("fiber", "lte")._replace(claims=(HALF,), short=(MULTICAST,), aside=ASIDE)
    policy = MULTICAST._replace(table=1500)
    found = claims.beside_claims(before._replace(policies=(policy,), notes=("told",)), Config(), (), snapshot)
    assert found.policies == (policy, MULTICAST._replace(table=ASIDE, protocol=172))
    assert found.notes[0] == "told"


def test_what_others_have_as_wide_is_asked_for_next() -> None:
    found = made(HALF, short=(MULTICAST,))
    assert Rule(V4, 1001, ASIDE, suppress_prefixlength=0) in found.rules
    assert found.policies == (MULTICAST._replace(table=ASIDE, protocol=172),)


def test_with_the_default_in_main_a_copy_of_it_comes_before_main() -> None:
    found = made(HALF, default_table=MAIN_TABLE)
    assert Rule(V4, 1900, ASIDE) in found.rules
    copies = [route for route in found.policies if route.table == ASIDE]
    assert copies == [route._replace(table=ASIDE) for route in found.shared]
    assert [rule for rule in made(HALF).rules if rule.table == ASIDE] == []


@pytest.mark.parametrize(
    ("default", "taken", "table"),
    [(1000, (), 999), (1000, (999, 998), 997), (MAIN_TABLE, (), 999), (256, (), 252), (1, (), 0)],
)
def test_its_table_is_the_first_free_one_below_the_shared_defaults(
    default: int, taken: tuple[int, ...], table: int
) -> None:
    assert claims.table(default, taken) == table


@pytest.mark.parametrize(
    ("dst", "index", "told"),
    [
        ("192.168.9.128/25", 4, True),
        ("192.168.9.7/32", 4, True),
        ("192.168.9.0/24", 4, False),  # the LAN's own comes first by its metric
        ("192.168.0.0/16", 4, False),
        ("192.168.8.128/25", 4, False),
        ("192.168.9.128/25", LAN, False),
        ("2001:db8::1/128", 4, False),
    ],
)
def test_what_lies_inside_a_network_of_the_lan_is_told(dst: str, index: int, told: bool) -> None:
    lans = (Address(LAN, V4, "192.168.9.1", 24, True),)
    route = Route(Family.of(dst.partition("/")[0]), MAIN_TABLE, dst, nexthops=(Nexthop(index),), protocol=16)
    assert list(claims.inside([route], lans, [])) == [route] * told


@pytest.mark.parametrize(("prefix", "told"), [(24, False), (26, True)])
def test_a_route_into_an_uplinks_own_network_is_its_own_affair(prefix: int, told: bool) -> None:
    """networkd lays one to the gateway."""
    lans = (Address(LAN, V4, "192.168.9.1", 24, True),)
    own = (Address(4, V4, "192.168.9.200", prefix, True),)
    route = Route(V4, MAIN_TABLE, "192.168.9.7/32", nexthops=(Nexthop(4),), protocol=16)
    assert list(claims.inside([route], lans, own)) == [route] * told
    other = route._replace(nexthops=(Nexthop(5),))
    assert list(claims.inside([other], lans, own)) == [other], "of another uplink"
