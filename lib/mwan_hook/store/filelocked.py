"""filelock's locks, for all that does not route: its import costs more than the whole common run."""

from __future__ import annotations

import os

from mwan_hook.store.files import HOOKS_LOCK, NOTIFY_LOCK, REPAIR_LOCK, make_directory, owner_of, under
from mwan_hook.store.lock import LOCK_FLAGS, MODE, Flock, Held, failed, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from filelock import BaseFileLock


def notifier(root: str) -> FileLocked:
    """The lock of the process that takes notices out of the first spool: one at a time, and so in order."""
    return FileLocked(under(root, NOTIFY_LOCK), 0)


def hooks(root: str) -> FileLocked:
    """The lock of the process that takes notices out of the second spool, for hooks and the bus."""
    return FileLocked(under(root, HOOKS_LOCK), 0)


def repairer(root: str, wait: float) -> FileLocked:
    """The lock that lets one repair step be done at a time."""
    return FileLocked(under(root, REPAIR_LOCK), wait)


class FileLocked(Held):
    """filelock's lock; versions of it that unlink the file on release check the inode themselves.

    Root in the directory of another user takes flock(2) itself: that one could put a link in the file's place, and
    filelock follows it and empties what it leads to.
    """

    def __init__(self, path: str, wait: float) -> None:
        self.path = path
        self.wait = wait
        self._lock: BaseFileLock | Flock | None = None

    def acquire(self) -> bool:
        """True once it is held; False after the time that this lock waits.  Raises MwanError."""
        make_directory(os.path.dirname(self.path))
        if os.geteuid() == 0 and owner_of(os.path.dirname(self.path)):
            own = Flock(self.path, self.wait, float("inf"))
            self._lock = own if own.acquire() else None
            return self._lock is not None
        return self._filelock()

    def _filelock(self) -> bool:
        from filelock import Timeout

        try:
            lock = _file_lock(self.path)
            lock.acquire(timeout=self.wait, poll_interval=pause())
        except Timeout:
            return False
        except OSError as error:
            raise failed(self.path, error) from error
        self._lock = lock
        return True

    def release(self) -> None:
        """Let it go; nothing happens if it is not held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _file_lock(path: str) -> BaseFileLock:
    """filelock's on a file of mode 0600.  Raises OSError.

    Version 3.9 (Debian 12) takes no mode, so the file is there before; later ones set the mode that they are given.
    """
    from filelock import FileLock

    descriptor = os.open(path, LOCK_FLAGS, MODE)
    try:
        os.fchmod(descriptor, MODE)
    finally:
        os.close(descriptor)
    takes_mode = "mode" in FileLock.__init__.__code__.co_varnames
    return FileLock(path, mode=MODE) if takes_mode else FileLock(path)
