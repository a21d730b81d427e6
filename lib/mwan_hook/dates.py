"""Moments of the wall clock (seconds since the epoch), as programs and people read them."""

from __future__ import annotations

import time

MINUTE, SECOND = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"
CLOCK, CLOCK_SECOND = "%H:%M", "%H:%M:%S"
_BEYOND = (OverflowError, OSError, ValueError)  # a year that the C library has no calendar for


def utc(at: float) -> str | None:
    """``2026-11-30T07:00:12+00:00``, for programs; None where no calendar has its year."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at))
    except _BEYOND:
        return None


def local(at: float, form: str) -> str:
    """The moment here, as strftime(3) spells it; the seconds themselves where no calendar has its year."""
    try:
        return time.strftime(form, time.localtime(at))
    except _BEYOND:
        return f"{at:.0f}"


def midnight(day: str) -> float:
    """The beginning here of a day as it stands in a calendar: YYYY-MM-DD.  Raises ValueError, OverflowError."""
    year, month, number = map(int, day.split("-"))
    return time.mktime((year, month, number, 0, 0, 0, 0, 0, -1))


def same_day(at: float, other: float) -> bool:
    """Whether two moments are of one day here."""
    return local(at, "%Y-%m-%d") == local(other, "%Y-%m-%d")
