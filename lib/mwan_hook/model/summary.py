"""What is kept of each hour when its records go: how uplinks stood, and what their probes said."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import Family

UNKNOWN = "unknown"  # not observed
STANDBY = "standby"  # dialled on demand, and not needed


class Stretch(NamedTuple):
    """How one family of an uplink stood from a moment on, until the next stretch or the end of what is covered."""

    at: float  # seconds since the hour began
    word: str  # online, degraded, offline, disabled, STANDBY or UNKNOWN
    carries: bool = False  # the default of its family
    bridged: bool = False  # out, and another one, which comes after it, carries
    cause: str = ""  # what died: one of explain/causes
    reason: str = ""  # in the words of the history


class LineHour(NamedTuple):
    """One family of one uplink in an hour."""

    uplink: str
    family: Family
    stretches: tuple[Stretch, ...]  # the first is where the hour, or what is covered of it, begins
    sent: int = 0  # probes while it was online or degraded
    lost: int = 0  # of them
    out_sent: int = 0  # probes in the rest of the time
    out_lost: int = 0
    round_trips: dict[str, int] = {}  # how many rounds, by number of the bucket: explain/histogram


class Moved(NamedTuple):
    """What an uplink's interface carried in an hour."""

    uplink: str
    received: int
    sent: int


class Hour(NamedTuple):
    """What is known of one hour of UTC, or of a part of it.  A line that is missing is unknown."""

    begin: float  # seconds since the epoch, a full hour
    since: float  # what is covered of it
    until: float
    lines: tuple[LineHour, ...] = ()
    moved: tuple[Moved, ...] = ()
