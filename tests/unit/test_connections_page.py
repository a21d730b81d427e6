"""docs/connections.md: each row of the table names tests, and those exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs/connections.md").read_text()
TABLE, _, PROOFS = PAGE.partition("\nShown by these tests")
ROW = re.compile(r"^\| (\d+) \| (.*)$", re.MULTILINE)


def named(cells: str) -> list[tuple[str, str]]:
    """File and function of each test of a row."""
    found, file = [], ""
    for word in re.findall(r"`([^`]+)`", cells):
        if word.endswith(".py"):
            file = word
        else:
            found.append((file, word))
    return found


def test_every_row_is_shown_by_a_test_and_rows_are_counted() -> None:
    rows = [int(number) for number, _ in ROW.findall(TABLE)]
    assert rows == list(range(1, len(rows) + 1))
    proofs = {int(number): named(cells) for number, cells in ROW.findall(PROOFS)}
    assert list(proofs) == rows
    assert [number for number, tests in proofs.items() if not tests] == []


def test_every_test_that_is_named_exists() -> None:
    tests = [test for _, cells in ROW.findall(PROOFS) for test in named(cells)]
    places = {file: TESTS / file if "/" in file else TESTS / "netns" / file for file, _ in tests}
    there = {file: re.findall(r"^def (test_\w+)", place.read_text(), re.M) for file, place in places.items()}
    assert [(file, name) for file, name in tests if name not in there[file]] == []
