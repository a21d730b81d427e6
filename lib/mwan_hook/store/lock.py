"""The locks.  All are flock(2), which the kernel drops with the process, however it ends.

``look`` takes it with fcntl, because importing filelock costs more than the whole common run;
``write`` takes the same file with filelock.  They exclude each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from mwan_hook.model import Busy, MwanError
from mwan_hook.store.files import NOTIFY_LOCK, PROBE_LOCK, STATE_LOCK, make_directory, under, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from filelock import BaseFileLock

WAIT = 10.0  # seconds that a run waits for the state lock
POLL = 0.01  # seconds between two tries, at least; flock(2) has no time-out of its own
LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def look(root: str, wait: float = WAIT) -> Flock:
    """The state lock for a run that imports nothing dear.  ``with`` raises Busy after ``wait`` seconds."""
    return Flock(under(root, STATE_LOCK), wait)


def prober(root: str, wait: float) -> Flock:
    """The lock that keeps probers single.  ``with`` raises Busy after ``wait`` seconds."""
    return Flock(under(root, PROBE_LOCK), wait)


def notifier(root: str) -> Flock:
    """The lock that keeps those who tell of transitions single, and so in order."""
    return Flock(under(root, NOTIFY_LOCK), 0)


def write(root: str, wait: float = WAIT) -> FileLocked:
    """The state lock for a run that changes the kernel.  ``with`` raises Busy after ``wait`` seconds."""
    return FileLocked(under(root, STATE_LOCK), wait)


class Flock:
    """flock(2) on a file that may be unlinked and made anew by others while it is waited for.

    ``waited`` tells whether another one held it at first.
    """

    def __init__(self, path: str, wait: float) -> None:
        self.path = path
        self.wait = wait
        self.waited = False
        self._descriptor = -1

    def acquire(self) -> bool:
        """True once it is held; False after the time that this lock waits.  Raises MwanError."""
        make_directory(os.path.dirname(self.path))
        until = time.monotonic() + self.wait
        while not self._try():
            self.waited = True
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _pause()))
        return True

    def release(self) -> None:
        """Let it go; nothing happens if it is not held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)  # which unlocks: no child has inherited it
            self._descriptor = -1

    def __enter__(self) -> Flock:
        if not self.acquire():
            raise _busy(self.path, self.wait)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try(self) -> bool:
        try:
            descriptor = os.open(self.path, LOCK_FLAGS, 0o644)
        except OSError as error:
            raise _failed(self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(descriptor, self.path):
                self._descriptor, descriptor = descriptor, -1
                return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise _failed(self.path, error) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return False


class FileLocked:
    """filelock's lock; versions of it that unlink the file on release check the inode themselves."""

    def __init__(self, path: str, wait: float) -> None:
        self.path = path
        self.wait = wait
        self._lock: BaseFileLock | None = None

    def __enter__(self) -> FileLocked:
        from filelock import FileLock, Timeout

        make_directory(os.path.dirname(self.path))
        lock = FileLock(self.path)
        try:
            lock.acquire(timeout=self.wait, poll_interval=_pause())
        except Timeout:
            raise _busy(self.path, self.wait) from None
        except OSError as error:
            raise _failed(self.path, error) from error
        self._lock = lock
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _pause() -> float:
    """Between POLL and twice that, so that many waiters do not try in step."""
    return POLL + POLL * os.urandom(1)[0] / 255


def is_at(descriptor: int, path: str) -> bool:
    """False if the file was unlinked, or replaced, between open and flock: such a lock guards nothing."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _failed(path: str, error: OSError) -> MwanError:
    return MwanError(f"cannot lock {path}: {why(error)}")


def _busy(path: str, wait: float) -> Busy:
    return Busy(f"{path} is held by {holder(path) or 'another run'}; gave up after {wait:g} s")


def holder(path: str) -> str:
    """Who holds a flock, from /proc/locks: ``PID (COMMAND LINE)``; empty if it cannot be told."""
    try:
        file = os.stat(path)
        with open("/proc/locks", encoding="ascii") as locks:
            lines = [line.split() for line in locks]
    except (OSError, ValueError):
        return ""
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for words in lines:
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted and words[4] != "0":
            return f"process {words[4]}{_command(words[4])}"
    return ""


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(200).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return f" ({words})" if words else ""
