"""Uplink tables and rules follow the lines (R1 to R13), both families."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Line, Network, Router, topologies
from tests.netns.layout import FAMILIES, UNREACHABLE, defaults, layout, ours, plain, sources


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.two_dynamic(lab)
    made.router.configure(topologies.DYNAMIC)
    return made


def main_of(router: Router) -> list[str]:
    return [line for line in layout(router.ns) if " route " in line and '"table": "254"' in line]


def test_source_rules_and_tables_are_those_of_the_lines(net: Network) -> None:
    before = main_of(net.router)
    net.router.check()
    ns = net.router.ns
    assert sources(ns, 2000) == [("172.30.255.4", 2000)]
    assert sources(ns, 3000) == [("192.168.255.4", 3000)]
    assert sources(ns, 2000, "ipv6") == [("fdff:b44d:605c:0:a00:27ff:fedb:ad69", 2000)]
    assert sources(ns, 3000, "ipv6") == [("fdc9:dc25:8e35:0:a00:27ff:feaa:bc91", 3000)]
    assert main_of(net.router) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_a_table_holds_what_main_has_through_its_line(net: Network, family: str) -> None:
    ns = net.router.ns
    ns.ip("route add blackhole 198.51.100.0/24")
    net.router.check()
    for table, interface in ((2000, "enp0s8"), (3000, "enp0s9")):
        wanted = [plain(r) for r in ns.routes("main", family) if r.get("dev") == interface and r["dst"] != "fe80::/64"]
        held = [plain(r) for r in ns.routes(table, family) if r["dst"] != "fe80::/64"]
        assert sorted(map(str, held)) == sorted(map(str, wanted))
        assert len(wanted) == (3 if family == "ipv4" else 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_right_behind_the_rules_of_addresses_stand_their_guards(net: Network, family: str) -> None:
    net.router.check()
    rules = [r for r in net.router.ns.rules(family) if r.get("action") == UNREACHABLE]
    addresses = [src for priority in (2000, 3000) for src, _ in sources(net.router.ns, priority, family)]
    assert [(r["priority"], r["src"]) for r in rules] == list(zip((2001, 3001), addresses, strict=True))


def test_the_main_table_is_asked_right_before_the_shared_default_if_so_configured(net: Network) -> None:
    net.router.check()
    for family, widest in (("ipv4", 1), ("ipv6", 4)):
        found = net.router.ns.rules(family)
        told = [(r["priority"], r["table"], r.get("suppress_prefixlen")) for r in found if r["priority"] > 3001]
        assert told[:2] == [(3002, "254", widest), (3004, "1000", None)]


def test_further_runs_write_nothing(lab: Lab, net: Network) -> None:
    net.router.check()
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    net.router.check()
    net.router.check()
    net.router.event("change", "enp0s8")
    net.router.mwan("check")
    assert monitor.written() == []


def test_a_plan_writes_nothing_and_is_what_a_run_then_does(lab: Lab, net: Network) -> None:
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    planned = net.router.mwan("plan").stdout.splitlines()
    assert monitor.written() == []
    assert [line for line in planned if "172.30.255.4" in line and "rule add" in line]
    net.router.check()
    assert net.router.mwan("plan").stdout.strip() == ""


@pytest.mark.parametrize(
    ("family", "address", "length"), [("ipv4", "172.30.255.5", 24), ("ipv6", "fdff:b44d:605c::5", 64)]
)
def test_a_rule_comes_and_goes_with_a_second_address(net: Network, family: str, address: str, length: int) -> None:
    net.router.check()
    before = layout(net.router.ns)
    first = sources(net.router.ns, 2000, family)
    net.router.ns.ip(f"addr add {address}/{length} dev enp0s8" + (" nodad" if family == "ipv6" else ""))
    net.router.event("change", "enp0s8")
    assert sources(net.router.ns, 2000, family) == sorted([*first, (address, 2000)])
    net.router.ns.ip(f"addr del {address}/{length} dev enp0s8")
    net.router.event("change", "enp0s8")
    assert layout(net.router.ns) == before


def test_flush_takes_out_what_is_ours_and_nothing_else(net: Network) -> None:
    ns = net.router.ns
    ns.batch(
        "rule add pref 500 lookup 2000",
        "route add 203.0.113.0/24 via 172.30.255.1 dev enp0s8 table 2000",
        "rule add pref 2000 from 172.30.255.4 lookup 77",
    )
    linkdown = "ipv4/conf/enp0s8/ignore_routes_with_linkdown"
    before, old = layout(ns), ns.read_sysctl(linkdown)
    net.router.check()
    assert ns.read_sysctl(linkdown) == "1"
    assert len(ours(ns)) > 10
    net.router.mwan("flush")
    assert layout(ns) == before
    assert ns.read_sysctl(linkdown) == old


def test_a_run_restores_what_others_have_deleted(net: Network) -> None:
    ns = net.router.ns
    net.router.check()
    before = layout(ns)
    for family in ("-4", "-6"):
        ns.ip(f"{family} rule flush protocol 172")
        ns.ip(f"{family} route flush table 3000")
    assert layout(ns) != before
    net.router.check()
    assert layout(ns) == before


def test_a_replaced_gateway_replaces_the_default_of_the_table(net: Network) -> None:
    net.router.check()
    net.router.lines["enp0s8"].isp.ns.ip("addr add 172.30.255.2/24 dev lan")
    net.router.ns.ip("route replace default via 172.30.255.2 dev enp0s8 proto dhcp src 172.30.255.4 metric 200")
    net.router.event("change", "enp0s8")
    assert [r["gateway"] for r in defaults(net.router.ns, 2000)] == ["172.30.255.2"]
    assert net.router.family("one")["gateway"] == "172.30.255.2"


def test_with_copies_of_main_a_table_holds_its_other_routes_too(lab: Lab) -> None:
    net = topologies.two_dynamic(lab)
    net.router.configure(topologies.DYNAMIC.replace("copy_routes = own", "copy_routes = main"))
    net.router.ns.ip("route add 203.0.113.0/24 via 192.168.255.1 dev enp0s9 metric 7")
    net.router.check()
    for family, table in ((f, t) for f in FAMILIES for t in (2000, 3000)):
        main = [plain(r) for r in net.router.ns.routes("main", family) if r["dst"] not in {"default", "fe80::/64"}]
        held = [plain(r) for r in net.router.ns.routes(table, family) if r["dst"] not in {"default", "fe80::/64"}]
        assert sorted(map(str, held)) == sorted(map(str, main))
        assert len(defaults(net.router.ns, table, family)) == 1


def test_a_foreign_multipath_default_gives_each_line_its_gateway(lab: Lab) -> None:
    isps = [lab.isp(f"isp{n}", f"10.{n}.0.0/24") for n in (1, 2)]
    router = lab.router(*[Line(isp, f"eth{n}", f"10.{n}.0.2/24") for n, isp in enumerate(isps, 1)])
    router.ns.ip("route add default proto static nexthop via 10.1.0.1 dev eth1 nexthop via 10.2.0.1 dev eth2")
    before = main_of(router)
    router.configure("[probe]\nportal_interval = 0\ntimeout = 1\n[uplinks]\n[[a]]\nmatch = eth1\n[[b]]\nmatch = eth2\n")
    router.check()
    uplinks = router.status()["uplinks"]
    assert {name: u["ipv4"]["gateway"] for name, u in uplinks.items()} == {"a": "10.1.0.1", "b": "10.2.0.1"}
    assert {u["ipv4"]["status"] for u in uplinks.values()} == {"online"}
    for uplink in uplinks.values():
        gateways = [r["gateway"] for r in defaults(router.ns, uplink["table"])]
        assert gateways == [uplink["ipv4"]["gateway"]]
    assert main_of(router) == before


def test_names_of_tables_and_protocol_are_written_for_people_unless_nothing_may_be(net: Network) -> None:
    net.router.configure(topologies.DYNAMIC.replace("[routing]", "[routing]\nwrite_etc = no"))
    net.router.check()
    assert not (net.router.root / "etc/iproute2").exists()
    net.router.mwan("flush")
    net.router.configure(topologies.DYNAMIC)
    net.router.check()
    tables = "".join(p.read_text() for p in net.router.root.glob("etc/iproute2/rt_tables.d/*.conf"))
    protocols = "".join(p.read_text() for p in net.router.root.glob("etc/iproute2/rt_protos.d/*.conf"))
    assert {("2000", "one"), ("3000", "two")} <= {tuple(line.split()[:2]) for line in tables.splitlines()}
    assert ("172", "mwan") in {tuple(line.split()[:2]) for line in protocols.splitlines()}
