"""``mwan-hook notify``: takes the notices out of their spools, in order, and tells each channel.

Under systemd in two steps, each with a spool, a lock and a unit: one for channels that need no root, which passes on
what root's channels are to hear, and one for these.

What is told is on record before the next one is: who is killed in between leaves to the next process just what was
not told yet.  Only a hook that was running then runs again, with the same EVENT_ID.
"""

from __future__ import annotations

import sys
import time

from mwan_hook import config
from mwan_hook.light import NamedTuple
from mwan_hook.model import Config, ConfigError, MwanError, Notice
from mwan_hook.run import recordlines
from mwan_hook.run.channels import CHANNELS, Channel
from mwan_hook.say import attempted, complain
from mwan_hook.store import again, filelocked, files, outbox, wake
from mwan_hook.verdict.notices import AGAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.store.filelocked import FileLocked

PATIENCE = 10.0  # seconds of hooks after which the others hear what hooks have heard
POLL = 0.05  # seconds between two looks whether the one who has the lock is done
BACKOFF = 1.0  # seconds before a spool that cannot be emptied makes systemd start us again


class Recipients(NamedTuple):
    """Channels with power, without, or both; their spool, and the lock that is held while it is emptied."""

    power: tuple[bool, ...]
    place: str
    lock: Callable[[str], FileLocked]


BOOKS = Recipients((False,), files.NOTIFY, filelocked.notifier)
PROGRAMS = Recipients((True,), files.HOOKS, filelocked.hooks)
ALL = Recipients((False, True), files.NOTIFY, filelocked.notifier)
STEPS = {"books": (BOOKS,), "programs": (PROGRAMS,)}


def run(root: str, wait: bool, step: str | None) -> int:
    """0, or 1 if a channel could not be told.  Another notifier is waited for, or left alone.

    ``step``: a key of STEPS.  By hand, without one, those of the units where there are any, so that both keep out of
    each other's way.
    """
    loaded, code = _configured(root)
    chosen = STEPS[step] if step else (BOOKS, PROGRAMS) if wake.watched(root) else (ALL,)
    for recipients in chosen:
        code |= _step(root, loaded, wait, recipients)
    if step != "programs":
        recordlines.sample(root, loaded)
    return code


def _configured(root: str) -> tuple[Loaded, int]:
    """A bad configuration keeps hooks from nothing: routing goes on as it was, and so do they."""
    try:
        return config.load(root), 0
    except ConfigError as error:
        complain(str(error).splitlines())
        return config.Loaded(Config(), (), "", (), root), 1


def _step(root: str, loaded: Loaded, wait: bool, step: Recipients) -> int:
    code = 0
    stuck: frozenset[str] = frozenset()
    while True:
        mine = step.lock(root)
        if mine.acquire():
            try:
                teller = Notifier(root, loaded, step)
                code |= teller.tell()
                stuck = teller.stuck
            finally:
                mine.release()
        elif not wait:
            return code
        else:
            time.sleep(POLL)
        if outbox.names(root, step.place) <= stuck:  # one that came while we were at it may have met our lock, and left
            return code


class Notifier:
    """A process that delivers the notices of a spool while it holds its lock."""

    stuck: frozenset[str] = frozenset()  # no notices, and cannot be taken out of the spool

    def __init__(self, root: str, loaded: Loaded, step: Recipients) -> None:
        self._root, self._loaded, self._place = root, loaded, step.place
        self._failed = False
        self._said: set[str] = set()
        wanted = [channel for channel in CHANNELS if channel.wanted(root, loaded.config)]
        self._channels = [channel for channel in wanted if channel.power in step.power]
        self._passes_on = step is BOOKS and len(wanted) > len(self._channels)

    def tell(self) -> int:
        """Empty the spool; 0, or 1 if a channel could not be told.  Raises MwanError."""
        more = True
        while more:
            there = outbox.names(self._root, self._place)
            notices, messages = outbox.waiting(self._root, self._place)
            complain(line for line in messages if line not in self._said)
            self._said |= {*messages}
            told = self._told(notices)
            self._empty(told)
            self.stuck = frozenset() if notices else there
            more = bool(told) and not outbox.names(self._root, self._place) <= self.stuck
        if self.stuck & outbox.names(self._root, self._place):
            self._failed = True
            time.sleep(BACKOFF)
        return int(self._failed)

    def _told(self, notices: Sequence[Notice]) -> Sequence[Notice]:
        """Tell one channel after the other; the notices that all have had."""
        for channel in self._channels:
            if channel.must:
                notices = self._one_by_one(channel, notices)
            else:
                self._attempt(channel, notices)
        if not self._failed and not self._passes_on and any(notice.event == AGAIN for notice in notices):
            again.done(self._root)
        return notices

    def _one_by_one(self, channel: Channel, notices: Sequence[Notice]) -> Sequence[Notice]:
        """Tell as many notices as PATIENCE allows.  Raises MwanError."""
        began = time.monotonic()
        for number, notice in enumerate(notices, 1):
            self._failed |= not channel.code.deliver(self._root, self._loaded, (notice,))
            if time.monotonic() - began > PATIENCE:
                return notices[:number]
        return notices

    def _attempt(self, channel: Channel, notices: Sequence[Notice]) -> None:
        """A channel that fails is named, stops no other and is told again.  It knows what it has heard before."""
        try:
            good = channel.code.deliver(self._root, self._loaded, notices)
        except Exception as error:  # noqa: BLE001 - a failed channel stops no other
            complain((f"{channel.name}: {error or type(error).__name__}",))
            good = False
        if not good:
            self._failed = True
            complain(attempted(lambda: again.wanted(self._root)))

    def _empty(self, told: Sequence[Notice]) -> None:
        """Take delivered notices out of the spool, into that of the next recipients, if there are any."""
        try:
            for notice in told:
                if self._passes_on:
                    outbox.pass_on(self._root, notice)
                else:
                    outbox.drop(self._root, self._place, notice)
        except MwanError:
            time.sleep(BACKOFF)
            raise
        sys.stdout.flush()
