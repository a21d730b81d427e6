"""The round of a run in peace: every question is asked at once and has to be answered well; then it is counted.

And written down, as :mod:`mwan_hook.run.record` has it.  Of :mod:`mwan_hook.run.quiet`, which see.
"""

from __future__ import annotations

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

from mwan_hook import plainjson
from mwan_hook.probes import plain
from mwan_hook.run.alike import Doubt, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Result: TypeAlias = tuple[str, Any, int]  # a target's name, its round trip in ms, bytes both ways

PATIENCE, ROUND_TRIPS = 0.15, 3  # seconds, and smoothed round trips: the whole program waits longer for every answer
FULL = 4
ALPHA = 1 / 8  # of the smoothed round trip, RFC 6298
RECORD = "run/mwan-hook/record"
TAIL = 320  # bytes: the last field of a line there is no longer


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
    return [[(one.name, round(one.rtt_ms or 0.0, 3), one.wire_bytes) for one in questions] for questions in asked]


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


def last(root: str, state: dict[str, Any]) -> dict[str, Any]:
    """What the last run on record builds on.  Raises Doubt unless that is the one that has stored this state."""
    descriptor = posix.open(under(root, RECORD), posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK)
    try:
        size = posix.fstat(descriptor).st_size
        tail = posix.pread(descriptor, TAIL, max(0, size - TAIL))
    finally:
        posix.close(descriptor)
    at = plainjson.last_object(tail, b"at")
    if at.get("v") != 1 or (at["boot"], at["now"]) != (state["boot_id"], state["saved_at"]):
        raise Doubt
    return at


def round_of(one: dict[str, Any], results: list[Any], begun: float) -> dict[str, Any]:
    """A RoundRecord of good answers."""
    found = {"uplink": one["uplink"], "family": one["family"], "begun": begun, "answers": results}
    return {**found, "partial": True} if one["spares"] else found


def add(root: str, rounds: list[dict[str, Any]], at: dict[str, Any]) -> None:
    """Add a run to the record, after its state was stored; without room for it the run is none the worse."""
    line = plainjson.dumps({"v": 1, "k": "run", "short": True, "rounds": rounds, "at": at}).encode() + b"\n"
    try:
        flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
        descriptor = posix.open(under(root, RECORD), flags)
        try:
            posix.write(descriptor, line)
        finally:
            posix.close(descriptor)
    except OSError:
        return
