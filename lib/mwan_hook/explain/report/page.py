"""A report as one static page of HTML: no script, and nothing that is fetched from anywhere."""

from __future__ import annotations

from mwan_hook.explain import causes
from mwan_hook.explain.report import charts, words
from mwan_hook.explain.report.charts import MEANING, SHAPE, Across
from mwan_hook.explain.report.markup import escaped
from mwan_hook.explain.report.style import CSS
from mwan_hook.explain.report.ticks import ticks
from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mwan_hook.explain.outages import Outage
    from mwan_hook.explain.report.figures import LineFigures, Report, UplinkFigures

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MOST_OUTAGES = 500  # rows


class About(NamedTuple):
    """What a report is about, and who made it."""

    title: str  # the machine, or the uplink of one that goes to a provider
    version: str
    made: float  # seconds since the epoch
    one: bool = False  # of one uplink alone, for others to read
    targets: tuple[str, ...] = ()  # that its probes asked


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
    yield charts.HATCH
    yield _header(report, about)
    yield "<main>"
    yield _headline(report, about)
    yield _timeline(report, span)
    yield _outages(report, about)
    yield _plots(report, span)
    yield _coverage(report, about)
    yield _notes(report)
    yield "</main>"
    yield _footer(about)


def _header(report: Report, about: About) -> str:
    what = "one line" if about.one else words.counted(len(report.uplinks), "uplink")
    zone = words.zone(report.until)
    when = f"{_time(report.since, words.local)} to {_time(report.until, words.local)} {escaped(zone)}"
    extra = f"<p>{_time(report.since, words.utc)} to {_time(report.until, words.utc)}</p>" if about.one else ""
    length = words.days(report.since, report.until)
    return f"<header><h1>{escaped(about.title)}</h1><p>{length}, {what}: {when}</p>{extra}</header>"


def _time(at: float, spelled: Callable[[float], str]) -> str:
    """A moment as it is spelled; a browser breaks it nowhere."""
    return f'<time datetime="{words.utc(at)}">{spelled(at)}</time>'


def _nothing(report: Report, about: About) -> str:
    return f"{_header(report, about)}<main><p>Nothing is on record of this time.</p></main>{_footer(about)}"


HEADS = (
    "Line",
    "Available",
    "Outages",
    "Longest",
    "Median",
    "95 %",
    "Loss",
    "Bridged",
    "Not observed",
    "Received",
    "Sent",
)


def _headline(report: Report, about: About) -> str:
    heads = [head for head in HEADS if not (about.one and head == "Bridged")]
    rows = [row for uplink in report.uplinks for row in _headline_rows(uplink, heads)]
    return f'<section><table class="headline">{_head(heads)}<tbody>{"".join(rows)}</tbody></table></section>'


def _headline_rows(uplink: UplinkFigures, heads: list[str]) -> Iterator[str]:
    for number, line in enumerate(uplink.lines):
        cells = {**_figures(line), "Received": "", "Sent": ""}
        if number == 0:
            cells |= {"Received": words.amount(uplink.received), "Sent": words.amount(uplink.sent)}
        row = "".join(_cell(head, cells[head], "big" if head == "Available" else "") for head in heads[1:])
        yield f"<tr{'' if number == 0 else _SAME}>{_name(line)}{row}</tr>"


_SAME = ' class="same"'


def _figures(line: LineFigures) -> dict[str, str]:
    return {
        "Available": words.percent(line.availability),
        "Outages": str(len(line.out)),
        "Longest": words.length(line.longest),
        "Median": words.milliseconds(line.probes.percentile(50)),
        "95 %": words.milliseconds(line.probes.percentile(95)),
        "Loss": words.loss(line.probes.loss),
        "Bridged": words.length(line.bridged),
        "Not observed": words.length(line.seconds["unknown"]),
    }


def _timeline(report: Report, span: Across) -> str:
    rows = "".join(f"{_label(line)}{charts.band(line, span)}" for line in report.lines)
    shown = [word for word in MEANING if any(line.seconds[word] >= 1 for line in report.lines)]
    legend = "".join(f"<li>{_sample(word)}{MEANING[word]}</li>" for word in shown)
    axis = charts.axis(span, ticks(*span))
    body = f'<figure><div class="timeline">{rows}{axis}</div><ul class="legend">{legend}</ul></figure>'
    return f"<section><h2>Availability</h2>{body}</section>"


def _sample(word: str) -> str:
    top, height = SHAPE.get(word, (0, charts.BAND))
    box = f'<rect class="key-{word}" x="1" width="14" y="{top / 2 + 1:g}" height="{height / 2:g}"/>'
    return f'<svg width="16" height="15" aria-hidden="true">{box}</svg>'


def _outages(report: Report, about: About) -> str:
    found = report.together
    if not found:
        return "<section><h2>Outages</h2><p>None was seen.</p></section>"
    heads = ("Begin", "End", "Duration", "Line", "What died")
    rows = "".join(_outage(one, about) for one in found[:MOST_OUTAGES])
    more = len(found) - MOST_OUTAGES
    rest = f'<p class="quiet">{more} older ones are in the CSV file.</p>' if more > 0 else ""
    return (
        f'<section><h2>Outages</h2><table class="outages">{_head(heads)}<tbody>{rows}</tbody></table>{rest}</section>'
    )


def _outage(found: tuple[Outage, ...], about: About) -> str:
    one = found[0]
    before, after = ("" if one.sudden else "before "), ("" if one.over else "after ")
    times = (("Begin", before, one.begin), ("End", after, one.end))
    row = "".join(_raw(head, f"{doubt}{_moment(at, about)}") for head, doubt, at in times)
    row += _cell("Duration", words.lasted(one))
    line = (
        f'{escaped(one.uplink)} <small class="quiet">{", ".join(words.family(each.family) for each in found)}</small>'
    )
    mark = f'<span class="mark {one.word}"></span>'
    reason = "" if not one.reason else f'<span class="reason">{escaped(one.reason)}</span>'
    died = f"{mark}{words.WORDS[one.word]}: {escaped(words.died(one))}{reason}"
    return (
        f'<tr>{row}{_raw("Line", line, "text")}<td class="text wide"><span class="key">What died</span>{died}</td></tr>'
    )


def _moment(at: float, about: About) -> str:
    """Local time; below it, for a provider, UTC."""
    other = f'<span class="reason">{_time(at, words.utc)}</span>' if about.one else ""
    return f"{_time(at, words.to_the_second)}{other}"


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
        told = f"<b>Data</b> {words.amount(uplink.received)} received, {words.amount(uplink.sent)} sent"
        figures.append(f'<figure class="graph"><figcaption>{told}</figcaption>{drawn}{axis}</figure>')
    return f'<h3>{escaped(uplink.name)}</h3><div class="plots">{"".join(figures)}</div>'


def _plot_of(line: LineFigures, span: Across, axis: str) -> str:
    told = (
        f"<b>{words.family(line.family)}</b> median {words.milliseconds(line.probes.percentile(50))}, "
        f"95 % {words.milliseconds(line.probes.percentile(95))}, loss {words.loss(line.probes.loss)}"
    )
    plots = charts.round_trips(line, span) + charts.loss(line, span)
    return f'<figure class="graph"><figcaption>{told}</figcaption>{plots}{axis}</figure>'


COVERAGE = ("online", "degraded", "offline", "disabled", "standby", "unknown")


def _coverage(report: Report, about: About) -> str:
    used = [word for word in COVERAGE if any(line.seconds[word] >= 1 for line in report.lines)]
    heads = ["Line", "Probes", "Lost", *(MEANING[word].capitalize() for word in used), "First seen", "Last seen"]
    rows = "".join(_coverage_row(line, used) for line in report.lines)
    asked = ""
    if about.targets:
        asked = f'<p class="quiet">Probes asked {escaped(", ".join(about.targets))}.</p>'
    return f"<section><h2>Coverage</h2><table>{_head(heads)}<tbody>{rows}</tbody></table>{asked}</section>"


def _coverage_row(line: LineFigures, used: list[str]) -> str:
    known = [one for one in line.periods if one.word != "unknown"]
    probes = line.probes
    cells = [
        ("Probes", _thousands(probes.asked)),
        ("Lost", _thousands(probes.lost + probes.out_lost)),
        *((MEANING[word].capitalize(), words.length(line.seconds[word])) for word in used),
        ("First seen", words.local(known[0].begin)),
        ("Last seen", words.local(known[-1].end)),
    ]
    return f"<tr>{_name(line)}{''.join(_cell(*one) for one in cells)}</tr>"


def _notes(report: Report) -> str:
    seen = {cause for outage in report.outages for cause in outage.causes}
    rows = "".join(
        f"<dt>{word}</dt><dd>{escaped(causes.MEANINGS[word])}</dd>" for word in causes.MEANINGS if word in seen
    )
    died = f"<dl>{rows}</dl>" if rows else ""
    return (
        "<section><h2>How this was counted</h2>"
        "<p>Available is the share of the observed time in which a line was online or degraded; time in which it was "
        "taken out by hand, stood by or was not observed counts neither way. Time is observed as long as runs are "
        "recorded as often as the configuration asks for probes; three in a row that are missing, another boot or a "
        "hole in the record make it unknown. Loss is that of probes while the line was up; percentiles are of rounds "
        "of probes, within 5 %. Data is what the interface counted.</p>"
        f"{died}</section>"
    )


def _footer(about: About) -> str:
    return f"<footer>Made by mwan-hook {escaped(about.version)} on {words.utc(about.made)}.</footer>"


def _head(heads: Iterable[str]) -> str:
    cells = (f'<th scope="col"{_TEXT if head in ("Line", "What died") else ""}>{escaped(head)}</th>' for head in heads)
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


_TEXT = ' class="text"'


def _name(line: LineFigures) -> str:
    return f'<th scope="row">{escaped(line.uplink)} <small>{words.family(line.family)}</small></th>'


def _label(line: LineFigures) -> str:
    return f'<div class="name">{escaped(line.uplink)} <small>{words.family(line.family)}</small></div>'


def _cell(head: str, text: str, kind: str = "") -> str:
    return _raw(head, escaped(text), kind) if text else "<td></td>"


def _raw(head: str, inside: str, kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<td{of_kind}><span class="key">{escaped(head)}</span>{inside}</td>'


def _thousands(count: int) -> str:
    return f"{count:,}"
