"""What reaches a terminal or the journal: nothing that moves a cursor, and no flood."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook import say

PROGRAM = Path(__file__).resolve().parents[2] / "lib/mwan_hook"
# C0 with the line break, DEL, C1, marks and overrides of direction, line and paragraph separators, a byte of no UTF-8
CONTROLS = [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F)]
CONTROLS += [*range(0x2066, 0x206A), 0xFEFF, 0xD800, 0xDC9B, 0xE0041]


@pytest.mark.parametrize("number", CONTROLS, ids=hex)
def test_a_control_character_is_spelled_out(number: int) -> None:
    text = say.shown(f"a{chr(number)}b")
    assert text.isprintable() and text.startswith("a\\") and text.endswith(f"{number:x}b")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b1A", "\\x9b1A"),
        ("\x7f", "\\x7f"),
        ("größer → 寬 \U0001f310", "größer → 寬 \U0001f310"),
        ("a\tb\r\n", "a\\x09b\\x0d\\x0a"),
    ],
)
def test_what_prints_stays(text: str, shown: str) -> None:
    assert say.shown(text) == shown


@given(st.lists(st.text()))
def test_a_line_stays_a_line(lines: list[str]) -> None:
    assert all(say.shown(line).isprintable() for line in say.brief(lines))


def test_say_and_complain_show_what_is_foreign(capsys: pytest.CaptureFixture[str]) -> None:
    say.say(["one\x1b]0;x\x07", "two\nthree"])
    say.complain(["\udc80\u2028four"])
    said = capsys.readouterr()
    assert said.out == "one\\x1b]0;x\\x07\ntwo\\x0athree\n"
    assert said.err == "mwan-hook: \\udc80\\u2028four\n"


def test_of_lines_of_one_kind_ten_are_said_and_the_others_counted() -> None:
    routes = [f"ip route del 10.{n >> 8}.{n & 255}.0/24 dev w3 table 1003: no such process" for n in range(7000)]
    paths = [f"/run/x/{n:x} is no entry of the spool (line {n} column 3)" for n in range(31)]
    said = list(say.brief([*routes, "one of its own", *paths]))
    assert said[:10] == routes[:10] and said[10] == "one of its own" and said[11:21] == paths[:10]
    assert said[21:] == [f"... and 6990 more such as: {routes[9]}", f"... and 21 more such as: {paths[9]}"]


def test_ten_of_a_kind_and_different_ones_are_all_said() -> None:
    few = [f"route {n}" for n in range(10)]
    words = [f"{name} is offline" for name in ("fiber", "cable", "lte", "dsl")] * 3
    assert list(say.brief([*few, *words])) == [*few, *words]


def test_nothing_else_prints() -> None:
    """ruff holds print(); this holds the streams themselves."""
    for path in PROGRAM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("write", "writelines"):
                assert ast.unparse(node.value) != "sys.stderr", path
                assert ast.unparse(node.value) != "sys.stdout" or path.name in ("screen.py", "import_.py"), path
