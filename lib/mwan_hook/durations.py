"""How long something takes, in words, and words of it.  Pure."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": 1}  # as options and files spell them, the largest first


def measured(text: str) -> tuple[str, int]:
    """The number of ``90s`` or ``30d``, still as text, and the seconds of its unit; without one it is of seconds."""
    return (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)


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
