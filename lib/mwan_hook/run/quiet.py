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
import select
import time
from _socket import (
    IPPROTO_TCP,
    SO_ERROR,
    SO_LINGER,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)
from errno import EINPROGRESS
from struct import Struct

from mwan_hook import __version__, plainjson
from mwan_hook.kernel import frames, netlink
from mwan_hook.probes import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeAlias

    Result: TypeAlias = tuple[str, Any, int]  # a target's name, its round trip in ms, bytes both ways
else:
    import _signal  # the C half of `signal`; the other half brings enum

FORMAT = 1
RUN = "run/mwan-hook"
MEMO, STATE = RUN + "/quiet", RUN + "/state.json"
EVENTS = RUN + "/events"
PROBE_LOCK, STATE_LOCK = RUN + "/probe.lock", STATE + ".lock"
LARGEST = 1 << 19  # bytes of what the kernel replied: what takes longer to compare is for the whole program
STOPS = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
HOLDS = 60.0  # seconds after which a run that holds a lock is taken for hung
PATIENCE, ROUND_TRIPS = 0.15, 3  # seconds, and smoothed round trips: the whole program waits longer for every answer
FULL = 4
ALPHA = 1 / 8  # of the smoothed round trip, RFC 6298
# What a good round moves in the memory of a family, and a run in the state.
COUNTERS = {"good", "portal_at", "probed_at", "next_probe_at", "latency_ms", "srtt_ms", "probe_bytes", "targets"}
COUNTERS |= {"rounds", "reason"}
TIMES = ("saved_at", "saved_wall", "run_seconds")

_LINK, _ADDRESS, _ROUTE, _RULE = 16, 20, 24, 32  # RTM_NEW*
_LINK_READ = frozenset((1, 3, 4, 16, 52))  # IFLA_ADDRESS, IFNAME, MTU, OPERSTATE, PROP_LIST
_CACHEINFO = {_ADDRESS: 6, _ROUTE: 12}  # IFA_CACHEINFO, RTA_CACHEINFO: ages and lifetimes
_BODY = {_LINK: 32, _ADDRESS: 24, _ROUTE: 28}  # where attributes begin
_ATTRIBUTE = Struct("=HH")


class Doubt(Exception):  # noqa: N818 - no error: the whole program knows more
    """A reason for the whole program.  ``stands``: what is remembered may hold, for a later run."""

    def __init__(self, stands: bool = False) -> None:
        self.stands = stands


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
        compare_files(memo)
        compare_kernel(memo["dumps"], replies)
        asked = _clock()
        answers = ask(due, state)
        self.locks.take(under(self.root, STATE_LOCK))
        if netlink.any_change((ears,)) or stamp(under(self.root, STATE)) != stamped or not no_event(self.root):
            raise Doubt
        for one, results in zip(due, answers, strict=True):
            memory = state["uplinks"][one["uplink"]][one["family"]]
            memory.update(after_good(memory, one, results, asked))
        if due:
            self._save(state)

    def _is_ours(self, memo: dict[str, Any]) -> None:
        """Raise unless it was kept by this program, as this user, in this boot, a short while ago."""
        if memo["program"] != program(self.root) or not memo["made"] <= self.begun < memo["until"]:
            raise Doubt
        textfile = memo["textfile"]
        if textfile and not 0 <= time.time() - posix.stat(textfile[0]).st_mtime < textfile[1]:
            raise Doubt(stands=True)

    def _save(self, state: dict[str, Any]) -> None:
        now = _clock()
        state.update(saved_at=now, saved_wall=time.time(), run_seconds=round(now - self.begun, 6))
        replace(under(self.root, STATE), plainjson.dumps(state).encode() + b"\n")


def _clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# ---------------------------------------------------------------- what is compared


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


def compare_files(memo: dict[str, Any]) -> None:
    """Raise Doubt unless every file is what it was, and every setting of the kernel has its value."""
    for path, known in memo["files"].items():
        if stamp(path) != known:
            raise Doubt
    for path, value in memo["values"].items():
        if value_of(path) != value:
            raise Doubt


def stamp(path: str) -> list[int] | None:
    """What changes when a file or directory does; None when it is not there (or not for us to see)."""
    try:
        found = posix.stat(path)
    except OSError:
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def value_of(path: str) -> str | None:
    """What a setting of the kernel says, "" for a directory; None where there is no such thing."""
    try:
        return content(path).decode("ascii")
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        return ""


def no_event(root: str) -> bool:
    """Whether no event is spooled."""
    try:
        return not posix.listdir(under(root, EVENTS))
    except FileNotFoundError:
        return True


def compare_kernel(dumps: list[list[Any]], replies: bytes) -> None:
    """Raise Doubt unless the kernel replies to every request what it replied then."""
    sock, start = netlink.connect(), 0
    for kind, body, length, whole in dumps:
        known = replies[start : start + length]
        if whole:
            found = plainly(netlink.dump(sock, kind, bytes.fromhex(body)))
        else:
            found = _beginning(kind, bytes.fromhex(body), length)
        if found != known and still(found) != still(known):
            raise Doubt
        start += length


def _beginning(kind: int, body: bytes, length: int) -> bytes:
    """The part of a reply that was read then: its socket goes with the rest."""
    sock, found = netlink.connect(), b""
    for buffer in netlink.dump(sock, kind, body):
        found += plainly((buffer,))
        if len(found) >= length:
            break
    sock.close()
    return found[:length]


def plainly(buffers: Iterable[bytes]) -> bytes:
    """The messages of a reply without what each has of its request: sequence number and port."""
    return b"".join([buffer.replace(buffer[8:16], bytes(8)) for buffer in buffers])


def still(reply: bytes) -> list[bytes]:
    """Messages without what changes by itself.  Raises InterruptedDumpError."""
    return [lasting(message) for message in frames.messages(reply)]


def lasting(message: bytes) -> bytes:
    """A message without its header's numbers, and without what changes by itself: lifetimes, ages, timers of bridges.

    Of a link only what the program reads.
    """
    kind, family = message[4], message[16]
    if kind == _LINK:
        return message[16:32] + b"".join(part for one, part in _parts(message, 32) if one in _LINK_READ)
    if kind == _ADDRESS or (kind == _ROUTE and family == plain.AF_INET6):
        without, start = _CACHEINFO[kind], _BODY[kind]
        return message[16:start] + b"".join([part for one, part in _parts(message, start) if one != without])
    if kind in (_ROUTE, _RULE):
        return message[16:]
    raise Doubt


def _parts(message: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Attributes as (type, all of it)."""
    end = len(message)
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(message, start)
        if length < 4:
            raise Doubt
        following = start + length + 3 & ~3
        yield kind & 0x3FFF, message[start:following]
        start = following


# ---------------------------------------------------------------- what is asked


class Asked:
    """One target under way; ``rtt_ms`` is None until it has answered well."""

    def __init__(self, target: dict[str, Any], one: dict[str, Any]) -> None:
        self.name: str = target["name"]
        self.af: int = one["af"]
        self.rtt_ms: float | None = None
        self.wire_bytes = 2 * (plain.HEADER[self.af] + plain.LENGTH)  # of an echo, both ways, from the IP header up
        self.echo = target["method"] == "icmp"
        if self.echo:
            self.sock, self.events, self.token = self._echo(target, one), select.POLLIN, posix.urandom(12)
            self.sent = time.monotonic()
            self.sock.send(plain.echo_request(self.af, self.token))
        else:
            self.sock, self.events = self._connection(one), select.POLLOUT
            self.sent = time.monotonic()
            number = self.sock.connect_ex(plain.endpoint(self.af, target["host"], target["port"], one["index"]))
            if number not in (0, EINPROGRESS):
                raise Doubt(stands=True)

    def _echo(self, target: dict[str, Any], one: dict[str, Any]) -> socket:
        sock = socket(self.af, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, plain.ICMP[self.af])
        plain.tie(sock, self.af, one["source"], one["index"])
        plain.hear_only(sock, self.af, plain.REPLY[self.af])
        sock.setsockopt(SOL_SOCKET, plain.SO_TIMESTAMPNS, 1)
        sock.connect(plain.endpoint(self.af, target["host"], 0, one["index"]))
        return sock

    def _connection(self, one: dict[str, Any]) -> socket:
        sock = socket(self.af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)
        plain.tie(sock, self.af, one["source"], one["index"])
        sock.setsockopt(SOL_SOCKET, SO_LINGER, plain.RESET_ON_CLOSE)
        return sock

    def read(self) -> bool:
        """Whether it has answered.  Raises Doubt where the answer is not a good one."""
        if not self.echo:
            took = (time.monotonic() - self.sent) * 1000
            if self.sock.getsockopt(SOL_SOCKET, SO_ERROR):
                raise Doubt(stands=True)
            self.wire_bytes = plain.tcp_bytes(self.sock, self.af) + plain.HEADER[self.af] + plain.RESET
            self.rtt_ms = plain.round_trip_ms(self.sock) or took
        elif came := plain.echoed(self.sock, self.af, self.token):
            self.rtt_ms = max(0.0, came - self.sent) * 1000
        return self.rtt_ms is not None


def chosen(one: dict[str, Any], memory: dict[str, Any]) -> list[dict[str, Any]]:
    """The targets of a round in peace: as many as must answer, others each time; all where that spares nothing."""
    targets: list[dict[str, Any]] = one["targets"]
    if not one["spares"]:
        return targets
    start = memory["good"] % len(targets)
    return (targets[start:] + targets[:start])[: one["needed"]]


def ask(due: list[dict[str, Any]], state: dict[str, Any]) -> list[list[Result]]:
    """Ask every target of the rounds at once; Doubt unless all answer well, and soon."""
    asked, longest = [], 0.0
    for one in due:
        memory = state["uplinks"][one["uplink"]][one["family"]]
        asked.append([Asked(target, one) for target in chosen(one, memory)])
        longest = max(longest, min(one["timeout"], max(PATIENCE, ROUND_TRIPS * memory["srtt_ms"] / 1000)))
    _hear([question for questions in asked for question in questions], time.monotonic() + longest)
    return [[(one.name, one.rtt_ms, one.wire_bytes) for one in questions] for questions in asked]


def _hear(questions: list[Asked], until: float) -> None:
    poll = select.poll()
    waiting = {question.sock.fileno(): question for question in questions}
    for fd, question in waiting.items():
        poll.register(fd, question.events)
    while waiting:
        left = until - time.monotonic()
        ready = poll.poll(left * 1000) if left > 0 else []
        if not ready:
            raise Doubt(stands=True)
        for fd, _ in ready:
            if waiting[fd].read():
                poll.unregister(fd)
                del waiting[fd]


# ---------------------------------------------------------------- what is counted


def after_good(memory: dict[str, Any], one: dict[str, Any], results: list[Result], begun: float) -> dict[str, Any]:
    """What changes in the memory of a family after a good round, as :mod:`mwan_hook.verdict.decide` has it.

    Raises Doubt if an answer was late for a hurried one.
    """
    times = sorted(rtt_ms for _, rtt_ms, _ in results)
    latency, srtt = times[(len(times) - 1) // 2], memory["srtt_ms"]
    if times[-1] > 1000 * min(one["timeout"], max(0.3, 4 * srtt / 1000)):
        raise Doubt(stands=True)
    said = [{"target": name, "connectivity": FULL, "rtt_ms": rtt_ms} for name, rtt_ms, _ in results]
    known = memory["targets"] if one["spares"] else ()
    targets = {target["target"]: target for target in (*known, *said)}
    return {
        "good": memory["good"] + 1,
        "probed_at": begun,
        "next_probe_at": begun + one["every"],
        "latency_ms": latency,
        "srtt_ms": srtt + ALPHA * (latency - srtt),
        "reason": f"{len(results)} of {len(results)} targets answered",
        "probe_bytes": memory["probe_bytes"] + sum(spent for _, _, spent in results),
        "targets": list(targets.values()),
        "rounds": memory["rounds"] + 1,
    }


# ---------------------------------------------------------------- files and locks


def under(root: str, path: str) -> str:
    """``path`` (without leading slash) below ``--root``."""
    return f"{root.rstrip('/')}/{path}"


def content(path: str) -> bytes:
    """The bytes of a file that ends."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        parts = []
        while part := posix.read(descriptor, LARGEST):
            parts.append(part)
        return b"".join(parts)
    finally:
        posix.close(descriptor)


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
