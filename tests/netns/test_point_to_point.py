"""A point-to-point line needs no default of others: pppd and diallers of modems set none beside another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab, Line, Network, wait_for
from tests.lab.uplinks import probing
from tests.netns.layout import defaults, hops, layout, sources

CONFIG = (
    """
[routing]
{routing}
"""
    + probing()
    + """[router]
masquerade = yes
[uplinks]
[[cable]]
match = eth1
metric = {metric}
[[dsl]]
match = ppp-dsl
metric = 50
{dsl}
[policies]
[[voice]]
to = 9.9.9.9
uplinks = dsl
fallback = unreachable
"""
)
DSL, OWN, PREFIX = "dsl", "100.64.9.20", "2001:db8:77::/56"


@pytest.fixture(scope="module")
def site() -> Iterator[Network]:
    """A cable with the only default of main, a line by ppp without any, a tunnel that stands beside, and a LAN."""
    with Lab() as lab:
        cable, dsl = lab.isp("cable", "10.1.0.0/24"), lab.isp("dsl", "10.9.0.0/24")
        router = lab.router(Line(cable, "eth1", "10.1.0.2/24", 100))
        lab.ppp(router, dsl, "ppp-dsl", OWN, "100.64.9.1")
        lab.ppp(router, cable, "tun-work", "10.66.0.2", "10.66.0.1")
        dsl.ns.ip(f"-6 route add {PREFIX} dev p-ppp-dsl")
        router.ns.batch("link add lan0 type bridge", "link set lan0 up", "addr add 192.168.20.1/24 dev lan0")
        yield Network(lab, router, router.lines)


@pytest.fixture
def net(site: Network) -> Network:
    """As after a boot."""
    for isp in site.lab.isps.values():
        isp.heal()
    site.router.mwan("flush")
    site.router.reboot_files()
    return site


def configure(net: Network, routing: str = "", metric: int = 100, dsl: str = "") -> None:
    net.router.configure(CONFIG.format(routing=routing, metric=metric, dsl=dsl))


@pytest.mark.parametrize(("table", "nexthops"), [("1000", "routes"), ("main", "objects"), ("1000", "auto")])
def test_it_carries_beside_the_only_default_of_main(net: Network, table: str, nexthops: str) -> None:
    router, dsl = net.router, net.lab.isps["dsl"]
    before = [line for line in layout(router.ns) if "tun-work" in line]
    configure(net, f"default_table = {table}\nnexthops = {nexthops}", metric=50)
    router.check()
    assert sorted(router.way_out()) == ["cable", DSL]
    ways = [hops(route) for route in defaults(router.ns, table)]
    assert ways[0] == {"eth1": ("10.1.0.1", 1), "ppp-dsl": (None, 1)}
    uplink = router.status()["uplinks"][DSL]
    assert (OWN, uplink["table"]) in sources(router.ns, 1200)
    assert [hops(route) for route in defaults(router.ns, uplink["table"])] == [{"ppp-dsl": (None, 1)}]
    assert [line for line in layout(router.ns) if "tun-work" in line] == before, "it only stands beside"
    there = layout(router.ns)
    router.check()
    assert layout(router.ns) == there
    with dsl.broken("blackhole"):
        router.check()
        assert router.way_out() == ["cable"]
        assert "unreachable" in router.mwan("trace", "9.9.9.9", code=None).stdout
    router.check()
    assert "ppp-dsl" in router.mwan("trace", "9.9.9.9").stdout


def test_a_default_that_comes_and_goes_changes_no_verdict(net: Network) -> None:
    configure(net)
    net.router.check()
    since = net.router.family(DSL)["since"]
    for words in ("default dev ppp-dsl", "default dev ppp-dsl metric 700", "default dev ppp-dsl metric 200 proto dhcp"):
        net.router.ns.ip(f"route add {words}")
        net.router.check()
        assert net.router.way_out() == [DSL]
        net.router.ns.ip(f"route del {words}")
        net.router.mwan("event", "--facts")
        assert (net.router.way_out(), net.router.family(DSL)["since"]) == ([DSL], since)


def test_ipv6_goes_by_an_address_of_its_own_or_by_one_of_the_prefix_that_came_by_it(net: Network) -> None:
    router = net.router
    configure(net, dsl=f"prefixes = {PREFIX}")
    router.check()
    assert router.family(DSL, "ipv6")["reason"] == "no address"
    table = router.status()["uplinks"][DSL]["table"]
    assert defaults(router.ns, table, "ipv6") == []
    for address, device in (("2001:db8:77:f::2/128", "ppp-dsl"), ("2001:db8:77:1::1/64", "lan0")):
        router.ns.ip(f"addr add {address} dev {device} nodad")
        router.check()
        assert router.way_out("ipv6") == [DSL]
        assert [hops(route) for route in defaults(router.ns, table, "ipv6")] == [{"ppp-dsl": (None, 1)}]
        assert router.ns.run("ping", "-c1", "-W1", "-I", address.split("/")[0], "2606:4700:4700::1111")
        router.ns.ip(f"addr del {address} dev {device}")
        router.mwan("event", "--facts")
        assert router.way_out("ipv6") == []


def test_each_dial_is_another_interface_and_no_default_is_left(net: Network) -> None:
    router, isp = net.router, net.lab.isps["dsl"]
    configure(net)
    router.check()
    table = router.status()["uplinks"][DSL]["table"]
    for number in (21, 22):
        router.ns.ip("link del ppp-dsl")
        wait_for("both ends to be gone", lambda: "p-ppp-dsl" not in isp.ns.ip("-br link"))
        router.mwan("event", "--facts")
        assert router.way_out() == ["cable"]
        net.lab.ppp(router, isp, "ppp-dsl", f"100.64.9.{number}", "100.64.9.1")
        router.event("add", "ppp-dsl")
        assert router.way_out() == [DSL]
        assert [hops(route) for route in defaults(router.ns, table)] == [{"ppp-dsl": (None, 1)}]


def test_without_uplinks_in_the_configuration_no_tunnel_becomes_one(net: Network) -> None:
    net.router.configure("[probe]\nportal_interval = 0\n")
    net.router.ns.ip("route add default dev tun-work metric 900")
    net.router.check()
    assert "tun-work" in net.router.status()["uplinks"]
    net.router.ns.ip("route del default dev tun-work")
    net.router.mwan("event", "--facts")
    assert net.router.family("tun-work")["reason"] == "no gateway"
    assert net.router.way_out() == ["eth1"]
