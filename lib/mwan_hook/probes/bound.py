"""Sockets that can leave by one uplink only, and plain words for what goes wrong with them.

A probe is a generator: it yields :data:`Wait` (file descriptor, poll mask, time to be woken at) and is sent the
mask that came true, or 0 when that time has come.  It returns an :class:`ProbeAnswer`.  Times are ``time.monotonic()``.
It knows no deadline: it notes in its :class:`Exchange` when its first packet left and what was spent, and the loop that
runs it gives it up, or goes on with it in a later round.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import time

from mwan_hook.addresses import is_address
from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.model import Connectivity, Family, MwanError
from mwan_hook.say import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any, TypeAlias, TypeVar

    from mwan_hook.model import Job

    T = TypeVar("T")
    Wait: TypeAlias = tuple[int, int, float]
    Steps: TypeAlias = Generator[Wait, int, T]

SO_BINDTOIFINDEX = 62  # by index, not by name: an interface that is renamed meanwhile stays the same one
SO_TIMESTAMPNS = 35
CLOSE_WAIT = 8  # linux/tcp_states.h
LONGEST_WORDS = 200  # characters of what an exception says
NEVER = float("inf")  # a probe that wants no wake-up
IP_HEADER = {Family.IPV4: 20, Family.IPV6: 40}

# What connect() and send() say themselves: no packet left.  A blackhole route gives EINVAL, a prohibit route EACCES.
_NO_WAY = {
    errno.ENODEV: "the interface is gone",
    errno.ENXIO: "the interface is gone",
    errno.ENETDOWN: "the interface is down",
    errno.EADDRNOTAVAIL: "the source address is gone",
    errno.ENETUNREACH: "no route",
    errno.EHOSTUNREACH: "no route",
    errno.EINVAL: "no route",
    errno.EACCES: "no route",
    errno.EAFNOSUPPORT: "the kernel lacks this address family",
}
_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ENOTCONN: "connection reset",  # between connecting and the first word
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "timed out",
    errno.EACCES: "prohibited",
    errno.EPERM: "dropped by this machine's packet filter",
}


class ProbeAnswer(NamedTuple):
    """What one probe saw; the fields of :class:`mwan_hook.model.Result` without its job."""

    connectivity: Connectivity
    rtt_ms: float | None = None
    error: str | None = None
    wire_bytes: int = 0


class Exchange:
    """What one probe has sent so far."""

    __slots__ = ("about", "busy", "meter", "sent", "spent")

    def __init__(self, sent: float | None = None) -> None:
        self.sent = sent  # when the first packet left; None: none has
        self.spent = 0  # bytes on the wire, both ways,
        self.meter: Callable[[], int] | None = None  # and those of sockets that are open
        self.busy: Callable[[], bool] | None = None  # True while something arrived that its thread has yet to read
        self.about = ""  # of whom an answer is waited for, where that is not the target

    def begin(self) -> None:
        """Note that a packet has just left: the deadline runs from the first."""
        if self.sent is None:
            self.sent = time.monotonic()

    def total(self) -> int:
        """Bytes so far."""
        return self.spent + (self.meter() if self.meter else 0)

    def settle(self) -> int:
        """Read the meter for the last time; bytes so far."""
        self.spent, self.meter = self.total(), None
        return self.spent


class BoundSocket(_socket.socket):
    """A non-blocking socket bound to the job's device and source address.

    Raises OSError where one of them is gone, MwanError where the caller lacks CAP_NET_RAW.
    """

    def __init__(self, job: Job, kind: int, protocol: int = 0) -> None:
        try:
            super().__init__(job.family.af, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, protocol)
        except PermissionError:
            raise MwanError("probing needs root (the capability CAP_NET_RAW)") from None
        try:
            self.setsockopt(_socket.SOL_SOCKET, SO_BINDTOIFINDEX, job.index)
            self.bind(endpoint(job, job.source))
        except OSError:
            self.close()
            raise

    def __enter__(self) -> BoundSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def guarded(action: Callable[..., T], *values: Any) -> T | ProbeAnswer:
    """What ``action`` returns; the answer ``limited`` of its target if it raises.

    The edge of every probe: a server, or a library that meets its reply, may raise anything, and other targets go on.
    Raises MwanError, which is about this machine, and what ends a generator.
    """
    try:
        return action(*values)
    except (MwanError, StopIteration):
        raise
    except Exception as error:  # noqa: BLE001 - all that a peer makes a library raise is that target's failure alone
        words = shown(f"the probe failed: {type(error).__name__}: {error}"[:LONGEST_WORDS])
        return ProbeAnswer(Connectivity.LIMITED, None, words)


def endpoint(job: Job, address: str, port: int = 0) -> tuple[str, int] | tuple[str, int, int, int]:
    """Socket address; a link-local one is that of the job's link."""
    if job.family is Family.IPV4:
        return address, port
    return address, port, 0, job.index if address.lower().startswith("fe80:") else 0


def literal(text: str, family: Family) -> bool:
    """True for an address of the family; False for a name (which must never reach the C library's resolver)."""
    return is_address(text) and Family.of(text) is family


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
            seconds, nanoseconds = struct.unpack("=qq", data)
            # The stamp is of the wall clock, which may be set meanwhile; a packet is never from the future.
            age: float = time.time() - seconds - nanoseconds / 1e9
            return now - max(0.0, age)
    return now


def timed_out(job: Job) -> ProbeAnswer:
    """Nothing came until the deadline."""
    return ProbeAnswer(Connectivity.LIMITED, None, f"timed out after {round(job.timeout, 3):g} s")


def not_sent(error: OSError) -> ProbeAnswer:
    """The answer where the kernel itself refused to bind, connect or send."""
    if error.errno in _NO_WAY:
        return ProbeAnswer(Connectivity.NONE, None, _NO_WAY[error.errno])
    return failed(error.errno or errno.EIO)


def failed(number: int, wire_bytes: int = 0, offender: str = "") -> ProbeAnswer:
    """The answer where the network said no; ``offender`` is who said it."""
    words = _WORDS.get(number) or os.strerror(number).lower()
    return ProbeAnswer(Connectivity.LIMITED, None, f"{words}, says {offender}" if offender else words, wire_bytes)


def tcp_bytes(sock: _socket.socket, family: Family) -> int:
    """Bytes that a TCP socket has put on the wire and taken from it so far, IP headers included.

    ``struct tcp_info`` of linux/tcp.h: state at 0, options at 5, bytes_received at 128, segs_out and segs_in at 136,
    bytes_sent at 200.  A SYN of Linux has 20 bytes of options, later segments 12 where time stamps are agreed on.
    """
    info = sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 232)
    if len(info) < 208:
        return 0
    segments_out, segments_in = struct.unpack_from("=2I", info, 136)
    header = IP_HEADER[family] + 20
    if not info[5]:  # no option agreed on: the SYN was not answered, or with a reset
        return int(segments_out * (header + 20) + segments_in * header)
    finished = info[0] == CLOSE_WAIT  # the other side's FIN counts as a byte received
    received, sent = struct.unpack_from("=Q", info, 128)[0], struct.unpack_from("=Q", info, 200)[0]
    return int((segments_out + segments_in) * (header + 12 * (info[5] & 1)) + 16 + received - finished + sent)
