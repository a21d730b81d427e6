"""The shape of a row of reasons."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

EARLIEST, LATEST, WHEN = "earliest", "latest", "when"  # what a reason's time is


class ReasonRow(NamedTuple):
    """One kind of reason in words."""

    says: str
    change: str = ""
    bound: str = EARLIEST
