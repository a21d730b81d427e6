"""Checks of `[record]`, as :mod:`mwan_hook.config.values` has them."""

from __future__ import annotations

from mwan_hook.config.values import one
from mwan_hook.durations import DAY, HOUR, UNITS, measured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value

SHORTEST, LONGEST = HOUR, 3650 * DAY


def keep(value: Value) -> float:
    """Seconds for which a record is kept; 0: it is not made."""
    text = one(value).strip().lower()
    if text in ("0", "no", "off", "false"):
        return 0
    number, unit = measured(text)
    seconds = int(number) * unit if number.isascii() and number.isdigit() and len(number) < 10 else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError("expected a time from 1h to 3650d, as in 30d or 12h, or `no`")
    return seconds


def spelled(seconds: float) -> str:
    """The value as a file would have it."""
    whole = int(seconds)
    for unit, size in UNITS.items():
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return "no"
