"""``mwan-hook status --watch`` on a terminal: a screen with the last hour, and keys.

What ends or stops the program gives the terminal back as it was: q, ^C, ^Z, ^\\, SIGTERM and SIGHUP alike.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import time
import tty

from mwan_hook.commands import screen, watch_view
from mwan_hook.commands.watch_view import Known, Size
from mwan_hook.explain.pulse import Pulse
from mwan_hook.model import MwanError
from mwan_hook.store import files, history

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from mwan_hook.commands.looking import Look, Looker
    from mwan_hook.model import Transition
    from mwan_hook.wrapping import Line

SECOND_SCREEN, FIRST_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the second without a cursor
REFRESH = 2.0  # seconds between two looks
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
STEPS = {UP: -1, DOWN: 1, PAGE_UP: -10, PAGE_DOWN: 10}


def run(root: str, looker: Looker) -> int:
    """Show it until the operator has seen enough.  Raises MwanError, KeyboardInterrupt."""
    watcher = Watcher(root, looker)
    with Signals() as signals:
        while watcher.awake:
            try:
                _one_session(watcher, signals)
            except (OSError, termios.error):  # the terminal is gone, perhaps before its signal
                watcher.awake = False
            watcher.awake = watcher.awake and signals.caught == signal.SIGTSTP
            signals.obey()
    return 0


class Watcher:
    """What is shown, and what a key does to it."""

    def __init__(self, root: str, looker: Looker) -> None:
        self._looker, self._pulse, self._past = looker, Pulse(root), Past(root)
        self.chosen = 0
        self.told: Sequence[str] | None = None  # why the chosen one stands as it does, while that is shown ...
        self._told_for = 0  # ... in so many columns
        self.top = 0
        self.awake = True
        self.known = self._looked()

    def again(self) -> None:
        """Look anew.  What cannot be read for a moment leaves the picture as it is, and says so."""
        try:
            self.known = self._looked()
        except MwanError as error:
            self.known = self.known._replace(look=self.known.look._replace(mistakes=tuple(str(error).splitlines())))

    def _looked(self) -> Known:
        look = self._looker.look()
        seen = look.seen
        self._pulse.add(look.judged.state, seen.wall - seen.now, seen.wall)
        self.chosen = max(0, min(self.chosen, len(seen.uplinks) - 1))
        return Known(look, self._pulse.samples, self._past.read())

    def press(self, key: str, size: Size) -> None:
        """Do what a key asks for."""
        if key == QUIT:
            self.awake = False
        elif key in STEPS and self.told is not None:
            self.top = max(0, min(self.top + STEPS[key], len(self.told) - size.lines + 2))
        elif key in STEPS:
            self.chosen = max(0, min(self.chosen + STEPS[key], len(self.known.look.seen.uplinks) - 1))
        elif key == ENTER and self.told is None and self.known.look.seen.uplinks:
            self._tell(size)
        else:
            self.told = None

    def _tell(self, size: Size) -> None:
        self.told, self.top = why(self.known.look, self.chosen, size.columns), 0
        self._told_for = size.columns

    def picture(self, size: Size) -> list[Line]:
        """The lines of the screen."""
        if self.told is not None and self._told_for != size.columns:
            self._tell(size)
        if self.told is not None:
            return watch_view.story(self.known, self.told, self.top, size)
        return watch_view.overview(self.known, self.chosen, size)


class Past:
    """The history, read again when it has grown."""

    def __init__(self, root: str) -> None:
        self._root, self._path = root, files.under(root, files.HISTORY)
        self._stamp: tuple[int, int] | None = None
        self._found: tuple[Transition, ...] = ()

    def read(self) -> tuple[Transition, ...]:
        """All that is remembered, the newest last."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_ino, status.st_size)
        except OSError:
            stamp = (0, 0)
        if stamp != self._stamp:
            with contextlib.suppress(MwanError):
                self._found, self._stamp = history.read(self._root), stamp
        return self._found


def why(look: Look, chosen: int, room: int) -> list[str]:
    """The story of an uplink in lines of at most ``room`` columns."""
    from mwan_hook.explain import why as explained

    view = explained.view_of(look.judged, look.known)
    return explained.story_lines(view, [look.seen.uplinks[chosen]], room)


def _one_session(watcher: Watcher, signals: Signals) -> None:
    """Show pictures until the program is to end or to stop."""
    with _keyboard(sys.stdin.fileno()), Canvas() as canvas:
        due = time.monotonic()
        while watcher.awake and not signals.caught:
            if time.monotonic() >= due:
                watcher.again()
                due = time.monotonic() + REFRESH
            size = canvas.size()
            canvas.draw(watcher.picture(size), anew=signals.taken())
            for key in keys(signals.wait(max(0.0, due - time.monotonic()))):
                watcher.press(key, size)


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
def _keyboard(terminal: int) -> Iterator[None]:
    """Keys at once and unseen; then as it was."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSADRAIN)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
