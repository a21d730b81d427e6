"""A program in a process group of its own, where no systemd looks after it: it holds a lock as long as it lives.

The lock goes with every process that it starts and that keeps its descriptors, so a later run knows that it lives; the
process group is what is ended.  A shell before it writes down that it began, and with which status it ended.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time

from mwan_hook.light import NamedTuple
from mwan_hook.model import MwanError
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TERMINATED, POLL = 2.0, 0.02  # seconds that a group gets to end by itself, and between two looks
_SHELL = 'key=$1 place=$2; shift 2; echo "$key $$" >"$place.began"; "$@"; echo "$key $?" >"$place.ended"'
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


class Note(NamedTuple):
    """What the shell has written: of which request, and a process id or an exit status."""

    key: str = ""
    number: int = 0


def start(root: str, job: str, argv: Sequence[str], variables: Mapping[str, str], key: str) -> None:
    """Start it, unless this request was served before.  Raises MwanError."""
    place = _place(root, job)
    files.make_directory(os.path.dirname(place))
    try:
        lock = _taken(f"{place}.lock")
        try:
            if _note(f"{place}.began").key == key:
                return
            files.discard(f"{place}.ended")
            _spawn(place, argv, variables, key, lock)
        finally:
            os.close(lock)
    except OSError as error:
        raise MwanError(f"cannot start {argv[0]}: {files.why(error)}") from error


def alive(root: str, job: str) -> bool:
    """Whether anything of it lives."""
    try:
        lock = os.open(f"{_place(root, job)}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(lock)
    return False


def began(root: str, job: str) -> Note:
    """The request that it was started for, and the leader of its group."""
    return _note(f"{_place(root, job)}.began")


def ended(root: str, job: str) -> Note:
    """The request that it was started for, and its exit status; no key as long as it has not ended by itself."""
    return _note(f"{_place(root, job)}.ended")


def end(root: str, job: str) -> None:
    """End the whole group: at first with a word, then without."""
    if not alive(root, job):
        return
    leader = began(root, job).number
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            if leader > 1:
                os.killpg(leader, number)
        except OSError:
            return
        until = time.monotonic() + TERMINATED
        while time.monotonic() < until:
            if not alive(root, job):
                return
            time.sleep(POLL)


def said(root: str, job: str) -> str:
    """The last line of its output."""
    try:
        with open(f"{_place(root, job)}.log", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 500))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _place(root: str, job: str) -> str:
    return files.under(root, f"{files.DIALS}/{job}")


def _taken(path: str) -> int:
    """The lock; one that strays of an earlier job hold is left to them, and another takes its place."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        os.unlink(path)
        descriptor = os.open(path, _FLAGS, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _spawn(place: str, argv: Sequence[str], variables: Mapping[str, str], key: str, lock: int) -> None:
    log = f"{place}.log"
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, _WRITE, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    words = ["/bin/sh", "-c", _SHELL, "sh", key, place, *argv]
    os.set_inheritable(lock, True)
    os.posix_spawn("/bin/sh", words, {**os.environ, **variables}, file_actions=actions, setsid=True)


def _note(path: str) -> Note:
    try:
        with open(path, "rb") as file:
            key, _, number = file.read(100).decode("ascii", "replace").strip().partition(" ")
    except OSError:
        return Note()
    return Note(key, int(number)) if number.isdigit() else Note()
