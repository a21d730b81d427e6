"""Quotas in words: amounts as they are written and shown, events, and what will come of it."""

from __future__ import annotations

from mwan_hook.model import Transition, Usage
from mwan_hook.quota.usage import next_day, used

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.model import State, Uplink

LARGEST = 10**18  # bytes
_DECIMAL = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_BINARY = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_SIZES = {unit.lower(): size for unit, size in (*_DECIMAL, *_BINARY)} | {"b": 1, "": 1}
_SIZES |= {unit[0].lower(): size for unit, size in _DECIMAL}


def amount(text: str) -> int:
    """Bytes of ``20G``, ``1.5 TB``, ``500 MiB`` or ``20000000``; ValueError says what was expected."""
    text = text.strip()
    number = text.rstrip("BKMGTibkmgt ")
    size = _SIZES.get(text[len(number) :].strip().lower())
    whole, dot, rest = number.partition(".")
    digits = whole + rest
    if size is None or not digits.isascii() or not digits.isdigit() or not whole or (dot and not rest):
        raise ValueError("expected an amount, as in 20G, 500M or 1.5T (thousands, as carriers count), or 20GiB")
    found: int = int(digits) * size // 10 ** len(rest) if len(digits) < 30 else LARGEST + 1
    if found > LARGEST:
        raise ValueError("expected an amount of at most 1000000T")
    return found


def spelled(bytes_: int) -> str:
    """The amount as a file would have it, without loss."""
    for unit, size in (*_DECIMAL, *_BINARY):
        if bytes_ and bytes_ % size == 0:
            return f"{bytes_ // size}{unit[0].upper() if size % 1000 == 0 else unit}"
    return str(bytes_)


def transitions(before: State, after: State, uplinks: Iterable[Uplink], wall: float) -> tuple[Transition, ...]:
    """``quota-...`` events: a threshold was passed, or a new period begun."""
    found = []
    for uplink in uplinks:
        new = after.usage.get(uplink.name)
        if new is not None:
            old = before.usage.get(uplink.name, Usage()).stage
            if old is not new.stage:
                event, reason = f"quota-{new.stage.value}", words(uplink, new)
                was, now = old.value, new.stage.value
                found.append(Transition(event, uplink.name, uplink.interface, None, was, now, reason, wall))
    return tuple(found)


def words(uplink: Uplink, usage: Usage) -> str:
    """``16.1 GB of 20 GB used (80 %), resets on 2026-12-01``."""
    quota, carried = uplink.config.quota, used(usage)
    ends = f", resets on {next_day(usage.period, usage.reset_day)}" if usage.period else ""
    return f"{shown(carried)} of {shown(quota)} used ({100 * carried // quota} %){ends}"


def forecast(carried: int, elapsed: float, left: float) -> int | None:
    """Bytes at the end of the period if it goes on so; None in its first day.  In days."""
    return round(carried + carried / elapsed * left) if elapsed >= 1 else None


def shown(carried: int) -> str:
    """``16.1 GB``: decimal units, as carriers count."""
    for unit, size in _DECIMAL:
        if carried >= size:
            return f"{carried / size:.3g} {unit}" if carried < 999.5 * size else f"{round(carried / size)} {unit}"
    return f"{carried} B"
