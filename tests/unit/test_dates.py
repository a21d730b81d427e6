"""Moments in words."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mwan_hook import dates

NOON = 1796295600.5  # 2026-12-03 11:00:00 UTC


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_programs_get_utc_and_people_local_time() -> None:
    assert dates.utc(NOON) == "2026-12-03T11:00:00+00:00"
    assert dates.local(NOON, dates.SECOND) == "2026-12-03 12:00:00"
    assert dates.local(NOON, dates.MINUTE) == "2026-12-03 12:00"
    assert dates.local(NOON, dates.CLOCK) == "12:00"


@pytest.mark.parametrize("at", [1e20, -1e20])
def test_a_year_that_no_calendar_has_is_told_as_seconds(at: float) -> None:
    assert dates.utc(at) is None
    assert dates.local(at, dates.MINUTE) == f"{at:.0f}"
    assert not dates.same_day(at, NOON)


def test_a_day_is_one_of_this_place() -> None:
    midnight = NOON - 12 * 3600 - 0.5
    assert dates.same_day(midnight, NOON)
    assert not dates.same_day(midnight - 1, NOON)
    assert dates.utc(midnight) == "2026-12-02T23:00:00+00:00"
