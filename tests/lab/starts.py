"""Starts of Python programs by this process's forker; see forker.py for what it costs and what it keeps true."""

from __future__ import annotations

import atexit
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.lab import forker

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = "mwan_hook.__main__:start"
# what the program imports only where it needs it, and some tests let it need that a hundred times
LIBRARIES = (
    *("configobj", "configobj.validate", "encodings.utf_8_sig", "filelock", "pprint"),
    "pyroute2.netlink.nfnetlink.nfctsocket",
)
OWN = (
    *("tests.lab.serve", "tests.lab.relay", "tests.lab.flow"),
    *("tests.netns.kernel_agent", "tests.netns.dying_agent"),
)
AT_THE_START = ("PYTHON", "LC_", "LD_", "LANG", "FAKETIME")  # variables that act before a program runs


class Process(Protocol):
    """What subprocess.Popen and Started have in common."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Its exit code, or None."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code when it has ended."""

    def send_signal(self, number: int, /) -> None:
        """A signal, unless it has ended."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""


class Started:
    """A process that the forker has started."""

    def __init__(self, words: Sequence[str], told: int) -> None:
        self.args, self.told = words, told
        self.returncode: int | None = None
        self.used = 0.0
        (self.pid,) = forker.PID.unpack(os.read(told, forker.PID.size))

    def poll(self) -> int | None:
        """Its exit code, or None."""
        return self._ended(0)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            ready = select.poll()
            ready.register(self.told, select.POLLIN)
            if ready.poll(None if seconds is None else seconds * 1000):
                status, self.used = forker.END.unpack(os.read(self.told, forker.END.size))
                self.returncode = os.waitstatus_to_exitcode(status)
                os.close(self.told)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code when it has ended."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """A signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def command(module: str, *words: str) -> list[str]:
    """The command line that truly starts one of the lab's own programs."""
    return ["env", f"PYTHONPATH={PROJECT}", sys.executable, "-m", f"tests.lab.{module}", *words]


def modules_of_the_program() -> list[str]:
    """All but its entry point, which comes with the first of them that is asked for."""
    found = []
    for path in sorted((PROJECT / "lib/mwan_hook").rglob("*.py")):
        parts = path.relative_to(PROJECT / "lib").with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that act before a program runs."""
    return {key: value for key, value in environment.items() if key.startswith(AT_THE_START)}


class Forker:
    """The process that forks for this one."""

    def __init__(self) -> None:
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = {**os.environ, "PYTHONPATH": str(PROJECT / "lib")}
        words = [sys.executable, forker.__file__, *modules_of_the_program(), *LIBRARIES, *OWN]
        with other:
            # pipes, as those of its children: Python asks a file where it stands when it makes sys.stdout of it
            self.process = subprocess.Popen(
                words,
                stdin=other.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=PROJECT,
                start_new_session=True,  # a signal for this process's group is not for the forker
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self.socket.close()
        self.process.wait()


_forkers: dict[int, Forker] = {}


def forker_of_this_process() -> Forker:
    """Made at its first use."""
    own = os.getpid()
    if own not in _forkers:
        _forkers[own] = Forker()
    return _forkers[own]


def alike(environment: Mapping[str, str]) -> bool:
    """Whether a true start with this environment would find the interpreter as the forker's is."""
    return at_the_start(environment) == at_the_start(forker_of_this_process().environment)


def start(
    entry: str,
    words: Sequence[str],
    streams: tuple[int, int, int],
    namespace: str = "",
    environment: Mapping[str, str] | None = None,
    session: bool = False,
    dies: bool = False,
) -> Started:
    """Run a function (MODULE:NAME) with sys.argv[1:] = `words`; `dies`: with this process."""
    request = {
        "entry": entry,
        "words": list(words),
        "namespace": namespace,
        "environment": {os.fsencode(key): os.fsencode(value) for key, value in (environment or os.environ).items()},
        "directory": os.getcwd(),
        "session": session,
        "dies": dies,
    }
    told, tell = os.pipe()
    try:
        socket.send_fds(forker_of_this_process().socket, [marshal.dumps(request)], [*streams, tell])
    finally:
        os.close(tell)
    return Started(words, told)


def run(
    entry: str,
    words: Sequence[str],
    *,
    namespace: str = "",
    environment: Mapping[str, str] | None = None,
    text: bytes = b"",
    timeout: float = 60,
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end with `text` as its input; what it said, as subprocess.run does."""
    source = os.memfd_create("input")
    os.write(source, text)
    os.lseek(source, 0, os.SEEK_SET)
    pipes = os.pipe(), os.pipe()
    inputs = (source, pipes[0][1], pipes[1][1])
    try:
        process = start(entry, words, inputs, namespace, environment)
    finally:
        for number in inputs:
            os.close(number)
    out, errors = _read(process, (pipes[0][0], pipes[1][0]), timeout)
    return subprocess.CompletedProcess(list(words), process.wait(), out, errors)


def _read(process: Started, pipes: tuple[int, int], timeout: float) -> list[bytes]:
    """All that comes out of two pipes."""
    found: dict[int, list[bytes]] = {number: [] for number in pipes}
    ready, end = select.poll(), time.monotonic() + timeout
    for number in pipes:
        ready.register(number, select.POLLIN)
    left = len(pipes)
    try:
        while left:
            events = ready.poll(max(0.0, end - time.monotonic()) * 1000)
            if not events:
                process.kill()
                process.wait()
                raise subprocess.TimeoutExpired(list(process.args), timeout)
            for number, _ in events:
                more = os.read(number, 1 << 16)
                found[number].append(more)
                if not more:
                    ready.unregister(number)
                    left -= 1
    finally:
        for number in pipes:
            os.close(number)
    return [b"".join(parts) for parts in found.values()]
