"""A report as one static page of HTML: no script, and nothing that is fetched from anywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mwan_hook import dates
from mwan_hook.durations import DAY, HOUR
from mwan_hook.explain import causes
from mwan_hook.explain.report import bands, charts, words
from mwan_hook.explain.report.bands import BAND, MEANING, SHAPE
from mwan_hook.explain.report.charts import Across
from mwan_hook.explain.report.figures import About, LineFigures, Report, UplinkFigures
from mwan_hook.explain.report.style import CSS
from mwan_hook.explain.report.tables import coverage, headline, moment, outages
from mwan_hook.markup import escaped
from mwan_hook.phrases import FAMILIES, many

MOST_TICKS = 7  # below a plot
_HOURS = (1, 2, 3, 6, 12)
_DAYS = (1, 2, 5, 7, 14, 30, 61, 122, 365, 730, 1825)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: Report, about: About) -> str:
    """The whole file."""
    span = Across(report.since, report.until)
    body = "\n".join(_body(report, about, span)) if report.lines else _nothing(report, about)
    title = escaped(f"{about.title}: {words.local(report.since)[:10]} to {words.local(report.until)[:10]}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(report: Report, about: About, span: Across) -> Iterator[str]:
    yield bands.HATCH
    yield _header(report, about)
    yield "<main>"
    yield headline(report, about)
    yield _timeline(report, span)
    yield outages(report, about)
    yield _plots(report, span)
    yield coverage(report, about)
    yield _notes(report)
    yield "</main>"
    yield _footer(about)


def _header(report: Report, about: About) -> str:
    what = "one line" if about.one else many(len(report.uplinks), "uplink")
    zone = words.zone(report.until)
    when = f"{moment(report.since, words.local)} to {moment(report.until, words.local)} {escaped(zone)}"
    extra = f"<p>{moment(report.since, words.utc)} to {moment(report.until, words.utc)}</p>" if about.one else ""
    length = words.days(report.since, report.until)
    return f"<header><h1>{escaped(about.title)}</h1><p>{length}, {what}: {when}</p>{extra}</header>"


def _nothing(report: Report, about: About) -> str:
    return f"{_header(report, about)}<main><p>Nothing is on record of this time.</p></main>{_footer(about)}"


def _timeline(report: Report, span: Across) -> str:
    rows = "".join(
        f'<div class="name">{escaped(line.uplink)} <small>{FAMILIES[line.family]}</small></div>{bands.band(line, span)}'
        for line in report.lines
    )
    shown = [word for word in MEANING if any(line.seconds[word] >= 1 for line in report.lines)]
    legend = "".join(f"<li>{_sample(word)}{MEANING[word]}</li>" for word in shown)
    axis = charts.axis(span, ticks(*span))
    body = f'<figure><div class="timeline">{rows}{axis}</div><ul class="legend">{legend}</ul></figure>'
    return f"<section><h2>Availability</h2>{body}</section>"


def _sample(word: str) -> str:
    top, height = SHAPE.get(word, (0, BAND))
    box = f'<rect class="key-{word}" x="1" width="14" y="{top / 2 + 1:g}" height="{height / 2:g}"/>'
    return f'<svg width="16" height="15" aria-hidden="true">{box}</svg>'


def _plots(report: Report, span: Across) -> str:
    axis = charts.axis(span, ticks(*span))
    body = "".join(_plots_of(uplink, span, axis) for uplink in report.uplinks)
    size = words.length(report.slot)
    scale = (
        f'<p class="quiet">In steps of {size}; round trips on a logarithmic scale: the median, and what 95 of 100 do '
        "not exceed.</p>"
    )
    return f"<section><h2>Round trips, loss and data</h2>{scale}{body}</section>"


def _plots_of(uplink: UplinkFigures, span: Across, axis: str) -> str:
    figures = [_plot_of(line, span, axis) for line in uplink.lines]
    if drawn := charts.data(uplink, span):
        told = f"<b>Data</b> {words.moved(uplink)}"
        figures.append(f'<figure class="graph"><figcaption>{told}</figcaption>{drawn}{axis}</figure>')
    return f'<h3>{escaped(uplink.name)}</h3><div class="plots">{"".join(figures)}</div>'


def _plot_of(line: LineFigures, span: Across, axis: str) -> str:
    told = (
        f"<b>{FAMILIES[line.family]}</b> median {words.milliseconds(line.probes.percentile(50))}, "
        f"95 % {words.milliseconds(line.probes.percentile(95))}, loss {words.loss(line.probes.loss)}"
    )
    plots = charts.round_trips(line, span) + charts.loss(line, span)
    return f'<figure class="graph"><figcaption>{told}</figcaption>{plots}{axis}</figure>'


def _notes(report: Report) -> str:
    seen = {cause for outage in report.outages for cause in outage.causes}
    rows = "".join(
        f"<dt>{word}</dt><dd>{escaped(causes.MEANINGS[word])}</dd>" for word in causes.MEANINGS if word in seen
    )
    died = f"<dl>{rows}</dl>" if rows else ""
    return (
        "<section><h2>How this was counted</h2>"
        "<p>Available is the share of the observed time in which a line was online or degraded; time in which it was "
        "taken out by hand, stood by or was not observed counts neither way; where that is more than a quarter, the "
        "share says of how much time it is. Time is observed as long as runs are "
        "recorded as often as the configuration asks for probes; three in a row that are missing, another boot or a "
        "hole in the record make it unknown. Loss is that of probes while the line was up; percentiles are of rounds "
        "of probes, within 5 %. Data is what the interface counted.</p>"
        f"{died}</section>"
    )


def _footer(about: About) -> str:
    return f"<footer>Made by mwan-hook {escaped(about.version)} on {words.utc(about.made)}.</footer>"


def ticks(since: float, until: float) -> list[tuple[float, str]]:
    """Moments in local time, at most MOST_TICKS of them, and what is written there."""
    length = until - since
    hours = next((step for step in _HOURS if length / (step * HOUR) <= MOST_TICKS), 0)
    if hours:
        return [(at, dates.local(at, dates.CLOCK)) for at in _of_hours(since, until, hours)]
    days = next((step for step in _DAYS if length / (step * DAY) <= MOST_TICKS), _DAYS[-1])
    return [(at, _date(at, days)) for at in _of_days(since, until, days)]


def _of_hours(since: float, until: float, step: int) -> list[float]:
    """Full hours of the day that the step divides; an hour that the clocks skip or repeat moves none."""
    first = int(since // HOUR) * HOUR
    return [
        float(at) for at in range(first, int(until) + 1, HOUR) if at >= since and time.localtime(at).tm_hour % step == 0
    ]


def _of_days(since: float, until: float, step: int) -> list[float]:
    """Midnights, counted back from the last one."""
    year, month, day = time.localtime(until)[:3]
    found = []
    at = _midnight(year, month, day)
    while at >= since:
        found.append(at)
        day -= step
        at = _midnight(year, month, day)
    return found[::-1]


def _midnight(year: int, month: int, day: int) -> float:
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))


def _date(at: float, step: int) -> str:
    there = time.localtime(at)
    return time.strftime("%b %Y", there) if step > 31 else f"{there.tm_mday} {time.strftime('%b', there)}"
