"""A machine with uplinks, a LAN and what other programs have put into the kernel; what can be asked about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.netns.harm_agent import Question

LINES = ("wan1", "wan2", "wan3")
INSIDE = ("lan0", "dmz0", "vrf0")  # dummies
TUNNELS = ("wg0", "ts0")
FAMILIES = (4, 6)
WG_MARK, TS_MARK = 0xCA6C, 0x80000
MAIN = 254


class Plan(NamedTuple):
    """Addresses of one family; {} stands for a line's number."""

    family: int
    length: int  # of networks
    host: int  # of host routes
    own: str
    second: str  # an address that no provider answers: a modem's alias, a ULA
    gateway: str
    silent: str  # a gateway that is not there
    neighbour: str
    lan: str
    lan_host: str
    dmz: str
    dmz_host: str
    worlds: tuple[str, str]  # one in each half of the address space
    halves: tuple[str, str]
    tunnel: str
    tunnel_host: str
    tailnet: str
    tail_own: str
    tail_host: str
    far: str
    far_host: str
    null: str
    null_host: str
    vrf: str
    vrf_own: str
    vrf_host: str
    loopback: str


PLANS = {
    4: Plan(
        family=4,
        length=24,
        host=32,
        own="10.20.{}.80",
        second="192.168.10{}.2",
        gateway="10.20.{}.1",
        silent="10.20.{}.2",
        neighbour="10.20.{}.9",
        lan="172.20.0.1",
        lan_host="172.20.0.9",
        dmz="172.21.0.1",
        dmz_host="172.21.0.9",
        worlds=("9.9.9.9", "198.51.100.7"),
        halves=("0.0.0.0/1", "128.0.0.0/1"),
        tunnel="10.66.0.2",
        tunnel_host="10.66.0.1",
        tailnet="100.64.0.0/10",
        tail_own="100.64.0.5",
        tail_host="100.64.7.7",
        far="10.77.0.0/16",
        far_host="10.77.1.1",
        null="10.88.0.0/16",
        null_host="10.88.1.1",
        vrf="192.168.8.0/24",
        vrf_own="192.168.8.2",
        vrf_host="192.168.8.50",
        loopback="127.0.0.1",
    ),
    6: Plan(
        family=6,
        length=64,
        host=128,
        own="2001:db8:{}::80",
        second="fd00:{}::80",
        gateway="fe80::1",
        silent="fe80::2",
        neighbour="2001:db8:{}::9",
        lan="2001:db8:20::1",
        lan_host="2001:db8:20::9",
        dmz="fd21::1",
        dmz_host="fd21::9",
        worlds=("2001:db8:99::9", "a000::7"),
        halves=("::/1", "8000::/1"),
        tunnel="fd66::2",
        tunnel_host="fd66::1",
        tailnet="fd7a:115c::/48",
        tail_own="fd7a:115c::5",
        tail_host="fd7a:115c::77",
        far="fd77::/32",
        far_host="fd77::1",
        null="fd88::/32",
        null_host="fd88::1",
        vrf="fd08::/64",
        vrf_own="fd08::2",
        vrf_host="fd08::50",
        loopback="::1",
    ),
}


class Case(NamedTuple):
    """One machine."""

    conf: str
    uplinks: tuple[str, ...]  # configured interfaces
    base: tuple[str, ...]  # ip(8) lines of the lines and the LAN
    foreign: tuple[str, ...]  # what other programs add, before or after our first run
    leases: tuple[tuple[str, str], ...]  # interface, text
    owners: tuple[tuple[str, str], ...]  # address, interface
    known: frozenset[tuple[str, int]]  # interface and family that can be used
    policed: bool  # the configuration says where the LAN goes
    notes: tuple[str, ...]

    @property
    def owner(self) -> dict[str, frozenset[str]]:
        """Which interfaces have an address."""
        found: dict[str, set[str]] = {}
        for address, device in self.owners:
            found.setdefault(address, set()).add(device)
        return {address: frozenset(devices) for address, devices in found.items()}

    def __repr__(self) -> str:
        parts = (self.conf, "-- base", *self.base, "-- foreign", *self.foreign, f"-- leases {self.leases}")
        return "\n".join((*parts, f"-- {self.notes}"))


def questions(case: Case) -> list[Question]:
    """Own packets by source, mark and device, forwarded ones, and those that come in."""
    return [question for family in FAMILIES for question in _of_family(case, PLANS[family])]


def _of_family(case: Case, plan: Plan) -> Iterator[Question]:
    family = plan.family
    own = tuple(dict.fromkeys(a for a, _ in case.owners if (":" in a) == (family == 6)))
    near = [text.format(number) for number in (1, 2, 3) for text in (plan.gateway, plan.neighbour)]
    near = [address for address in dict.fromkeys(near) if not address.startswith("fe80:")]
    hosts = (plan.lan_host, plan.dmz_host, plan.tunnel_host, plan.tail_host, plan.far_host, plan.null_host)
    everywhere = (*plan.worlds, *near, *hosts, plan.vrf_host, plan.loopback, *own)
    for dst in everywhere:
        for src in ("", *own):
            yield Question(family, dst, src)
        inside = dst in (plan.tunnel_host, plan.tail_host)  # a tunnel's own packets never go there
        for mark in (1,) if inside else (1, WG_MARK, TS_MARK):
            yield Question(family, dst, mark=mark)
        yield Question(family, dst, dport=53)
    for dst in (*plan.worlds, *near):
        for oif in (*LINES, *TUNNELS):
            yield Question(family, dst, oif=oif)
    for dst in everywhere:
        for iif, src in (("lan0", plan.lan_host), ("dmz0", plan.dmz_host), ("vrf0", plan.vrf_host)):
            yield Question(family, dst, src, iif)
    for dst in own:
        for iif in LINES:
            yield Question(family, dst, plan.worlds[0], iif)
