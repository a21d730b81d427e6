"""What a report is about."""

from __future__ import annotations

from mwan_hook.light import NamedTuple


class About(NamedTuple):
    """What a report is about, and who made it."""

    title: str  # the machine, or the uplink of one that goes to a provider
    version: str
    made: float  # seconds since the epoch
    one: bool = False  # of one uplink alone, for others to read
    targets: tuple[str, ...] = ()  # that its probes asked
