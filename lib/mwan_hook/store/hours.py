"""The sums of each hour, as they are read: a JSON line each, the oldest first."""

from __future__ import annotations

from mwan_hook import plainjson
from mwan_hook.model import MwanError
from mwan_hook.store import codec, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Hour

PLACE = files.LIB + "/record/hours"
VERSION = 1


def line(hour: Hour) -> bytes:
    """The line of an hour."""
    return plainjson.dumps({"v": VERSION, **codec.plain(hour)}).encode() + b"\n"


def read(root: str, since: float) -> tuple[Hour, ...]:
    """Hours that cover anything after a moment; a line that cannot be read is left out.  Raises MwanError."""
    path = files.under(root, PLACE)
    try:
        with open(path, "rb") as file:
            found = [hour for one in file if (hour := _parsed(one, since))]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise MwanError(f"cannot read {path}: {files.why(error)}") from error
    return tuple(sorted(found, key=lambda hour: (hour.begin, hour.since)))


def _parsed(one: bytes, since: float) -> Hour | None:
    try:
        raw = plainjson.loads(one)
        if raw["v"] != VERSION or raw["until"] <= since:
            return None
        found: Hour = codec.decoder("Hour")(raw)
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return found
