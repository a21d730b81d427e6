"""Which address and which gateway an uplink has, where there are several: with providers that drop other sources."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Network, topologies

CONFIG = """
[routing]
{routing}
[probe]
portal_interval = 0
timeout = 2
burst_interval = 0.1
fall = 2
rise = 1
hysteresis_delay = 0
targets = icmp://1.1.1.1, icmp://2606:4700:4700::1111
[router]
nat6 = prefix
[uplinks]
[[one]]
match = eth1
metric = 100
{one}
[[two]]
match = eth2
metric = 200
"""
FILTER = """
table inet bcp38 {{
 chain in {{ type filter hook prerouting priority -300;
  iifname != "lan" accept
  ip saddr != {{ {own4} }} drop
  ip6 saddr != {{ fe80::/10, {own6} }} drop
 }}
}}
"""
TELL = 'echo "$UPLINK $IPV4_ADDR $IPV6_ADDR" >>"$MWAN_HOOK_ROOT/told"'


def config(one: str = "", routing: str = "") -> str:
    return CONFIG.format(one=one, routing=routing)


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two lines with both families; the first provider takes nothing that it has not given."""
    made = topologies.probed(lab, 2)
    made.isps[0].ns.nft(FILTER.format(own4="10.1.0.0/24", own6="2001:db8:1:1::/64"))
    made.router.configure(config())
    return made


def settled(net: Network) -> None:
    """One run does it, and the second one writes nothing."""
    done = net.router.check()
    assert done.stderr == ""
    again = net.router.check()
    assert (again.stdout, again.stderr) == ("", "")


def well(net: Network, uplink: str = "one") -> None:
    verdicts = [net.router.verdict(uplink, family) for family in ("ipv4", "ipv6")]
    reasons = [net.router.family(uplink, family)["reason"] for family in ("ipv4", "ipv6")]
    assert verdicts == ["online", "online"], reasons


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_an_alias_and_a_ula_beside_the_addresses_that_the_provider_carries(net: Network, late: bool) -> None:
    """Probes, hooks, status and nat6 take the other ones, in whatever order they came."""
    ns = net.router.ns
    ns.batch("addr flush dev eth1 scope global")
    more = ["addr add 172.31.7.9/24 dev eth1", "addr add fd00:7::9/64 dev eth1 nodad"]
    given = ["addr add 10.1.0.2/24 dev eth1", "addr add 2001:db8:1:1::2/64 dev eth1 nodad"]
    for line in [*given, *more] if late else [*more, *given]:
        ns.ip(line)
    ns.ip("route append default via 10.1.0.1 dev eth1 proto dhcp metric 100")
    ns.ip("-6 route replace default via fe80::1 dev eth1 proto ra metric 100")
    ns.batch("link add inside type bridge", "link set inside up", "addr add fd00:99::1/64 dev inside nodad")
    hook = net.router.write("etc/mwan-hook/online.d/50-tell", f"#!/bin/sh\n{TELL}\n")
    hook.chmod(0o755)
    settled(net)
    well(net)
    assert [net.router.family("one", f)["source"] for f in ("ipv4", "ipv6")] == ["10.1.0.2", "2001:db8:1:1::2"]
    net.router.mwan("notify")
    told = (net.router.root / "told").read_text().splitlines()
    assert {line for line in told if line.startswith("one")} == {"one 10.1.0.2 2001:db8:1:1::2"}
    rules = ns.run("nft", "list", "chain", "inet", "mwan_hook", "srcnat").stdout
    assert [line.rpartition(" ")[2] for line in rules.splitlines() if '"eth1"' in line] == ["2001:db8:1:1::/64"]


def test_addresses_that_come_and_grow_old_while_it_is_online(net: Network) -> None:
    ns = net.router.ns
    settled(net)
    for line in (
        "addr add fd00:7::9/64 dev eth1 nodad",
        "addr add 2001:db8:1:1::b00/64 dev eth1 nodad",
        "addr change 2001:db8:1:1::2/64 dev eth1 valid_lft 900 preferred_lft 0",
    ):
        ns.ip(line)
        settled(net)
        well(net)
    assert net.router.family("one", "ipv6")["source"] == "2001:db8:1:1::b00"


def test_a_source_that_stands_on_the_loopback(net: Network) -> None:
    """The provider routes it to us; the link itself has a private network."""
    ns, isp = net.router.ns, net.isps[0].ns
    isp.nft("flush chain inet bcp38 in\nadd rule inet bcp38 in iifname lan ip saddr 10.1.0.2 ip daddr 1.1.1.1 drop\n")
    isp.ip("route add 203.0.113.80/32 via 10.1.0.2 dev lan")
    ns.batch("addr add 203.0.113.80/32 dev lo", "route del default dev eth1")
    ns.ip("route add default via 10.1.0.1 dev eth1 src 203.0.113.80 metric 100")
    settled(net)
    well(net)
    assert net.router.family("one")["source"] == "203.0.113.80"
