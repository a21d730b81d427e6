"""What became of many flows in a span of time, from what they noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

Noted = Mapping[str, Any]


class Fate(NamedTuple):
    """One flow: `told` that its socket was ended, or `silent` at the end of the span; `gap` without an answer in it."""

    told: bool
    silent: bool
    gap: float
    by: str


class Kept(NamedTuple):
    """A row: what became of the flows of one kind."""

    what: str
    survived: str
    told: str
    silent: str
    gap: str
    by: str

    def cells(self) -> Sequence[str]:
        """As printed."""
        return self


HEAD = ("what", "went on", "ended by an error", "silent", "gap: median, 95 %, longest", "then by")


def fate(flow: Noted, since: float, until: float, patience: float) -> Fate | None:
    """Judge one flow; None if it had not been answered before.  Silent: no answer in the last `patience` seconds."""
    if not any(at <= since for at, _ in flow["answers"]):
        return None
    within = [(at, source) for at, source in flow["answers"] if since < at <= until]
    times = [since, *(at for at, _ in within), until]
    told = any(since < at <= until for at, _ in flow["errors"])
    silent = until - times[-2] > patience
    ends = times if silent else times[:-1]
    return Fate(told, silent, max((b - a for a, b in pairwise(ends)), default=0.0), within[-1][1] if within else "")


def row(
    what: str, flows: Sequence[Noted], span: tuple[float, float], patience: float, names: Mapping[str, str]
) -> Kept:
    """All flows of a kind in one row; `names` of the uplinks by address."""
    fates = [one for flow in flows if (one := fate(flow, *span, patience))]
    going = [one for one in fates if not one.silent]
    counted = {name: sum(names.get(one.by) == name for one in going) for name in names.values()}
    total = len(flows)
    return Kept(
        what,
        f"{sum(not one.told for one in going)} of {total}",
        str(sum(one.told for one in fates)),
        str(sum(one.silent for one in fates)),
        _gaps([one.gap for one in going]),
        ", ".join(f"{name} {count}" for name, count in counted.items() if count) or "-",
    )


def _gaps(gaps: Sequence[float]) -> str:
    """Three figures of those that were answered at the end."""
    ordered = sorted(gaps)
    if not ordered:
        return "-"
    return (
        " / ".join(f"{ordered[min(len(ordered) - 1, len(ordered) * part // 100)]:.1f}" for part in (50, 95, 100)) + " s"
    )
