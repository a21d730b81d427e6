"""What is kept of the record below /var: all of it for a time, what is around transitions for longer.  By size, too."""

from __future__ import annotations

from mwan_hook.store import days
from mwan_hook.store.recording import at_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.store.days import Day

LONGER = 4  # times as long as the rest what is around transitions is kept
AROUND = 600.0  # seconds before and after a transition
HAPPENED = b'"happened":[{'
BEGIN = b'{"v":1,"k":"config"'


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
    texts = {day.number: days.content(day.path).lines for day in near}
    moments = [at for lines in texts.values() for at in transitions(lines)]
    days.keep_around(known[place], list(around(texts[known[place].number], moments)))


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


def segments(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in parts that can be played alone; what is before the first is one, too."""
    part: list[bytes] = []
    for line in lines:
        if line.startswith(BEGIN) and part:
            yield part
            part = []
        part.append(line)
    if part:
        yield part


def around(lines: Iterable[bytes], moments: Sequence[float]) -> Iterator[bytes]:
    """What is needed to play the time around these moments."""
    for part in segments(lines):
        if part[0].startswith(BEGIN):
            yield from part[: _needed(part, moments)]


def _needed(part: Sequence[bytes], moments: Sequence[float]) -> int:
    for place in range(len(part) - 1, -1, -1):
        at = at_of(part[place])
        if at and any(abs(at["wall"] - moment) <= AROUND for moment in moments):
            return place + 1
    return 0
