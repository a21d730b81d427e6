"""A foreign program with a time limit: it is done when all that it started is done.

Children that a program leaves behind, in sessions of their own too, become ours (PR_SET_CHILD_SUBREAPER): so nothing
of it can hide, neither from waiting nor from being killed.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from contextlib import suppress

from mwan_hook.light import NamedTuple
from mwan_hook.model import MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_LINES = 200  # of its output that are passed on
LONGEST_LINE = 1000
TICK = 0.02  # seconds between two looks at what a program left behind
DEATH = 5.0  # seconds that killed processes get to be gone
_PR_SET_CHILD_SUBREAPER = 36
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)  # that Python, or who started us, may have set aside


class Exit(NamedTuple):
    """How it ended: its exit status, -N for a signal; ``killed`` at the time limit, so many processes."""

    status: int
    killed: int = 0
    survivors: int = 0  # that could not even be killed


def adopt(orphans: bool) -> None:
    """Become the parent of all orphans below us, or leave further ones to init.  Raises MwanError."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0):
        raise MwanError(f"cannot adopt the children of hooks: {os.strerror(ctypes.get_errno())}")


def run(path: str, environment: Mapping[str, str], given: bytes, timeout: float, hear: Callable[[str], None]) -> Exit:
    """Run ``path`` with ``given`` on its standard input; ``hear`` gets each line that it says.

    Raises OSError if it cannot be started.  The caller has called :func:`adopt` and has no other children.
    """
    output, its_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        pid = _start(path, environment, given, its_end)
    finally:
        os.close(its_end)
    try:
        return _Watch(pid, output, hear).until(time.monotonic() + timeout)
    finally:
        os.close(output)


def _start(path: str, environment: Mapping[str, str], given: bytes, its_end: int) -> int:
    """Start it in a session of its own.  Its input is a file in memory, which need not be read."""
    os.set_blocking(its_end, True)
    descriptor = os.memfd_create("event", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, given)
        os.lseek(descriptor, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, descriptor, 0), (os.POSIX_SPAWN_DUP2, its_end, 1)]
        actions.append((os.POSIX_SPAWN_DUP2, its_end, 2))
        return os.posix_spawn(
            path, [path], environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_RESTORED
        )
    finally:
        os.close(descriptor)


class _Watch:
    """One program, from its start until nothing of it is left."""

    def __init__(self, pid: int, output: int, hear: Callable[[str], None]) -> None:
        self._pid, self._output = pid, output
        self._lines = LineSplitter(hear)
        self._status: int | None = None

    def until(self, deadline: float) -> Exit:
        """Wait for it; what is left at the deadline is killed."""
        poller = select.poll()
        poller.register(self._output, select.POLLIN)
        main = os.pidfd_open(self._pid)
        poller.register(main, select.POLLIN)
        killed = survivors = 0
        try:
            while not self._all_gone():
                left = deadline - time.monotonic()
                if left <= 0:
                    killed, survivors = self._kill()
                    break
                pause = left if self._status is None else min(left, TICK)
                for descriptor, _ in poller.poll(max(1, int(pause * 1000))):
                    if descriptor == main or not self._read():
                        poller.unregister(descriptor)
        finally:
            os.close(main)
        self._drain()
        return Exit(0 if self._status is None else self._status, killed, survivors)

    def _all_gone(self) -> bool:
        """Reap children that have exited; True when none is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if not pid:
                return False
            if pid == self._pid:
                self._status = os.waitstatus_to_exitcode(status)

    def _kill(self) -> tuple[int, int]:
        """Everything below us, again and again: a child may be born while its parent dies."""
        victims: set[int] = set()
        until = time.monotonic() + DEATH
        while not self._all_gone():
            found = descendants(os.getpid())
            if time.monotonic() > until:
                return len(victims), len(found)
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            victims |= set(found)
            self._drain()
            time.sleep(TICK / 4)
        return len(victims), 0

    def _drain(self) -> None:
        """What is in the pipe still.  Who else holds its other end is no child of ours and not waited for."""
        for _ in range(1024):
            if not self._read():
                break
        self._lines.end()

    def _read(self) -> bool:
        """False where there is nothing, or nothing more."""
        try:
            data = os.read(self._output, 1 << 16)
        except BlockingIOError:
            return False
        self._lines.add(data)
        return bool(data)


class LineSplitter:
    """Bytes in pieces to lines of text; beyond MOST_LINES they are counted only."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._rest = b""
        self._count = 0

    def add(self, data: bytes) -> None:
        """The next piece."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > LONGEST_LINE:
            self._say(self._rest)
            self._rest = b""

    def end(self) -> None:
        """Nothing more comes."""
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        self._count += 1
        if self._count <= MOST_LINES:
            self._hear(line.decode("utf-8", "backslashreplace").rstrip()[:LONGEST_LINE])
        elif self._count == MOST_LINES + 1:
            self._hear("... and more, which is left out")


def descendants(ancestor: int) -> tuple[int, ...]:
    """Processes below one, as /proc shows them."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := _parent(int(name))):
            below.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [ancestor]
    while todo:
        children = below.get(todo.pop(), [])
        found += children
        todo += children
    return tuple(found)


def _parent(pid: int) -> int:
    """0 for one that is gone, or dead and only to be buried by its parent."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return 0
    return 0 if state == b"Z" else int(parent)
