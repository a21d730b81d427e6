"""Connections of a LAN client at failback, and those whose translation names a dead line's address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, Network, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.uplinks import FIBER_LTE, probing
from tests.netns.test_router import TALK

LAN6 = "fd00:cc::"
QUICK = probing("icmp://8.8.8.8, icmp://2001:4860:4860::8888", interval=0.2)


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Two lines and a LAN of both families; nothing translates yet."""
    with Lab() as lab:
        net = topologies.probed(lab, 2, client=True)
        assert net.client
        net.router.ns.nft("delete table ip lab\n")
        net.router.ns.sysctl({"ipv6/conf/all/forwarding": 1})
        net.router.ns.ip(f"addr add {LAN6}1/64 dev lan0 nodad")
        net.client.sysctl({"ipv6/conf/eth0/accept_dad": 0})
        net.client.batch(f"addr add {LAN6}20/64 dev eth0 nodad", f"route add default via {LAN6}1")
        net.isps[1].ns.nft(STRICT)
        yield net


@pytest.fixture
def net(lines: Network) -> Network:
    """Before the first run after a boot, without a ruleset."""
    lines.router.mwan("flush")
    lines.router.reboot_files()
    lines.router.ns.nft("flush ruleset\n")
    return lines


def begun(net: Network) -> Path:
    """Log of a client's TCP connection, which has begun."""
    assert net.client
    log = net.lab.spawn(
        net.client.argv(sys.executable, "-IS", "-c", TALK, INTERNET4[0]), f"talk{len(net.lab.children)}"
    )
    wait_for("the connection", log.read_text, 30)
    return log


@pytest.mark.parametrize(
    ("pin", "failback", "stays"), [("yes", "soft", True), ("yes", "hard", False), ("no", "soft", False)]
)
def test_a_tcp_connection_over_the_backup_stays_or_is_reset_at_failback(
    net: Network, pin: str, failback: str, stays: bool
) -> None:
    net.router.configure(f"[router]\npin = {pin}\nmasquerade = yes\n{QUICK}{FIBER_LTE}failback = {failback}\n")
    net.router.check()
    with net.isps[0].broken("blackhole"):
        net.router.check()
        log = begun(net)
        assert log.read_text().split()[1] == "isp2"
    net.router.check()
    assert net.router.way_out() == ["fiber"]
    count = len(log.read_text().splitlines())
    wait_for("more of it", lambda: len(log.read_text().splitlines()) > count + 2 or "Error" in log.read_text(), 30)
    said = [line.split()[1] for line in log.read_text().splitlines()]
    assert said[-1] == ("isp2" if stays else "ConnectionResetError")
    assert net.lab.connect(net.client, 1) == ["isp1"] if net.client else False


# as providers do, the second one drops what has the first one's addresses
STRICT = """
table inet strict { chain in { type filter hook input priority filter;
 ip saddr 10.1.0.0/24 counter drop
 ip6 saddr 2001:db8:66::/64 counter drop
}; }
"""
FOREIGN = """
table ip other {
 chain post { type nat hook postrouting priority srcnat;
  oifname "eth1" snat to 10.1.0.2
  oifname "eth2" snat to 10.2.0.2
 }
}
"""


def dropped(net: Network, six: bool) -> str:
    """The second provider's line about sources of the first one."""
    listed = net.isps[1].ns.run("nft", "list", "table", "inet", "strict").stdout
    return next(line for line in listed.splitlines() if ("ip6 saddr" if six else "ip saddr") in line)


@pytest.mark.parametrize(
    ("router", "ruleset", "address"),
    [("pin = no", FOREIGN, INTERNET4[0]), ("pin = yes\nnat6 = prefix", "", INTERNET6[-1])],
    ids=["snat", "prefix"],
)
def test_a_flow_whose_translation_names_an_address_is_silent_after_failover_and_a_new_one_works(
    net: Network, router: str, ruleset: str, address: str
) -> None:
    uplinks = FIBER_LTE.replace("match = eth2", "match = eth2\nnat6_prefix = 2001:db8:77::/64").replace(
        "match = eth1", "match = eth1\nnat6_prefix = 2001:db8:66::/64"
    )
    net.router.configure(f"[router]\n{router}\n{QUICK}{uplinks}failback = hard\n")
    net.router.ns.nft(ruleset)
    for number, isp in zip((66, 77), net.isps, strict=True):
        isp.ns.ip(f"route replace 2001:db8:{number}::/64 via 2001:db8:{number % 10 - 5}:1::2")
    net.router.check()
    assert net.client
    old = net.lab.flow(net.client, address)
    assert old.carried_by() == "isp1"
    with net.isps[0].broken("blackhole"):
        net.router.check()
        new = net.lab.flow(net.client, address)
        assert new.carried_by() == "isp2"
        count = len(new.answers())
        wait_for("more answers to the new flow", lambda: len(new.answers()) > count + 5)
        assert {one["isp"] for one in old.answers()} == {"isp1"}
        assert "counter packets 0" not in dropped(net, ":" in address)
    net.router.check()
    wait_for("the old flow by its line again", lambda: old.carried_by() == "isp1", 30)
    for flow in (old, new):
        flow.stop()
