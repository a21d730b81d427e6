"""The record of what verdicts were made from, as it is read (:mod:`mwan_hook.model.recording`).

What cannot be read (torn, foreign, of a newer version) is left out, and all that builds on it up to the next segment.
"""

from __future__ import annotations

from mwan_hook import plainjson
from mwan_hook.model import (
    AnswerRecord,
    BaseRecord,
    BytesRecord,
    ConfigRecord,
    FactsRecord,
    RunRecord,
)
from mwan_hook.store import codec, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeAlias

    Record: TypeAlias = ConfigRecord | FactsRecord | BaseRecord | RunRecord | BytesRecord

VERSION = 1
_BEGINNING = 40  # bytes of a line that have its kind
KINDS = {"config": ConfigRecord, "facts": FactsRecord, "base": BaseRecord, "run": RunRecord, "bytes": BytesRecord}


def read(root: str) -> Iterator[Record]:
    """All that is on record, the oldest first, in segments that can be played.  Raises MwanError."""
    yield from playable(line for one in _contents(root) for line in one.splitlines())


def configs(root: str) -> Iterator[ConfigRecord]:
    """The configurations that are on record, without a look at what was judged under them.  Raises MwanError."""
    for line in (line for one in _contents(root) for line in one.splitlines()):
        if b'"config"' in line[:_BEGINNING] and isinstance(found := parsed(line), ConfigRecord):
            yield found


def playable(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of these lines; after one that cannot be read, none before the next segment."""
    whole = False
    for line in lines:
        found = parsed(line)
        if isinstance(found, BytesRecord):
            yield found
            continue
        whole = found is not None and (whole or isinstance(found, ConfigRecord))
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


def _contents(root: str) -> Iterator[bytes]:
    path = files.under(root, files.RECORD)
    for name in (f"{path}.1", path):
        try:
            yield files.read(name) or b""
        except ValueError:
            continue  # not ours
