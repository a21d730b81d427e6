"""Tables of the page; on a phone each row is a block, whose figures have their headings beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mwan_hook.explain.outages import Outage
from mwan_hook.explain.report import words
from mwan_hook.explain.report.bands import MEANING
from mwan_hook.explain.report.figures import About, LineFigures, Report, UplinkFigures
from mwan_hook.markup import escaped
from mwan_hook.phrases import FAMILIES

MOST_OUTAGES = 500  # rows
_SAME, _TEXT = ' class="same"', ' class="text"'

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


def headline(report: Report, about: About) -> str:
    heads = [head for head in HEADS if not (about.one and head == "Bridged")]
    rows = [row for uplink in report.uplinks for row in _headline_rows(uplink, heads)]
    return f'<section><table class="headline">{_head(heads)}<tbody>{"".join(rows)}</tbody></table></section>'


def _headline_rows(uplink: UplinkFigures, heads: list[str]) -> Iterator[str]:
    for number, line in enumerate(uplink.lines):
        cells = {**_figures(line), "Received": "", "Sent": ""}
        if number == 0:
            cells |= zip(("Received", "Sent"), words.carried(uplink.received, uplink.sent), strict=True)
        row = "".join(_cell(head, cells[head], "big" if head == "Available" else "") for head in heads[1:])
        yield f"<tr{'' if number == 0 else _SAME}>{_name(line)}{row}</tr>"


def _figures(line: LineFigures) -> dict[str, str]:
    return {
        **words.figures(line),
        "Bridged": words.length(line.bridged),
        "Not observed": words.length(line.seconds["unknown"]),
    }


def outages(report: Report, about: About) -> str:
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
    line = f'{escaped(one.uplink)} <small class="quiet">{", ".join(FAMILIES[each.family] for each in found)}</small>'
    mark = f'<span class="mark {one.word}"></span>'
    reason = "" if not one.reason else f'<span class="reason">{escaped(one.reason)}</span>'
    died = f"{mark}{words.WORDS[one.word]}: {escaped(words.died(one))}{reason}"
    return (
        f'<tr>{row}{_raw("Line", line, "text")}<td class="text wide"><span class="key">What died</span>{died}</td></tr>'
    )


def _moment(at: float, about: About) -> str:
    """Local time; below it, for a provider, UTC."""
    other = f'<span class="reason">{moment(at, words.utc)}</span>' if about.one else ""
    return f"{moment(at, words.to_the_second)}{other}"


def coverage(report: Report, about: About) -> str:
    used = [word for word in MEANING if any(line.seconds[word] >= 1 for line in report.lines)]
    heads = ["Line", "Probes", "Lost", *(MEANING[word].capitalize() for word in used), "First seen", "Last seen"]
    rows = "".join(_coverage_row(line, used) for line in report.lines)
    asked = ""
    if about.targets:
        asked = f'<p class="quiet">Probes asked {escaped(", ".join(about.targets))}.</p>'
    return f"<section><h2>Coverage</h2><table>{_head(heads)}<tbody>{rows}</tbody></table>{asked}</section>"


def _coverage_row(line: LineFigures, used: list[str]) -> str:
    probes, (first, last) = line.probes, line.seen
    cells = [
        ("Probes", f"{probes.asked:,}"),
        ("Lost", f"{probes.lost + probes.out_lost:,}"),
        *((MEANING[word].capitalize(), words.length(line.seconds[word])) for word in used),
        ("First seen", words.local(first)),
        ("Last seen", words.local(last)),
    ]
    return f"<tr>{_name(line)}{''.join(_cell(*one) for one in cells)}</tr>"


def moment(at: float, spelled: Callable[[float], str]) -> str:
    """A moment as it is spelled; a browser breaks it nowhere."""
    return f'<time datetime="{words.utc(at)}">{spelled(at)}</time>'


def _head(heads: Iterable[str]) -> str:
    cells = (f'<th scope="col"{_TEXT if head in ("Line", "What died") else ""}>{escaped(head)}</th>' for head in heads)
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _name(line: LineFigures) -> str:
    return f'<th scope="row">{escaped(line.uplink)} <small>{FAMILIES[line.family]}</small></th>'


def _cell(head: str, text: str, kind: str = "") -> str:
    return _raw(head, escaped(text), kind) if text else "<td></td>"


def _raw(head: str, inside: str, kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<td{of_kind}><span class="key">{escaped(head)}</span>{inside}</td>'
