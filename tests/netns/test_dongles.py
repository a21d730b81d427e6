"""Identical USB modems: the same address, gateway, subnet and MAC on each, and each an uplink of its own."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from tests.lab import Lab, Line, Netns, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.topologies import Network
from tests.lab.uplinks import probing

MAC = "02:1e:10:1f:00:00"
CONFIG = (
    """
[router]
pin = yes
masquerade = yes
nat6 = masquerade
"""
    + probing("icmp://1.1.1.1, tcp://8.8.8.8:80, icmp://2606:4700:4700::1111", interval=0.2)
    + """[uplinks]
[[lte]]
match = u*
metric = 200
"""
)
NAMED = CONFIG.replace("[[lte]]\nmatch = u*", "[[left]]\nmatch = u1\nmetric = 200\n[[right]]\nmatch = u2")
ADDRESS, ADDRESS6 = "192.168.8.100", "fd00:8::100"
SERVICE = """
import socket
from threading import Thread
def serve(family, address):
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, 4000))
    server.listen()
    while True:
        connection, _ = server.accept()
        connection.sendall(b"served\\n")
        connection.close()
Thread(target=serve, args=(socket.AF_INET, "0.0.0.0")).start()
serve(socket.AF_INET6, "::")
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 4000), timeout=3, source_address=(sys.argv[2], 0)) as sock:
    print(sock.recv(100).decode().strip())
"""


def sticks(lab: Lab, count: int, strict: bool = False, config: str = CONFIG) -> Network:
    """A router with identical sticks u1, u2, ... and a LAN; each stick's provider is s1, s2, ..."""
    lines = []
    for n in range(1, count + 1):
        isp = lab.isp(f"s{n}", "192.168.8.0/24", "fd00:8::/64")
        lines.append(Line(isp, f"u{n}", f"{ADDRESS}/24", 700, f"{ADDRESS6}/64", 700, mac=MAC))
    router = lab.router()
    if strict:
        router.ns.sysctl({"ipv4/conf/all/rp_filter": 1, "ipv4/conf/default/rp_filter": 1})
    for line in lines:
        router.plug(line)
    net = Network(lab, router, {line.interface: line for line in lines}, topologies.behind(lab, router, "lan0"))
    router.ns.nft("delete table ip lab\n")
    lab.serve(tls=False)
    router.configure(config)
    router.check()
    return net


def online(net: Network, family: str = "ipv4") -> list[str]:
    """Sticks whose verdict is online."""
    uplinks = net.router.status()["uplinks"]
    return sorted(one["interface"] for one in uplinks.values() if one[family]["status"] == "online")


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("strict", [False, True])
def test_each_is_probed_on_its_own(lab: Lab, count: int, strict: bool) -> None:
    net = sticks(lab, count, strict)
    names = [f"u{n}" for n in range(1, count + 1)]
    assert online(net) == names == online(net, "ipv6")
    for isp in net.isps:
        assert isp.seen()
    with net.isps[1].broken("blackhole"):
        net.router.check()
        left = [name for name in names if name != "u2"]
        assert online(net) == left == online(net, "ipv6")
        assert net.router.way_out() == [f"lte@{name}" for name in left]
    net.router.check()
    assert online(net) == names


@pytest.mark.parametrize("address", [INTERNET4[0], INTERNET6[-1]])
def test_all_of_them_are_used_by_the_router_and_by_clients(lab: Lab, address: str) -> None:
    net = sticks(lab, 4)
    assert net.client
    net.router.ns.sysctl({"ipv6/fib_multipath_hash_policy": 1})
    own = Counter(lab.connect(net.router.ns, 60, address))
    assert set(own) == {"s1", "s2", "s3", "s4"} and min(own.values()) > 3
    if ":" not in address:
        behind = Counter(lab.connect(net.client, 60, address))
        assert set(behind) == {"s1", "s2", "s3", "s4"} and min(behind.values()) > 3


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    net = sticks(lab, 4)
    assert net.router.mwan("check", "--now").stdout == ""
    assert net.router.mwan("plan").stdout == ""


def test_flows_are_pinned_each_to_its_stick_and_move_when_that_is_pulled(lab: Lab) -> None:
    net = sticks(lab, 2, config=NAMED)
    assert net.client
    flows = [lab.flow(net.client, address) for address in INTERNET4[:1] * 16]  # the kernel draws lots
    where = [flow.carried_by() for flow in flows]
    assert set(where) == {"s1", "s2"}
    net.router.configure(NAMED.replace("match = u2\nmetric = 200", "match = u2\nmetric = 50"))
    net.router.check()
    assert set(lab.connect(net.client, 6)) == {"s2"}
    assert [flow.carried_by() for flow in flows] == where
    net.router.unplug("u1")
    net.router.event("remove", "u1")
    assert {flow.carried_by() for flow in flows} == {"s2"}
    assert set(lab.connect(net.router.ns, 4)) == {"s2"}
    for flow in flows:
        flow.stop()


@pytest.mark.parametrize("pulled", ["u1", "u2"])
def test_pulling_one_leaves_the_other_alone_and_it_comes_back(lab: Lab, pulled: str) -> None:
    net = sticks(lab, 2)
    other = {"u1": "u2", "u2": "u1"}[pulled]
    net.router.unplug(pulled)
    assert net.router.ns.route_get(INTERNET4[0])["dev"] == other  # type: ignore[index]  # by the kernel alone
    net.router.event("remove", pulled)
    assert online(net) == [other]
    assert set(lab.connect(net.router.ns, 4)) == {f"s{other[1]}"}
    assert set(lab.connect(net.router.ns, 4, INTERNET6[-1])) == {f"s{other[1]}"}
    net.router.plug(net.lines[pulled])
    net.router.event("add", pulled)
    assert online(net) == ["u1", "u2"]
    net.router.check()
    assert net.router.mwan("plan").stdout == ""


@pytest.mark.parametrize("strict", [False, True])
def test_the_routers_services_answer_by_the_stick_that_asks(lab: Lab, strict: bool) -> None:
    net = sticks(lab, 4, strict)
    lab.spawn(net.router.ns.argv(sys.executable, "-IS", "-c", SERVICE), "service")
    wait_for("the service", lambda: net.router.ns.run("ss", "-Hnlt").stdout.count(":4000 ") == 2)
    for isp in net.isps:
        assert asked(isp.ns, ADDRESS, INTERNET4[0]) == "served"
        assert asked(isp.ns, ADDRESS6, INTERNET6[-1]) == "served"


def asked(ns: Netns, address: str, source: str) -> str:
    """What the service at port 4000 says to a client in the internet, or the error."""
    done = ns.run(sys.executable, "-IS", "-c", ASK, address, source, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_a_strict_filter_is_put_back_when_addresses_are_told_apart_again(lab: Lab) -> None:
    net = sticks(lab, 2, strict=True)
    assert net.router.ns.read_sysctl("ipv4/conf/u1/rp_filter") == "2"
    net.router.unplug("u2")
    net.router.event("remove", "u2")
    assert net.router.ns.read_sysctl("ipv4/conf/u1/rp_filter") == "1"
    net.router.plug(net.lines["u2"])
    net.router.event("add", "u2")
    assert net.router.ns.read_sysctl("ipv4/conf/u1/rp_filter") == "2"
    net.router.mwan("flush")
    assert {net.router.ns.read_sysctl(f"ipv4/conf/{name}/rp_filter") for name in ("u1", "u2")} == {"1"}


def test_beside_a_better_line_a_socket_with_their_address_leaves_by_one_that_works(lab: Lab) -> None:
    net = sticks(lab, 2)
    fiber = Line(lab.isp("fiber", "10.9.0.0/24"), "eth9", "10.9.0.2/24", 100)
    net.router.plug(fiber)
    net.router.configure(CONFIG + "[[fiber]]\nmatch = eth9\nmetric = 100\n")
    net.router.check()
    assert net.router.way_out() == ["fiber"]
    found = net.router.ns.route_get(f"{INTERNET4[0]} from {ADDRESS}")
    assert found and found["dev"] == "u1"
    with net.isps[0].broken("blackhole"):
        net.router.check()
        found = net.router.ns.route_get(f"{INTERNET4[0]} from {ADDRESS}")
        assert found and found["dev"] == "u2"
