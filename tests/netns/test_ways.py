"""Which address and which gateway an uplink has, where there are several: with providers that drop other sources."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Network, Router, topologies, wait_for
from tests.lab.uplinks import probing
from tests.netns.layout import defaults, hops, layout

CONFIG = (
    """
[routing]
{routing}
"""
    + probing(timeout=2)
    + """[router]
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
)
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
    """Probes, hooks, status and nat6 take the other ones, in any order."""
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


GATEWAYS4 = {"eth1": "10.1.0.1", "eth2": "10.2.0.1"}


def multihomed(net: Network, *, in_main: bool) -> None:
    """Defaults in tables of their own, with rules; their networks in main or only there, as networkd may do it."""
    ns = net.router.ns
    for n, (dev, gateway) in enumerate(GATEWAYS4.items(), 1):
        table, own4, own6 = 300 + n, f"10.{n}.0.2", f"2001:db8:{n}:1::2"
        for family in ("-4", "-6"):
            ns.ip(f"{family} route del default dev {dev}")
        if not in_main:
            ns.ip(f"addr change {own4}/24 dev {dev} noprefixroute")
            ns.batch(f"route flush table main dev {dev}")
            ns.ip(f"route add 10.{n}.0.0/24 dev {dev} proto dhcp scope link src {own4} metric 70 table {table}")
        ns.ip(f"route add default via {gateway} dev {dev} onlink proto dhcp src {own4} metric 70 table {table}")
        ns.ip(f"-6 route add default via fe80::1 dev {dev} proto ra metric 70 table {table}")
        for family, own in (("-4", own4), ("-6", own6)):
            ns.ip(f"{family} rule add pref {9000 + n} from {own} lookup {table}")
            ns.ip(f"{family} rule add pref {9100 + n} lookup {table}")


def reached(net: Network) -> dict[tuple[str, str], bool]:
    """From each address of ours, and from none: the internet and the neighbours."""
    ns, found = net.router.ns, {}
    neighbours = {
        "10.1.0.2": "10.1.0.1",
        "10.2.0.2": "10.2.0.1",
        "2001:db8:1:1::2": "2001:db8:1:1::1",
        "2001:db8:2:1::2": "2001:db8:2:1::1",
    }
    for source in ("", *neighbours):
        for target in ["2606:4700:4700::1111" if ":" in source else "1.1.1.1", *filter(None, [neighbours.get(source)])]:
            words = ["ping", "-c1", "-W2", *(["-I", source] if source else []), target]
            found[source, target] = ns.run(*words, check=False).returncode == 0
    return found


@pytest.mark.parametrize("in_main", [True, False], ids=["networks-in-main", "networks-elsewhere"])
def test_what_a_multihomed_machine_reached_it_reaches_after_our_first_run(net: Network, in_main: bool) -> None:
    """Its gateways stand in tables of others only; none of those is touched."""
    multihomed(net, in_main=in_main)
    before = reached(net)
    assert all(before.values())
    foreign = [line for line in layout(net.router.ns) if '"protocol": "172"' not in line]
    settled(net)
    well(net)
    well(net, "two")
    assert reached(net) == before
    assert [line for line in layout(net.router.ns) if '"protocol": "172"' not in line] == foreign
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert net.router.way_out() == net.router.way_out("ipv6") == ["two"]


def test_gateways_that_main_does_not_reach_and_a_default_of_ours_in_main(net: Network) -> None:
    multihomed(net, in_main=False)
    net.router.configure(config(routing="default_table = main"))
    settled(net)
    found = defaults(net.router.ns, "main")
    assert [hops(route) for route in found] == [
        {"eth1": ("10.1.0.1", 1)},
        {"eth1": ("10.1.0.1", 1)},
        {"eth2": ("10.2.0.1", 1)},
    ]
    net.router.mwan("flush")
    assert defaults(net.router.ns, "main") == []


def test_a_default_in_the_table_that_the_uplink_was_given(net: Network) -> None:
    multihomed(net, in_main=True)
    net.router.configure(config("table = 301"))
    settled(net)
    well(net)
    net.router.mwan("flush")
    assert len(defaults(net.router.ns, 301)) == 1


@pytest.mark.parametrize("metric", [5, 100, 900])
def test_a_default_that_a_lease_has_left_behind(net: Network, metric: int) -> None:
    ns = net.router.ns
    ns.ip("addr add 10.77.0.2/24 dev eth1")
    ns.ip(f"route prepend default via 10.77.0.1 dev eth1 proto dhcp metric {metric}")
    ns.ip("addr del 10.77.0.2/24 dev eth1")
    settled(net)
    well(net)
    assert net.router.family("one")["gateway"] == "10.1.0.1"


def test_nothing_is_asked_of_a_line_without_carrier(net: Network) -> None:
    """Its gateway is in a network that nothing reaches now, which is no error, and comes with the carrier."""
    router = net.router
    router.configure(config("gateway = 2001:db8:1:1::1, 10.1.0.1"))
    router.ns.ip("-6 route del default dev eth1")
    router.carrier("eth1", on=False)
    settled(net)
    assert router.family("one", "ipv6")["reason"] == "no carrier"
    router.carrier("eth1", on=True)
    settled(net)
    well(net)


def gateways_after_a_check(router: Router) -> list[str]:
    """Of both families; a silent one is asked again at once (hysteresis_delay = 0), and its answer counts next time."""
    router.check()
    return [router.family("one", family)["gateway"] for family in ("ipv4", "ipv6")]


def test_of_several_gateways_the_first_that_answers_is_used(net: Network) -> None:
    """Two routers stand in the network; whether they are in main's defaults or in the configuration."""
    router, isp = net.router, net.isps[0].ns
    router.configure(config("gateway = 10.1.0.77, 10.1.0.1, fe80::77, fe80::1"))
    settled(net)
    well(net)
    assert router.family("one")["gateway"] == "10.1.0.1"
    isp.batch("addr add 10.1.0.77/24 dev lan", "addr add fe80::77/64 dev lan nodad")
    wait_for("the first gateways", lambda: gateways_after_a_check(router) == ["10.1.0.77", "fe80::77"], step=0.2)
    router.configure(config())
    router.ns.ip("route append default via 10.1.0.66 dev eth1 metric 1")
    router.ns.ip("-6 route append default via fe80::66 dev eth1 metric 1")
    settled(net)
    well(net)
    assert router.family("one", "ipv6")["gateway"] == "fe80::1"


def test_a_router_whose_line_is_dead_gives_way_to_the_next_and_back_when_that_fails(net: Network) -> None:
    """Both answer ARP; what goes through the first one gets nothing."""
    router, isp = net.router, net.isps[0].ns
    mac = "02:00:00:00:66:01"
    isp.batch("link add keep2 type veth peer name keep3", "link set keep2 master lan up")
    isp.batch(f"link set keep3 address {mac} up", "addr add 10.1.0.66/32 dev keep3")
    isp.sysctl({"ipv4/conf/all/arp_ignore": 1, "ipv4/conf/lan/arp_ignore": 1})
    isp.nft("table bridge lab { chain dead { type filter hook prerouting priority -300; }; }\n")
    for address in ("1.1.1.1", "9.9.9.9"):
        isp.nft(f"add rule bridge lab dead ether daddr {mac} ip daddr {address} drop\n")
    router.configure(config("gateway = 10.1.0.66, 10.1.0.1\nfamilies = ipv4"))
    router.check()
    router.check()
    assert (router.family("one")["gateway"], router.verdict("one")) == ("10.1.0.1", "online")
    for _ in range(2):
        router.check()
        assert router.family("one")["gateway"] == "10.1.0.1"  # nothing swings while it works
    other = isp.run("cat", "/sys/class/net/lan/address").stdout.strip()
    isp.nft(f"flush chain bridge lab dead\nadd rule bridge lab dead ether daddr {other} ip daddr 1.1.1.1 drop\n")
    router.check()
    assert (router.family("one")["gateway"], router.verdict("one")) == ("10.1.0.66", "online")


def test_a_line_with_nothing_but_a_delegated_prefix(net: Network) -> None:
    """It sends from the LAN's address of that prefix, and the LAN goes on as before."""
    router, isp = net.router, net.isps[0].ns
    isp.nft("flush chain inet bcp38 in\n")
    isp.nft("add rule inet bcp38 in iifname lan ip6 saddr != { fe80::/10, 2001:db8:a1:6600::/56 } drop\n")
    router.ns.sysctl({"ipv6/conf/all/forwarding": 1})
    router.ns.ip("addr del 2001:db8:1:1::2/64 dev eth1")
    router.ns.ip("addr add fe80::bb/64 dev eth1 nodad")
    isp.ip("route add 2001:db8:a1:6600::/56 via fe80::bb dev lan")
    router.ns.batch(
        "link add inside type bridge",
        "link add host0 type veth peer name host1",
        "link set host0 master inside up",
        "link set host1 up",
        "link set inside up",
        "addr add 2001:db8:a1:6603::1/64 dev inside nodad",
        "route add unreachable 2001:db8:a1:6600::/56 dev lo proto dhcp metric 1024",
    )
    router.write("run/mwan-hook/prefixes/eth1", "2001:db8:a1:6600::/56\n")
    settled(net)
    well(net)
    assert router.family("one", "ipv6")["source"] == "2001:db8:a1:6603::1"
    assert router.ns.run("ping", "-c1", "-W2", "2001:4860:4860::8888").returncode == 0
    rules = [rule for rule in router.ns.rules("ipv6") if rule.get("srclen") == 56]
    assert [rule["table"] for rule in rules] == ["1001"]
    router.ns.ip("addr del 2001:db8:a1:6603::1/64 dev inside")  # a router behind this one has all of it
    settled(net)
    assert router.family("one", "ipv6")["reason"] == "no address"
    rules = [rule for rule in router.ns.rules("ipv6") if rule.get("srclen") == 56]
    assert [rule.get("table") for rule in rules] == ["1001"]
