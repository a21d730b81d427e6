"""What the book of mails and the queue of posts have in common: order, pauses, and times of another boot.  Pure."""

from __future__ import annotations


def order(name: str) -> tuple[int, int]:
    """A key that sorts notices' ids (``<boottime>-<number>``)."""
    first, _, second = name.partition("-")
    return int(first) if first.isdigit() else 0, int(second) if second.isdigit() else 0


def pause(failures: int, least: float, most: float) -> float:
    """Seconds before the next try, after so many failures before this one."""
    return min(max(least, 1.0) * (1 << min(failures, 20)), max(most, 1.0))


def elapsed(at: float, written: float, now: float, wall: float) -> float:
    """What brings a time of the boot that ``at`` is of into this one, as an addend.

    ``written`` and ``wall`` are the clock on the wall at ``at`` and ``now``; it may be wrong, the uptime is not.
    """
    return now - max(now, wall - written) - at
