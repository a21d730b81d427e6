"""The process that holds a lock which this run waits for, and what is done about it.

A run of ours that was stopped (^Z, a debugger that left) is continued; one that outlives the time that it wrote into
the lock is ended.  A process that is no run of ours is named and left alone.
"""

from __future__ import annotations

import os
import signal
import time

from mwan_hook.light import NamedTuple
from mwan_hook.say import shown

PROGRAM = "mwan-hook"
MODULE = "mwan_hook"
STOPPED = "T"  # state in proc(5); a traced one (t) obeys its debugger alone
COMMAND_SHOWN = 200  # bytes of a command line


class Handled(NamedTuple):
    """What was done about a holder, in words (empty: nothing), and whether it was ended."""

    words: str = ""
    ended: bool = False


class Holder(NamedTuple):
    """``deadline``: CLOCK_BOOTTIME seconds, None where the lock does not say it of this process.

    ``owner``: the user of the lock's directory, whom the services run as.
    """

    pid: int
    uid: int
    state: str
    command: tuple[str, ...]
    deadline: float | None
    owner: int

    @property
    def ours(self) -> bool:
        """True for a run of this program by this user, or by the services' one where this is root."""
        users = {0, self.owner} if os.geteuid() == 0 else {os.geteuid()}
        names = {os.path.basename(word) for word in self.command[:5]}
        return self.uid in users and bool(names & {PROGRAM, MODULE})

    def __str__(self) -> str:
        command = shown(" ".join(self.command)[:COMMAND_SHOWN])
        return f"process {self.pid}{f' ({command})' if command else ''} of user {_user(self.uid)}"


def described(path: str) -> str:
    """The holder of the lock ``path`` in words; empty if it cannot be told."""
    found = find(path)
    return str(found) if found else ""


def attend(path: str) -> Handled:
    """Continue or end a run of ours that holds the lock for too long; name a stranger."""
    found = find(path)
    if found is None:
        return Handled()
    if not found.ours:
        return Handled(f"{path} is held by {found}, which is no run of {PROGRAM}: end it")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    if found.deadline is not None and now > found.deadline:
        ended = _signalled(path, found, signal.SIGKILL)
        return Handled(f"{found} held {path} past every deadline: ended", ended) if ended else Handled()
    if found.state == STOPPED and _signalled(path, found, signal.SIGCONT):
        return Handled(f"{found} held {path} while it was stopped: continued")
    return Handled()


def find(path: str) -> Holder | None:
    """The process that holds the flock of a file, by /proc/locks."""
    try:
        pid = _pid(path)
        if not pid:
            return None
        place = f"/proc/{pid}"
        with open(f"{place}/cmdline", "rb") as file:
            words = file.read(4096).decode("utf-8", "replace").rstrip("\0").split("\0")
        with open(f"{place}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0].decode("ascii")
        owner = os.stat(os.path.dirname(path)).st_uid
        return Holder(pid, os.stat(place).st_uid, state, tuple(words), _deadline(path, pid), owner)
    except (OSError, ValueError, IndexError):
        return None


def _pid(path: str) -> int:
    """0 if there is none, or it is in another pid namespace."""
    file = os.stat(path)
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    with open("/proc/locks", encoding="ascii") as locks:
        for line in locks:
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
                return max(0, int(words[4]))
    return 0


def _deadline(path: str, pid: int) -> float | None:
    """What the holder wrote; a line of an earlier one says nothing."""
    try:
        with open(path, encoding="ascii") as file:
            words = file.read(64).split()
        return float(words[1]) if len(words) == 2 and int(words[0]) == pid else None
    except (OSError, ValueError):
        return None


def _signalled(path: str, holder: Holder, number: signal.Signals) -> bool:
    """Signal the process that still holds the lock; its number may be another process's by now."""
    try:
        descriptor = os.pidfd_open(holder.pid)
    except OSError:
        return False
    try:
        again = find(path)
        if again is None or (again.pid, again.command) != (holder.pid, holder.command):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _user(uid: int) -> str:
    from pwd import getpwuid

    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
