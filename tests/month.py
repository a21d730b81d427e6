"""A month of three uplinks as hours: what reports are looked at with.

Fiber has two outages and an evening of loss, cable is used with IPv4 alone and was taken out by hand once, LTE stands
in and has holes in its record; the machine was off for a weekend.  No clock and no chance from outside.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from mwan_hook.explain import histogram
from mwan_hook.explain.report import figures
from mwan_hook.explain.report import page as pages
from mwan_hook.explain.report.figures import About
from mwan_hook.model import Family, Hour, LineHour, Moved, Stretch

V4, V6 = Family.IPV4, Family.IPV6
HOUR, DAY = 3600, 86400
UNTIL = 1_796_022_000.0  # 2026-11-30 07:00 UTC
SINCE = UNTIL - 30 * DAY
LINES = (("fiber", V4), ("fiber", V6), ("cable", V4), ("lte", V4), ("lte", V6))
OFF = (12.5, 15.25)  # days from the beginning: the machine
SILENT = "0 of 2 targets answered: timed out after 0.3 s; 3 of 3 bad rounds"
Spell = tuple[float, float, str, str, str]  # begin and end in days, word, cause, reason
SPELLS: dict[tuple[str, Family], tuple[Spell, ...]] = {
    ("fiber", V4): (
        (3.1318, 3.2229, "offline", "beyond the gateway", SILENT),
        (9.7604, 9.8871, "degraded", "loss", "loss 14 % of 118 (limit 5 %)"),
        (21.40278, 21.4051, "offline", "carrier", "no carrier"),
    ),
    ("fiber", V6): (
        (3.1318, 3.2229, "offline", "beyond the gateway", SILENT),
        (21.40278, 21.4051, "offline", "carrier", "no carrier"),
        (26.21, 26.2164, "offline", "gateway", SILENT),
    ),
    ("cable", V4): (
        (6.372, 6.458, "disabled", "by hand", "disabled by `mwan-hook disable`"),
        (18.002, 18.0055, "offline", "names only", "1 of 2 targets answered, 2 required: no such name"),
    ),
    ("lte", V4): (
        (1.9, 2.4, "unknown", "", ""),
        (8.1, 8.133, "offline", "interface", "interface is gone"),
        (24.0, 24.6, "unknown", "", ""),
    ),
    ("lte", V6): ((1.9, 2.4, "unknown", "", ""), (24.0, 24.6, "unknown", "", "")),
}
BASE = {"fiber": 7.6, "cable": 18.0, "lte": 46.0}  # ms
WEIGHT = {"fiber": 1.0, "cable": 0.05, "lte": 0.004}  # of the bytes in an hour


def hours(since: float = SINCE, until: float = UNTIL) -> tuple[Hour, ...]:
    """The whole month, or a part of it in whole hours."""
    count = round((until - since) / HOUR)
    found = (_hour(since + number * HOUR) for number in range(count))
    return tuple(hour for hour in found if hour.lines)


def _hour(begin: float) -> Hour:
    drawn = random.Random(int(begin))
    lines = [_line(line, begin, drawn) for line in LINES]
    names = dict.fromkeys(name for name, _ in LINES)
    there = tuple(line for line in lines if any(one.word != "unknown" for one in line.stretches))
    moved = tuple(_moved(name, begin, drawn) for name in names if any(line.uplink == name for line in there))
    return Hour(begin, begin, begin + HOUR, there, moved)


def _line(line: tuple[str, Family], begin: float, drawn: random.Random) -> LineHour:
    stretches = tuple(_stretches(line, begin))
    edges = [*(one.at for one in stretches[1:]), float(HOUR)]
    shares = [(one, (end - one.at) / HOUR) for one, end in zip(stretches, edges, strict=True)]
    up = sum(share for one, share in shares if one.word in ("online", "degraded"))
    out = sum(share for one, share in shares if one.word == "offline")
    bad = any(one.word == "degraded" for one in stretches)
    every = 300 if line[0] == "lte" else 10
    sent, loss = round(HOUR / every * up), 0.14 if bad else drawn.choice((0, 0, 0, 0, 0.002))
    lost = round(sent * loss)
    middle = BASE[line[0]] * (6 if bad else 1) * (1 + 0.25 * _evening(begin) + drawn.uniform(-0.05, 0.05))
    few = min(30, sent - lost)  # of which each stands for as many
    times = (middle * drawn.lognormvariate(0, 0.18 + 0.2 * _evening(begin)) for _ in range(few))
    trips = histogram.merged({histogram.bucket(one): (sent - lost) // few} for one in times)
    missed = round(HOUR / every * out)
    return LineHour(*line, stretches, sent, lost, missed, missed, trips)


def _evening(begin: float) -> float:
    """1 at nine in the evening, 0 in the early morning."""
    return max(0.0, math.cos((begin % DAY / DAY - 21 / 24) * 2 * math.pi)) ** 2


def _stretches(line: tuple[str, Family], begin: float) -> Iterator[Stretch]:
    edges = {begin}
    for spells in (*SPELLS.values(), ((*OFF, "", "", ""),)):
        for spell in spells:
            edges |= {at for at in (SINCE + spell[0] * DAY, SINCE + spell[1] * DAY) if begin < at < begin + HOUR}
    last = None
    for at in sorted(edges):
        found = _at(line, at)
        if found != last:
            yield Stretch(round(at - begin, 3), *found)
        last = found


def _at(line: tuple[str, Family], at: float) -> tuple[str, bool, bool, str, str]:
    word, cause, reason = _word(line, at)
    order = [name for name in ("fiber", "cable", "lte") if (name, line[1]) in SPELLS]
    able = [name for name in order if _word((name, line[1]), at)[0] == "online"] or [
        name for name in order if _word((name, line[1]), at)[0] == "degraded"
    ]
    leader = able[0] if able else ""
    behind = leader != "" and order.index(leader) > order.index(line[0])
    return word, leader == line[0], word in ("offline", "degraded") and behind, cause, reason


def _word(line: tuple[str, Family], at: float) -> tuple[str, str, str]:
    day = (at - SINCE) / DAY + 1e-9
    if OFF[0] <= day < OFF[1]:
        return "unknown", "", ""
    for begin, end, word, cause, reason in SPELLS[line]:
        if begin <= day < end:
            return word, cause, reason
    return "online", "", ""


def _moved(name: str, begin: float, drawn: random.Random) -> Moved:
    day = 0.15 + _evening(begin) + 0.6 * _evening(begin + 8 * HOUR)
    received = 3.4e9 * WEIGHT[name] * day * drawn.uniform(0.6, 1.4)
    return Moved(name, int(received), int(received * drawn.uniform(0.08, 0.16)))


def whole() -> figures.Report:
    """The report of the month."""
    return figures.report(hours(), SINCE, UNTIL, [name for name, _ in LINES])


def page() -> str:
    """Its page."""
    return pages.page(whole(), About("router1", "1.0", UNTIL))
