"""The two cheap questions, an echo and a connection, as options, bytes and what the kernel says of a socket.

Without the model: a run in peace needs no more than this (:mod:`mwan_hook.run.quiet`).
"""

from __future__ import annotations

import _socket
import _struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

AF_INET, AF_INET6 = _socket.AF_INET, _socket.AF_INET6
SO_BINDTOIFINDEX = 62  # by index, not by name: an interface that is renamed meanwhile stays the same one
SO_TIMESTAMPNS = 35
SOL_RAW = 255
FILTER = 1  # ICMP_FILTER and ICMPV6_FILTER
CLOSE_WAIT = 8  # linux/tcp_states.h
RESET_ON_CLOSE = _struct.pack("=ii", 1, 0)

HEADER = {AF_INET: 20, AF_INET6: 40}  # bytes of IP
ICMP = {AF_INET: _socket.IPPROTO_ICMP, AF_INET6: _socket.IPPROTO_ICMPV6}
REQUEST = {AF_INET: 8, AF_INET6: 128}
REPLY = {AF_INET: 0, AF_INET6: 129}
LENGTH = 16  # of an echo: header and payload
RESET = 32  # bytes of the reset that ends a connection, beyond the IP header


def endpoint(af: int, address: str, port: int, index: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """Socket address; a link-local one is that of the link."""
    if af == AF_INET:
        return address, port
    return address, port, 0, index if address.lower().startswith("fe80:") else 0


def tie(sock: _socket.socket, af: int, address: str, index: int) -> None:
    """Bind a socket to a device and a source address.  Raises OSError where one of them is gone."""
    sock.setsockopt(_socket.SOL_SOCKET, SO_BINDTOIFINDEX, index)
    sock.bind(endpoint(af, address, 0, index))


def hear_only(sock: _socket.socket, af: int, wanted: int) -> None:
    """Have a raw ICMP socket receive one message type only."""
    if af == AF_INET:
        sock.setsockopt(SOL_RAW, FILTER, _struct.pack("=I", ~(1 << wanted) & 0xFFFFFFFF))
        return
    passing = [0xFFFFFFFF] * 8
    passing[wanted >> 5] &= ~(1 << (wanted & 31))
    sock.setsockopt(_socket.IPPROTO_ICMPV6, FILTER, _struct.pack("=8I", *passing))


def echo_request(af: int, token: bytes) -> bytes:
    """An echo request; for IPv6 the kernel fills in the checksum (RFC 3542, 3.1)."""
    kind = REQUEST[af]
    checksum = checksum_of(_struct.pack("!BBH", kind, 0, 0) + token) if af == AF_INET else 0
    return _struct.pack("!BBH", kind, 0, checksum) + token


def checksum_of(message: bytes) -> int:
    """RFC 1071 over a message of even length; 0 for one that has its right checksum in it."""
    total: int = sum(_struct.unpack(f"!{len(message) // 2}H", message))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echoed(sock: _socket.socket, af: int, token: bytes) -> float | None:
    """Read one packet; when it came, if it is the reply to our request."""
    try:
        message, came = stamped(sock, 256)
    except OSError:  # nothing there, or an error of another program's packet
        return None
    return came if replied(message, af) == token else None


def replied(message: bytes, af: int) -> bytes:
    """The token of a reply that came whole; empty for anything else."""
    if af == AF_INET:
        message = message[(message[0] & 15) * 4 :]  # with IP header; raw sockets see it before the checksum is verified
        if len(message) != LENGTH or checksum_of(message):
            return b""
    return message[4:] if message[:2] == bytes((REPLY[af], 0)) else b""


def stamped(sock: _socket.socket, size: int) -> tuple[bytes, float]:
    """One packet, and when the kernel received it: reading it may wait for other threads, or for the next round.

    The socket wants SO_TIMESTAMPNS set; without a stamp the time is now's.  Raises OSError.
    """
    packet, control, _, _ = sock.recvmsg(size, 64)
    return packet, received(control)


def received(control: Sequence[tuple[int, int, bytes]]) -> float:
    """When the kernel received a packet that was just read, by its control messages."""
    now = time.monotonic()
    for level, kind, data in control:
        if (level, kind) == (_socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) == 16:
            seconds, nanoseconds = _struct.unpack("=qq", data)
            # The stamp is of the wall clock, which may be set meanwhile; a packet is never from the future.
            age: float = time.time() - seconds - nanoseconds / 1e9
            return now - max(0.0, age)
    return now


def tcp_bytes(sock: _socket.socket, af: int) -> int:
    """Bytes that a TCP socket has put on the wire and taken from it so far, IP headers included.

    ``struct tcp_info`` of linux/tcp.h: state at 0, options at 5, bytes_received at 128, segs_out and segs_in at 136,
    bytes_sent at 200.  A SYN of Linux has 20 bytes of options, later segments 12 where time stamps are agreed on
    (tests/netns/test_probes.py); bytes_sent is there since Linux 4.19.
    """
    info = sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 232)
    if len(info) < 208:
        return 0
    segments_out, segments_in = _struct.unpack_from("=2I", info, 136)
    header = HEADER[af] + 20
    if not info[5]:  # no option agreed on: the SYN was not answered, or with a reset
        return int(segments_out * (header + 20) + segments_in * header)
    finished = info[0] == CLOSE_WAIT  # the other side's FIN counts as a byte received
    received, sent = _struct.unpack_from("=Q", info, 128)[0], _struct.unpack_from("=Q", info, 200)[0]
    return int((segments_out + segments_in) * (header + 12 * (info[5] & 1)) + 16 + received - finished + sent)


def round_trip_ms(sock: _socket.socket) -> float:
    """The kernel's measure of SYN to SYN and ACK, tcpi_rtt of ``struct tcp_info`` in us; 0 where it has none."""
    microseconds: int = _struct.unpack_from("=I", sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 72), 68)[0]
    return microseconds / 1000
