"""A moment of the past as people write it, and the frame of the record that tells of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator

from mwan_hook.durations import DAY, HOUR, MINUTE, UNITS
from mwan_hook.explain.frame import Frame
from mwan_hook.light import NamedTuple

Read = Callable[[float, float], Iterable[Frame]]

EXPECTED = "expected a time, as in 03:12, 2026-11-30, 2026-11-30T03:12 or 2h (ago)"
_UNITS = {**UNITS, "min": MINUTE}
_PART = r"(\d+(?:\.\d+)?)(min|[smhd])"
_AGO = re.compile(rf"-?(?:(?:{_PART}\s*)+|(\d+))")
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_CLOCK = re.compile(r"(?:(\d{4})-(\d{1,2})-(\d{1,2})[T ])?(\d{1,2}):(\d{2})(?::(\d{2}))?")
NEAR = (HOUR, DAY)  # seconds around a moment that are read, one after the other
FOREVER = 1e11  # seconds


def moment(text: str, now: float) -> float:
    """Seconds since the epoch.  Raises ValueError with words.

    A time with units (or seconds) lies so far back, a day is its beginning, and a time of the day is the last one that
    is past: today's, or yesterday's; so is an hour that the clocks repeat.
    """
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        parts = re.findall(_PART, text)
        back = sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else float(ago[3])
        return max(0.0, now - back)
    found = _CLOCK.fullmatch(f"{text}T00:00" if _DAY.fullmatch(text) else text)
    if not found:
        raise ValueError(f"{EXPECTED}, not {text}")
    year, month, day, hour, minute, second = (int(part) if part else 0 for part in found.groups())
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{EXPECTED}, not {text}")
    if found[1] is not None:
        return _dated((year, month, day), (hour, minute, second), text, now)
    today = time.localtime(now)[:3]
    wanted = [_at(today[0], today[1], today[2] - back, hour, minute, second) for back in (0, 1)]
    return max(at for times in wanted for at in times if at <= now)


def _dated(date: tuple[int, int, int], clock: tuple[int, int, int], text: str, now: float) -> float:
    times = [at for at in _at(*date, *clock) if time.localtime(at)[:3] == date]
    if not times:
        raise ValueError(f"there is no such time: {text}")
    past = [at for at in times if at <= now]
    if not past:
        raise ValueError(f"{text} is yet to come")
    return max(past)


def _at(year: int, month: int, day: int, hour: int, minute: int, second: int) -> list[float]:
    """The moments at which clocks show it here: two where an hour is repeated."""
    found = []
    for summer in (0, 1, -1):
        try:
            at = time.mktime((year, month, day, hour, minute, second, 0, 0, summer))
        except (OverflowError, ValueError):
            continue
        if summer == -1 or time.localtime(at)[3:5] == (hour, minute):
            found.append(at)
    return found


class Recorded(NamedTuple):
    """What the record has of a moment: the frame that holds then, or the nearest ones that there are."""

    frame: Frame | None
    before: float | None = None  # seconds since the epoch
    after: float | None = None


def recorded(read: Read, at: float, boot: str) -> Recorded:
    """The frame that holds at a moment.

    A run that changes nothing leaves none: so a frame holds until the next one, unless that says that something is
    missing between the two; and the last one holds as long as the boot lasts that is now (``boot``).
    """
    found = Recorded(None)
    for span in (*NEAR, FOREVER):
        found = _within(read(max(0.0, at - span), at + span), at, boot)
        if found.frame or (found.before is not None and found.after is not None):
            return found
    return found


def _within(frames: Iterable[Frame], at: float, boot: str) -> Recorded:
    last, following = _around(iter(frames), at)
    before, after = last.wall if last else None, following.wall if following else None
    if last is None:
        return Recorded(None, before, after)
    lasts = last.boot == boot if following is None else last.boot == following.boot and not following.gap
    return Recorded(last if lasts or last.wall >= at - 1 else None, before, after)


def _around(frames: Iterator[Frame], at: float) -> tuple[Frame | None, Frame | None]:
    """The last frame up to a moment, and the first one after it."""
    last = None
    for frame in frames:
        if frame.wall > at:
            return last, frame
        last = frame
    return last, None
