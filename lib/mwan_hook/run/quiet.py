"""The short way of a run in peace: nothing is judged where all is as it was when the whole program found no change.

:mod:`mwan_hook.run.remember` keeps, after a run that found nothing to do, what the look read: the kernel's replies, the
files' stamps, the stored state without its counters, and the questions of a round.  Where all of that is the same now
and every question is answered well, the whole program would only count; so this module counts, saves and is done.  In
any doubt it answers no, having changed nothing, and the whole program runs as if it had not been.

It imports neither the model nor `os`: that is what it saves.
"""

from __future__ import annotations

import fcntl
import posix
import time

from mwan_hook import __version__, plainjson
from mwan_hook.kernel import frames, netlink
from mwan_hook.run import quick_round
from mwan_hook.run.alike import LARGEST, Doubt, compare_files, compare_generic, compare_kernel, content, stamp, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal  # the C half of `signal`; the other half brings enum

FORMAT = 4
RUN = "run/mwan-hook"
MEMO, STATE = RUN + "/quiet", RUN + "/state.json"
EVENTS = RUN + "/events"
PROBE_LOCK, STATE_LOCK = RUN + "/probe.lock", STATE + ".lock"
STOPS = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
HOLDS = 60.0  # seconds after which a run that holds a lock is taken for hung
# What a good round moves in the memory of a family, and a run in the state.
COUNTERS = {"good", "portal_at", "probed_at", "next_probe_at", "latency_ms", "srtt_ms", "probe_bytes", "targets"}
COUNTERS |= {"rounds", "reason"}
TIMES = ("saved_at", "saved_wall", "run_seconds")


def same(root: str, now: bool) -> bool | None:
    """Whether this run is over: all is as it was, counted and saved.  None: what is remembered is of no use.

    ``now``: everything is due, as with ``check --now``.
    """
    locks = Locks()
    try:
        _Try(root, now, locks).check()
    except Doubt as doubt:
        return False if doubt.stands else None
    except frames.InterruptedDumpError:
        return False
    except Exception:  # noqa: BLE001 - the whole program will meet it, and say what it is
        return None
    finally:
        locks.release()
    return True


class _Try:
    """One try."""

    def __init__(self, root: str, now: bool, locks: Locks) -> None:
        self.root, self.now, self.locks = root, now, locks
        self.begun = _clock()

    def check(self) -> None:
        """Raise unless all is the same, every answer was good, and that is saved."""
        memo, replies = read(under(self.root, MEMO))
        self._is_ours(memo)
        self.locks.take(under(self.root, PROBE_LOCK))
        ears = netlink.connect(netlink.EVERYTHING)
        stamped = stamp(under(self.root, STATE))
        state = plainjson.loads(content(under(self.root, STATE)))
        due = due_rounds(memo, state, self.begun, self.now)
        at = quick_round.last(self.root, state) if memo["record"] else None
        compare_files(memo)
        compare_kernel(memo["dumps"], replies, self._known_same(memo))
        if memo["generic"]:
            compare_generic(*memo["generic"])
        asked = _clock()
        answers = quick_round.ask(due, state)
        self.locks.take(under(self.root, STATE_LOCK))
        if netlink.any_change((ears,)) or stamp(under(self.root, STATE)) != stamped or not no_event(self.root):
            raise Doubt
        for one, results in zip(due, answers, strict=True):
            memory = state["uplinks"][one["uplink"]][one["family"]]
            memory.update(quick_round.after_good(memory, one, results, asked))
        if due:
            self._save(state)
            if at:
                rounds = [quick_round.round_of(one, told, asked) for one, told in zip(due, answers, strict=True)]
                quick_round.add(self.root, rounds, {**at, "wall": state["saved_wall"], "now": state["saved_at"]})

    def _is_ours(self, memo: dict[str, Any]) -> None:
        """Raise unless it was kept by this program, as this user, in this boot, a short while ago."""
        if memo["program"] != program(self.root) or not memo["made"] <= self.begun < memo["until"]:
            raise Doubt
        textfile = memo["textfile"]
        if textfile and not 0 <= time.time() - posix.stat(textfile[0]).st_mtime < textfile[1]:
            raise Doubt(stands=True)

    def _known_same(self, memo: dict[str, Any]) -> frozenset[int]:
        """Requests whose reply needs no look: sockets that hear of every change have heard of none."""
        if memo["listening"]:
            from mwan_hook.run import listening

            if listening.nothing_new(self.root, memo["listening"]):
                return listening.REQUESTS
        if not memo["comparable"]:
            raise Doubt(stands=True)
        return frozenset()

    def _save(self, state: dict[str, Any]) -> None:
        now = _clock()
        state.update(saved_at=now, saved_wall=round(time.time(), 3), run_seconds=round(now - self.begun, 6))
        replace(under(self.root, STATE), plainjson.dumps(state).encode() + b"\n")


def _clock() -> float:
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 6)


# ---------------------------------------------------------------- what has to be as it was


def program(root: str) -> list[object]:
    """Identity of the program that keeps and believes a memo: version, files below ``root``, user, boot."""
    told = posix.environ.get(b"MWAN_HOOK_BOOT_ID", b"")
    boot = told if len(told) == 32 else content("/proc/sys/kernel/random/boot_id")
    return [FORMAT, __version__, root, posix.geteuid(), boot.decode("ascii").strip()]


def at_rest(state: dict[str, Any]) -> dict[str, Any]:
    """The stored state without what a good round moves."""
    uplinks = state.get("uplinks", {}).items()
    rest = {name: {key: _rest(value) for key, value in one.items()} for name, one in uplinks}
    return {**{key: value for key, value in state.items() if key not in TIMES}, "uplinks": rest}


def _rest(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if key not in COUNTERS}


def due_rounds(memo: dict[str, Any], state: dict[str, Any], now: float, forced: bool) -> list[dict[str, Any]]:
    """The rounds that a run would make.  Raises Doubt where the state says anything else, or a portal check is due."""
    if at_rest(state) != memo["state"]:
        raise Doubt
    due = []
    for one in memo["rounds"]:
        memory = state["uplinks"][one["uplink"]][one["family"]]
        since = now - memory["probed_at"]
        if since < 0 or state["saved_at"] > now:
            raise Doubt
        if "next_probe_at" not in memory:  # an event wants it asked at once
            raise Doubt(stands=True)
        if one["portal_every"] and not 0 <= now - memory["portal_at"] < one["portal_every"]:
            raise Doubt(stands=True)
        if forced or since >= one["every"] - min(1.0, one["every"] / 10):
            due.append(one)
    return due


def no_event(root: str) -> bool:
    """Whether no event is spooled."""
    try:
        return not posix.listdir(under(root, EVENTS))
    except FileNotFoundError:
        return True


# ---------------------------------------------------------------- files and locks


def read(path: str) -> tuple[dict[str, Any], bytes]:
    """A memo and the replies behind it.  Raises Doubt where another user could have written it."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        found = posix.fstat(descriptor)
        if found.st_mode & 0o170022 != 0o100000 or found.st_uid != posix.geteuid() or found.st_size > 2 * LARGEST:
            raise Doubt
        text = posix.read(descriptor, 2 * LARGEST)
    finally:
        posix.close(descriptor)
    memo, _, replies = text.partition(b"\n")
    return plainjson.loads(memo), replies


def replace(path: str, text: bytes) -> None:
    """Put a text in the place of a file of ours, at one stroke.  The caller holds its lock."""
    new = f"{path}.new"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC | posix.O_NOFOLLOW
    try:
        descriptor = posix.open(new, flags, 0o644)
    except FileExistsError:
        posix.unlink(new)
        descriptor = posix.open(new, flags, 0o644)
    try:
        posix.fchmod(descriptor, 0o644)
        if posix.write(descriptor, text) != len(text):
            raise Doubt
    finally:
        posix.close(descriptor)
    posix.rename(new, path)


class Locks:
    """Locks that are had at once or not at all; :mod:`mwan_hook.store.lock` makes, mends and waits for them."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._before: Any = None

    def take(self, path: str) -> None:
        """Hold one.  Raises Doubt if it is held, or is not as it should be."""
        if self._before is None:  # as long as a lock is held, a terminal stops no run
            self._before = _signal.pthread_sigmask(_signal.SIG_BLOCK, STOPS)
        flags = posix.O_RDWR | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
        descriptor = posix.open(path, flags)
        self._held.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Doubt(stands=True) from None
        mine, there = posix.fstat(descriptor), posix.stat(path)
        if mine[:3] != there[:3] or mine.st_mode != 0o100600 or mine.st_uid != posix.geteuid():
            raise Doubt(stands=True)
        posix.pwrite(descriptor, f"{posix.getpid():<10d} {_clock() + HOLDS:<16.3f}\n".encode(), 0)

    def release(self) -> None:
        """Let go what is held."""
        while self._held:
            posix.close(self._held.pop())
        if self._before is not None:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._before)
            self._before = None
