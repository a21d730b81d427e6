"""Durations in words."""

from __future__ import annotations

import pytest

from mwan_hook.durations import duration, largest_unit, measured


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"), (0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (123, "2 min 3 s"),
        (3599, "59 min 59 s"), (3600, "1 h"), (3661, "1 h 1 min"), (86399, "23 h 59 min"), (86400, "1 d"),
        (90000, "1 d 1 h"), (3 * 86400 + 4 * 3600 + 1800, "3 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1min"), (3599.9, "59min"), (3600, "1h"), (86399, "23h"),
        (86400, "1d"), (6 * 86400 - 1, "5d"),
    ],
)  # fmt: skip
def test_a_column_has_whole_numbers_of_the_largest_unit(seconds: float, words: str) -> None:
    assert largest_unit(seconds) == words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90s", ("90", 1)),
        ("1.5h", ("1.5", 3600)),
        ("30d", ("30", 86400)),
        ("7", ("7", 1)),
        ("m", ("", 60)),
        ("", ("", 1)),
    ],
)
def test_a_number_without_a_unit_is_of_seconds(text: str, found: tuple[str, int]) -> None:
    assert measured(text) == found
