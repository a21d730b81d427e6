"""[router] evidence: what a LAN's connections say of a line, with real counters, servers and providers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Lab, Network, topologies

EVERY = 60  # seconds between rounds: the state is made older, and time does not pass
CONFIG = f"""
[router]
evidence = traffic
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
rise = 2
hysteresis_delay = 0
interval = {EVERY}
targets = TARGETS
[uplinks]
[[fiber]]
match = eth1
metric = 100
families = ipv4
[[cable]]
match = eth2
metric = 200
families = ipv4
"""
ECHOES = "icmp://1.1.1.1, icmp://8.8.8.8"
SYN_ACKS = "add rule inet lab OUT tcp flags & (syn | ack) == syn | ack drop\n"
# Connections of which none waits for another, and datagrams that are never answered.
OPEN = """
import socket, sys, time
kind = getattr(socket, sys.argv[1])
open_ = []
for n in range(int(sys.argv[3])):
    sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, kind)
    sock.setblocking(False)
    sock.connect_ex((sys.argv[2], 7 if kind == socket.SOCK_STREAM else 9))
    if kind == socket.SOCK_DGRAM:
        sock.send(b"one way")
    open_.append(sock)
time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """A LAN, and two providers with servers."""
    with Lab() as lab:
        yield topologies.probed(lab, 2, client=True)


@pytest.fixture
def net(lines: Network) -> Network:
    """All whole, as after a boot."""
    for line in lines.lines.values():
        line.isp.heal()
    lines.router.mwan("flush")
    lines.router.reboot_files()
    return lines


def started(net: Network, targets: str = ECHOES) -> None:
    net.router.configure(CONFIG.replace("TARGETS", targets))
    net.router.check()
    assert status(net) == ["online", "online"]


def status(net: Network) -> list[str]:
    return [net.router.verdict(name) for name in ("fiber", "cable")]


def opened(net: Network, count: int = 12, kind: str = "SOCK_STREAM", address: str = "9.9.9.9") -> None:
    """The LAN opens so many at once, and waits for none."""
    assert net.client
    net.client.run(sys.executable, "-IS", "-c", OPEN, kind, address, str(count))


def later(net: Network, seconds: float = EVERY, names: tuple[str, ...] = ("fiber", "cable")) -> None:
    """So many seconds pass for the schedule."""
    state = json.loads(net.router.state_file.read_text())
    for memory in (state["uplinks"][name].get(family, {}) for name in names for family in ("ipv4", "ipv6")):
        for record, key in (
            (memory, "probed_at"),
            (memory, "next_probe_at"),
            (memory.get("evidence", {}), "spared_at"),
        ):
            if key in record:
                record[key] -= seconds
    net.router.write_state(json.dumps(state))


def asked(net: Network) -> set[tuple[str, int]]:
    """What the first provider heard from the router itself: protocol and port, 0 of echoes."""
    isp = net.isps[0]
    found = {(one.proto, one.port) for one in isp.seen() if (one.proto, one.port) != ("tcp", 7)}
    isp.forget()
    return found


def told(net: Network, name: str = "fiber") -> dict[str, Any]:
    found: dict[str, Any] = net.router.family(name)
    return found


def is_spared(net: Network) -> bool:
    """Whether its last round was answered connections.

    There may be one less than were opened: a port that is used anew in a connection's last moments begins none.
    """
    reason: str = told(net)["reason"]
    return reason.endswith("new connections answered; not probed")


def test_a_busy_line_gets_no_probe_and_fails_over_as_quickly(net: Network) -> None:
    started(net)
    asked(net)
    for _ in range(10):
        opened(net)
        later(net, names=("fiber",))
        net.router.mwan("check")
        found = told(net)
        assert is_spared(net) and found["status"] == "online"
    assert found["good"] == 11 and not asked(net)
    assert found["evidence"]["answered"] >= found["evidence"]["new"] > 9 and found["evidence"]["silent"] is False
    # Nothing is due, and it leaves at once.
    net.isps[0].fault("blackhole4")
    opened(net)
    later(net, EVERY / 2)
    net.router.mwan("check")
    assert status(net) == ["offline", "online"] and net.router.way_out() == ["cable"]
    # Standing by it carries nothing, so that it is probed as ever.
    net.isps[0].heal()
    later(net)
    net.router.mwan("check")
    assert ("icmp", 0) in asked(net)


def test_a_quiet_line_is_probed_as_ever_and_for_one_way_datagrams_no_more(net: Network) -> None:
    started(net)
    asked(net)
    opened(net, 40, "SOCK_DGRAM")
    later(net, EVERY / 2)
    net.router.mwan("check")
    assert asked(net) == {("udp", 9)}
    later(net)
    net.router.mwan("check")
    assert ("icmp", 0) in asked(net) and status(net) == ["online", "online"]


def test_this_machines_own_connections_count_too_in_each_family(net: Network) -> None:
    both = CONFIG.replace("families = ipv4", "families = ipv4, ipv6")
    net.router.configure(both.replace("TARGETS", "icmp://1.1.1.1, icmp://2606:4700:4700::1111"))
    net.router.check()
    net.router.ns.run(sys.executable, "-IS", "-c", OPEN, "SOCK_STREAM", "2620:fe::fe", "12")
    later(net)
    net.router.mwan("check")
    assert net.router.family("fiber", "ipv6")["reason"].endswith("new connections answered; not probed")
    assert told(net)["reason"] == "1 of 1 targets answered"
    net.isps[0].fault("blackhole6")
    net.router.ns.run(sys.executable, "-IS", "-c", OPEN, "SOCK_STREAM", "2620:fe::fe", "12")
    later(net, EVERY / 2)
    net.router.mwan("check")
    assert net.router.family("fiber", "ipv6")["status"] == "offline" and status(net) == ["online", "online"]


def test_a_server_that_is_dead_behind_every_provider_takes_no_line_down(net: Network) -> None:
    started(net, f"{ECHOES}, tcp://8.8.8.8:80")
    for isp in net.isps:
        isp.ns.nft("add rule inet lab IN ip daddr 8.8.8.8 tcp dport 80 drop\n")
    net.isps[0].ns.nft("add rule inet lab IN ip daddr 9.9.9.9 tcp dport 7 drop\n")
    for _ in range(2):
        opened(net)
        later(net, EVERY / 2)
        net.router.mwan("check")
        assert status(net) == ["online", "online"]
    assert [one["target"] for one in net.router.status()["ignored"]] == ["tcp://8.8.8.8:80"]


def test_what_the_providers_own_network_answers_says_nothing(net: Network) -> None:
    started(net)
    asked(net)
    opened(net, 12, address=net.isps[0].gateway)
    later(net)
    net.router.mwan("check")
    assert ("icmp", 0) in asked(net)


@pytest.mark.parametrize("targets", [ECHOES, f"{ECHOES}, tcp://8.8.8.8:80"])
def test_a_line_on_which_answers_over_tcp_alone_are_lost_is_offline_until_they_pass(net: Network, targets: str) -> None:
    started(net, targets)
    net.isps[0].ns.nft(SYN_ACKS)
    opened(net)
    later(net, EVERY / 2)
    net.router.mwan("check")
    found = told(net)
    assert status(net) == ["offline", "online"] and net.router.way_out() == ["cable"]
    assert re.search(r"no answer to \d+ of \d+ new connections, nor from tcp://", found["reason"])
    assert found["evidence"]["silent"]
    # echoes are answered all the time
    for _ in range(3):
        later(net)
        net.router.mwan("check")
        assert status(net) == ["offline", "online"]
    net.isps[0].heal()
    for _ in range(2):
        later(net)
        net.router.mwan("check")
    assert status(net) == ["online", "online"] and not told(net)["evidence"]["silent"]


def test_connections_without_answers_alone_take_nothing_offline(net: Network) -> None:
    started(net)
    net.isps[0].ns.nft("add rule inet lab IN ip daddr 9.9.9.9 tcp dport 7 drop\n")
    asked(net)
    for _ in range(3):
        opened(net)
        later(net, EVERY / 2)
        net.router.mwan("check")
        assert status(net) == ["online", "online"] and told(net)["bad"] == 0
        assert asked(net) >= {("icmp", 0), ("tcp", 443)}  # in doubt, and at once
    found = told(net)["evidence"]
    assert found["new"] > 9 and found["answered"] <= 1, "one may be the end of a connection of the test before"


def test_another_program_that_loads_its_rules_anew_costs_a_probe_at_most(net: Network) -> None:
    started(net)
    opened(net)
    net.router.ns.nft("delete table inet mwan_hook\n")
    net.router.mwan("check")  # makes it again
    opened(net)
    later(net)
    net.router.ns.nft("add table inet other\ndelete table inet other\n")
    net.router.mwan("check")
    assert status(net) == ["online", "online"]
    opened(net)
    later(net)
    net.router.mwan("check")
    assert is_spared(net)
    assert net.router.mwan("plan").stdout == ""
