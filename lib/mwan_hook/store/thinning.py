"""What is kept of the record below /var: all of it for a time, what is around transitions for longer.  By size, too."""

from __future__ import annotations

from bisect import bisect_left

from mwan_hook.store import days
from mwan_hook.store.recording import BEGIN, at_of, segments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.store.days import Day

LONGER = 4  # times as long as the rest what is around transitions is kept
AROUND = 600.0  # seconds before and after a transition
HAPPENED = b'"happened":[{'


def thin(root: str, keep: float, size: int, now: float, more: int) -> None:
    """Let go what is too old or too much.  ``more``: bytes that something else takes.  Raises OSError and MwanError.

    Nothing is too old by a clock that differs from the newest files' by more than what is kept: it may be wrong.
    """
    known = days.listed(root)
    if len(known) > 1 and abs(now - known[-2].end) <= keep + days.DAY:
        for place, day in enumerate(known[:-1]):
            _age(known, place, (now - day.end) / keep)
    _shrink(root, size - more)


def _age(known: Sequence[Day], place: int, age: float) -> None:
    if age >= LONGER:
        days.drop(known[place])
    elif age >= 1 and not known[place].around:
        _reduce(known, place)


def _reduce(known: Sequence[Day], place: int) -> None:
    """Leave of a file what is around transitions, those of the days beside it too."""
    near = known[max(0, place - 1) : place + 2]
    moments = sorted(moment for day in near for moment in transitions(days.lines(day.path)))
    following = known[place + 1 : place + 2]
    goes_on = any(not next(days.lines(day.path), BEGIN).startswith(BEGIN) for day in following)
    days.keep_around(known[place], around(days.lines(known[place].path), moments, goes_on))


def _shrink(root: str, most: int) -> None:
    """The oldest days go first; but what is around transitions when nothing else is left."""
    known = days.listed(root)
    while sum(day.size for day in known) > most:
        whole = [place for place, day in enumerate(known[:-1]) if not day.around]
        if whole:
            _reduce(known, whole[0])
        elif len(known) > 1:
            days.drop(known[0])
        else:
            if known and known[0].size > most:
                days.shorten(known[0], most)
            return
        known = days.listed(root)


def transitions(lines: Iterable[bytes]) -> list[float]:
    """When anything happened, seconds since the epoch."""
    return [at["wall"] for line in lines if HAPPENED in line and (at := at_of(line))]


def around(lines: Iterable[bytes], moments: Sequence[float], goes_on: bool) -> Iterator[bytes]:
    """What is needed to play the time around these moments, which are in order.

    ``goes_on``: the next file begins with the rest of the last segment, and cannot be played without it.
    """
    last: list[bytes] = []
    for part in segments(lines):
        yield from _shortened(last, moments)
        last = part
    yield from last if goes_on else _shortened(last, moments)


def _shortened(part: list[bytes], moments: Sequence[float]) -> list[bytes]:
    """What is needed of a segment; LOST stands where it ends too early for what may follow."""
    end = next((place + 1 for place in range(len(part) - 1, -1, -1) if _is_near(part[place], moments)), 0)
    return [*part[:end], days.LOST] if end < len(part) else part


def _is_near(line: bytes, moments: Sequence[float]) -> bool:
    at = at_of(line)
    place = bisect_left(moments, at["wall"] - AROUND) if at else len(moments)
    return place < len(moments) and moments[place] <= at["wall"] + AROUND
