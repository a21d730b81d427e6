"""What a report is made from: the hours on the disk, and what has been recorded since the last of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mwan_hook.durations import HOUR
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.frames import frames
from mwan_hook.explain.standings import UNPROBED
from mwan_hook.explain.summary import summed
from mwan_hook.light import NamedTuple
from mwan_hook.model import Config, Hour, LineHour
from mwan_hook.store import hours as stored

NEAR = 120.0  # seconds


class Gathered(NamedTuple):
    """Hours of a time, seconds since the epoch."""

    since: float  # a full hour
    until: float
    hours: tuple[Hour, ...]

    @property
    def uplinks(self) -> tuple[str, ...]:
        """Names of all that were seen."""
        return tuple(dict.fromkeys(line.uplink for hour in self.hours for line in hour.lines))


def gathered(root: str, since: float, until: float | None) -> Gathered:
    """What is known from the hour of ``since`` on, until a full hour or (None) now.  Raises MwanError."""
    now = time.time()
    since = since // HOUR * HOUR
    end = now if until is None or until > now else until // HOUR * HOUR
    hours = [hour for hour in stored.read(root, since) if hour.begin < end]
    covered = max([hour.until for hour in hours], default=since)
    if covered < end:
        hours += summed(_seen(root, covered, min(now, end + UNPROBED)), covered, end)
    return Gathered(since, end, tuple(hours))


def _seen(root: str, since: float, until: float) -> Iterator[Frame]:
    """Frames from the last one before a moment on: it says how things stood then.  Few are looked through at first."""
    for before in (NEAR, UNPROBED):
        found = frames(root, since - before, until)
        first = next(found, None)
        if first is None or first.wall <= since or before == UNPROBED:
            break
    if first is not None:
        yield first
        yield from found


def of_one(found: Gathered, name: str) -> Gathered:
    """What is known of one uplink, or of all of a template by its name, and nothing of others."""
    own = [one for one in found.uplinks if one == name or one.startswith(f"{name}@")]
    others = [one for one in found.uplinks if one not in own]
    hours = []
    for hour in found.hours:
        lines = tuple(_alone(line, others) for line in hour.lines if line.uplink in own)
        moved = tuple(one for one in hour.moved if one.uplink in own)
        if lines or moved:
            hours.append(hour._replace(lines=lines, moved=moved))
    return found._replace(hours=tuple(hours))


def _alone(line: LineHour, others: list[str]) -> LineHour:
    """An hour of a line without what tells of another one: who stood in, and reasons that name it."""
    stretches = []
    for one in line.stretches:
        reason = "" if any(name in one.reason for name in others) else one.reason.partition("; ")[0]
        stretches.append(one._replace(carries=False, bridged=False, reason=reason))
    return line._replace(stretches=tuple(stretches))


def targets(config: Config, name: str) -> tuple[str, ...]:
    """What the probes of an uplink ask."""
    own = next((one.probe for one in config.uplinks if one.name == name.partition("@")[0]), config.probe)
    return tuple(target.name for target in own.targets)
