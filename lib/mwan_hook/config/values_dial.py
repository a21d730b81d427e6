"""The checks of what dials an uplink; what a check is stands in :mod:`mwan_hook.config.values`."""

from __future__ import annotations

import shlex

from mwan_hook.config.values import one, several
from mwan_hook.dial import modemkeys
from mwan_hook.dial.values import COMMAND, NETWORKD, UNIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value

_STARTS = "networkd, unit:NAME, modem:KEY=VALUE,... or command:PROGRAM ARGUMENTS"
_LONGEST = 255  # of a unit's name
_DAY = 24 * 60


def start(value: Value) -> str:
    """What dials."""
    text = one(value) if isinstance(value, str) else ",".join(several(value))
    kind, colon, rest = text.partition(":")
    if not text:
        return text
    if kind == modemkeys.KIND and colon:
        modemkeys.settings(rest)
        return text
    text = one(value)
    if kind == COMMAND and colon:
        return _command(text, rest)
    if kind == UNIT and colon:
        return f"{UNIT}:{_unit(rest.strip())}"
    if text != NETWORKD:
        raise ValueError(f"expected {_STARTS}")
    return text


def stop(value: Value) -> str:
    """The program that hangs up."""
    text = one(value)
    kind, _, rest = text.partition(":")
    if not text:
        return text
    if kind != COMMAND:
        raise ValueError("expected command:PROGRAM ARGUMENTS")
    return _command(text, rest)


def window(value: Value) -> list[int]:
    """Two times of the day, in minutes."""
    first, dash, last = one(value).partition("-")
    found = [_minute(first), _minute(last)] if dash else []
    if not found or found[0] == found[1]:
        raise ValueError("expected two times of the day, as in 03:00-05:00")
    return found


def _command(text: str, rest: str) -> str:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise ValueError(f"expected command:PROGRAM ARGUMENTS, quoted as for a shell ({error})") from None
    if not words or not text.isprintable():
        raise ValueError("expected command:PROGRAM ARGUMENTS")
    return text


def _unit(name: str) -> str:
    good = all(c.isascii() and (c.isalnum() or c in ":-_.\\@") for c in name)
    if not name or not good or len(name) > _LONGEST or name[0] in "-@":
        raise ValueError("expected unit:NAME with the name of a unit of systemd, as in unit:wwan@wwan0.service")
    return name


def _minute(text: str) -> int:
    hour, colon, minute = text.strip().partition(":")
    good = colon and all(part.isascii() and part.isdigit() and len(part) == 2 for part in (hour, minute))
    found = 60 * int(hour) + int(minute) if good else _DAY + 1
    if found > _DAY or int(minute) > 59:
        raise ValueError("expected two times of the day, as in 03:00-05:00")
    return found
