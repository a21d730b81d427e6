"""What the program says, and the only place that prints.

Routing must not depend on who listens: a closed pipe or a full disk silences, and no more.  Nothing from outside
reaches a terminal or the journal as it is, and no flood of messages of one kind does.
"""

from __future__ import annotations

import sys

from mwan_hook import plainos as os
from mwan_hook.model import MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_ALIKE = 10  # lines of one kind
_VARIES = frozenset("0123456789/'\"\\")  # in words that tell lines of one kind apart: addresses, paths, numbers


def shown(text: str) -> str:
    """Text from outside as it may reach a terminal, the journal or a mail: what does not print is spelled out.

    C0, C1, DEL, bidirectional controls, line separators and bytes that are no UTF-8 stand as ``\\x1b``, ``\\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _spelled(ord(letter)) for letter in text)


def _spelled(number: int) -> str:
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def brief(lines: Iterable[str]) -> Iterator[str]:
    """The first ten lines of each kind, then the number of the others, by kind."""
    seen: dict[str, tuple[int, str]] = {}
    for line in lines:
        kind = _kind(line)
        count, last = seen.get(kind, (0, ""))
        if count < MOST_ALIKE:
            last = line
            yield line
        seen[kind] = count + 1, last
    for count, last in seen.values():
        if count > MOST_ALIKE:
            yield f"... and {count - MOST_ALIKE} more such as: {last}"


def _kind(line: str) -> str:
    """The words that lines of one kind have in common."""
    return " ".join([word for word in line.split() if _VARIES.isdisjoint(word) and ":" not in word[:-1]])


def say(lines: Iterable[str], at_once: bool = False) -> None:
    """Print lines for the operator or journal.  ``at_once``: a program that goes on for long is heard meanwhile."""
    try:
        for line in lines:
            print(shown(line), flush=at_once)
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the run


def complain(lines: Iterable[str]) -> None:
    """What is wrong, to stderr; ten lines of a kind."""
    try:
        for line in brief(lines):
            print(f"mwan-hook: {shown(line)}", file=sys.stderr)
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the run


def attempted(action: Callable[[], None]) -> list[str]:
    """The words of what failed, if it did."""
    try:
        action()
    except MwanError as error:
        return [str(error)]
    return []
