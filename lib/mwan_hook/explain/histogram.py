"""Round trips in buckets that grow by a tenth: any percentile is within five per cent of the sample's.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

GROWTH = 1.1
SHORTEST, LONGEST = 0.01, 1e6  # ms; what is beyond counts as these
_STEP = math.log(GROWTH)


def bucket(rtt_ms: float) -> str:
    """The number of the bucket that a round trip falls into, as JSON's keys spell it."""
    return str(math.floor(math.log(min(LONGEST, max(SHORTEST, rtt_ms))) / _STEP))


def merged(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The buckets of all of them."""
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found


def percentile(counts: Mapping[str, int], percent: float) -> float | None:
    """Milliseconds that so many per cent of the round trips do not exceed; None where there are none."""
    total = sum(counts.values())
    rank = max(1, math.ceil(total * percent / 100))
    seen = 0
    for number in sorted(map(int, counts)):
        seen += counts[str(number)]
        if seen >= rank:
            return math.exp((number + 0.5) * _STEP)
    return None
