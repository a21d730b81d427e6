"""Probe of the gateway itself: ARP (RFC 826) and neighbour discovery (RFC 4861).

A nexthop by device (ppp0, wwan0, an on-link default) has no gateway to ask: the target does not apply.  Rounds leave it
out; asked nonetheless, it answers ``unknown`` and says why, and no round counts that.
"""

from __future__ import annotations

import _socket
import _struct
import select
import time

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity, Family, MwanError
from mwan_hook.probes.bound import NEVER, ProbeAnswer, literal, not_sent
from mwan_hook.probes.icmp import raw
from mwan_hook.probes.plain import SO_TIMESTAMPNS, received, stamped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

ETH_P_ARP = 0x0806
ARPHRD_ETHER = 1
ARP_HEADER = _struct.pack("!HHBBH", ARPHRD_ETHER, 0x0800, 6, 4, 0)[:6]
SOLICITATION, ADVERTISEMENT = 135, 136
SOURCE_LINK_ADDRESS = b"\x01\x01"
IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS = 17, 18
IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 51, 52
ON_LINK = 255  # a hop limit that no router has lowered


def probe(job: Job, _addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Ask who has the gateway's address."""
    if not job.gateway or job.noarp or not literal(job.gateway, job.family):
        return ProbeAnswer(Connectivity.UNKNOWN, None, "no gateway to ask: the way is a nexthop by device")
    try:
        return (yield from (_arp if job.family is Family.IPV4 else _solicit)(job, job.gateway, exchange))
    except OSError as error:
        return not_sent(error)


def _packet_socket(index: int, protocol: int) -> tuple[_socket.socket, str, bytes]:
    """A packet socket of one device (protocol 0 receives nothing), the device's name and link address."""
    try:
        # Protocol 0 until it is bound: else it would receive from every device in between.
        sock = _socket.socket(_socket.AF_PACKET, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0)
    except PermissionError:
        raise MwanError("probing needs root (the capability CAP_NET_RAW)") from None
    try:
        name = _socket.if_indextoname(index)
        sock.bind((name, protocol))
        _, _, _, hardware, mac = sock.getsockname()
    except OSError:
        sock.close()
        raise
    return sock, name, mac if hardware == ARPHRD_ETHER and len(mac) == 6 else b""


def _arp(job: Job, gateway: str, exchange: Exchange) -> Steps[ProbeAnswer]:
    """ARP request by broadcast; 28 bytes each way."""
    sock, name, mac = _packet_socket(job.index, ETH_P_ARP)
    try:
        if not mac:
            return ProbeAnswer(Connectivity.UNKNOWN, None, "no gateway to ask: not an Ethernet")
        ours, asked = _socket.inet_aton(job.source), _socket.inet_aton(gateway)
        sock.setsockopt(_socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        request = ARP_HEADER + _struct.pack("!H6s4s6x4s", 1, mac, ours, asked)
        sent = time.monotonic()
        sock.sendto(request, (name, ETH_P_ARP, 0, 0, b"\xff" * 6))
        exchange.begin()
        exchange.spent = 28
        while True:
            yield sock.fileno(), select.POLLIN, NEVER
            try:
                packet, came = stamped(sock, 256)
            except BlockingIOError:
                continue
            # ARP reply to us from the asked address; padded to the Ethernet's minimum
            if packet[:8] == ARP_HEADER + b"\0\2" and packet[14:18] == asked and packet[24:28] == ours:
                return ProbeAnswer(Connectivity.FULL, max(0.0, came - sent) * 1000, None, 56)
    finally:
        sock.close()


def _solicit(job: Job, gateway: str, exchange: Exchange) -> Steps[ProbeAnswer]:
    """Neighbour solicitation to the gateway's solicited-node group; 72 bytes each way."""
    sock, _, mac = _packet_socket(job.index, 0)
    sock.close()
    asked = _socket.inet_pton(_socket.AF_INET6, gateway)
    group = _socket.inet_ntop(_socket.AF_INET6, b"\xff\2" + bytes(9) + b"\1\xff" + asked[-3:])
    with raw(job, ADVERTISEMENT) as ns:
        ns.setsockopt(_socket.IPPROTO_IPV6, IPV6_MULTICAST_IF, job.index)
        ns.setsockopt(_socket.IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ON_LINK)
        ns.setsockopt(_socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
        option = SOURCE_LINK_ADDRESS + mac if mac else b""
        sent = time.monotonic()
        # The kernel fills in the checksum (RFC 3542, 3.1).
        ns.sendto(_struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + asked + option, (group, 0, 0, job.index))
        exchange.begin()
        exchange.spent = 72
        while True:
            yield ns.fileno(), select.POLLIN, NEVER
            try:
                packet, control, _, _ = ns.recvmsg(256, 128)
            except BlockingIOError:
                continue
            hops = (_socket.IPPROTO_IPV6, IPV6_HOPLIMIT, _struct.pack("=i", ON_LINK))
            if packet[:2] == bytes((ADVERTISEMENT, 0)) and packet[8:24] == asked and hops in control:
                return ProbeAnswer(Connectivity.FULL, max(0.0, received(control) - sent) * 1000, None, 144)
