"""`install.sh demo` as the first command in a fresh Debian: nothing is compiled, and the processor is slow."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.lab.process import wait_for
from tests.lab.router import PROJECT

# In namespaces of its own: the image below, an empty layer above without what was compiled, the checkout read-only.
FRESH = """
mount -t tmpfs fresh "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" fresh "$1/root"
cd "$1/root"
mkdir -p opt/mwan-hook
mount --bind "$3" opt/mwan-hook
mount -o remount,bind,ro opt/mwan-hook
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs run run
find usr opt -xdev -name __pycache__ -prune -exec rm -rf {} +
test -z "$(find usr -name '*.pyc')"
echo $$ >"$4/cgroup.procs"
exec chroot . env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /opt/mwan-hook/install.sh demo
"""
NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child")
LIMIT = 300  # seconds
STORY = ("Sharing", "black hole", "unplugged", "Held: full, yet offline", "plugged in again", "* 67 %", "gone again")


@contextlib.contextmanager
def share(percent: int) -> Iterator[Path]:
    """A control group that gets this much of one processor."""
    name, period = f"mwan-hook-demo-{secrets.token_hex(3)}", 100_000
    old, new = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    if (old / "cpu.cfs_quota_us").exists() or (old / "cgroup.procs").exists():
        group, limits = old / name, {"cpu.cfs_period_us": f"{period}", "cpu.cfs_quota_us": f"{period * percent // 100}"}
    else:
        (new / "cgroup.subtree_control").write_text("+cpu")
        group, limits = new / name, {"cpu.max": f"{period * percent // 100} {period}"}
    group.mkdir()
    try:
        for file, value in limits.items():
            (group / file).write_text(value)
        yield group
    finally:
        wait_for("the control group to be empty", lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


class Told(NamedTuple):
    """What the demonstration said, and how long it was silent at most."""

    text: str
    silence: float


def demo(image: Path, place: Path, group: Path) -> Told:
    """Run it to its end."""
    words = ["sh", "-euc", FRESH, "sh", str(place), str(image), str(PROJECT), str(group)]
    leash = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", *NAMESPACES]
    lines, times = [], [time.monotonic()]
    with subprocess.Popen(
        [*leash, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as run:
        timer = threading.Timer(LIMIT, run.kill)
        timer.start()
        assert run.stdout
        for line in run.stdout:
            lines.append(line)
            times.append(time.monotonic())
        code = run.wait()
        timer.cancel()
    told = Told("".join(lines), max(later - earlier for earlier, later in pairwise([*times, time.monotonic()])))
    assert code == 0, f"{code} after {times[-1] - times[0]:.0f} s: {told.text}"
    return told


def test_the_first_command_in_a_fresh_system_tells_its_story_on_a_tenth_of_a_processor(
    image: Path, tmp_path: Path
) -> None:
    """With all of one it is told by the tests in namespaces."""
    with share(10) as group:
        told = demo(image, tmp_path, group)
        stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    assert int(stat["nr_throttled"]) > 300, "it was not slow"
    for words in STORY:
        assert words in told.text, told.text
    assert "modules are compiled, this once" in told.text
    assert told.silence < 60  # half of that where the machine has nothing else to do
    assert os.listdir(tmp_path) == []  # the layer was in the namespace alone
