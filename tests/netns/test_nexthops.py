"""`nexthops = objects`: established flows stay where they are when weights change and uplinks come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Lab, Netns, Network
from tests.netns.layout import FAMILIES, defaults, hops
from tests.netns.shares import assert_shares, carried, config, network, shares

ESTABLISHED = 400
OBJECTS, ROUTES = "nexthops = objects", "nexthops = routes"
EVENLY, UNEVENLY = (1, 1, 1), (3, 2, 1)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with Lab() as lab:
        yield network(lab)


@pytest.fixture
def fresh(net: Network) -> Network:
    """Nothing of ours in the kernel, all uplinks plugged in."""
    net.router.mwan("flush")
    return net


def objects(ns: Netns) -> list[dict[str, Any]]:
    """All nexthop objects."""
    return ns.objects("nexthop show")


def ours(ns: Netns) -> list[dict[str, Any]]:
    return [one for one in objects(ns) if one["protocol"] == "172"]


def run(net: Network, weights: tuple[int, ...], routing: str) -> None:
    net.router.configure(config(*weights, routing=routing))
    net.router.check()


def client(net: Network) -> Netns:
    assert net.client
    return net.client


def test_the_shared_default_goes_through_a_resilient_group(fresh: Network) -> None:
    run(fresh, UNEVENLY, OBJECTS)
    for family in FAMILIES:
        best, *below = defaults(fresh.router.ns, 1000, family)
        group = next(one for one in objects(fresh.router.ns) if one["id"] == best["nhid"])
        assert {dev: weight for dev, (_, weight) in hops(best).items()} == {"eth1": 3, "eth2": 2, "eth3": 1}
        assert (group["type"], group["resilient_args"]["buckets"]) == ("resilient", 1024)
        assert [route.get("nhid") for route in below] == [None, None, None]
    assert len(ours(fresh.router.ns)) == 8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("where", ["local", "forwarded"])
@pytest.mark.parametrize("weights", [(1, 1), (3, 2), (1, 2, 3)], ids=str)
def test_flows_are_shared_by_weight(fresh: Network, weights: tuple[int, ...], where: str, family: str) -> None:
    run(fresh, weights, OBJECTS)
    assert_shares(shares(fresh, fresh.router.ns if where == "local" else client(fresh), family), weights)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("routing", "most"), [(OBJECTS, 0), (ROUTES, 1000)])
def test_a_change_of_weights_moves_no_established_flow(fresh: Network, family: str, routing: str, most: int) -> None:
    run(fresh, EVENLY, routing)
    before = carried(fresh, client(fresh), family, ESTABLISHED)
    run(fresh, (3, 2, 1), routing)
    after = carried(fresh, client(fresh), family, ESTABLISHED)
    moved = sum(after[port] != isp for port, isp in before.items())
    assert len(before) == len(after) == ESTABLISHED
    assert (moved == 0) if routing == OBJECTS else (40 < moved < most)
