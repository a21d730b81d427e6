"""[router] mss: downloads over a line that takes 1400 bytes at once and says so to no sender, and doctor's word."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pytest

from tests.lab import Lab, Line, Netns, topologies
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.process import PATIENCE, wait_for
from tests.lab.router import Router
from tests.lab.uplinks import probing

V4, V6 = INTERNET4[0], INTERNET6[-1]
LAN6 = "fd00:aa::"
NARROW, BY_POLICY = 5001, 5002  # ports: by the preferred uplink, and by the one that a policy says
SIZE = 1_000_000
CONFIG = (
    probing(interval=60)
    + f"""
[router]
masquerade = yes
nat6 = masquerade
pin = yes
mss = auto
[policies]
[[wide]]
dport = {BY_POLICY}
proto = tcp
uplinks = two
[uplinks]
[[one]]
match = eth1
metric = 100
[[two]]
match = eth2
metric = 200
"""
)
# The size of a segment that the kernel found, then a megabyte.
SERVER = f"""
import socket, threading
def answer(sock):
    with sock:
        sock.settimeout(60)
        if sock.recv(1):
            sock.sendall(b"%6d" % sock.getsockopt(6, 2) + bytes({SIZE}))
def serve(family, port):
    listening = socket.create_server(("", port), family=family)
    while True:
        threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()
places = [(family, port) for family in (socket.AF_INET, socket.AF_INET6) for port in ({NARROW}, {BY_POLICY})]
for place in places:
    threading.Thread(target=serve, args=place).start()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20) as sock:
    own, found = sock.getsockopt(6, 2), b""
    sock.settimeout(float(sys.argv[3]))
    sock.sendall(b"x")
    try:
        while part := sock.recv(1 << 16):
            found += part
    except TimeoutError:
        pass
    print(own, int(found[:6] or 0), max(0, len(found) - 6))
"""


class Seen(NamedTuple):
    """Segments as the client and the server may send them, and bytes of the download."""

    client: int
    server: int
    bytes: int


class World(NamedTuple):
    """A router with a LAN, and two providers; what comes by the first is cut off at 1400 bytes without a word."""

    lab: Lab
    router: Router
    client: Netns

    def configured(self, mss: str) -> None:
        """Run with this `mss`."""
        self.router.configure(CONFIG.replace("mss = auto", f"mss = {mss}"))
        self.router.check()

    def download(self, address: str, port: int = NARROW, patience: float = 20) -> Seen:
        """By the client; ``patience``: seconds without a byte."""
        words = (sys.executable, "-IS", "-c", CLIENT, address, str(port), str(patience * PATIENCE))
        return Seen(*map(int, self.client.run(*words, timeout=90).stdout.split()))

    def sizes(self, address: str, port: int = NARROW) -> tuple[int, int]:
        """What the client and the server are told, of a download that ends well."""
        found = self.download(address, port)
        assert found.bytes == SIZE
        return found.client, found.server


def listens(ns: Netns) -> bool:
    """Whether both ports are served in both families."""
    return ns.run("ss", "-Hnlt").stdout.count(":500") == 4


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab:
        isps = [lab.isp(name, f"10.{n}.0.0/24", f"2001:db8:{n}:1::/64") for n, name in ((1, "one"), (2, "two"))]
        lines = [
            Line(isp, f"eth{n}", f"10.{n}.0.2/24", 100 * n, f"2001:db8:{n}:1::2/64", 100 * n)
            for n, isp in enumerate(isps, 1)
        ]
        router = lab.router(*lines)
        client = topologies.behind(lab, router, "lan0")
        router.ns.nft("delete table ip lab\n")
        router.ns.sysctl({"ipv6/conf/all/forwarding": 1})
        router.ns.batch(f"addr add {LAN6}1/64 dev lan0 nodad", "link set eth1 mtu 1400")
        client.batch(f"addr add {LAN6}10/64 dev eth0 nodad", f"route add default via {LAN6}1")
        for isp in isps:
            # without offload each segment is a packet, which the narrow interface takes or drops
            isp.ns.batch("link set lan gso_max_segs 1")
            isp.ns.nft(
                "table inet mute { chain out { type filter hook output priority 0;"
                " icmp type != echo-reply drop; icmpv6 type { packet-too-big, destination-unreachable } drop; }; }\n"
            )
            log = lab.spawn(isp.ns.argv(sys.executable, "-IS", "-c", SERVER), f"server-{isp.name}")
            wait_for(f"the servers: {log.read_text()}", partial(listens, isp.ns))
        for ns in (client, *(isp.ns for isp in isps)):
            ns.sysctl({"ipv4/tcp_timestamps": 0})  # an option in each segment
        yield World(lab, router, client)


@pytest.mark.parametrize(("address", "narrow", "wide"), [(V4, 1360, 1460), (V6, 1340, 1440)])
def test_a_download_over_a_narrow_line_hangs_without_and_ends_with(
    world: World, address: str, narrow: int, wide: int
) -> None:
    world.configured("no")
    assert world.router.way_out() == ["one"]
    hung = world.download(address, patience=1.5)
    assert hung.bytes < SIZE and (hung.client, hung.server) in ((wide, wide), (wide, 0))
    world.configured("auto")
    assert world.sizes(address) == (narrow, narrow)
    assert world.sizes(address, BY_POLICY) == (wide, wide)  # the other line keeps its own, by the policy's way


def rules(world: World) -> str:
    """Our chain; empty if there is none."""
    return world.router.ns.run("nft", "list", "chain", "inet", "mwan_hook", "segments", check=False).stdout


def test_a_number_is_for_every_uplink_and_a_smaller_size_stays(world: World) -> None:
    world.configured("1250")
    assert {world.sizes(address, port) for address in (V4, V6) for port in (NARROW, BY_POLICY)} == {(1250, 1250)}
    world.router.ns.nft(
        "table inet other { chain before { type filter hook forward priority mangle;"
        ' oifname "eth1" tcp option maxseg size set 1200; iifname "eth1" tcp option maxseg size set 1300; }; }\n'
    )
    try:
        assert world.sizes(V4) == (1250, 1200)
    finally:
        world.router.ns.nft("delete table inet other\n")


def test_the_table_follows_the_links_mtu_and_is_made_once(world: World) -> None:
    ns = world.router.ns
    world.configured("auto")
    assert "set 1360" in rules(world) and "eth2" not in rules(world)
    assert world.router.mwan("plan").stdout == "" == world.router.check().stdout
    try:
        ns.ip("link set eth2 mtu 1492")
        shown = world.router.mwan("plan").stdout
        assert 'oifname "eth2" meta nfproto ipv6 tcp option maxseg size > 1432' in shown
        world.router.event("change", "eth2")
        assert "set 1452" in rules(world) and "set 1360" in rules(world)
        ns.sysctl({"ipv6/conf/eth2/mtu": 1300})  # as a router advertises it
        world.router.check()
        assert "set 1240" in rules(world) and "set 1432" not in rules(world)
    finally:
        ns.ip("link set eth2 mtu 1500")
    world.router.check()
    assert "eth2" not in rules(world)
    world.configured("no")
    assert rules(world) == ""
    world.configured("auto")
    world.router.mwan("flush")
    assert rules(world) == ""
    world.router.configure(CONFIG.replace("masquerade = yes\nnat6 = masquerade\npin = yes\nmss = auto", "mss = 1300"))
    assert "changes nothing without a table" in world.router.check().stderr
    assert ns.run("nft", "list", "tables").stdout == ""


def told(world: World, **uplink: str) -> list[tuple[str, str]]:
    """Uplinks and severities of doctor's findings of narrow ways; each says the size, and what helps."""
    more = "".join(f"{key} = {value}\n" for key, value in uplink.items())
    world.router.configure(CONFIG.replace("mss = auto", "").replace("match = eth1\n", f"match = eth1\n{more}"))
    world.router.check()
    found = json.loads(world.router.mwan("doctor", "--json", code=None).stdout)["findings"]
    narrow = [one for one in found if one["code"] == "path-mtu"]
    for one in narrow:
        assert one["what"].count("1400 bytes and none of 1401") == 2 and "1500 bytes" in one["what"]
        assert "MTUBytes=1400" in one["fix"]["words"] and "mss = 1340" in one["fix"]["words"]
    return [(one["about"], one["severity"]) for one in narrow]


def test_doctor_finds_lines_that_take_less_than_they_say(world: World) -> None:
    """The first provider drops large packets without a word; the second has a router on the way that says so."""
    one, two = world.lab.isps["one"].ns, world.lab.isps["two"].ns
    far = world.lab.netns("far")
    world.router.ns.ip("link set eth1 mtu 1500")
    try:
        assert told(world) == []
        one.nft(
            "table inet cut { chain raw { type filter hook prerouting priority raw; meta length > 1400 drop; }; }\n"
        )
        assert told(world) == [("one", "warning")]
        assert told(world, metered="yes") == []
        one.nft("delete table inet cut\n")
        two.nft("delete table inet mute\n")
        two.sysctl({"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})
        two.batch(
            f"link add narrow0 mtu 1400 type veth peer name eth0 mtu 1400 netns {far.name}",
            *("addr add 198.51.100.1/24 dev narrow0", "addr add 2001:db8:f::1/64 dev narrow0 nodad"),
            "link set narrow0 up",
        )
        far.batch(
            *("addr add 198.51.100.9/24 dev eth0", "addr add 2001:db8:f::9/64 dev eth0 nodad", "link set eth0 up"),
            *("route add default via 198.51.100.1", "route add default via 2001:db8:f::1"),
        )
        routed = probing("icmp://198.51.100.9, icmp://2001:db8:f::9", interval=60)
        world.router.configure(CONFIG.replace(probing(interval=60), routed))
        world.router.check()
        assert world.router.verdict("two", "ipv6") == "online"
        found = json.loads(world.router.mwan("doctor", "--json", code=None).stdout)["findings"]
        [narrow] = [finding for finding in found if finding["code"] == "path-mtu"]
        assert (narrow["about"], narrow["severity"]) == ("two", "note")
        assert narrow["what"].count("1400 bytes and none of 1401") == 2
    finally:
        world.router.ns.ip("link set eth1 mtu 1400")
