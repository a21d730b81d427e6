"""Book-keeping: what a lab has made is on record, so that a killed owner's leftovers can be collected.

STATE/TAG/ holds `owner` (pid and start time; `kept` if the lab shall outlive its maker), `netns`, `pids` and
`cgroups` (a line each), and the files of the lab.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

from tests.lab import inside
from tests.lab.process import started

STATE = Path(os.environ.get("MWAN_LAB_STATE", "/run/mwan-hook-lab"))
KEPT = "kept"


class Ledger:
    """The record of one lab; `tag` is unique and begins the name of each of its namespaces."""

    def __init__(self, keep: bool = False) -> None:
        self.tag = f"mwl{secrets.token_hex(3)}"
        self.dir = STATE / self.tag
        self.dir.mkdir(parents=True)
        owner = KEPT if keep else f"{os.getpid()} {started(os.getpid())}"
        (self.dir / "owner").write_text(owner)

    def add_netns(self, name: str) -> None:
        """To be called before the namespace is made."""
        self._append("netns", name)

    def add_pid(self, pid: int) -> None:
        """A background process of the lab."""
        self._append("pids", f"{pid} {started(pid)}")

    def add_cgroup(self, directory: Path) -> None:
        """To be called before the control group is made."""
        self._append("cgroups", str(directory))

    def _append(self, file: str, line: str) -> None:
        with (self.dir / file).open("a") as out:
            out.write(line + "\n")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split("\n")[:-1]
    except OSError:
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _remove_cgroup(top: Path) -> None:
    """A group is busy until the last of its processes is reaped."""
    end = time.monotonic() + 5
    while top.exists() and time.monotonic() < end:
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        time.sleep(0.005)


def destroy(directory: Path) -> None:
    """Take away all that the record in `directory` names, and the directory."""
    recorded = [line.split() for line in _lines(directory / "pids")]
    alive = [(int(pid), start) for pid, start in recorded if started(int(pid)) == start]
    for pid, _ in alive:
        _kill(pid)
    end = time.monotonic() + 5
    while time.monotonic() < end and any(started(pid) == start for pid, start in alive):
        time.sleep(0.005)
    names = _lines(directory / "netns")
    for pid in inside.processes(names):
        _kill(pid)
    for name in names:
        inside.delete(name)
    for line in _lines(directory / "cgroups"):
        _remove_cgroup(Path(line))
    shutil.rmtree(directory, ignore_errors=True)


def gc() -> list[str]:
    """Collect the labs whose owner is gone; their tags."""
    collected = []
    for owner in sorted(STATE.glob("*/owner")):
        try:
            words = owner.read_text().split()
        except OSError:
            continue
        if len(words) == 2 and started(int(words[0])) != words[1]:
            destroy(owner.parent)
            collected.append(owner.parent.name)
    return collected


def kept() -> list[Path]:
    """The labs that were made to outlive their maker."""
    return [owner.parent for owner in sorted(STATE.glob("*/owner")) if owner.read_text() == KEPT]
