"""What is no uplink's own fault, for ``status``: targets that are ignored, and all uplinks out at once."""

from __future__ import annotations

from collections.abc import Callable

from mwan_hook import columns
from mwan_hook.columns import Table
from mwan_hook.durations import largest_unit
from mwan_hook.model import State
from mwan_hook.verdict import dark

HEADER = ("TARGET", "FAMILY", "SINCE", "IGNORED")
WHY = "dead behind every uplink: no verdict follows from it until it answers again"


def tables(state: State, now: float) -> list[Table]:
    """Tables below that of the uplinks."""
    found: list[Table] = []
    if state.dark_since:
        words = f"{dark.WORDS} ({', '.join(state.dark)}), since {largest_unit(now - state.dark_since)}"
        found.append(columns.plain((), [(words,)]))
    if state.ignored:
        targets = [(*_parts(key), since) for key, since in state.ignored.items()]
        rows = [(name, family, largest_unit(now - at), WHY) for family, name, at in targets]
        found.append(columns.plain(HEADER, rows))
    return found


def document(state: State, when: Callable[[float], str | None]) -> dict[str, object]:
    """Ignored targets and a common outage in ``status --json``."""
    targets = [(*_parts(key), since) for key, since in state.ignored.items()]
    return {
        "ignored": [{"target": name, "family": family, "since": when(at)} for family, name, at in targets],
        "common": {"since": when(state.dark_since), "uplinks": list(state.dark)} if state.dark_since else None,
    }


def _parts(key: str) -> tuple[str, str]:
    family, _, name = key.partition(" ")
    return family, name
