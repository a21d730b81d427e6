"""The locks.  All are flock(2), which the kernel drops with the process, however it ends.

The locks of the runs (state, probing, textfile, what dials) are taken by fcntl alone, because importing filelock costs
more than the whole common run; those of who tells, repairs and keeps books are filelock's
(:mod:`mwan_hook.store.filelocked`).  Lock files are 0600: flock(2) needs no more than a descriptor for
reading, so every user who may read the file could hold the lock.  One that root makes belongs to the owner of its
directory, whom the services run as.
"""

from __future__ import annotations

import errno
import fcntl
import time

from mwan_hook import plainos as os
from mwan_hook.model import Busy, MwanError
from mwan_hook.store.files import PROBE_LOCK, STATE_LOCK, give, make_directory, under, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Self
else:
    import _signal  # the C half of `signal`; the other half brings enum

WAIT = 10.0  # seconds that a run waits for the state lock
POLL = 0.01  # seconds between two tries, at least; flock(2) has no time-out of its own
LONGEST = 60.0  # seconds after which a run that holds a lock is taken for hung
PATIENCE = 0.3  # seconds of waiting before the holder is looked at
AGAIN = 1.0  # seconds between two looks at the holder
MODE = 0o600
LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
STOPS = frozenset((_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU))  # what a terminal stops a job with


def look(root: str, wait: float = WAIT) -> Flock:
    """The lock of the state and the kernel.  ``with`` raises Busy after ``wait`` seconds."""
    return Flock(under(root, STATE_LOCK), wait, LONGEST)


def prober(root: str, wait: float, longest: float) -> Flock:
    """The lock that keeps probers single, for ``longest`` seconds of probing at most."""
    return Flock(under(root, PROBE_LOCK), wait, longest + LONGEST)


class Held:
    """A lock for ``with``, which raises Busy after ``wait`` seconds."""

    path: str
    wait: float

    def acquire(self) -> bool:
        """True once it is held; False after the time that this lock waits.  Raises MwanError."""
        raise NotImplementedError

    def release(self) -> None:
        """Let it go; nothing happens if it is not held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if not self.acquire():
            raise busy(self.path, self.wait)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Flock(Held):
    """flock(2) on a file that may be unlinked and made anew by others while it is waited for.

    The file says which process holds it, and until when at the latest.  While it is held the terminal cannot stop this
    process; a holder that was stopped all the same is continued by the run that waits, and one that outlives
    ``longest`` seconds is ended (:mod:`mwan_hook.store.holder`).  ``waited`` tells whether another one held it at
    first, ``messages`` what was done about that one.
    """

    def __init__(self, path: str, wait: float, longest: float) -> None:
        self.path = path
        self.wait = wait
        self.longest = longest
        self.waited = False
        self.messages: list[str] = []
        self._descriptor = -1

    def acquire(self) -> bool:
        """True once it is held; False after the time that this lock waits.  Raises MwanError."""
        make_directory(os.path.dirname(self.path))
        began = time.monotonic()
        until, look_at = began + self.wait, began + min(PATIENCE, self.wait)
        while not self._try():
            self.waited = True
            now = time.monotonic()
            if now >= look_at:
                look_at = now + AGAIN
                until = max(until, now + AGAIN) if self._helped(now - began > AGAIN) else until
            if now >= until:
                return False
            time.sleep(min(until - now, pause()))
        return True

    def release(self) -> None:
        """Let it go; nothing happens if it is not held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)  # which unlocks: no child has inherited it
            self._descriptor = -1
            _Stops.allow()

    def _try(self) -> bool:
        _Stops.forbid()
        try:
            self._descriptor = _locked(self.path)
        finally:
            if self._descriptor < 0:
                _Stops.allow()
        if self._descriptor < 0:
            return False
        deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + self.longest
        _write_down(self._descriptor, f"{os.getpid():<10d} {deadline:<16.3f}\n".encode())
        return True

    def _helped(self, long: bool) -> bool:
        """Whether the holder was ended: the lock is free in a moment.  Only root can do that to a run of root's."""
        from mwan_hook.store import chores, holder

        done = holder.attend(self.path)
        if long and not done.words:
            chores.ask_for(self.path, chores.HOLDERS)
        if done.words and done.words not in self.messages:
            self.messages.append(done.words)
        return done.ended


class _Stops:
    """The terminal's stop signals wait as long as any lock is held; they are delivered after the last release."""

    _depth = 0
    _before: frozenset[int] = frozenset()

    @classmethod
    def forbid(cls) -> None:
        """One lock more."""
        if not cls._depth:
            cls._before = frozenset(_signal.pthread_sigmask(_signal.SIG_BLOCK, STOPS))
        cls._depth += 1

    @classmethod
    def allow(cls) -> None:
        """One lock less."""
        cls._depth -= 1
        if not cls._depth:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, STOPS - cls._before)


def _locked(path: str) -> int:
    """A descriptor of the file with its lock; -1 if another one has it.  Raises MwanError."""
    try:
        descriptor = os.open(path, LOCK_FLAGS, MODE)
    except PermissionError as error:
        from mwan_hook.store import chores

        if chores.ask_for(path, chores.OWNERS):
            return -1  # in a moment it is ours
        raise failed(path, error) from error
    except OSError as error:
        raise failed(path, error) from error
    held = -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        if _is_named(status, path):
            if status.st_mode & 0o7777 != MODE:
                os.fchmod(descriptor, MODE)
            if not status.st_uid:
                give(descriptor, path)
            held = descriptor
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise failed(path, error) from error
    finally:
        if held < 0:
            os.close(descriptor)
    return held


def _write_down(descriptor: int, line: bytes) -> None:
    """Lines have one length, so that none leaves the end of an older one; a full disk is no reason not to run."""
    try:
        os.pwrite(descriptor, line, 0)
    except OSError:
        return


def pause() -> float:
    """Seconds between POLL and twice that, so that many waiters do not try in step."""
    return POLL + POLL * os.urandom(1)[0] / 255


def is_at(descriptor: int, path: str) -> bool:
    """False if the file was unlinked, or replaced, between open and flock: such a lock guards nothing."""
    return _is_named(os.fstat(descriptor), path)


def _is_named(status: os.stat_result, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(status, there)


def failed(path: str, error: OSError) -> MwanError:
    return MwanError(f"cannot lock {path}: {why(error)}")


def busy(path: str, wait: float) -> Busy:
    from mwan_hook.store import holder

    return Busy(f"{path} is held by {holder.described(path) or 'another run'}; gave up after {wait:g} s")
