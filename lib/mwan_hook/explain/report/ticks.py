"""Where days and hours begin here, for the axis below a plot."""

from __future__ import annotations

import time

from mwan_hook import dates
from mwan_hook.durations import DAY, HOUR

MOST = 7
_HOURS = (1, 2, 3, 6, 12)
_DAYS = (1, 2, 5, 7, 14, 30, 61, 122, 365, 730, 1825)


def ticks(since: float, until: float) -> list[tuple[float, str]]:
    """Moments in local time, at most MOST of them, and what is written there."""
    length = until - since
    hours = next((step for step in _HOURS if length / (step * HOUR) <= MOST), 0)
    if hours:
        return [(at, dates.local(at, dates.CLOCK)) for at in _of_hours(since, until, hours)]
    days = next((step for step in _DAYS if length / (step * DAY) <= MOST), _DAYS[-1])
    return [(at, _date(at, days)) for at in _of_days(since, until, days)]


def _of_hours(since: float, until: float, step: int) -> list[float]:
    """Full hours of the day that the step divides; an hour that the clocks skip or repeat moves none."""
    first = int(since // HOUR) * HOUR
    return [
        float(at) for at in range(first, int(until) + 1, HOUR) if at >= since and time.localtime(at).tm_hour % step == 0
    ]


def _of_days(since: float, until: float, step: int) -> list[float]:
    """Midnights, counted back from the last one."""
    year, month, day = time.localtime(until)[:3]
    found = []
    at = _midnight(year, month, day)
    while at >= since:
        found.append(at)
        day -= step
        at = _midnight(year, month, day)
    return found[::-1]


def _midnight(year: int, month: int, day: int) -> float:
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))


def _date(at: float, step: int) -> str:
    there = time.localtime(at)
    month = _MONTHS[there.tm_mon - 1]
    return f"{month} {there.tm_year}" if step > 31 else f"{there.tm_mday} {month}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
