"""Sockets that can leave by one uplink only, and plain words for what goes wrong with them.

A probe is a generator: it yields :data:`Wait` (file descriptor, poll mask, time to be woken at) and is sent the
mask that came true, or 0 when that time has come.  It returns an :class:`ProbeAnswer`.  Times are ``time.monotonic()``.
It knows no deadline: it notes in its :class:`Exchange` when its first packet left and what was spent, and the loop that
runs it gives it up, or goes on with it in a later round.
"""

from __future__ import annotations

import _socket
import errno
import time

from mwan_hook import plainos as os
from mwan_hook.addresses import is_address
from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.model import Connectivity, Family, MwanError
from mwan_hook.probes import plain
from mwan_hook.say import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias, TypeVar

    from mwan_hook.model import Job

    T = TypeVar("T")
    Wait: TypeAlias = tuple[int, int, float]
    Steps: TypeAlias = Generator[Wait, int, T]

LONGEST_WORDS = 200  # characters of what an exception says
NEVER = float("inf")  # a probe that wants no wake-up
IP_HEADER = {family: plain.HEADER[family.af] for family in Family}

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
            plain.tie(self, job.family.af, job.source, job.index)
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
    return plain.endpoint(job.family.af, address, port, job.index)


def literal(text: str, family: Family) -> bool:
    """True for an address of the family; False for a name (which must never reach the C library's resolver)."""
    return is_address(text) and Family.of(text) is family


def timed_out(job: Job) -> ProbeAnswer:
    """Nothing came until the deadline."""
    return ProbeAnswer(Connectivity.LIMITED, None, f"{_WORDS[errno.ETIMEDOUT]} after {round(job.timeout, 3):g} s")


def is_silence(error: str | None) -> bool:
    """Whether these words of a Result say that nothing at all came back."""
    words = error or ""
    return _WORDS[errno.ETIMEDOUT] in words or words.endswith(_WORDS[errno.EHOSTUNREACH])


def not_sent(error: OSError) -> ProbeAnswer:
    """The answer where the kernel itself refused to bind, connect or send."""
    if error.errno in _NO_WAY:
        return ProbeAnswer(Connectivity.NONE, None, _NO_WAY[error.errno])
    return failed(error.errno or errno.EIO)


def failed(number: int, wire_bytes: int = 0, offender: str = "") -> ProbeAnswer:
    """The answer where the network said no; ``offender`` is who said it."""
    words = _WORDS.get(number) or os.strerror(number).lower()
    return ProbeAnswer(Connectivity.LIMITED, None, f"{words}, says {offender}" if offender else words, wire_bytes)
