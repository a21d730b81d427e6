"""How wide text is on a terminal, and lines that are broken between words.  Pure."""

from __future__ import annotations

import unicodedata

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Styled(NamedTuple):
    """Text in one style; ``style`` is a word of :data:`mwan_hook.commands.screen.INK`, or empty."""

    text: str
    style: str = ""


if TYPE_CHECKING:
    Line = tuple[Styled, ...]  # of the screen
    Word = tuple[Styled, ...]  # what no line is broken in
    Group = list[Word]  # words that stay on one line if they fit there

_INVISIBLE = ("Mn", "Me")  # marks on the letter before them


def columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def width(line: Iterable[Styled]) -> int:
    """Columns that a line takes."""
    return sum(columns(span.text) for span in line)


def filled(text: str, room: int) -> list[str]:
    """A text in lines of at most ``room`` columns."""
    lines = flow(([word] for word in words([Styled(text)])), room, 1)
    return ["".join(span.text for span in line) for line in lines]


def clauses(spans: Iterable[Styled]) -> list[Group]:
    """Words of a sentence, those between two semicolons together."""
    groups: list[Group] = [[]]
    for word in words(spans):
        groups[-1].append(word)
        if word[-1].text.endswith(";"):
            groups.append([])
    return [group for group in groups if group]


def words(spans: Iterable[Styled]) -> Iterator[Word]:
    """Parts between blanks; one may have several styles."""
    word: list[Styled] = []
    for text, style in spans:
        for place, part in enumerate(text.split(" ")):
            if place and word:
                yield tuple(word)
                word = []
            if part:
                word.append(Styled(part, style))
    if word:
        yield tuple(word)


def flow(groups: Iterable[Group], room: int, gap: int, taken: int = 0) -> list[Line]:
    """Lines of at most ``room`` columns; ``taken``: of the first by what stands before.  ``gap``: between groups.

    A group that fits a line of its own gets one, if the line before is half full.
    """
    lines: list[list[Styled]] = [[]]
    at = taken
    for group in groups:
        blanks = gap
        if 2 * at > room and at + blanks + _size(group) > room >= _size(group):
            lines.append([])
            at = 0
        for word in group:
            for piece in _pieces(word, room):
                size = width(piece)
                before = blanks if lines[-1] else 0
                if at + before + size > room and (lines[-1] or at):
                    lines.append([])
                    at = before = 0
                lines[-1] += [Styled(" " * before), *piece] if before else piece
                at += before + size
                blanks = 1
    return [tuple(line) for line in lines]


def _size(group: Group) -> int:
    return sum(map(width, group)) + len(group) - 1


def _pieces(word: Word, room: int) -> list[Word]:
    """The word; one that is longer than a line, in parts."""
    if width(word) <= room:
        return [word]
    pieces: list[list[Styled]] = [[]]
    for text, style in word:
        for letter in text:
            size = _columns(letter)
            if size and pieces[-1] and width(pieces[-1]) + size > room:
                pieces.append([])
            pieces[-1].append(Styled(letter, style))
    return [joined(piece) for piece in pieces]


def joined(spans: Sequence[Styled]) -> Word:
    """Neighbours of one style as one."""
    found: list[Styled] = []
    for span in spans:
        if found and found[-1].style == span.style:
            found[-1] = Styled(found[-1].text + span.text, span.style)
        else:
            found.append(span)
    return tuple(found)


def stripped(spans: Iterable[Styled]) -> Line:
    """A line without blanks at its end, nor spans without text."""
    found = [span for span in spans if span.text]
    while found and not found[-1].text.strip(" "):
        found.pop()
    if found:
        found[-1] = Styled(found[-1].text.rstrip(" "), found[-1].style)
    return tuple(found)
