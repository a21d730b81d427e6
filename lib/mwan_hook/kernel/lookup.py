"""The kernel's answer to RTM_GETROUTE: the way of one packet.  Needs no root."""

from __future__ import annotations

import os
from _socket import inet_pton
from struct import pack

from mwan_hook.kernel import build, netlink, wire
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family

RTM_F_LOOKUP_TABLE = 0x1000
_IIF, _MARK, _UID, _IP_PROTO, _SPORT, _DPORT = 3, 16, 25, 27, 28, 29
_ROUTE_BODY = "=BBBBBBBBI"


class Packet(NamedTuple):
    """What the kernel is asked about.  Forwarded packets have ``iif``, those of this machine may have ``oif``."""

    family: Family
    destination: str
    source: str | None = None
    iif: int = 0
    oif: int = 0
    mark: int = 0
    proto: int = 17  # what the kernel takes where none is given
    sport: int = 0
    dport: int = 0
    uid: int = 0


def out(packet: Packet) -> int:
    """The index of the interface that it leaves by; 0 where the kernel refuses it."""
    message, error, _ = ask(packet, 0)
    return 0 if error else int.from_bytes(wire.attributes(message, 28).get(wire.RTA_OIF, b""), "little")


def ask(packet: Packet, flags: int) -> tuple[bytes, int, str]:
    """(message, errno, the kernel's words)."""
    if packet.family is Family.IPV4:
        flags |= RTM_F_LOOKUP_TABLE  # IPv6 tells the table always, and takes no such flag
    sock = netlink.connect()
    try:
        sock.send(build.request(wire.RTM_GETROUTE, 0, _body(packet, flags)))
        message = sock.recv(netlink.RECEIVE)
    finally:
        sock.close()
    if message[4] != wire.NLMSG_ERROR or message[5]:
        return message, 0, ""
    error, said = netlink.refusal(message)
    return b"", error, said or os.strerror(error)


def _body(packet: Packet, flags: int) -> bytes:
    af = packet.family.af
    to = inet_pton(af, packet.destination)
    source = inet_pton(af, packet.source) if packet.source else b""
    body = pack(_ROUTE_BODY, af, 8 * len(to), 8 * len(source), 0, 0, 0, 0, 0, flags)
    body += build.attribute(wire.RTA_DST, to)
    body += build.attribute(wire.RTA_SRC, source) if source else b""
    numbers = ((_IIF, packet.iif), (wire.RTA_OIF, packet.oif), (_MARK, packet.mark))
    body += b"".join(build.number(kind, value) for kind, value in numbers if value)
    body += build.number(_UID, packet.uid) + build.attribute(_IP_PROTO, bytes((packet.proto,)))
    ports = ((_SPORT, packet.sport), (_DPORT, packet.dport))
    return body + b"".join(build.attribute(kind, pack(">H", value)) for kind, value in ports if value)
