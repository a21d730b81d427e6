"""Routes that others put where ours shall be, leases that change, interfaces that are renamed."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Network, topologies
from tests.netns.layout import FAMILIES, UNREACHABLE, defaults, hops, layout, ours

BY_FACTS = """
[routing]
{routing}
[probe]
targets = ,
portal_interval = 0
hysteresis_delay = 0
[uplinks]
[[one]]
match = enp0s8
metric = 200
{one}
[[two]]
match = enp0s9
metric = 300
"""
METRICS = "[[[metrics]]]\nfull = 100\nlimited = 2000\nnone = 2000"
GATEWAYS = {"ipv4": "192.168.255.1", "ipv6": "fe80::5054:ff:fe12:3500"}
LINKDOWN = "{family}/conf/{interface}/ignore_routes_with_linkdown"


def config(routing: str = "", one: str = "") -> str:
    return BY_FACTS.format(routing=routing, one=one)


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.two_dynamic(lab)
    made.router.configure(config())
    return made


def settled(net: Network) -> None:
    """One run does it, and the second one writes nothing."""
    net.router.check()
    before = layout(net.router.ns)
    second = net.router.check()
    assert (second.stdout, second.stderr, layout(net.router.ns)) == ("", "", before)


def test_a_lease_with_another_address_through_the_same_gateway_is_followed(net: Network) -> None:
    ns = net.router.ns
    net.router.configure(config(one=METRICS))
    settled(net)
    ns.ip("addr del 172.30.255.4/24 dev enp0s8")
    settled(net)
    ns.ip("addr add 172.30.255.9/24 dev enp0s8")
    ns.ip("route append default via 172.30.255.1 dev enp0s8 proto dhcp src 172.30.255.9 metric 200")
    settled(net)
    for table, metric in ((1001, 200), ("main", 100)):
        found = [(r["prefsrc"], r["metric"]) for r in defaults(ns, table) if "enp0s8" in hops(r)]
        assert found == [("172.30.255.9", metric)]
    net.router.mwan("flush")
    assert [(r["prefsrc"], r["metric"]) for r in defaults(ns, "main") if "enp0s8" in hops(r)] == [("172.30.255.9", 200)]


@pytest.mark.parametrize("metric", [0, 1, 2, 3])
def test_a_foreign_ipv4_default_in_main_stays_behind_ours(net: Network, metric: int) -> None:
    ns = net.router.ns
    ns.ip(f"route append default via {GATEWAYS['ipv4']} dev enp0s9 proto static metric {metric}")
    before = [line for line in layout(ns) if '"protocol": "4"' in line]
    net.router.configure(config("default_table = main"))
    settled(net)
    found = ns.route_get("8.8.8.8")
    assert found
    assert found["dev"] == "enp0s8"
    assert [line for line in layout(ns) if '"protocol": "4"' in line] == before
    net.router.mwan("disable", "one")
    settled(net)
    net.router.mwan("enable", "one")
    settled(net)
    ns.ip(f"route del default via {GATEWAYS['ipv4']} dev enp0s9 proto static metric {metric}")
    settled(net)
    assert [r.get("metric", 0) for r in defaults(ns, "main") if r["protocol"] == "172"] == [1, 2, 3]


def test_a_foreign_ipv4_default_put_in_front_of_ours_later_is_passed_again(net: Network) -> None:
    ns = net.router.ns
    net.router.configure(config("default_table = main"))
    settled(net)
    ns.ip(f"route prepend default via {GATEWAYS['ipv4']} dev enp0s9 proto static metric 1")
    settled(net)
    found = ns.route_get("8.8.8.8")
    assert found
    assert found["dev"] == "enp0s8"


@pytest.mark.parametrize("metric", [1, 2, 3])
def test_a_foreign_ipv6_default_in_main_is_not_merged_with_ours(net: Network, metric: int) -> None:
    ns = net.router.ns
    ns.ip(f"-6 route append default via {GATEWAYS['ipv6']} dev enp0s9 proto static metric {metric}")
    before = [line for line in layout(ns) if '"protocol": "4"' in line]
    net.router.configure(config("default_table = main"))
    settled(net)
    assert [line for line in layout(ns) if '"protocol": "4"' in line] == before
    mine = [r["metric"] for r in defaults(ns, "main", "ipv6") if r["protocol"] == "172"]
    assert mine == [number for number in (1, 2, 3, 4) if number != metric]
    net.router.mwan("flush")
    assert [line for line in layout(ns) if '"protocol": "4"' in line] == before


def test_an_ipv6_default_takes_the_next_metric_where_another_interface_has_one(net: Network) -> None:
    ns = net.router.ns
    net.router.configure(config(one=METRICS))
    original = defaults(ns, "main", "ipv6")
    settled(net)
    ns.batch("link add ext0 type veth peer name ext1", "link set ext0 up", "link set ext1 up")
    ns.ip("addr add 2001:db8:50::2/64 dev ext0 nodad")
    ns.ip("-6 route append default via 2001:db8:50::1 dev ext0 metric 100 proto static")
    settled(net)
    found = [(r["dev"], r["metric"], r["protocol"]) for r in defaults(ns, "main", "ipv6")]
    assert found == [("ext0", 100, "4"), ("enp0s8", 101, "172"), ("enp0s9", 300, "9")]
    net.router.mwan("flush")
    assert [r for r in defaults(ns, "main", "ipv6") if "ext0" not in hops(r)] == original


@pytest.mark.parametrize("table", ["1000", "main"])
def test_another_protocol_number_leaves_nothing_of_the_old_one(net: Network, table: str) -> None:
    ns = net.router.ns
    net.router.configure(config(f"default_table = {table}", METRICS))
    settled(net)
    before = layout(ns)
    net.router.configure(config(f"default_table = {table}\nprotocol = 99", METRICS))
    settled(net)
    assert ours(ns) == []
    assert layout(ns) == sorted(line.replace('"protocol": "172"', '"protocol": "99"') for line in before)
    net.router.configure(config(f"default_table = {table}", METRICS))
    settled(net)
    assert layout(ns) == before


def test_an_interface_that_is_no_uplink_any_more_gets_its_sysctl_back(net: Network) -> None:
    ns = net.router.ns
    keys = [LINKDOWN.format(family=family, interface="enp0s8") for family in FAMILIES]
    before = [ns.read_sysctl(key) for key in keys]
    settled(net)
    assert [ns.read_sysctl(key) for key in keys] == ["1", "1"]
    net.router.configure(config().replace("enp0s8", "nope0"))
    net.router.mwan("check")
    assert [ns.read_sysctl(key) for key in keys] == before


def test_a_renamed_interface_gets_its_sysctl_back(net: Network) -> None:
    ns = net.router.ns
    before = [ns.read_sysctl(LINKDOWN.format(family=family, interface="enp0s8")) for family in FAMILIES]
    settled(net)
    ns.batch("link set enp0s8 down", "link set enp0s8 name wan0", "link set wan0 up")
    net.router.configure(config().replace("enp0s8", "wan0"))
    net.router.check()
    net.router.configure(config().replace("enp0s8", "nope0"))
    net.router.mwan("check")
    assert [ns.read_sysctl(LINKDOWN.format(family=family, interface="wan0")) for family in FAMILIES] == before


@pytest.mark.parametrize("family", FAMILIES)
def test_own_source_rules_stand_before_the_shared_default(net: Network, family: str) -> None:
    net.router.configure(config("main_first = no", "rule_priority = 3000"))
    settled(net)
    found = net.router.ns.rules(family)
    assert [r["priority"] for r in found if r.get("table") == "1000"] == [3004]
    assert [r["priority"] for r in found if r.get("action") == UNREACHABLE and r["priority"] > 3000] == [3001]


def test_a_default_for_one_type_of_service_is_left_alone(net: Network) -> None:
    ns = net.router.ns
    ns.ip("route add default via 172.30.255.70 dev enp0s8 metric 10 tos 0x10")
    settled(net)
    assert [hops(r)["enp0s8"][0] for r in defaults(ns, 1001)] == ["172.30.255.1"]


def test_of_gateways_of_equal_metric_the_one_that_main_uses_counts(net: Network) -> None:
    ns = net.router.ns
    net.isps[0].ns.batch("addr add 172.30.255.9/24 dev lan", "addr add 172.30.255.10/24 dev lan")
    for last in (9, 10):
        ns.ip(f"route append default via 172.30.255.{last} dev enp0s8 metric 50")
    settled(net)
    assert [hops(r)["enp0s8"][0] for r in defaults(ns, 1001)] == ["172.30.255.9"]


@pytest.mark.parametrize("metric", [1, 2])
def test_a_foreign_ipv6_default_that_joins_ours_in_main_gets_the_metric_for_itself(net: Network, metric: int) -> None:
    ns = net.router.ns
    net.router.configure(config("default_table = main"))
    settled(net)
    ns.ip(f"-6 route append default via fe80::77 dev enp0s9 proto static metric {metric}")
    settled(net)
    found = [(r["metric"], hops(r)) for r in defaults(ns, "main", "ipv6") if r["protocol"] == "4"]
    assert found == [(metric, {"enp0s9": ("fe80::77", 1)})]
    mine = [r["metric"] for r in defaults(ns, "main", "ipv6") if r["protocol"] == "172"]
    assert mine == [number for number in (1, 2, 3, 4) if number != metric]
