"""The shared default: three uplinks in main (M1 to M5), weights, fallbacks, and what remains when nothing is online."""

from __future__ import annotations

import time

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.uplinks import FIBER_LTE
from tests.netns.layout import BLACKHOLE, FAMILIES, UNREACHABLE, defaults, hops, layout, plain, sources

NETWORKS = {f"192.168.{n}.0/24" for n in (1, 2, 3, 4)}
PAIR = f"""
[routing]
last_resort = main
[probe]
portal_interval = 0
timeout = 0.5
burst_interval = 0.1
rise = 1
hysteresis_delay = 0
{FIBER_LTE}"""


@pytest.fixture
def three(lab: Lab) -> Network:
    made = topologies.three_uplinks(lab)
    made.router.configure(topologies.THREE)
    made.router.check()
    return made


@pytest.fixture
def pair(lab: Lab) -> Network:
    made = topologies.probed(lab, 2, client=True)
    made.router.configure(PAIR)
    return made


def test_equal_uplinks_share_one_default_in_main(three: Network) -> None:
    ns = three.router.ns
    best, *below = defaults(ns, "main")
    assert hops(best) == {
        "enp1s0": ("192.168.1.1", 1),
        "enp0s20u1": ("192.168.3.1", 1),
        "enp0s20u2": ("192.168.4.1", 1),
    }
    assert best["metric"] == 1
    assert [len(hops(route)) for route in below] == [1, 1, 1]
    for table, gateway in ((1, "192.168.1.1"), (3, "192.168.3.1"), (4, "192.168.4.1")):
        assert {r["dst"] for r in ns.routes(table)} - {"default"} == NETWORKS
        assert [r["gateway"] for r in defaults(ns, table)] == [gateway]
    found = ns.route_get("8.8.8.8 from 192.168.3.2")
    assert found
    assert (found["dev"], found["table"]) == ("enp0s20u1", "3")


def test_a_link_that_is_taken_down_leaves_and_comes_back(three: Network) -> None:
    ns, before = three.router.ns, layout(three.router.ns)
    ns.ip("link set enp0s20u1 down")
    three.router.event("change", "enp0s20u1")
    assert set(hops(defaults(ns, "main")[0])) == {"enp1s0", "enp0s20u2"}
    assert not [line for line in layout(ns) if "192.168.3.0/24" in line]
    ns.ip("link set enp0s20u1 up")
    three.router.event("change", "enp0s20u1")
    assert layout(ns) == before


def test_a_link_that_is_unplugged_leaves_and_comes_back_with_another_index(three: Network) -> None:
    ns, before = three.router.ns, layout(three.router.ns)
    index = ns.index("enp0s20u1")
    three.router.unplug("enp0s20u1")
    three.router.event("remove", "enp0s20u1")
    assert set(hops(defaults(ns, "main")[0])) == {"enp1s0", "enp0s20u2"}
    assert ns.route_get("8.8.8.8 from 192.168.3.2") is None
    assert not sources(ns, 1200) or "192.168.3.2" not in dict(sources(ns, 1200))
    three.router.plug(three.lines["enp0s20u1"])
    assert ns.index("enp0s20u1") != index
    begun = time.monotonic()
    three.router.event("add", "enp0s20u1")
    assert time.monotonic() - begun < 3
    assert layout(ns) == before


def test_an_unplugged_leg_of_the_default_leaves_a_way_before_any_run(three: Network) -> None:
    for interface in ("enp0s20u1", "enp1s0"):
        three.router.unplug(interface)
        found = three.router.ns.route_get("8.8.8.8")
        assert found
        assert found["dev"] != interface


def test_lost_carrier_moves_traffic_before_any_run(pair: Network) -> None:
    pair.router.check()
    for family, where in (("ipv4", "8.8.8.8"), ("ipv6", "2620:fe::fe")):
        found = pair.router.ns.route_get(where, family)
        assert found
        assert found["dev"] == "eth1"
    pair.router.carrier("eth1", False)
    for family, where in (("ipv4", "8.8.8.8"), ("ipv6", "2620:fe::fe")):
        found = pair.router.ns.route_get(where, family)
        assert found
        assert found["dev"] == "eth2", family


def test_weights_are_those_of_the_uplinks(lab: Lab, three: Network) -> None:
    three.router.configure(
        topologies.THREE.replace("match = enp1s0", "match = enp1s0\nweight = 3").replace(
            "match = enp0s20u2", "match = enp0s20u2\nweight = 2"
        )
    )
    three.router.check()
    best = hops(defaults(three.router.ns, "main")[0])
    assert {dev: weight for dev, (_, weight) in best.items()} == {"enp1s0": 3, "enp0s20u1": 1, "enp0s20u2": 2}
    monitor = lab.monitor(three.router.ns)
    monitor.written()
    three.router.check()
    assert monitor.written() == []


def test_equal_uplinks_each_carry_flows_of_a_client(lab: Lab) -> None:
    net = topologies.probed(lab, 2, client=True)
    net.router.configure(PAIR.replace("metric = 200", "metric = 100"))
    net.router.check()
    assert net.client
    carried = lab.connect(net.client, 60)
    assert {carried.count("isp1") + carried.count("isp2")} == {60}
    assert min(carried.count("isp1"), carried.count("isp2")) >= 10


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shared_table_holds_the_best_and_its_fallbacks(pair: Network, family: str) -> None:
    pair.router.check()
    ways = defaults(pair.router.ns, 1000, family)
    assert list(hops(ways[0])) == ["eth1"]
    assert list(hops(ways[-1])) == ["eth2"]
    assert [r["priority"] for r in pair.router.ns.rules(family) if r.get("table") == "1000"] == [1900]
    assert pair.router.way_out(family) == ["fiber"]


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_uplinks_share_in_the_table_of_their_own(pair: Network, family: str) -> None:
    pair.router.configure(PAIR.replace("metric = 200", "metric = 100\nweight = 2"))
    pair.router.check()
    best, *below = defaults(pair.router.ns, 1000, family)
    assert {dev: weight for dev, (_, weight) in hops(best).items()} == {"eth1": 1, "eth2": 2}
    assert sorted(dev for route in below for dev in hops(route)) == ["eth1", "eth2"]
    assert sorted(pair.router.way_out(family)) == ["fiber", "lte"]


def test_a_default_in_main_leaves_foreign_ones_alone(pair: Network) -> None:
    before = [plain(route) for route in defaults(pair.router.ns, "main")]
    pair.router.configure(PAIR.replace("[probe]", "default_table = main\n[probe]"))
    pair.router.check()
    found = defaults(pair.router.ns, "main")
    assert (found[0]["metric"], list(hops(found[0]))) == (1, ["eth1"])
    assert [plain(r) for r in found if r["protocol"] != "172"] == before
    pair.router.mwan("flush")
    assert [plain(r) for r in defaults(pair.router.ns, "main")] == before


def kill_all(net: Network) -> None:
    for isp in net.isps:
        isp.fault("blackhole")
    net.router.check()
    assert {net.router.verdict(name, family) for name in ("fiber", "lte") for family in FAMILIES} == {"offline"}


def revive_all(net: Network) -> None:
    for isp in net.isps:
        isp.heal()
    net.router.check()
    assert {net.router.verdict(name, family) for name in ("fiber", "lte") for family in FAMILIES} == {"online"}


def test_with_nothing_online_main_is_the_last_resort(pair: Network) -> None:
    pair.router.check()
    before = layout(pair.router.ns)
    kill_all(pair)
    for family, where in (("ipv4", "8.8.8.8"), ("ipv6", "2620:fe::fe")):
        assert not [r for r in pair.router.ns.rules(family) if r["priority"] in {1300, 1900}]
        found = pair.router.ns.route_get(where, family)
        assert found
        assert found["dev"] == "eth1"
        assert pair.router.way_out(family) == []
    revive_all(pair)
    assert layout(pair.router.ns) == before


def test_with_nothing_online_the_last_ones_are_kept_if_so_configured(pair: Network) -> None:
    pair.router.configure(PAIR.replace("last_resort = main", "last_resort = keep"))
    pair.router.ns.ip("route del default metric 200")
    pair.router.configure(PAIR.replace("last_resort = main", "last_resort = keep") + "gateway = 10.2.0.1\n")
    pair.router.check()
    pair.isps[0].fault("blackhole")
    pair.router.check()
    assert pair.router.way_out() == ["lte"]
    kill_all(pair)
    found = pair.router.ns.route_get("8.8.8.8")
    assert found
    assert found["dev"] == "eth2"
    revive_all(pair)
    assert pair.router.way_out() == ["fiber"]


@pytest.mark.parametrize(("word", "kind"), [("unreachable", UNREACHABLE), ("blackhole", BLACKHOLE)])
def test_with_nothing_online_traffic_is_refused_if_so_configured(pair: Network, word: str, kind: str) -> None:
    pair.router.configure(PAIR.replace("last_resort = main", f"last_resort = {word}"))
    pair.router.check()
    kill_all(pair)
    for family, where in (("ipv4", "8.8.8.8"), ("ipv6", "2620:fe::fe")):
        assert [r["type"] for r in defaults(pair.router.ns, 1000, family)] == [kind]
        assert pair.router.ns.route_get(where, family) is None
    assert pair.router.ns.route_get("10.2.0.1")
    for isp in pair.isps:
        isp.forget()
    for where in ("8.8.8.8", "2001:4860:4860::8888"):
        assert set(pair.lab.connect(pair.router.ns, 1, where)) == {""}
    assert not [packet for isp in pair.isps for packet in isp.seen() if packet.port == 7], "it leaked"
    revive_all(pair)


def test_one_family_can_fail_alone(pair: Network) -> None:
    pair.router.check()
    pair.isps[0].fault("blackhole6")
    pair.router.check()
    assert pair.router.way_out("ipv4") == ["fiber"]
    assert pair.router.way_out("ipv6") == ["lte"]


def test_a_disabled_uplink_keeps_its_table_and_carries_nothing_new(pair: Network) -> None:
    pair.router.check()
    table = pair.router.status()["uplinks"]["fiber"]["table"]
    pair.router.mwan("disable", "fiber")
    pair.router.check()
    assert pair.router.way_out() == ["lte"]
    assert pair.router.verdict("fiber") == "disabled"
    assert defaults(pair.router.ns, table)
    pair.isps[0].forget()
    pair.router.check()
    assert pair.isps[0].seen() == set()
    pair.router.reboot_files()
    pair.router.check()
    assert pair.router.verdict("fiber") == "disabled"
    pair.router.mwan("enable", "fiber")
    pair.router.check()
    assert pair.router.way_out() == ["fiber"]
