"""Sparklines: values over time as a row of bars.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from mwan_hook.explain.pulse import Sample
from mwan_hook.light import NamedTuple
from mwan_hook.wrapping import Styled, joined

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "._-=+*%#"  # where the terminal has no others
DEAD = "x"
NOTHING = " "  # not asked: neither good nor bad


class Slot(NamedTuple):
    """What was seen in one column of the picture."""

    sent: int
    lost: int
    rtt_ms: float | None  # the median


def slots(samples: Sequence[Sample], begin: float, end: float, count: int) -> list[Slot]:
    """The samples between two moments in so many columns of equal length."""
    width = (end - begin) / count
    sent, lost = [0] * count, [0] * count
    times: list[list[float]] = [[] for _ in range(count)]
    for sample in samples:
        if begin < sample.wall <= end:
            place = min(count - 1, int((sample.wall - begin) / width))
            sent[place] += sample.sent
            lost[place] += sample.lost
            times[place] += [] if sample.rtt_ms is None else [sample.rtt_ms]
    middle = [median(spent) if spent else None for spent in times]
    return [Slot(*one) for one in zip(sent, lost, middle, strict=True)]


def trips(seen: Sequence[Slot], unicode: bool) -> tuple[Styled, ...]:
    """Round trips, the usual ones at most half as high as there is room; a cross where nothing was answered."""
    times = [slot.rtt_ms for slot in seen if slot.rtt_ms is not None]
    top = max(*times, 2 * median(times)) if times else 0.0
    return joined([_trip(slot, top, unicode) for slot in seen])


def losses(seen: Sequence[Slot], unicode: bool) -> tuple[Styled, ...]:
    """The share that was lost, all of it as the highest bar."""
    return joined([_loss(slot, unicode) for slot in seen])


def _trip(slot: Slot, top: float, unicode: bool) -> Styled:
    if slot.rtt_ms is None:
        return Styled(DEAD if slot.sent else NOTHING, "offline" if slot.sent else "")
    return Styled(_bar(slot.rtt_ms / top if top else 0.0, unicode), "trip")


def _loss(slot: Slot, unicode: bool) -> Styled:
    if not slot.sent:
        return Styled(NOTHING)
    if not slot.lost:
        return Styled(_bar(0.0, unicode), "dim")
    return Styled(_bar(max(slot.lost / slot.sent, 1 / len(BARS)), unicode), "offline")


def _bar(share: float, unicode: bool) -> str:
    bars = BARS if unicode else PLAIN_BARS
    return bars[min(len(bars) - 1, int(share * len(bars)))]
