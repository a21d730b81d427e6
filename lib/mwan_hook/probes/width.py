"""How large a packet reaches a target through one uplink: echoes that no router may cut, of falling size.

What is answered counts, not what routers say, since many say nothing.  The kernel forgets what it has heard of the way
(IP_PMTUDISC_PROBE of ip(7); tests/netns/test_segments.py), so that each size leaves.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import struct
import time
from contextlib import ExitStack

from mwan_hook.light import NamedTuple
from mwan_hook.model import Family
from mwan_hook.probes import plain
from mwan_hook.probes.bound import IP_HEADER, endpoint
from mwan_hook.probes.icmp import MSG_ERRQUEUE, RECVERR, raw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.model import Job

_PROBE = 3  # IP_PMTUDISC_PROBE
_UNCUT = {
    Family.IPV4: ((_socket.IPPROTO_IP, 10, _PROBE),),  # IP_MTU_DISCOVER
    Family.IPV6: ((_socket.IPPROTO_IPV6, 23, _PROBE), (_socket.IPPROTO_IPV6, 62, 1)),  # IPV6_MTU_DISCOVER, _DONTFRAG
}
COPIES = 2  # of each echo: one that is lost by chance is no proof
AT_ONCE = 4  # sizes
FIRST = 1.0  # seconds for the first answer
READS = 64  # packets of others that are read while one of ours is waited for


class Width(NamedTuple):
    """The largest size that was answered, the smallest that was not, and whether a router said that of one."""

    answered: int
    lost: int
    told: bool = False


def width(jobs: Sequence[Job], least: int, most: int, until: float) -> tuple[Job, Width] | None:
    """The first target that answers ``least`` and not ``most``, and what it answers; None where one answers ``most``.

    A target that answers no large echo for reasons of its own is outdone by another one.  Ends at ``until``
    (``time.monotonic()``).  Raises MwanError without CAP_NET_RAW.
    """
    narrow: Echoes | None = None

    def over() -> bool:
        return time.monotonic() >= until

    with ExitStack() as opened:
        for job in jobs:
            echoes = opened.enter_context(Echoes(job, until))
            if echoes.best((least,)) and not over():
                if echoes.best((most,)):
                    return None
                narrow = narrow or (None if over() else echoes)
        if narrow is None:
            return None
        return narrow.job, Width(*largest(narrow.best, least, most, over), narrow.told)


def largest(best: Callable[[Sequence[int]], int], least: int, most: int, over: Callable[[], bool]) -> tuple[int, int]:
    """The largest size that is answered and the smallest that is not, from ``least``, which is, to ``most``.

    ``best``: the largest of some sizes that is answered, or 0.  Once it is ``over`` no answer proves nothing.
    """
    while most - least > 1 and not over():
        parts = min(AT_ONCE + 1, most - least)
        sizes = [least + (most - least) * part // parts for part in range(1, parts)]
        found = best(sizes)
        if not over():
            most = min(one for one in (*sizes, most) if one > found)
        least = max(least, found)
    return least, most


class Echoes:
    """A socket that asks a job's target by echoes of any size."""

    def __init__(self, job: Job, until: float) -> None:
        self.job, self.until = job, until
        self.patience = FIRST
        self.told = False
        self.sock: _socket.socket | None = None

    def __enter__(self) -> Echoes:
        """Open the socket; where the interface or its address is gone there is none, and no answer."""
        try:
            self.sock = sock = raw(self.job, plain.REPLY[self.job.family.af])
            for option in (*_UNCUT[self.job.family], (*RECVERR[self.job.family], 1)):
                sock.setsockopt(*option)
            sock.connect(endpoint(self.job, self.job.target.host))
        except OSError:
            self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        if self.sock:
            self.sock.close()
        self.sock = None

    def best(self, sizes: Sequence[int]) -> int:
        """The largest of these sizes that is answered; 0: none."""
        if self.sock is None:
            return 0
        open_ = {os.urandom(12): size for size in sizes for _ in range(COPIES)}
        begun, found = time.monotonic(), 0
        for token, size in open_.items():
            self._send(self.sock, plain.echo_request(self.job.family.af, token), size)
        end = min(begun + self.patience, self.until)
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        while any(size > found for size in open_.values()):
            left = end - time.monotonic()
            ready = poll.poll(max(0.0, left) * 1000)
            if any(mask & select.POLLERR for _, mask in ready):
                self._refused(self.sock, open_)
            if came := self._heard(self.sock, open_):
                found = max(found, came)
                self.patience = patience(time.monotonic() - begun)
            elif left <= 0:
                break
        return found

    def _send(self, sock: _socket.socket, request: bytes, size: int) -> None:
        """Zeros behind the request leave its checksum as it is."""
        padded = request + bytes(size - IP_HEADER[self.job.family] - len(request))
        for _ in range(2):  # the first may only report what became of an earlier packet
            try:
                sock.send(padded)
            except OSError:
                continue
            return

    def _heard(self, sock: _socket.socket, tokens: dict[bytes, int]) -> int:
        """The size of one of ours whose reply is there, or 0; some hosts send back less than they got."""
        af = self.job.family.af
        for _ in range(READS):
            try:
                message = sock.recv(256)
            except BlockingIOError:
                return 0
            except OSError:  # of an earlier packet
                continue
            if af == plain.AF_INET:
                message = message[(message[0] & 15) * 4 :]
            if message[:2] == bytes((plain.REPLY[af], 0)) and message[4:16] in tokens:
                return tokens.pop(message[4:16])
        return 0

    def _refused(self, sock: _socket.socket, tokens: dict[bytes, int]) -> None:
        """Take out those of ours of which a router says that they are too large."""
        for _ in range(READS):
            try:
                quoted, control, _, _ = sock.recvmsg(256, 256, MSG_ERRQUEUE)
            except OSError:
                return
            refused = [token for token in tokens if token[:4] == quoted[4:8]]
            if quoted[:1] != bytes((plain.REQUEST[self.job.family.af],)) or not refused:
                continue
            for level, kind, data in control:
                if (level, kind) == RECVERR[self.job.family] and struct.unpack_from("=I", data)[0] == errno.EMSGSIZE:
                    self.told = True
                    tokens.pop(refused[0])


def patience(round_trip: float) -> float:
    """Seconds that the next answers have."""
    return max(0.1, min(2.5 * round_trip, 0.5), 1.5 * round_trip)
