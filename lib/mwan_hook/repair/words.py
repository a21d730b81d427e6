"""How a ladder stands, in words and as a document."""

from __future__ import annotations

from mwan_hook import dates
from mwan_hook.durations import duration
from mwan_hook.repair.steps import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.model import Uplink
    from mwan_hook.repair.ladder import Climb, Due


def spelled(uplink: Uplink) -> tuple[str, ...]:
    """The steps as the configuration writes them."""
    return tuple(f"{one.step}@{one.after:g}" for one in uplink.config.repair)


def short(due: Due | None, now: float) -> str:
    """What comes next, for the line of an uplink; empty where nothing does."""
    if due is None:
        return ""
    if due.why:
        return f"repair waits: {due.why}"
    return f"repair: {due.rung.step} {_when(due, now)}"


def planned(uplink: Uplink, due: Due | None, now: float) -> str:
    """The next step as an operator would type it; empty where there is none."""
    if due is None:
        return ""
    waits = f": {due.why}" if due.why else ""
    return f"{uplink.name}: repair: {line(due.rung.step, uplink.interface)} {_when(due, now)}{waits}"


def _when(due: Due, now: float) -> str:
    return f"in {duration(due.at - now)}" if due.at > now else "is due"


def document(uplink: Uplink, climb: Climb, due: Due | None, epoch: float) -> dict[str, Any]:
    """The part of ``status --json``.  ``epoch`` makes a boot time seconds since the epoch."""
    return {
        "steps": list(spelled(uplink)),
        "next": due.rung.step if due else None,
        "next_at": dates.utc(epoch + due.at) if due else None,
        "held": due.why or None if due else None,
        "last": climb.step or None,
        "last_at": dates.utc(climb.wall) if climb.wall else None,
        "outcome": climb.outcome or None,
        "climbs": climb.climbs,
        "counts": climb.counts,
    }
