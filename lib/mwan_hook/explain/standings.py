"""How each family of each uplink stood after a run, and for how long that may be believed.  Pure."""

from __future__ import annotations

from mwan_hook.explain import causes
from mwan_hook.light import NamedTuple
from mwan_hook.model import DEGRADED, FAMILIES, STANDBY, UNKNOWN, Family, Status, Uplink, UplinkState
from mwan_hook.verdict.decide import has_way
from mwan_hook.verdict.schedule import interval
from mwan_hook.verdict.standing import another_online, is_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.explain.frame import Frame

    Line = tuple[str, Family]

TIMER = 10.0  # seconds between check runs: units may make it less
MISSED = 3  # so many rounds in a row are missed before the time since the last one is unknown
UNPROBED = 7500.0  # seconds; nothing is due: two of the hourly records, and their timer's delay


class Condition(NamedTuple):
    """One family of an uplink, until something changes."""

    word: str = UNKNOWN
    carries: bool = False
    bridged: bool = False
    cause: str = ""
    reason: str = ""

    def same(self, other: Condition) -> bool:
        """Whether nothing changed that anything is counted by; other words alone are no change."""
        return self[:4] == other[:4]


NOT_OBSERVED = Condition()


def standings(frame: Frame) -> dict[Line, Condition]:
    """Each family that an uplink is used in."""
    return {
        (uplink.name, family): _standing(frame, uplink, family)
        for uplink in frame.uplinks
        for family in FAMILIES
        if family in uplink.config.families
    }


def holds_for(frame: Frame) -> float:
    """Seconds within which the next run must have been recorded, or the time until then was not observed.

    A run that asks is recorded, and one is due whenever the most eager uplink is.  Where nothing is asked only changes
    are recorded, and the bytes of every hour.
    """
    found = [_due(frame, uplink) for uplink in frame.uplinks if _is_asked(frame, uplink)]
    return min(found, default=UNPROBED)


def _due(frame: Frame, uplink: Uplink) -> float:
    others = another_online(frame.state.uplinks, uplink.name, frame.state.drains)
    return MISSED * max(TIMER, interval(uplink.config, others)) + uplink.config.probe.timeout


def _is_asked(frame: Frame, uplink: Uplink) -> bool:
    memory = frame.state.uplinks.get(uplink.name)
    if memory is None or not uplink.enabled:
        return False
    return any(
        family in uplink.config.families and not uplink.way(family).missing and not memory.family(family).by_facts
        for family in FAMILIES
    )


def _standing(frame: Frame, uplink: Uplink, family: Family) -> Condition:
    memory = frame.state.memory(uplink.name)
    word = _word(frame, uplink, family, memory)
    best = frame.state.best.get(family)
    leader = next((one for one in frame.uplinks if best and one.name == best.uplink), None)
    carries = leader is not None and _carries(frame, uplink, family, leader)
    out = word in (Status.OFFLINE.value, DEGRADED) and not carries
    bridged = out and leader is not None and leader.metric >= uplink.metric
    why = causes.cause(uplink, family, memory, word)
    return Condition(word, carries, bridged, why, memory.family(family).reason if why else "")


def _word(frame: Frame, uplink: Uplink, family: Family, memory: UplinkState) -> str:
    one = memory.family(family)
    if one.status is Status.DISABLED or not uplink.enabled:
        return Status.DISABLED.value
    if one.status is Status.ONLINE:
        return one.word
    others = {name: other for name, other in frame.state.uplinks.items() if name != uplink.name}
    if causes.stands_by(uplink, family, has_way(others, family)):
        return STANDBY
    return one.word if one.judged or one.known else UNKNOWN


def _carries(frame: Frame, uplink: Uplink, family: Family, leader: Uplink) -> bool:
    """Whether it is the best one, or shares the default with it."""
    if uplink.name == leader.name:
        return True
    shares = uplink.preference(family) == leader.preference(family) and not uplink.draining
    return shares and is_online(uplink, family, frame.state)
