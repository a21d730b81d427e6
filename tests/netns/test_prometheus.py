"""The textfile for node_exporter, written by real runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from mwan_hook import config
from mwan_hook.run import prometheus
from mwan_hook.store import files
from tests.lab import Lab, topologies
from tests.lab.process import wait_for
from tests.lab.router import Router, with_mounts
from tests.lab.topologies import Network
from tests.netns.test_common_run import DUMP
from tests.unit.test_imports import heavy

FILE = "var/lib/node-exporter/mwan-hook.prom"
TWO = """
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
targets = icmp://9.9.9.9, icmp://2620:fe::fe
[uplinks]
[[one]]
match = eth1
metric = 100
weight = 2
[[two]]
match = eth2
metric = 200
"""
TOLD = f"""
[prometheus]
textfile = /{FILE}
interval = 3600
"""


def prepared(lab: Lab, more: str = TOLD) -> tuple[Network, Path]:
    """Two uplinks, not yet checked, and the file."""
    net = topologies.probed(lab, 2)
    net.router.configure(TWO + more)
    file = net.router.root / FILE
    file.parent.mkdir(parents=True)
    return net, file


def told(file: Path, name: str, **labels: str) -> list[float]:
    """Values of the samples of that name and these labels."""
    return [
        sample.value
        for metric in text_string_to_metric_families(file.read_text())
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def settled(router: Router) -> None:
    """All is told, and a second notify, which found nothing left to tell, has written the file once more."""
    spool, last = router.root / files.NOTIFY, router.root / prometheus.LOCK
    wait_for("the notices to be told", lambda: not spool.exists() or not os.listdir(spool))
    wait_for("the last notify", lambda: not last.exists() or time.time() - last.stat().st_mtime > 1)


def aged(router: Router) -> None:
    """The last attempt is two hours ago."""
    settled(router)
    then = time.time() - 7200
    os.utime(router.root / prometheus.LOCK, (then, then))


def test_a_check_writes_it_once_an_interval(lab: Lab) -> None:
    net, file = prepared(lab)
    net.router.check()
    settled(net.router)
    first = file.stat()
    assert oct(first.st_mode & 0o777) == "0o644"
    assert os.listdir(file.parent) == [file.name]
    net.router.check()
    assert file.stat().st_ino == first.st_ino
    aged(net.router)
    net.router.check()
    assert file.stat().st_mtime_ns > first.st_mtime_ns
    file.unlink()
    settled(net.router)
    future = time.time() + 7200
    os.utime(net.router.root / prometheus.LOCK, (future, future))
    net.router.check()
    assert file.exists()


def test_it_says_what_status_says(lab: Lab) -> None:
    net, file = prepared(lab, TOLD.replace("3600", "0.001"))
    net.router.check()
    before = time.time()
    net.router.check()
    one = {"uplink": "one", "interface": "eth1"}
    told4 = {**one, "family": "ipv4"}
    assert told(file, "mwan_uplink_online", uplink="one") == [1, 1]
    assert told(file, "mwan_uplink_default", family="ipv4") == [1, 0]
    assert told(file, "mwan_uplink_weight", **one) == [2]
    assert told(file, "mwan_uplink_rounds_total", **told4) == [2]
    assert told(file, "mwan_uplink_transitions_total", **told4) == [1]
    (probed,) = told(file, "mwan_uplink_last_probe_timestamp_seconds", **told4)
    assert before - 1 < probed < time.time() + 1
    (took,) = told(file, "mwan_run_duration_seconds")
    assert 0 < took < 30
    seen = net.router.family("one")
    assert told(file, "mwan_uplink_probe_bytes_total", **told4) == [seen["probe_bytes"]]
    (latency,) = told(file, "mwan_uplink_latency_seconds", **told4)
    assert abs(latency * 1000 - seen["latency_ms"]) < 0.01
    assert told(file, "mwan_default_route_info", **told4, address="10.1.0.2", gateway="10.1.0.1") == [1]


def test_counters_count_each_transition_and_each_bad_round_once(lab: Lab) -> None:
    net, file = prepared(lab, TOLD.replace("3600", "0.001"))
    net.router.check()
    net.isps[0].fault("blackhole")
    net.router.check()
    for family in ("ipv4", "ipv6"):
        told4 = {"uplink": "one", "family": family}
        assert told(file, "mwan_uplink_online", **told4) == [0]
    heard = [one for one in net.router.history("one") if one["event"] in ("online", "offline")]
    for family in ("ipv4", "ipv6"):
        events = [one for one in heard if one["family"] == family]
        assert told(file, "mwan_uplink_transitions_total", uplink="one", family=family) == [len(events)]
    assert told(file, "mwan_uplink_bad_rounds_total", uplink="one", family="ipv4") == [3]
    assert told(file, "mwan_uplink_bad_rounds_total", uplink="two", family="ipv4") == [0]
    net.router.unplug("eth2")
    net.router.event("remove", "eth2")
    assert told(file, "mwan_uplink_present", uplink="two") == [0]
    assert told(file, "mwan_uplink_transitions_total", uplink="two", family="ipv4") == [2]


def test_a_transition_does_not_wait_for_the_interval(lab: Lab) -> None:
    net, file = prepared(lab)
    net.router.check()
    settled(net.router)
    assert told(file, "mwan_uplink_carrier", uplink="two") == [1]
    net.router.carrier("eth2", False)
    net.router.event("change", "eth2")
    wait_for("the file", lambda: told(file, "mwan_uplink_online", uplink="two") == [0, 0])
    assert told(file, "mwan_uplink_carrier", uplink="two") == [0]
    assert "rometheus" not in (net.router.root / files.NOTIFY_LOG).read_text()


def test_nothing_is_written_unless_a_file_is_named(lab: Lab) -> None:
    net, file = prepared(lab, "")
    net.router.check()
    root = str(net.router.root)
    assert prometheus.write(root, config.load(root)) == ()
    assert os.listdir(file.parent) == []
    assert not (net.router.root / prometheus.LOCK).exists()


def test_a_missing_directory_is_said_once_an_interval_and_fails_no_run(lab: Lab) -> None:
    net, file = prepared(lab)
    file.parent.rmdir()
    done = net.router.check()
    settled(net.router)  # the run that it has started may have been first
    assert f"there is no directory {file.parent}" in done.stderr + (net.router.root / files.NOTIFY_LOG).read_text()
    assert net.router.check().stderr == ""
    aged(net.router)
    assert "there is no directory" in net.router.check().stderr
    assert net.router.verdict("one") == "online"
    file.parent.mkdir()
    aged(net.router)
    net.router.check()
    assert told(file, "mwan_errors") == [0]


def test_a_directory_that_cannot_be_written_is_said_and_leaves_the_old_file_whole(lab: Lab) -> None:
    net, file = prepared(lab)
    net.router.check()
    settled(net.router)
    old = file.read_bytes()
    aged(net.router)
    read_only = with_mounts(f"mount --bind {file.parent} {file.parent}\nmount -o remount,bind,ro {file.parent}")
    done = net.router.mwan("check", "--now", wrap=read_only)
    assert "[prometheus] textfile: cannot write" in done.stderr
    assert file.read_bytes() == old


def test_a_run_that_finds_it_young_imports_nothing_for_it(lab: Lab) -> None:
    net, _ = prepared(lab)
    net.router.check()
    settled(net.router)
    modules = lab.dir / "modules"
    words = [net.router.python, "-c", DUMP, "--root", str(net.router.root), "check", "--now"]
    done = net.router.ns.run(*words, env={**net.router.environment(), "MODULES": str(modules)})
    assert done.stderr == ""
    loaded = modules.read_text().split()
    assert "mwan_hook.run.prometheus" in loaded
    assert "mwan_hook.notify.exposition" not in loaded
    assert heavy(loaded) == set()


def test_a_run_that_writes_it_imports_nothing_heavy_either(lab: Lab) -> None:
    net, file = prepared(lab)
    net.router.check()
    aged(net.router)
    file.unlink()
    modules = lab.dir / "modules"
    words = [net.router.python, "-c", DUMP, "--root", str(net.router.root), "check", "--now"]
    net.router.ns.run(*words, env={**net.router.environment(), "MODULES": str(modules)})
    assert file.exists()
    assert heavy(modules.read_text().split()) == set()
