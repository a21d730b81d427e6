"""Tables and sentences fit every width, and lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook import columns
from mwan_hook.columns import Table, TableRow
from mwan_hook.commands import screen
from mwan_hook.say import shown
from mwan_hook.wrapping import Styled, width

# Letters of every width, what is spelled out, and what is typed.
LETTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from("ab ;:漢字é\u0301\u20dd\x1b\x00\u202e\t/")
TEXTS = st.text(LETTERS, max_size=40) | st.lists(st.text("abc漢;", max_size=9), max_size=9).map(" ".join)
SPANS = st.builds(Styled, TEXTS, st.sampled_from(["", *screen.INK]))
BELOW = st.lists(st.tuples(SPANS, SPANS), max_size=2).map(tuple)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Of any shape."""
    count = draw(st.integers(1, 5))
    heads = draw(st.just(()) | st.tuples(*[st.text("ABCD", max_size=6)] * count))
    rows = draw(st.lists(st.builds(TableRow, st.tuples(*[SPANS] * count), BELOW), max_size=4))
    return Table(heads, tuple(rows), frozenset(draw(st.sets(st.integers(0, count - 1)))))


def said(line: tuple[Styled, ...]) -> str:
    return "".join(span.text for span in line)


def letters(texts: list[str]) -> str:
    """All but blanks, in no order: headings are repeated, and columns change their places."""
    return "".join(sorted("".join(shown(text) for text in texts).replace(" ", "")))


@given(tables(), st.integers(8, 200))
def test_no_line_is_wider_than_the_terminal_and_no_letter_is_lost(table: Table, room: int) -> None:
    found = columns.lines(table, room)
    for line in found:
        assert width(line) <= room
        assert said(line).isprintable() and said(line) == said(line).rstrip(" ")
    wanted = [text for row in table.rows for cells in (row.cells, *row.below) for text, _ in cells]
    have, need = letters([said(line) for line in found]), letters(wanted)
    assert all(have.count(letter) >= need.count(letter) for letter in set(need))


@given(tables())
def test_without_a_width_a_row_is_a_line(table: Table) -> None:
    assert len(columns.lines(table, None)) == len(table.rows) + bool(table.heads)


@given(st.lists(st.text("abc漢;", min_size=1, max_size=12), min_size=1, max_size=20), st.integers(24, 100))
def test_no_word_is_broken_that_fits_a_line(words: list[str], room: int) -> None:
    table = columns.plain(("NAME", "WHY"), [("fiber", " ".join(words))])
    found = " ".join(said(line) for line in columns.lines(table, room)).split()
    assert [word for word in found if word not in ("NAME", "WHY", "fiber")] == [w for w in words if w != "fiber"]


@given(TEXTS, st.integers(8, 120), st.integers(0, 12))
def test_a_sentence_fits_too(text: str, room: int, indent: int) -> None:
    found = columns.paragraph([Styled(text)], room, indent)
    assert all(width(line) <= room for line in found)
    assert letters([said(line) for line in found]) == letters([text])


ROWS = [
    ("fiber", "enp1s0", "online", "1 of 1 targets answered"),
    ("lte@enp0s20u1", "enp0s20u1", "offline", "0 of 3 targets answered: timed out after 0.3 s; 3 of 3 bad rounds"),
]
HEADS = ("UPLINK", "INTERFACE", "STATE", "REASON")


def drawn(room: int | None) -> list[str]:
    return [said(line) for line in columns.lines(columns.plain(HEADS, ROWS), room)]


def test_where_there_is_room_a_row_is_a_line() -> None:
    assert drawn(120) == drawn(None)
    assert drawn(120)[0] == "UPLINK         INTERFACE  STATE    REASON"


def test_else_a_long_sentence_stands_below_its_row() -> None:
    assert drawn(72) == [
        "UPLINK         INTERFACE  STATE    REASON",
        "fiber          enp1s0     online   1 of 1 targets answered",
        "lte@enp0s20u1  enp0s20u1  offline",
        "    0 of 3 targets answered: timed out after 0.3 s; 3 of 3 bad rounds",
    ]


def test_where_there_is_no_room_to_read_all_of_them_do() -> None:
    assert drawn(56)[:3] == [
        "UPLINK         INTERFACE  STATE",
        "fiber          enp1s0     online",
        "    1 of 1 targets answered",
    ]


def test_what_is_too_wide_beside_the_others_stands_below_with_its_heading() -> None:
    assert drawn(30) == [
        "UPLINK         INTERFACE",
        "fiber          enp1s0",
        "    STATE online",
        "    1 of 1 targets answered",
        "lte@enp0s20u1  enp0s20u1",
        "    STATE offline",
        "    0 of 3 targets answered:",
        "    timed out after 0.3 s;",
        "    3 of 3 bad rounds",
    ]


def test_a_sentence_alone_is_not_indented() -> None:
    found = columns.lines(columns.plain((), [("all uplinks at once; upstream, power or this machine",)]), 40)
    assert [said(line) for line in found] == ["all uplinks at once; upstream, power or", "this machine"]


def test_numbers_stand_right() -> None:
    table = columns.plain(("NAME", "COUNT", "WHAT"), [("a", "5", "x"), ("b", "1000", "y")], right=[1])
    assert [said(line) for line in columns.lines(table, 80)] == [
        "NAME  COUNT  WHAT",
        "a         5  x",
        "b      1000  y",
    ]


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "CLICOLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], terminal: bool, expected: bool) -> None:
    assert screen.coloured(environment, terminal) is expected


@pytest.mark.parametrize(("told", "expected"), [("44", 44), ("0", 80), ("", 80), ("-3", 80), ("wide", 80)])
def test_the_width_is_that_of_columns_else_80(told: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", told)
    monkeypatch.setattr(screen, "is_terminal", lambda: False)
    assert screen.width() == expected
    assert screen.terminal_width() is None, "what is piped is searched"


def test_what_is_printed_in_colours_moves_no_cursor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen.put([(Styled("\x1b[2J", "online"), Styled(" plain"))])
    assert capsys.readouterr().out == "\x1b[32m\\x1b[2J\x1b[0m plain\n"
