"""Sticky sources and packets chosen by nft, with real clients behind the real router."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from tests.lab import Lab, Netns, topologies
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.topologies import Network

BASE = """
[routing]
{routing}
[router]
pin = {pin}
masquerade = yes
nat6 = masquerade
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
rise = 1
hysteresis_delay = 0
targets = icmp://1.1.1.1, icmp://2606:4700:4700::1111
[uplinks]
[[one]]
match = eth1
metric = 100
[[two]]
match = eth2
metric = 100
[[three]]
match = eth3
metric = 200
[policies]
"""
STICKY = "[[web]]\nproto = tcp\nuplinks = one, two\nsticky = {}\n"
FAMILIES = ("ipv4", "ipv6")
ASK = """
import json, socket, sys
sources, destinations, count, tos, device = json.loads(sys.argv[1])
for source in sources:
    for number in range(count):
        to = destinations[number % len(destinations)]
        sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
        sock.settimeout(2)
        if tos:
            kind = (socket.IPPROTO_IPV6, 67) if ":" in to else (socket.IPPROTO_IP, socket.IP_TOS)
            sock.setsockopt(*kind, tos)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((to, 7))
            sock.sendall(b"hello\\n")
            print(json.dumps([source, sock.recv(200).decode().split()[0]]))
        except OSError as error:
            print(json.dumps([source, type(error).__name__]))
        sock.close()
"""
_numbers = count(20)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """Three lines, and a LAN of both families whose clients are addresses of one machine."""
    with Lab() as lab:
        made = topologies.probed(lab, 3, client=True)
        assert made.client
        made.router.ns.nft("delete table ip lab\n")
        made.router.ns.sysctl({"ipv6/conf/all/forwarding": 1, "ipv6/fib_multipath_hash_policy": 1})
        made.router.ns.ip("addr add fd00:2::1/64 dev lan0 nodad")
        made.client.batch("addr add fd00:2::10/64 dev eth0 nodad", "route add default via fd00:2::1")
        yield made


def put(net: Network, policies: str, pin: str = "no", routing: str = "") -> None:
    """In force, without errors."""
    net.router.configure(BASE.format(pin=pin, routing=routing) + policies)
    net.router.check()
    assert net.router.status()["errors"] == []


def clients(net: Network, many: int, family: str = "ipv4") -> list[str]:
    """Addresses in the LAN that nobody had before."""
    assert net.client
    form, length = ("192.168.2.{}", 24) if family == "ipv4" else ("fd00:2::{}", 64)
    made = [form.format(next(_numbers)) for _ in range(many)]
    net.client.batch(*(f"addr add {address}/{length} dev eth0 nodad" for address in made))
    return made


def ask(ns: Netns, sources: Sequence[str], family: str = "ipv4", times: int = 6, tos: int = 0) -> dict[str, list[str]]:
    """Connections of each source to several places: which provider carried them."""
    to = INTERNET4 if family == "ipv4" else INTERNET6[:3]
    words = json.dumps([sources, to, times, tos, ""])
    found: dict[str, list[str]] = {source: [] for source in sources}
    for line in ns.run("python3", "-c", ASK, words).stdout.splitlines():
        source, isp = json.loads(line)
        found[source].append(isp)
    return found


def one_each(found: dict[str, list[str]]) -> dict[str, str]:
    """The one provider of each source; fails where there were more."""
    assert {source: sorted(set(isps)) for source, isps in found.items() if len(set(isps)) != 1} == {}
    return {source: isps[0] for source, isps in found.items()}


@pytest.mark.parametrize("pin", ["no", "yes"])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_client_keeps_one_uplink_and_clients_are_spread_over_both(net: Network, family: str, pin: str) -> None:
    assert net.client
    put(net, STICKY.format(600), pin)
    sources = clients(net, 16, family)
    first = one_each(ask(net.client, sources, family))
    assert set(first.values()) == {"isp1", "isp2"}
    assert one_each(ask(net.client, sources, family)) == first
