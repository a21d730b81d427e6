"""Samples of the last ``window`` seconds, in a bounded number of buckets.  Pure; times are CLOCK_BOOTTIME seconds."""

from __future__ import annotations

from itertools import pairwise

from mwan_hook.light import NamedTuple
from mwan_hook.model import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import Measured, Probe

PARTS = 16  # buckets in a window, so that the state stays small however often is measured
KEPT = 1.5  # windows: one that leads back is looked at a little after its end


class Limits(NamedTuple):
    """What an uplink may lose and how slow it may be; 0: no such limit.  Low ones of 0 are the high ones."""

    loss_high: float  # percent
    loss_low: float
    latency_high: float  # ms
    latency_low: float
    jitter_high: float  # ms
    jitter_low: float


def limits(probe: Probe) -> Limits:
    """The limits in force."""
    return Limits(
        probe.loss_high,
        probe.loss_low or probe.loss_high,
        probe.latency_high,
        probe.latency_low or probe.latency_high,
        probe.jitter_high,
        probe.jitter_low or probe.jitter_high,
    )


def bucket(measured: Measured, limit: Limits, at: float) -> Bucket:
    """What echoes say, in numbers."""
    rtts = measured.rtts
    steps = [abs(later - earlier) for earlier, later in pairwise(rtts)]
    return Bucket(
        at,
        measured.sent,
        measured.lost,
        _above(rtts, limit.latency_high),
        _above(rtts, limit.latency_low),
        len(steps),
        _above(steps, limit.jitter_high),
        _above(steps, limit.jitter_low),
        round(sum(rtts)),
        round(sum(steps)),
    )


def _above(values: Iterable[float], limit: float) -> int:
    return sum(value > limit for value in values) if limit else 0


def added(buckets: Sequence[Bucket], new: Bucket, window: float) -> tuple[Bucket, ...]:
    """The buckets with one more; those that are too old for any question are gone, near ones are one."""
    kept = [one for one in buckets if 0 <= new.at - one.at < KEPT * window]
    if kept and new.at - kept[-1].at < window / PARTS:
        return (*kept[:-1], total((kept[-1], new)))
    return (*kept, new)


def recent(buckets: Iterable[Bucket], since: float) -> Bucket:
    """All that was measured since then."""
    return total(one for one in buckets if one.at >= since)


def total(buckets: Iterable[Bucket]) -> Bucket:
    """The sum, as of the first one."""
    found = tuple(buckets)
    if not found:
        return Bucket(0.0)
    return Bucket(found[0].at, *(sum(numbers) for numbers in zip(*(one[1:] for one in found), strict=True)))
