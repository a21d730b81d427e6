"""Echo request and reply (RFC 792, RFC 4443) with 8 bytes of payload: 36 bytes each way over IPv4, 56 over IPv6."""

from __future__ import annotations

import _socket
import os
import select
import struct
import time

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity, Family
from mwan_hook.probes.bound import (
    IP_HEADER,
    NEVER,
    SO_TIMESTAMPNS,
    BoundSocket,
    ProbeAnswer,
    endpoint,
    failed,
    not_sent,
    stamped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

SOL_RAW = 255
FILTER = 1  # ICMP_FILTER and ICMPV6_FILTER
RECVERR = {Family.IPV4: (_socket.IPPROTO_IP, 11), Family.IPV6: (_socket.IPPROTO_IPV6, 25)}
MSG_ERRQUEUE = 0x2000
REQUEST = {Family.IPV4: 8, Family.IPV6: 128}
REPLY = {Family.IPV4: 0, Family.IPV6: 129}
LENGTH = 16  # header and payload


def probe(job: Job, addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Ask the first address.  An unreachable error for our own request ends the wait at once."""
    token = os.urandom(12)  # identifier, sequence number, nonce: others' answers and forged ones do not match
    try:
        with raw(job, REPLY[job.family]) as sock:
            sock.setsockopt(*RECVERR[job.family], 1)
            sock.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            # Connected, the kernel hands over packets of the asked address alone.
            sock.connect(endpoint(job, addresses[0]))
            request = _request(job.family, token)
            sent = time.monotonic()
            sock.send(request)
            exchange.begin()
            exchange.spent = size = IP_HEADER[job.family] + LENGTH
            while True:
                mask = yield sock.fileno(), select.POLLIN, NEVER
                if mask & select.POLLERR and (error := _unreachable(sock, job, token)):
                    return error
                if came := _answered(sock, job.family, token):
                    return ProbeAnswer(Connectivity.FULL, max(0.0, came - sent) * 1000, None, 2 * size)
    except OSError as error:
        return not_sent(error)


def raw(job: Job, wanted: int) -> BoundSocket:
    """A raw ICMP socket of the job's family that receives one message type only."""
    if job.family is Family.IPV4:
        sock = BoundSocket(job, _socket.SOCK_RAW, _socket.IPPROTO_ICMP)
        sock.setsockopt(SOL_RAW, FILTER, struct.pack("=I", ~(1 << wanted) & 0xFFFFFFFF))
        return sock
    sock = BoundSocket(job, _socket.SOCK_RAW, _socket.IPPROTO_ICMPV6)
    passing = [0xFFFFFFFF] * 8
    passing[wanted >> 5] &= ~(1 << (wanted & 31))
    sock.setsockopt(_socket.IPPROTO_ICMPV6, FILTER, struct.pack("=8I", *passing))
    return sock


def _request(family: Family, token: bytes) -> bytes:
    """An echo request; for IPv6 the kernel fills in the checksum."""
    kind = REQUEST[family]
    checksum = _checksum(struct.pack("!BBH", kind, 0, 0) + token) if family is Family.IPV4 else 0
    return struct.pack("!BBH", kind, 0, checksum) + token


def _checksum(message: bytes) -> int:
    """RFC 1071 over a message of even length; 0 for one that has its right checksum in it."""
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _answered(sock: BoundSocket, family: Family, token: bytes) -> float | None:
    """Read one packet; when it came, if it is the reply to our request."""
    try:
        message, came = stamped(sock, 256)
    except OSError:  # nothing there, or an error of another program's packet
        return None
    if family is Family.IPV4:
        message = message[(message[0] & 15) * 4 :]  # with IP header; raw sockets see it before the checksum is verified
        if len(message) != LENGTH or _checksum(message):
            return None
    return came if message[:2] == bytes((REPLY[family], 0)) and message[4:] == token else None


def _unreachable(sock: BoundSocket, job: Job, token: bytes) -> ProbeAnswer | None:
    """Read one queued error; an answer if it quotes our request (identifier and sequence number).

    ``struct sock_extended_err`` of linux/errqueue.h, then the address of the router that sent it.
    """
    try:
        quoted, control, _, _ = sock.recvmsg(256, 256, MSG_ERRQUEUE)
    except OSError:
        return None
    if quoted[:1] != bytes((REQUEST[job.family],)) or quoted[4:8] != token[:4]:
        return None
    for level, kind, data in control:
        if (level, kind) == RECVERR[job.family]:
            where = slice(20, 24) if job.family is Family.IPV4 else slice(24, 40)
            offender = _socket.inet_ntop(job.family.af, data[where]) if any(data[where]) else ""
            size = IP_HEADER[job.family] + LENGTH
            return failed(struct.unpack_from("=I", data)[0], size + IP_HEADER[job.family] + 8 + size, offender)
    return None
