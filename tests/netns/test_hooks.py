"""The operator's programs, with the real command: once each, in order, after routing, whatever they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.process import wait_for

CONFIG = """
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
hysteresis_delay = 0
fall = 2
rise = 1
targets = icmp://9.9.9.9
[hooks]
timeout = 2
[uplinks]
[[fiber]]
match = eth1
metric = 100
families = ipv4
[[lte]]
match = eth2
metric = 200
families = ipv4
"""
TELL = 'echo "$EVENT_ID|$EVENT|$IFACE|$STATE|$OLD_STATE|$UPLINK|$FAMILY|$IPV4_ADDR|$IPV4_GATEWAY" >>"$MWAN_HOOK_ROOT/told"'
EVENTS = ("full", "portal", "limited", "none", "online", "offline", "default-route", "plugged", "unplugged")


def hook(net: Network, event: str, text: str, name: str = "50-tell", place: str = "etc/mwan-hook") -> Path:
    """An executable of the operator's."""
    path = net.router.write(f"{place}/{event}.d/{name}", f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def quiet(net: Network) -> None:
    """Everything is told."""
    net.router.mwan("notify", code=None)
    spool = net.router.root / "run/mwan-hook/notify"
    assert not spool.exists() or not [name for name in os.listdir(spool) if not name.startswith(".")]


def told(net: Network, name: str = "told") -> list[list[str]]:
    """What the hooks wrote: lines of id, event, interface, ..."""
    quiet(net)
    path = net.router.root / name
    return [line.split("|") for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two uplinks online, and every event told from now on."""
    made = topologies.probed(lab, 2)
    made.router.configure(CONFIG)
    made.router.check()
    for event in EVENTS:
        hook(made, event, TELL)
    return made


def test_default_route_hooks_run_once_for_each_way_that_it_changes(net: Network) -> None:
    fiber, lte = net.router.lines["eth1"], net.router.lines["eth2"]

    def moved() -> list[list[str]]:
        found = [line[2:] for line in told(net) if line[1] == "default-route"]
        (net.router.root / "told").unlink()
        return found

    by_fiber = ["eth1", "", "", "fiber", "ipv4", fiber.source, fiber.isp.gateway]
    by_lte = ["eth2", "", "", "lte", "ipv4", lte.source, lte.isp.gateway]
    net.isps[0].fault("blackhole")
    net.router.check()
    assert moved() == [by_lte]
    net.isps[0].heal()
    net.router.check()
    assert moved() == [by_fiber]
    net.router.ns.ip("link set eth1 down")
    net.router.event("change", "eth1")
    assert moved() == [by_lte]
    net.router.lease(fiber)
    net.router.event("change", "eth1")
    assert moved() == [by_fiber]
    old, fresh = fiber.source, "10.1.0.77"
    net.router.ns.batch(f"addr del {fiber.address} dev eth1", f"addr add {fresh}/24 dev eth1", "link set eth1 up")
    net.router.ns.ip(f"route replace default via {fiber.isp.gateway} dev eth1 metric 100")
    net.router.event("change", "eth1")
    assert old != fresh and moved() == [[*by_fiber[:5], fresh, fiber.isp.gateway]]
    for interface in ("eth1", "eth2"):
        net.router.ns.ip(f"link set {interface} down")
    net.router.event("change", "eth1")
    assert moved() == [["", "", "", "", "ipv4", "", ""]]
