"""How long something took or will take, in words.  Pure."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """A duration in its two largest units: ``42 s``, ``2 min 3 s``, ``1 h 5 min``, ``3 d 4 h``."""
    whole = round(max(0.0, seconds))
    for size, word, smaller, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {word}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def largest_unit(seconds: float) -> str:
    """Whole number of the largest unit, for a column: ``45s``, ``12min``, ``3h``, ``5d``."""
    return "".join(duration(int(seconds)).split()[:2])
