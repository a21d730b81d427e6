"""What verdicts are made from: runs write it into a ring, and `mwan-hook record` to the disk."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwan_hook import plainos
from mwan_hook.commands.chores import run as chores_run
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.frames import frames
from mwan_hook.model import Allotment, Config, Recording, Snapshot, State
from mwan_hook.routing.uplinks import Bound
from mwan_hook.run import record, recordlines
from mwan_hook.run.scene import Scene
from mwan_hook.store import chores, files, recording, wake
from mwan_hook.store import state as states
from tests.lab import Lab, Router, process, topologies

CONFIG = """
[probe]
portal_interval = 0
timeout = 0.3
burst_interval = 0.05
targets = tcp://1.1.1.1:80, icmp://9.9.9.9
[record]
{record}
[uplinks]
[[cable]]
match = eth1
metric = 10
[[radio]]
match = eth2
metric = 20
"""
EVER = float("inf")
# The program under a service manager, as far as the flush of the record asks for one.
UNDER_SYSTEMD = """
import os, sys
from mwan_hook.store import wake
wake.watched, wake.SYSTEMCTL = lambda _: True, os.environ["SYSTEMCTL"]
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with Lab() as lab:
        yield topologies.probed(lab, 2).router


def configure(router: Router, lines: str = "keep = 3d") -> None:
    router.configure(CONFIG.format(record=lines))


def played(router: Router) -> list[Frame]:
    return list(frames(str(router.root), -EVER, EVER))


def disk(router: Router) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (router.root / files.RECORDS).rglob("*") if path.is_file()}


def ring(router: Router) -> Path:
    return router.root / files.RECORD


def test_a_run_by_the_short_way_is_recorded_as_such(router: Router) -> None:
    configure(router)
    process.wait_for("a short run", lambda: bool(router.check()) and played(router)[-1].short, timeout=20)


def test_a_failover_goes_through_the_ring_to_the_disk_and_only_once(router: Router) -> None:
    configure(router)
    router.check()
    assert ring(router).stat().st_mode & 0o777 == 0o644
    router.ns.ip("link set eth1 down")
    router.mwan("event", "--facts")
    router.ns.ip("link set eth1 up")
    router.check()
    before = played(router)
    assert [frame.gap for frame in before].count(True) == 1
    assert {one.uplink for frame in before for one in frame.happened if one.event == "offline"} == {"cable"}
    router.mwan("record")
    [written] = [name for name in disk(router) if name.endswith(".xz")]
    kept = disk(router)
    router.mwan("record")
    assert disk(router) == kept
    assert [frame for frame in played(router) if frame.ran] == before
    assert os.stat(written).st_mode & 0o777 == 0o644
    ring(router).unlink()
    assert [frame for frame in played(router) if frame.ran] == before
    router.check()
    after = played(router)
    assert after[-1].now == states.load(str(router.root), writes=False)[0].saved_at
    assert sum(bool(one.moved) for one in after) == 0  # one sample says how much went through since it came to be
    router.mwan("record")
    samples = [one for one in played(router) if one.moved]
    assert min(samples[-1].moved["radio"]) > 0


def test_nothing_secret_is_recorded(router: Router) -> None:
    secret = "targets = tcp://1.1.1.1:80, http://9.9.9.9/x?token=hush"
    text = CONFIG.format(record="keep = 3d").replace("targets = tcp://1.1.1.1:80, icmp://9.9.9.9", secret)
    router.configure(text)
    router.check()
    assert b"hush" not in ring(router).read_bytes()
    known = [one.name for found in recording.configs(str(router.root)) for one in found.probe.targets]
    assert any("***" in name for name in known)


@pytest.mark.parametrize("keep", ["no", "0"])
def test_what_is_switched_off_is_not_written(router: Router, keep: str) -> None:
    configure(router, f"keep = {keep}")
    router.check()
    known = ring(router).stat().st_size if ring(router).exists() else 0
    kept = disk(router)
    for _ in range(3):
        router.check()
    router.mwan("record")
    assert (ring(router).stat().st_size if ring(router).exists() else 0) == known
    assert disk(router) == kept


def test_without_a_timer_a_run_has_it_written_once_an_hour(router: Router) -> None:
    configure(router)
    router.check()
    flushed = router.root / files.RECORD_FLUSHED
    assert flushed.exists()
    kept = disk(router)
    ring(router).unlink()  # a new segment begins, and the hour is not over
    router.check()
    os.utime(flushed, (time.time() - 4000,) * 2)
    ring(router).unlink()
    router.check()
    process.wait_for("the flush", lambda: disk(router) != kept, timeout=30)
    process.wait_for("its end", lambda: time.time() - flushed.stat().st_mtime < 3000, timeout=30)


def test_a_disk_that_takes_nothing_is_named_once_and_the_ring_goes_on(router: Router) -> None:
    configure(router)
    router.check()
    router.mwan("record")
    place = router.root / files.RECORDS
    place.rename(place.with_name("away"))
    place.write_text("in the way")
    try:
        router.check()
        first, second = (router.mwan("record", code=None) for _ in range(2))
        assert (first.returncode, second.returncode) == (1, 0)
        assert str(place) in first.stderr
        assert second.stderr == ""
        router.check()
    finally:
        place.unlink()
        place.with_name("away").rename(place)
    last = played(router)[-1].now
    router.mwan("record")
    ring(router).unlink()
    assert [frame.now for frame in played(router) if frame.ran][-1] == last


def full(router: Router) -> None:
    """Leave no room in the ring's file for another run; what fills it is of a later version."""
    configure(router)
    router.check()
    with ring(router).open("ab") as file:
        file.write(b'{"v":99}\n' * ((record.LARGEST - file.tell()) // 9))


def test_a_ring_that_is_half_full_is_written_before_its_hour_is_over(router: Router) -> None:
    router.mwan("record")
    full(router)
    last = played(router)[-1].now
    kept = disk(router)
    router.check()
    assert ring(router).stat().st_size < record.LARGEST / 2
    process.wait_for("the flush", lambda: disk(router) != kept, timeout=30)
    process.wait_for("its end", lambda: recording.flushed(str(router.root))[1] >= last, timeout=30)
    for name in ("record", "record.1"):
        (ring(router).parent / name).unlink()
    assert last in [frame.now for frame in played(router)]


@pytest.mark.parametrize("words", [("check", "--now"), ("event", "--facts"), ("disable", "cable")], ids=" ".join)
def test_a_service_manager_that_hangs_holds_up_neither_routes_nor_runs(
    router: Router, tmp_path: Path, words: tuple[str, ...]
) -> None:
    full(router)
    started, systemctl = tmp_path / "started", tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >{started}.new && mv {started}.new {started}\nexec sleep 20\n')
    systemctl.chmod(0o755)
    router.ns.ip("link set eth1 down")
    argv = router.ns.argv(router.python, "-c", UNDER_SYSTEMD, "--root", str(router.root), *words)
    waiting = subprocess.Popen(
        argv, env={**os.environ, **router.environment(), "SYSTEMCTL": str(systemctl)}, start_new_session=True
    )
    try:
        process.wait_for("the flush", started.exists)
        assert waiting.poll() is None
        assert router.way_out() == ["radio"]
        for lock in (files.STATE_LOCK, files.PROBE_LOCK):
            with (router.root / lock).open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        router.ns.ip("link set eth1 up")
        router.check()
        assert waiting.poll() is None, "it still waits"
    finally:
        os.killpg(waiting.pid, signal.SIGKILL)
        waiting.wait()
        router.mwan("enable", "cable")


def test_two_flushes_at_once_write_it_once(router: Router) -> None:
    configure(router)
    router.mwan("record")
    router.check()
    last = played(router)[-1].now
    both = [router.start("record") for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    ring(router).unlink()
    assert [frame.now for frame in played(router)].count(last) == 1


def test_under_systemd_the_unit_writes_it_and_the_chores_start_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    monkeypatch.setattr(wake, "watched", lambda _: True)
    monkeypatch.setattr(wake, "SYSTEMCTL", str(fake := tmp_path / "systemctl"))
    fake.write_text(f'#!/bin/sh\necho "$@" >>{started}\n')
    fake.chmod(0o755)
    seen = Scene(str(tmp_path), Config(), "", State(), Allotment(), Bound((), Allotment()), Snapshot(), 0.0, 0.0)
    recordlines.flush(seen._replace(config=Config(record=Recording(size=0))))
    assert not started.exists()
    recordlines.flush(seen)
    assert started.read_text() == "start --no-block mwan-hook-record.service\n"
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(plainos, "geteuid", lambda: 4242)
    recordlines.flush(seen)
    assert os.listdir(tmp_path / files.CHORES) == [chores.RECORD]
    assert chores_run(str(tmp_path)) == 0
    assert started.read_text() == "start --no-block mwan-hook-record.service\n" * 2
