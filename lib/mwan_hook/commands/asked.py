"""What words of the commands that explain mean."""

from __future__ import annotations

import difflib

from mwan_hook.explain.moments import moment
from mwan_hook.explain.values import Situation
from mwan_hook.model import MwanError, UsageError

CLOSE = 0.6  # of two words, as difflib measures it


def moment_of(option: str, text: str, now: float) -> float:
    """Seconds since the epoch of what was given with an option.  Raises UsageError."""
    try:
        return moment(text, now)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def span(since: str, until: str | None, now: float) -> tuple[float, float | None]:
    """The time between two such moments; no end: now.  Raises UsageError."""
    begin, end = moment_of("--since", since, now), moment_of("--until", until, now) if until else None
    if begin >= (now if end is None else end):
        raise UsageError("--since is not before --until")
    return begin, end


def destinations(word: str, view: Situation) -> list[str]:
    """An address of each family that a destination has; the word is no uplink.  Raises MwanError, UsageError.

    A name without a dot that is close to an uplink's is taken for that one mistyped, before any name server is asked:
    that takes its time when a line is down.
    """
    from mwan_hook.commands.lookup import UnansweredError
    from mwan_hook.commands.trace import addresses_of

    dotted = "." in word or ":" in word
    if any(entry.name == word for entry in view.config.uplinks):
        raise MwanError(f"{word} is not used: no interface matches it")
    if not dotted:
        _refuse_near_misses(word, view)
    more = "" if dotted else f"; {_known(view)}"
    try:
        return addresses_of(word)
    except UnansweredError as error:
        raise MwanError(f"{word} is no uplink, and may be a destination: {_said(error, word)}{more}") from error
    except MwanError as error:
        raise UsageError(f"{word} is neither an uplink nor a destination: {_said(error, word)}{more}") from error


def _refuse_near_misses(word: str, view: Situation) -> None:
    """A name that is close to an uplink's, or that of another interface."""
    names = dict.fromkeys(name for one in view.uplinks for name in (one.name, one.interface, one.config.name) if name)
    if close := difflib.get_close_matches(word, names, n=1, cutoff=CLOSE):
        raise UsageError(f"{word} is neither an uplink nor a destination; did you mean {close[0]}?")
    if _is_interface(word):
        raise UsageError(f"{word} is an interface that no uplink has; {_known(view)}")


def _is_interface(word: str) -> bool:
    import socket

    try:
        return socket.if_nametoindex(word) > 0
    except (OSError, ValueError):
        return False


def _said(error: MwanError, word: str) -> str:
    return str(error).removeprefix(f"{word}: ")


def _known(view: Situation) -> str:
    return f"uplinks are: {', '.join(uplink.name for uplink in view.uplinks) or 'none'}"
