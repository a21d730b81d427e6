"""A moment as people write it, and the frame of the record that tells of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from mwan_hook import durations
from mwan_hook.commands import why
from mwan_hook.commands.asked import moment_of, span
from mwan_hook.commands.parsing import joined
from mwan_hook.explain import moments
from mwan_hook.explain.clock import day, exact, local
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.why import view_of
from mwan_hook.model import MwanError, UsageError
from tests.frames import BOOT, BOOTED, frame, line

NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"
LINES = (line(1, "one"),)


@pytest.fixture(autouse=True)
def far_away() -> Iterator[None]:
    """Local time has summers, and is not UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = NEW_YORK
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def at(text: str) -> float:
    """Seconds since the epoch of a local time."""
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("03:12", "2026-11-30 03:12:00"),
        ("3:12", "2026-11-30 03:12:00"),
        ("03:12:40", "2026-11-30 03:12:40"),
        ("07:00", "2026-11-30 07:00:00"),
        ("07:01", "2026-11-29 07:01:00"),
        ("23:59", "2026-11-29 23:59:00"),
        ("2026-11-28T03:12", "2026-11-28 03:12:00"),
        ("2026-11-28 03:12:01", "2026-11-28 03:12:01"),
        ("-2h", "2026-11-30 05:00:00"),
        ("-90m", "2026-11-30 05:30:00"),
        ("-1d2h", "2026-11-29 05:00:00"),
        ("-30s", "2026-11-30 06:59:30"),
        ("-1.5h", "2026-11-30 05:30:00"),
        ("2h", "2026-11-30 05:00:00"),
        ("1d 2h", "2026-11-29 05:00:00"),
        ("3600", "2026-11-30 06:00:00"),
        ("2026-11-29", "2026-11-29 00:00:00"),
    ],
)
def test_a_moment_is_the_last_one_that_is_past(text: str, expected: str) -> None:
    assert moments.moment(text, at("2026-11-30 07:00:00")) == at(expected)


def test_a_time_of_the_year_0_is_not_one_of_today() -> None:
    assert moments.moment("0000-01-01T03:12", at("2026-11-30 07:00:00")) < at("1970-01-02 00:00:00")


@pytest.mark.parametrize("words", [("why", "--at"), ("replay", "--since"), ("report", "--until")])
def test_all_that_take_a_moment_take_one_that_lies_back(words: tuple[str, str]) -> None:
    assert joined([*words, "-90m"]) == [words[0], f"{words[1]}=-90m"]
    assert moment_of(words[1], "-90m", 1e9) == 1e9 - 5400
    with pytest.raises(UsageError, match=f"{words[1]}: expected a time"):
        moment_of(words[1], "soon", 1e9)


@pytest.mark.parametrize(("since", "until"), [("0s", None), ("1h", "1h"), ("1h", "2h")])
def test_a_span_without_length_is_none(since: str, until: str | None) -> None:
    assert span("2h", "1h", 1e9) == (1e9 - 7200, 1e9 - 3600)
    with pytest.raises(UsageError, match="--since is not before --until"):
        span(since, until, 1e9)


def test_what_is_further_back_than_time_goes_is_its_beginning() -> None:
    assert moments.moment("999999999d", 1e9) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soon", "expected a time, as in 03:12, 2026-11-30, 2026-11-30T03:12 or 2h (ago), not soon"),
        ("24:00", "expected a time, as in 03:12, 2026-11-30, 2026-11-30T03:12 or 2h (ago), not 24:00"),
        ("2h5", "expected a time, as in 03:12, 2026-11-30, 2026-11-30T03:12 or 2h (ago), not 2h5"),
        ("2026-12-01", "2026-12-01 is yet to come"),
        ("-2x", "expected a time, as in 03:12, 2026-11-30, 2026-11-30T03:12 or 2h (ago), not -2x"),
        ("2026-11-30T07:01", "2026-11-30T07:01 is yet to come"),
        ("2026-02-30T07:01", "there is no such time: 2026-02-30T07:01"),
    ],
)
def test_what_is_no_moment_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError) as failed:
        moments.moment(text, at("2026-11-30 07:00:00"))
    assert str(failed.value) == words


def test_of_an_hour_that_clocks_repeat_the_last_one_is_meant() -> None:
    after = at("2026-11-01 03:00:00")
    assert after - moments.moment("01:30", after) == 5400
    assert after - moments.moment("2026-11-01T01:30", after) == 5400
    assert after - 7200 - moments.moment("01:30", after - 7200) == 1800  # in the first of the two


@pytest.mark.parametrize(
    ("moment", "short", "whole"),
    [
        ("2026-11-30 03:12:05", "03:12", "03:12:05"),
        ("2026-11-30 03:12:00", "03:12", "03:12"),
        ("2026-11-30 06:59:05", "06:59:05", "06:59:05"),
        ("2026-11-30 06:59:00", "06:59:00", "06:59"),
        ("2026-11-28 03:12:05", "2026-11-28 03:12", "2026-11-28 03:12:05"),
        ("2026-11-28 03:12:00", "2026-11-28 03:12", "2026-11-28 03:12"),
    ],
)
def test_a_moment_that_is_looked_up_has_its_seconds_however_long_ago_it_was(
    moment: str, short: str, whole: str
) -> None:
    now = at("2026-11-30 07:00:00")
    assert (local(at(moment), now), exact(at(moment), now)) == (short, whole)
    assert exact(at(moment) + 0.9, now) == whole


def test_what_is_said_of_a_moment_can_be_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now, known = at("2026-11-30 07:00:00"), at("2026-11-29 03:12:04")
    monkeypatch.setattr(time, "time", lambda: now)
    seen = frame(LINES, known - BOOTED)
    monkeypatch.setattr(why, "frames", lambda root, *span: Record(seen)(*span))
    assert why.run(str(tmp_path), None, "2026-11-29T03:12:04", as_json=False) == 0
    assert "As it was at 2026-11-29 03:12:04, by what was recorded at 2026-11-29 03:12:04:" in capsys.readouterr().out
    with pytest.raises(MwanError, match=r"at 03:12:05 is not recorded; .* before it 2026-11-29 03:12:04$"):
        why.run(str(tmp_path), None, "03:12:05", as_json=False)


def test_a_day_begins_when_it_does_here() -> None:
    view = view_of(frame(LINES), readable=True)
    begins = day(view, "2026-07-01")
    assert begins is not None
    assert begins - view.now + view.wall == at("2026-07-01 00:00:00")
    assert day(view, "no day") is None


class Record:
    """Frames that may be asked for."""

    def __init__(self, *frames: Frame) -> None:
        self.frames, self.asked = frames, 0

    def __call__(self, since: float, until: float) -> Iterable[Frame]:
        self.asked += 1
        return (one for one in self.frames if since <= one.wall <= until)


def told(frames: Sequence[Frame], now: float, boot: str = BOOT) -> moments.Recorded:
    return moments.recorded(Record(*frames), BOOTED + now, boot)


def test_a_frame_holds_until_the_next_one() -> None:
    frames = [frame(LINES, 100), frame(LINES, 200)]
    assert told(frames, 150).frame == frames[0]
    assert told(frames, 200).frame == frames[1]
    assert told(frames, 100).frame == frames[0]


def test_the_last_frame_holds_as_long_as_its_boot_is_that_of_now() -> None:
    frames = [frame(LINES, 100), frame(LINES, 200)]
    assert told(frames, 50_000).frame == frames[1]
    assert told(frames, 50_000, boot="another").frame is None
    assert told(frames, 200.5, boot="another").frame == frames[1]


@pytest.mark.parametrize("changed", [{"gap": True}, {"boot": "another", "booted": BOOTED}])
def test_what_lies_between_is_unknown_where_something_is_missing(changed: dict[str, object]) -> None:
    frames = [frame(LINES, 100), frame(LINES, 200, **changed)]  # type: ignore[arg-type]
    found = told(frames, 150)
    assert found == (None, BOOTED + 100, BOOTED + 200)
    assert told(frames, 50) == (None, None, BOOTED + 100)
    assert told([], 150) == (None, None, None)


def test_what_is_near_is_read_first_and_what_is_far_found_all_the_same() -> None:
    far = Record(frame(LINES, 100))
    assert moments.recorded(far, BOOTED + 100 + 3 * durations.DAY, BOOT).frame == far.frames[0]
    assert far.asked == 3  # an hour, a day, all
    near = Record(frame(LINES, 100), frame(LINES, 200))
    assert moments.recorded(near, BOOTED + 150, BOOT).frame == near.frames[0]
    assert near.asked == 1
