"""TCP connect, then reset: 224 bytes over IPv4, 304 over IPv6, and no state left on either side."""

from __future__ import annotations

import _socket
import errno
import select
import time

from mwan_hook.light import TYPE_CHECKING, partial
from mwan_hook.model import Connectivity
from mwan_hook.probes import plain
from mwan_hook.probes.bound import IP_HEADER, NEVER, BoundSocket, ProbeAnswer, endpoint, failed, not_sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

TRIES = 3  # addresses of one name


def probe(job: Job, addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Connect to the first address; to the next where that is refused at once."""
    answer = ProbeAnswer(Connectivity.LIMITED)
    for address in addresses[:TRIES]:
        answer = yield from _connect(job, address, exchange)
        if answer.connectivity is not Connectivity.LIMITED:
            break
    return answer._replace(wire_bytes=exchange.settle())


def _connect(job: Job, address: str, exchange: Exchange) -> Steps[ProbeAnswer]:
    """What becomes of one connection; its bytes are the exchange's."""
    try:
        with BoundSocket(job, _socket.SOCK_STREAM) as sock:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, plain.RESET_ON_CLOSE)
            began = time.monotonic()
            number = sock.connect_ex(endpoint(job, address, job.target.port))
            if number not in (0, errno.EINPROGRESS):
                return not_sent(OSError(number, ""))
            exchange.begin()
            exchange.meter = partial(plain.tcp_bytes, sock, job.family.af)
            yield sock.fileno(), select.POLLOUT, NEVER
            took = (time.monotonic() - began) * 1000
            exchange.settle()
            if number := sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR):
                return failed(number)
            exchange.spent += IP_HEADER[job.family] + plain.RESET  # the reset to come
            return ProbeAnswer(Connectivity.FULL, plain.round_trip_ms(sock) or took)
    except OSError as error:
        return not_sent(error)
