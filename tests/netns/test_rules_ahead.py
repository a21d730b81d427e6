"""Rules that must stay in front of ours: those of local addresses and of VRFs, wherever others have put them."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Lab, Netns, Object, topologies
from tests.netns.layout import FAMILIES, LOCAL
from tests.netns.test_acceptance_changes import config

FLAG = {"ipv4": "-4", "ipv6": "-6"}


def move(ns: Netns, place: int) -> None:
    """The kernel's look-up of local addresses is asked for later, as its documentation of VRFs says."""
    for flag in FLAG.values():
        ns.ip(f"{flag} rule add priority {place} lookup local")
        ns.ip(f"{flag} rule del priority 0")


@contextmanager
def always_answering(*asked: tuple[Netns, str]) -> Iterator[None]:
    """Addresses that are asked all the time, five hundred times a second, and must answer each time."""
    running = [
        subprocess.Popen(ns.argv("ping", "-n", "-q", "-i", "0.002", address), stdout=subprocess.PIPE, text=True)
        for ns, address in asked
    ]
    yield
    for process in running:
        process.send_signal(signal.SIGINT)
    said = [process.communicate(timeout=10)[0] for process in running]
    counted = [re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", text) for text in said]
    for (_, address), found in zip(asked, counted, strict=True):
        assert found
        sent, received = map(int, found.groups())
        assert sent > 20
        assert sent - received <= 1, f"{address}: {sent - received} of {sent}"  # the last may be under way


def first_of_ours(ns: Netns, family: str) -> list[tuple[int, str]]:
    """Priority and table of our rules, up to the first that is not of local addresses."""
    found = [(int(rule["priority"]), str(rule.get("table"))) for rule in ns.rules(family) if is_ours(rule)]
    return found[: next(at for at, (_, table) in enumerate(found) if table != LOCAL) + 1]


def is_ours(rule: Object) -> bool:
    return bool(rule.get("protocol") == "172")


@pytest.mark.parametrize("place", [1004, 31500])
def test_each_address_of_the_machine_answers_at_any_time(lab: Lab, place: int) -> None:
    net = topologies.probed(lab, 2)
    ns, isps = net.router.ns, net.isps
    move(ns, place)
    before = [ns.rules(family) for family in FAMILIES]
    net.router.configure(config())
    asked = [(isps[0].ns, "10.1.0.2"), (isps[0].ns, "2001:db8:1:1::2"), (isps[1].ns, "10.2.0.2"), (ns, "127.0.0.1")]
    with always_answering(*asked):
        net.router.check()
        for family in FAMILIES:
            assert first_of_ours(ns, family) == [(999, LOCAL), (1000, "254")]
        assert net.router.check().stdout == ""
        net.router.configure(config().replace("metric = 100", "metric = 100\nrule_priority = 620"))
        net.router.check()
        for family in FAMILIES:
            assert first_of_ours(ns, family) == [(619, LOCAL), (620, "1001")]
        net.router.configure(config("rule_priority = 3000"))
        net.router.check()
        net.router.mwan("flush")
    assert [ns.rules(family) for family in FAMILIES] == before


def test_what_is_moved_later_is_put_right_by_a_run_and_told_by_doctor(lab: Lab) -> None:
    net = topologies.probed(lab, 1)
    ns = net.router.ns
    net.router.configure(config().partition("[[two]]")[0])
    net.router.check()
    ns.ip("rule add priority 32765 lookup local")
    ns.ip("rule del priority 0")
    broken = net.router.mwan("doctor", code=1).stdout
    assert "problem" in broken
    assert "ip rule 32765: from all lookup local" in broken
    assert first_of_ours(ns, "ipv4") == [(1000, "254")]
    net.router.check()
    assert first_of_ours(ns, "ipv4") == [(999, LOCAL), (1000, "254")]
    assert first_of_ours(ns, "ipv6") == [(1000, "254")]
    mended = net.router.mwan("doctor", code=None).stdout
    assert "ip rule 32765: from all lookup local" in mended
    ns.batch("rule add priority 0 lookup local", "rule del priority 32765")
    assert "rule del priority 999 from all lookup local" in net.router.check().stdout
    assert "from all lookup local" not in net.router.mwan("doctor", code=None).stdout


@pytest.mark.parametrize("copies", ["own", "main"])
def test_without_main_first_networks_are_reached_and_halves_of_everything_passed_over(lab: Lab, copies: str) -> None:
    net = topologies.probed(lab, 2, client=True)
    ns, client = net.router.ns, net.client
    assert client
    ns.batch(
        "link add vpn0 type veth peer vpn1", "link set vpn0 up", "link set vpn1 up", "addr add 10.77.0.2/24 dev vpn0"
    )
    ns.batch("addr add fd00:77::1/64 dev lan0 nodad", "route add 172.19.0.0/20 via 192.168.2.10")
    ns.ip("-6 route add fd00:78::/48 via fd00:77::10 dev lan0")
    for half in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "2000::/3"):
        ns.ip(f"route add {half} dev vpn0")
    net.router.configure(config(f"main_first = no\ncopy_routes = {copies}"))
    net.router.check()
    wanted = {"192.168.2.10": "lan0", "172.19.3.4": "lan0", "10.77.0.9": "vpn0", "9.9.9.9": "eth1"}
    wanted |= {"203.0.113.5": "eth1"}
    wanted6 = {"fd00:77::10": "lan0", "fd00:78::5": "lan0", "2001:db8:9::9": "eth1", "2600::1": "eth1"}
    for family, asked in (("ipv4", wanted), ("ipv6", wanted6)):
        found = {address: ns.route_get(address, family) for address in asked}
        assert {address: way["dev"] for address, way in found.items() if way} == asked
    own = ns.route_get("203.0.113.5 from 10.2.0.2")
    assert own
    assert own["dev"] == "eth2"
    to_client = ns.route_get("192.168.2.10 from 10.1.0.2")
    assert to_client
    assert to_client["dev"] == ("lan0" if copies == "main" else "eth1"), "sources decide, but for what is copied"
    client.run("ping", "-nqc1", "-W2", "192.168.2.1")
    assert net.router.check().stdout == ""


def test_ours_make_way_for_a_rule_of_vrfs(lab: Lab) -> None:
    """The kernel adds it behind what stands at 1000, when the first VRF is made."""
    net = topologies.probed(lab, 1)
    ns = net.router.ns
    net.router.configure(config().partition("[[two]]")[0])
    net.router.check()
    ns.ip("rule add l3mdev priority 1000 protocol kernel")
    said = net.router.check().stdout.splitlines()
    assert [line for line in said if " rule " in line] == [
        "[#] ip rule add priority 1001 from all lookup main suppress_prefixlength 0 proto 172",
        "[#] ip rule del priority 1000 from all lookup main suppress_prefixlength 0 proto 172",
    ]
    assert net.router.check().stdout == ""
    order = ["l3mdev" if "l3mdev" in rule else rule.get("table") for rule in ns.rules("ipv4")]
    assert order[:3] == [LOCAL, "l3mdev", "254"]
    assert first_of_ours(ns, "ipv6") == [(1000, "254")]
    net.router.configure(config("rule_priority = 700").partition("[[two]]")[0])
    net.router.check()
    ours = [(rule["priority"], "l3mdev" in rule) for rule in ns.rules("ipv4") if is_ours(rule)]
    assert ours[:2] == [(699, True), (700, False)]
    net.router.mwan("flush")
    assert [rule["priority"] for rule in ns.rules("ipv4")] == [0, 1000, 32766, 32767]
