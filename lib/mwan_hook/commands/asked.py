"""What words of the commands that explain mean."""

from __future__ import annotations

import difflib

from mwan_hook.explain.moments import moment
from mwan_hook.model import MwanError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.explain.values import Situation

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


def refuse_near_misses(word: str, view: Situation) -> None:
    """A word that is no destination: raise UsageError with what may be meant, MwanError for an idle template.

    A name without a dot that is close to an uplink's is taken for that one mistyped, before any name server is asked:
    that takes its time when a line is down.
    """
    if any(entry.name == word for entry in view.config.uplinks):
        raise MwanError(f"{word} is not used: no interface matches it")
    names = dict.fromkeys(name for one in view.uplinks for name in (one.name, one.interface, one.config.name) if name)
    close = difflib.get_close_matches(word, names, n=1, cutoff=CLOSE)
    if "." in word or ":" in word or (not close and _resolves(word)):
        return
    known = ", ".join(uplink.name for uplink in view.uplinks) or "none"
    meant = f"did you mean {close[0]}?" if close else f"uplinks are: {known}"
    raise UsageError(f"{word} is neither an uplink nor a destination; {meant}")


def destinations(word: str) -> list[str]:
    """An address of each family that a destination has.  Raises UsageError where it is none."""
    from mwan_hook.commands.trace import addresses_of

    try:
        return addresses_of(word)
    except MwanError as error:
        cause = error.__cause__
        said = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)
        raise UsageError(f"{word} is neither an uplink nor a destination: {said}") from error


def _resolves(word: str) -> bool:
    import socket

    try:
        return bool(socket.getaddrinfo(word, None, type=socket.SOCK_DGRAM))
    except (OSError, UnicodeError):
        return False
