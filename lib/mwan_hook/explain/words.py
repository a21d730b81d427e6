"""Reasons as sentences, and sentences as paragraphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mwan_hook.durations import duration
from mwan_hook.explain import clock
from mwan_hook.explain.reasons import ROWS
from mwan_hook.explain.values import LATEST, WHEN, Reason, ReasonRow, Situation
from mwan_hook.model import Family
from mwan_hook.phrases import FAMILIES
from mwan_hook.say import shown
from mwan_hook.wrapping import filled

BOTH = "IPv4 and IPv6"
NARROWEST = 20  # columns; below that nothing can be read anyway
SAME = 5.0  # seconds: times of both families that differ by no more are one


def called(view: Situation, name: str) -> str:
    """``fiber (eth1)``; the name alone where the interface has the same."""
    found = [uplink.interface for uplink in view.uplinks if uplink.name == name]
    interface = found[0] if found else ""
    return name if not interface or interface in (name, name.partition("@")[2]) else f"{name} ({interface})"


def says(reason: Reason, view: Situation, subject: str = "It", family: str = "") -> str:
    """The sentence of a reason.  ``family``: the word for it, where one reason is of both."""
    since, ago = "", ""
    if reason.at is not None:
        since, ago = clock.since(view, reason.at), f"{duration(view.now - reason.at)} ago"
    return _filled(ROWS[reason.kind].says, reason, {"It": subject, "since": since, "ago": ago}, family)


def change(reason: Reason, view: Situation, family: str = "") -> str:
    """What would change it, and when; empty where nothing is known to."""
    row = ROWS[reason.kind]
    if not row.change:
        return ""
    return f"{_filled(row.change, reason, {}, family)}{_when(reason, row, view)}."


def _filled(text: str, reason: Reason, more: Mapping[str, str], family: str) -> str:
    word = family or (FAMILIES[reason.family] if reason.family else BOTH)
    of_one = f" for {word}" if word != BOTH else ""
    either = word.replace(" and ", " or ")
    return text.format_map({**reason.words, **more, "family": word, "either": either, "for": of_one})


def _when(reason: Reason, row: ReasonRow, view: Situation) -> str:
    if reason.until is None:
        return ""
    left = reason.until - view.now
    if left <= 0 and row.bound != LATEST:
        return ", at the earliest with the next run"
    moment = clock.spelled(view, reason.until) + (f" (in {duration(left)})" if left > 0 else "")
    if row.bound == WHEN:
        return f", at {moment}"
    return f", at {moment} at the latest" if row.bound == LATEST else f", at the earliest at {moment}"


def sentences(reasons: Iterable[Reason], view: Situation, subject: str, family: str = "") -> str:
    """Reasons one after the other; the first one's subject is named, and "It" after that."""
    found, named = list[str](), subject
    for reason in reasons:
        found += filter(None, (says(reason, view, named, family), change(reason, view, family)))
        named = "It"
    return " ".join(found)


def merged(stories: Sequence[tuple[Family, Sequence[Reason]]]) -> list[tuple[str, Sequence[Reason]]]:
    """Stories of families, those that are the same told once for both, with the word for the family."""
    if len(stories) == 2 and _alike(stories[0][1], stories[1][1]):
        return [(BOTH, [_earlier(*pair) for pair in zip(stories[0][1], stories[1][1], strict=True)])]
    return [(FAMILIES[family], reasons) for family, reasons in stories]


def _alike(one: Sequence[Reason], other: Sequence[Reason]) -> bool:
    return len(one) == len(other) and all(map(_same, one, other))


def _same(one: Reason, other: Reason) -> bool:
    moments = ((one.until, other.until), (one.at, other.at))
    told, too = (one.kind, one.uplink, one.words), (other.kind, other.uplink, other.words)
    return told == too and all(_near(*pair) for pair in moments)


def _near(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= SAME)


def _earlier(one: Reason, other: Reason) -> Reason:
    """The reason of both families, with the time of the one whose time is sooner."""
    if one.until is None or other.until is None:
        return one
    return one._replace(until=min(one.until, other.until))


def wrapped(paragraphs: Iterable[str], width: int) -> list[str]:
    """Lines of at most ``width`` columns, words whole where they fit; an empty line between paragraphs."""
    found: list[str] = []
    for text in paragraphs:
        found += [""] if found else []
        found += filled(shown(text), max(width, NARROWEST))
    return found
