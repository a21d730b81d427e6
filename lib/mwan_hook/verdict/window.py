"""Samples of the last ``window`` seconds, in a bounded number of buckets, and what they say of limits for sure.  Pure.

Times are CLOCK_BOOTTIME seconds.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

from mwan_hook.light import NamedTuple
from mwan_hook.model import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.model import Measured, Probe

PARTS = 16  # buckets in a window, so that the state stays small however often is measured
KEPT = 1.5  # windows: one that leads back is looked at a little after its end
CONFIDENCE = 1.959964  # standard deviations of an interval of 95 %
HALF = 0.5  # of round trips: the median


def bucket(measured: Measured, probe: Probe, at: float) -> Bucket:
    """What echoes say, in numbers."""
    rtts = measured.rtts
    steps = [abs(later - earlier) for earlier, later in pairwise(rtts)]
    return Bucket(
        at,
        measured.sent,
        measured.lost,
        _above(rtts, probe.latency_high),
        _above(rtts, probe.latency_low or probe.latency_high),
        len(steps),
        _above(steps, probe.jitter_high),
        _above(steps, probe.jitter_low or probe.jitter_high),
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


class Share(NamedTuple):
    """One limit and what was seen of it."""

    name: str
    seen: int  # beyond it
    of: int
    share: float  # that may be, 0 to 1
    words: str

    @property
    def above(self) -> bool:
        """Whether more than the share are beyond it, for all that is known."""
        return self.of > 0 and self.seen / self.of > self.share

    @property
    def sure(self) -> bool:
        """Whether that is no accident."""
        return lower_bound(self.seen, self.of) > self.share


def lower_bound(seen: int, of: int) -> float:
    """Wilson's lower bound of a share; 0 where nothing is known."""
    if of <= 0:
        return 0.0
    share, z2 = min(1.0, seen / of), CONFIDENCE * CONFIDENCE
    spread = CONFIDENCE * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (share + z2 / (2 * of) - spread) / (1 + z2 / of))


def findings(seen: Bucket, probe: Probe, low: bool) -> Iterator[Share]:
    """What was seen of each limit that is set; ``low``: of those that are to be kept again, else the same ones."""
    timed = seen.sent - seen.lost
    if probe.loss_high:
        percent = (low and probe.loss_low) or probe.loss_high
        words = f"loss {_percent(seen.lost, seen.sent)} of {seen.sent} (limit {percent:g} %)"
        yield Share("loss", seen.lost, seen.sent, percent / 100, words)
    if probe.latency_high:
        most = (low and probe.latency_low) or probe.latency_high
        yield _timed("latency", seen.not_quick if low else seen.slow, timed, seen.total_ms, most)
    if probe.jitter_high:
        most = (low and probe.jitter_low) or probe.jitter_high
        yield _timed("jitter", seen.not_even if low else seen.rough, seen.pairs, seen.jitter_ms, most)


def _timed(name: str, beyond: int, of: int, total_ms: int, most: float) -> Share:
    mean = f"{total_ms / of:.0f} ms" if of else "unknown"
    words = f"{name} {mean}, {_percent(beyond, of)} of {of} above (limit {most:g} ms)"
    return Share(name, beyond, of, HALF, words)


def _percent(part: int, of: int) -> str:
    return f"{100 * part / of:.0f} %" if of else "0 %"
