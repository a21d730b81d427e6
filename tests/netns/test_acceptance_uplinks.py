"""Which interfaces are uplinks, and what is special about some lines."""

from __future__ import annotations

import json

import pytest

from tests.lab import Lab, Line, Network, Router, topologies
from tests.netns.layout import defaults, hops, layout, sources

QUICK = "[probe]\nportal_interval = 0\ntimeout = 1\nhysteresis_delay = 0\nburst_interval = 0.1\n"


@pytest.fixture
def dongles(lab: Lab) -> Network:
    lines = [
        Line(
            lab.isp(f"lte{n}", f"192.168.{n}.0/24"),
            f"enp0s20u{n}",
            f"192.168.{n}.100/24",
            700,
            mac=f"02:00:00:00:00:0{n}",
        )
        for n in (1, 2, 3)
    ]
    return Network(lab, lab.router(*lines[:2]), {line.interface: line for line in lines})


def tables(router: Router) -> dict[str, int]:
    return {name: uplink["table"] for name, uplink in router.status()["uplinks"].items()}


def test_a_template_makes_an_uplink_of_each_interface(dongles: Network) -> None:
    dongles.router.configure(f"{QUICK}[uplinks]\n[[lte]]\nmatch = enp0s20u*\nmetric = 200\n")
    dongles.router.check()
    found = tables(dongles.router)
    assert set(found) == {"lte@enp0s20u1", "lte@enp0s20u2"}
    assert len(set(found.values())) == 2
    assert sorted(dongles.router.way_out()) == sorted(found)


def test_tables_are_remembered_across_unplugging_and_boots(dongles: Network) -> None:
    router = dongles.router
    router.configure(f"{QUICK}[uplinks]\n[[lte]]\nmatch = enp0s20u*\nmetric = 200\n")
    router.check()
    before = tables(router)
    for interface in ("enp0s20u1", "enp0s20u2"):
        router.unplug(interface)
        router.event("remove", interface)
    router.reboot_files()
    for interface in ("enp0s20u3", "enp0s20u2", "enp0s20u1"):
        router.plug(dongles.lines[interface])
        router.event("add", interface)
    after = tables(router)
    assert {name: after[name] for name in before} == before
    assert after["lte@enp0s20u3"] not in before.values()


def test_an_uplink_is_found_by_its_mac_address(dongles: Network) -> None:
    dongles.router.configure(f"{QUICK}[uplinks]\n[[b]]\nmatch = mac:02:00:00:00:00:02\nmetric = 200\n")
    dongles.router.check()
    assert {u["interface"] for u in dongles.router.status()["uplinks"].values()} == {"enp0s20u2"}


def test_an_uplink_is_found_by_a_property_of_udev(dongles: Network) -> None:
    index = dongles.router.ns.index("enp0s20u1")
    dongles.router.write(f"run/udev/data/n{index}", "E:ID_VENDOR=Acme\nE:ID_NET_DRIVER=cdc_ether\n")
    dongles.router.configure(f"{QUICK}[uplinks]\n[[a]]\nmatch = property:ID_VENDOR=Acme\nmetric = 200\n")
    dongles.router.check()
    assert {u["interface"] for u in dongles.router.status()["uplinks"].values()} == {"enp0s20u1"}


def test_without_configuration_every_default_route_makes_an_uplink(dongles: Network) -> None:
    dongles.router.configure(QUICK)
    dongles.router.check()
    found = dongles.router.status()["uplinks"]
    assert {(name, u["metric"]) for name, u in found.items()} == {("enp0s20u1", 700), ("enp0s20u2", 700)}
    assert set(hops(defaults(dongles.router.ns, 1000)[0])) == {"enp0s20u1", "enp0s20u2"}


def test_two_dongles_with_the_same_addresses_are_told_apart(lab: Lab) -> None:
    lines = [Line(lab.isp(f"lte{n}", "192.168.8.0/24"), f"enp0s20u{n}", "192.168.8.100/24", 700 + n) for n in (1, 2)]
    router = lab.router(*lines)
    router.configure(f"{QUICK}[uplinks]\n[[lte]]\nmatch = enp0s20u*\nmetric = 200\n")
    router.check()
    assert sorted(router.way_out()) == ["lte@enp0s20u1", "lte@enp0s20u2"]
    lines[0].isp.fault("blackhole")
    router.check()
    assert router.way_out() == ["lte@enp0s20u2"]
    assert router.verdict("lte@enp0s20u1") == "offline"
    lines[0].isp.heal()
    lines[1].isp.fault("blackhole")
    for _ in range(3):
        router.check()
    assert router.way_out() == ["lte@enp0s20u1"]
    for line in lines:
        assert router.ns.run("ping", "-c1", "-W1", "-I", line.interface, line.isp.gateway)


def test_a_point_to_point_line_is_a_nexthop_by_device(lab: Lab) -> None:
    router = lab.router(Line(lab.isp("cable", "10.1.0.0/24"), "eth1", "10.1.0.2/24", 100))
    dsl = lab.isp("dsl", "10.9.0.0/24")
    lab.ppp(router, dsl, "ppp0", "100.64.0.2", "100.64.0.1")
    router.ns.ip("route add default dev ppp0 metric 50")
    router.configure(f"{QUICK}[uplinks]\n[[dsl]]\nmatch = ppp0\nmetric = 50\n[[cable]]\nmatch = eth1\nmetric = 100\n")
    router.check()
    assert router.way_out() == ["dsl"]
    assert router.family("dsl")["gateway"] is None
    uplink = router.status()["uplinks"]["dsl"]
    assert ("100.64.0.2", uplink["table"]) in sources(router.ns, 1200)
    assert "100.64.0.1" not in dict(sources(router.ns, 1200)), "the peer's address is not ours"
    ways = [hops(route) for route in defaults(router.ns, 1000)]
    assert (ways[0], ways[-1]) == ({"ppp0": (None, 1)}, {"eth1": ("10.1.0.1", 1)})
    with dsl.broken("blackhole"):
        router.check()
        assert router.way_out() == ["cable"]
    assert [r["dev"] for r in defaults(router.ns, "main") if r["metric"] == 50] == ["ppp0"]


def test_the_gateway_of_a_networkd_lease_is_enough(lab: Lab) -> None:
    router = lab.router(Line(lab.isp("one", "10.1.0.0/24"), "eth1", "10.1.0.2/24"))
    lease = (
        "# This is private data. Do not parse.\nADDRESS=10.1.0.2\nNETMASK=255.255.255.0\nROUTER=10.1.0.1\nDNS=9.9.9.9\n"
    )
    router.write(f"run/systemd/netif/leases/{router.ns.index('eth1')}", lease)
    router.configure(f"{QUICK}[uplinks]\n[[one]]\nmatch = eth1\nmetric = 100\n")
    router.check()
    assert router.way_out() == ["one"]
    assert router.family("one")["gateway"] == "10.1.0.1"


def test_sections_of_a_network_file_are_obeyed(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    uplinks = "[uplinks]\n[[one]]\nmatch = eth1\n[[two]]\nmatch = eth2\n"
    net.router.configure(f"[probe]\nportal_interval = 0\nfall = 1\nrise = 1\nburst_interval = 0.1\n{uplinks}")
    net.router.write("etc/systemd/network/10-one.network", "[Match]\nName=eth1\n[Network]\nDHCP=yes\n")
    net.router.write(
        "etc/systemd/network/10-one.network.d/probe.conf",
        "[ConnectivityMonitord]\nProbeURL=http://9.9.9.9/body/well%20done=well%20done\nTimeout=1s\n"
        "[ConnectivityMetric]\nfull=100\nlimited=3000\nhysteresisdelay=0\n",
    )
    net.router.check()
    assert [t["target"] for t in net.router.family("one")["targets"]] == ["http://9.9.9.9/body/well%20done=well%20done"]
    assert net.router.verdict("one") == "online"
    net.isps[0].fault("http500")
    net.router.check()
    found = {(r["dev"], r["metric"]) for r in defaults(net.router.ns, "main")}
    assert found == {("eth1", 3000), ("eth2", 200)}
    net.isps[0].heal()
    net.router.check()
    net.router.mwan("flush")
    assert {(r["dev"], r["metric"]) for r in defaults(net.router.ns, "main")} == {("eth1", 100), ("eth2", 200)}


def test_two_uplinks_of_the_same_bad_metric_keep_both_defaults(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    metrics = "[[[metrics]]]\nfull = 100\nlimited = 2000\n"
    uplinks = f"[uplinks]\n[[one]]\nmatch = eth1\n{metrics}[[two]]\nmatch = eth2\n{metrics}"
    net.router.configure(f"[probe]\nportal_interval = 0\nfall = 1\ntimeout = 0.5\nburst_interval = 0.1\n{uplinks}")
    net.router.check()
    for isp in net.isps:
        isp.fault("blackhole")
    net.router.check()
    for family in ("ipv4", "ipv6"):
        found = sorted((dev, r["metric"]) for r in defaults(net.router.ns, "main", family) for dev in hops(r))
        assert found == [("eth1", 2000), ("eth2", 2000)], family
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    net.router.check()
    assert monitor.written() == []


def test_an_uplink_that_is_gone_stays_in_the_list(dongles: Network) -> None:
    dongles.router.configure(f"{QUICK}[uplinks]\n[[a]]\nmatch = enp0s20u1\n[[b]]\nmatch = enp0s20u2\n")
    dongles.router.check()
    before = layout(dongles.router.ns)
    dongles.router.unplug("enp0s20u1")
    dongles.router.event("remove", "enp0s20u1")
    found = dongles.router.status()["uplinks"]["a"]
    assert (found["present"], found["ipv4"]["status"]) == (False, "offline")
    dongles.router.plug(dongles.lines["enp0s20u1"])
    dongles.router.event("add", "enp0s20u1")
    assert layout(dongles.router.ns) == before


def test_the_effective_configuration_can_be_read(dongles: Network) -> None:
    dongles.router.configure(f"{QUICK}[uplinks]\n[[a]]\nmatch = enp0s20u1\nmetric = 17\n")
    dongles.router.mwan("config", "--check")
    text = dongles.router.mwan("config", "--effective").stdout
    assert "17" in text
    assert "mwan-hook.conf" in text
    assert json.dumps(dongles.router.status())
