"""An internet service provider and the internet behind it, in one namespace, with faults to switch.

The test addresses of the internet stand in the namespace itself, so each uplink reaches an internet of
its own, and a black hole in one is seen in one only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Iterator
from typing import NamedTuple

from tests.lab.netns import Netns

INTERNET4 = ("9.9.9.9", "1.1.1.1", "8.8.8.8")
INTERNET6 = ("2606:4700:4700::1111", "2001:4860:4860::8888", "2620:fe::fe", "2001:db8:9::9")
TO4, TO6 = f"ip daddr {{ {', '.join(INTERNET4)} }}", f"ip6 daddr {{ {', '.join(INTERNET6)} }}"
FROM4, FROM6 = TO4.replace("daddr", "saddr"), TO6.replace("daddr", "saddr")

CHAINS = ("PRE", "IN", "OUT")
# ARP has no table in `inet`; `seen` holds what came from the customer
RULES = """
table inet lab {
 set seen { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags dynamic; size 1000; }
 set seen6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags dynamic; size 1000; }
 set ping { type ipv4_addr . ipv4_addr; flags dynamic; size 1000; }
 set ping6 { type ipv6_addr . ipv6_addr; flags dynamic; size 1000; }
 chain RAW {
  type filter hook prerouting priority raw
  iifname != "lan" accept
  meta l4proto { tcp, udp } update @seen { ip saddr . ip daddr . meta l4proto . th dport }
  meta l4proto { tcp, udp } update @seen6 { ip6 saddr . ip6 daddr . meta l4proto . th dport }
  icmp type echo-request update @ping { ip saddr . ip daddr }
  icmpv6 type echo-request update @ping6 { ip6 saddr . ip6 daddr }
 }
 chain PRE { type nat hook prerouting priority dstnat; }
 chain IN { type filter hook input priority filter; }
 chain OUT { type filter hook output priority filter; }
}
table arp lab {
 chain IN { type filter hook input priority filter; }
}
"""
FAULTS = {
    "blackhole4": f"add rule inet lab IN {TO4} drop\nadd rule inet lab OUT {FROM4} drop",
    "blackhole6": f"add rule inet lab IN {TO6} drop\nadd rule inet lab OUT {FROM6} drop",
    "gwdead": "add rule inet lab IN iifname lan drop\nadd rule inet lab OUT oifname lan drop\nadd rule arp lab IN drop",
    "noicmp": f"add rule inet lab IN {TO4} meta l4proto icmp drop\nadd rule inet lab IN {TO6} meta l4proto icmpv6 drop",
    "reject": f"add rule inet lab IN {TO4} reject\nadd rule inet lab IN {TO6} reject",
    "dns": "add rule inet lab IN meta l4proto { tcp, udp } th dport 53 drop",
    "portal": "add rule inet lab PRE iifname lan tcp dport 80 redirect to :8080",
    "slow": "add rule inet lab PRE iifname lan tcp dport 80 redirect to :8081",
    "http500": "add rule inet lab PRE iifname lan tcp dport 80 redirect to :8082",
}
FAULTS["blackhole"] = f"{FAULTS['blackhole4']}\n{FAULTS['blackhole6']}"


class Packet(NamedTuple):
    """A kind of packet that a customer sent; `proto` is tcp, udp or icmp, `port` 0 for icmp."""

    source: str
    destination: str
    proto: str
    port: int


class Isp:
    """One provider; its customers' side is the bridge `lan`."""

    def __init__(self, name: str, ns: Netns, network: str, network6: str, gateway6: str) -> None:
        self.name, self.ns = name, ns
        net = ipaddress.ip_network(network)
        self.gateway, self.gateway6 = str(net[1]), gateway6
        inside6 = ipaddress.ip_network(network6)
        self._build(f"{self.gateway}/{net.prefixlen}", f"{inside6[1]}/{inside6.prefixlen}")

    def _build(self, address: str, address6: str) -> None:
        self.ns.sysctl(
            {
                "ipv6/conf/all/accept_dad": 0,
                "ipv6/conf/default/accept_dad": 0,
                "ipv4/conf/all/rp_filter": 0,
                "ipv4/conf/default/rp_filter": 0,
                "ipv4/ping_group_range": "0 2147483647",
            }
        )
        # a bridge whose last port goes down loses its carrier, and gets it back up to a second late: keep0 stays up;
        # keep1 must not answer for the gateway
        self.ns.batch(
            "link set lo up",
            "link add lan type bridge mcast_snooping 0 forward_delay 0",
            "link add keep0 type veth peer name keep1",
            "link set keep0 master lan up",
            "link set keep1 addrgenmode none arp off up",
            "link set lan addrgenmode none up",
            f"addr add {address} dev lan",
            f"addr add {address6} dev lan nodad",
            f"addr add {self.gateway6}/64 dev lan nodad",
            *[f"addr add {a}/32 dev lo" for a in INTERNET4],
            *[f"addr add {a}/128 dev lo nodad" for a in INTERNET6],
        )
        # neighbour advertisements of a gateway say Router; to networkd 257 one that does not is gone.  Not of `all`:
        # what goes nowhere is dropped without a word
        self.ns.sysctl({"ipv6/conf/lan/forwarding": 1})
        self.ns.nft(RULES)

    def fault(self, *names: str) -> None:
        """Break it; several faults add up."""
        self.ns.nft("\n".join(FAULTS[name] for name in names) + "\n")

    def heal(self) -> None:
        """Take all faults away."""
        self.ns.nft("".join(f"flush chain inet lab {c}\n" for c in CHAINS) + "flush chain arp lab IN\n")

    @contextlib.contextmanager
    def broken(self, *names: str) -> Iterator[None]:
        """The faults last as long as the block."""
        self.fault(*names)
        try:
            yield
        finally:
            self.heal()

    def port(self, interface: str, up: bool) -> None:
        """The customer's interface gets or loses its carrier."""
        self.ns.ip(f"link set p-{interface} {'up' if up else 'down'}")

    def seen(self) -> set[Packet]:
        """What customers have sent since :meth:`forget`, one of each kind."""
        packets = set()
        for name in ("seen", "seen6", "ping", "ping6"):
            listed = json.loads(self.ns.listed(name))
            for element in listed["nftables"][1]["set"].get("elem", []):
                packets.add(_packet(element["concat"]))
        return packets

    def forget(self) -> None:
        """Begin to look anew."""
        self.ns.nft("".join(f"flush set inet lab {s}\n" for s in ("seen", "seen6", "ping", "ping6")))


def _packet(words: list[str | int]) -> Packet:
    source, destination, *rest = words
    proto, port = rest or ("icmp", 0)
    return Packet(str(source), str(destination), str(proto), int(port))
