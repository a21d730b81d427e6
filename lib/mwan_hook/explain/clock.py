"""Moments of a view in local time."""

from __future__ import annotations

from mwan_hook import dates
from mwan_hook.durations import HOUR, duration
from mwan_hook.explain.values import Situation


def wall_of(view: Situation, moment: float) -> float:
    """Seconds since the epoch of a CLOCK_BOOTTIME moment."""
    return view.wall - view.now + moment


def spelled(view: Situation, moment: float) -> str:
    """``12:04:30`` within an hour, else ``12:04``; of another day the date, too."""
    return local(wall_of(view, moment), view.wall)


def local(wall: float, today: float) -> str:
    """A moment (seconds since the epoch) as it is written on the day of another one."""
    return _written(wall, today, abs(wall - today) < HOUR)


def exact(wall: float, today: float) -> str:
    """The same with its seconds, however long ago it was; a full minute has none."""
    return _written(wall, today, wall % 60 >= 1)


def _written(wall: float, today: float, seconds: bool) -> str:
    if dates.same_day(wall, today):
        return dates.local(wall, dates.CLOCK_SECOND if seconds else dates.CLOCK)
    return dates.local(wall, dates.SECOND if seconds else dates.MINUTE)


def since(view: Situation, moment: float) -> str:
    """``07:12 (2 h 3 min)``."""
    return f"{spelled(view, moment)} ({duration(view.now - moment)})"


def day(view: Situation, text: str) -> float | None:
    """The CLOCK_BOOTTIME moment at which a day (YYYY-MM-DD) begins here; None where that is no day."""
    try:
        return dates.midnight(text) - view.wall + view.now
    except (ValueError, OverflowError):
        return None
