"""What the tests of shares have in common: three uplinks, a LAN, and how many flows reached each provider."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.lab import Lab, Netns, Network, topologies
from tests.lab.uplinks import probing
from tests.netns.flows import DESTINATIONS, ESTABLISHED_PORT, ESTABLISHED_PORT6, NEW_PORT

FLOWS = 600
POINTS = 6.0  # that a share may differ from its weight's
LAN6 = "fd00:aa::"
# What arrives is counted at the far end and goes no further: there is no answer.
COUNT = """
table inet count {
 counter flows {}
 set ports { type inet_service; flags dynamic; size 65535; }
 chain arrived {
  th sport 20000-29999 update @ports { th sport } drop
  counter name flows drop
 }
 chain c {
  type filter hook prerouting priority -310
  meta l4proto { tcp, udp } th dport 5000-5006 goto arrived
 }
}
"""
CONFIG = (
    """
[routing]
{routing}
"""
    + probing(burst_interval=0.5, fall=3)
    + """[uplinks]
"""
)


def config(*weights: int, routing: str = "", metric: int = 100) -> str:
    """Uplinks w1, w2, ... of equal preference with these weights."""
    parts = [f"[[w{n}]]\nmatch = eth{n}\nmetric = {metric}\nweight = {w}\n" for n, w in enumerate(weights, 1)]
    return CONFIG.format(routing=routing) + "".join(parts)


def network(lab: Lab, count: int = 3, policy: int = 1) -> Network:
    """Uplinks with both families, all of metric 100 in main, and a LAN of both families."""
    net = topologies.probed(lab, count, client=True)
    net.router.ns.nft("delete table ip lab\n")  # what is translated remembers its way
    net.router.ns.sysctl({f"{version}/fib_multipath_hash_policy": policy for version in ("ipv4", "ipv6")})
    if os.path.exists("/proc/sys/net/ipv4/fib_multipath_hash_seed"):  # Linux 6.11: the same lots in every run
        net.router.ns.sysctl({"ipv4/fib_multipath_hash_seed": 20260728})
    net.give_ipv6(LAN6, 10)
    for isp in net.isps:
        isp.ns.nft(COUNT)
    return net


def begin(
    ns: Netns,
    family: str,
    kind: str = "udp",
    count: int = FLOWS,
    destinations: int = DESTINATIONS,
    first: int = NEW_PORT,
) -> None:
    """One packet of each flow."""
    script = str(Path(__file__).with_name("flows.py"))
    ns.run(sys.executable, "-IS", script, family, kind, str(count), str(destinations), str(first))


def counted(net: Network) -> list[int]:
    """How many packets each provider got, and begin to count anew."""
    numbers = []
    for isp in net.isps:
        found = re.search(r"packets (\d+)", isp.ns.run("nft", "reset", "counter", "inet", "count", "flows").stdout)
        assert found
        numbers.append(int(found[1]))
    return numbers


def carried(net: Network, ns: Netns, count: int) -> dict[int, str]:
    """One more packet of each of `count` flows of both families: by source port, the provider that it reached."""
    begin(ns, "ipv4", count=count, first=ESTABLISHED_PORT)
    begin(ns, "ipv6", count=count, first=ESTABLISHED_PORT6)
    found = {}
    for isp in net.isps:
        both = "nft list set inet count ports && nft flush set inet count ports"
        listed = isp.ns.run("sh", "-c", both).stdout.partition("elements")[2]
        found.update(dict.fromkeys(map(int, re.findall(r"\b2\d{4}\b", listed)), isp.name))
    assert len(found) == 2 * count
    return found


def shares(net: Network, ns: Netns, family: str, kind: str = "udp", destinations: int = DESTINATIONS) -> list[float]:
    """The share of the flows that each provider got, in percent; none of them may be lost."""
    begin(ns, family, kind, destinations=destinations)
    numbers = counted(net)
    assert sum(numbers) == FLOWS, numbers
    return [100 * number / FLOWS for number in numbers]


def assert_shares(found: list[float], weights: tuple[int, ...]) -> None:
    """Each within six points of its weight's part."""
    wanted = [100 * weight / sum(weights) for weight in weights]
    for have, want in zip(found, [*wanted, *[0.0] * (len(found) - len(wanted))], strict=True):
        assert abs(have - want) <= POINTS, (found, wanted)
