"""One question by UDP over a bound socket, and the first packet that answers it."""

from __future__ import annotations

import _socket
import errno
import select
import time

from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.model import Connectivity
from mwan_hook.probes.bound import IP_HEADER, NEVER, BoundSocket, ProbeAnswer, endpoint, failed, timed_out
from mwan_hook.probes.icmp import RECVERR
from mwan_hook.probes.plain import SO_TIMESTAMPNS, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps, T

HEADER = 8  # bytes of UDP's own
LARGEST = 65535


class Server(NamedTuple):
    """A server to ask, until when, and after how many seconds once more."""

    address: str
    port: int
    until: float = NEVER
    repeat: float = NEVER


def ask(
    job: Job, server: Server, wire: bytes, exchange: Exchange, read: Callable[[bytes], T | None]
) -> Steps[tuple[T | None, ProbeAnswer]]:
    """What ``read`` makes of the first packet that it takes for the answer (None: it is none), with words and time.

    The question leaves from a random port.  Raises OSError where it cannot be sent.
    """
    header = IP_HEADER[job.family] + HEADER
    with BoundSocket(job, _socket.SOCK_DGRAM) as sock:
        sock.setsockopt(*RECVERR[job.family], 1)
        sock.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.connect(endpoint(job, server.address, server.port))
        began = time.monotonic()
        sock.send(wire)
        exchange.begin()
        exchange.spent += header + len(wire)
        again = min(server.until, began + server.repeat)
        while True:
            if (yield sock.fileno(), select.POLLIN, again):
                try:
                    packet, came = stamped(sock, LARGEST)
                except BlockingIOError:
                    continue
                except OSError as error:
                    return None, failed(error.errno or errno.EIO)
                exchange.spent += header + len(packet) if packet else 0
                if (found := read(packet)) is not None:
                    return found, ProbeAnswer(Connectivity.FULL, max(0.0, came - began) * 1000)
            elif again >= server.until:
                return None, timed_out(job)
            else:
                again = server.until
                sock.send(wire)
                exchange.spent += header + len(wire)
