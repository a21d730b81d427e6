"""Connections of a LAN client at failback, and those whose translation names a dead line's address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, Netns, Network, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.uplinks import FIBER_LTE, probing
from tests.netns.test_router import TALK

LAN6 = "fd00:cc::"
QUICK = probing("icmp://8.8.8.8, icmp://2001:4860:4860::8888", interval=0.2)


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Two lines and a LAN of both families; nothing translates yet."""
    with Lab() as lab:
        net = topologies.probed(lab, 2, client=True)
        net.router.ns.nft("delete table ip lab\n")
        net.give_ipv6(LAN6, 20)
        net.isps[1].ns.nft(STRICT)
        yield net


@pytest.fixture
def net(lines: Network) -> Network:
    """Before the first run after a boot, without a ruleset."""
    lines.router.mwan("flush")
    lines.router.reboot_files()
    lines.router.ns.nft("flush ruleset\n")
    return lines


def begun(net: Network) -> Path:
    """Log of a client's TCP connection, which has begun."""
    assert net.client
    log = net.lab.spawn(
        net.client.argv(sys.executable, "-IS", "-c", TALK, INTERNET4[0]), f"talk{len(net.lab.children)}"
    )
    wait_for("the connection", log.read_text, 30)
    return log


@pytest.mark.parametrize(
    ("pin", "failback", "stays"), [("yes", "soft", True), ("yes", "hard", False), ("no", "soft", False)]
)
def test_a_tcp_connection_over_the_backup_stays_or_is_reset_at_failback(
    net: Network, pin: str, failback: str, stays: bool
) -> None:
    net.router.configure(f"[router]\npin = {pin}\nmasquerade = yes\n{QUICK}{FIBER_LTE}failback = {failback}\n")
    net.router.check()
    with net.isps[0].broken("blackhole"):
        net.router.check()
        log = begun(net)
        assert log.read_text().split()[1] == "isp2"
    net.router.check()
    assert net.router.way_out() == ["fiber"]
    count = len(log.read_text().splitlines())
    wait_for("more of it", lambda: len(log.read_text().splitlines()) > count + 2 or "Error" in log.read_text(), 30)
    said = [line.split()[1] for line in log.read_text().splitlines()]
    assert said[-1] == ("isp2" if stays else "ConnectionResetError")
    assert net.lab.connect(net.client, 1) == ["isp1"] if net.client else False


# as providers do, the second one drops what has the first one's addresses
STRICT = """
table inet strict { chain in { type filter hook input priority filter;
 ip saddr 10.1.0.0/24 counter drop
 ip6 saddr 2001:db8:66::/64 counter drop
}; }
"""
FOREIGN = """
table ip other {
 chain post { type nat hook postrouting priority srcnat;
  oifname "eth1" snat to 10.1.0.2
  oifname "eth2" snat to 10.2.0.2
 }
}
"""


def dropped(net: Network, six: bool) -> str:
    """The second provider's line about sources of the first one."""
    listed = net.isps[1].ns.run("nft", "list", "table", "inet", "strict").stdout
    return next(line for line in listed.splitlines() if ("ip6 saddr" if six else "ip saddr") in line)


@pytest.mark.parametrize(
    ("router", "ruleset", "address"),
    [("pin = no", FOREIGN, INTERNET4[0]), ("pin = yes\nnat6 = prefix", "", INTERNET6[-1])],
    ids=["snat", "prefix"],
)
def test_a_flow_whose_translation_names_an_address_is_silent_after_failover_and_a_new_one_works(
    net: Network, router: str, ruleset: str, address: str
) -> None:
    uplinks = FIBER_LTE.replace("match = eth2", "match = eth2\nnat6_prefix = 2001:db8:77::/64").replace(
        "match = eth1", "match = eth1\nnat6_prefix = 2001:db8:66::/64"
    )
    net.router.configure(f"[router]\n{router}\n{QUICK}{uplinks}failback = hard\n")
    net.router.ns.nft(ruleset)
    for number, isp in zip((66, 77), net.isps, strict=True):
        isp.ns.ip(f"route replace 2001:db8:{number}::/64 via 2001:db8:{number % 10 - 5}:1::2")
    net.router.check()
    assert net.client
    old = net.lab.flow(net.client, address)
    assert old.carried_by() == "isp1"
    with net.isps[0].broken("blackhole"):
        net.router.check()
        new = net.lab.flow(net.client, address)
        assert new.carried_by() == "isp2"
        count = len(new.answers())
        wait_for("more answers to the new flow", lambda: len(new.answers()) > count + 5)
        assert {one["isp"] for one in old.answers()} == {"isp1"}
        assert "counter packets 0" not in dropped(net, ":" in address)
    net.router.check()
    wait_for("the old flow by its line again", lambda: old.carried_by() == "isp1", 30)
    for flow in (old, new):
        flow.stop()


# a socket that is not connected: each datagram chooses its source anew; prints the provider of each answer
UNCONNECTED = """
import socket, sys, time
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(0.05)
while True:
    try:
        one.sendto(b"x", (sys.argv[1], 7))
        print(one.recv(99).decode().split()[0], flush=True)
        time.sleep(0.02)
    except OSError:
        pass
"""


def test_the_machines_own_datagrams_move_by_themselves_where_the_socket_is_not_connected(net: Network) -> None:
    net.router.configure(QUICK + FIBER_LTE)
    net.router.check()
    log = net.lab.spawn(net.router.ns.argv(sys.executable, "-IS", "-c", UNCONNECTED, INTERNET4[0]), "unconnected")
    wait_for("the first line", lambda: "isp1" in log.read_text(), 30)
    with net.isps[0].broken("blackhole"):
        net.router.check()
        wait_for("the second line", lambda: log.read_text().endswith("isp2\n"), 30)
    net.router.check()
    wait_for("the first line again", lambda: log.read_text().endswith("isp1\n"), 30)


FORWARD = """
table ip forward { chain pre { type nat hook prerouting priority dstnat;
 iifname "eth1" tcp dport 4000 dnat to 192.168.2.10
}; }
"""
SERVER = """
import socket, time
server = socket.create_server(("", 4000))
print("ready", flush=True)
connection, _ = server.accept()
while True:
    connection.sendall(b"x")
    time.sleep(0.05)
"""
VISITOR = """
import socket, sys
with socket.create_connection((sys.argv[2], 4000), timeout=60, source_address=(sys.argv[1], 0)) as sock:
    while True:
        print(sock.recv(1).decode(), flush=True)
"""


def repeated(ns: Netns | None) -> int:
    """Segments that were sent once more."""
    assert ns
    names, values = [line.split() for line in ns.run("cat", "/proc/net/snmp").stdout.splitlines() if "Tcp:" in line]
    return int(values[names.index("RetransSegs")])


def test_what_came_in_by_a_dead_line_goes_on_when_that_is_back(net: Network) -> None:
    assert net.client
    net.router.configure(f"[router]\npin = yes\nmasquerade = yes\n{QUICK}{FIBER_LTE}failback = hard\n")
    net.router.ns.nft(FORWARD)
    net.router.check()
    served = net.lab.spawn(net.client.argv(sys.executable, "-IS", "-c", SERVER), "served")
    wait_for("the server", lambda: "ready" in served.read_text(), 30)
    words = net.isps[0].ns.argv(sys.executable, "-IS", "-c", VISITOR, INTERNET4[0], "10.1.0.2")
    log = net.lab.spawn(words, "visitor")
    wait_for("the connection", lambda: log.read_text().count("x") > 2, 30)
    with net.isps[0].broken("blackhole"):
        net.router.check()
        before, sent = log.read_text(), repeated(net.client)
        assert net.lab.connect(net.client, 1) == ["isp2"]
        wait_for("the server to send once more, twice", lambda: repeated(net.client) > sent + 1, 30)
        assert log.read_text() == before
    net.router.check()
    wait_for("more of the same connection", lambda: len(log.read_text()) > len(before) + 6, 30)
