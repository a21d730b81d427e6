"""The benchmark of connections judges each flow by what it noted (tests/bench/fates.py)."""

from __future__ import annotations

import pytest

from tests.bench.fates import Fate, Noted, fate, row

NAMES = {"10.1.0.2": "fiber", "10.2.0.2": "lte"}


def flow(*answers: float, errors: tuple[float, ...] = (), moved: float = 99) -> Noted:
    """Answers at these times; from `moved` on by lte."""
    return {
        "answers": [(at, "10.2.0.2" if at >= moved else "10.1.0.2") for at in answers],
        "errors": [(at, "ECONNRESET") for at in errors],
    }


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        (flow(1, 9.5, 10, 11, 12, 19, 20), Fate(False, False, 7, "10.1.0.2")),
        (flow(1, 14, 20, moved=14), Fate(False, False, 6, "10.2.0.2")),
        (flow(1, 13, 20, errors=(12,), moved=12), Fate(True, False, 7, "10.2.0.2")),
        (flow(1, 12, 20, errors=(9, 21)), Fate(False, False, 8, "10.1.0.2")),
        (flow(1, 12, 30), Fate(False, True, 8, "10.1.0.2")),
        (flow(1), Fate(False, True, 10, "")),
        (flow(11, 20), None),
    ],
)
def test_a_flow_is_judged_by_its_answers_and_errors_in_the_span(noted: Noted, expected: Fate | None) -> None:
    assert fate(noted, 10, 20, patience=1) == expected


def test_a_row_counts_those_that_went_on_were_told_and_hang() -> None:
    flows = [flow(9, 12, 20), flow(9, 14, 20, errors=(13,), moved=14), flow(9, 15), flow(11, 20)]
    assert row("it", flows, (10, 20), 1, NAMES) == ("it", "1 of 4", "1", "1", "8.0 / 8.0 / 8.0 s", "fiber 1, lte 1")
    assert row("it", [flow(9)], (10, 20), 1, NAMES) == ("it", "0 of 1", "0", "1", "-", "-")
