"""Imported configurations in force: each sentence of their sources holds in the kernel and for real traffic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab, Netns, Network, topologies
from tests.netns.layout import defaults, hops

LINES = {"wan": "eth1", "cable": "eth2", "lte": "eth3"}
INTERFACE = """
config interface '{name}'
	option enabled '1'
	list track_ip '9.9.9.9'
	option timeout '1'
	option failure_interval '0.1'
	option down '2'
	option up '1'
"""
REST = """
config member 'wan_heavy'
	option interface 'wan'
	option weight '4'
config member 'cable_light'
	option interface 'cable'
	option weight '2'
config member 'lte_last'
	option interface 'lte'
	option metric '2'
config member 'lte_first'
	option interface 'lte'
config member 'wan_second'
	option interface 'wan'
	option metric '7'

config policy 'balanced'
	list use_member 'wan_heavy'
	list use_member 'cable_light'
	list use_member 'lte_last'
	option last_resort 'unreachable'
config policy 'lte_wan'
	list use_member 'wan_second'
	list use_member 'lte_first'
config policy 'cable_only'
	list use_member 'cable_light'
	option last_resort 'blackhole'
config policy 'spread'
	list use_member 'lte_first'
	list use_member 'cable_light'

config rule 'resolver'
	option dest_ip '8.8.8.8'
	option proto 'udp'
	option dest_port '53,5000:5100'
	option use_policy 'cable_only'
config rule 'google'
	option dest_ip '8.8.8.0/24'
	option proto 'udp'
	option use_policy 'lte_wan'
config rule 'guests'
	option src_ip '192.168.2.0/29'
	option src_iface 'lan'
	option use_policy 'spread'
config rule 'never'
	option dest_ip '203.0.113.0/24'
	option use_policy 'unreachable'
config rule 'default_rule_v4'
	option dest_ip '0.0.0.0/0'
	option use_policy 'balanced'
	option family 'ipv4'
"""
FILE = "".join(INTERFACE.format(name=name) for name in LINES) + REST
MAPS = tuple(word for name, device in {**LINES, "lan": "lan0"}.items() for word in ("--map", f"{name}={device}"))


@pytest.fixture(scope="module")
def made() -> Iterator[Network]:
    """Three lines and a LAN, with what was imported in force."""
    with Lab() as lab:
        net = topologies.probed(lab, 3, client=True)
        file = net.router.write("mwan3", FILE)
        done = net.router.mwan("import", "mwan3", str(file), *MAPS, code=0)
        assert "lost" not in done.stderr
        net.router.configure(done.stdout)
        assert "good" in net.router.mwan("config", "--check").stdout
        net.router.check()
        assert net.router.status()["errors"] == []
        yield net


@pytest.fixture
def net(made: Network) -> Iterator[Network]:
    """All lines well before and after a test."""
    yield made
    for isp in made.isps:
        isp.heal()
    made.router.check()
    assert made.router.way_out() == ["wan", "cable"]


def asked(ns: Netns, words: str) -> str:
    """The device that the kernel takes; empty if it takes none."""
    found = ns.route_get(words)
    return str(found["dev"]) if found else ""


def test_the_rule_for_all_shares_by_the_weights_of_its_members(net: Network) -> None:
    assert net.client
    best = defaults(net.router.ns, 1000, "ipv4")[0]
    assert {device: weight for device, (_, weight) in hops(best).items()} == {"eth1": 4, "eth2": 2}
    names = net.lab.connect(net.client, 60)
    assert set(names) == {"isp1", "isp2"}
    assert 25 <= names.count("isp1") <= 55, "two thirds of sixty, and four deviations"


def test_the_first_rule_that_matches_counts(net: Network) -> None:
    ns = net.router.ns
    wanted = {
        "8.8.8.8 ipproto udp dport 53": "eth2",
        "8.8.8.8 ipproto udp dport 5050": "eth2",
        "8.8.8.8 ipproto udp dport 54": "eth3",
        "8.8.8.9 ipproto udp dport 53": "eth3",
        "203.0.113.7": "",
    }
    assert {words: asked(ns, words) for words in wanted} == wanted
    assert asked(ns, "8.8.8.9 ipproto tcp dport 53") in ("eth1", "eth2")


def test_a_rule_for_senders_shares_between_lines_that_the_rule_for_all_orders(net: Network) -> None:
    senders = [f"ipproto tcp dport {port} from 192.168.2.3 iif lan0" for port in range(80, 120)]
    assert {asked(net.router.ns, f"9.9.9.9 {words}") for words in senders} == {"eth2", "eth3"}
    assert asked(net.router.ns, "9.9.9.9 from 192.168.2.9 iif lan0") in ("eth1", "eth2")


def test_a_dead_line_leaves_each_policy_and_each_has_its_last_resort(net: Network) -> None:
    ns = net.router.ns
    net.isps[1].fault("blackhole")
    net.isps[2].fault("blackhole")
    net.router.check()
    assert asked(ns, "8.8.8.9 ipproto udp dport 53") == "eth1", "the member of the next metric"
    assert asked(ns, "8.8.8.8 ipproto udp dport 53") == "", "blackhole, and no later rule"
    assert asked(ns, "9.9.9.9 from 192.168.2.3 iif lan0") == "", "unreachable, where nothing is said"
    assert net.router.way_out() == ["wan"]
    net.isps[2].heal()
    net.isps[0].fault("blackhole")
    net.router.check()
    assert net.router.way_out() == ["lte"], "the member of metric 2"
    net.isps[2].fault("blackhole")
    net.router.check()
    assert asked(ns, "9.9.9.9") == "", "the last resort of the rule for all"


def test_what_the_file_says_nothing_of_is_as_it_was(net: Network) -> None:
    found = net.router.ns.route_get("2001:4860:4860::8888", "ipv6")
    assert found
    assert found["dev"] == "eth1"
    assert asked(net.router.ns, "192.168.2.10") == "lan0"


def test_sources_of_dynmhs_go_by_their_tables(lab: Lab) -> None:
    """The answers are those of DynMHS itself (966c8cd), built and started in the same namespace."""
    router = topologies.two_dynamic(lab).router
    router.ns.ip("route add 198.51.100.0/24 via 172.30.255.1 dev enp0s8")
    main = router.ns.routes()
    file = router.write("dynmhs.conf", 'NETWORK="enp0s8:1000"\nNETWORK="enp0s9:2000"\n')
    router.configure(router.mwan("import", "dynmhs", str(file)).stdout)
    router.check()
    one, two, other6 = "172.30.255.4", "192.168.255.4", "fdc9:dc25:8e35:0:a00:27ff:feaa:bc91"
    wanted = {
        f"9.9.9.9 from {one}": ("enp0s8", "172.30.255.1"),
        f"9.9.9.9 from {two}": ("enp0s9", "192.168.255.1"),
        f"192.168.255.9 from {one}": ("enp0s8", "172.30.255.1"),
        f"192.168.255.9 from {two}": ("enp0s9", None),
        f"198.51.100.1 from {one}": ("enp0s8", "172.30.255.1"),
        f"198.51.100.1 from {two}": ("enp0s9", "192.168.255.1"),
        f"2620:fe::fe from {other6}": ("enp0s9", "fe80::5054:ff:fe12:3500"),
        f"fdff:b44d:605c::9 from {other6}": ("enp0s9", "fe80::5054:ff:fe12:3500"),
        "9.9.9.9": ("enp0s8", "172.30.255.1"),
        "198.51.100.1": ("enp0s8", "172.30.255.1"),
        "2620:fe::fe": ("enp0s8", "fe80::5054:ff:fe12:3500"),
    }
    found = {words: router.ns.route_get(words, "ipv6" if "::" in words else "ipv4") or {} for words in wanted}
    assert {words: (one["dev"], one.get("gateway")) for words, one in found.items()} == wanted
    assert {
        (rule["priority"], rule["src"], rule.get("table")) for rule in router.ns.rules() if rule["src"] != "all"
    } >= {
        (1000, one, "1000"),
        (2000, two, "2000"),
    }
    assert router.ns.routes() == main
