"""Bytes that probing costs, counted at the provider: IP packets of both directions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from tests.bench.table import Row, against, at_most
from tests.lab import INTERNET4, INTERNET6, Isp, Lab, Router, topologies

ROUNDS = 8
MONTH = 30 * 86400
INTERVAL, PORTAL_INTERVAL = 10, 600
PING = 168  # an echo request with 56 bytes, and its answer
COUNTERS = f"""
table inet bench {{
 counter ipv4 {{ }}
 counter ipv6 {{ }}
 chain IN {{
  type filter hook prerouting priority raw
  iifname != "lan" accept
  ip daddr {{ {", ".join(INTERNET4)} }} counter name ipv4
  ip6 daddr {{ {", ".join(INTERNET6)} }} counter name ipv6
 }}
 chain OUT {{
  type filter hook postrouting priority 300
  oifname != "lan" accept
  ip saddr {{ {", ".join(INTERNET4)} }} counter name ipv4
  ip6 saddr {{ {", ".join(INTERNET6)} }} counter name ipv6
 }}
}}
"""
DEFAULTS = "[uplinks]\n[[one]]\nmatch = eth1\n"
PEACE = "[probe]\nportal_interval = 0\n"
PORTAL = "[probe]\nportal_interval = 1\n"


def rows() -> Iterator[Row]:
    """All of this module's."""
    with Lab() as lab:
        net = topologies.probed(lab, 1)
        net.isps[0].ns.nft(COUNTERS)
        net.router.write("etc/resolv.conf", "nameserver 9.9.9.9\n")
        peace = _per_round(net.router, net.isps[0], PEACE, 0)
        portal = _per_round(net.router, net.isps[0], PORTAL, 1.05)
    rounds, checks = MONTH / INTERVAL, MONTH / PORTAL_INTERVAL
    month = {f: (peace[f] * rounds / 1e6, (portal[f] - peace[f]) * checks / 1e6) for f in peace}
    for family, (echoes, pages) in month.items():
        name = {"ipv4": "IPv4", "ipv6": "IPv6"}[family]
        yield at_most(f"probe bytes of a round in peace, {name}", peace[family], "B")
        yield at_most(f"probe bytes of a portal check beyond it, {name}", portal[family] - peace[family], "B")
        what = f"probe bytes in 30 days, one uplink, defaults, {name} (rounds {echoes:.1f} + portal {pages:.1f} MB)"
        naive = PING * rounds / 1e6
        if family == "ipv4":
            yield at_most(what, echoes + pages, "MB", 20)
            yield against("the same, against a default ping every 10 s", echoes + pages, naive, "MB")
        else:
            yield at_most(what, echoes + pages, "MB")
    yield at_most("the same, both families", sum(sum(parts) for parts in month.values()), "MB", 20)


def _per_round(router: Router, isp: Isp, config: str, pause: float) -> dict[str, float]:
    """Bytes of one `check --now` by family; they begin `pause` seconds after the one before has ended."""
    router.configure(config + DEFAULTS)
    for _ in range(4):
        router.check()
    before = _counted(isp)
    for _ in range(ROUNDS):
        time.sleep(pause)
        router.check()
    return {family: (count - before[family]) / ROUNDS for family, count in _counted(isp).items()}


def _counted(isp: Isp) -> dict[str, int]:
    listed = json.loads(isp.ns.run("nft", "-j", "list", "counters", "table", "inet", "bench").stdout)["nftables"]
    return {one["counter"]["name"]: one["counter"]["bytes"] for one in listed if "counter" in one}
