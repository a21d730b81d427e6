"""Tables that fit a terminal of any width, without cutting a word.

The last column is the one with sentences: one that does not fit beside its row stands below it, whole lines wide, so
that words that belong together stay together.  Where the other columns are too wide together, those that do not fit go
below with their headings.
"""

from __future__ import annotations

from itertools import repeat

from mwan_hook.light import NamedTuple
from mwan_hook.say import shown
from mwan_hook.wrapping import Styled, clauses, columns, flow, stripped, width, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.wrapping import Line

    Sentence = tuple[Styled, ...]

GAP = 2  # blanks between columns
INDENT = 4  # of what stands below a row
READABLE = 24  # columns that sentences need; where there are less, all of them stand below
HEAD = "head"  # style of headings


class TableRow(NamedTuple):
    """Cells from left to right, and sentences that stand below them."""

    cells: tuple[Styled, ...]
    below: tuple[Sentence, ...] = ()


class Table(NamedTuple):
    """What is to be shown.  No line of headings where there are no ``heads``; ``right``: columns of numbers."""

    heads: tuple[str, ...]
    rows: tuple[TableRow, ...]
    right: frozenset[int] = frozenset()


def plain(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> Table:
    """A table without styles."""
    return Table(tuple(heads), tuple([TableRow(tuple(map(Styled, row))) for row in rows]), frozenset(right))


def lines(table: Table, room: int | None) -> list[Line]:
    """The table in lines of at most ``room`` columns; None: a line a row, however long."""
    return [line for block in blocks(table, room) for line in block]


def blocks(table: Table, room: int | None) -> list[list[Line]]:
    """The same, the headings' lines and then each row's by themselves."""
    rows = [TableRow(_printable(row.cells), tuple(map(_printable, row.below))) for row in table.rows]
    heads = [TableRow(tuple([Styled(head, HEAD) for head in table.heads]))] if table.heads else []
    grid = _Grid([*heads, *rows], len(heads), table.right)
    if not grid.rows:
        return []
    if room is None:
        return [[grid.whole(row)] for row in grid.rows]
    return [[*grid.row(place, room)] for place in range(len(grid.rows))]


def paragraph(sentence: Iterable[Styled], room: int | None, indent: int) -> list[Line]:
    """A sentence in lines of at most ``room`` columns, ``indent`` blanks before all of them but the first.

    One that fits stays as it is; one that does not keeps the blanks before it.
    """
    safe = _printable(sentence)
    if room is None or width(safe) <= room:
        return [safe]
    text = "".join(span.text for span in safe)
    before, after = min(len(text) - len(text.lstrip(" ")), room // 4), min(indent, room // 4)
    first, *others = flow(clauses(safe), room - after, 1, before - after)
    return [_indented(first, before), *(_indented(line, after) for line in others)]


def _printable(spans: Iterable[Styled]) -> Sentence:
    return tuple([Styled(shown(text), style) for text, style in spans])


def _indented(line: Line, blanks: int) -> Line:
    return (Styled(" " * blanks), *line) if blanks and line else line


def _sentences(below: Iterable[Sentence], room: int) -> Iterator[Line]:
    indent = min(INDENT, room // 4)
    for sentence in below:
        yield from (_indented(line, indent) for line in flow(clauses(sentence), room - indent, 1) if line)


class _Grid:
    """Rows, headings first, and how wide their columns are."""

    def __init__(self, rows: Sequence[TableRow], heads: int, right: frozenset[int]) -> None:
        self.rows, self.heads = rows, heads
        cells = zip(*(row.cells for row in rows), strict=True)
        self.sizes = [max(columns(cell.text) for cell in column) for column in cells]
        self.right = right
        self.start = sum(self.sizes[:-1]) + GAP * (len(self.sizes) - 1)  # of the last column
        self.end = self.start + (self.sizes[-1] if self.sizes else 0)

    def fitting(self, room: int) -> int:
        """How many columns, without the last one, fit beside each other."""
        at = -GAP
        for place, size in enumerate(self.sizes[:-1]):
            at += GAP + size
            if at > room:
                return place
        return len(self.sizes) - 1

    def cells(self, row: TableRow, count: int) -> list[Styled]:
        """The first ``count`` cells, each below those of the other rows."""
        found: list[Styled] = []
        for place in range(count):
            cell, gap = row.cells[place], Styled(" " * GAP if place < count - 1 else "")
            blanks = Styled(" " * (self.sizes[place] - columns(cell.text)))
            found += [blanks, cell, gap] if place in self.right else [cell, blanks, gap]
        return found

    def whole(self, row: TableRow) -> Line:
        """A row in one line, with what stands below."""
        more = [span for sentence in row.below for span in (Styled("; "), *sentence)]
        return stripped([*self.cells(row, len(self.sizes)), *more])

    def row(self, place: int, room: int) -> Iterator[Line]:
        """A row, with the last cell beside the others if there is room for it; its heading stands if any is there."""
        row = self.rows[place]
        beside = map(self._is_beside, self.rows[self.heads :], repeat(room))
        if any(beside) if place < self.heads else self._is_beside(row, room):
            yield stripped(self.cells(row, len(self.sizes)))
            yield from _sentences(row.below, room)
        else:
            yield from self.stacked(place, self.fitting(room), room)

    def _is_beside(self, row: TableRow, room: int) -> bool:
        sentences = len(self.sizes) - 1 not in self.right
        return self.end <= room or (sentences and room - self.start >= max(READABLE, columns(row.cells[-1].text)))

    def stacked(self, place: int, count: int, room: int) -> Iterator[Line]:
        """A row with ``count`` cells in the first line; the others below, with their headings, then the last."""
        row = self.rows[place]
        yield from [stripped(self.cells(row, count))] if count else flow(clauses(row.cells[:1]), room, 1)
        if place < self.heads:
            return
        rest = range(max(1, count), len(row.cells) - 1)
        named = [[*words([*self._heading(one), row.cells[one]])] for one in rest if row.cells[one].text]
        indent = min(INDENT, room // 4)
        yield from (_indented(line, indent) for line in flow(named, room - indent, GAP) if line)
        yield from _sentences((*([row.cells[-1:]] if len(row.cells) > 1 else []), *row.below), room)

    def _heading(self, place: int) -> list[Styled]:
        return [Styled(f"{self.rows[0].cells[place].text} ", HEAD)] if self.heads else []
