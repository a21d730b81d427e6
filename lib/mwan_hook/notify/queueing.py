"""What the book of mails and the queue of posts have in common: the order of notices, and pauses.  Pure."""

from __future__ import annotations


def order(name: str) -> tuple[int, int]:
    """A key that sorts notices' ids (``<boottime>-<number>``)."""
    first, _, second = name.partition("-")
    return int(first) if first.isdigit() else 0, int(second) if second.isdigit() else 0


def pause(failures: int, least: float, most: float) -> float:
    """Seconds before the next try, after so many failures before this one."""
    return min(max(least, 1.0) * (1 << min(failures, 20)), max(most, 1.0))
