"""A USB device that says it is a network card, as hostile as can be: uplinks of its section, and no more."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.measured import MOST, measured
from tests.lab.process import PATIENCE
from tests.lab.uplinks import FIBER_LTE, QUAD9, probing
from tests.netns.layout import layout

CONFIG = (
    probing(QUAD9, timeout=0.4)
    + """[router]
pin = yes
masquerade = yes
"""
    + FIBER_LTE
    + "[[stick]]\nmatch = usb*, enx*, eth1?*, id:12d1:14db\nmetric = 300\n"
)
MAC = "02:00:5e:00:00:01"
COUNT = 24  # functions of one device
# What an interface is called does not make it an uplink's: eth1 is fiber, eth10 is none of it.
NAMES = (*(f"usb{number}" for number in range(COUNT - 3)), "enx02005e000001", "eth10", "eth1.")


@pytest.fixture
def net(lab: Lab) -> Network:
    """Fiber and LTE, both judged."""
    made = topologies.probed(lab)
    made.router.ns.batch(f"link set eth1 address {MAC}")
    made.router.configure(CONFIG)
    made.router.check()
    return made


def plug(net: Network) -> None:
    """Interfaces with fiber's MAC, address, network and gateway in both families, and a default before all others."""
    for name in NAMES:
        net.router.ns.batch(
            f"link add {name} address {MAC} type veth peer name far-{name[:10]}",
            f"link set far-{name[:10]} up",
            f"link set {name} up",
            f"addr add 10.1.0.2/24 dev {name}",
            f"addr add 2001:db8:1:1::2/64 dev {name} nodad",
            f"route append default via 10.1.0.1 dev {name} metric 5",
            f"route append default via fe80::1 dev {name} metric 5",
        )
        index = net.router.ns.run("cat", f"/sys/class/net/{name}/ifindex").stdout.strip()
        net.router.write(f"run/udev/data/n{index}", "E:ID_VENDOR_ID=12d1\nE:ID_MODEL_ID=14db\nE:ID_NET_NAME=eth1\n")


def carried(lab: Lab, net: Network) -> set[str]:
    """The providers that the router's own connections get to, with and without fiber's address."""
    return {isp for address in (INTERNET4[0], INTERNET6[-1]) for isp in lab.connect(net.router.ns, 2, address)}


def test_a_device_that_copies_an_uplink_many_times_takes_nothing_of_it(lab: Lab, net: Network) -> None:
    before = layout(net.router.ns)
    plug(net)
    said = net.router.event("add", "usb0").stdout.splitlines()
    argv = net.router.argv("check", "--now")
    run = measured(argv, {**os.environ, **net.router.environment()})
    assert (run.code, run.peak < MOST) == (0, True), run.errors
    uplinks = net.router.status()["uplinks"]
    assert {name for name in uplinks if not name.startswith("stick@")} == {"fiber", "lte"}
    assert (uplinks["fiber"]["interface"], uplinks["fiber"]["ipv4"]["status"]) == ("eth1", "online")
    assert {one["ipv4"]["status"] for name, one in uplinks.items() if name.startswith("stick@")} == {"offline"}
    assert carried(lab, net) == {"isp1"}
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert carried(lab, net) == {"isp2"}
    net.router.check()
    for name in NAMES:
        net.router.ns.ip(f"link del {name}")
    said += net.router.event("remove", "usb0").stdout.splitlines()
    verdicts = Counter(line.partition(" -> ")[2].partition(" ")[0] for line in said if line.startswith("stick@"))
    assert verdicts and max(verdicts.values()) <= 10
    net.router.check()
    assert layout(net.router.ns) == before
    assert len(net.router.status()["uplinks"]) < len(NAMES)


def test_a_lease_and_advertisements_without_measure_cost_little_and_touch_no_other_line(lab: Lab, net: Network) -> None:
    ns = net.router.ns
    ns.batch(*(f"addr add 2001:db8:2:{number:x}::7/64 dev eth2 nodad" for number in range(2, 200)))
    ns.batch(*(f"route append default via fe80::{number:x} dev eth2 proto ra metric 9" for number in range(2, 200)))
    index = ns.run("cat", "/sys/class/net/eth2/ifindex").stdout.strip()
    many = [f"10.{number // 250}.{number % 250}.9" for number in range(4000)]
    lease = ["ADDRESS=10.2.0.2", "ROUTER=" + " ".join(many), "DNS=" + " ".join(many), "DOMAINNAME=" + "x." * 40_000]
    net.router.write(f"run/systemd/netif/leases/{index}", "\n".join(lease))
    began = time.monotonic()
    run = measured(net.router.argv("check", "--now"), {**os.environ, **net.router.environment()})
    assert (run.code, run.peak < MOST) == (0, True), run.errors
    assert time.monotonic() - began < 10 * PATIENCE
    assert (len(run.said.splitlines()) < 200, run.errors) == (True, "")
    assert net.router.verdict("fiber") == net.router.verdict("fiber", "ipv6") == "online"
    assert carried(lab, net) == {"isp1"}
    assert net.router.check().stdout == ""
