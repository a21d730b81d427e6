"""What traffic says of an uplink."""

from __future__ import annotations

from mwan_hook.light import NamedTuple


class Counted(NamedTuple):
    """New TCP connections that went out by one family of an uplink, and first answers that came in."""

    begun: int = 0
    answered: int = 0


class Evidence(NamedTuple):
    """What is remembered of it; times are CLOCK_BOOTTIME seconds."""

    way: str = ""  # Way.key that all this was seen on
    counters: Counted = Counted()  # at the last round
    seen: Counted = Counted()  # since the round before, when they spoke last ...
    seen_at: float = 0.0  # ... which was then
    spared_at: float = 0.0  # when answers last stood for a round
    silent: bool = False  # many had no answer: only an answer over TCP is a good round
    deciding: tuple[str, ...] = ()  # targets that are asked for one
    proven: tuple[str, ...] = ()  # those that were made up, and have answered
    tried_at: float = 0.0  # when made-up ones were asked last
