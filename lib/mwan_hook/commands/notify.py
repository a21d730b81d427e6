"""``mwan-hook notify``: takes the notices out of their spool, in order, and tells each channel.

What is told is on record before the next one is: who is killed in between leaves to the next process just what was
not told yet.  Only a hook that was running then runs again, with the same EVENT_ID.
"""

from __future__ import annotations

import sys
import time

from mwan_hook import config
from mwan_hook.core.notices import AGAIN
from mwan_hook.model import Config, ConfigError, MwanError
from mwan_hook.notify.channels import CHANNELS
from mwan_hook.say import complain
from mwan_hook.store import again, filelocked, outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice
    from mwan_hook.notify.channels import Channel

PATIENCE = 10.0  # seconds of hooks after which the others hear what hooks have heard
POLL = 0.05  # seconds between two looks whether the one who has the lock is done
BACKOFF = 1.0  # seconds before a spool that cannot be emptied makes systemd start us again


def run(root: str, wait: bool) -> int:
    """0, or 1 if a channel could not be told.  Another notifier is waited for, or left alone."""
    code = 0
    stuck: frozenset[str] = frozenset()
    while True:
        mine = filelocked.notifier(root)
        if mine.acquire():
            try:
                notifier = Notifier(root)
                code |= notifier.tell()
                stuck = notifier.stuck
            finally:
                mine.release()
        elif not wait:
            return code
        else:
            time.sleep(POLL)
        if outbox.names(root) <= stuck:  # one that came while we were at it may have met our lock, and left
            return code


class Notifier:
    """Delivers spooled notices while holding the notify lock."""

    stuck: frozenset[str] = frozenset()  # no notices, and cannot be taken out of the spool

    def __init__(self, root: str) -> None:
        self._root = root
        self._failed = False
        self._said: set[str] = set()
        self._loaded = self._configured()

    def tell(self) -> int:
        """Empty the spool; 0, or 1 if somebody could not be told.  Raises MwanError."""
        more = True
        while more:
            there = outbox.names(self._root)
            notices, messages = outbox.waiting(self._root)
            complain(line for line in messages if line not in self._said)
            self._said |= {*messages}
            told = self._told(notices)
            self._empty(told)
            self.stuck = frozenset() if notices else there
            more = bool(told) and not outbox.names(self._root) <= self.stuck
        if self.stuck & outbox.names(self._root):
            self._failed = True
            time.sleep(BACKOFF)
        return int(self._failed)

    def _configured(self) -> Loaded:
        """A bad configuration keeps hooks from nothing: routing goes on as it was, and so do they."""
        try:
            return config.load(self._root)
        except ConfigError as error:
            complain(str(error).splitlines())
            self._failed = True
            return config.Loaded(Config(), (), "", (), self._root)

    def _told(self, notices: Sequence[Notice]) -> Sequence[Notice]:
        """Tell one channel after the other; the notices that all have had."""
        for channel in CHANNELS:
            if channel.code.wanted(self._root, self._loaded.config):
                if channel.must:
                    notices = self._one_by_one(channel, notices)
                else:
                    self._attempt(channel, notices)
        if not self._failed and any(notice.event == AGAIN for notice in notices):
            again.done(self._root)
        return notices

    def _one_by_one(self, channel: Channel, notices: Sequence[Notice]) -> Sequence[Notice]:
        """As many notices as patience allows.  Raises MwanError."""
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one is told
            complain((f"{channel.name}: {error or type(error).__name__}",))
            good = False
        if not good:
            self._failed = True
            again.wanted(self._root)

    def _empty(self, told: Sequence[Notice]) -> None:
        """Remove delivered notices from the spool."""
        try:
            for notice in told:
                outbox.drop(self._root, notice)
        except MwanError:
            time.sleep(BACKOFF)
            raise
        sys.stdout.flush()
