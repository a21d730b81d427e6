"""Plots of a report as inline SVG: round trips, loss and data over time.

Positions across are per cent of the room that there is and heights are pixels, so letters, hatching and the thinnest
mark look the same on a phone and on paper.  Colours come from the page's style sheet, by class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from mwan_hook.explain.report import words
from mwan_hook.explain.report.figures import LineFigures, TimeSlot, UplinkFigures
from mwan_hook.light import NamedTuple
from mwan_hook.markup import escaped
from mwan_hook.quota.words import shown

TRIPS, LOSS, DATA = 96, 40, 72  # heights
STEPS = (1, 2, 5)  # of a scale


class Across(NamedTuple):
    """The time that a plot shows."""

    since: float
    until: float

    def x(self, at: float) -> float:
        """Per cent from the left."""
        return 100 * (min(max(at, self.since), self.until) - self.since) / (self.until - self.since)

    def across(self, begin: float, end: float) -> str:
        """Attributes of a box from one moment to another."""
        left = self.x(begin)
        return f'x="{left:.3f}%" width="{self.x(end) - left:.3f}%"'


def round_trips(line: LineFigures, span: Across) -> str:
    """The median as a line, and what 95 of 100 do not exceed as an area above it; a logarithmic scale."""
    rows = [(slot, slot.probes.percentile(50), slot.probes.percentile(95)) for slot in line.slots]
    known = [(slot, middle, most) for slot, middle, most in rows if middle is not None and most is not None]
    if not known:
        return ""
    low, high = _scale(min(middle for _, middle, _ in known), max(most for _, _, most in known))
    room = math.log(high / low)

    def y(value: float) -> float:
        return TRIPS * (1 - math.log(value / low) / room)

    marks = [(y(tick), words.milliseconds(tick).replace(".0", "")) for tick in _ticks(low, high)]
    inside = _rules(marks) + _areas(known, span, y) + _hits(line.slots, span, TRIPS)
    return _scales(TRIPS, marks) + plot("trips", TRIPS, f"{line.name}: round trips", words.trips(line.probes), inside)


def _areas(known: Sequence[tuple[TimeSlot, float, float]], span: Across, y: Callable[[float], float]) -> str:
    """Curves in a box of their own, which is stretched; what has no neighbour in time is a curve alone."""
    parts = []
    for run in _runs(known):
        points = run if len(run) > 1 else [*run, *run]  # one alone is level
        xs = [10 * (span.x(slot.begin) + span.x(slot.end)) / 2 for slot, _, _ in points]
        xs[0], xs[-1] = 10 * span.x(run[0][0].begin), 10 * span.x(run[-1][0].end)
        lower = [f"{x:.1f} {y(middle):.1f}" for x, (_, middle, _) in zip(xs, points, strict=True)]
        upper = [f"{x:.1f} {y(most):.1f}" for x, (_, _, most) in zip(xs, points, strict=True)]
        parts.append(f'<path class="spread" d="M{" L".join((*lower, *reversed(upper)))} Z"/>')
        parts.append(f'<path class="median" d="M{" L".join(lower)}"/>')
    box = f'viewBox="0 0 1000 {TRIPS}" preserveAspectRatio="none" width="100%" height="{TRIPS}"'
    return f"<svg {box}>{''.join(parts)}</svg>"


def _runs(known: Sequence[tuple[TimeSlot, float, float]]) -> list[list[tuple[TimeSlot, float, float]]]:
    """Slots that follow each other without a hole."""
    found: list[list[tuple[TimeSlot, float, float]]] = []
    for one in known:
        if found and found[-1][-1][0].end == one[0].begin:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def loss(line: LineFigures, span: Across) -> str:
    """Per cent of the probes that were lost while the line was up, in bars."""
    shares = [(slot, slot.probes.loss or 0.0) for slot in line.slots]
    most = max((share for _, share in shares), default=0.0)
    top = max(1.0, _scale(1.0, most)[1]) if most else 1.0
    bars = "".join(
        _bar("lost", span, slot, LOSS - (height := max(1.0, LOSS * share / top)), height)
        for slot, share in shares
        if share
    )
    marks = [(0.0, f"{top:g} %"), (float(LOSS), "0")]
    inside = _rules(marks) + bars + _hits(line.slots, span, LOSS)
    told = f"{words.loss(line.probes.loss)} of {line.probes.sent} probes"
    return _scales(LOSS, marks) + plot("loss", LOSS, f"{line.name}: loss", told, inside)


def data(uplink: UplinkFigures, span: Across) -> str:
    """Bytes received, upwards, and sent, downwards."""
    slots = uplink.lines[0].slots
    most = max((max(slot.received, slot.sent) for slot in slots), default=0)
    if not most:
        return ""
    above = max((slot.received for slot in slots), default=0)
    below = max((slot.sent for slot in slots), default=0)
    middle = DATA * above / (above + below)
    each = DATA / (above + below)
    bars = "".join(
        _bar("received", span, slot, middle - slot.received * each, slot.received * each)
        + _bar("sent", span, slot, middle, slot.sent * each)
        for slot in slots
        if slot.received or slot.sent
    )
    marks = [(0.0, shown(above)), (middle, "0")]
    inside = bars + _rules(marks) + "".join(_hit(slot, span, DATA, words.moved(slot)) for slot in slots)
    return _scales(DATA, marks) + plot("data", DATA, f"{uplink.name}: data", words.moved(uplink), inside)


def axis(span: Across, ticks: Iterable[tuple[float, str]]) -> str:
    """Days or hours below a plot."""
    marks = []
    for at, label in ticks:
        x = span.x(at)
        marks.append(f'<line x1="{x:.3f}%" x2="{x:.3f}%" y1="0" y2="4"/>')
        if 4 <= x <= 96:
            marks.append(f'<text x="{x:.3f}%" y="16">{escaped(label)}</text>')
    return f'<svg class="axis" width="100%" height="20" aria-hidden="true">{"".join(marks)}</svg>'


def plot(kind: str, height: int, title: str, description: str, inside: str) -> str:
    """A picture with a title and a description for those who do not see it."""
    label = escaped(f"{title}; {description}")
    told = f"<title>{escaped(title)}</title><desc>{escaped(description)}</desc>"
    return (
        f'<svg class="plot {kind}" role="img" aria-label="{label}" width="100%" height="{height}">{told}{inside}</svg>'
    )


def _rules(marks: Iterable[tuple[float, str]]) -> str:
    return "".join(f'<line class="rule" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>' for y, _ in marks)


def _scales(height: int, marks: Iterable[tuple[float, str]]) -> str:
    """What the rules of a plot stand for, on its left."""
    texts = (
        f'<text x="100%" y="{min(max(y + 3.5, 8.5), height - 0.5):.1f}">{escaped(label)}</text>' for y, label in marks
    )
    return f'<svg class="scale" width="100%" height="{height}" aria-hidden="true">{"".join(texts)}</svg>'


def _bar(kind: str, span: Across, slot: TimeSlot, y: float, height: float) -> str:
    return f'<rect class="{kind}" {span.across(slot.begin, slot.end)} y="{y:.1f}" height="{height:.1f}"/>'


def _hits(slots: Iterable[TimeSlot], span: Across, height: int) -> str:
    told = ((slot, f"{words.trips(slot.probes)}, loss {words.loss(slot.probes.loss)}") for slot in slots)
    return "".join(_hit(slot, span, height, title) for slot, title in told)


def _hit(slot: TimeSlot, span: Across, height: int, title: str) -> str:
    """What a pointer that rests there is told."""
    when = f"{words.local(slot.begin)}, {words.length(slot.end - slot.begin)}"
    place = f'{span.across(slot.begin, slot.end)} height="{height}"'
    return f'<rect class="hit" {place}><title>{escaped(f"{when}: {title}")}</title></rect>'


def _scale(low: float, high: float) -> tuple[float, float]:
    """The next steps below and above, at least two apart."""
    below = max(step for step in _steps(low) if step <= low)
    above = min(step for step in _steps(high) if step >= high)
    return (below, above) if above > below else (below / 2, above * 2)


def _steps(value: float) -> list[float]:
    power = math.floor(math.log10(value))
    return [step * 10.0**place for place in (power - 1, power, power + 1) for step in STEPS]


def _ticks(low: float, high: float) -> list[float]:
    """Two to four of the steps between them."""
    found = [low]
    while found[-1] < high * 0.999:
        found.append(min(step for step in _steps(found[-1] * 1.5) if step > found[-1] * 1.01))
    return found if len(found) <= 4 else found[:: math.ceil(len(found) / 4)]
