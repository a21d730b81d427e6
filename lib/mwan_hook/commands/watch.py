"""``mwan-hook status --watch`` on a terminal: a screen with the last hour, and keys.

What ends or stops the program gives the terminal back as it was: q, ^C, ^Z, ^\\, SIGTERM and SIGHUP alike.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import time

from mwan_hook.commands import watch_view
from mwan_hook.commands.terminal import DOWN, ENTER, PAGE_DOWN, PAGE_UP, QUIT, UP, Canvas, Signals, keys, plain_keys
from mwan_hook.commands.watch_view import Known
from mwan_hook.explain.pulse import Pulse
from mwan_hook.model import MwanError, Transition
from mwan_hook.store import files, history

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.commands.looking import Look, Looker
    from mwan_hook.commands.screen import Size
    from mwan_hook.wrapping import Line

REFRESH = 2.0  # seconds between two looks
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

    view = explained.view_of(look.judged, readable=look.known)
    return explained.story_lines(view, [look.seen.uplinks[chosen]], room)


def _one_session(watcher: Watcher, signals: Signals) -> None:
    """Show pictures until the program is to end or to stop."""
    with plain_keys(sys.stdin.fileno()), Canvas() as canvas:
        due = time.monotonic()
        while watcher.awake and not signals.caught:
            if time.monotonic() >= due:
                watcher.again()
                due = time.monotonic() + REFRESH
            size = canvas.size()
            canvas.draw(watcher.picture(size), anew=signals.taken())
            for key in keys(signals.wait(max(0.0, due - time.monotonic()))):
                watcher.press(key, size)
