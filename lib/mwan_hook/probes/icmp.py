"""Echo request and reply (RFC 792, RFC 4443) with 8 bytes of payload: 36 bytes each way over IPv4, 56 over IPv6."""

from __future__ import annotations

import _socket
import _struct
import select
import time
from errno import EHOSTUNREACH

from mwan_hook import plainos as os
from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import NO_NEXTHOP, Connectivity, Family
from mwan_hook.probes import plain
from mwan_hook.probes.bound import IP_HEADER, NEVER, BoundSocket, ProbeAnswer, endpoint, failed, not_sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

RECVERR = {Family.IPV4: (_socket.IPPROTO_IP, 11), Family.IPV6: (_socket.IPPROTO_IPV6, 25)}
MSG_ERRQUEUE = 0x2000


def probe(job: Job, addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Ask the first address.  An unreachable error for our own request ends the wait at once."""
    token = os.urandom(12)  # identifier, sequence number, nonce: others' answers and forged ones do not match
    try:
        with raw(job, plain.REPLY[job.family.af]) as sock:
            sock.setsockopt(*RECVERR[job.family], 1)
            # Connected, the kernel hands over packets of the asked address alone (raw(7); tests/netns/test_probes.py).
            sock.connect(endpoint(job, addresses[0]))
            request = plain.echo_request(job.family.af, token)
            sent = time.monotonic()
            sock.send(request)
            exchange.begin()
            exchange.spent = size = IP_HEADER[job.family] + plain.LENGTH
            while True:
                mask = yield sock.fileno(), select.POLLIN, NEVER
                if mask & select.POLLERR and (error := _unreachable(sock, job, token)):
                    return error
                if came := plain.echoed(sock, job.family.af, token):
                    return ProbeAnswer(Connectivity.FULL, max(0.0, came - sent) * 1000, None, 2 * size)
    except OSError as error:
        return not_sent(error)


def raw(job: Job, wanted: int) -> BoundSocket:
    """A raw ICMP socket of the job's family that receives one message type only, with the time at which it came."""
    sock = BoundSocket(job, _socket.SOCK_RAW, plain.ICMP[job.family.af])
    sock.setsockopt(_socket.SOL_SOCKET, plain.SO_TIMESTAMPNS, 1)
    plain.hear_only(sock, job.family.af, wanted)
    return sock


def _unreachable(sock: BoundSocket, job: Job, token: bytes) -> ProbeAnswer | None:
    """Read one queued error; an answer if it quotes our request (identifier and sequence number).

    ``struct sock_extended_err`` of linux/errqueue.h, then the address of the router that sent it.
    """
    try:
        quoted, control, _, _ = sock.recvmsg(256, 256, MSG_ERRQUEUE)
    except OSError:
        return None
    if quoted[:1] != bytes((plain.REQUEST[job.family.af],)) or quoted[4:8] != token[:4]:
        return None
    for level, kind, data in control:
        if (level, kind) == RECVERR[job.family]:
            where = slice(20, 24) if job.family is Family.IPV4 else slice(24, 40)
            offender = _socket.inet_ntop(job.family.af, data[where]) if any(data[where]) else ""
            (number,) = _struct.unpack_from("=I", data)
            if offender == job.source and number == EHOSTUNREACH:
                return ProbeAnswer(Connectivity.LIMITED, None, NO_NEXTHOP)  # no packet has left; IPv6 alone says so
            size = IP_HEADER[job.family] + plain.LENGTH
            return failed(number, size + IP_HEADER[job.family] + 8 + size, offender)
    return None
