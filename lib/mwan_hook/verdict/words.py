"""The one word that people are told of an uplink, and of each of its families.  Pure."""

from __future__ import annotations

from mwan_hook.light import Enum
from mwan_hook.model import DEGRADED, FAMILIES, Connectivity, Family, Phase, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.model import FamilyState, State, Uplink, UplinkState


class Word(str, Enum):
    """How an uplink stands, in a word."""

    DISABLED = "disabled"  # taken out, by the configuration or by a command
    STANDBY = "standby"  # dialled only while nothing better is online, and not now
    DRAINING = "draining"  # keeps the connections that it has, and gets no new ones
    DEGRADED = "degraded"  # online, and beyond a limit of loss, latency or jitter
    ONLINE = "online"
    HELD = "held"  # good again, and offline until a time all the same
    PORTAL = "portal"  # a login page stands before it
    OFFLINE = "offline"


def _stands_by(uplink: Uplink, memory: UplinkState, state: State) -> bool:
    record = state.dials.get(uplink.name)
    idle = record is not None and record.phase is Phase.IDLE
    return idle and all(memory.family(family).status is not Status.ONLINE for family in FAMILIES)


# Rules of an uplink as a whole, then those of one family: the first that holds gives the word.
_WHOLE: tuple[tuple[Word, Callable[[Uplink, UplinkState, State], bool]], ...] = (
    (Word.DISABLED, lambda uplink, memory, state: not uplink.enabled),
    (Word.STANDBY, _stands_by),
    (Word.DRAINING, lambda uplink, memory, state: uplink.draining),
)
_FAMILY: tuple[tuple[Word, Callable[[FamilyState, bool, float], bool]], ...] = (
    (Word.DISABLED, lambda memory, able, now: memory.status is Status.DISABLED),
    (Word.DEGRADED, lambda memory, able, now: memory.word == DEGRADED),
    (Word.ONLINE, lambda memory, able, now: memory.status is Status.ONLINE),
    (Word.HELD, lambda memory, able, now: able and memory.held_until is not None and memory.held_until > now),
    (Word.PORTAL, lambda memory, able, now: able and memory.connectivity is Connectivity.PORTAL),
    (Word.OFFLINE, lambda memory, able, now: True),
)
# Whose word is the uplink's: the family that is up; of two of them the one that is worth a look.
_LEADS = (Word.DISABLED, Word.OFFLINE, Word.PORTAL, Word.HELD, Word.ONLINE, Word.DEGRADED)


def of_family(uplink: Uplink, memory: UplinkState, family: Family, now: float) -> Word:
    """The word for one family alone."""
    able = not uplink.way(family).missing
    known = memory.family(family)
    return next(word for word, holds in _FAMILY if holds(known, able, now))


def of_uplink(uplink: Uplink, memory: UplinkState, state: State, now: float) -> Word:
    """The word for the uplink: that of the family that leads, unless one for both holds."""
    whole = next((word for word, holds in _WHOLE if holds(uplink, memory, state)), None)
    return whole or of_family(uplink, memory, leading(uplink, memory, now), now)


def leading(uplink: Uplink, memory: UplinkState, now: float) -> Family:
    """The family whose story is told first."""

    def rank(family: Family) -> tuple[int, Connectivity, bool]:
        word = of_family(uplink, memory, family, now)
        return _LEADS.index(word), memory.family(family).connectivity, family is Family.IPV4

    return max((family for family in FAMILIES if family in uplink.config.families), key=rank, default=Family.IPV4)
