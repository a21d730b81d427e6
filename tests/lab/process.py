"""Processes of the lab: run one, keep one in the background, wait for something to come true."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
# What is waited for ends the wait; on a machine that may be slow nothing is given up sooner than it must be.
PATIENCE = float(os.environ.get("MWAN_LAB_PATIENCE", "1"))
LONGEST_STEP = 0.2  # seconds between two questions, unless more is asked for
Done = subprocess.CompletedProcess[str]


class LabError(Exception):
    """A command of the lab failed, or something did not come true in time."""


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = 60,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Done:
    """Run `argv` with `text` as its input; LabError with its words if `check` and it does not exit 0."""
    done = subprocess.run(
        list(argv),
        stdin=subprocess.DEVNULL if text is None else None,
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout * PATIENCE,
        env=None if env is None else {**os.environ, **env},
        check=False,
    )
    if check and done.returncode:
        raise LabError(f"{' '.join(argv)} -> {done.returncode}\n{text or ''}{done.stdout}{done.stderr}")
    return done


def spawn(
    argv: Sequence[str], log: Path, *, outlive: bool = False, descriptors: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a process in the background that dies with this one (unless `outlive`); its output goes to `log`.

    It is given the file `descriptors`, under their numbers.
    """
    leash = [] if outlive else ["setpriv", "--pdeathsig", "KILL", "--"]
    with log.open("ab") as out:
        return subprocess.Popen(
            [*leash, *argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            pass_fds=descriptors,
        )


def interruptible_children() -> None:
    """Let SIGINT end what this process starts, although it was itself started with SIGINT ignored.

    A shell's background jobs are, and what some runners start.  A handler, unlike SIG_IGN, does not outlive exec.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda _number, _frame: None)


def wait_for(what: str, probe: Callable[[], T], timeout: float = 10, step: float = 0.02) -> T:
    """Ask `probe` until its answer is true, and return that; LabError after `timeout` seconds.

    Between two questions is at least `step`, and three times what one takes: starts of a program leave room to others.
    """
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        asked = time.monotonic()
        answer = probe()
        if answer:
            return answer
        now = time.monotonic()
        if now > end:
            raise LabError(f"waited {timeout:g} s for {what}; last answer: {answer!r}")
        time.sleep(max(step, min(3 * (now - asked), LONGEST_STEP)))


def started(pid: int) -> str | None:
    """Start time of a living process: with the pid, its identity.  None if it is gone or a zombie.

    In ticks of the machine's own clock: a time namespace is shown its own, and runs of all tests keep one ledger.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else str(int(fields[19]) - _clock_ahead())


@functools.cache
def _clock_ahead() -> int:
    """Ticks that CLOCK_BOOTTIME of this time namespace is ahead of the machine's."""
    try:
        lines = Path("/proc/self/timens_offsets").read_text().splitlines()
    except OSError:  # a kernel without time namespaces
        return 0
    seconds = dict(line.split()[:2] for line in lines)["boottime"]
    return int(seconds) * os.sysconf("SC_CLK_TCK")
