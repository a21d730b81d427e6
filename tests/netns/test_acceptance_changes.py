"""The configuration changes, and others change the same tables: what is ours follows, what is not stays."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Line, Network, topologies
from tests.netns.layout import FAMILIES, GUARD, defaults, hops, layout, ours, plain, sources

BASE = """
[routing]
{routing}
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
rise = 1
hysteresis_delay = 0
[uplinks]
[[one]]
match = eth1
metric = 100
{one}
[[two]]
match = eth2
metric = 200
{two}
"""


def config(routing: str = "", one: str = "", two: str = "") -> str:
    return BASE.format(routing=routing, one=one, two=two)


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 2)
    made.router.configure(config())
    made.router.check()
    return made


CHANGES = [
    config(one="table = 4711"),
    config(one="rule_priority = 777"),
    config(one="mark = 0x900"),
    config(one="families = ipv4"),
    config(one="enabled = no"),
    config(routing="rule_priority = 5000"),
    config(routing="default_table = 99"),
    config(routing="default_table = main"),
    config(routing="main_first = no"),
    config(routing="copy_routes = main"),
    config(routing="mark_mask = 0xff0000"),
    config().partition("[[two]]")[0],
]


def test_a_changed_configuration_leaves_nothing_of_the_old_one(net: Network) -> None:
    before = layout(net.router.ns)
    for changed in CHANGES:
        net.router.configure(changed)
        net.router.check()
        first = layout(net.router.ns)
        assert first != before, changed
        net.router.mwan("flush")
        net.router.reboot_files()
        net.router.check()
        assert layout(net.router.ns) == first, f"it is as if it had never been otherwise: {changed}"
        net.router.configure(config())
        net.router.check()
        assert layout(net.router.ns) == before, changed


def test_flush_works_without_state_and_twice_and_with_a_bad_configuration(net: Network) -> None:
    net.router.reboot_files()
    net.router.mwan("flush")
    assert ours(net.router.ns) == []
    net.router.mwan("flush")
    net.router.check()
    net.router.configure("nonsense")
    net.router.mwan("flush", code=None)
    net.router.configure(config())
    net.router.mwan("flush")
    assert ours(net.router.ns) == []


def test_a_lease_that_is_renewed_does_not_undo_the_metric_of_a_bad_line(net: Network) -> None:
    metrics = "[[[metrics]]]\nfull = 100\nlimited = 2000\n"
    before = [plain(route) for route in defaults(net.router.ns, "main")]
    net.router.configure(config(one=metrics, two=""))
    net.isps[0].fault("blackhole")
    net.router.check()
    for _ in range(2):
        found = [(r["dev"], r["metric"]) for r in defaults(net.router.ns, "main")]
        assert found == [("eth2", 200), ("eth1", 2000)]
        net.router.lease(net.lines["eth1"]._replace(address6=""))
        net.router.event("change", "eth1")
    net.isps[0].heal()
    net.router.check()
    found = [(r["dev"], r["metric"]) for r in defaults(net.router.ns, "main")]
    assert found == [("eth1", 100), ("eth2", 200)]
    net.router.mwan("flush")
    assert [plain(route) for route in defaults(net.router.ns, "main")] == before


def test_a_foreign_default_in_our_place_stays_behind_ours_and_is_not_lost(net: Network) -> None:
    net.router.ns.ip("route add default via 10.1.0.1 dev eth1 proto static metric 1")
    net.router.configure(config(routing="default_table = main"))
    net.router.check()
    assert net.router.check().stdout == ""
    assert net.router.status()["errors"] == []
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert net.router.way_out() == ["two"]
    net.router.check()
    net.router.mwan("flush")
    kept = [(r["dev"], r.get("metric"), r["protocol"]) for r in defaults(net.router.ns, "main")]
    assert kept == [("eth1", 1, "4"), ("eth1", 100, "16"), ("eth2", 200, "16")]


def test_advertised_defaults_that_the_kernel_has_merged_give_each_line_its_gateway(lab: Lab) -> None:
    isps = [lab.isp(f"isp{n}", f"10.{n}.0.0/24") for n in (1, 2)]
    lines = [
        Line(isp, f"eth{n}", f"10.{n}.0.2/24", 100 * n, f"2001:db8:{n}:1::2/64", 512) for n, isp in enumerate(isps, 1)
    ]
    router = lab.router(*lines)
    assert len(hops(defaults(router.ns, "main", "ipv6")[0])) == 2, "the kernel made one of two"
    router.configure(config())
    router.check()
    for name in ("one", "two"):
        assert router.family(name, "ipv6")["gateway"] == "fe80::1"
        assert router.verdict(name, "ipv6") == "online"
    isps[0].fault("blackhole")
    router.check()
    assert router.way_out("ipv6") == ["two"]


def test_properties_of_a_route_are_copied(net: Network) -> None:
    net.router.ns.batch(
        "route add 203.0.113.0/24 via 10.1.0.1 dev eth1 mtu 1400 metric 5",
        "route add 198.51.100.0/24 via 172.16.0.1 dev eth1 onlink metric 6",
        "route add 192.0.2.0/24 dev eth1 scope link src 10.1.0.2",
        "route add 2001:db8:77::/48 via fe80::1 dev eth1 mtu 1400 metric 9",
    )
    net.router.event("change", "eth1")
    table = net.router.status()["uplinks"]["one"]["table"]
    for family in FAMILIES:
        wanted = [plain(r) for r in net.router.ns.routes("main", family) if r.get("dev") == "eth1"]
        held = [plain(r) for r in net.router.ns.routes(table, family) if r.get("type") != "7"]
        assert sorted(map(str, held)) == sorted(map(str, wanted))
    onlink = [r for r in net.router.ns.routes(table) if r["dst"] == "198.51.100.0/24"]
    assert "onlink" in onlink[0]["flags"]
    net.router.ns.ip("route del 203.0.113.0/24")
    net.router.event("change", "eth1")
    assert not [r for r in net.router.ns.routes(table) if r["dst"] == "203.0.113.0/24"]


def test_only_global_addresses_get_a_rule(net: Network) -> None:
    net.router.ns.batch(
        "addr add 169.254.7.7/16 dev eth1",
        "addr add 10.99.0.2/32 dev eth1",
        "addr add 10.98.0.2 peer 10.98.0.1 dev eth1",
    )
    net.router.event("change", "eth1")
    assert [a for a, _ in sources(net.router.ns, 1200)] == ["10.1.0.2", "10.2.0.2", "10.98.0.2", "10.99.0.2"]
    assert [a for a, _ in sources(net.router.ns, 1200, "ipv6")] == ["2001:db8:1:1::2", "2001:db8:2:1::2"]


def test_foreign_rules_and_routes_at_our_places_are_left_alone(net: Network) -> None:
    net.router.mwan("flush")
    ns = net.router.ns
    ns.batch(
        "rule add pref 1100 oif eth1 lookup 1001",
        "rule add pref 1900 lookup 1000",
        "route add default via 10.2.0.1 dev eth2 table 1000 metric 77",
        "route add 10.55.0.0/16 via 10.1.0.1 dev eth1 table 1001",
        "rule add pref 1200 from 10.1.0.2 lookup 55",
    )
    before = layout(ns)
    net.router.check()
    monitor = net.lab.monitor(ns)
    monitor.written()
    net.router.check()
    assert monitor.written() == []
    assert net.router.status()["errors"] == []
    net.router.mwan("flush")
    assert layout(ns) == before


def test_spooled_events_are_taken(net: Network) -> None:
    spool = net.router.root / "run/mwan-hook/events"
    spool.mkdir(exist_ok=True)
    (spool / "1-add-eth1").write_text("")
    (spool / "junk").write_bytes(b"\xff\x00" * 50)
    net.router.mwan("event")
    assert list(spool.iterdir()) == []


def test_a_default_is_there_at_every_instant(net: Network) -> None:
    net.router.configure(config(routing="default_table = main"))
    net.router.check()
    probe = (
        "while :; do ip route get 8.8.8.8 >/dev/null 2>&1 && ip -6 route get 2620:fe::fe >/dev/null 2>&1"
        " || echo lost; done"
    )
    for line in net.lines.values():  # so that nothing foreign answers for ours
        net.router.ns.ip(f"route del default dev {line.interface} metric {line.metric}")
        net.router.ns.ip(f"-6 route del default dev {line.interface} metric {line.metric6}")
    gateways = {"one": "gateway = 10.1.0.1, fe80::1", "two": "gateway = 10.2.0.1, fe80::1"}
    net.router.configure(config(routing="default_table = main", **gateways))
    net.router.check()
    log = net.lab.spawn(net.router.ns.argv("sh", "-c", probe), "lost")
    for metric in ("50", "200", "300"):
        changed = config(routing="default_table = main", **gateways).replace("metric = 200", f"metric = {metric}")
        net.router.configure(changed)
        net.router.check()
        with net.isps[0].broken("blackhole"):
            net.router.check()
        net.router.check()
    assert log.read_text() == ""


def test_guards_in_our_tables_go_if_they_are_ours_and_foreign_ones_make_no_work(net: Network) -> None:
    net.router.mwan("flush")
    for family in ("-4", "-6"):
        net.router.ns.ip(f"{family} route add unreachable default table 1001 metric {GUARD} proto static")
        net.router.ns.ip(f"{family} route add unreachable default table 1002 metric {GUARD} proto 172")
    net.router.check()
    assert net.router.check().stdout == ""
    assert net.router.status()["errors"] == []
    for family in FAMILIES:
        kinds = {route.get("type", "unicast") for route in net.router.ns.routes("1002", family)}
        assert kinds == {"unicast"}, "an earlier version of ours had guards there"
    net.router.mwan("flush")
    for family in ("ipv4", "ipv6"):
        (left,) = net.router.ns.routes("1001", family)
        assert (left["metric"], left["protocol"]) == (GUARD, "4")


def test_routes_for_some_sources_make_no_work(net: Network) -> None:
    for route in ("default", "2001:db8:99::/48"):
        net.router.ns.ip(f"-6 route add {route} from 2001:db8:1:1::/64 via fe80::9 dev eth1 proto static metric 50")
        net.router.ns.ip(f"-6 route add {route} from 2001:db8:1:1::/64 via fe80::9 dev eth1 proto 172 table 1001")
    net.router.check()
    assert net.router.check().stdout == ""
    assert net.router.family("one", "ipv6")["gateway"] == "fe80::1"
    assert "from" not in net.router.ns.ip("-6 route show table 1001")
