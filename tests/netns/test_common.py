"""Faults that are no uplink's own: a target that is dead behind every provider, all providers dead at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mwan_hook.store import files
from tests.lab import Lab, Network, topologies, wait_for

ECHO = 2 * (20 + 16)  # bytes of one and its answer, from the IP header up
SETTINGS = """
[probe]
portal_interval = 0
timeout = 0.5
burst_interval = 0.1
fall = 3
rise = 1
interval = 3600
targets = {targets}
required = {required}
[uplinks]
[[fiber]]
match = eth1
metric = 100
families = ipv4
{more}
[[lte]]
match = eth2
metric = 200
families = ipv4
metered = yes
[[cable]]
match = eth3
metric = 300
families = ipv4
"""
GONE = "icmp://1.1.1.1"
SETS = {
    "single": (GONE, 1),
    "both": (f"{GONE}, icmp://9.9.9.9", 2),
    "any": (f"{GONE}, icmp://9.9.9.9", 1),
}


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Three providers, for all of these tests."""
    with Lab() as lab:
        yield topologies.probed(lab, 3)


@pytest.fixture
def net(lines: Network) -> Network:
    """All whole, as after a boot."""
    (lines.router.root / files.HISTORY).unlink(missing_ok=True)
    return lines.anew()


def started(net: Network, chosen: str = "both", more: str = "") -> None:
    """All online."""
    targets, required = SETS[chosen]
    net.router.configure(SETTINGS.format(targets=targets, required=required, more=more))
    net.router.check()
    assert online(net) == ["fiber", "lte", "cable"]


def online(net: Network) -> list[str]:
    uplinks = net.router.status()["uplinks"]
    return [name for name, one in uplinks.items() if one["ipv4"]["status"] == "online"]


def told(net: Network) -> list[tuple[str, str]]:
    """What is no single uplink's, of the history."""
    return [(one["event"], one["new"]) for one in net.router.history() if one["event"].startswith(("common", "target"))]


def drop(net: Network, address: str = "1.1.1.1") -> None:
    """One address of the internet is dead behind every provider."""
    for isp in net.isps:
        isp.ns.nft(f"add rule inet lab IN ip daddr {address} drop\n")


@pytest.mark.parametrize("chosen", SETS)
def test_a_target_that_is_dead_behind_every_provider_changes_no_verdict_and_is_named(net: Network, chosen: str) -> None:
    started(net, chosen)
    before = len([one for one in net.router.history() if one["event"] in ("offline", "default-route")])
    drop(net)
    for _ in range(4):
        net.router.check()
        assert online(net) == ["fiber", "lte", "cable"]
    found = net.router.status()["ignored"]
    assert [(one["target"], one["family"]) for one in found] == [(GONE, "ipv4")] and found[0]["since"]
    assert told(net) == [("target-ignored", "ignored")]
    assert f"{GONE}  ipv4" in net.router.mwan("status").stdout
    assert "target-ignored" in net.router.mwan("doctor", code=None).stdout
    for isp in net.isps:
        isp.heal()
    wait_for("it to count again", lambda: net.router.check() and not net.router.status()["ignored"])
    assert told(net)[1:] == [("target-counted", "counted")]
    after = [one for one in net.router.history() if one["event"] in ("offline", "default-route")]
    assert len(after) == before and online(net) == ["fiber", "lte", "cable"]


@pytest.mark.parametrize("chosen", ["single", "both"])
def test_a_dead_line_falls_in_the_same_run_and_a_metered_one_pays_for_one_answer_at_most(
    net: Network, chosen: str
) -> None:
    started(net, chosen)
    net.router.carrier("eth3", False)
    net.router.mwan("event", "--facts")
    spent = net.router.family("lte")["probe_bytes"]
    net.isps[0].fault("blackhole4")
    net.router.mwan("check", "fiber", "--now")
    assert online(net) == ["lte"]
    assert net.router.family("fiber")["bad"] == 3
    paid = net.router.family("lte")["probe_bytes"] - spent
    assert paid == (ECHO if chosen == "single" else 0), "where all its targets fail the line itself is dead"
    assert net.router.status()["ignored"] == []


def test_a_line_that_dies_while_the_only_target_is_ignored_is_told_by_its_gateway(net: Network) -> None:
    started(net, "single")
    drop(net)
    net.router.check()
    assert net.router.status()["ignored"] and online(net) == ["fiber", "lte", "cable"]
    net.isps[0].fault("gwdead")
    net.router.check()
    assert online(net) == ["lte", "cable"]


def test_at_first_sight_a_single_target_that_is_dead_keeps_no_line_out(net: Network) -> None:
    drop(net)
    targets, required = SETS["single"]
    net.router.configure(SETTINGS.format(targets=targets, required=required, more=""))
    net.router.check()
    assert online(net) == ["fiber", "lte", "cable"]
    assert net.router.way_out() == ["fiber"]


def test_all_dead_at_once_is_one_notice_no_repair_and_no_hold(net: Network) -> None:
    hook = net.router.write("etc/mwan-hook/common.d/10-told", '#!/bin/sh\necho "$REASON" >>"$MWAN_HOOK_ROOT/told"\n')
    hook.chmod(0o755)
    heard = net.router.root / "told"
    started(net, "both", more="repair = hook@0.1")
    for isp in net.isps:
        isp.fault("blackhole4", "gwdead")
    net.router.check()
    assert online(net) == []
    assert told(net) == [("common", "offline")]
    words = "common: all uplinks at once; upstream, power or this machine"
    wait_for("hooks to hear of it", lambda: heard.exists() and heard.read_text())
    assert heard.read_text().startswith(f"{words}: fiber, lte, cable\n")
    status = net.router.status()
    assert status["common"]["uplinks"] == ["fiber", "lte", "cable"] and status["common"]["since"]
    assert words in net.router.mwan("status").stdout

    def held() -> object:
        net.router.mwan("repair", "--due", code=None)
        return words in json.dumps(net.router.status()["uplinks"]["fiber"]["repair"])

    wait_for("the step to be kept back", held)
    assert not [one for one in net.router.history() if one["event"] == "repair-step"]
    for isp in net.isps:
        isp.heal()
    net.router.check()
    net.router.check()
    assert online(net) == ["fiber", "lte", "cable"]
    assert [net.router.family(name)["held_until"] for name in ("fiber", "lte", "cable")] == [None] * 3
    assert told(net) == [("common", "offline"), ("common", "online")] and net.router.status()["common"] is None
