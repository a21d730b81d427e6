"""The topologies that tests share."""

from __future__ import annotations

from typing import NamedTuple

from tests.lab.isp import Isp
from tests.lab.lab import Lab
from tests.lab.netns import Netns
from tests.lab.router import Line, Router


class Network(NamedTuple):
    """A lab with its router; `lines` by interface name, `client` stands behind the router if there is one."""

    lab: Lab
    router: Router
    lines: dict[str, Line]
    client: Netns | None = None

    @property
    def isps(self) -> list[Isp]:
        """Providers in the order of the lines."""
        return [line.isp for line in self.lines.values()]

    def anew(self) -> Network:
        """All lines whole, and the router as after a boot."""
        for interface, line in self.lines.items():
            line.isp.heal()
            self.router.carrier(interface, True)
        self.router.mwan("flush")
        self.router.reboot_files()
        return self

    def give_ipv6(self, lan: str, host: int) -> None:
        """IPv6 for the LAN behind the router: its network begins with `lan`, and the client is `host` in it."""
        assert self.client
        self.router.ns.sysctl({"ipv6/conf/all/forwarding": 1})
        self.router.ns.ip(f"addr add {lan}1/64 dev lan0 nodad")
        self.client.sysctl({"ipv6/conf/eth0/accept_dad": 0})
        self.client.batch(f"addr add {lan}{host}/64 dev eth0 nodad", f"route add default via {lan}1")


def _network(lab: Lab, *lines: Line, client: Netns | None = None, router: Router | None = None) -> Network:
    return Network(lab, router or lab.router(*lines), {line.interface: line for line in lines}, client)


def two_dynamic(lab: Lab) -> Network:
    """Two lines with leases: IPv4 by DHCP and IPv6 by advertisements, metrics 200 and 300 (T-DYN)."""
    gateway6 = "fe80::5054:ff:fe12:3500"
    one = lab.isp("one", "172.30.255.0/24", "fdff:b44d:605c::/64", gateway6)
    two = lab.isp("two", "192.168.255.0/24", "fdc9:dc25:8e35::/64", gateway6)
    return _network(
        lab,
        Line(one, "enp0s8", "172.30.255.4/24", 200, "fdff:b44d:605c:0:a00:27ff:fedb:ad69/64", 200),
        Line(two, "enp0s9", "192.168.255.4/24", 300, "fdc9:dc25:8e35:0:a00:27ff:feaa:bc91/64", 300),
    )


DYNAMIC = """
[routing]
main_first = no
copy_routes = own
[probe]
portal_interval = 0
timeout = 1
[uplinks]
[[one]]
match = enp0s8
metric = 200
table = 2000
rule_priority = 2000
[[two]]
match = enp0s9
metric = 300
table = 3000
rule_priority = 3000
"""


def three_uplinks(lab: Lab) -> Network:
    """A fixed line and two USB routers, with a bridge for the client; no default in main (T-3UP)."""
    lines = (
        Line(lab.isp("fixed", "192.168.1.0/24"), "enp1s0", "192.168.1.80/24"),
        Line(lab.isp("usb1", "192.168.3.0/24"), "enp0s20u1", "192.168.3.2/24"),
        Line(lab.isp("usb2", "192.168.4.0/24"), "enp0s20u2", "192.168.4.2/24"),
    )
    network = _network(lab, *lines)
    return network._replace(client=behind(lab, network.router, "ap0"))


THREE = """
[routing]
default_table = main
copy_routes = main
[probe]
portal_interval = 0
timeout = 1
hysteresis_delay = 0
[uplinks]
[[fixed]]
match = enp1s0
table = 1
metric = 100
gateway = 192.168.1.1
[[usb1]]
match = enp0s20u1
table = 3
metric = 100
gateway = 192.168.3.1
[[usb2]]
match = enp0s20u2
table = 4
metric = 100
gateway = 192.168.4.1
"""


def behind(lab: Lab, router: Router, bridge: str) -> Netns:
    """A LAN 192.168.2.0/24 with one client; the router forwards, masquerades and spreads by ports."""
    router.ns.batch(
        f"link add {bridge} type bridge mcast_snooping 0 forward_delay 0",
        f"link set {bridge} up",
        f"addr add 192.168.2.1/24 dev {bridge}",
    )
    router.ns.sysctl({"ipv4/ip_forward": 1, "ipv4/fib_multipath_hash_policy": 1})
    router.ns.nft(
        "table ip lab { chain NAT { type nat hook postrouting priority srcnat;"
        f' iifname "{bridge}" oifname != "{bridge}" masquerade; }}; }}\n'
    )
    return lab.client(router, "192.168.2.10/24", "192.168.2.1", bridge)


def probed(lab: Lab, count: int = 2, client: bool = False) -> Network:
    """Uplinks eth1, eth2, ... to providers isp1, isp2, ..., each with both families and all servers (T-PROBE)."""
    lines = []
    for n in range(1, count + 1):
        isp = lab.isp(f"isp{n}", f"10.{n}.0.0/24", f"2001:db8:{n}:1::/64")
        lines.append(Line(isp, f"eth{n}", f"10.{n}.0.2/24", 100 * n, f"2001:db8:{n}:1::2/64", 100 * n))
    network = _network(lab, *lines)
    if client:
        network = network._replace(client=behind(lab, network.router, "lan0"))
    lab.serve()
    return network


def demo(lab: Lab) -> Network:
    """Fibre and cable of equal preference, a USB LTE dongle as the second choice, and a LAN (T-DEMO)."""
    lines = (
        Line(lab.isp("fiber", "192.168.1.0/24"), "enp1s0", "192.168.1.80/24", 100, "2001:db8:1:1::80/64", 100),
        Line(lab.isp("cable", "192.168.3.0/24"), "enp2s0", "192.168.3.80/24", 110, "2001:db8:2:1::80/64", 110),
        Line(lab.isp("lte", "192.168.8.0/24"), "enp0s20u1", "192.168.8.100/24", 700),
    )
    network = _network(lab, *lines)
    network = network._replace(client=behind(lab, network.router, "lan0"))
    lab.serve(tls=False)
    return network
