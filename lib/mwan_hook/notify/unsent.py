"""What is to be told by mail and by a webhook, kept across runs and boots.

Beside each book stands an empty file while anything waits in it: systemd looks at that, and starts nothing without it.
"""

from __future__ import annotations

import os
import time

from mwan_hook.model import MwanError
from mwan_hook.notify.mail.book import Interruption, MailQueue, News, Omitted, Outgoing, rebased
from mwan_hook.notify.webhook import book as webhooks
from mwan_hook.notify.webhook.book import Post, Queue
from mwan_hook.say import complain
from mwan_hook.store import codec, files
from mwan_hook.store.filelocked import FileLocked
from mwan_hook.store.state import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WAIT = 10.0  # seconds for a book, which is held for milliseconds

codec.teach(Interruption, Omitted, News, Outgoing, MailQueue, Post, Queue)


class Unsent:
    """The book of one channel, with its locks, below any root.  ``rebased`` brings its times into this boot."""

    def __init__(self, name: str, empty: Any, rebased: Callable[[Any, str, float, float], Any]) -> None:
        self.path = f"{files.LIB}/{name}.json"
        self.mark = f"{files.LIB}/{name}.waiting"
        self._lock, self._sending = f"{files.RUN}/{name}.lock", f"{files.RUN}/{name}-sending.lock"
        self._empty, self._rebased = empty, rebased

    def load(self, root: str, writes: bool) -> Any:
        """The book, its times in this boot's; a caller that ``writes`` sets an unusable one aside.

        Raises MwanError if it cannot be read.
        """
        kind = type(self._empty).__name__
        book, messages = codec.load(files.under(root, self.path), kind, self._empty, None, writes)
        complain(messages)
        return self._rebased(book, boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())

    def change(self, root: str, action: Callable[[Any], Any]) -> Any:
        """The book after ``action``, on the disk if that changed more than which notice was the last.

        Raises MwanError; the old one is whole then.
        """
        with FileLocked(files.under(root, self._lock), WAIT):
            before = self.load(root, writes=True)
            after = action(before)
            if after._replace(last=before.last) == before:
                after = before
            else:
                after = after._replace(at=time.clock_gettime(time.CLOCK_BOOTTIME), wall=time.time())
                self._save(root, after)
            self._mark(root, after.waits)
            return after

    def set_aside(self, root: str) -> None:
        """Keep what waits, but let nothing look after it: the channel is switched off.  Raises MwanError."""
        with FileLocked(files.under(root, self._lock), WAIT):
            self._mark(root, False)

    def sending(self, root: str) -> FileLocked:
        """Held while something is handed over; a run that finds it taken has nothing to do."""
        return FileLocked(files.under(root, self._sending), 0.0)

    def _save(self, root: str, book: Any) -> None:
        """The mark comes first: a run killed in between leaves one too many, which the next run takes away."""
        path = files.under(root, self.path)
        if book.waits:
            files.make_directory(os.path.dirname(path))
            self._mark(root, True)
        files.replace(path, codec.encode(book), durable=True)

    def _mark(self, root: str, waits: bool) -> None:
        path = files.under(root, self.mark)
        try:
            if waits and not os.path.exists(path):
                files.write(path, b"", durable=False)
            elif not waits:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise MwanError(f"cannot change {path}: {files.why(error)}") from error


MAIL = Unsent("mail", MailQueue(), rebased)
WEBHOOK = Unsent("webhook", Queue(), webhooks.rebased)
