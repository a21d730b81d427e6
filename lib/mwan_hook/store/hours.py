"""The sums of each hour, as they are read: a JSON line each, the oldest first."""

from __future__ import annotations

from mwan_hook import plainjson
from mwan_hook.store import codec, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.model import Hour

PLACE = files.LIB + "/record/hours"
VERSION = 1
MOST = files.LARGEST // 2  # bytes


def line(hour: Hour) -> bytes:
    """The line of an hour."""
    return plainjson.dumps({"v": VERSION, **codec.plain(hour)}).encode() + b"\n"


def read(root: str, since: float) -> tuple[Hour, ...]:
    """Hours that cover anything after a moment; a line that cannot be read is left out.  Raises MwanError."""
    try:
        text = files.read(files.under(root, PLACE)) or b""
    except ValueError:
        return ()  # not ours
    found = [hour for one in text.split(b"\n") if (hour := _parsed(one, since))]
    return tuple(sorted(found, key=lambda hour: (hour.begin, hour.since)))


def fitting(known: Iterable[Hour], most: int) -> bytes:
    """The lines of the newest of these hours that take no more than ``most`` bytes."""
    lines = [*map(line, known)]
    size = sum(map(len, lines))
    while lines and size > most:
        size -= len(lines.pop(0))
    return b"".join(lines)


def _parsed(one: bytes, since: float) -> Hour | None:
    try:
        raw = plainjson.loads(one)
        if raw["v"] != VERSION or raw["until"] <= since:
            return None
        found: Hour = codec.decoder("Hour")(raw)
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return found
