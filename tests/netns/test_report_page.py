"""The page of the report as a browser shows it: on a phone, on a desk, at night and on paper."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwan_hook.explain.report import gather, sheet, words
from mwan_hook.explain.report import page as pages
from mwan_hook.explain.report.figures import About, report
from mwan_hook.model import Family
from mwan_hook.phrases import FAMILIES
from mwan_hook.quota.words import shown as shown_bytes
from tests import month
from tests.browser import Browser, browser

WIDTHS, SCHEMES = (360, 700, 900, 1100, 1280), ("light", "dark")
BEYOND = """
[...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && !one.closest('thead, svg svg, defs, pattern')
        && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(one => one.outerHTML.slice(0, 90))
"""
CUT = """
[...document.querySelectorAll('td, tbody th, dd, p, h1, figcaption, li')].filter(
    one => one.clientWidth && one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 90))
"""
OVERLAP = """
[...document.querySelectorAll('.axis, .scale')].flatMap(svg => {
    const texts = [...svg.querySelectorAll('text')].map(one => one.getBoundingClientRect());
    return texts.slice(1).filter((one, at) => one.left < texts[at].right && one.right > texts[at].left
        && one.top < texts[at].bottom - 2 && one.bottom > texts[at].top + 2);
}).length
"""
CONTRAST = """
(() => {
    const light = text => {
        const parts = text.match(/[\\d.]+/g).map(Number).slice(0, 3).map(one => one / 255)
            .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const ground = light(getComputedStyle(document.body).backgroundColor);
    const written = [...document.querySelectorAll('body :not(svg, svg *), text')].filter(
        one => [...one.childNodes].some(inner => inner.nodeType === 3 && inner.data.trim()));
    const ratios = written.map(one => light(getComputedStyle(one)[one.closest('svg') ? 'fill' : 'color']))
        .map(one => (Math.max(one, ground) + 0.05) / (Math.min(one, ground) + 0.05));
    return Math.min(...ratios);
})()
"""
ROWS = "[...document.querySelectorAll('.headline tbody tr')].map(row => [...row.children].map(one => one.textContent))"


@pytest.fixture(scope="module")
def shown() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages: of all uplinks, of one, of a day, with nothing, and of a name that is as long as it can be."""
    place = tmp_path_factory.mktemp("pages")
    hours = month.hours()
    found = gather.of_one(gather.Gathered(month.SINCE, month.UNTIL, hours), "fiber")
    fiber = report(found.hours, found.since, found.until, ())
    day = report(hours, month.UNTIL - 86400, month.UNTIL, ())
    long = [
        hour._replace(lines=tuple(line._replace(uplink="the-second-floor-cable-modem") for line in hour.lines[:1]))
        for hour in hours
    ]
    written = {
        "all": month.page(),
        "fiber": pages.page(fiber, About("fiber", "1.0", month.UNTIL, True, ("icmp://9.9.9.9", "gateway:"))),
        "day": pages.page(day, About("router1", "1.0", month.UNTIL)),
        "nothing": pages.page(report((), month.SINCE, month.UNTIL, ()), About("router1", "1.0", month.UNTIL)),
        "long": pages.page(report(long, month.SINCE, month.UNTIL, ()), About("gateway" * 8, "1.0", month.UNTIL)),
    }
    for name, text in written.items():
        (place / f"{name}.html").write_text(text)
    return {name: place / f"{name}.html" for name in written}


@pytest.mark.parametrize("name", ["all", "fiber", "day", "nothing", "long"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_or_covers_another(shown: Browser, files: dict[str, Path], name: str, width: int) -> None:
    for scheme in SCHEMES if width in (360, 1280) else SCHEMES[:1]:
        shown.show(files[name], width, scheme)
        assert shown.value("document.scrollingElement.scrollWidth <= innerWidth"), scheme
        assert shown.value(BEYOND) == []
        assert shown.value(CUT) == []
        assert shown.value(OVERLAP) == 0
        assert shown.value(CONTRAST) >= 4.5, scheme


def test_the_picture_follows_the_readers_scheme(shown: Browser, files: dict[str, Path]) -> None:
    pictures = []
    for scheme in SCHEMES:
        shown.show(files["all"], 360, scheme)
        pictures.append(shown.picture(360, 900))
        assert struct.unpack(">II", pictures[-1][16:24]) == (360, 900)
        assert len(pictures[-1]) > 20_000, "letters and bands are drawn"
    assert pictures[0] != pictures[1]


def test_nothing_is_fetched_and_no_script_runs(shown: Browser, files: dict[str, Path]) -> None:
    for file in files.values():
        shown.show(file, 1280)
        assert shown.requests == [file.as_uri()]
        assert shown.value("document.scripts.length") == 0


def test_on_paper_all_of_it_is_dark_on_white(shown: Browser, files: dict[str, Path]) -> None:
    for name in ("all", "long"):
        shown.show(files[name], 680, "dark", "print")  # A4 without margins at 96 pixels an inch
        assert shown.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert shown.value(BEYOND) == []


def test_the_figures_are_those_of_the_table(shown: Browser, files: dict[str, Path]) -> None:
    hours = month.hours()
    table = list(csv.DictReader(io.StringIO(sheet.text(hours, month.whole(), About("router1", "1.0", month.UNTIL)))))
    shown.show(files["all"], 1280)
    seen = [[cell.strip() for cell in row] for row in shown.value(ROWS)]
    totals = [row for row in table if row["kind"] == "total"]
    assert len(seen) == len(totals) == len(month.LINES)
    for cells, row in zip(seen, totals, strict=True):
        assert cells[0] == f"{row['uplink']} {FAMILIES[Family(row['family'])]}"
        wanted = {
            "Available": words.percent(float(row["availability_percent"])),
            "Outages": row["outages"],
            "Longest": words.length(float(row["longest_s"])),
            "Median": words.milliseconds(float(row["p50_ms"])),
            "95 %": words.milliseconds(float(row["p95_ms"])),
            "Loss": words.loss(float(row["loss_percent"])),
            "Bridged": words.length(float(row["bridged_s"])),
            "Not observed": words.length(float(row["unknown_s"])),
            "Received": shown_bytes(int(row["received_bytes"])) if row["received_bytes"] else "",
            "Sent": shown_bytes(int(row["sent_bytes"])) if row["sent_bytes"] else "",
        }
        assert cells[1:] == [f"{head}{value}" if value else "" for head, value in wanted.items()]
    outages = [row for row in table if row["kind"] == "outage"]
    told = shown.value("[...document.querySelectorAll('.outages tbody tr')].map(row => row.innerText)")
    keys = ("begin", "end", "seconds", "uplink", "word", "cause", "reason")
    rows = {tuple(row[key] for key in keys) for row in outages}  # both families of a line are one row
    assert len(told) == len(rows) > 2
    for text, (begin, end, seconds, *said) in zip(told, sorted(rows, reverse=True), strict=True):
        moments = [moment.replace("T", " ").rstrip("Z") for moment in (begin, end)]
        assert all(part in text for part in (*moments, words.length(float(seconds)), said[0], *said[2:])), text
