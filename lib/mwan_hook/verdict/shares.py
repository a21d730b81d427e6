"""What samples say of a limit: the share that is beyond it, and whether that is no accident.  Pure."""

from __future__ import annotations

from math import sqrt

from mwan_hook.light import NamedTuple
from mwan_hook.verdict import window as windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.model import Bucket

CONFIDENCE = 1.959964  # standard deviations of an interval of 95 %
HALF = 0.5  # of round trips: the median


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


def findings(seen: Bucket, limit: windows.Limits, low: bool) -> Iterator[Share]:
    """What was seen of each limit that is set; ``low``: of those that are to be kept again."""
    timed = seen.sent - seen.lost
    if limit.loss_high:
        percent = limit.loss_low if low else limit.loss_high
        words = f"loss {_percent(seen.lost, seen.sent)} of {seen.sent} (limit {percent:g} %)"
        yield Share("loss", seen.lost, seen.sent, percent / 100, words)
    if limit.latency_high:
        most = limit.latency_low if low else limit.latency_high
        yield _timed("latency", seen.not_quick if low else seen.slow, timed, seen.total_ms, most)
    if limit.jitter_high:
        most = limit.jitter_low if low else limit.jitter_high
        yield _timed("jitter", seen.not_even if low else seen.rough, seen.pairs, seen.jitter_ms, most)


def _timed(name: str, beyond: int, of: int, total_ms: int, most: float) -> Share:
    mean = f"{total_ms / of:.0f} ms" if of else "unknown"
    words = f"{name} {mean}, {_percent(beyond, of)} of {of} above (limit {most:g} ms)"
    return Share(name, beyond, of, HALF, words)


def _percent(part: int, of: int) -> str:
    return f"{100 * part / of:.0f} %" if of else "0 %"
