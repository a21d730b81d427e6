"""Connections of this machine, which choose no source: each leaves a line with that line's address, by its weight."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Network
from tests.netns.layout import FAMILIES, defaults, hops
from tests.netns.shares import begin, config, counted, network

WEIGHTS = (2, 3, 1)
FLOWS = 480
POINTS = 12.0  # five times what lots of so many are apart: there are 72 of them
SENDERS = """
table inet senders {
 set ipv4 { type ipv4_addr; flags dynamic; size 1024; }
 set ipv6 { type ipv6_addr; flags dynamic; size 1024; }
 chain c {
  type filter hook prerouting priority -320
  th dport 5000-5006 update @ipv4 { ip saddr }
  th dport 5000-5006 update @ipv6 { ip6 saddr }
 }
}
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with Lab() as lab:
        made = network(lab)
        for isp in made.isps:
            isp.ns.nft(SENDERS)
        yield made


def senders(net: Network, family: str) -> list[set[str]]:
    """Of each provider, whose packets it has got; they are forgotten then."""
    found = []
    for isp in net.isps:
        listed = isp.ns.run("nft", "list", "set", "inet", "senders", family).stdout.partition("elements")[2]
        isp.ns.run("nft", "flush", "set", "inet", "senders", family)
        found.append(set(re.findall(r"[0-9a-f]+[.:][0-9a-f.:]+", listed)))
    return found


@pytest.mark.parametrize("table", ["1000", "main"])
@pytest.mark.parametrize("mode", ["auto", "routes", "objects"])
def test_each_leaves_a_line_with_its_address_and_shares_are_those_of_the_weights(
    net: Network, mode: str, table: str
) -> None:
    net.router.configure(config(*WEIGHTS, routing=f"nexthops = {mode}\ndefault_table = {table}"))
    net.router.check()
    assert net.router.mwan("plan").stdout == ""
    for family in FAMILIES:
        assert set(hops(defaults(net.router.ns, table, family)[0])) == {"eth1", "eth2", "eth3"}
        lines = [net.lines[f"eth{n}"] for n in (1, 2, 3)]
        own = [{(one.address if family == "ipv4" else one.address6).partition("/")[0]} for one in lines]
        for kind in ("tcp", "asked"):
            begin(net.router.ns, family, kind, FLOWS, destinations=FLOWS)
            assert senders(net, family) == own, (family, kind)
            numbers = counted(net)
            assert sum(numbers) == FLOWS
            for number, weight in zip(numbers, WEIGHTS, strict=True):
                assert abs(number / FLOWS - weight / sum(WEIGHTS)) * 100 <= POINTS, (family, kind, numbers)


def test_a_line_that_fails_inside_the_kernel_takes_no_others_address_along(net: Network) -> None:
    """Forwarded packets go by a group, own ones beside it: both lose the leg, and what is left has its own source."""
    net.router.configure(config(*WEIGHTS, routing="nexthops = objects"))
    net.router.check()
    net.router.carrier("eth2", False)
    try:
        for family in FAMILIES:
            begin(net.router.ns, family, "asked", FLOWS, destinations=FLOWS)
            got = senders(net, family)
            assert [len(one) for one in got] == [1, 0, 1], (family, got)
            numbers = counted(net)
            assert sum(numbers) == FLOWS
            assert min(numbers[0], numbers[2]) > 0
    finally:
        net.router.carrier("eth2", True)
        net.router.check()


def test_what_own_packets_need_beside_a_group_goes_with_it(net: Network) -> None:
    ns = net.router.ns
    net.router.configure(config(*WEIGHTS, routing="nexthops = objects"))
    net.router.check()
    assert len(hops(defaults(ns, 999, "ipv6")[0])) == 3
    assert [rule["table"] for rule in ns.rules("ipv6") if rule["priority"] == 1899] == ["999"]
    assert "999\tmwan-own" in (net.router.root / "etc/iproute2/rt_tables.d/mwan-hook.conf").read_text()
    net.router.reboot_files()  # the state is lost: it stays until there are verdicts
    net.router.mwan("event", "--facts")
    assert len(hops(defaults(ns, 999, "ipv6")[0])) == 3
    net.router.configure(config(*WEIGHTS, routing="nexthops = routes"))
    net.router.check()
    assert defaults(ns, 999, "ipv6") == []
    assert [rule for rule in ns.rules("ipv6") if rule["priority"] == 1899] == []
