"""Many echoes to measure by: how many are lost, and how long the others take.

They are sent within a second or so, to the targets in turn, and then waited for: as a burst waits (four times the
longest round trip among them), but the whole time-out where the last ones are all unanswered, as behind a queue that
fills.  What has arrived is read before any is given up, so a starved processor is not paid by the line.
"""

from __future__ import annotations

import select
import time

from mwan_hook import plainos as os
from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.model import Measured
from mwan_hook.probes import plain
from mwan_hook.probes.bound import IP_HEADER, NEVER, endpoint
from mwan_hook.probes.icmp import raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import BoundSocket

WITHIN = 1.0  # seconds in which a burst is sent
APART = 0.05  # seconds between two echoes, at most
SHORTEST, ROUND_TRIPS = 0.3, 4  # as in a burst of rounds
LAST = 3  # echoes of which one must be answered, or the rest may be late, and not lost
TOKEN = 12  # bytes


class Series(NamedTuple):
    """Echoes to be sent by one uplink and family, to the targets of its jobs in turn."""

    jobs: tuple[Job, ...]
    echoes: int
    burst: bool


def run(series: Sequence[Series]) -> list[Measured]:
    """What came of each, all of them at once.  Raises MwanError without CAP_NET_RAW."""
    poll = select.poll()
    lines = [_Line(one) for one in series]
    try:
        by_socket = {sock.fileno(): (line, sock) for line in lines for sock in line.sockets}
        for number in by_socket:
            poll.register(number, select.POLLIN)
        while True:
            now = time.monotonic()
            wake = min([line.next(now) for line in lines], default=now)
            if wake == NEVER:
                break
            for number, _ in poll.poll(max(0.0, wake - now) * 1000 + 1 if wake > now else 0):
                line, sock = by_socket[number]
                line.read(sock)
    finally:
        for line in lines:
            line.close()
    return [line.measured() for line in lines]


class _Line:
    """One series under way."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._timeout = max(job.timeout for job in series.jobs)
        self._family = series.jobs[0].family
        self._sent: dict[bytes, float] = {}  # token: when
        self._target: dict[bytes, int] = {}  # token: which socket
        self._rtts: dict[bytes, float] = {}
        self._gap = min(APART, WITHIN / series.echoes)
        self._begun = time.monotonic()
        self._over = False
        self.sockets: list[BoundSocket] = []
        try:
            for job in series.jobs:
                self.sockets.append(raw(job, plain.REPLY[job.family.af]))
                self.sockets[-1].connect(endpoint(job, job.target.host))
        except OSError:  # its address or device has just gone: the facts will say so
            self._over = True

    def next(self, now: float) -> float:
        """Send what is due; when to come back, or NEVER when all is over."""
        while not self._over and len(self._sent) < self._series.echoes:
            due = self._begun + len(self._sent) * self._gap
            if due > now:
                return due
            self._send()
        if self._over or len(self._rtts) == len(self._sent):
            return NEVER
        until = self._deadline()
        if until <= now:
            for sock in self.sockets:
                self.read(sock)
            return NEVER if self._deadline() <= now or len(self._rtts) == len(self._sent) else self._deadline()
        return until

    def _send(self) -> None:
        token, number = os.urandom(TOKEN), len(self._sent) % len(self.sockets)
        self._target[token] = number
        self._sent[token] = time.monotonic()
        try:
            self.sockets[number].send(plain.echo_request(self._family.af, token))
        except OSError:
            self._over = True
            del self._sent[token], self._target[token]

    def _deadline(self) -> float:
        """When the last one is given up."""
        tokens = list(self._sent)
        patience = self._timeout
        if any(token in self._rtts for token in tokens[-LAST:]):
            patience = min(patience, max(SHORTEST, ROUND_TRIPS * max(self._rtts.values()) / 1000))
        return self._sent[tokens[-1]] + patience

    def read(self, sock: BoundSocket) -> None:
        """Take all that has arrived."""
        while True:
            try:
                message, came = plain.stamped(sock, 256)
            except BlockingIOError:
                return
            except OSError:  # a router's word about one of them: it stays unanswered
                continue
            token = plain.replied(message, self._family.af)
            if token in self._sent and token not in self._rtts:
                self._rtts[token] = max(0.0, came - self._sent[token]) * 1000

    def measured(self) -> Measured:
        """What was sent and answered; a target that answers nothing while others do says nothing of the line."""
        answering = {self._target[token] for token in self._rtts}
        counted = [token for token in self._sent if not answering or self._target[token] in answering]
        rtts = tuple([round(self._rtts[token], 3) for token in counted if token in self._rtts])
        size = IP_HEADER[self._family] + plain.LENGTH
        return Measured(len(counted), rtts, self._series.burst, size * (len(self._sent) + len(self._rtts)))

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
