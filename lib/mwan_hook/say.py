"""What a run says.  Routing must not depend on who listens: a closed pipe or a full disk silences, and no more."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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


def say(lines: Iterable[str], at_once: bool = False) -> None:
    """To the operator, or the journal.  ``at_once``: a program that goes on for long is heard while it does."""
    try:
        for line in lines:
            print(line, flush=at_once)
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the run


def complain(lines: Iterable[str]) -> None:
    """What is wrong, to stderr."""
    try:
        for line in lines:
            print(f"mwan-hook: {line}", file=sys.stderr)
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the run
