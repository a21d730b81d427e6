"""Shares: the flows that each of several equal uplinks gets are those of the weights, with real packets, counted at
the providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab, Netns, Network
from tests.netns.layout import FAMILIES
from tests.netns.shares import assert_shares, config, network, shares

ROUTES = "nexthops = routes"  # objects: test_nexthops.py
WEIGHTS = ((1, 1), (3, 2), (1, 2, 3))


@pytest.fixture(scope="module")
def wide() -> Iterator[Network]:
    with Lab() as lab:
        yield network(lab)


@pytest.fixture(scope="module", params=WEIGHTS, ids=lambda weights: ":".join(map(str, weights)))
def weighted(wide: Network, request: pytest.FixtureRequest) -> tuple[Network, tuple[int, ...]]:
    """The same uplinks with weights; uplinks beyond them are left out."""
    weights: tuple[int, ...] = request.param
    wide.router.configure(config(*weights, routing=ROUTES))
    wide.router.check()
    return wide, weights


def place(net: Network, word: str) -> Netns:
    """Where the flows begin."""
    assert net.client
    return net.router.ns if word == "local" else net.client


@pytest.mark.parametrize("kind", ["udp", "tcp"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("where", ["local", "forwarded"])
def test_flows_are_shared_by_weight(
    weighted: tuple[Network, tuple[int, ...]], where: str, family: str, kind: str
) -> None:
    net, weights = weighted
    assert_shares(shares(net, place(net, where), family, kind), weights)


@pytest.fixture(params=FAMILIES)
def by_addresses(wide: Network, request: pytest.FixtureRequest) -> Iterator[str]:
    """A family whose fib_multipath_hash_policy is the kernel's own, 0."""
    family: str = request.param
    wide.router.configure(config(3, 2, routing=ROUTES))
    wide.router.check()
    wide.router.ns.sysctl({f"{family}/fib_multipath_hash_policy": 0})
    yield family
    wide.router.ns.sysctl({f"{family}/fib_multipath_hash_policy": 1})


@pytest.mark.parametrize("where", ["local", "forwarded"])
def test_without_ports_many_destinations_are_shared_and_one_stays_on_one_line(
    wide: Network, by_addresses: str, where: str
) -> None:
    """IPv6 hashes the flow label, too, which the senders' kernels give each connection."""
    one = shares(wide, place(wide, where), by_addresses, destinations=1)
    if (by_addresses, where) == ("ipv6", "forwarded"):
        assert_shares(one, (3, 2))
    else:
        assert sorted(one) == [0, 0, 100]
    assert_shares(shares(wide, place(wide, where), by_addresses, destinations=600), (3, 2))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("where", ["local", "forwarded"])
def test_with_ports_connections_to_one_destination_are_shared(wide: Network, where: str, family: str) -> None:
    wide.router.configure(config(3, 2, routing=ROUTES))
    wide.router.check()
    assert_shares(shares(wide, place(wide, where), family, destinations=1), (3, 2))
