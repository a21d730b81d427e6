"""`nexthops = objects`: established flows stay where they are when weights change and uplinks come and go."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab, Netns, Network
from tests.netns.flows import ESTABLISHED_PORT6
from tests.netns.layout import FAMILIES, defaults, hops, layout
from tests.netns.shares import assert_shares, carried, config, network, shares
from tests.netns.test_common_run import DUMP

ESTABLISHED = 400
OBJECTS, ROUTES, AUTO = "nexthops = objects", "nexthops = routes", "nexthops = auto"
EVENLY, UNEVENLY = (1, 1, 1), (3, 2, 1)
FOREIGN = (
    "nexthop add id 1720000004 blackhole proto 9",  # the ids that we would take first
    "nexthop add id 1720000006 blackhole proto 9",
    "nexthop add id 1 via 10.1.0.1 dev eth1",
    "nexthop add id 2 via 10.2.0.1 dev eth2",
    "nexthop add id 3 group 1,2/2 proto 186",
    "route add 198.51.100.0/24 nhid 3 proto 186",
)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with Lab() as lab:
        yield network(lab)


@pytest.fixture
def shared(net: Network) -> Network:
    """Three equal uplinks that share by objects."""
    return run(net, EVENLY, OBJECTS)


def picture(ns: Netns) -> list[str]:
    """Rules, routes and nexthop objects, without the time since when busy buckets are where they should not be."""
    shown = [*layout(ns), *(json.dumps(one, sort_keys=True) for one in objects(ns))]
    return [re.sub(r'"unbalanced_time": [0-9.]+', "", line) for line in shown]


def run(net: Network, weights: tuple[int, ...], routing: str) -> Network:
    net.router.configure(config(*weights, routing=routing))
    net.router.check()
    return net


def objects(ns: Netns) -> list[dict[str, Any]]:
    return ns.objects("nexthop show")


def ours(ns: Netns, protocol: str = "172") -> list[dict[str, Any]]:
    return [one for one in objects(ns) if one["protocol"] == protocol]


def established(net: Network) -> dict[int, str]:
    """One more packet of each established flow of the client: by port, the provider that it reached."""
    assert net.client
    return carried(net, net.client, ESTABLISHED)


def moved(before: dict[int, str], after: dict[int, str], but: str = "") -> list[int]:
    """How many flows of each family go another way now; those that went by ``but`` are not asked for."""
    return [
        sum(after[port] != isp for port, isp in before.items() if isp != but and (port >= ESTABLISHED_PORT6) == six)
        for six in (False, True)
    ]


def ways(net: Network, family: str) -> set[str]:
    """Interfaces that share the best default."""
    return set(hops(defaults(net.router.ns, 1000, family)[0]))


def test_the_shared_default_goes_through_a_resilient_group_and_its_fallbacks_do_not(net: Network) -> None:
    run(net, UNEVENLY, OBJECTS)
    for family, digit in zip(FAMILIES, (4, 6), strict=True):
        best, *below = defaults(net.router.ns, 1000, family)
        group = next(one for one in objects(net.router.ns) if one["id"] == best["nhid"])
        assert {dev: weight for dev, (_, weight) in hops(best).items()} == {"eth1": 3, "eth2": 2, "eth3": 1}
        assert (group["id"], group["type"]) == (1720000000 + digit, "resilient")
        assert (group["resilient_args"]["buckets"], group["resilient_args"]["idle_timer"]) == (1024, 120)
        assert {one["id"] for one in group["group"]} == {
            1720000000 + 10 * net.router.ns.index(f"eth{n}") + digit for n in (1, 2, 3)
        }
        assert [route.get("nhid") for route in below] == [None, None, None]
    assert len(ours(net.router.ns)) == 8
    monitor = net.lab.monitor(net.router.ns)
    monitor.written()
    net.router.check()
    assert monitor.written() == []


@pytest.mark.parametrize(("where", "digit"), [("8.8.8.8", 4), ("2620:fe::fe", 6)])
def test_trace_shows_the_group_and_its_shares(net: Network, where: str, digit: int) -> None:
    if len(ours(net.router.ns)) != 8:
        run(net, UNEVENLY, OBJECTS)
    source = "192.168.2.10" if digit == 4 else "fd00:aa::10"
    told = net.router.mwan("trace", where, "--iif", "lan0", "--from", source).stdout
    assert f"result: by table mwan: default nhid 172000000{digit} over 3 nexthops metric 1" in told
    assert "dev eth1, 50% of the flows (weight 3), uplink w1, online" in told
    assert "kernel: agrees" in told


@pytest.mark.parametrize("weights", [(1, 1), (3, 2), (1, 2, 3)], ids=str)
def test_flows_are_shared_by_weight(net: Network, weights: tuple[int, ...]) -> None:
    net.router.ns.ip("nexthop flush")  # so that no bucket is in use
    run(net, weights, OBJECTS)
    assert net.client
    for ns in (net.router.ns, net.client):
        for family in FAMILIES:
            assert_shares(shares(net, ns, family), weights)


@pytest.mark.parametrize("routing", [OBJECTS, ROUTES])
def test_a_change_of_weights_moves_no_established_flow_with_objects_and_many_with_routes(
    net: Network, routing: str
) -> None:
    run(net, EVENLY, ROUTES)
    run(net, EVENLY, routing)
    before = established(net)
    run(net, UNEVENLY, routing)
    assert net.client
    for family in FAMILIES:  # what begins now goes by the new weights
        assert_shares(shares(net, net.client, family), UNEVENLY)
    found = moved(before, established(net))
    assert found == [0, 0] if routing == OBJECTS else min(found) > 50


def test_an_uplink_that_is_unplugged_moves_only_its_flows_and_none_when_it_is_back(shared: Network) -> None:
    router, before = shared.router, established(shared)
    router.unplug("eth2")
    assert moved(before, established(shared), but="isp2") == [0, 0]
    router.event("remove", "eth2")
    without = established(shared)
    assert moved(before, without, but="isp2") == [0, 0]
    assert set(without.values()) == {"isp1", "isp3"}
    router.plug(shared.lines["eth2"])
    router.check()
    assert [ways(shared, family) for family in FAMILIES] == [{"eth1", "eth2", "eth3"}] * 2
    assert moved(without, established(shared)) == [0, 0]
    assert shared.client
    assert min(shares(shared, shared.client, "ipv4")) > 20
    assert router.mwan("plan").stdout == ""


def test_own_ipv6_packets_are_traced_past_the_group(net: Network) -> None:
    if len(ours(net.router.ns)) != 8:
        run(net, UNEVENLY, OBJECTS)
    told = net.router.mwan("trace", "2620:fe::fe").stdout
    assert "result: by table mwan-own: default over 3 nexthops metric 1" in told
    assert "kernel: agrees" in told


def test_the_last_one_left_keeps_its_flows_when_others_come_back(shared: Network) -> None:
    for isp in shared.isps[1:]:
        isp.fault("blackhole")
    shared.router.check()
    try:
        before = established(shared)
        assert [ways(shared, family) for family in FAMILIES] == [{"eth1"}] * 2
        assert shared.router.mwan("plan").stdout == ""
        twins = next(one for one in ours(shared.router.ns) if one["id"] == 1720000004)["group"]
        typed = f"{twins[0]['id']},256/{twins[1]['id']}"  # what the installed ip(8) takes
        resilient = "type resilient buckets 1024 idle_timer 120"
        shared.router.ns.ip(f"nexthop replace id 1720000004 group {typed} proto 172 {resilient}")
        assert shared.router.mwan("plan").stdout == ""
        told = shared.router.mwan("trace", "8.8.8.8").stdout
        assert told.count("via 10.1.0.1 dev eth1, uplink w1, online") == 2  # and once for a socket that asks again
    finally:
        for isp in shared.isps[1:]:
            isp.heal()
    shared.router.check()
    assert [ways(shared, family) for family in FAMILIES] == [{"eth1", "eth2", "eth3"}] * 2
    assert moved(before, established(shared)) == [0, 0]


def test_carrier_loss_is_healed_when_the_carrier_is_back(shared: Network) -> None:
    router, wanted = shared.router, picture(shared.router.ns)
    router.carrier("eth1", False)
    assert len(ours(router.ns)) == 6  # the kernel itself
    before = established(shared)
    router.event("change", "eth1")
    assert moved(before, established(shared)) == [0, 0]
    router.carrier("eth1", True)
    router.check()
    assert picture(router.ns) == wanted
    assert router.mwan("plan").stdout == ""


def test_what_others_flushed_is_there_again_after_the_next_run_and_something_carries_until_then(
    shared: Network,
) -> None:
    wanted = picture(shared.router.ns)
    shared.router.ns.ip("nexthop flush")
    for family, where in (("ipv4", "8.8.8.8"), ("ipv6", "2620:fe::fe")):
        assert shared.router.ns.route_get(where, family)
    shared.router.check()
    assert picture(shared.router.ns) == wanted


def test_foreign_objects_stay_byte_for_byte_and_ours_go_with_flush(net: Network) -> None:
    net.router.mwan("flush")
    net.router.ns.batch(*FOREIGN)
    before = net.router.ns.ip("-d nexthop show"), net.router.ns.ip("route show")
    run(net, UNEVENLY, AUTO)
    assert (len(ours(net.router.ns)), net.router.status()["nexthops"]) == (8, "objects")
    assert net.router.mwan("plan").stdout == ""
    net.router.mwan("flush")
    assert (net.router.ns.ip("-d nexthop show"), net.router.ns.ip("route show")) == before
    net.router.ns.ip("nexthop flush")


def test_a_lost_state_leaves_the_standing_group_until_there_are_verdicts(shared: Network) -> None:
    wanted, there = picture(shared.router.ns), ours(shared.router.ns)
    before = established(shared)
    shared.router.reboot_files()
    told = shared.router.mwan("event", "--facts").stdout
    assert "nexthop" not in told and "1000" not in told  # the marks' rules wait for verdicts
    assert len(objects(shared.router.ns)) == len(there) == 8
    shared.router.check()
    assert picture(shared.router.ns) == wanted
    assert moved(before, established(shared)) == [0, 0]


def test_another_protocol_number_takes_ours_over(shared: Network) -> None:
    run(shared, EVENLY, f"{OBJECTS}\nprotocol = 173")
    assert (len(ours(shared.router.ns)), len(ours(shared.router.ns, "173"))) == (0, 8)
    assert shared.router.mwan("plan").stdout == ""
    run(shared, EVENLY, OBJECTS)
    assert (len(ours(shared.router.ns)), len(ours(shared.router.ns, "173"))) == (8, 0)


@pytest.mark.parametrize(("old", "new"), [(ROUTES, OBJECTS), (OBJECTS, ROUTES), (OBJECTS, OBJECTS)])
def test_each_line_of_a_plan_leaves_a_default_and_a_plan_cut_short_is_finished_by_the_next(
    net: Network, old: str, new: str
) -> None:
    """The plan is typed at a shell, as far as the middle, where the run is taken to be killed; then what is left."""
    run(net, EVENLY, old)
    net.router.configure(config(2, 1, routing=new) + "[[w3]]\nmatch = eth3\nmetric = 300\n")
    first = net.router.mwan("plan").stdout.splitlines()
    typed(net, first[: len(first) // 2])
    rest = net.router.mwan("plan").stdout.splitlines()
    assert 2 <= len(first) // 2 <= len(rest) < len(first)
    typed(net, rest)
    assert net.router.mwan("plan").stdout == ""
    assert (ours(net.router.ns) == []) == (new == ROUTES)


def typed(net: Network, lines: list[str]) -> None:
    """Each line at a shell; both families have a shared default all the time."""
    for line in lines:
        net.router.ns.run("sh", "-c", line)
        for family in FAMILIES:
            assert defaults(net.router.ns, 1000, family)[0]["metric"] == 1, line


def test_runs_that_were_killed_leave_nothing_wrong_for_the_next(shared: Network) -> None:
    wanted = picture(shared.router.ns)
    for step in range(8):
        shared.router.configure(config(*EVENLY, routing=(ROUTES, OBJECTS)[step % 2]))
        killed = shared.router.start("check")
        time.sleep(0.08 + 0.03 * step)
        killed.kill()
        killed.wait()
    shared.router.check()
    assert picture(shared.router.ns) == wanted
    assert shared.router.mwan("plan").stdout == ""


def test_in_main_a_shared_default_through_objects_is_for_those_who_ask_for_it(net: Network) -> None:
    run(net, EVENLY, f"default_table = main\n{AUTO}")
    assert ours(net.router.ns) == []
    run(net, EVENLY, AUTO)
    assert len(ours(net.router.ns)) == 8
    run(net, EVENLY, f"default_table = main\n{OBJECTS}")
    assert defaults(net.router.ns, "main", "ipv4")[0]["nhid"]
    assert "nhid" not in defaults(net.router.ns, "main", "ipv6")[0]  # own packets could not pass it by
    for family, where in (("ipv4", "8.8.8.8"), ("ipv6", "2620:fe::fe")):
        for device in ("eth1", "eth2", "eth3"):
            found = net.router.ns.route_get(f"{where} oif {device}", family)
            assert found
            assert (found["dev"], "gateway" in found) == (device, True)
    assert net.router.mwan("plan").stdout == ""
    run(net, EVENLY, ROUTES)
    assert ours(net.router.ns) == []


def test_auto_asks_once_in_a_boot_whether_networkd_leaves_objects_alone(net: Network) -> None:
    """networkd runs, of a systemd that knows how (others: test_nexthops_auto.py)."""
    net.router.configure(config(*EVENLY, routing=AUTO))
    net.router.reboot_files()
    boot = ("run/systemd/netif/state", "")
    setting = net.router.write("etc/systemd/networkd.conf.d/60.conf", "[Network]\nManageForeignNextHops=no\n")
    library = net.router.write("usr/lib/systemd/libsystemd-shared-256.so", "")
    net.router.write(*boot)
    net.router.check()
    setting.unlink()
    net.router.check()
    assert len(ours(net.router.ns)) == 8
    net.router.reboot_files()
    net.router.write(*boot)
    net.router.check()
    assert ours(net.router.ns) == []
    library.unlink()
    net.router.reboot_files()


def test_who_shares_by_routes_or_does_not_share_reads_no_objects(net: Network, tmp_path: Path) -> None:
    for text in (config(*EVENLY, routing=ROUTES), config(1, 1, routing=AUTO).replace("metric = 100", "metric = 90", 1)):
        net.router.configure(text)
        net.router.check()
        modules = tmp_path / "modules"
        environment = {**net.router.environment(), "MODULES": str(modules)}
        words = [net.router.python, "-c", DUMP, "--root", str(net.router.root), "check", "--now"]
        assert net.router.ns.run(*words, env=environment).stderr == ""
        assert [name for name in modules.read_text().split() if "nexthops" in name] == []
