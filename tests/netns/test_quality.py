"""A line that loses packets is degraded and comes after the other, until it has been good for a whole window."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, Network, Router, topologies, wait_for
from tests.lab.isp import TO4
from tests.lab.uplinks import ONE_TWO
from tests.netns import dying
from tests.netns.layout import defaults, hops

# The kernel here has no netem; nft(8) throws dice as well.
LOSSY = "add rule inet lab IN {} numgen random mod 100 < {} drop"
MEASURED = f"""
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
hysteresis_delay = 0
rise = 1
interval = 0.5
window = 5
loss_high = 10
loss_low = 3
{ONE_TWO}"""


EQUAL = MEASURED.replace("metric = 200", "metric = 100").replace("[uplinks]", "[routing]\nprefer = latency\n[uplinks]")


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with Lab() as lab:
        made = topologies.probed(lab, 2)
        made.router.configure(MEASURED)
        made.router.check()
        yield made


def checks_until(router: Router, uplink: str, word: str, seconds: float = 40) -> None:
    """The timer's checks, until a verdict is told."""
    until = time.monotonic() + seconds
    while router.family(uplink)["status"] != word:
        assert time.monotonic() < until, router.family(uplink)
        router.check()


def order(router: Router) -> list[str]:
    return [next(iter(hops(route))) for route in defaults(router.ns, 1000)]


def turns(router: Router) -> list[tuple[str, ...]]:
    """What the history has of the verdict on `one` over IPv4."""
    told = [line for line in router.history("one") if line["family"] == "ipv4" and line["event"] != "default-route"]
    return [(line["event"], line["old"], line["new"], line["reason"]) for line in told]


def aged(router: Router, uplink: str, seconds: float) -> None:
    """As if that long had gone by since it was last looked into."""
    stored = json.loads(router.state_file.read_text())
    stored["uplinks"][uplink]["ipv4"]["quality"]["checked_at"] -= seconds
    router.write_state(json.dumps(stored))


def hook(router: Router, event: str) -> Path:
    made = router.write(f"etc/mwan-hook/{event}.d/note", '#!/bin/sh\necho "$OLD_STATE $STATE $FAMILY" >>"$0.said"\n')
    made.chmod(0o755)
    return made.with_suffix(".said")


def test_a_line_that_loses_a_quarter_comes_after_the_other_and_back_when_it_is_good(net: Network) -> None:
    router, line = net.router, net.isps[0]
    said = hook(router, "degraded")
    assert router.way_out() == ["one"]
    line.ns.nft(LOSSY.format(TO4, 25))
    checks_until(router, "one", "degraded")
    found = router.family("one")
    assert found["connectivity"] == "full"
    assert found["reason"].startswith("loss ") and "(limit 10 %)" in found["reason"]
    assert found["quality"]["samples"] >= 60
    assert found["quality"]["loss_percent"] > 10
    assert router.way_out() == ["two"]
    assert order(router) == ["eth2", "eth2", "eth1"]
    assert [router.way_out("ipv6"), router.family("one", "ipv6")["status"]] == [["one"], "online"]
    assert router.mwan("plan").stdout == ""
    assert turns(router)[-1][:3] == ("degraded", "online", "degraded")
    wait_for("the hook", lambda: said.exists() and said.read_text())
    assert said.read_text() == "online degraded ipv4\n"

    line.heal()
    aged(router, "one", 60)
    assert dying.killed(router, 1, "before", "check", "--now")  # when it was measured, and is about to be stored
    checks_until(router, "one", "online")
    assert router.way_out() == ["one"]
    assert order(router) == ["eth1", "eth1", "eth2"]
    last = turns(router)[-1]
    assert last[:3] == ("online", "degraded", "online")
    assert last[3].startswith("good again: loss ")


def test_of_equals_the_quicker_one_carries_and_the_other_waits(net: Network) -> None:
    router = net.router
    net.lab.delay(net.isps[0], 400)  # longer than a burst waits by itself
    router.configure(EQUAL)
    router.mwan("check", "--now")
    assert [router.way_out("ipv4"), len(hops(defaults(router.ns, 1000)[0]))] == [["two"], 1]
    assert order(router) == ["eth2", "eth2", "eth1"]
    router.mwan("check", "--now")
    assert router.mwan("plan").stdout == ""
    found = router.family("one")["quality"]
    assert (found["loss_percent"], found["latency_ms"] > 400) == (0.0, True)  # late is not lost
    with net.isps[1].broken("blackhole4"):
        router.mwan("check", "--now")
        assert router.way_out("ipv4") == ["one"]
    for _ in range(3):
        router.mwan("check", "--now")
    assert router.verdict("two") == "online"
    assert router.way_out("ipv4") == ["one"]  # it has only just begun to lead
