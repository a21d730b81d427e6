"""Reasons as sentences, and sentences as paragraphs."""

from __future__ import annotations

import textwrap

from mwan_hook.durations import duration
from mwan_hook.explain import clock
from mwan_hook.explain.reasons import LATEST, ROWS, WHEN
from mwan_hook.model import Family
from mwan_hook.say import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.explain.reasons import ReasonRow
    from mwan_hook.explain.values import Reason, Situation

NAMES = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}
BOTH = "IPv4 and IPv6"
NARROWEST = 20  # columns; below that nothing can be read anyway
SAME = 2.0  # seconds: times of both families that differ by no more are one


def called(view: Situation, name: str) -> str:
    """``fiber (eth1)``; the name alone where the interface has the same."""
    found = [uplink.interface for uplink in view.uplinks if uplink.name == name]
    interface = found[0] if found else ""
    return name if not interface or interface in (name, name.partition("@")[2]) else f"{name} ({interface})"


def says(reason: Reason, subject: str = "It", family: str = "") -> str:
    """The sentence of a reason.  ``family``: the word for it, where one reason is of both."""
    return _filled(ROWS[reason.kind].says, reason, subject, family)


def change(reason: Reason, view: Situation, family: str = "") -> str:
    """What would change it, and when; empty where nothing is known to."""
    row = ROWS[reason.kind]
    if not row.change:
        return ""
    return f"{_filled(row.change, reason, 'it', family)}{_when(reason, row, view)}."


def _filled(text: str, reason: Reason, subject: str, family: str) -> str:
    word = family or (NAMES[reason.family] if reason.family else BOTH)
    of_one = f" for {word}" if word != BOTH else ""
    return text.format_map({**reason.words, "It": subject, "family": word, "for": of_one})


def _when(reason: Reason, row: ReasonRow, view: Situation) -> str:
    if reason.until is None:
        return ""
    left = reason.until - view.now
    if left <= 0 and row.bound != LATEST:
        return ", at the earliest at once"
    moment = clock.spelled(view, reason.until) + (f" (in {duration(left)})" if left > 0 else "")
    if row.bound == WHEN:
        return f", at {moment}"
    return f", at {moment} at the latest" if row.bound == LATEST else f", at the earliest at {moment}"


def sentences(reasons: Iterable[Reason], view: Situation, subject: str, family: str = "") -> str:
    """Reasons one after the other; the first one's subject is named, and "It" after that."""
    found, named = list[str](), subject
    for reason in reasons:
        found += filter(None, (says(reason, named, family), change(reason, view, family)))
        named = "It"
    return " ".join(found)


def merged(stories: Sequence[tuple[Family, Sequence[Reason]]]) -> list[tuple[str, Sequence[Reason]]]:
    """Stories of families, those that are the same told once for both, with the word for the family."""
    if len(stories) == 2 and _alike(stories[0][1], stories[1][1]):
        return [(BOTH, stories[0][1])]
    return [(NAMES[family], reasons) for family, reasons in stories]


def _alike(one: Sequence[Reason], other: Sequence[Reason]) -> bool:
    return len(one) == len(other) and all(map(_same, one, other))


def _same(one: Reason, other: Reason) -> bool:
    if (one.kind, one.words) != (other.kind, other.words) or (one.until is None) != (other.until is None):
        return False
    return one.until is None or other.until is None or abs(one.until - other.until) <= SAME


def wrapped(paragraphs: Iterable[str], width: int, indent: str = "") -> list[str]:
    """Lines of at most ``width`` columns, words whole where they fit; an empty line between paragraphs.

    ``indent``: of all lines of a paragraph but the first.
    """
    found: list[str] = []
    for text in paragraphs:
        found += [""] if found else []
        found += textwrap.wrap(shown(text), max(width, NARROWEST), subsequent_indent=indent, break_on_hyphens=False)
    return found
