"""One run of the past: what it saw, and what followed from it."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Config, Counted, Draining, Family, State, Transition, Uplink
from mwan_hook.run.scene import ProbedRound


class Seen(NamedTuple):
    """What a run judged from, beside the rounds."""

    uplinks: tuple[Uplink, ...] = ()  # in order of the configuration, before any preference follows from verdicts
    families: tuple[Family, ...] = FAMILIES  # that the kernel knows
    drains: dict[str, Draining] = {}  # of uplinks that are drained
    dialled: tuple[str, ...] = ()  # names of uplinks whose link is there because we dialled it
    asked: tuple[str, ...] = ()  # interfaces that an event named
    counters: dict[str, Counted] | None = None  # by UPLINK/FAMILY; None: traffic is not asked
    reasons: dict[str, str] = {}  # by UPLINK/FAMILY: words of what hung up an uplink, instead of a verdict's


class Frame(NamedTuple):
    """One run: what it saw, and what followed from it."""

    wall: float  # seconds since the epoch
    now: float  # CLOCK_BOOTTIME seconds
    boot: str
    config: Config  # routing, probe and uplinks alone are filled
    uplinks: tuple[Uplink, ...]  # by preference, as judged
    before: State  # what verdicts are made from alone: uplinks, best, last_online, ignored, dark, drains, dials
    state: State
    rounds: tuple[ProbedRound, ...] = ()
    happened: tuple[Transition, ...] = ()  # what the history got
    gap: bool = False  # what was before is not known: a boot, or records that are lost
    moved: dict[str, tuple[int, int]] = {}  # bytes in and out by uplink since the last sample; empty: no sample here
    seen: Seen = Seen()
    short: bool = False  # its rounds were counted, and nothing else was judged
    ran: bool = True  # False: counters were read, and nothing was judged
