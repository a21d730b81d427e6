"""``mwan-hook history``: what changed, when and why."""

from __future__ import annotations

import json
import os
import sys
import time

from mwan_hook.model import Transition
from mwan_hook.say import say, shown
from mwan_hook.store import history

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NARROWEST = 120  # columns; a terminal narrower than that gets broken lines, but the reason
WIDEST = 48  # columns of a cell before the reason
_HEADER = ("TIME", "UPLINK", "INTERFACE", "FAMILY", "CHANGE", "REASON")


def run(root: str, uplink: str | None, as_json: bool) -> int:
    """Print the transitions, the newest last; of one uplink, or of all of a template by its name.  Raises MwanError."""
    found = [one for one in history.read(root) if uplink is None or _is_of(one, uplink)]
    if as_json:
        say(json.dumps([_record(one) for one in found], indent=1).split("\n"))
    elif found:
        say(_table(found, _width()))
    return 0


def _is_of(one: Transition, uplink: str) -> bool:
    return one.uplink == uplink or one.uplink.startswith(f"{uplink}@")


def _record(one: Transition) -> dict[str, object]:
    return {**one._asdict(), "family": one.family.value if one.family else None, "at": _utc(one.at)}


def _table(found: list[Transition], width: int | None) -> list[str]:
    """Columns as wide as they need to be; only the last, the reason, is cut at ``width``."""
    rows = [_HEADER, *(_row(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER) - 1)]
    lines = ("  ".join([*(cell.ljust(size) for cell, size in zip(row, widths, strict=False)), row[-1]]) for row in rows)
    return [line.rstrip() if width is None else _short(line.rstrip(), width) for line in lines]


def _row(one: Transition) -> tuple[str, ...]:
    """One line's cells.  An event that the new value does not name, as default-route, is named before it."""
    family = one.family.value if one.family else "-"
    change = f"{one.old or '-'} -> {one.new or '-'}"
    if one.event != one.new:
        change = f"{one.event}: {change}"
    cells = (_local(one.at), one.uplink or "-", one.interface or "-", family, change, one.reason)
    return (*(_short(shown(cell), WIDEST) for cell in cells[:-1]), shown(cells[-1]))


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _utc(at: float) -> str:
    return _time("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime, at)


def _local(at: float) -> str:
    return _time("%Y-%m-%d %H:%M:%S", time.localtime, at)


def _time(form: str, broken_down: Callable[[float], time.struct_time], at: float) -> str:
    """The seconds themselves where their year is beyond the C library's."""
    try:
        return time.strftime(form, broken_down(at))
    except (OverflowError, OSError, ValueError):
        return f"{at:.0f}"


def _width() -> int | None:
    """A terminal's width; None where the output goes elsewhere: a program wants all of it."""
    if not sys.stdout.isatty():
        return None
    return max(NARROWEST, os.get_terminal_size(sys.stdout.fileno()).columns)
