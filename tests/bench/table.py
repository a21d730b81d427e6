"""What benchmarks give back, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

HEAD = ("what", "figure", "reference", "ratio", "limit", "")


class Printed(Protocol):
    """A row of any table."""

    def cells(self) -> Sequence[str]:
        """As printed."""


class Row(NamedTuple):
    """One measured thing; texts are ready to print, `over` is None where there is no limit."""

    what: str
    figure: str
    reference: str = "-"
    ratio: str = "-"
    limit: str = "-"
    over: bool | None = None

    def cells(self) -> Sequence[str]:
        """As printed."""
        return (*self[:5], {None: "", False: "ok", True: "OVER"}[self.over])


def amount(value: float, unit: str) -> str:
    """Three digits that mean something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def against(what: str, figure: float, reference: float, unit: str, limit: float | None = None) -> Row:
    """A figure and what it is divided by, in one unit; `limit` of the ratio."""
    ratio = figure / reference
    limited = ("-", None) if limit is None else (f"{limit:g}x", ratio > limit)
    return Row(what, amount(figure, unit), amount(reference, unit), f"{ratio:.2f}x", *limited)


def at_most(what: str, figure: float, unit: str, limit: float | None = None) -> Row:
    """A figure with a limit of its own."""
    limited = ("-", None) if limit is None else (amount(limit, unit), figure > limit)
    return Row(what, amount(figure, unit), "-", "-", *limited)


def lines(rows: Iterable[Printed], head: Sequence[str] = HEAD) -> list[str]:
    """A Markdown table."""
    cells = [head, *(row.cells() for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    printed = []
    for row in cells:
        padded = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        printed.append(f"| {' | '.join(padded)} |")
    rule = "|" + "|".join("-" * (width + 1) + (":" if place else "-") for place, width in enumerate(widths)) + "|"
    return [printed[0], rule, *printed[1:]]
