"""Lists, numbers and families as they stand in a sentence.  Pure."""

from __future__ import annotations

from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FAMILIES = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}


def listed(words: Iterable[object]) -> str:
    """``a, b and c``."""
    return _joined(words, "and")


def either(words: Iterable[object]) -> str:
    """``a, b or c``."""
    return _joined(words, "or")


def _joined(words: Iterable[object], word: str) -> str:
    *most, last = [str(one) for one in words] or [""]
    return f"{', '.join(most)} {word} {last}" if most else last


def many(count: int, noun: str) -> str:
    """``1 outage``, ``1,234 outages``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
