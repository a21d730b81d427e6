"""A command on a terminal of its own: what is typed, and what stands on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pyte

from tests.lab.process import PATIENCE, LabError

LIMIT = 20.0  # seconds that a word is waited for
INHERITED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP)


class Terminal:
    """A pseudo-terminal with a program in a session of its own."""

    def __init__(
        self, command: Sequence[str], columns: int, lines: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.raw = b""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.status: int | None = None
        self.pid, self._master = pty.fork()
        if not self.pid:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
                for number in INHERITED:  # ignored where the tests were started in the background
                    signal.signal(number, signal.SIG_DFL)
                os.execvpe(command[0], [*command], {**kept, "TERM": "xterm", **(environment or {})})
            finally:
                os._exit(127)
        self.before = termios.tcgetattr(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._master >= 0:
            os.close(self._master)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def modes(self) -> tuple[int, bool]:
        """How the terminal takes keys, and whether the second screen is shown."""
        return termios.tcgetattr(self._master)[3], self.raw.rfind(b"\x1b[?1049h") > self.raw.rfind(b"\x1b[?1049l")

    def resize(self, columns: int, lines: int) -> None:
        """Make the window another size."""
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def hang_up(self) -> None:
        """Take the terminal away."""
        os.close(self._master)
        self._master = -1

    def until(self, what: str, condition: Callable[[str], object]) -> str:
        """Read until the screen is so; returns it."""
        end = time.monotonic() + LIMIT * PATIENCE
        while not condition(self.text):
            if time.monotonic() > end:
                raise LabError(f"waited for {what}; the screen shows\n{self.text}")
            self._read(0.1)
        return self.text

    def ended(self) -> int:
        """The exit status as of waitpid, when the program is gone."""
        end = time.monotonic() + LIMIT * PATIENCE
        while self.status is None:
            if time.monotonic() > end:
                raise LabError(f"{self.pid} did not end; the screen shows\n{self.text}")
            self._read(0.05)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._read(0.2)
                self.status = status
        return self.status

    def _read(self, seconds: float) -> None:
        if self._master < 0:
            time.sleep(seconds)
            return
        if select.select([self._master], [], [], seconds)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other side is closed
                time.sleep(seconds)
                return
            self.raw += data
            self._stream.feed(data)
