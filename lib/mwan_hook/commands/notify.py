"""``mwan-hook notify``: takes the notices out of their spool, in order, and tells hooks, mail, Prometheus and D-Bus.

What is told is on record before the next one is: who is killed in between leaves to the next process just what was
not told yet.  Only a hook that was running then runs again, with the same EVENT_ID.
"""

from __future__ import annotations

import sys
import time

from mwan_hook import config
from mwan_hook.model import ConfigError, Hooks, MwanError, Notice, Notified
from mwan_hook.say import complain
from mwan_hook.store import lock, notified, outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.config import Loaded

PATIENCE = 10.0  # seconds of hooks after which the others hear what hooks have heard
POLL = 0.05  # seconds between two looks whether the one who has the lock is done
BACKOFF = 1.0  # seconds before a spool that cannot be emptied makes systemd start us again


def run(root: str, wait: bool) -> int:
    """0, or 1 if somebody could not be told.  Another one that is at it is waited for, or left alone."""
    code = 0
    stuck: frozenset[str] = frozenset()
    while True:
        mine = lock.notifier(root)
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
    """One who holds the lock."""

    stuck: frozenset[str] = frozenset()  # no notices, and cannot be taken out of the spool

    def __init__(self, root: str) -> None:
        self._root = root
        self._failed = False
        self._said: set[str] = set()
        self._loaded = self._configured()
        self._record, messages = notified.load(root)
        complain(messages)

    def tell(self) -> int:
        """Empty the spool; 0, or 1 if somebody could not be told.  Raises MwanError."""
        more = True
        while more:
            there = outbox.names(self._root)
            notices, messages = outbox.waiting(self._root)
            complain(line for line in messages if line not in self._said)
            self._said |= {*messages}
            told = self._hooks(notices)
            self._others(told)
            self._empty(told)
            self.stuck = frozenset() if notices else there
            more = bool(told) and not outbox.names(self._root) <= self.stuck
        if self.stuck & outbox.names(self._root):
            self._failed = True
            time.sleep(BACKOFF)
        return int(self._failed)

    def _configured(self) -> Loaded | None:
        """A bad configuration keeps hooks from nothing: routing goes on as it was, and so do they."""
        try:
            return config.load(self._root)
        except ConfigError as error:
            complain(str(error).splitlines())
            self._failed = True
            return None

    def _hooks(self, notices: Sequence[Notice]) -> tuple[Notice, ...]:
        """Run the hooks; as many as patience allows.

        Their orphans are ours; what a sendmail leaves behind is not.
        """
        from mwan_hook.notify import process

        process.adopt(True)
        try:
            return self._run_hooks(notices)
        finally:
            process.adopt(False)

    def _run_hooks(self, notices: Sequence[Notice]) -> tuple[Notice, ...]:
        from mwan_hook.notify import hooks

        timeout = (self._loaded.config.hooks if self._loaded else Hooks()).timeout
        began = time.monotonic()
        for number, notice in enumerate(notices):
            if notice.id > self._record.last:
                had = self._record.done if self._record.begun == notice.id else ()
                self._save(self._record._replace(begun=notice.id, done=had))
                self._failed |= not hooks.deliver(self._root, timeout, notice, had, self._had)
                self._save(self._record._replace(last=notice.id, begun="", done=()))
            if time.monotonic() - began > PATIENCE:
                return tuple(notices[: number + 1])
        return tuple(notices)

    def _had(self, hook: str) -> None:
        self._save(self._record._replace(done=(*self._record.done, hook)))

    def _save(self, record: Notified) -> None:
        if record != self._record:
            self._record = record
            notified.save(self._root, record)

    def _others(self, told: Sequence[Notice]) -> None:
        """Each for itself: who fails is named, and stops nobody.  They know themselves what they have heard before."""
        loaded = self._loaded
        if loaded:
            self._attempt("mail", lambda: _mail(self._root, loaded, told))
            self._attempt("prometheus", lambda: _prometheus(self._root, loaded))
        self._attempt("D-Bus", lambda: _bus(self._root, told))

    def _attempt(self, who: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one is told
            complain((f"{who}: {error or type(error).__name__}",))
            self._failed = True

    def _empty(self, told: Sequence[Notice]) -> None:
        """Everybody had them."""
        try:
            for notice in told:
                outbox.drop(self._root, notice)
        except MwanError:
            time.sleep(BACKOFF)
            raise
        sys.stdout.flush()


def _mail(root: str, loaded: Loaded, notices: Sequence[Notice]) -> None:
    from mwan_hook.notify import mail

    mail.deliver(root, loaded.config, notices)


def _prometheus(root: str, loaded: Loaded) -> None:
    from mwan_hook.notify import prometheus

    complain(prometheus.write(root, loaded))


def _bus(root: str, notices: Sequence[Notice]) -> None:
    from mwan_hook.notify import bus

    bus.poke(root, notices)
