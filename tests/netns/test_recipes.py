"""The recipes of docs/recipes.md: the files of docs/examples as they stand there do what the page says of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Netns, topologies, wait_for
from tests.lab.isp import INTERNET4
from tests.lab.router import PROJECT
from tests.lab.topologies import Network
from tests.lab.uplinks import probing

SERVER = """
import socket
from threading import Thread
def serve(port):
    server = socket.create_server(("0.0.0.0", port))
    while True:
        connection, _ = server.accept()
        connection.sendall(b"port %d\\n" % port)
        connection.close()
for port in (22, 80, 443):
    Thread(target=serve, args=(port,)).start()
"""
ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.7, source_address=(sys.argv[3], 0)) as s:
        print(s.recv(100).decode().strip())
except OSError as error:
    print(type(error).__name__)
"""
FIBER, CABLE, LTE = "192.168.1.80", "192.168.3.80", "192.168.8.100"


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """Fibre, cable and a stick, a LAN and guests, as the examples name them."""
    with Lab() as lab:
        made = topologies.demo(lab)
        ns = made.router.ns
        ns.nft("delete table ip lab\n")
        ns.batch("link add guest0 type bridge", "link set guest0 up", "addr add 192.168.66.1/24 dev guest0")
        made.router.write("etc/mwan-hook/conf.d/zz-quick.conf", probing("icmp://9.9.9.9"))
        yield made


def put(net: Network, example: str) -> None:
    """An example's files in force."""
    top = PROJECT / "docs/examples" / example
    net.router.configure((top / "etc/mwan-hook/mwan-hook.conf").read_text())
    for file in (top / "etc/sysctl.d").glob("*.conf"):
        lines = [line.split(" = ") for line in file.read_text().splitlines() if not line.startswith("#")]
        net.router.ns.sysctl({key.removeprefix("net.").replace(".", "/"): value for key, value in lines})
    for file in top.glob("etc/nftables.conf"):
        net.router.ns.run("nft", "-f", str(file))
        net.router.ns.run("nft", "-f", str(file))  # as a reload does
    net.router.check()
    assert net.router.status()["errors"] == []


def taken(ns: Netns, words: str) -> str:
    """The device that a packet takes; empty if it is refused."""
    found = ns.route_get(f"8.8.8.8 {words}", "ipv4")
    return str(found["dev"]) if found else ""


def test_fibre_with_a_stick_as_its_backup(net: Network) -> None:
    assert net.client
    put(net, "fiber-lte")
    assert set(net.lab.connect(net.client, 3)) == {"fiber"}
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert set(net.lab.connect(net.client, 3)) == {"lte"}
    net.router.check()
    assert set(net.lab.connect(net.client, 3)) == {"fiber"}


def test_three_to_one_and_calls_by_the_line_that_is_quick(net: Network) -> None:
    put(net, "shares-voip")
    shared = net.router.ns.run("ip", "route", "show", "table", "1000").stdout.splitlines()[:3]
    assert [line.split()[-1] for line in shared[1:]] == ["3", "1"]
    calls = ("ipproto udp dport 5060", "ipproto udp dport 15000")
    assert [taken(net.router.ns, words) for words in calls] == ["enp2s0"] * 2
    with net.isps[1].broken("blackhole"):
        net.router.check()
        assert [taken(net.router.ns, words) for words in calls] == ["enp1s0"] * 2
    net.router.check()


def test_a_web_server_is_reached_through_both_lines_and_nothing_else_is(net: Network) -> None:
    assert net.client
    client = net.client
    put(net, "web-server")
    net.lab.spawn(client.argv(sys.executable, "-IS", "-c", SERVER), "web")
    wait_for("the server", lambda: client.run("ss", "-Hnlt").stdout.count("LISTEN") >= 3)
    fiber, cable = net.isps[0].ns, net.isps[1].ns

    def asked(ns: Netns, address: str, port: int) -> str:
        done = ns.run(sys.executable, "-IS", "-c", ASK, address, str(port), INTERNET4[0])
        return done.stdout.strip()

    for port in (80, 443):
        assert [asked(fiber, FIBER, port), asked(cable, CABLE, port)] == [f"port {port}"] * 2
    assert [asked(fiber, FIBER, 22), asked(cable, CABLE, 22)] == ["TimeoutError"] * 2, "the filter drops it"
    assert set(net.lab.connect(client, 3)) == {"fiber"}, "the LAN goes out, and is answered"
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert asked(cable, CABLE, 80) == "port 80"
        assert set(net.lab.connect(client, 3)) == {"cable"}
    net.router.check()
    net.router.ns.nft("delete table inet site\n")


def test_guests_never_take_the_stick(net: Network) -> None:
    put(net, "guests")
    ns, guest, home = net.router.ns, "from 192.168.66.5 iif guest0", "from 192.168.2.10 iif lan0"
    assert [taken(ns, words) for words in (guest, home)] == ["enp1s0", "enp1s0"]
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert [taken(ns, words) for words in (guest, home)] == ["", "enp0s20u1"]
    net.router.unplug("enp1s0")
    net.router.event("remove", "enp1s0")
    assert [taken(ns, words) for words in (guest, home)] == ["", "enp0s20u1"]
