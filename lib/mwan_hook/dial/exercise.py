"""When an uplink that stands by is dialled to see that it works."""

from __future__ import annotations

from mwan_hook.model import Exercise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Dial

DAY = 86400.0
EVERY = {Exercise.WEEKLY: 7 * DAY, Exercise.MONTHLY: 30 * DAY}
EARLY = DAY / 2  # a window that opens a little sooner than a whole period later counts


def due(dial: Dial, exercised_at: float, wall: float, minute: int) -> bool:
    """Whether it is time; ``minute`` of the local day.  A window may lie over midnight."""
    every = EVERY.get(dial.exercise)
    if every is None or not in_window(dial.exercise_at, minute):
        return False
    return not exercised_at or wall - exercised_at >= every - EARLY or wall < exercised_at - DAY


def in_window(window: tuple[int, int], minute: int) -> bool:
    """Whether a minute of the day lies in a window; its end does not."""
    first, last = window
    return first <= minute < last if first < last else minute >= first or minute < last
