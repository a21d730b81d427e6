"""What a report says of a month: text, page, table, and what is left out for a provider."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwan_hook.explain import outages
from mwan_hook.explain.report import bands, charts, figures, gather, page, sheet, text, words
from mwan_hook.explain.report.figures import About
from mwan_hook.explain.report.page import MOST_TICKS, ticks
from mwan_hook.model import Config, Family, Hour, LineHour, Probe, Stretch, UplinkConfig
from mwan_hook.store import files, hours
from mwan_hook.wrapping import columns
from tests import month

PAGE = Path(__file__).resolve().parents[3] / "docs/report.md"
ABOUT = About("router1", "1.0", month.UNTIL)
V4 = Family.IPV4


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def recorded() -> tuple[Hour, ...]:
    return month.hours()


def test_the_manual_shows_what_is_printed(recorded: tuple[Hour, ...]) -> None:
    printed = "\n".join(("$ mwan-hook report", *text.lines(month.whole(), ABOUT)))
    assert printed in PAGE.read_text()
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.isascii()


def test_bands_of_names_in_wide_letters_stand_below_each_other() -> None:
    stretches = (Stretch(0.0, "online"), Stretch(1800.0, "offline"))
    hour = Hour(0.0, 0.0, 3600.0, tuple(LineHour(name, V4, stretches) for name in ("光纤", "lte")))
    printed = text.lines(figures.report([hour], 0.0, 3600.0, ()), ABOUT)
    bands = [line for line in printed if "===!!!" in line]
    assert len({columns(line.partition("===")[0]) for line in bands}) == 1 and len(bands) == 2
    assert max(map(columns, printed)) <= 80


def test_a_page_has_no_script_and_names_nothing_outside() -> None:
    made = month.page()
    assert "Content-Security-Policy" in made
    assert "default-src 'none'" in made
    assert not re.search(r"<script|javascript:|\son\w+=|@import|<link|<iframe|<img|https?:", made, re.IGNORECASE)
    assert {*re.findall(r"url\(([^)]*)\)", made)} == {"#hatch"}
    assert not re.search(r"\b(?:src|href|action|srcset|data)=", made)


def test_every_plot_says_what_it_shows() -> None:
    made = month.page()
    plots = re.findall(r'<svg class="plot.*?</svg>', made, re.DOTALL)
    assert len(plots) > 15
    for plot in plots:
        assert re.search(r'role="img" aria-label="[^"]+"', plot)
        assert re.search(r"<title>[^<]+</title><desc>[^<]+</desc>", plot)


def test_what_comes_from_outside_is_escaped() -> None:
    spelled = '<script>alert("1")</script>\x07'
    stretch = Stretch(0.0, "offline", cause="no answer", reason=spelled)
    hour = Hour(0.0, 0.0, 3600.0, (LineHour("<b>", V4, (stretch,)),))
    made = page.page(figures.report([hour], 0.0, 3600.0, ()), About("<i>&", "1.0", 0.0))
    assert "<script" not in made
    assert "<b>fiber" not in made
    assert "\x07" not in made
    assert "&lt;i&gt;&amp;" in made
    row = sheet.text([hour], figures.report([hour], 0.0, 3600.0, ()), ABOUT)
    assert spelled.replace('"', '""') in row, "as it was, in quotes"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\uff1d", "\uff20"])
def test_a_reason_is_no_formula(first: str) -> None:
    stretch = Stretch(0.0, "offline", reason=f"{first}1+1")
    hour = Hour(0.0, 0.0, 3600.0, (LineHour("fiber", V4, (stretch,)),))
    assert f",'{first}1+1," in sheet.text([hour], figures.report([hour], 0.0, 3600.0, ()), ABOUT)


def test_the_seconds_of_all_words_are_the_whole_time_in_each_row(recorded: tuple[Hour, ...]) -> None:
    rows = list(csv.DictReader(io.StringIO(sheet.text(recorded, month.whole(), ABOUT))))
    totals: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row["kind"] != "outage":
            length = sum(float(row[f"{word}_s"]) for word in outages.WORDS)
            assert length == pytest.approx(float(row["seconds"]), abs=0.01)
            sums = totals.setdefault((row["kind"], row["uplink"] + row["family"]), {})
            for name in ("online_s", "unknown_s", "bridged_s", "probes", "lost", "received_bytes"):
                sums[name] = sums.get(name, 0.0) + float(row[name] or 0)
    assert {kind for kind, _ in totals} == {"total", "hour"}
    for (kind, line), sums in totals.items():
        if kind == "total":
            assert sums == pytest.approx(totals["hour", line], abs=1)


def test_the_last_row_ends_with_the_report() -> None:
    hour = Hour(0.0, 0.0, 1800.0, (LineHour("fiber", V4, (Stretch(0.0, "online"),)),))
    made = sheet.text([hour], figures.report([hour], 0.0, 5400.0, ()), ABOUT)
    rows = [row for row in csv.DictReader(io.StringIO(made)) if row["kind"] == "hour"]
    assert [(row["end"], row["seconds"]) for row in rows] == [
        ("1970-01-01T01:00:00Z", "3600"),
        ("1970-01-01T01:30:00Z", "1800"),
    ]


def test_an_hour_that_is_stored_twice_counts_once(recorded: tuple[Hour, ...]) -> None:
    line = outages.lines(recorded)[0]
    once, twice = (outages.periods(hours, line, month.SINCE, month.UNTIL) for hours in (recorded, recorded * 2))
    assert outages.seconds(twice) == pytest.approx(outages.seconds(once))
    assert sum(outages.seconds(twice).values()) == pytest.approx(month.UNTIL - month.SINCE)


def test_beyond_three_months_a_row_is_a_day() -> None:
    until = month.SINCE + 94 * 86400
    made = figures.report(month.hours(until=month.SINCE + 86400), month.SINCE, until, ())
    rows = list(csv.DictReader(io.StringIO(sheet.text(month.hours(until=month.SINCE + 86400), made, ABOUT))))
    assert sum(row["kind"] == "day" for row in rows) == 94 * len(month.LINES)


def test_a_provider_reads_nothing_of_other_lines(recorded: tuple[Hour, ...]) -> None:
    told = [
        hour._replace(
            lines=tuple(
                line._replace(
                    stretches=tuple(
                        one._replace(reason="held; lte is online" if "9" in one.reason else "cable: x; y")
                        for one in line.stretches
                    )
                )
                for line in hour.lines
            )
        )
        for hour in recorded
    ]
    found = gather.of_one(gather.Gathered(month.SINCE, month.UNTIL, tuple(told)), "fiber")
    made = figures.report(found.hours, found.since, found.until, ())
    about = About("fiber", "1.0", month.UNTIL, True, ("icmp://9.9.9.9",))
    forms = (page.page(made, about), "\n".join(text.lines(made, about)), sheet.text(found.hours, made, about))
    for form in forms:
        assert not re.search(r"cable|lte|router1|bridged|carried|5 h 16 min", form, re.IGNORECASE)
    assert "2026-11-03T10:09:47Z" in forms[0]
    assert "2026-11-03 11:09:47" in forms[0]
    assert "235,440" in forms[0]
    assert "235,440 probes from 2026-10-31T07:00:00Z to 2026-11-30T07:00:00Z" in forms[1]
    assert "asked: icmp://9.9.9.9" in forms[1]


def test_of_a_template_all_are_found_and_its_targets() -> None:
    line = LineHour("stick@eth5", V4, (Stretch(0.0, "online"),))
    found = gather.Gathered(0.0, 3600.0, (Hour(0.0, 0.0, 3600.0, (line, line._replace(uplink="sticky"))),))
    assert gather.of_one(found, "stick").uplinks == ("stick@eth5",)
    assert gather.of_one(found, "stick@eth5").uplinks == ("stick@eth5",)
    own = Config(uplinks=(UplinkConfig("stick", probe=Probe()),))
    assert gather.targets(own, "stick@eth5") == ()


def test_a_line_that_answers_again_has_died_of_nothing_else() -> None:
    told = (
        ("online", ""),
        ("offline", "gateway"),
        ("offline", ""),
        ("online", ""),
        ("offline", ""),
        ("offline", "loss"),
    )
    stretches = tuple(Stretch(60.0 * place, word, cause=cause) for place, (word, cause) in enumerate(told))
    made = figures.report([Hour(0.0, 0.0, 3600.0, (LineHour("fiber", V4, stretches),))], 0.0, 3600.0, ())
    assert [(one.causes, one.seconds) for one in made.lines[0].out] == [(("gateway",), 120.0), (("loss",), 3360.0)]


def test_a_line_that_flaps_is_drawn_by_the_worst_of_each_part() -> None:
    stretches = tuple(Stretch(float(at), ("online", "offline")[at % 2]) for at in range(3600))
    made = figures.report([Hour(0.0, 0.0, 3600.0, (LineHour("fiber", V4, stretches),))], 0.0, 3600.0, ())
    drawn = bands.band(made.lines[0], charts.Across(0.0, 3600.0))
    assert drawn.count("<rect") <= bands.FINEST
    assert 'class="offline"' in drawn


def test_figures_are_never_better_than_they_were() -> None:
    assert words.percent(99.9999) == "99.999 %"
    assert words.percent(100.0) == "100 %"
    assert words.loss(0.004) == "< 0.01 %"
    assert words.loss(0.0) == "0 %"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ((("online", 12.0),), "100 % of 12s"),
        ((("online", 1800.0), ("offline", 600.0)), "75.000 % of 40min"),
        ((("standby", 3000.0), ("online", 600.0)), "100 % of 10min"),
        ((("online", 2700.0),), "100 %"),
        ((("disabled", 3599.0),), words.NOTHING),
    ],
)
def test_a_share_of_little_time_says_of_how_much(seconds: tuple[tuple[str, float], ...], said: str) -> None:
    edges = [sum(length for _, length in seconds[:number]) for number in range(len(seconds) + 1)]
    told = [*(word for word, _ in seconds), "unknown"]
    stretches = map(Stretch, edges, told)
    hour = Hour(0.0, 0.0, 3600.0, (LineHour("fiber", V4, tuple(stretches)),))
    made = figures.report([hour], 0.0, 3600.0, ())
    (line,) = made.lines
    assert words.available(line.availability, line.judged, line.whole) == said
    assert f"  {said.replace(words.NOTHING, '-')}  " in "\n".join(text.lines(made, ABOUT))
    assert f">{said}</td>" in page.page(made, ABOUT)


@pytest.mark.parametrize("days", [0.1, 1, 2, 7, 30, 61, 365, 3000])
def test_an_axis_has_few_marks_and_days_begin_at_midnight(days: float) -> None:
    """Through the end of summer time, on 25 October 2026."""
    until = 1_793_200_000.0
    found = ticks(until - days * 86400, until)
    assert 1 <= len(found) <= MOST_TICKS + 1
    assert all(until - days * 86400 <= at <= until for at, _ in found)
    if days >= 7:
        assert all(time.localtime(at)[3:5] == (0, 0) for at, _ in found)


def test_hours_come_back_from_the_disk_but_what_cannot_be_read(tmp_path: Path, recorded: tuple[Hour, ...]) -> None:
    path = tmp_path / files.LIB / "record/hours"
    path.parent.mkdir(parents=True)
    path.write_bytes(
        b"".join(map(hours.line, recorded[:5]))
        + b'{"v": 99, "begin": 1, "until": 1e12}\n\xff\n[]\n{"v": 1}\n'
        + hours.line(recorded[5])[:-20]
    )
    assert hours.read(str(tmp_path), 0.0) == recorded[:5]
    assert hours.read(str(tmp_path), recorded[3].begin) == recorded[3:5]
    assert hours.read(str(tmp_path / "none"), 0.0) == ()
