"""A flow that is older than its translation begins anew, translated; connections that get answers are left alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Netns, Network, topologies, wait_for
from tests.lab.uplinks import ONE_TWO

LAN6 = "fd00:bb::"
SETTINGS = """
[probe]
portal_interval = 0
timeout = 3
fall = 2
[router]
masquerade = ipv4
nat6 = {nat6}
""" + ONE_TWO.replace("match = eth1", "match = eth1\nnat6_prefix = 2001:db8:1:1::/64")
# one UDP flow to each ADDRESS PORT, from ports that count up from the first argument
TALKER = """
import socket, sys, time
flows = []
for number, (address, port) in enumerate(zip(sys.argv[2::2], sys.argv[3::2])):
    flows.append(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM))
    flows[-1].bind(("", int(sys.argv[1]) + number))
    flows[-1].connect((address, int(port)))
while True:
    for flow in flows:
        try:
            flow.send(b"REGISTER")
        except OSError:
            pass
    time.sleep(0.02)
"""
ECHO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("9.9.9.9", 5061))
while True:
    one.sendto(*one.recvfrom(99))
"""
SILENT, ANSWERED = ("9.9.9.9", "5060", "2001:db8:9::9", "5060"), ("9.9.9.9", "5061")
COUNTERS = """
table inet seen {
 counter bare { }
 counter ours { }
 counter answered { }
 counter changed { }
 chain post { type filter hook postrouting priority 400;
  oifname != "eth1" accept
  udp dport 5060 meta nfproto ipv4 ip saddr 192.168.2.0/24 counter name bare accept
  udp dport 5060 meta nfproto ipv6 ip6 saddr fd00:bb::/64 counter name bare accept
  udp dport 5060 counter name ours
  udp dport 5061 ip saddr 192.168.2.0/24 counter name answered accept
  udp dport 5061 counter name changed
 }
}
"""
FIREWALL = "table inet fw { chain f { type filter hook forward priority 0; ct state new accept; }; }\n"


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Two lines and a LAN of both families behind a router on which only mwan-hook may translate."""
    with Lab() as lab:
        net = topologies.probed(lab, 2, client=True)
        net.router.ns.nft("delete table ip lab\n")
        net.give_ipv6(LAN6, 10)
        net.isps[0].ns.ip("route add 192.168.2.0/24 via 10.1.0.2")
        yield net


@pytest.fixture
def net(lines: Network) -> Network:
    """As before the first run after a boot, with a firewall that keeps track of connections."""
    lines.router.mwan("flush")
    lines.router.reboot_files()
    lines.router.ns.nft(f"flush ruleset\n{COUNTERS}{FIREWALL}")
    return lines


@contextlib.contextmanager
def program(ns: Netns, text: str, *words: str) -> Iterator[None]:
    """A program that runs as long as the block."""
    process = subprocess.Popen(ns.argv(sys.executable, "-c", text, *words))
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def flows(net: Network, port: int, *to: str) -> Iterator[None]:
    """The client's flows, as soon as packets of them have left."""
    assert net.client
    with program(net.client, TALKER, str(port), *to):
        wait_for("packets", lambda: any(counted(net).values()), 30)
        yield


def counted(net: Network, reset: bool = False) -> dict[str, int]:
    """Packets that left by eth1, by what they look like."""
    done = net.router.ns.run("nft", "reset" if reset else "list", "counters", "table", "inet", "seen")
    words = done.stdout.split()
    return {words[n + 1]: int(words[n + 4]) for n, word in enumerate(words) if word == "counter"}


def leaves_translated(net: Network) -> None:
    """From now on no packet leaves bare, and some leave translated."""
    counted(net, reset=True)
    wait_for("translated packets", lambda: counted(net)["ours"] > 8, 30)
    assert counted(net)["bare"] == 0


@pytest.mark.parametrize("nat6", ["masquerade", "prefix"])
def test_a_flow_from_before_the_first_run_is_translated_after_it(net: Network, nat6: str) -> None:
    net.router.configure(SETTINGS.format(nat6=nat6))
    port = 4000 if nat6 == "prefix" else 4050
    with flows(net, port, *SILENT):
        done = net.router.check()
        leaves_translated(net)
    assert f"[#] conntrack -D -f ipv4 -p udp -s 192.168.2.10 -d 9.9.9.9 --sport {port} --dport 5060" in done.stdout
    line = f"[#] conntrack -D -f ipv6 -p udp -s {LAN6}10 -d 2001:db8:9::9 --sport {port + 1} --dport 5060"
    assert line in done.stdout
    assert "conntrack" not in net.router.check().stdout


def test_a_flow_that_began_after_flush_ruleset_is_translated_after_the_next_run(net: Network) -> None:
    net.router.configure(SETTINGS.format(nat6="masquerade"))
    net.router.check()
    net.router.ns.nft(f"flush ruleset\n{COUNTERS}{FIREWALL}")
    with flows(net, 4100, *SILENT):
        net.router.mwan("check")
        leaves_translated(net)


def test_a_connection_that_gets_answers_and_one_by_another_line_are_left_alone(net: Network) -> None:
    net.router.configure(SETTINGS.format(nat6="no").replace("masquerade = ipv4", "masquerade = no"))
    net.router.check()
    with program(net.isps[0].ns, ECHO), flows(net, 4200, *ANSWERED):
        wait_for("packets that were answered", lambda: counted(net)["answered"] > 4, 30)
        net.router.configure(SETTINGS.format(nat6="no"))
        assert "conntrack" not in net.router.check().stdout
        counted(net, reset=True)
        wait_for("packets", lambda: counted(net)["answered"] > 4, 30)
        assert counted(net)["changed"] == 0
    net.router.configure(SETTINGS.format(nat6="no").replace("masquerade = ipv4", "masquerade = no"))
    net.router.check()
    with flows(net, 4300, *SILENT[:2]):
        text = SETTINGS.format(nat6="no").replace("masquerade = ipv4", "masquerade = no")
        net.router.configure(text + "masquerade = ipv4\n")
        assert "conntrack" not in net.router.check().stdout, "only line two translates, and this one leaves by one"


def test_no_packet_leaves_bare_after_the_early_run_and_the_first_run_makes_the_whole_table(net: Network) -> None:
    net.router.configure(SETTINGS.format(nat6="masquerade").replace("[router]", "[router]\npin = yes"))
    done = net.router.mwan("event", "--early")
    assert "[#] " in done.stdout
    assert not net.router.state_file.exists()
    with flows(net, 4400, *SILENT):
        leaves_translated(net)
        net.router.check()
        leaves_translated(net)
    table = net.router.ns.run("nft", "list", "table", "inet", "mwan_hook").stdout
    assert "chain postrouting" in table
    assert net.router.mwan("event", "--early").stdout == "", "it stands"


def test_an_early_run_translates_a_line_that_is_not_there_yet(net: Network) -> None:
    net.router.configure(SETTINGS.format(nat6="no").replace("match = eth2", "match = eth7"))
    net.router.mwan("event", "--early")
    table = net.router.ns.run("nft", "list", "table", "inet", "mwan_hook").stdout
    assert 'oifname "eth7"' in table
    net.router.configure(SETTINGS.format(nat6="no").replace("masquerade = ipv4", "masquerade = no"))
    net.router.check()
    assert net.router.ns.run("nft", "list", "table", "inet", "mwan_hook", check=False).stdout == ""
    assert net.router.mwan("event", "--early").stdout == ""
