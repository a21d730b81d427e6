"""Run commands in a network namespace and say what each took, without a process between that takes time itself.

The helper that starts them stays inside; ip(8) would add its own milliseconds to each.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.lab import LabError, Netns

END, BETWEEN = "\x1e", "\x1f"
HELPER = r"""
import posix, sys, time
null = posix.open("/dev/null", posix.O_RDWR)
files = [(posix.POSIX_SPAWN_DUP2, null, 0), (posix.POSIX_SPAWN_DUP2, null, 1)]
environment = {b"PATH": posix.environ[b"PATH"], b"LANG": b"C.UTF-8"}
for line in sys.stdin:
    argv = line.rstrip("\n").split("\x1f")
    clock, begun = time.time_ns(), time.monotonic_ns()
    pid = posix.posix_spawn(argv[0], argv, environment, file_actions=files)
    status, usage = posix.wait4(pid, 0)[1:]
    took = time.monotonic_ns() - begun
    print(clock, took, int((usage.ru_utime + usage.ru_stime) * 1e9), status, flush=True)
"""


class Took(NamedTuple):
    """What one command took; `begun` is seconds since the epoch."""

    begun: float
    wall_ms: float
    cpu_ms: float


class Spawner:
    """A helper in a namespace; its children's complaints go to a file."""

    def __init__(self, ns: Netns, directory: Path) -> None:
        self.errors = directory / f"spawner-{ns.name}"
        with self.errors.open("wb") as complaints:
            self.process = subprocess.Popen(
                ns.argv(sys.executable, "-I", "-S", "-c", HELPER),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )

    def __enter__(self) -> Spawner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def run(self, *argv: str) -> Took:
        """Run a command (its first word is a path) to its end; LabError unless it exits with 0."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(BETWEEN.join(argv) + "\n")
        self.process.stdin.flush()
        words = [int(word) for word in self.process.stdout.readline().split()]
        if not words or words[3]:
            raise LabError(f"{' '.join(argv)} failed:\n{self.errors.read_text()}")
        return Took(words[0] / 1e9, words[1] / 1e6, words[2] / 1e6)


def interleaved(repetitions: int, runs: Sequence[tuple[Spawner, Sequence[str]]]) -> list[list[Took]]:
    """Every command so many times, in turns: what disturbs one disturbs all."""
    took: list[list[Took]] = [[] for _ in runs]
    for number in range(repetitions + 1):
        for (spawner, argv), list_ in zip(runs, took, strict=True):
            one = spawner.run(*argv)
            if number:  # the first round warms caches
                list_.append(one)
    return took
