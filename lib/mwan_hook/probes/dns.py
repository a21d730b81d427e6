"""DNS questions over our own bound sockets (RFC 1035): UDP, and TCP where the answer is truncated.

A target is answered by NOERROR and by NXDOMAIN: both come from a server that reaches the tree of names.  SERVFAIL and
REFUSED do not count: a modem whose line is cut answers its clients so.
"""

from __future__ import annotations

import _socket
import errno
import select
import struct
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode

from mwan_hook.light import TYPE_CHECKING, NamedTuple, partial
from mwan_hook.model import Connectivity, Family
from mwan_hook.probes import datagram, plain
from mwan_hook.probes.bound import IP_HEADER, BoundSocket, ProbeAnswer, endpoint, failed, not_sent, timed_out
from mwan_hook.probes.datagram import Server
from mwan_hook.probes.plain import RESET_ON_CLOSE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

PORT = 53
REPEAT = 1.0  # seconds after which a lost question for a name is sent again
ANSWER_TO_QUERY = 0x80  # the third byte of an answer, but for AA, TC and RD: QR, and the opcode QUERY
HEADER = 12  # bytes
MOST_RECORDS = 64  # that are read of an answer
MOST_ALIASES = 16  # that lead from a name to its addresses
CNAME = 5
ADDRESS = {Family.IPV4: (1, 4), Family.IPV6: (28, 16)}  # type A and AAAA, and the length of their data


class DnsReply(NamedTuple):
    """What a server said (None: nothing that could be read), and the words and time of the asking.

    The message has its header and question alone; the rest of the packet is for :func:`found_in`.
    """

    message: dns.message.Message | None
    answer: ProbeAnswer
    packet: bytes = b""


def probe(job: Job, addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Ask the target's server for the target's name, once."""
    try:
        query = dns.message.make_query(job.target.path, job.target.rrtype)
    except (dns.exception.DNSException, ValueError) as error:
        return ProbeAnswer(Connectivity.LIMITED, None, f"not a question for DNS: {error}")
    reply = yield from ask(job, Server(addresses[0], job.target.port or PORT), query, exchange)
    answer = reply.answer._replace(wire_bytes=exchange.total())
    if reply.message is None:
        return answer
    rcode = reply.message.rcode()
    if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return answer
    words = f"the server answered {dns.rcode.to_text(rcode)}"
    return ProbeAnswer(Connectivity.LIMITED, None, words, answer.wire_bytes)


def ask(job: Job, server: Server, query: dns.message.Message, exchange: Exchange) -> Steps[DnsReply]:
    """The server's answer to exactly this question; the job says through which device and source it is asked."""
    try:
        reply = yield from _by_udp(job, server, query, exchange)
        if reply.message is None or not reply.message.flags & dns.flags.TC:
            return reply
        return (yield from _by_tcp(job, server, query, exchange))
    except OSError as error:
        return DnsReply(None, not_sent(error))


def _parse(packet: bytes, query: dns.message.Message) -> dns.message.Message | None:
    """Header and question of a message, if it answers the query: identifier, opcode and question are those asked."""
    asked = query.id.to_bytes(2, "big")
    if len(packet) < HEADER or packet[:2] != asked or packet[2] & 0xF8 != ANSWER_TO_QUERY or packet[4:6] > b"\0\1":
        return None
    try:
        message = dns.message.from_wire(packet, question_only=True, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None
    return message if query.is_response(message) else None


def _by_udp(job: Job, server: Server, query: dns.message.Message, exchange: Exchange) -> Steps[DnsReply]:
    """One question; what does not answer it is not taken for an answer."""

    def read(packet: bytes) -> tuple[dns.message.Message, bytes] | None:
        message = _parse(packet, query)
        return None if message is None else (message, packet)

    found, answer = yield from datagram.ask(job, server, query.to_wire(), exchange, read)
    return DnsReply(found[0], answer, found[1]) if found else DnsReply(None, answer)


def _by_tcp(job: Job, server: Server, query: dns.message.Message, exchange: Exchange) -> Steps[DnsReply]:
    """The same question over TCP, length first."""
    with BoundSocket(job, _socket.SOCK_STREAM) as sock:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, RESET_ON_CLOSE)
        began = time.monotonic()
        number = sock.connect_ex(endpoint(job, server.address, server.port))
        if number not in (0, errno.EINPROGRESS):
            return DnsReply(None, not_sent(OSError(number, "")))
        exchange.meter = partial(plain.tcp_bytes, sock, job.family.af)
        mask = yield sock.fileno(), select.POLLOUT, server.until
        number = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        got = (yield from _exchange(sock, query.to_wire(), server.until)) if mask and not number else None
        exchange.settle()
        exchange.spent += IP_HEADER[job.family] + 32
    if number:
        return DnsReply(None, failed(number))
    if got is None:
        return DnsReply(None, timed_out(job))
    message = _parse(got, query)
    took = (time.monotonic() - began) * 1000
    answer = ProbeAnswer(Connectivity.FULL, took)
    if message is None:
        answer = ProbeAnswer(Connectivity.LIMITED, None, "broken answer")
    return DnsReply(message, answer, got)


def _exchange(sock: BoundSocket, wire: bytes, until: float) -> Steps[bytes | None]:
    """Send over a connection, read one message (short where the stream ends early); None when the time is over."""
    sock.send(struct.pack("!H", len(wire)) + wire)
    got = b""
    while len(got) < 2 or len(got) < 2 + struct.unpack_from("!H", got)[0]:
        if not (yield sock.fileno(), select.POLLIN, until):
            return None
        try:
            part = sock.recv(65537)
        except OSError:
            part = b""
        if not part:
            break
        got += part
    return got[2:]


class Record(NamedTuple):
    """One record: where its data stand."""

    owner: dns.name.Name
    kind: int
    begin: int
    end: int


def found_in(packet: bytes, name: dns.name.Name, family: Family) -> tuple[str, ...]:
    """Addresses of ``name``, by its aliases too, read in a time that their sender cannot choose.

    dnspython takes a minute for 64 KiB of answers with long names (2.3.0 and 2.9.2: one CNAME set of 4,000 targets of
    126 labels), in which no other probe goes on.  So it reads header and question, and names one at a time.
    Raises ValueError or DNSException for an answer that is broken.
    """
    aliases: dict[dns.name.Name, dns.name.Name] = {}
    known: dict[dns.name.Name, list[str]] = {}
    for one in _records(packet):
        if one.kind == CNAME:
            aliases.setdefault(one.owner, dns.name.from_wire(packet, one.begin)[0])
        elif (one.kind, one.end - one.begin) == ADDRESS[family]:
            known.setdefault(one.owner, []).append(_socket.inet_ntop(family.af, packet[one.begin : one.end]))
    for _ in range(MOST_ALIASES):
        if name in known or name not in aliases:
            break
        name = aliases[name]
    return tuple(known.get(name, ()))


def _records(packet: bytes) -> Iterator[Record]:
    """The first records of the answer."""
    questions, answers = struct.unpack_from("!HH", packet, 4)
    at = HEADER
    for _ in range(min(questions, 1)):
        at += dns.name.from_wire(packet, at)[1] + 4
    for _ in range(min(answers, MOST_RECORDS)):
        owner, length = dns.name.from_wire(packet, at)
        begin = at + length + 10
        if begin > len(packet):
            raise ValueError("it ends in the midst of a record")
        kind, _, _, size = struct.unpack_from("!HHIH", packet, begin - 10)
        at = begin + size
        if at > len(packet):
            raise ValueError("it ends in the midst of a record")
        yield Record(owner, kind, begin, at)
