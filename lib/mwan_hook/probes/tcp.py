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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Steps

RESET_ON_CLOSE = struct.pack("=ii", 1, 0)
TRIES = 3  # addresses of one name


def probe(job: Job, addresses: Sequence[str], deadline: float) -> Steps[Answer]:
    """Connect to the first address; to the next where that is refused at once."""
    spent = 0
    answer = Answer(Connectivity.LIMITED)
    for address in addresses[:TRIES]:
        answer = yield from _connect(job, address, deadline)
        spent += answer.wire_bytes
        if answer.connectivity is not Connectivity.LIMITED or time.monotonic() >= deadline:
            break
    return answer._replace(wire_bytes=spent)


def _connect(job: Job, address: str, deadline: float) -> Steps[Answer]:
    """One connection."""
    try:
        with Bound(job, _socket.SOCK_STREAM) as sock:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, RESET_ON_CLOSE)
            began = time.monotonic()
            number = sock.connect_ex(endpoint(job, address, job.target.port))
            if number not in (0, errno.EINPROGRESS):
                return not_sent(OSError(number, ""))
            mask = yield sock.fileno(), select.POLLOUT, deadline
            took = (time.monotonic() - began) * 1000
            number = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            spent = tcp_bytes(sock, job.family)
            if not mask:
                return timed_out(job, spent)
            if number:
                return failed(number, spent)
            return Answer(Connectivity.FULL, took, None, spent + IP_HEADER[job.family] + 32)  # the reset to come
    except OSError as error:
        return not_sent(error)
