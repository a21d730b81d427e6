"""A report for a terminal of 80 columns.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mwan_hook import columns, wrapping
from mwan_hook.explain import causes
from mwan_hook.explain.outages import TROUBLE, Outage, Period
from mwan_hook.explain.report import words
from mwan_hook.explain.report.figures import About, Report, UplinkFigures
from mwan_hook.model import DEGRADED, STANDBY, UNKNOWN
from mwan_hook.phrases import FAMILIES, many

WIDTH = 80
MOST_OUTAGES = 50
FIGURES = ("LINE", "AVAILABLE", "OUTAGES", "LONGEST", "MEDIAN", "95 %", "LOSS")
# The worst first: of a part of the time the first of TROUBLE that was seen is drawn, else what was most of it.
MARKS = {"offline": "!", DEGRADED: "~", "disabled": "x", UNKNOWN: ".", STANDBY: "-", "online": "="}


def lines(report: Report, about: About) -> list[str]:
    """All of it."""
    found = [*_head(report, about), ""]
    if not report.lines:
        return [*found, "Nothing is on record of this time."]
    figures = [FIGURES, *((line.name, *words.figures(line).values()) for line in report.lines)]
    found += [*_grid(figures, 1), "", *_grid(_shares(report, about), 1), ""]
    found += [*_bands(report), ""]
    return [line.replace(words.NOTHING, "-") for line in (*found, *_outages(report, about), *_coverage(report, about))]


def _head(report: Report, about: About) -> list[str]:
    length = words.days(report.since, report.until)
    when = f"{words.local(report.since)} to {words.local(report.until)} {words.zone(report.until)}"
    found = [f"{about.title}: {length}, {when}"]
    if about.one:
        found.append(f"{' ' * len(about.title)}  {words.utc(report.since)} to {words.utc(report.until)}")
    return found


def _shares(report: Report, about: About) -> list[tuple[str, ...]]:
    heads = ("LINE", "DEGRADED", "BRIDGED", "NOT OBSERVED", "RECEIVED", "SENT")
    rows = [heads, *(row for uplink in report.uplinks for row in _shares_of(uplink))]
    return [(*row[:2], *row[3:]) for row in rows] if about.one else rows


def _shares_of(uplink: UplinkFigures) -> Iterator[tuple[str, ...]]:
    for number, line in enumerate(uplink.lines):
        moved = ("", "") if number else words.carried(uplink.received, uplink.sent)
        times = (line.seconds[DEGRADED], line.bridged, line.seconds[UNKNOWN])
        yield (line.name, *map(words.length, times), *moved)


def _bands(report: Report) -> Iterator[str]:
    """A letter for each part of the time: the worst trouble that was seen in it."""
    longest = max(wrapping.columns(line.name) for line in report.lines)
    room = max(20, WIDTH - longest - 2)
    bands = [_band(line.periods, report, room) for line in report.lines]
    seen = [f"{mark} {words.WORDS[word]}" for word, mark in MARKS.items() if any(mark in band for band in bands)]
    rows = zip((line.name for line in report.lines), bands, strict=True)
    yield from _beside([*rows], 2)
    yield " " * (longest + 2) + "   ".join(seen)


def _band(periods: Sequence[Period], report: Report, room: int) -> str:
    size = (report.until - report.since) / room
    parts: list[dict[str, float]] = [{} for _ in range(room)]
    for period in periods:
        first = int((period.begin - report.since) / size)
        last = min(room - 1, int((period.end - report.since) / size - 1e-9))
        for place in range(first, last + 1):
            begin = report.since + place * size
            inside = min(period.end, begin + size) - max(period.begin, begin)
            parts[place][period.word] = parts[place].get(period.word, 0.0) + inside
    return "".join(map(_mark, parts))


def _mark(seconds: dict[str, float]) -> str:
    worst = next((word for word in TROUBLE if word in seconds), "")
    return MARKS[worst or max(seconds, key=lambda word: seconds[word])]


def _outages(report: Report, about: About) -> Iterator[str]:
    found = report.together
    if not found:
        yield "No outage was seen."
        return
    heads = ("BEGIN", *(("UTC",) if about.one else ()), "DURATION", "LINE", "WHAT DIED")
    yield from _grid([heads, *(_outage(one, about) for one in found[:MOST_OUTAGES])], len(heads))
    if len(found) > MOST_OUTAGES:
        yield f"... and {len(found) - MOST_OUTAGES} before these"


def _outage(found: Sequence[Outage], about: About) -> tuple[str, ...]:
    one = found[0]
    families = ", ".join(FAMILIES[each.family] for each in found)
    line = families if about.one else f"{one.uplink} {families}"
    died = words.died(one) if one.word == "offline" else f"{words.WORDS[one.word]}: {words.died(one)}"
    return (
        words.to_the_second(one.begin),
        *((_utc(one.begin),) if about.one else ()),
        words.lasted(one),
        line,
        died,
    )


def _utc(at: float) -> str:
    """The time of the day, with the date where that is another one there."""
    found, here = words.utc(at), words.local(at)
    return found[11:] if found[:10] == here[:10] else f"{found[5:10]} {found[11:]}"


def _coverage(report: Report, about: About) -> Iterator[str]:
    """How much is behind the figures; and what the words mean, where a provider reads them."""
    if not about.one:
        return
    yield ""
    for line in report.lines:
        first, last = map(words.utc, line.seen)
        yield f"{FAMILIES[line.family]}: {many(line.probes.asked, 'probe')} from {first} to {last}"
    if about.targets:
        yield f"asked: {', '.join(about.targets)}"
    for cause in dict.fromkeys(cause for outage in report.outages for cause in outage.causes):
        yield f"{cause}: {causes.MEANINGS.get(cause, '')}"


def _grid(rows: Sequence[Sequence[str]], texts: int) -> list[str]:
    """Columns below each other, the first ``texts`` of words and the others of figures.

    Where they are too wide together, the first one has a line of its own.
    """
    found = _beside(rows, texts)
    if max(map(wrapping.columns, found)) <= WIDTH:
        return found
    rest = _beside([row[1:] for row in rows], texts - 1)
    return [line for row, more in zip(rows, rest, strict=True) for line in (row[0], f"  {more}")]


def _beside(rows: Sequence[Sequence[str]], texts: int) -> list[str]:
    """A line a row, however long."""
    table = columns.plain((), rows, range(texts, len(rows[0])))
    return ["".join(span.text for span in line) for line in columns.lines(table, None)]
