"""Files of VyOS and OPNsense, imported and in force: their sentences hold in the kernel, with lines alive and dead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab, Network, topologies
from tests.netns.layout import defaults, hops

VYOS = """
load-balancing {
    wan {
        enable-local-traffic
        interface-health eth0 {
            nexthop "10.1.0.1"
            test 1 {
                resp-time "1"
                target "9.9.9.9"
            }
        }
        interface-health eth1 {
            nexthop "10.2.0.1"
            test 1 {
                resp-time "1"
                target "9.9.9.9"
            }
        }
        interface-health eth2 {
            nexthop "dhcp"
            test 1 {
                resp-time "1"
                target "9.9.9.9"
            }
        }
        rule 10 {
            destination {
                port "5060-5070"
            }
            failover
            inbound-interface "eth9"
            interface eth1 {
                weight "4"
            }
            interface eth2 {
                weight "8"
            }
            protocol "udp"
        }
        rule 20 {
            inbound-interface "eth9"
            interface eth0 {
                weight "90"
            }
            interface eth1 {
                weight "30"
            }
        }
    }
}
"""
VYOS_MAPS = ("eth0=eth1", "eth1=eth2", "eth2=eth3", "eth9=lan0")

LINE = """<gateway_item><name>GW{n}</name><interface>{logical}</interface><ipprotocol>inet</ipprotocol>
<gateway>10.{n}.0.1</gateway><defaultgw>1</defaultgw><monitor>9.9.9.9</monitor><priority>{priority}</priority>
<weight>1</weight><losshigh>10</losshigh><time_period>20</time_period><interval>1</interval>
<loss_interval>1</loss_interval></gateway_item>"""
RULE = """<rule><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol><protocol>any</protocol>
<source>{source}</source><destination><any/></destination>{gateway}</rule>"""
OPNSENSE = f"""<?xml version="1.0"?>
<opnsense>
  <system><gw_switch_default>1</gw_switch_default></system>
  <interfaces>
    <wan><if>igb0</if><enable>1</enable></wan><opt1><if>igb1</if><enable>1</enable></opt1>
    <opt2><if>igb2</if><enable>1</enable></opt2>
    <lan><if>igb3</if><enable>1</enable><ipaddr>192.168.2.1</ipaddr><subnet>24</subnet></lan>
  </interfaces>
  <gateways>
    {LINE.format(n=1, logical="wan", priority=20)}
    {LINE.format(n=2, logical="opt1", priority=30)}
    {LINE.format(n=3, logical="opt2", priority=10)}
    <gateway_group><name>POOL</name><item>GW1|1</item><item>GW2|1</item><item>GW3|2</item><trigger>down</trigger>
    </gateway_group>
  </gateways>
  <filter>
    {RULE.format(source="<address>192.168.2.7</address>", gateway="")}
    {RULE.format(source="<network>lan</network>", gateway="<gateway>POOL</gateway>")}
  </filter>
</opnsense>
"""
OPNSENSE_MAPS = ("wan=eth1", "opt1=eth2", "opt2=eth3", "lan=lan0")


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Three lines and a LAN."""
    with Lab() as lab:
        yield topologies.probed(lab, 3, client=True)


def imported(net: Network, kind: str, text: str, maps: tuple[str, ...]) -> None:
    """Have in force what a file means, with all lines well."""
    for isp in net.isps:
        isp.heal()
    file = net.router.write(kind, text)
    words = [word for one in maps for word in ("--map", one)]
    net.router.configure(net.router.mwan("import", kind, str(file), *words, code=None).stdout)
    assert "good" in net.router.mwan("config", "--check").stdout
    net.router.check()
    assert net.router.status()["errors"] == []


def devices(net: Network, source: str = "192.168.2.3", words: str = "ipproto tcp dport {}", count: int = 4) -> set[str]:
    """Devices by which so many connections of a host of the LAN leave."""
    asked = f"9.9.9.9 {words} from {source} iif lan0"
    return {str((net.router.ns.route_get(asked.format(port)) or {}).get("dev", "")) for port in range(1, count + 1)}


def test_balancing_rules_of_vyos(lines: Network) -> None:
    imported(lines, "vyos", VYOS, VYOS_MAPS)
    voice = "ipproto udp dport 5065"
    best = defaults(lines.router.ns, 1000)[0]
    assert {device: weight for device, (_, weight) in hops(best).items()} == {"eth1": 3, "eth2": 1}
    assert devices(lines, count=40) == {"eth1", "eth2"}
    assert devices(lines, words=voice) == {"eth3"}
    lines.isps[2].fault("blackhole")
    lines.router.check()
    assert devices(lines, words=voice) == {"eth2"}, "the next lower weight"
    lines.isps[0].fault("blackhole")
    lines.router.check()
    assert devices(lines) == {"eth2"}


def test_groups_and_rules_of_opnsense(lines: Network) -> None:
    imported(lines, "opnsense", OPNSENSE, OPNSENSE_MAPS)
    assert lines.router.way_out() == ["gw3"], "the gateway of the lowest priority"
    assert devices(lines, count=40) == {"eth1", "eth2"}, "both of the first tier"
    assert devices(lines, "192.168.2.7") == {"eth3"}, "a rule without gateway comes before"
    lines.isps[0].fault("blackhole")
    lines.router.check()
    assert devices(lines) == {"eth2"}
    lines.isps[1].fault("blackhole")
    lines.router.check()
    assert devices(lines) == {"eth3"}, "the second tier"
