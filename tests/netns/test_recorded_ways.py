"""The record agrees with the state, the history and `status` by routes and objects, in main, and beside policies."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from tests.lab import Lab, Network, topologies, wait_for
from tests.lab.uplinks import probing

UPLINKS = """
[uplinks]
[[fiber]]
match = eth1
metric = 100
weight = 2
[[cable]]
match = eth2
metric = 100
[[lte]]
match = eth3
metric = 200
"""
VOIP = "9.9.9.9"
POLICY = f"""
[policies]
[[voip]]
to = {VOIP}
uplinks = cable, lte
"""
WAYS = {
    "main": "[routing]\ndefault_table = main\n",
    "objects in main": "[routing]\nnexthops = objects\ndefault_table = main\nmain_first = no\n",
    "policies by objects": f"[routing]\nnexthops = objects\n{POLICY}",
}
FAMILIES = ("ipv4", "ipv6")
DIED = [cause for cause in ("beyond the gateway", "carrier", "interface", "by hand") for _ in FAMILIES]  # in `lived`


class Stage(NamedTuple):
    """How things stood for a while, by `why`."""

    moment: float  # seconds since the epoch, at which nothing was run
    default: dict[str, list[str]]  # by family
    used: dict[str, bool]  # by UPLINK/FAMILY


def said(net: Network, moment: float, *words: str) -> Stage:
    told = json.loads(net.router.mwan("why", "--json", *words).stdout)
    default = {family: sorted(told["default"][family]["uplinks"]) for family in FAMILIES}
    lines = {f"{name}/{family}": one[family] for name, one in told["uplinks"].items() for family in FAMILIES}
    return Stage(moment, default, {name: one["used"] for name, one in lines.items() if one})


def seen(net: Network) -> Stage:
    """How things stand, by `why`, which agrees with `status`."""
    moment = int(time.time()) + 1
    stage, status = said(net, moment), net.router.status()
    assert stage.default == {family: sorted(status["default"][family]) for family in FAMILIES}
    for name, used in stage.used.items():
        uplink, family = name.split("/")
        assert used == (uplink in status["default"][family]), name
    for address, ways in (("1.0.0.1", stage.default["ipv4"]), *(((VOIP, via(status)),) if status["policies"] else ())):
        [packet] = json.loads(net.router.mwan("why", address, "--json").stdout)["destinations"]
        assert sorted(packet["uplinks"]) == ways, address
    wait_for("the next second", lambda: time.time() > moment, 5)
    return stage


def via(status: dict[str, Any]) -> list[str]:
    return sorted(status["policies"]["voip"]["ipv4"]["via"])


def lived(net: Network) -> list[Stage]:
    """A line that dies behind its gateway, one without carrier, one that is unplugged, and one taken out by hand."""
    router = net.router
    stages = []

    def step(change: Callable[[], object], *words: str) -> None:
        change()
        router.mwan(*words)
        stages.append(seen(net))

    step(lambda: None, "check")
    step(lambda: net.isps[0].fault("blackhole"), "check", "--now")
    step(net.isps[0].heal, "check", "--now")
    step(lambda: router.carrier("eth2", False), "event")
    step(lambda: router.carrier("eth2", True), "check", "--now")
    step(lambda: router.unplug("eth1"), "event")
    step(lambda: router.plug(router.lines["eth1"]), "check", "--now")
    step(lambda: None, "disable", "fiber")
    step(lambda: router.mwan("enable", "fiber"), "check", "--now")
    return stages


def outages(rows: list[dict[str, str]]) -> dict[tuple[str, str, str], str]:
    """What died, by uplink, family and when, in the report's table; not what was only not trusted yet."""
    found = [row for row in rows if row["kind"] == "outage" and row["cause"]]
    return {(row["uplink"], row["family"], row["begin"][:19]): row["cause"] for row in found}


@pytest.mark.parametrize("ways", WAYS)
def test_the_record_agrees_with_state_and_history(lab: Lab, ways: str) -> None:
    net = topologies.probed(lab, 3)
    router = net.router
    targets = "gateway:, icmp://1.1.1.1, icmp://2606:4700:4700::1111"
    router.configure(f"{WAYS[ways]}{probing(targets, required=2)}{UPLINKS}")
    stages = lived(net)
    assert {tuple(stage.default["ipv4"]) for stage in stages} == {("cable",), ("fiber",), ("cable", "fiber")}
    for stage in stages:
        at = datetime.fromtimestamp(stage.moment).isoformat(timespec="seconds")
        assert said(net, stage.moment, "--at", at) == stage
    told = router.history()
    replayed = " ".join(router.mwan("replay").stdout.split())
    assert f"the history is the recorded one, exactly ({len(told)} transitions)" in replayed
    rows = list(csv.DictReader(io.StringIO(router.mwan("report", "--csv", "-").stdout)))
    left = [(one["uplink"], one["family"], one["at"][:19]) for one in told if one["event"] == "offline"]
    assert dict(zip(left, DIED, strict=True)) == outages(rows)
