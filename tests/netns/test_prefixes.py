"""Delegated IPv6 prefixes: hosts leave by the uplink that theirs came by, with providers that drop other sources."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.lab import Lab, Netns, topologies, wait_for
from tests.lab.topologies import Network
from tests.lab.uplinks import BOTH, probing

WEB = "2001:db8:9::9"  # on the internet of every provider
PROBES = probing(f"{BOTH}, icmp://2001:4860:4860::8888", timeout=0.5, fall=1, interval=10)
UPLINKS = """
[uplinks]
[[one]]
match = eth1
metric = 100
[[two]]
match = eth2
metric = 100
[[three]]
match = eth3
metric = 100
"""
PLAIN = PROBES + UPLINKS
SUFFIX = "c0:ffee"


ACTIONS = {"7": "unreachable"}


def delegated(n: int) -> str:
    return f"2001:db8:{n}:5600::/56"


def host(n: int, suffix: str = SUFFIX, subnet: int = 0) -> str:
    """A host's address of provider n's prefix."""
    return str(ipaddress.ip_address(f"2001:db8:{n}:56{subnet:02x}::{suffix}"))


def delegate(net: Network, n: int, prefix: str = "") -> None:
    """What a DHCP client does with a prefix, and its script with what it knows."""
    net.router.ns.ip(f"route add unreachable {prefix or delegated(n)} dev lo proto dhcp metric 1024")
    written = net.router.root / f"run/mwan-hook/prefixes/eth{n}"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(f"{prefix or delegated(n)}\n")


class World(NamedTuple):
    """Three uplinks; two have delegated a prefix, of which the LAN and the client have addresses."""

    net: Network
    client: Netns

    def ways(self, source: str) -> str:
        """By which provider a connection of the client from that address gets through; empty: by none."""
        words = ["curl", "-s", "-g", "-m1", "--interface", source, f"http://[{WEB}]/isp"]
        return self.client.run(*words, check=False).stdout.strip()

    def rules(self) -> dict[str, tuple[int, str]]:
        """Priority, and table or action, of ours by prefix: no guards, nor those that keep the LAN's traffic inside."""
        found = [rule for rule in reversed(self.net.router.ns.rules("ipv6")) if rule.get("protocol") == "172"]
        return {
            f"{rule['src']}/{rule['srclen']}": (rule["priority"], ACTIONS.get(rule.get("action", "")) or rule["table"])
            for rule in found
            if "srclen" in rule and "suppress_prefixlen" not in rule
        }

    def dropped(self, n: int) -> int:
        """Packets of foreign sources that a provider's filter has met."""
        ns = self.net.isps[n - 1].ns
        listed = json.loads(ns.run("nft", "-j", "list", "counter", "inet", "bcp38", "bad").stdout)
        return int(listed["nftables"][1]["counter"]["packets"])

    @contextlib.contextmanager
    def configured(self, config: str) -> Iterator[None]:
        """With another configuration, as long as the block lasts."""
        self.net.router.configure(config)
        self.net.router.check()
        try:
            yield
        finally:
            self.net.router.configure(PLAIN)
            self.net.router.check()

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """All providers are."""
        with contextlib.ExitStack() as stack:
            for isp in self.net.isps:
                stack.enter_context(isp.broken(fault))
            yield


FILTER = """
table inet bcp38 {{
 counter bad {{ }}
 chain in {{ type filter hook prerouting priority -300;
  iifname != "lan" accept
  ip6 saddr {{ fe80::/10, ::/128, {own} }} accept
  meta nfproto ipv6 counter name bad drop
 }}
}}
"""


def build(lab: Lab, config: str = PLAIN) -> World:
    net = topologies.probed(lab, 3, client=True)
    router, client = net.router, net.client
    assert client
    router.ns.sysctl({"ipv6/conf/all/forwarding": 1, "ipv6/fib_multipath_hash_policy": 1})
    client.sysctl({"ipv6/conf/eth0/accept_dad": 0, "ipv6/conf/eth0/accept_ra": 1})
    for n, isp in enumerate(net.isps, 1):
        isp.ns.nft(FILTER.format(own=f"2001:db8:{n}:1::/64, {delegated(n)}, 2001:db8:{n}:7700::/56"))
        isp.ns.sysctl({"ipv6/conf/all/forwarding": 1})
        for prefix in (delegated(n), f"2001:db8:{n}:7700::/56"):
            isp.ns.ip(f"route add {prefix} via 2001:db8:{n}:1::2 dev lan")
    for n in (1, 2):
        delegate(net, n)
        router.ns.ip(f"addr add {host(n, '1')}/64 dev lan0 nodad")
    router.configure(config)
    router.check()
    return World(net, client)


def gateway(net: Network) -> str:
    """The LAN's router, by its link-local address."""
    return net.router.ns.ip("-6 -br addr show dev lan0 scope link").split()[2].split("/")[0]


def with_addresses(world: World) -> World:
    """The client has an address of either prefix, given by hand."""
    addresses = (f"addr add {host(n)}/64 dev eth0 nodad" for n in (1, 2))
    world.client.batch(*addresses, f"route add default via {gateway(world.net)} dev eth0")
    return world


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """A world for the tests that leave it as it was."""
    with Lab() as lab:
        yield with_addresses(build(lab))


def settled(world: World) -> bool:
    done = world.net.router.mwan("plan")
    return not done.stdout and not done.stderr


def test_each_prefix_leaves_by_its_uplink_and_no_provider_sees_anothers(shared: World) -> None:
    before = [shared.dropped(n) for n in (1, 2, 3)]
    assert [shared.ways(host(1)) for _ in range(5)] == ["isp1"] * 5
    assert [shared.ways(host(2)) for _ in range(5)] == ["isp2"] * 5
    assert [shared.dropped(n) for n in (1, 2, 3)] == before
    assert shared.rules()[delegated(1)] == (1200, "1001")
    assert shared.rules()[delegated(2)] == (1200, "1002")
    assert settled(shared)


def test_without_the_rules_foreign_sources_reach_providers_that_drop_them(shared: World) -> None:
    """What the rules are for, and that the test before can fail."""
    before = shared.dropped(1) + shared.dropped(2) + shared.dropped(3)
    with shared.configured(PLAIN.replace("metric = 100", "metric = 100\nprefixes = no")):
        assert shared.rules() == {}
        wait_for("a connection that fails", lambda: shared.ways(host(1)) == "")
    assert shared.dropped(1) + shared.dropped(2) + shared.dropped(3) > before


def test_prefixes_can_be_named_in_the_configuration(shared: World) -> None:
    named = PLAIN.replace("match = eth1", "match = eth1\nprefixes = 2001:db8:1:5600::/56, 2001:db8:1:7700::/56")
    with shared.configured(named.replace("match = eth2", "match = eth2\nprefixes = no")):
        assert shared.rules() == {delegated(1): (1200, "1001"), "2001:db8:1:7700::/56": (1200, "1001")}
        assert settled(shared)


@pytest.mark.parametrize("routing", ["main_first = yes", "main_first = no\ndefault_table = main"])
def test_networks_of_one_prefix_reach_each_other(shared: World, routing: str) -> None:
    ns, other = shared.net.router.ns, host(1, subnet=1)
    ns.batch("link add lan1 type bridge", "link set lan1 up", f"addr add {host(1, '1', 1)}/64 dev lan1 nodad")
    try:
        with shared.configured(f"[routing]\n{routing}\n{PLAIN}"):
            for n in (1, 2):
                found = ns.route_get(f"{other} from {host(n)} iif lan0", "ipv6")
                assert found
                assert found["dev"] == "lan1"
            assert shared.ways(host(1)) == "isp1"
            assert settled(shared)
    finally:
        ns.ip("link del lan1")


def test_a_dead_uplinks_hosts_are_refused_at_once_and_leak_nothing(shared: World) -> None:
    net = shared.net
    before = [shared.dropped(n) for n in (1, 2, 3)]
    with net.isps[0].broken("blackhole6"):
        net.router.check()
        assert net.router.verdict("one", "ipv6") == "offline"
        begun = time.monotonic()
        told = shared.client.run("ping", "-6", "-c1", "-W5", "-I", host(1), WEB, check=False).stdout
        assert "unreachable: No route" in told
        assert time.monotonic() - begun < 0.5
        assert shared.ways(host(2)) == "isp2"
        assert shared.rules()[delegated(1)] == (1200, "unreachable")
        assert settled(shared)
    net.router.check()
    assert shared.ways(host(1)) == "isp1"
    assert [shared.dropped(n) for n in (1, 2, 3)] == before


def test_with_nothing_online_hosts_leave_by_their_own_uplink_as_the_last_resort_says(shared: World) -> None:
    router = shared.net.router
    with shared.broken("blackhole6"):
        router.check()
        assert router.way_out("ipv6") == []
        assert shared.rules()[delegated(1)] == (1200, "1001")
        with shared.configured(f"[routing]\nlast_resort = unreachable\n{PLAIN}"):
            assert shared.rules()[delegated(1)] == (1200, "unreachable")
    router.check()


def test_a_dead_uplinks_hosts_leave_by_another_one_that_translates(shared: World) -> None:
    net = shared.net
    two = PLAIN.replace("match = eth2", "match = eth2\nnat6 = masquerade")
    for config, rule in ((two, (1200, "1002")), (f"[router]\nnat6 = masquerade\n{PLAIN}", None)):
        with shared.configured(config):
            before = [shared.dropped(n) for n in (1, 2, 3)]
            with net.isps[0].broken("blackhole6"):
                net.router.check()
                assert shared.rules().get(delegated(1)) == rule
                ways = {shared.ways(host(1)) for _ in range(2)}
                assert ways <= ({"isp2"} if rule else {"isp2", "isp3"})
                assert settled(shared)
            net.router.check()
            assert shared.ways(host(1)) == "isp1"
            assert [shared.dropped(n) for n in (1, 2, 3)] == before


def test_a_pinned_connection_that_failed_over_stays_translated_when_its_uplink_is_back(shared: World) -> None:
    net = shared.net
    with shared.configured(f"[router]\npin = yes\nnat6 = masquerade\n{PLAIN}"):
        assert shared.rules()[delegated(1)] == (1301, "1001")
        shared.client.ip(f"route add {WEB} via {gateway(net)} dev eth0 src {host(1)}")
        flow = net.lab.flow(shared.client, WEB)
        try:
            assert flow.carried_by() == "isp1"
            with net.isps[0].broken("blackhole6"):
                net.router.check()
                moved = flow.carried_by()
                assert moved in ("isp2", "isp3")
            net.router.check()
            assert shared.ways(host(1)) == "isp1"
            assert flow.carried_by() == moved
        finally:
            flow.stop()
            shared.client.ip(f"route del {WEB}")


def test_another_prefix_is_followed_by_the_next_run_and_the_old_one_goes(shared: World) -> None:
    net, new = shared.net, "2001:db8:1:7700::/56"
    net.router.ns.ip(f"route del unreachable {delegated(1)}")
    net.router.ns.ip(f"addr del {host(1, '1')}/64 dev lan0")
    net.router.check()
    assert delegated(1) in shared.rules(), "nothing has come in its place: hosts have its addresses still"
    delegate(net, 1, new)
    net.router.check()
    assert set(shared.rules()) == {new, delegated(2)}
    net.router.ns.ip(f"route del unreachable {new}")
    delegate(net, 1)
    net.router.ns.ip(f"addr add {host(1, '1')}/64 dev lan0 nodad")
    net.router.check()
    assert set(shared.rules()) == {delegated(1), delegated(2)}


def test_a_prefix_of_64_bits_that_only_the_lans_address_shows_is_asked_for(shared: World) -> None:
    net, ns = shared.net, shared.net.router.ns
    ns.ip("addr add 2001:db8:2:7700::1/64 dev lan0 nodad")
    try:
        net.router.check()
        assert "2001:db8:2:7700::/64" not in shared.rules()
        net.router.write("run/mwan-hook/prefixes/eth2", f"{delegated(2)}\n2001:db8:2:7700::/64\n")
        wait_for("it to be asked for again", lambda: net.router.check() and "2001:db8:2:7700::/64" in shared.rules())
    finally:
        ns.ip("addr del 2001:db8:2:7700::1/64 dev lan0")
        net.router.write("run/mwan-hook/prefixes/eth2", f"{delegated(2)}\n")
        net.router.mwan("flush")
        net.router.check()


def test_a_second_run_writes_nothing_and_foreign_rules_stay(shared: World) -> None:
    ns = shared.net.router.ns
    ns.ip("-6 rule add from 2001:db8:1:5600::/56 priority 1199 lookup main suppress_prefixlength 0 protocol 4")
    shared.net.router.check()
    monitor = shared.net.lab.monitor(ns)
    before = shared.net.router.state_file.stat().st_ino
    shared.net.router.mwan("check")
    assert monitor.written() == []
    assert shared.net.router.state_file.stat().st_ino == before
    shared.net.router.mwan("flush")
    assert [rule["priority"] for rule in ns.rules("ipv6") if rule.get("srclen")] == [1199]
    ns.ip("-6 rule del priority 1199")
    shared.net.router.check()
    assert set(shared.rules()) == {delegated(1), delegated(2)}


def test_a_large_table_hides_no_prefix_and_no_network(shared: World) -> None:
    """Main is read by device then; and of two prefixes networkd 252 leaves one without an address on the LAN."""
    ns, router = shared.net.router.ns, shared.net.router
    ns.batch(f"addr del {host(1, '1')}/64 dev lan0", f"route add {host(1, '')}/64 dev lan0 proto kernel")
    ns.batch(*(f"route add 2001:db8:4000:{n:x}::/64 via fe80::1 dev eth3 metric 5" for n in range(2000)))
    try:
        router.mwan("flush")
        with shared.configured(f"[router]\ndeprecate_prefixes = yes\n{PLAIN}"):
            assert set(shared.rules()) == {delegated(1), delegated(2)}
            known = json.loads(router.state_file.read_text())["delegated"]
            lan = ns.index("lan0")
            assert [one["lans"] for one in known] == [[{"index": lan, "prefix": f"{host(n, '')}/64"}] for n in (1, 2)]
    finally:
        ns.ip("-6 route flush dev eth3 metric 5")
        ns.batch(f"route del {host(1, '')}/64 dev lan0", f"addr add {host(1, '1')}/64 dev lan0 nodad")
        router.check()
