"""Figures as people read them.  Pure, but for the time zone."""

from __future__ import annotations

import math
import time

from mwan_hook import dates
from mwan_hook.durations import DAY, duration, largest_unit
from mwan_hook.explain.outages import Outage, Probes
from mwan_hook.explain.report.figures import LineFigures, TimeSlot, UplinkFigures
from mwan_hook.model import DEGRADED, STANDBY, UNKNOWN
from mwan_hook.phrases import many
from mwan_hook.quota.words import shown

NOTHING = "–"  # where there is no figure  # noqa: RUF001
MOST = 0.75  # of the time: a share of less says of how much it is one
WORDS = {
    "online": "online",
    DEGRADED: "degraded",
    "offline": "out",
    "disabled": "taken out",
    STANDBY: "standing by",
    UNKNOWN: "not observed",
}
"""How a line stood."""


def percent(value: float | None) -> str:
    """Three places, never rounded up: 100 % is what had no outage at all."""
    if value is None:
        return NOTHING
    return "100 %" if value >= 100 else f"{math.floor(value * 1000 + 1e-9) / 1000:.3f} %"


def available(share: float | None, judged: float, whole: float) -> str:
    """A share of the time; where less than most of it was judged, of how much: a minute that was seen is no month."""
    found = percent(share)
    return found if share is None or judged >= MOST * whole else f"{found} of {largest_unit(judged)}"


def loss(value: float | None) -> str:
    """Two places; what is less than that is no 0."""
    if value is None:
        return NOTHING
    if 0 < value < 0.01:
        return "< 0.01 %"
    return "0 %" if value == 0 else f"{value:.2f} %"


def milliseconds(value: float | None) -> str:
    """Two digits, or whole numbers."""
    if value is None:
        return NOTHING
    places = 0 if value >= 9.95 else 1 if value >= 0.95 else 2
    return f"{value:.{places}f} ms"


def figures(line: LineFigures) -> dict[str, str]:
    """Figures of a line by their headings."""
    return {
        "Available": available(line.availability, line.judged, line.whole),
        "Outages": str(len(line.out)),
        "Longest": length(line.longest),
        "Median": milliseconds(line.probes.percentile(50)),
        "95 %": milliseconds(line.probes.percentile(95)),
        "Loss": loss(line.probes.loss),
    }


def trips(probes: Probes) -> str:
    """The middle of the round trips, and what most of them do not exceed."""
    return f"median {milliseconds(probes.percentile(50))}, 95 % within {milliseconds(probes.percentile(95))}"


def moved(one: UplinkFigures | TimeSlot) -> str:
    """Amounts received and sent, in one sentence."""
    return f"{shown(one.received)} received, {shown(one.sent)} sent"


def carried(received: int, sent: int) -> tuple[str, str]:
    """Amounts received and sent; none where nothing was counted at all."""
    return (shown(received), shown(sent)) if received or sent else (NOTHING, NOTHING)


def length(seconds: float) -> str:
    """A duration, ``0`` where there is none."""
    return duration(seconds) if seconds >= 0.5 else NOTHING


def died(outage: Outage) -> str:
    """What died, in order."""
    return ", then ".join(outage.causes) or NOTHING


def lasted(outage: Outage) -> str:
    """How long, and whether that is all of it."""
    known = outage.sudden and outage.over
    return f"{'' if known else 'at least '}{duration(outage.seconds)}"


def local(at: float) -> str:
    """``2026-11-30 08:00``."""
    return dates.local(at, dates.MINUTE)


def to_the_second(at: float) -> str:
    """``2026-11-30 08:00:12``."""
    return dates.local(at, dates.SECOND)


def utc(at: float) -> str:
    """``2026-11-30T07:00:12Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def zone(at: float) -> str:
    """``CET (UTC+01:00)``."""
    there = time.localtime(at)
    offset = time.strftime("%z", there)
    name = time.strftime("%Z", there)
    return "UTC" if there.tm_gmtoff == 0 else f"{name} (UTC{offset[:3]}:{offset[3:]})"


def days(since: float, until: float) -> str:
    """``30 days``, or the duration of what is no whole number of them."""
    whole = round((until - since) / DAY)
    near = whole and abs(until - since - whole * DAY) < DAY / 24
    return many(whole, "day") if near else duration(until - since)
