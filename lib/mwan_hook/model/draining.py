"""Uplinks that are drained: what a command said, and what is known of it in this boot."""

from __future__ import annotations

from mwan_hook.light import NamedTuple


class Drain(NamedTuple):
    """What ``mwan-hook drain`` said; it outlives a boot."""

    until: float  # seconds since the epoch; no two commands have the same
    wait: float  # seconds, however the clock was set since


class Draining(NamedTuple):
    """A drained uplink in this boot."""

    until: float  # of the Drain
    ends: float  # CLOCK_BOOTTIME seconds
    connections: int | None = None  # when they were counted last; None: not yet, or the kernel does not tell
