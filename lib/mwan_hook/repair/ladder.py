"""The repair ladder as values: which step of which uplink is due, and what is remembered of those that were done.

A step is stored as begun before it is done.  One whose end was not stored (its process was killed, the machine was
started anew) counts as done: the ladder goes on with the next one.  Times are CLOCK_BOOTTIME seconds; ``wall`` is
seconds since the epoch.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Connectivity, Phase, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import Activation, FamilyState, Rung, Uplink, UplinkState

DAY = 86400.0
PATIENCE = 60.0  # seconds until what kept a step back is looked at again
MOST_DOUBLED = 10  # climbs after which pauses grow no more
SAME = 0.01  # seconds between two stored times of one moment, at most
DEAD = (Connectivity.NONE, Connectivity.LIMITED)
HURT = "the process that did it was killed"
REBOOTED = "the machine was started anew"


class Clocks(NamedTuple):
    """Now, by the clocks of this boot and of the wall."""

    boot_id: str
    now: float
    wall: float


class Done(NamedTuple):
    """When a step was begun."""

    boot_id: str
    at: float
    wall: float


class Climb(NamedTuple):
    """What is remembered of one uplink.  ``boot_id`` names the boot that all times but those of ``done`` are of."""

    boot_id: str = ""
    since: float = 0.0  # the outage that is climbed against; 0: none
    place: int = 0  # steps taken of this climb
    climbs: int = 0  # whole ones in this outage
    base: float = 0.0  # what the next pause is counted from
    step: str = ""  # the last one begun
    begun: float = 0.0
    wall: float = 0.0  # of the same moment
    outcome: str = ""  # of it; empty while it is under way
    held: str = ""  # why a step that is due is not done
    held_until: float = 0.0
    done: tuple[Done, ...] = ()  # steps begun within a day
    counts: dict[str, int] = {}  # of each step, for ever

    @property
    def unfinished(self) -> bool:
        """Whether a step was begun whose end is not stored."""
        return bool(self.step) and not self.outcome


class Repairs(NamedTuple):
    """What outlives a boot, by uplink."""

    uplinks: dict[str, Climb] = {}


class Line(NamedTuple):
    """An uplink with what is remembered of its verdicts and of its dialling."""

    uplink: Uplink
    memory: UplinkState
    dialled: Activation


class Due(NamedTuple):
    """The next step of an uplink, and when."""

    rung: Rung
    at: float
    number: int  # of the step, from 1
    why: str = ""  # it waits for more than its pause


def dead_since(line: Line) -> float | None:
    """When the outage of a line began that may be repaired; None for any other line.

    Not one of which a family is online, answers (a portal does) or is good again and only held; not one that is
    switched off or drained, administratively down, or of which nothing is known yet.  One that is dialled is repaired
    while it is up and not about to be dialled again, and between dials that failed for what a step may mend.
    """
    uplink, dialled = line.uplink, line.dialled
    families = [line.memory.family(family) for family in uplink.config.families]
    if not uplink.enabled or uplink.draining or any(map(_answers, families)):
        return None
    known = [one.since for one in families]  # of both: what a step does to one must not make another outage of it
    if uplink.config.dial and dialled.phase is Phase.WAITING:
        return max(dialled.wanted_since, *known) if dialled.mendable and not dialled.hung else None
    redialled = not dialled.phase.is_up or (dialled.ours and dialled.wanted_since)
    if (uplink.config.dial and redialled) or (uplink.link and not uplink.link.up):
        return None
    return max(known) if any(one.connectivity in DEAD and one.since for one in families) else None


def _answers(one: FamilyState) -> bool:
    return one.status is not Status.OFFLINE or one.connectivity in (Connectivity.PORTAL, Connectivity.FULL)


def current(climb: Climb, line: Line, moment: Clocks) -> Climb:
    """The climb as it stands now: over once the line is online, begun anew by another outage.

    A line that was never online since the machine was started goes on where it was before.
    """
    families = [line.memory.family(family) for family in line.uplink.config.families]
    if any(one.status is Status.ONLINE for one in families):
        return _rested(climb) if climb.since else climb
    since = dead_since(line)
    if since is None or (climb.boot_id == moment.boot_id and abs(climb.since - since) < SAME):
        return climb
    if climb.boot_id != moment.boot_id and climb.since and not any(one.transitions for one in families):
        outcome = climb.outcome or (REBOOTED if climb.step else "")
        fresh = climb._replace(outcome=outcome, held="", held_until=0.0)
    else:
        fresh = _rested(climb)
    return fresh._replace(boot_id=moment.boot_id, since=since, base=since)


def _rested(climb: Climb) -> Climb:
    """The last step stays: it is shown, and if it was not ended it has to be seen to."""
    return climb._replace(since=0.0, place=0, climbs=0, base=0.0, held="", held_until=0.0)


def due(line: Line, climb: Climb, moment: Clocks) -> Due | None:
    """The next step of an uplink whose climb is current; None where there is nothing to repair, or nothing to do it."""
    rungs, most = line.uplink.config.repair, line.uplink.config.repair_max
    if not rungs or not climb.since or dead_since(line) is None:
        return None
    place, climbs = _position(rungs, climb)
    at, why = climb.base + _pause(rungs, place, climbs), ""
    if climb.held and climb.held_until > at:
        at, why = climb.held_until, climb.held
    ages = sorted([age for one in climb.done if (age := _age(one, moment)) < DAY], reverse=True)
    if len(ages) >= most:
        free = moment.now + DAY - ages[len(ages) - most]
        if free > at:
            at, why = free, f"{len(ages)} steps in a day, and repair_max is {most}"
    return Due(rungs[place], at, place + 1, why)


def _position(rungs: Sequence[Rung], climb: Climb) -> tuple[int, int]:
    """Another configuration may have fewer steps."""
    return (climb.place, climb.climbs) if climb.place < len(rungs) else (0, climb.climbs + 1)


def _pause(rungs: Sequence[Rung], place: int, climbs: int) -> float:
    """Seconds between a step and the one before it, or the begin; doubled on each further climb."""
    gap = rungs[place].after - (rungs[place - 1].after if place else 0.0)
    return float(gap * (1 << min(climbs, MOST_DOUBLED)))


def passed(rungs: Sequence[Rung], climb: Climb, moment: Clocks) -> Climb:
    """The climb behind its next step.  What came late leaves the step after it half of its pause at least."""
    place, climbs = _position(rungs, climb)
    planned = climb.base + _pause(rungs, place, climbs)
    place, climbs = (place + 1, climbs) if place + 1 < len(rungs) else (0, climbs + 1)
    base = max(planned, moment.now - _pause(rungs, place, climbs) / 2)
    return climb._replace(place=place, climbs=climbs, base=base, held="", held_until=0.0)


def begun(climb: Climb, step: str, moment: Clocks) -> Climb:
    """What is stored before a step is done."""
    mine = tuple(one for one in climb.done if _age(one, moment) < DAY)
    counts = {**climb.counts, step: climb.counts.get(step, 0) + 1}
    done = (*mine, Done(moment.boot_id, moment.now, moment.wall))
    return climb._replace(
        boot_id=moment.boot_id,
        step=step,
        begun=moment.now,
        wall=moment.wall,
        outcome="",
        done=done,
        counts=counts,
    )


def ended(climb: Climb, outcome: str) -> Climb:
    """What is stored after it."""
    return climb._replace(outcome=outcome)


def kept_back(climb: Climb, why: str, moment: Clocks) -> Climb:
    """A step that is due and must not be done now."""
    return climb._replace(held=why, held_until=moment.now + PATIENCE)


def beyond(dead: Sequence[str], others_online: bool, answering: Mapping[str, bool]) -> bool:
    """Whether the fault is beyond us: all uplinks, two at least, are dead together and their gateways answer.

    One whose gateway does not answer, or that has none to ask, tells of nothing: it is not counted as alive.
    """
    return not others_online and len(dead) > 1 and all(answering.get(name, False) for name in dead)


def _age(one: Done, moment: Clocks) -> float:
    """Seconds since a step; one of an earlier boot is no younger than this boot."""
    if one.boot_id == moment.boot_id:
        return max(0.0, moment.now - one.at)
    return max(moment.now, moment.wall - one.wall)
