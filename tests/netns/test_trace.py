"""The command `trace` against a real kernel."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.lab import Lab, Netns
from tests.lab.process import Done
from tests.netns.kernel import LIB, Kernel


@pytest.fixture
def ns(lab: Lab) -> Netns:
    """Two uplinks, a shared default, a policy and a null route of a later hour."""
    kernel = Kernel(lab.netns("trace"))
    kernel.link("wan1", "192.168.1.80/24", "fd00:1::80/64")
    kernel.link("wan2", "192.168.3.80/24", "fd00:3::80/64")
    kernel.ns.batch(
        "route add default via 192.168.1.1 metric 100",
        "rule add priority 1000 lookup main suppress_prefixlength 0",
        "rule add priority 1100 oif wan2 lookup 1002",
        "rule add priority 1200 from 192.168.1.80 lookup 1001",
        "rule add priority 1400 ipproto tcp dport 5000-5100 uidrange 0-4294967294 lookup 1002",
        "rule add priority 1900 lookup 1000",
        "route add default table 1000 nexthop via 192.168.1.1 weight 3 nexthop via 192.168.3.1 weight 1",
        "route add default via 192.168.1.1 table 1001",
        "route add default via 192.168.3.1 table 1002",
        "route add unreachable 203.0.113.0/24",
    )
    return kernel.ns


def trace(ns: Netns, tmp_path: Path, line: str) -> Done:
    """Run it."""
    environment = {"PYTHONPATH": str(LIB), "MWAN_HOOK_ROOT": str(tmp_path)}
    argv = (Kernel(ns).python, "-m", "mwan_hook", "trace", *line.split())
    return ns.run(*argv, check=False, env=environment)


def told(ns: Netns, tmp_path: Path, line: str) -> dict[str, object]:
    """The JSON of a trace that agrees."""
    done = trace(ns, tmp_path, f"{line} --json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    assert found["agrees"] is True
    return found


@pytest.mark.parametrize(
    ("line", "table"),
    [
        ("8.8.8.8", 1000),
        ("8.8.8.8 --from 192.168.1.80", 1001),
        ("8.8.8.8 --oif wan2", 1002),
        ("8.8.8.8 --proto tcp --dport 5050", 1002),
        ("8.8.8.8 --proto udp --dport 5050", 1000),
        ("192.168.1.80", 255),
        ("192.168.1.9", 254),
    ],
)
def test_the_table_that_answers_is_told_and_the_kernel_agrees(ns: Netns, tmp_path: Path, line: str, table: int) -> None:
    result = told(ns, tmp_path, line)["result"]
    assert isinstance(result, dict)
    assert result["table"] == table


def test_people_read_why_and_what_the_chosen_source_leads_to(ns: Netns, tmp_path: Path) -> None:
    done = trace(ns, tmp_path, "8.8.8.8")
    assert done.returncode == 0
    assert "source is not given" in done.stdout
    assert "75% of the flows (weight 3)" in done.stdout
    assert "kernel: agrees" in done.stdout
    assert "a socket that connects asks again with it" in done.stdout


def test_a_null_route_and_the_kernels_error_agree(ns: Netns, tmp_path: Path) -> None:
    done = trace(ns, tmp_path, "203.0.113.5")
    assert (done.returncode, "no way: the route is unreachable" in done.stdout) == (0, True)


def test_rp_filter_is_told_for_forwarded_packets(ns: Netns, tmp_path: Path) -> None:
    ns.sysctl({"ipv4/conf/all/forwarding": 1, "ipv4/conf/all/rp_filter": 1})
    done = trace(ns, tmp_path, "8.8.8.8 --from 192.168.1.9 --iif wan2")
    assert (done.returncode, "dropped by rp_filter" in done.stdout) == (0, True)


def test_ipv6_is_traced_the_same(ns: Netns, tmp_path: Path) -> None:
    ns.ip("-6 rule add priority 1200 from fd00:1::80 lookup 1001")
    ns.ip("-6 route add default via fd00:1::1 table 1001")
    result = told(ns, tmp_path, "2001:db8::1 --from fd00:1::80")["result"]
    assert isinstance(result, dict)
    assert result["table"] == 1001
    assert trace(ns, tmp_path, "2001:db8::1").returncode == 0


def test_pictures_are_written(ns: Netns, tmp_path: Path) -> None:
    picture = tmp_path / "way.svg"
    done = trace(ns, tmp_path, f"8.8.8.8 --graph --svg {picture}")
    assert done.stdout.startswith("flowchart TD\n")
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_what_the_kernel_cannot_be_asked_is_not_compared(ns: Netns, tmp_path: Path) -> None:
    done = trace(ns, tmp_path, "8.8.8.8 --proto 47")
    assert (done.returncode, "not compared" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    "line",
    [
        "224.0.0.1",
        "8.8.8.8 --iif wan1",
        "8.8.8.8 --iif nothere --from 10.0.0.1",
        "8.8.8.8 --iif wan1 --oif wan2 --from 10.0.0.1",
        "8.8.8.8 --from 2001:db8::1",
        "8.8.8.8 --dport 53 --proto icmp",
        "8.8.8.8 --dport 70000",
        "8.8.8.8 --proto tpc",
    ],
)
def test_a_question_without_sense_is_a_usage_error(ns: Netns, tmp_path: Path, line: str) -> None:
    done = trace(ns, tmp_path, line)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_no_capability_is_needed(ns: Netns, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(LIB), "MWAN_HOOK_ROOT": str(tmp_path)}
    argv = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", Kernel(ns).python, "-m", "mwan_hook", "trace")
    done = ns.run(*argv, "8.8.8.8", check=False, env=environment)
    assert (done.returncode, "kernel: agrees" in done.stdout) == (0, True), done.stderr
