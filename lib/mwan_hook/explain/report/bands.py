"""How a line stood over time, as a band of inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from mwan_hook.explain.outages import Period
from mwan_hook.explain.report import words
from mwan_hook.explain.report.charts import Across, plot
from mwan_hook.explain.report.figures import LineFigures
from mwan_hook.markup import escaped
from mwan_hook.model import DEGRADED, UNKNOWN

BAND = 26  # height
FINEST = 900  # parts of a band that can be told apart
WORST = ("offline", DEGRADED, "disabled", UNKNOWN, "standby", "online")
MEANING = {**words.WORDS, "disabled": "taken out by hand"}
# How much of a band's height each word fills, from where: shapes tell them apart where colours do not.
SHAPE = {"online": (7, 19), DEGRADED: (7, 19), "offline": (0, 26), "disabled": (16, 10), "standby": (16, 10)}
HATCH = (
    '<svg class="defs" width="0" height="0" aria-hidden="true"><defs><pattern id="hatch" width="6" height="6"'
    ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-ground" width="6" height="6"/>'
    '<line class="hatch-line" x1="0" y1="0" x2="0" y2="6"/></pattern></defs></svg>'
)


def band(line: LineFigures, span: Across) -> str:
    """How a line stood, as a band: out the whole height, online less, standing by little, unknown hatched."""
    boxes = "".join(_box(period, span) for period in _drawn(line.periods, span))
    told = ", ".join(
        f"{MEANING[word]} {words.length(seconds)}" for word, seconds in line.seconds.items() if seconds >= 1
    )
    share = words.available(line.availability, line.judged, line.whole)
    return plot("band", BAND, f"{line.name}: availability {share}", told, boxes)


def _drawn(periods: Sequence[Period], span: Across) -> Iterator[Period]:
    """What is online first, so that what is short is not hidden; of a flapping line the worst of each part."""
    periods = _joined(periods)
    if len(periods) > FINEST:
        periods = _coarse(periods, span)
    yield from sorted(periods, key=lambda one: -WORST.index(one.word))


def _joined(periods: Sequence[Period]) -> list[Period]:
    """Periods of one word and cause as one: who carried is not drawn, and a seam would be."""
    groups = ([*group] for _, group in groupby(periods, key=lambda one: (one.word, one.cause)))
    return [group[0]._replace(end=group[-1].end) for group in groups]


def _coarse(periods: Sequence[Period], span: Across) -> list[Period]:
    size = (span.until - span.since) / FINEST
    found: dict[int, Period] = {}
    for period in periods:
        first, last = (int((at - span.since) / size) for at in (period.begin, max(period.begin, period.end - 0.001)))
        for number in range(first, min(last, FINEST - 1) + 1):
            old = found.get(number)
            if old is None or WORST.index(period.word) < WORST.index(old.word):
                begin = span.since + number * size
                found[number] = period._replace(begin=begin, end=begin + size)
    return [found[number] for number in sorted(found)]


def _box(period: Period, span: Across) -> str:
    top, height = SHAPE.get(period.word, (0, BAND))
    title = f"{MEANING[period.word]}, {words.local(period.begin)}, {words.length(period.seconds)}"
    if period.cause:
        title += f": {period.cause}"
    shape = f'class="{period.word}" {span.across(period.begin, period.end)} y="{top}" height="{height}"'
    return f"<rect {shape}><title>{escaped(title)}</title></rect>"
