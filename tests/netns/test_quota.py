"""Quotas on real interfaces: known bytes, real routes, re-plugs, boots and kills."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwan_hook.store import files
from tests.lab import Lab, Network, topologies, wait_for
from tests.netns.layout import FAMILIES, defaults, hops, layout

PING = 20 + 8 + 1000 + 14  # what the kernel counts of an echo of a thousand bytes, on one way
CONFIGURATION = """
[probe]
portal_interval = 0
targets = icmp://9.9.9.9, icmp://2620:fe::fe
timeout = 0.5
burst_interval = 0.1
[uplinks]
[[lte]]
match = eth1
metric = 100
quota = {quota}
quota_warn = 50
[[fiber]]
match = eth2
metric = 200
"""
# A run that is killed before the given rename(2), by which every file of ours gets its content.
DYING = """
import os, posix, signal, sys
left, real = int(os.environ["RENAMES"]), os.rename
def rename(*paths):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
os.rename = posix.rename = rename
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""
# A run on a clock that is wrong by so many seconds.
JUMPED = """
import os, sys, time
real, by = time.time, float(os.environ["SECONDS_OFF"])
time.time = lambda: real() + by
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""

# A run whose kernel gives no counters.
UNREAD = """
import sys
from mwan_hook.model import MwanError
from mwan_hook.kernel import counters
def read(indexes):
    raise MwanError("reading counters from the kernel: not today")
counters.read = read
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Network]:
    """One for all of them."""
    with Lab() as lab:
        yield topologies.probed(lab, 2)


@pytest.fixture
def net(machine: Network) -> Network:
    """As new."""
    machine.router.mwan("flush")
    machine.router.reboot_files()
    for file in (disk(machine), machine.router.root / files.HISTORY):
        file.unlink(missing_ok=True)
    machine.router.configure(CONFIGURATION.format(quota="100k"))
    machine.router.check()
    return machine


def ping(net: Network, count: int) -> None:
    """Echoes of a thousand bytes through lte, each answered."""
    words = ("ping", "-q", "-c", str(count), "-i", "0.002", "-s", "1000", "-I", "eth1", "9.9.9.9")
    assert f"{count} received" in net.router.ns.run(*words).stdout


def counters(net: Network) -> tuple[int, int]:
    """Bytes and frames that eth1 has counted."""
    [link] = json.loads(net.router.ns.run("ip", "-j", "-s", "link", "show", "eth1").stdout)
    both = [link["stats64"][way] for way in ("rx", "tx")]
    return sum(way["bytes"] for way in both), sum(way["packets"] for way in both)


def used(net: Network) -> tuple[int, int]:
    """As status has it, and the kernel's counter at that moment: neighbours are asked for at any time."""
    while True:
        before = counters(net)
        figure = net.router.status()["uplinks"]["lte"]["quota"]["used_bytes"]
        if counters(net) == before:
            return figure, before[0]


def recorded(file: Path, where: str) -> int:
    """In a file, of the only period."""
    [figure] = json.loads(file.read_text())[where]["lte"]["periods"].values()
    return int(figure)


def disk(net: Network) -> Path:
    """What outlives a boot."""
    return net.router.root / "var/lib/mwan-hook/usage.json"


def reboot(net: Network) -> None:
    """Of /run nothing is left, the interface is another one, and the record is of a boot that is over."""
    net.router.reboot_files()
    record = json.loads(disk(net).read_text())
    record["uplinks"]["lte"]["boot_id"] = "00000000-0000-0000-0000-000000000000"
    disk(net).write_text(json.dumps(record))
    replug(net)


def replug(net: Network) -> None:
    """Pulled and plugged in again."""
    net.router.unplug("eth1")
    net.router.plug(net.lines["eth1"])


def test_an_uplink_beyond_its_quota_carries_last_and_is_not_down(net: Network) -> None:
    router = net.router
    script = '#!/bin/sh\necho "$UPLINK $OLD_STATE: $REASON" >"$0.said"\n'
    hook = router.write("etc/mwan-hook/quota-exceeded.d/note", script)
    hook.chmod(0o755)
    before = used(net)
    ping(net, 20)
    after = used(net)
    assert after[1] - before[1] == pytest.approx(2 * 20 * PING, abs=600)  # and a neighbour was asked for
    assert after[0] - before[0] == after[1] - before[1]
    assert router.mwan("check").stdout == ""
    assert [router.way_out(family) for family in FAMILIES] == [["lte"], ["lte"]]
    ping(net, 5)
    # 52 %, and neighbours were asked for
    assert re.search(r"lte: quota below -> warning \(5\d", router.mwan("check").stdout)
    ping(net, 25)
    said = router.mwan("check").stdout
    assert "lte: quota warning -> exceeded (10" in said
    assert hops(defaults(router.ns, 1000)[0]).keys() == {"eth2"}
    assert [hops(route).popitem()[0] for route in defaults(router.ns, 1000)] == ["eth2", "eth2", "eth1"]
    assert [hops(route).popitem()[0] for route in defaults(router.ns, 1000, "ipv6")] == ["eth2", "eth2", "eth1"]
    found = router.status()["uplinks"]["lte"]
    assert (found["ipv4"]["status"], found["metric"], found["quota"]["demoted"]) == ("online", 301, True)
    laid = layout(router.ns)
    assert router.mwan("check").stdout == ""
    assert router.mwan("plan").stdout == ""
    assert layout(router.ns) == laid
    events = [one["event"] for one in router.history("lte") if one["event"].startswith("quota")]
    assert events == ["quota-warning", "quota-exceeded"]
    wait_for("the hook", lambda: hook.with_suffix(".said").exists() and hook.with_suffix(".said").read_text())
    assert hook.with_suffix(".said").read_text().startswith("lte warning: 10")
    with net.lines["eth2"].isp.broken("blackhole"):
        router.check()
        assert [router.way_out(family) for family in FAMILIES] == [["lte"], ["lte"]]
    router.mwan("notify")  # until all are told
    shutil.rmtree(hook.parent)


def test_a_disk_that_takes_no_figure_keeps_no_channel_from_being_told(net: Network) -> None:
    router = net.router
    hook = router.write("etc/mwan-hook/quota-warning.d/note", '#!/bin/sh\necho told >"$0.said"\n')
    hook.chmod(0o755)
    in_the_way = disk(net).with_name("usage.json.new")
    in_the_way.mkdir()
    try:
        ping(net, 30)
        assert "usage.json" in router.mwan("check", code=1).stderr
        wait_for("the hook", lambda: hook.with_suffix(".said").exists())
    finally:
        in_the_way.rmdir()
    assert router.mwan("check").stderr == ""
    assert recorded(disk(net), "uplinks") == recorded(router.root / "run/mwan-hook/state.json", "usage")
    router.mwan("notify")
    shutil.rmtree(hook.parent)


def test_counters_that_cannot_be_read_stop_no_failover_and_lose_nothing(net: Network) -> None:
    router, before = net.router, used(net)[0]
    ping(net, 5)
    words = (router.python, "-c", UNREAD, "--root", str(router.root), "check", "--now")
    with net.lines["eth1"].isp.broken("blackhole"):
        done = router.ns.run(*words, env=router.environment())
        assert "not today" in done.stderr
        assert [router.way_out(family) for family in FAMILIES] == [["fiber"], ["fiber"]]
    assert used(net)[0] - before >= 5 * 2 * PING


def test_the_carriers_figure_takes_the_place_of_ours(net: Network) -> None:
    router = net.router
    shown = router.mwan("usage", "lte", "--set", "100k").stdout.splitlines()
    assert shown[-2].startswith("lte    100 kB  100 kB  100 %    ")
    assert shown[-1].endswith("exceeded: used last")
    assert hops(defaults(router.ns, 1000)[0]).keys() == {"eth2"}
    assert "exceeded" in router.mwan("status").stdout
    said = router.mwan("usage", "eth1", "--set", "3.5k").stdout
    assert "lte: quota exceeded -> below (3." in said
    assert hops(defaults(router.ns, 1000)[0]).keys() == {"eth1"}
    kept = recorded(disk(net), "uplinks")
    assert kept == pytest.approx(3500, abs=300)
    assert "means no uplinks with a quota" in router.mwan("usage", "fiber", "--set", "1G", code=2).stderr
    assert router.mwan("usage", "fiber").stdout == "fiber has no quota\n"


def test_nothing_is_lost_by_a_pulled_stick_a_reboot_or_a_flush(net: Network) -> None:
    router = net.router
    router.configure(CONFIGURATION.format(quota="10M"))
    ping(net, 10)
    router.check()
    total = recorded(net.router.state_file, "usage")  # what no run has seen goes with the stick
    replug(net)
    ping(net, 10)
    figure, counter = used(net)
    assert figure == total + counter
    router.mwan("usage", "--save")
    total = recorded(disk(net), "uplinks")
    reboot(net)
    ping(net, 10)
    router.check()
    figure, counter = used(net)
    assert figure == total + counter
    router.mwan("flush")
    ping(net, 5)
    figure, counter = used(net)
    assert figure == total + counter
    assert figure > 2 * 35 * PING


def test_the_disk_is_not_written_by_every_run(net: Network) -> None:
    router = net.router
    router.configure(CONFIGURATION.format(quota="10M"))
    router.check()
    written = os.stat(disk(net)).st_mtime_ns
    for _ in range(2):
        ping(net, 20)
        router.check()
    assert os.stat(disk(net)).st_mtime_ns == written
    figure, _ = used(net)
    assert figure > 2 * 40 * PING
    ping(net, 20)  # a hundredth of the quota is 48 of them
    router.check()
    assert os.stat(disk(net)).st_mtime_ns > written
    saved = os.stat(router.state_file).st_mtime_ns
    ping(net, 1)
    router.mwan("event")  # nothing is due, and next to nothing went through
    assert os.stat(router.state_file).st_mtime_ns == saved
    router.mwan("usage", "--save")
    kept = recorded(disk(net), "uplinks")
    assert kept > 2 * 61 * PING


def test_a_run_that_is_killed_anywhere_leaves_the_figure_and_the_threshold_to_the_next(net: Network) -> None:
    """Each run that dies is the one that passes a threshold, so that it has all there is to write."""
    router = net.router
    dying = (router.python, "-c", DYING, "--root", str(router.root), "check", "--now")
    history = router.root / "var/lib/mwan-hook/history.jsonl"
    for renames in range(1, 20):
        router.mwan("usage", "lte", "--set", "40k")
        figure, counter = used(net)
        told = len(history.read_text().splitlines())
        ping(net, 10)
        died = router.ns.run(*dying, env={**router.environment(), "RENAMES": str(renames)}, check=False).returncode
        router.mwan("check")
        now, then = used(net)
        assert now - figure == then - counter, renames
        events = [json.loads(line)["event"] for line in history.read_text().splitlines()[told:]]
        assert events == ["quota-warning"], renames
        if died == 0:  # there was no such rename
            break
        assert died in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert renames > 3  # the state, the disk, the spool, and the state again


def test_a_new_period_takes_it_first_again_and_a_clock_that_is_set_right_finds_the_old_one(net: Network) -> None:
    router = net.router
    router.mwan("usage", "lte", "--set", "150k")
    words = (router.python, "-c", JUMPED, "--root", str(router.root), "check", "--now")
    said = router.ns.run(*words, env={**router.environment(), "SECONDS_OFF": str(40 * 86400)}).stdout
    assert re.search(r"lte: quota exceeded -> below \(\d+ B of", said), said  # a neighbour may be asked for meanwhile
    assert hops(defaults(router.ns, 1000)[0]).keys() == {"eth1"}
    said = router.check().stdout
    assert "lte: quota below -> exceeded (15" in said
    assert hops(defaults(router.ns, 1000)[0]).keys() == {"eth2"}
    assert router.check().stdout == ""


def test_a_file_that_is_not_ours_is_set_aside(net: Network) -> None:
    router = net.router
    for content in ("{", '{"version":1,"uplinks":{"lte":{"period":"2026-02-30"}}}'):
        disk(net).write_text(content)
        router.reboot_files()
        said = router.mwan("check").stderr
        assert "usage.json cannot be used" in said
        assert disk(net).with_suffix(".json.bad").read_text() == content
        assert used(net)[0] < 5000


def test_probes_cost_what_they_say(net: Network) -> None:
    """Echoes and portal checks of both families: the program's own count and the kernel's, from the IP header up."""
    router = net.router
    portals = "0.1\nportal_targets = http://1.1.1.1/generate_204, http://[2001:db8:9::9]/generate_204"
    asking = CONFIGURATION.format(quota=0).replace("portal_interval = 0", f"portal_interval = {portals}")
    router.configure(asking.replace("timeout = 0.5", "timeout = 3"))
    router.check()
    before, said = counters(net), spent(net)
    time.sleep(0.2)
    router.check()
    ours = [new - old for new, old in zip(spent(net), said, strict=True)]
    length, frames = (new - old for new, old in zip(counters(net), before, strict=True))
    assert 72 + 600 < ours[0] <= 72 + 840
    assert 112 + 800 < ours[1] <= 112 + 1100
    assert sum(ours) == pytest.approx(length - 14 * frames, rel=0.15)  # an acknowledgement may go along with data


def spent(net: Network) -> list[int]:
    """What probes of lte have cost."""
    return [net.router.family("lte", family)["probe_bytes"] for family in FAMILIES]
