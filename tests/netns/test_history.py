"""What runs write into the history, and that they leave the disk alone when nothing changed."""

from __future__ import annotations

import os
from pathlib import Path

from mwan_hook.store import files
from tests.lab import Lab, topologies
from tests.lab.router import with_mounts

TWO = """
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
targets = icmp://9.9.9.9
[uplinks]
[[one]]
match = eth1
metric = 100
families = ipv4
[[two]]
match = eth2
metric = 200
families = ipv4
"""


def stood(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below, and the directory: inode, time of change, size.  Each write changes one of them."""
    found = [directory, *directory.rglob("*")]
    return {str(path): (path.stat().st_ino, path.stat().st_ctime_ns, path.stat().st_size) for path in found}


def test_a_run_without_a_transition_does_not_touch_the_disk(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(TWO)
    net.router.check()
    kept = net.router.root / files.LIB
    before, saved = stood(kept), net.router.state_file.stat().st_ino
    for _ in range(3):
        net.router.check()
    assert stood(kept) == before
    assert net.router.state_file.stat().st_ino != saved  # it did probe, and remember


def test_a_run_without_a_transition_does_not_open_the_history(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(TWO)
    net.router.check()
    file = net.router.root / files.HISTORY
    file.unlink()
    file.mkdir()  # what opens it for writing fails, and says so
    assert net.router.check().stderr == ""
    net.router.carrier("eth2", False)
    assert "history.jsonl" in net.router.mwan("event", "change", "eth2").stderr


def test_a_disk_that_cannot_be_written_hinders_no_run(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(TWO)
    net.router.check()
    kept = net.router.root / files.LIB
    read_only = with_mounts(f"mount --bind {kept} {kept}\nmount -o remount,bind,ro {kept}")
    done = net.router.mwan("check", "--now", wrap=read_only)
    assert done.stderr == ""
    before = stood(kept)
    net.router.carrier("eth1", False)
    done = net.router.mwan("event", "change", "eth1", wrap=read_only)
    assert "Read-only file system" in done.stderr
    assert stood(kept) == before
    assert net.router.way_out() == ["two"]


def test_every_transition_is_there_once_with_its_reason(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(TWO)
    net.router.check()
    net.isps[0].fault("blackhole4")
    net.router.check()
    net.router.unplug("eth2")
    net.router.event("remove", "eth2")
    heard = [(one["event"], one["uplink"], one["new"], one["reason"]) for one in net.router.history()]
    assert len(heard) == len(set(heard))
    assert all(reason for _, _, _, reason in heard)
    words = {(event, uplink): reason for event, uplink, _, reason in heard}
    assert "9.9.9.9" in words["offline", "one"] or "of 1 targets" in words["offline", "one"]
    assert words["unplugged", "two"] == "eth2 is gone"
    assert [new for event, _, new, _ in heard if event == "default-route"] == [
        "eth1 10.1.0.2 10.1.0.1",
        "eth2 10.2.0.2 10.2.0.1",
        "none",
    ]
    assert oct(os.stat(net.router.root / files.HISTORY).st_mode & 0o777) == "0o644"
