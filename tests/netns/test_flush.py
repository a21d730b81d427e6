"""``flush`` takes out all that is ours, after all kinds of changes to the machine."""

from __future__ import annotations

import pytest

from mwan_hook.model import FAMILIES
from tests.lab import Lab, Network, topologies
from tests.netns.layout import defaults, ours, plain
from tests.netns.test_acceptance_changes import config

METRICS = "[[[metrics]]]\nfull = 50\nlimited = 2000\nnone = 2000\n"


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two lines; ours stands for the default of the first."""
    made = topologies.probed(lab, 2)
    made.router.ns.sysctl({"ipv4/conf/eth1/ignore_routes_with_linkdown": 1})  # by its owner, so it stays
    made.router.configure(config(one=METRICS))
    made.router.check()
    assert [route.get("metric") for route in defaults(made.router.ns, "main")] == [50, 200]
    return made


def test_a_default_of_a_line_without_carrier_comes_back(net: Network) -> None:
    router = net.router
    router.carrier("eth1", False)
    router.event("change", "eth1")
    router.mwan("flush")
    assert ours(router.ns) == []
    found = defaults(router.ns, "main")
    assert [(route["dev"], route["metric"], route["protocol"]) for route in found] == [
        ("eth1", 100, "16"),
        ("eth2", 200, "16"),
    ]
    assert router.mwan("flush").stdout == ""


def test_a_default_comes_back_without_the_address_that_is_gone(net: Network) -> None:
    router = net.router
    router.ns.batch("address del 10.1.0.2/24 dev eth1", "address add 10.1.0.77/24 dev eth1")
    router.mwan("flush")
    assert ours(router.ns) == []
    found = next(route for route in defaults(router.ns, "main") if route["dev"] == "eth1")
    assert (found["metric"], found["protocol"], found.get("prefsrc")) == (100, "16", None)
    assert router.mwan("flush").stdout == ""


def test_a_default_that_the_kernel_no_longer_takes_is_told_and_nothing_of_ours_stays(net: Network) -> None:
    router = net.router
    router.ns.batch("address flush dev eth1", "route flush dev eth1")
    assert "the gateway cannot be reached" in router.mwan("flush").stderr
    assert ours(router.ns) == []
    assert router.mwan("flush").stderr == ""


def test_objects_of_every_number_that_was_ours_go(net: Network) -> None:
    router = net.router
    for family in FAMILIES:
        router.ns.ip(f"{family.flag} route add unreachable default table 4000 proto 99 metric 7")
        router.ns.ip(f"{family.flag} rule add priority 1234 lookup 4000 protocol 99")
    state = router.state_file.read_text().rstrip().removesuffix("}")
    router.write_state(f'{state},"protocols":[172,99]}}\n')
    before = [plain(route) for route in defaults(router.ns, "main") if route["dev"] == "eth2"]
    router.mwan("flush")
    for family in FAMILIES:
        assert router.ns.ip(f"{family.flag} route show table 4000", check=False) == ""
        assert "1234" not in router.ns.ip(f"{family.flag} rule show")
    assert [plain(route) for route in defaults(router.ns, "main") if route["dev"] == "eth2"] == before


def test_a_bad_configuration_keeps_nothing_in_the_kernel(net: Network) -> None:
    net.router.configure("[routing]\nprotocol = 99\nlast_resort = never\n")
    said = net.router.mwan("flush").stderr
    assert "last_resort = never: expected" in said
    assert "going on with the numbers that were in force" in said
    assert ours(net.router.ns) == []


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("table", ["main", "1000"])
def test_of_merged_routes_only_our_part_goes(net: Network, table: str, ours_first: bool) -> None:
    ns = net.router.ns
    parts = [
        f"via fe80::77 dev eth1 proto 172 metric 77 table {table}",
        f"via fe80::88 dev eth2 proto 4 metric 77 table {table}",
    ]
    for part in parts if ours_first else reversed(parts):
        ns.ip(f"-6 route append default {part}")
    net.router.mwan("flush")
    (left,) = [route for route in defaults(ns, table, "ipv6") if route["metric"] == 77]
    assert (left["dev"], left["gateway"], left["protocol"]) == ("eth2", "fe80::88", "4")
