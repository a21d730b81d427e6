"""The laboratory itself: what the other tests take for granted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import Isp, Lab, Packet, ledger, starts, topologies, wait_for
from tests.lab.router import PROJECT, up_for

OWNER = """
import time
from tests.lab import Lab
with Lab() as lab:
    lab.isp("one", "10.1.0.0/24")
    print(lab.ledger.tag, flush=True)
    time.sleep(60)
"""


def namespaces(tag: str) -> list[str]:
    return [p.name for p in Path("/run/netns").glob(f"{tag}-*")]


def test_every_line_reaches_an_internet_of_its_own(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    fetch = ("curl", "-gsm2", "--interface")
    for n, line in enumerate(net.lines.values(), 1):
        net.router.ns.batch(
            f"rule add from {line.source} lookup {n}",
            f"route add default via {line.isp.gateway} dev {line.interface} table {n}",
            f"route add default via {line.isp.gateway6} dev {line.interface} table {n}",
        )
        net.router.ns.ip(f"-6 rule add from {line.source6} lookup {n}")
        assert net.router.ns.run(*fetch, line.source, "http://9.9.9.9/isp").stdout == f"isp{n}\n"
        assert net.router.ns.run(*fetch, line.source6, "http://[2001:db8:9::9]/isp").stdout == f"isp{n}\n"
        assert Packet(line.source, "9.9.9.9", "tcp", 80) in line.isp.seen()
    assert {(r["isp"], r["client"]) for r in lab.requests()} == {
        *(("isp1", "10.1.0.2"), ("isp1", "2001:db8:1:1::2")),
        *(("isp2", "10.2.0.2"), ("isp2", "2001:db8:2:1::2")),
    }


def reached(net: topologies.Network, isp: Isp) -> tuple[bool, ...]:
    """Whether HTTP, ping, ping over IPv6 and the gateway answer; asked at once."""
    asked = (
        ("curl", "-sfm1", "-o", "/dev/null", "http://9.9.9.9/generate_204"),
        ("ping", "-qc1", "-W1", "9.9.9.9"),
        ("ping", "-qc1", "-W1", "2620:fe::fe"),
        ("ping", "-qc1", "-W1", isp.gateway),
    )
    waiting = [subprocess.Popen(net.router.ns.argv(*words), stdout=subprocess.DEVNULL) for words in asked]
    return tuple(process.wait(10) == 0 for process in waiting)


def test_each_fault_breaks_what_it_names_and_heals(lab: Lab) -> None:
    net = topologies.probed(lab, 1)
    isp = net.isps[0]
    for fault, *left in (
        ("blackhole", False, False, False, True),
        ("blackhole4", False, False, True, True),
        ("blackhole6", True, True, False, True),
        ("noicmp", True, False, False, True),
        ("gwdead", False, False, False, False),
        ("reject", False, False, False, True),
        ("http500", False, True, True, True),
        ("slow", False, True, True, True),
    ):
        with isp.broken(fault):
            assert reached(net, isp) == tuple(left), fault
        assert reached(net, isp) == (True,) * 4, f"{fault} does not heal"
    with isp.broken("portal"):
        assert "302" in net.router.ns.run("curl", "-sim1", "http://9.9.9.9/generate_204").stdout
    assert "204" in net.router.ns.run("curl", "-sim1", "http://9.9.9.9/generate_204").stdout


def test_a_client_flow_is_answered_by_the_provider_that_carries_it(lab: Lab) -> None:
    net = topologies.probed(lab, 2, client=True)
    assert net.client
    flow = lab.flow(net.client)
    assert flow.carried_by() == "isp1"
    net.router.carrier("eth1", False)
    net.router.ns.ip("route del default metric 100")
    wait_for("the flow to move", lambda: flow.carried_by() == "isp2")
    assert set(lab.connect(net.client, 5)) == {"isp2"}


def test_a_line_without_neighbours_carries_packets(lab: Lab) -> None:
    isp = lab.isp("dsl", "10.9.0.0/24")
    router = lab.router()
    lab.ppp(router, isp, "ppp0", "100.64.0.2", "100.64.0.1")
    router.ns.ip("route add default dev ppp0")
    assert router.ns.run("ping", "-c1", "-W2", "9.9.9.9")


def test_a_delayed_provider_answers_that_much_later(lab: Lab) -> None:
    net = topologies.probed(lab, 1)
    lab.delay(net.isps[0], 150)
    out = net.router.ns.run("ping", "-c2", "-W2", "9.9.9.9").stdout
    fastest = float(out.split("rtt ")[1].split("= ")[1].split("/")[0])
    assert 150 <= fastest < 300


def test_the_monitor_hears_a_write_and_nothing_else(lab: Lab) -> None:
    net = topologies.two_dynamic(lab)
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    assert monitor.written() == []
    net.router.ns.ip("route add 203.0.113.0/24 dev enp0s8")
    assert [line for line in monitor.written() if "203.0.113.0/24" in line]


def owner() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def test_a_terminated_owner_takes_its_lab_along() -> None:
    process, tag = owner()
    assert namespaces(tag)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    assert not namespaces(tag)


def test_the_lab_of_a_killed_owner_is_collected_later() -> None:
    process, tag = owner()
    process.kill()
    process.wait()
    assert namespaces(tag)
    ledger.gc()
    assert not namespaces(tag)
    assert not (ledger.STATE / tag).exists()


def test_a_lab_whose_owner_lives_is_no_leftover_to_one_with_another_clock(lab: Lab) -> None:
    lab.netns("bare")
    collect = "from tests.lab import ledger; print(ledger.gc())"
    words = [*up_for(1_000_000), sys.executable, "-c", collect]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert lab.ledger.tag not in done.stdout
    assert namespaces(lab.ledger.tag)


STARTS = [("mwan_hook.run.tick", "exit"), ("json", "raise"), ("pyroute2", "die"), ("mwan_hook.config", "print")]


@pytest.mark.parametrize(("module", "how"), STARTS)
def test_what_the_forker_starts_finds_what_a_true_start_does(lab: Lab, module: str, how: str) -> None:
    ns = lab.netns("bare")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "lib"), "TZ": "Asia/Tokyo"}
    words = (sys.executable, "-m", "tests.lab.found", module, how)
    true = subprocess.run(ns.argv(*words), input=b"asked", capture_output=True, env=environment, check=False)
    forked = starts.run(
        "tests.lab.found:main", [module, how], namespace=ns.name, environment=environment, text=b"asked"
    )
    assert forked.returncode == true.returncode
    assert forked.stderr.splitlines()[-1:] == true.stderr.splitlines()[-1:]
    found, wanted = (json.loads(done.stdout) for done in (forked, true))
    assert {key: found[key] for key in wanted if found[key] != wanted[key]} == {}


def test_what_the_forker_starts_draws_numbers_of_its_own() -> None:
    done = [starts.run("tests.lab.found:main", ["random", "print"]) for _ in range(2)]
    assert len({json.loads(one.stdout)["drawn"] for one in done}) == 2
