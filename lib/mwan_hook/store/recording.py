"""The record of what verdicts were made from, as it is read (:mod:`mwan_hook.model.recording`).

What cannot be read (torn, foreign, of a newer version) is left out, and all that builds on it up to the next segment.
"""

from __future__ import annotations

from bisect import bisect_right

from mwan_hook import plainjson
from mwan_hook.model import (
    AnswerRecord,
    BaseRecord,
    BytesRecord,
    ConfigRecord,
    FactsRecord,
    RunRecord,
)
from mwan_hook.store import codec, days, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeAlias

    Record: TypeAlias = ConfigRecord | FactsRecord | BaseRecord | RunRecord | BytesRecord

VERSION = 1
_BEGINNING = 40  # bytes of a line that have its kind
SAMPLE = b'{"v":1,"k":"bytes"'  # how its line begins
BEGIN = b'{"v":1,"k":"config"'  # how the line of a configuration does, with which each segment begins
KINDS = {"config": ConfigRecord, "facts": FactsRecord, "base": BaseRecord, "run": RunRecord, "bytes": BytesRecord}


def read(root: str, since: float) -> Iterator[Record]:
    """All that is on record, the oldest first, in segments that can be played.  Raises MwanError.

    Days below /var that were over at ``since``, seconds since the epoch, are left out, and of the others segments that
    begin before it, but the last one: two days of many uplinks are dear to parse, and are looked at every hour.
    """
    yield from playable(_needed(_lines(root, since), since))


def _needed(lines: Iterable[bytes], since: float) -> Iterator[bytes]:
    """The lines but those of segments that begin before a moment as the next one does; of these the samples alone."""
    held: list[bytes] = []
    early = False
    for part in segments(lines):
        before, early = early, next((at["wall"] for line in part if (at := at_of(line))), since) < since
        yield from [line for line in held if line.startswith(SAMPLE)] if before and early else held
        held = part
    yield from held


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


def _lines(root: str, since: float) -> Iterator[bytes]:
    known, number = days.listed(root), 0
    for day in known:
        if day.end + days.DAY >= since or day is known[-1]:
            if day.number != number + 1:
                yield days.LOST
            lost = False
            for line in days.lines(day.path):
                if lost and line != days.LOST:
                    yield days.LOST
                lost = line == days.LOST
                if not lost:
                    yield line
            if lost and day is not known[-1]:  # else it is a torn flush: the ring has it still
                yield days.LOST
            number = day.number
    yield from unflushed(root)


def unflushed(root: str) -> list[bytes]:
    """Lines of the ring that are not below /var yet, with samples in their places.  Raises MwanError."""
    boot, now = flushed(root)
    lines = _whole(root, files.RECORD)
    found = [at_of(line) for line in lines]
    known = [place for place, at in enumerate(found) if at and at["boot"] == boot and at["now"] <= now]
    start = known[-1] + 1 if known else 0
    return _with_samples(lines[start:], _whole(root, files.RECORD_SAMPLES), (boot, now))


def flushed(root: str) -> tuple[str, float]:
    """Boot and time of the last run that is below /var."""
    for day in reversed(days.listed(root)):
        for text, _ in days.latest(day.path):
            for line in reversed(text.splitlines(keepends=True)):
                if at := at_of(line):
                    return at["boot"], at["now"]
    return "", 0.0


def at_of(line: bytes) -> dict[str, Any]:
    """The last field of a run's line; empty of another one, or one that cannot be read."""
    found = plainjson.last_object(line, b"at")
    try:
        codec.decoder("At")(found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return found


def _with_samples(lines: list[bytes], samples: list[bytes], after: tuple[str, float]) -> list[bytes]:
    """The lines with each sample behind the last run before it; those before ``after`` were flushed."""
    known: dict[str, list[tuple[float, int]]] = {}  # times of runs and their places, by boot
    for place, line in enumerate(lines):
        if at := at_of(line):
            known.setdefault(at["boot"], []).append((at["now"], place))
    behind: dict[int, list[bytes]] = {}
    for sample in samples:
        one = parsed(sample)
        if not isinstance(one, BytesRecord) or (one.boot == after[0] and one.now <= after[1]):
            continue
        runs = known.get(one.boot, ())
        if before := bisect_right(runs, (one.now, len(lines))):
            behind.setdefault(runs[before - 1][1], []).append(sample)
    return [found for place, line in enumerate(lines) for found in (line, *behind.get(place, ()))]


def configs(root: str) -> Iterator[ConfigRecord]:
    """The configurations that are on record, without a look at what was judged under them.  Raises MwanError."""
    for line in _lines(root, 0.0):
        if b'"config"' in line[:_BEGINNING] and isinstance(found := parsed(line), ConfigRecord):
            yield found


def playable(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of these lines; after one that cannot be read, none before the next segment."""
    whole, boot, now = False, "", 0.0
    for line in lines:
        found = parsed(line)
        if isinstance(found, BytesRecord):
            yield found
            continue
        whole = found is not None and (whole or isinstance(found, ConfigRecord))
        if isinstance(found, RunRecord):
            whole = whole and not (found.at.boot == boot and found.at.now <= now)  # it was there before
            boot, now = (found.at.boot, found.at.now) if whole else (boot, now)
        if whole and found is not None:
            yield found


def parsed(line: bytes) -> Record | None:
    """The record of a line; None if that is not one."""
    try:
        raw = plainjson.loads(line)
        if raw["v"] != VERSION:
            return None
        kind: str = KINDS[raw["k"]].__name__
        if kind == RunRecord.__name__:
            _rows(raw)
        found: Record = codec.decoder(kind)(raw)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    return found


def _rows(raw: dict[str, Any]) -> None:
    """Name the values of answers, which are in the order of the fields."""
    for one in raw.get("rounds", ()):
        answers = one.get("answers", ())
        one["answers"] = [dict(zip(AnswerRecord._fields, row, strict=False)) for row in answers]


def _whole(root: str, place: str) -> list[bytes]:
    """The lines of two files that are not torn."""
    found = [line for one in _contents(root, place) for line in one.splitlines(keepends=True)]
    return [line for line in found if line.endswith(b"\n")]


def _contents(root: str, place: str) -> Iterator[bytes]:
    path = files.under(root, place)
    for name in (f"{path}.1", path):
        try:
            yield files.read(name) or b""
        except ValueError:
            continue  # not ours
