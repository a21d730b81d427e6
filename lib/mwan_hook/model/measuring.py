"""What is measured of an uplink that has limits: echoes that were sent, lost and slow; and what traffic says of it."""

from __future__ import annotations

from mwan_hook.light import NamedTuple


class Measured(NamedTuple):
    """Echoes that were sent within a second or so, each waited for as long as it could be answered."""

    sent: int
    rtts: tuple[float, ...] = ()  # ms, of those that were answered, in the order in which they were sent
    burst: bool = False  # enough of them to count against an uplink
    wire_bytes: int = 0

    @property
    def lost(self) -> int:
        """How many were not answered."""
        return self.sent - len(self.rtts)


class Bucket(NamedTuple):
    """The samples of a short while: how many there were, and how many were beyond each limit."""

    at: float  # CLOCK_BOOTTIME seconds of the first one
    sent: int = 0
    lost: int = 0
    slow: int = 0  # above latency_high
    not_quick: int = 0  # above latency_low
    pairs: int = 0  # of answers one after the other, whose difference is the jitter
    rough: int = 0  # above jitter_high
    not_even: int = 0  # above jitter_low
    total_ms: int = 0  # of round trips, for people
    jitter_ms: int = 0  # of differences


class Quality(NamedTuple):
    """What is remembered of one family of one uplink that has limits; times are CLOCK_BOOTTIME seconds."""

    way: str = ""  # Way.key that all this was measured on
    at: float = 0.0  # of the last samples
    buckets: tuple[Bucket, ...] = ()
    bursts: tuple[float, ...] = ()  # when the last ones were
    doubted: bool = False  # something was lost or slow: a burst is due
    checked_at: float = 0.0  # when it was degraded, or a return was last looked into
    checking: bool = False  # the window that began then may lead back
    kept: bool = False  # `degraded = keep`: it is told of, and carries as before
    reason: str = ""  # why it is degraded, or is not any more


class Counted(NamedTuple):
    """New TCP connections that went out by one family of an uplink, and first answers that came in."""

    begun: int = 0
    answered: int = 0


class Evidence(NamedTuple):
    """What is remembered of what traffic says; times are CLOCK_BOOTTIME seconds."""

    way: str = ""  # Way.key that all this was seen on
    counters: Counted = Counted()  # at the last round
    seen: Counted = Counted()  # since the round before, when they spoke last ...
    seen_at: float = 0.0  # ... which was then
    spared_at: float = 0.0  # when answers last stood for a round
    silent: bool = False  # many had no answer: only an answer over TCP is a good round
    deciding: tuple[str, ...] = ()  # targets that are asked for one
    proven: tuple[str, ...] = ()  # those that were made up, and have answered
    tried_at: float = 0.0  # when made-up ones were asked last
