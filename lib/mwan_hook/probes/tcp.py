"""TCP connect, then reset: 224 bytes over IPv4, 304 over IPv6, and no state left on either side."""

from __future__ import annotations

import _socket
import errno
import select
import struct
import time

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity
from mwan_hook.probes.bound import IP_HEADER, Answer, Bound, endpoint, failed, not_sent, tcp_bytes, timed_out
from mwan_hook.probes.late import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Steps
    from mwan_hook.probes.late import Late

RESET_ON_CLOSE = struct.pack("=ii", 1, 0)
TRIES = 3  # addresses of one name


def probe(job: Job, addresses: Sequence[str], deadline: float, late: Late | None = None) -> Steps[Answer]:
    """Connect to the first address; to the next where that is refused at once."""
    spent = 0
    answer = Answer(Connectivity.LIMITED)
    for address in addresses[:TRIES]:
        answer, over = yield from _connect(job, address, deadline, late)
        spent += answer.wire_bytes
        if over or answer.connectivity is not Connectivity.LIMITED:
            break
    return answer._replace(wire_bytes=spent)


def listen(job: Job, asked: Asked, deadline: float, late: Late | None = None) -> Steps[Answer]:
    """Wait for a connection that is under way; when the time is over, ``late`` keeps it."""
    return (yield from _finish(job, asked, deadline, late))[0]


def _connect(job: Job, address: str, deadline: float, late: Late | None) -> Steps[tuple[Answer, bool]]:
    """One connection, and whether the time is over."""
    try:
        with Bound(job, _socket.SOCK_STREAM) as sock:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, RESET_ON_CLOSE)
            began = time.monotonic()
            number = sock.connect_ex(endpoint(job, address, job.target.port))
            if number not in (0, errno.EINPROGRESS):
                return not_sent(OSError(number, "")), False
            return (yield from _finish(job, Asked(sock, began), deadline, late))
    except OSError as error:
        return not_sent(error), False


def _finish(job: Job, asked: Asked, deadline: float, late: Late | None) -> Steps[tuple[Answer, bool]]:
    """What becomes of a connection, and whether the time is over."""
    with asked.sock as sock:
        mask = yield sock.fileno(), select.POLLOUT, deadline
        took = (time.monotonic() - asked.sent) * 1000
        spent = tcp_bytes(sock, job.family)
        if not mask:
            if late is not None:
                late.keep(job, asked._replace(counted=spent))
            return timed_out(job, spent), True
        if number := sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR):
            return failed(number, spent), time.monotonic() >= deadline
        spent += IP_HEADER[job.family] + 32  # the reset to come
        return Answer(Connectivity.FULL, _round_trip_ms(sock) or took, None, spent), False


def _round_trip_ms(sock: Bound) -> float:
    """The kernel's measure of SYN to SYN and ACK, tcpi_rtt of ``struct tcp_info`` in us; 0 where it has none."""
    microseconds: int = struct.unpack_from("=I", sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 72), 68)[0]
    return microseconds / 1000
