"""Policies with the real command and real traffic: who carries what, and what becomes of it when a line dies."""

from __future__ import annotations

import time

import pytest

from tests.lab import Lab, Line, Netns, Network, Router, topologies
from tests.lab.router import AS_NOBODY
from tests.lab.starts import command
from tests.lab.uplinks import QUAD9, probing
from tests.netns.layout import defaults, hops, layout, ours

BASE = (
    """
[routing]
{routing}
"""
    + probing(QUAD9, fall=3)
    + """[uplinks]
[[one]]
match = eth1
metric = 100
[[two]]
match = eth2
metric = 200
[[three]]
match = eth3
metric = 200
weight = 2
[policies]
"""
)
ECHO = "[[echo]]\nproto = tcp\ndport = 7\n"
FAMILIES = ("ipv4", "ipv6")
TO = {"ipv4": "8.8.8.8", "ipv6": "2001:4860:4860::8888"}


def config(policies: str, routing: str = "") -> str:
    return BASE.format(routing=routing) + policies


@pytest.fixture
def net(lab: Lab) -> Network:
    """Three lines, and a client with both families; all is online without policies."""
    made = topologies.probed(lab, 3, client=True)
    assert made.client
    made.router.ns.ip("addr add fd00:2::1/64 dev lan0 nodad")
    made.router.ns.sysctl({"ipv6/conf/all/forwarding": 1, "ipv6/fib_multipath_hash_policy": 1})
    made.router.ns.nft(
        "table ip6 lab { chain NAT { type nat hook postrouting priority srcnat;"
        ' iifname "lan0" oifname != "lan0" masquerade; }; }\n'
    )
    made.client.ip("addr add fd00:2::10/64 dev eth0 nodad")
    made.client.ip("-6 route add default via fd00:2::1")
    made.router.configure(config(""))
    made.router.check()
    return made


def put(net: Network, policies: str, routing: str = "") -> None:
    """In force, all lines online."""
    net.router.configure(config(policies, routing))
    net.router.check()
    assert net.router.status()["errors"] == []


def asked(ns: Netns, words: str, family: str = "ipv4") -> str:
    """The device that the kernel would take; empty if it takes none."""
    found = ns.route_get(f"{TO[family]} {words}", family)
    return str(found["dev"]) if found else ""


def via(router: Router, policy: str = "echo", family: str = "ipv4") -> list[str]:
    names: list[str] = router.status()["policies"][policy][family]["via"]
    return names


@pytest.mark.parametrize("family", FAMILIES)
def test_local_and_forwarded_connections_go_where_the_policy_says_and_others_do_not(net: Network, family: str) -> None:
    assert net.client
    put(net, ECHO + "uplinks = two\n")
    for ns in (net.router.ns, net.client):
        assert net.lab.connect(ns, 3, TO[family]) == ["isp2"] * 3
        flow = net.lab.flow(ns, TO[family])
        assert flow.carried_by() == "isp1", "udp is no policy's"
        flow.stop()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_selector_is_obeyed_by_the_kernel(net: Network, family: str) -> None:
    lan = {"ipv4": "192.168.2", "ipv6": "fd00:2:"}[family]
    sep = {"ipv4": ".", "ipv6": ":"}[family]
    echo = {"ipv4": "icmp", "ipv6": "ipv6-icmp"}[family]
    there = {"ipv4": "1.1.1.1", "ipv6": "2606:4700:4700::1111"}[family]
    net_of = {"ipv4": "192.168.2.0/28", "ipv6": "fd00:2::/124"}[family]
    put(
        net,
        f"""
[[ports]]
proto = tcp, udp
dport = 443, 5000-5100
uplinks = two
[[back]]
proto = udp
sport = 4000-4010
uplinks = three
[[users]]
uid = 1000-1999, 65534
uplinks = two
[[marked]]
mark = 0x40000
uplinks = three
[[lan]]
from = {net_of}
iif = lan0
proto = {echo}
uplinks = three
[[there]]
to = {there}
proto = 132, tcp
uplinks = two
""",
    )
    ns = net.router.ns
    wanted = {
        "ipproto tcp dport 443": "eth2",
        "ipproto udp dport 5050": "eth2",
        "ipproto tcp dport 5101": "eth1",
        f"ipproto {echo}": "eth1",
        "ipproto udp sport 4010 dport 9": "eth3",
        "ipproto udp sport 4011 dport 9": "eth1",
        "uid 1500": "eth2",
        "uid 65534": "eth2",
        "uid 2000": "eth1",
        "mark 0x40000": "eth3",
        "mark 0x80000": "eth1",
        f"from {lan}{sep}3 iif lan0 ipproto {echo}": "eth3",
        f"from {lan}{sep}99 iif lan0 ipproto {echo}": "eth1",
        f"from {lan}{sep}3 iif lan0 ipproto tcp dport 443": "eth2",
    }
    assert {words: asked(ns, words, family) for words in wanted} == wanted
    for words, dev in (("tcp dport 9", "eth2"), ("udp dport 9", "eth1")):
        found = ns.route_get(f"{there} ipproto {words}", family)
        assert found
        assert found["dev"] == dev


def test_a_user_s_connections_are_carried_and_forwarded_ones_are_no_users(net: Network) -> None:
    assert net.client
    put(net, "[[root]]\nuid = root\nuplinks = three\n[[nobody]]\nuid = 65534\nuplinks = two\n")
    assert net.lab.connect(net.router.ns, 2) == ["isp3"] * 2
    words = command("flow", "tcp", "9.9.9.9", "1")
    done = net.router.ns.run(*AS_NOBODY, *words)
    assert '"isp": "isp2"' in done.stdout
    assert net.lab.connect(net.client, 2) == ["isp1"] * 2


def test_a_dead_line_s_connections_go_to_the_next_of_the_list_and_come_back(net: Network) -> None:
    assert net.client
    put(net, ECHO + "uplinks = three, one\n")
    assert net.lab.connect(net.client, 2) == ["isp3"] * 2
    with net.isps[2].broken("blackhole"):
        net.router.check()
        assert net.lab.connect(net.client, 2) == ["isp1"] * 2
        assert net.router.check().stdout == ""
        assert (via(net.router), net.router.way_out()) == (["one"], ["one"])
    net.router.check()
    assert net.lab.connect(net.client, 2) == ["isp3"] * 2


@pytest.mark.parametrize("loss", ["device", "carrier"])
def test_the_kernel_has_the_next_of_the_list_before_any_run(net: Network, loss: str) -> None:
    assert net.client
    put(net, ECHO + "uplinks = three, one\n")
    assert net.lab.connect(net.client, 2) == ["isp3"] * 2
    if loss == "device":
        net.router.unplug("eth3")
    else:
        net.router.carrier("eth3", on=False)
    for family in FAMILIES:
        assert net.lab.connect(net.client, 2, TO[family]) == ["isp1"] * 2
    net.router.event("change", "eth3")
    assert net.lab.connect(net.client, 2) == ["isp1"] * 2


def test_a_disabled_uplink_leaves_at_once(net: Network) -> None:
    put(net, ECHO + "uplinks = two\n")
    net.router.mwan("disable", "two")
    net.router.mwan("event")
    assert via(net.router) == []
    assert asked(net.router.ns, "ipproto tcp dport 7") == "eth1"
    net.router.mwan("enable", "two")
    net.router.check()
    assert asked(net.router.ns, "ipproto tcp dport 7") == "eth2"


@pytest.mark.parametrize(
    ("kind", "error"), [("unreachable", "Network is unreachable"), ("blackhole", "Invalid argument")]
)
def test_a_fallback_refuses_what_none_of_the_list_can_carry(net: Network, kind: str, error: str) -> None:
    assert net.client
    put(net, f"{ECHO}uplinks = three\nfallback = {kind}\n")
    assert net.lab.connect(net.client, 1) == ["isp3"]
    net.isps[2].fault("blackhole")
    net.router.check()
    for family in FAMILIES:
        assert net.lab.connect(net.router.ns, 1, TO[family]) == [""]
        assert asked(net.router.ns, "ipproto tcp dport 7", family) == ""
        assert asked(net.router.ns, "ipproto tcp dport 8", family) == "eth1"
        assert net.lab.connect(net.client, 1, TO[family]) == [""]
    done = net.router.ns.run(*command("flow", "tcp", "9.9.9.9", "1"))
    assert error in done.stdout or "No route to host" in done.stdout
    assert via(net.router) == []
    assert net.lab.connect(net.router.ns, 1, "192.168.2.1") == [""], "refused by the port alone"
    net.isps[2].heal()
    net.router.check()
    assert net.lab.connect(net.client, 2) == ["isp3"] * 2


def test_without_a_fallback_the_next_policy_and_then_the_default_carry(net: Network) -> None:
    put(net, ECHO + "uplinks = three\n[[rest]]\nproto = tcp\nuplinks = two\n")
    words = "ipproto tcp dport 7"
    assert asked(net.router.ns, words) == "eth3"
    net.isps[2].fault("blackhole")
    net.router.check()
    assert asked(net.router.ns, words) == "eth2"
    net.isps[1].fault("blackhole")
    net.router.check()
    assert asked(net.router.ns, words) == "eth1"


@pytest.mark.parametrize(("family", "nexthops"), [("ipv4", "routes"), ("ipv6", "objects")])
def test_a_plus_shares_by_weight_and_a_comma_orders_also_against_the_metrics(
    net: Network, family: str, nexthops: str
) -> None:
    assert net.client
    strict = "[[strict]]\nproto = tcp\ndport = 443\nuplinks = two, three\n"
    put(net, f"{ECHO}uplinks = one + three, two\n{strict}", f"nexthops = {nexthops}")
    shown = net.router.status()["policies"]["echo"]
    best = defaults(net.router.ns, shown["table"], family)[0]
    assert {device: weight for device, (_, weight) in hops(best).items()} == {"eth1": 1, "eth3": 2}
    assert (shown["order"], shown["via"]) == ([["one", "three"], ["two"]], ["one", "three"])
    names = net.lab.connect(net.client, 60, TO[family])
    assert set(names) == {"isp1", "isp3"}
    assert 27 <= names.count("isp3") <= 53, "two thirds of sixty, and four deviations"
    assert asked(net.router.ns, "ipproto tcp dport 443", family) == "eth2", "the first of two of one metric"
    traced = net.router.mwan("trace", TO[family], "--proto", "tcp", "--dport", "7").stdout
    assert "lookup policy-echo: matches" in traced
    assert "one + three, two" in net.router.mwan("status").stdout
    net.isps[2].fault("blackhole")
    net.router.check()
    assert set(net.lab.connect(net.client, 12, TO[family])) == {"isp1"}, "not the one behind the comma"
    net.router.unplug("eth1")
    assert set(net.lab.connect(net.client, 2, TO[family])) <= {"isp2", "isp3"}, "the kernel's next, before any run"
    net.router.event("remove", "eth1")
    assert (net.lab.connect(net.client, 4, TO[family]), via(net.router)) == (["isp2"] * 4, ["two"])


def test_a_second_run_writes_nothing(net: Network) -> None:
    put(
        net,
        ECHO + "uplinks = two, three\nfallback = unreachable\n[[all]]\nfrom = 0.0.0.0/0, 10.0.0.0/8\nuplinks = one\n"
        "[[u]]\nuid = 0, 7-9\nmark = 4, 0x40000/0x40000\nto = ::1:0:0:1, 2001:db8::/33, 10.0.0.0/9\n"
        "uplinks = two, one\n"
        "[[p]]\nproto = sctp, 255, ipv6-icmp\nuplinks = one\nfallback = blackhole\n",
    )
    monitor = net.lab.monitor(net.router.ns)
    monitor.written()
    assert net.router.check().stdout == ""
    assert monitor.written() == []
    assert net.router.mwan("plan").stdout == ""


def test_plan_says_in_the_words_of_ip_what_a_run_would_do(net: Network) -> None:
    net.router.configure(config(ECHO + "iif = lan0\nuplinks = two\nfallback = blackhole\n"))
    said = net.router.mwan("plan").stdout.splitlines()
    words = "from all iif lan0 ipproto tcp dport 7"
    table = net.router.status()["uplinks"]["two"]["table"]
    assert said == [
        f"{ip} rule add priority {priority} {words} {action} proto 172"
        for priority, action in ((1400, f"lookup {table}"), (1401, "blackhole"))
        for ip in ("ip", "ip -6")
    ]
    net.router.ns.run("sh", "-ec", "\n".join(said))
    assert net.router.mwan("plan").stdout == ""


def test_a_changed_configuration_leaves_nothing_of_the_old_one_and_flush_takes_all(net: Network) -> None:
    before = layout(net.router.ns)
    for policies in (ECHO + "uplinks = two, three\n", ECHO + "uplinks = two\nfallback = unreachable\n", ""):
        put(net, policies)
        first = layout(net.router.ns)
        net.router.mwan("flush")
        assert ours(net.router.ns) == []
        net.router.reboot_files()
        net.router.check()
        assert layout(net.router.ns) == first, "it is as if it had never been otherwise"
    assert layout(net.router.ns) == before


def test_a_policy_that_moves_in_the_list_keeps_its_traffic(net: Network) -> None:
    put(net, ECHO + "uplinks = three\n")
    probe = f"while :; do ip route get {TO['ipv4']} ipproto tcp dport 7 | grep -q eth3 || echo lost; done"
    log = net.lab.spawn(net.router.ns.argv("sh", "-c", probe), "lost")
    for other in ("[[first]]\nuid = 7\nuplinks = one\n", "", "[[first]]\nuid = 8\nuplinks = two, one\n"):
        put(net, f"{other}{ECHO}uplinks = three\n")
    put(net, ECHO + "uplinks = three, one\n")
    put(net, ECHO + "uplinks = three\nfallback = unreachable\n")
    assert log.read_text() == ""


def test_policies_stay_where_they_are_when_the_state_is_lost(net: Network) -> None:
    put(net, ECHO + "uplinks = three, one\n[[one]]\nuid = 7\nuplinks = two\n")
    before = layout(net.router.ns)
    probe = f"while :; do ip route get {TO['ipv4']} ipproto tcp dport 7 | grep -q eth3 || echo lost; done"
    log = net.lab.spawn(net.router.ns.argv("sh", "-c", probe), "lost")
    net.router.state_file.unlink()
    net.router.check()
    assert layout(net.router.ns) == before
    assert log.read_text() == ""


def test_a_run_that_was_killed_anywhere_is_finished_by_the_next(net: Network) -> None:
    policies = ECHO + "uplinks = two, three\nfallback = unreachable\n[[u]]\nuid = 7, 9\nuplinks = one\n"
    put(net, policies)
    good = layout(net.router.ns)
    for step in range(8):
        put(net, "")
        net.router.configure(config(policies))
        run = net.router.start("check", "--now")
        time.sleep(0.15 + 0.05 * step)
        run.kill()
        run.wait()
        net.router.check()
        assert layout(net.router.ns) == good


def test_more_specific_routes_of_main_come_first_unless_told_otherwise(net: Network) -> None:
    net.router.ns.ip("route add 10.66.0.0/16 via 10.1.0.1 dev eth1")
    words = "ipproto tcp dport 7"
    for first, dev in (("yes", "eth1"), ("no", "eth2")):
        put(net, ECHO + "uplinks = two\n", f"main_first = {first}")
        found = net.router.ns.route_get(f"10.66.0.1 {words}")
        assert found
        assert found["dev"] == dev
        local = net.router.ns.route_get(f"10.1.0.2 {words}")
        assert local
        assert local["dev"] == "lo", "local destinations come before every rule"


def test_a_source_address_is_served_before_any_policy(net: Network) -> None:
    put(net, "[[all]]\nuplinks = two\nfallback = blackhole\n")
    assert asked(net.router.ns, "from 10.3.0.2") == "eth3"
    assert asked(net.router.ns, "oif eth1") == "eth1"
    assert asked(net.router.ns, "") == "eth2"
    net.isps[1].fault("blackhole")
    net.router.check()
    for family in FAMILIES:
        assert net.router.verdict("one", family) == "online"
        assert asked(net.router.ns, "", family) == ""
    net.isps[1].heal()
    net.router.check()
    for family in FAMILIES:
        assert net.router.verdict("two", family) == "online", "our own probes pass"
        assert asked(net.router.ns, "", family) == "eth2"


def test_the_shared_default_in_main_works_the_same(net: Network) -> None:
    put(net, ECHO + "uplinks = three, one\n", "default_table = main")
    assert asked(net.router.ns, "ipproto tcp dport 7") == "eth3"
    assert asked(net.router.ns, "ipproto tcp dport 8") == "eth1"


def test_status_shows_policies_to_people_and_programs(net: Network) -> None:
    assert net.router.status()["policies"] == {}
    before = net.router.mwan("status").stdout
    uplinks = len(before.splitlines())
    put(net, "[[web]]\nto = 10.9.0.0/16\nuplinks = two, one\n[[six]]\nproto = ipv6-icmp\nuplinks = three\n")
    lines = net.router.mwan("status").stdout.splitlines()
    assert [line.split() for line in lines[uplinks + 1 :]] == [
        ["POLICY", "UPLINKS", "IPV4", "IPV6", "FALLBACK"],
        ["web", "two,", "one", "two", "-", "default"],
        ["six", "three", "-", "three", "default"],
    ]
    assert len(net.router.mwan("status", "-H").stdout.splitlines()) == 3
    found = net.router.status()["policies"]
    assert found["web"]["uplinks"] == ["two", "one"]
    assert (found["web"]["via"], found["web"]["ipv4"], found["web"]["ipv6"]) == (
        ["two"],
        {"via": ["two"], "rules": 1},
        None,
    )
    assert (found["six"]["priority"], found["six"]["fallback"]) == (1402, "default")


def test_sticks_come_and_go_and_the_template_stands_for_those_that_are_there(lab: Lab) -> None:
    lines = [Line(lab.isp(f"lte{n}", f"192.168.{n}.0/24"), f"usb{n}", f"192.168.{n}.100/24", 700) for n in (1, 2)]
    fiber = Line(lab.isp("fiber", "10.1.0.0/24"), "eth1", "10.1.0.2/24", 100)
    lab.serve(tls=False)
    router = lab.router(fiber, lines[0])
    router.ns.sysctl({"ipv4/fib_multipath_hash_policy": 1})
    router.configure(
        BASE.split("[uplinks]", maxsplit=1)[0].format(routing="")
        + "[uplinks]\n[[fiber]]\nmatch = eth1\nmetric = 100\n[[lte]]\nmatch = usb*\nmetric = 200\n"
        "[policies]\n[[any]]\nproto = tcp\ndport = 7\nuplinks = lte\nfallback = unreachable\n"
        "[[second]]\nuid = 7\nuplinks = lte@usb2\n"
    )
    router.check()
    router.check()
    assert lab.connect(router.ns, 2) == ["lte1"] * 2
    assert via(router, "second") == []
    router.plug(lines[1])
    router.event("add", "usb2")
    assert via(router, "any") == ["lte@usb1", "lte@usb2"]
    assert set(lab.connect(router.ns, 30)) == {"lte1", "lte2"}
    assert asked(router.ns, "uid 7") == "usb2"
    table = router.status()["policies"]["any"]["table"]
    router.unplug("usb1")
    assert lab.connect(router.ns, 2) == ["lte2"] * 2, "before any run"
    router.event("remove", "usb1")
    assert lab.connect(router.ns, 2) == ["lte2"] * 2
    router.unplug("usb2")
    assert lab.connect(router.ns, 1) == [""]
    router.event("remove", "usb2")
    assert lab.connect(router.ns, 1) == [""]
    assert asked(router.ns, "uid 7") == "eth1"
    router.reboot_files()
    for line in lines:
        router.plug(line)
    router.check()
    assert router.status()["policies"]["any"]["table"] == table, "remembered across boots"
    assert set(lab.connect(router.ns, 30)) == {"lte1", "lte2"}


def test_a_bad_policy_changes_nothing(net: Network) -> None:
    before = layout(net.router.ns)
    net.router.configure(config(ECHO + "uplinks = nope\n"))
    done = net.router.mwan("check", "--now", code=2)
    assert "there is no uplink nope" in done.stderr
    assert layout(net.router.ns) == before
