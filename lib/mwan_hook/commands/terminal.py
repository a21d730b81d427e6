"""A terminal whose whole screen a program has: what is drawn on it, keys, and the signals that end or stop that."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty

from mwan_hook.commands import screen
from mwan_hook.commands.screen import Size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from mwan_hook.wrapping import Line

SECOND_SCREEN, FIRST_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the second without a cursor
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
WAKING = (signal.SIGWINCH, signal.SIGCONT)
QUIT, BACK, ENTER, UP, DOWN, PAGE_UP, PAGE_DOWN = "quit", "back", "enter", "up", "down", "page up", "page down"
KEYS = {
    b"q": QUIT,
    b"Q": QUIT,
    b"\x04": QUIT,
    b"\r": ENTER,
    b"\n": ENTER,
    b"\x1b": BACK,
    b"k": UP,
    b"j": DOWN,
    **{b"\x1b%c%s" % (kind, end): key for kind in b"[O" for end, key in ((b"A", UP), (b"B", DOWN))},
    b"\x1b[5~": PAGE_UP,
    b"\x1b[6~": PAGE_DOWN,
    b" ": PAGE_DOWN,
}
LONGEST_FIRST = sorted(KEYS, key=len, reverse=True)
END = b"\x04"  # what the terminal's end counts as
BEGUN = (b"\x1b", b"\x1b[", b"\x1bO", b"\x1b[5", b"\x1b[6")
PATIENCE = 0.05  # seconds for the rest of a key


class Canvas:
    """The terminal's second screen: lines that differ from those that stand there are written, and no others."""

    def __init__(self) -> None:
        self._inked = screen.coloured(os.environ, terminal=True)
        self._encoding = sys.stdout.encoding
        self._there: list[str] = []

    def __enter__(self) -> Canvas:
        self._write(SECOND_SCREEN)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._write(FIRST_SCREEN)

    def size(self) -> Size:
        """How large it is now."""
        columns, lines = shutil.get_terminal_size()
        return Size(columns, lines, self._encoding.lower().startswith("utf"))

    def draw(self, lines: Sequence[Line], anew: bool) -> None:
        """Show these lines and no others; ``anew``: what stands there is not known."""
        if anew or len(lines) != len(self._there):
            self._there = []
        wanted = [screen.spelled(line, self._inked) for line in lines]
        begun, before = ("", self._there) if self._there else (screen.CLEAR, [""] * len(lines))
        self._there = wanted
        pairs = enumerate(zip(before, wanted, strict=True), 1)
        self._write(begun + "".join(f"\x1b[{row};1H\x1b[K{new}" for row, (old, new) in pairs if old != new))

    def _write(self, text: str) -> None:
        sys.stdout.buffer.write(text.encode(self._encoding, "replace"))
        sys.stdout.buffer.flush()


class Signals:
    """What was caught while a screen is shown; a handler does nothing, but what waits for a key wakes up."""

    def __init__(self) -> None:
        self.caught = 0
        self._woken = True
        self._hears, self._wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Signals:
        self._before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGTSTP, *WAKING)}
        self._wakeup = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for number, before in self._before.items():
            if before is not signal.SIG_IGN:
                signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, before in self._before.items():
            signal.signal(number, before)
        os.close(self._hears)
        os.close(self._wakes)

    def _catch(self, number: int, _: FrameType | None) -> None:
        if number not in WAKING:
            self.caught = number
        self._woken = True

    def taken(self) -> bool:
        """Whether the terminal may have become another since the last time this was asked."""
        woken, self._woken = self._woken, False
        return woken

    def wait(self, seconds: float) -> bytes:
        """What was typed within so long; empty where a signal came first.  The end of the terminal is that of us."""
        keyboard = sys.stdin.fileno()
        ready = select.select([keyboard, self._hears], [], [], seconds)[0]
        if self._hears in ready:
            os.read(self._hears, 512)
        return _typed(keyboard) if keyboard in ready else b""

    def obey(self) -> None:
        """Stop or end as the signal says that was caught; go on after a stop."""
        number, self.caught = self.caught, 0
        if number:
            handler = signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, handler)


def _typed(keyboard: int) -> bytes:
    """Bytes of whole keys: the rest of one that has begun comes at once, if any."""
    typed = os.read(keyboard, 512) or END
    while typed.endswith(BEGUN) and select.select([keyboard], [], [], PATIENCE)[0]:
        typed += os.read(keyboard, 512) or END
    return typed


def keys(typed: bytes) -> Iterator[str]:
    """The keys that these bytes are; what is no key is passed over."""
    place = 0
    while place < len(typed):
        found = next((one for one in LONGEST_FIRST if typed.startswith(one, place)), b"")
        if found:
            yield KEYS[found]
        place += max(1, len(found))


@contextlib.contextmanager
def plain_keys(terminal: int) -> Iterator[None]:
    """Keys at once and unseen; then as it was."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSADRAIN)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
