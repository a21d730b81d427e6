"""What a hostile DHCP server or router behind an uplink puts into main, and who is led where by it.

The routes are as systemd-networkd makes them of option 121 and of a router advertisement's route information: protocol
dhcp or ra, through the uplink's gateway, at the uplink's metric.
"""

from __future__ import annotations

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.lab import TUNNEL_SERVER
from tests.lab.uplinks import FIBER_LTE, QUAD9, probing
from tests.netns.layout import layout

CONFIG = (
    probing(QUAD9)
    + """[routing]
{}
"""
    + FIBER_LTE
)
BOTH = (INTERNET4[0], INTERNET6[-1])
HALVES = ("0.0.0.0/1", "128.0.0.0/1", "92.0.0.0/7")
HALVES6 = ("::/1", "8000::/1", "2000::/3", "2620::/15")
ROUTINGS = ["", "default_table = main", "main_first = no", "rule_priority = 7000", "nexthops = objects"]
VPN = (
    f"route add {TUNNEL_SERVER}/32 via 10.1.0.1",
    "route add 0.0.0.0/1 dev tun7",
    "route add 128.0.0.0/1 dev tun7",
    "-6 route add ::/1 dev tun7",
    "-6 route add 8000::/1 dev tun7",
)


def machine(lab: Lab, routing: str = "") -> Network:
    """Fiber (preferred) and LTE, both judged."""
    net = topologies.probed(lab)
    net.router.configure(CONFIG.format(routing))
    net.router.check()
    return net


def claim(net: Network, *prefixes: str, n: int = 2) -> None:
    """LTE's DHCP server or router does."""
    for prefix in prefixes:
        via, by = (f"2001:db8:{n}:1::1", "ra") if ":" in prefix else (f"10.{n}.0.1", "dhcp")
        net.router.ns.ip(f"route add {prefix} via {via} dev eth{n} proto {by} metric 2048")


def with_lan(net: Network) -> None:
    """A network that is no uplink's."""
    made = ("link add lan7 type veth peer name far7", "link set far7 up", "link set lan7 up")
    net.router.ns.batch(*made, "addr add 10.77.0.1/24 dev lan7")


def settled(net: Network) -> str:
    """What the first run says; the second one does and says nothing."""
    said = net.router.check().stderr
    before = layout(net.router.ns)
    second = net.router.check()
    assert (second.stdout, second.stderr, layout(net.router.ns)) == ("", "", before)
    return said


def ways(lab: Lab, net: Network) -> set[str]:
    """The providers that connections of the router's get to, both families."""
    return {isp for address in BOTH for isp in lab.connect(net.router.ns, 2, address)}


@pytest.mark.parametrize("routing", ROUTINGS)
def test_others_are_led_around_what_a_lease_claims(lab: Lab, routing: str) -> None:
    net = machine(lab, routing)
    before = layout(net.router.ns)
    claim(net, *HALVES, *HALVES6)
    said = settled(net)
    assert ways(lab, net) == {"isp1"}
    assert said.count("it is judged a default, and others are led around it") == len(HALVES + HALVES6)
    assert "uplink lte: DHCP has put 0.0.0.0/1 via 10.2.0.1 dev eth2 into main" in said
    assert "uplink lte: router advertisement has put 2000::/3 via 2001:db8:2:1::1 dev eth2 into main" in said
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert ways(lab, net) == {"isp2"}
    net.router.check()
    for prefix in HALVES + HALVES6:
        net.router.ns.ip(f"route del {prefix} dev eth2")
    settled(net)
    assert layout(net.router.ns) == before


def test_nothing_of_it_is_left_by_flush(lab: Lab) -> None:
    net = machine(lab, "default_table = main")
    claim(net, *HALVES, *HALVES6)
    net.router.check()
    assert net.router.mwan("flush").returncode == 0
    for family in ("ipv4", "ipv6"):
        assert not [r for r in net.router.ns.routes("all", family) if r.get("protocol") in ("mwan", "172")]
        assert not [r for r in net.router.ns.rules(family) if r.get("protocol") in ("mwan", "172")]


@pytest.mark.parametrize("routing", ["", "default_table = main"])
@pytest.mark.parametrize("first", ["tunnel", "claims"])
def test_a_tunnels_halves_stay_in_front_of_all_that_is_claimed_inside_them(lab: Lab, routing: str, first: str) -> None:
    net = machine(lab, routing)
    narrower = ("92.0.0.0/6", "8.0.0.0/7", "2000::/3", "2a00::/12", "2600::/12")
    if first == "claims":
        claim(net, *HALVES, *HALVES6)
        net.router.check()
    lab.tunnel(net.router, "tun7", 0xCA6C)
    for line in VPN:
        net.router.ns.ip(line)
    if first == "tunnel":
        net.router.check()
        claim(net, *narrower)
    settled(net)
    for one in net.isps:
        one.forget()
    assert ways(lab, net) == {"isp1"}
    clear = [p for one in net.isps for p in one.seen() if p.destination in BOTH and p.proto == "tcp"]
    assert clear == []


@pytest.mark.parametrize("routing", ["", "main_first = yes\ndefault_table = main"])
def test_wide_routes_of_others_stay_where_they_led(lab: Lab, routing: str) -> None:
    net = machine(lab, routing)
    ns = net.router.ns
    with_lan(net)
    ns.ip("route add 224.0.0.0/4 dev lan7")
    claim(net, "192.0.0.0/2", "232.0.0.0/5")
    settled(net)
    assert (ns.route_get("239.1.2.3") or {})["dev"] == "lan7"
    assert (ns.route_get("10.77.0.9") or {})["dev"] == "lan7"
    assert (ns.route_get("193.0.0.1") or {})["dev"] == "eth1"


def test_what_lies_inside_a_network_of_the_lan_is_named_with_prefix_and_uplink(lab: Lab) -> None:
    net = machine(lab)
    ns = net.router.ns
    with_lan(net)
    ns.ip("-6 addr add 2001:db8:77:1::1/64 dev lan7 nodad")
    claim(net, "10.77.0.128/25", "10.78.0.0/24", "2001:db8:77:1::/65", "44.0.0.0/8", "2c00::/16")
    said = settled(net)
    assert "judged a default" not in said, "a network may be as wide as a /8 or a /16"
    where = "inside the network of 10.77.0.1/24 on lan7: what goes there leaves the LAN"
    assert f"uplink lte: DHCP has put 10.77.0.128/25 via 10.2.0.1 dev eth2 into main, {where}" in said
    assert "put 2001:db8:77:1::/65 via 2001:db8:2:1::1 dev eth2 into main, inside the network of 2001:db8:77" in said
    assert "10.78.0.0/24" not in said
    found = [line for line in net.router.mwan("doctor", code=1).stdout.splitlines() if "lease-inside" in line]
    assert len(found) == 2


def test_without_a_configuration_a_line_with_nothing_but_halves_is_an_uplink(lab: Lab) -> None:
    """RFC 3442: with option 121 a client ignores the router option."""
    net = topologies.probed(lab)
    net.router.configure(CONFIG.partition("[uplinks]")[0].format(""))
    for family in ("", "-6 "):
        net.router.ns.ip(f"{family}route del default dev eth2")
    claim(net, "0.0.0.0/1", "128.0.0.0/1", "2000::/3")
    net.router.check()
    assert set(net.router.status()["uplinks"]) == {"eth1", "eth2"}
    settled(net)
    assert net.router.verdict("eth2") == net.router.verdict("eth2", "ipv6") == "online"
    assert ways(lab, net) == {"isp1"}
    found = net.router.mwan("doctor", code=1).stdout
    assert "lease-default" in found
    assert "split-default" not in found
