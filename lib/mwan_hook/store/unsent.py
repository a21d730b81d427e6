"""What is to be told by mail, kept across runs and boots.

Beside the book stands an empty file while anything waits in it: systemd looks at that, and starts nothing without it.
"""

from __future__ import annotations

import os
import time

from mwan_hook.core.interruptions import Book, Lost, News, Outgoing, Span, rebased
from mwan_hook.model import MwanError
from mwan_hook.say import complain
from mwan_hook.store import codec, files
from mwan_hook.store.filelocked import FileLocked
from mwan_hook.store.state import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOCK = files.RUN + "/mail.lock"
SENDING = files.RUN + "/mail-sending.lock"
WAIT = 10.0  # seconds for the book, which is held for milliseconds

codec.teach(Span, Lost, News, Outgoing, Book)


def load(root: str, writes: bool) -> Book:
    """The book, its times in this boot's; a caller that ``writes`` sets an unusable one aside.

    Raises MwanError if it cannot be read.
    """
    book, messages = files.load(files.under(root, files.MAIL), "Book", Book(), None, writes)
    complain(messages)
    kept: Book = rebased(book, boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
    return kept


def change(root: str, action: Callable[[Book], Book]) -> Book:
    """The book after ``action``, on the disk if that changed anything.  Raises MwanError; the old one is whole then."""
    with FileLocked(files.under(root, LOCK), WAIT):
        before = load(root, writes=True)
        after = action(before)
        if after != before:
            after = after._replace(at=time.clock_gettime(time.CLOCK_BOOTTIME), wall=time.time())
            _save(root, after)
        _mark(root, after.waits)
        return after


def set_aside(root: str) -> None:
    """Mail is switched off: what waits is kept, and nothing need look after it.  Raises MwanError."""
    with FileLocked(files.under(root, LOCK), WAIT):
        _mark(root, False)


def sending(root: str) -> FileLocked:
    """Held by whoever hands a mail over; one that finds it taken has nothing to do."""
    return FileLocked(files.under(root, SENDING), 0.0)


def _save(root: str, book: Book) -> None:
    """The mark comes first: a run killed in between leaves one too many, which the next run takes away."""
    path = files.under(root, files.MAIL)
    files.make_directory(os.path.dirname(path))
    if book.waits:
        _mark(root, True)
    files.replace(path, codec.encode(book), durable=True)


def _mark(root: str, waits: bool) -> None:
    path = files.under(root, files.MAIL_WAITING)
    try:
        if waits and not os.path.exists(path):
            files.write(path, b"")
        elif not waits:
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise MwanError(f"cannot change {path}: {files.why(error)}") from error
