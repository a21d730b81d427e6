"""The screen of ``mwan-hook status --watch`` as lines, for any size of the terminal.  Pure but for the local time."""

from __future__ import annotations

from mwan_hook import dates
from mwan_hook.columns import Table, TableRow, blocks, paragraph
from mwan_hook.commands import sparks, status_table
from mwan_hook.commands.status_table import NO_UPLINKS, View
from mwan_hook.explain.pulse import SPAN, Sample
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Transition, Uplink
from mwan_hook.verdict import words
from mwan_hook.wrapping import Styled, columns, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.commands.looking import Look
    from mwan_hook.commands.screen import Size
    from mwan_hook.wrapping import Line

CHOSEN, OTHER = "> ", "  "
INDENT = len(OTHER)
MOST_SLOTS = 60  # a minute each
FEWEST_SLOTS = 8
LABELS = ("round trip", "loss")
SHORT_LABELS = ("trip", "loss")
ROOMY = 8  # lines of a screen that has room for what is wrong
SPACIOUS = 16  # lines of a screen that has room for the last changes
FEWEST_CHANGES = 4  # lines of them
KEYS = "q quit  up/down choose  Enter why"
WHY_KEYS = "q quit  up/down scroll  Enter back"
TITLE = "mwan-hook: the last hour"
CHANGES = "last changes"


class Known(NamedTuple):
    """What is shown."""

    look: Look
    samples: Mapping[tuple[str, Family], Sequence[Sample]]
    happened: Sequence[Transition]  # the newest last


def overview(known: Known, chosen: int, size: Size) -> list[Line]:
    """All uplinks, the chosen one marked, and below them what changed last."""
    count = len(known.look.seen.uplinks)
    notes = _notes(known, size)
    room = max(0, size.lines - 2 - len(notes))
    whole = _spaced(_uplinks(known, size), room)
    changes = _changes(known.happened, size, room - _lines(whole) - 1) if size.lines >= SPACIOUS else []
    room -= len(changes)
    heads, *rows = whole if _lines(whole) <= room else [[], *_short(known, size)]
    body = [*heads, *_window(_marked(rows, chosen), chosen, room - len(heads))]
    if not count:
        body = paragraph([Styled(NO_UPLINKS)], size.columns, 0)[:room]
    filled: list[Line] = [()] * (room - len(body))
    footer = _footer(known, KEYS, f"{chosen + 1} of {count}" if count > 1 else "", size)
    return [_title(known, size), *body, *changes, *filled, *notes, footer][: size.lines]


def _spaced(rows: list[list[Line]], room: int) -> list[list[Line]]:
    """The same with a gap between uplinks, where the last changes have room all the same."""
    heads, *others = rows
    found = [heads, *([*lines, ()] for lines in others[:-1]), *others[-1:]]
    return found if _lines(found) + FEWEST_CHANGES + 2 <= room else rows


def _lines(rows: Sequence[Sequence[Line]]) -> int:
    return sum(map(len, rows))


def story(known: Known, told: Sequence[str], top: int, size: Size) -> list[Line]:
    """Why the chosen uplink stands as it does, from line ``top`` on."""
    room = max(0, size.lines - 2)
    body: list[Line] = [(Styled(line),) for line in told[top : top + room]]
    where = f"{top + 1} to {min(len(told), top + room)} of {len(told)}" if len(told) > room else ""
    body += [()] * (room - len(body))
    return [_title(known, size), *body, _footer(known, WHY_KEYS, where, size)][: size.lines]


def _title(known: Known, size: Size) -> Line:
    return _ends(TITLE, dates.local(known.look.seen.wall, dates.CLOCK_SECOND), size, "strong")


def _footer(known: Known, keys: str, where: str, size: Size) -> Line:
    """Keys; a mistake in the configuration goes before them."""
    if known.look.mistakes:
        return paragraph([Styled(known.look.mistakes[0], "offline")], size.columns, 0)[0]
    return _ends(keys, where, size, "dim")


def _notes(known: Known, size: Size) -> list[Line]:
    """The first line of what ``status`` says beside its table, where there is room; how many others there are."""
    if not known.look.notes or size.lines < ROOMY:
        return []
    first, *others = known.look.notes
    rest = f" (and {len(others)} more)" if others else ""
    lines = paragraph([Styled(first, "degraded")], max(1, size.columns - columns(rest)), 0)
    return [(*lines[0], Styled(rest, "dim"))] if rest else lines[:1]


def _ends(left: str, right: str, size: Size, style: str) -> Line:
    """Words at both ends of a line, as far as there is room for them."""
    while columns(left) > size.columns:
        left = left.rpartition("  ")[0] or left[: size.columns]
    blanks = size.columns - columns(left) - columns(right)
    return (Styled(left, style), Styled(" " * blanks + right, "dim")) if blanks > 0 else (Styled(left, style),)


def _uplinks(known: Known, size: Size) -> list[list[Line]]:
    """Headings, then each uplink with its sparklines."""
    seen = known.look.seen
    if not seen.uplinks:
        return [[]]
    table = status_table.uplinks(known.look.judged, View(None, True, False, known.look.known))
    rows = [_row(row) for row in table.rows]
    heads, *found = blocks(Table(table.heads, tuple(rows)), size.columns - INDENT)
    whole = [[*lines, *_pulse(known, uplink, size)] for uplink, lines in zip(seen.uplinks, found, strict=True)]
    return [[(Styled(OTHER), *line) for line in heads], *whole]


def _row(row: TableRow) -> TableRow:
    """The row; that an online uplink is well needs no reason."""
    calm = row.cells[2].style == words.Word.ONLINE.value and not row.below
    return row._replace(cells=(*row.cells[:-1], Styled(""))) if calm else row


def _marked(rows: Sequence[Sequence[Line]], chosen: int) -> list[list[Line]]:
    """The same, with a mark before the first line of the chosen one."""
    marks = [Styled(CHOSEN if place == chosen else OTHER, "strong") for place in range(len(rows))]
    return [
        [(mark if not number else Styled(OTHER), *line) if line else () for number, line in enumerate(lines)]
        for mark, lines in zip(marks, rows, strict=True)
    ]


def _window(rows: Sequence[Sequence[Line]], chosen: int, room: int) -> list[Line]:
    """The lines that fit, those of the chosen one among them."""
    flat = [line for lines in rows for line in lines]
    begin = sum(map(len, rows[:chosen]))
    end = begin + len(rows[chosen]) if rows else 0
    top = max(0, min(begin, (begin + end - room) // 2, len(flat) - room))
    return flat[top : top + max(0, room)]


def _pulse(known: Known, uplink: Uplink, size: Size) -> list[Line]:
    """Round trips and losses of the last hour, of the family that leads; nothing while there are none."""
    samples = _samples(known, uplink)
    if not samples:
        return []
    labels = LABELS if size.columns >= 60 else SHORT_LABELS
    first = len(status_table.MARK) + 3 + max(map(len, labels)) + 1
    told = _figures(samples)
    count = min(MOST_SLOTS, size.columns - INDENT - first - 2 - max(map(len, told)))
    if count < FEWEST_SLOTS:
        return []
    seen = _slots(known, samples, count)
    drawn = (sparks.trips(seen, size.unicode), sparks.losses(seen, size.unicode))
    return [
        (Styled(" " * 4 + label.ljust(first - 4), "dim"), *line, Styled(f"  {words_}", "dim"))
        for label, line, words_ in zip(labels, drawn, told, strict=True)
    ]


def _samples(known: Known, uplink: Uplink) -> Sequence[Sample]:
    memory = known.look.judged.state.memory(uplink.name)
    lead = words.leading(uplink, memory, known.look.seen.now)
    other = Family.IPV6 if lead is Family.IPV4 else Family.IPV4
    return known.samples.get((uplink.name, lead)) or known.samples.get((uplink.name, other)) or ()


def _slots(known: Known, samples: Sequence[Sample], count: int) -> list[sparks.Slot]:
    wall = known.look.seen.wall
    return sparks.slots(samples, wall - SPAN, wall, count)


def _figures(samples: Sequence[Sample]) -> tuple[str, str]:
    """What the hour comes to: ``8 to 48 ms``, ``0.3 %``."""
    times = [sample.rtt_ms for sample in samples if sample.rtt_ms is not None]
    sent, lost = sum(sample.sent for sample in samples), sum(sample.lost for sample in samples)
    low, high = (f"{ms:.1f}" if ms < 10 else f"{ms:.0f}" for ms in (min(times, default=0.0), max(times, default=0.0)))
    return (f"{low} to {high} ms" if times else "no answer"), f"{100 * lost / sent:.1f} %" if sent else ""


def _short(known: Known, size: Size) -> list[list[Line]]:
    """An uplink a line: name, word, round trip, and round trips of the last hour where there is room."""
    seen = known.look.seen
    table = status_table.uplinks(known.look.judged, View(None, False, False, known.look.known))
    cells = [(row.cells[0], row.cells[2], _better(row.cells[3:5])) for row in table.rows]
    rows = tuple(TableRow((*one, Styled(""))) for one in cells)
    room = size.columns - INDENT
    sizes = [max(columns(one[place].text) for one in cells) for place in range(3)]
    count = min(MOST_SLOTS, room - sum(sizes) - 2 * 3)
    if count < 0:
        rows = tuple(TableRow((name, word)) for name, word, _ in cells)
    found = [lines[:1] for lines in blocks(Table((), rows), room)]
    for uplink, lines in zip(seen.uplinks, found, strict=True):
        samples = _samples(known, uplink)
        if count >= FEWEST_SLOTS and samples and lines:
            blanks = Styled(" " * (room - count - width(lines[0])))
            lines[0] = (*lines[0], blanks, *sparks.trips(_slots(known, samples, count), size.unicode))
    return found


def _better(families: Sequence[Styled]) -> Styled:
    """The cell of a family in which something was measured."""
    return next((cell for cell in families if cell.text.strip() != "-"), families[0])


def _changes(happened: Sequence[Transition], size: Size, spare: int) -> list[Line]:
    """A gap, a heading and the last transitions that fit, the newest last."""
    from mwan_hook.commands import history

    room = max(FEWEST_CHANGES, min(size.lines // 2, spare))
    last = happened[-room:]
    rows = history.table(last).rows
    clocks = [Styled(dates.local(one.at, dates.CLOCK_SECOND)) for one in last]
    short = tuple([TableRow((at, *row.cells[1:2], *row.cells[3:])) for at, row in zip(clocks, rows, strict=True)])
    found: list[Line] = []
    for lines in reversed(blocks(Table((), short), size.columns)):
        if len(found) + len(lines) + 2 > room:
            break
        found = [*lines, *found]
    return [(), (Styled(CHANGES, "dim"),), *found] if found else []
