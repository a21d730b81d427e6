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


def test_without_sticky_the_same_clients_use_both(net: Network) -> None:
    assert net.client
    put(net, STICKY.format("no"))
    found = ask(net.client, clients(net, 4), times=12)
    assert all(set(isps) == {"isp1", "isp2"} for isps in found.values())


def learned(net: Network) -> dict[str, str]:
    """Sources in the sets, with the uplink that they belong to."""
    found = {}
    listed = json.loads(net.router.ns.run("nft", "-j", "list", "table", "inet", "mwan_hook").stdout)["nftables"]
    for one in (entry["set"] for entry in listed if "set" in entry):
        for element in one.get("elem", []):
            address = element["elem"]["val"]
            assert address not in found, "held by two uplinks"
            found[address] = one["name"].split("_")[2]
    return found


def test_an_idle_client_is_forgotten_and_one_that_goes_on_is_not(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(2))
    idle, busy = clients(net, 2)
    ask(net.client, [idle, busy])
    assert set(learned(net)) == {idle, busy}
    for _ in range(6):
        ask(net.client, [busy], times=1)
        time.sleep(0.4)
    assert set(learned(net)) == {busy}


@pytest.mark.parametrize(("family", "pin"), [("ipv4", "yes"), ("ipv6", "no"), ("ipv4", "no")])
def test_clients_of_a_dead_uplink_move_at_once_and_stay_where_they_went(net: Network, family: str, pin: str) -> None:
    assert net.client
    put(net, STICKY.format(600), pin)
    sources = clients(net, 10, family)
    first = one_each(ask(net.client, sources, family))
    assert set(first.values()) == {"isp1", "isp2"}
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert set(one_each(ask(net.client, sources, family, 3)).values()) == {"isp2"}
    net.router.check()
    assert set(one_each(ask(net.client, sources, family, 3)).values()) == {"isp2"}
    new = clients(net, 10, family)
    assert set(one_each(ask(net.client, new, family, 3)).values()) == {"isp1", "isp2"}


def test_a_backup_keeps_no_client_when_a_better_uplink_is_back(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(600).replace("one, two", "one, three"))
    sources = clients(net, 3)
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert set(one_each(ask(net.client, sources)).values()) == {"isp3"}
        assert {learned(net)[source] for source in sources} == {"three"}
    net.router.check()
    assert set(one_each(ask(net.client, sources)).values()) == {"isp1"}
    assert {learned(net)[source] for source in sources} == {"one"}


def test_a_table_that_is_made_anew_keeps_what_was_learned(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(600))
    sources = clients(net, 8)
    first = one_each(ask(net.client, sources))
    before = learned(net)
    assert set(sources) <= set(before)
    net.router.ns.nft("add rule inet mwan_hook learning counter\nadd chain inet mwan_hook more\n")
    put(net, STICKY.format(600).replace("one, two", "one, two, three"), pin="yes")
    assert learned(net) == before
    listed = net.router.ns.run("nft", "list", "table", "inet", "mwan_hook").stdout
    assert "more" not in listed and "counter" not in listed and "_three_" in listed
    assert one_each(ask(net.client, sources)) == first
    put(net, STICKY.format(300))
    assert learned(net) == {}, "another time is another set"


@pytest.fixture(scope="module")
def other(net: Network) -> Netns:
    """A second machine in the LAN."""
    made = net.lab.client(net.router, "192.168.2.9/24", "192.168.2.1", "lan0", "other")
    made.batch("addr add fd00:2::9/64 dev eth0 nodad", "route add default via fd00:2::1")
    return made


def mac(ns: Netns) -> str:
    return str(ns.objects("link show eth0")[0]["address"])


FROM = {"ipv4": "192.168.2.9", "ipv6": "fd00:2::9"}
EF = 0xB8


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pin", ["no", "yes"])
def test_a_sender_is_chosen_by_its_mac_address(net: Network, other: Netns, family: str, pin: str) -> None:
    assert net.client
    put(net, f"[[guest]]\nmac = {mac(other)}\nuplinks = three\nfallback = unreachable\n", pin)
    (source,) = clients(net, 1, family)
    assert "isp3" not in ask(net.client, [source], family)[source]
    assert one_each(ask(other, [FROM[family]], family)) == {FROM[family]: "isp3"}
    with net.isps[2].broken("blackhole"):
        net.router.check()
        assert set(ask(other, [FROM[family]], family, 2)[FROM[family]]) <= {"OSError", "TimeoutError"}
        assert "isp3" not in ask(net.client, [source], family, 2)[source]


@pytest.mark.parametrize("family", FAMILIES)
def test_packets_are_chosen_by_dscp_forwarded_and_own(net: Network, other: Netns, family: str) -> None:
    put(net, "[[voice]]\nproto = tcp\ndscp = ef\nuplinks = three\nfallback = unreachable\n")
    for ns, source in ((other, FROM[family]), (net.router.ns, "")):
        assert one_each(ask(ns, [source], family, tos=EF)) == {source: "isp3"}
        assert "isp3" not in ask(ns, [source], family, tos=0x28)[source]
    with net.isps[2].broken("blackhole"):
        net.router.check()
        for ns, source in ((other, FROM[family]), (net.router.ns, "")):
            assert not set(ask(ns, [source], family, 2, tos=EF)[source]) & {"isp1", "isp2", "isp3"}
