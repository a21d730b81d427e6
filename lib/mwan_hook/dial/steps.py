"""The moves that the course of a dialled uplink is made of."""

from __future__ import annotations

from mwan_hook.dial.causes import Remedy, cause
from mwan_hook.dial.values import COMMAND, MODEM, UNIT, Move, Occasion, Outlook, Verb
from mwan_hook.durations import duration
from mwan_hook.model import Activation, Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Dial

HOUR = 3600.0
GRACE = 5.0  # seconds that a unit which ended well is given for its address
NEVER = 1e9  # CLOCK_BOOTTIME seconds that no machine sees
FOREIGN = "up, not dialled by mwan-hook"


def is_wanted(record: Activation, at: Occasion) -> bool:
    """Whether it shall be up."""
    return at.enabled and not record.hung and at.need.standing is Outlook.WANTED


def may_go(record: Activation, at: Occasion) -> bool:
    """Whether a better one does its work."""
    return at.need.standing is Outlook.PEACE and not record.hand_until


def is_ready(at: Occasion) -> bool:
    """Whether it has an address and a way in a family that it is wanted for."""
    needed = at.need.families
    return any(not needed or family in needed for family in at.sight.families)


def into(record: Activation, phase: Phase, at: Occasion, reason: str) -> Activation:
    """The record in a phase, since now if that is another one."""
    if record.phase is phase:
        return record._replace(reason=reason)
    return record._replace(phase=phase, since=at.now, reason=reason)


def dial(record: Activation, at: Occasion, reason: str, phase: Phase) -> Move:
    """Ask for it; an exercise is no try."""
    after = into(record, phase, at, reason)._replace(
        asked_at=at.now,
        tries=record.tries + (phase is Phase.DIALLING),
        next_at=0.0,
        linger_until=0.0,
        ready_at=0.0,
        ours=True,
        final="",
        mendable=False,
        exercise_now=False,
        by=at.dial.by,
        invocation="",
    )
    return Move(after, Verb.DIAL)


def hang_up(record: Activation, at: Occasion, reason: str, verb: Verb, next_at: float = 0.0) -> Move:
    """Begin to hang up."""
    after = into(record, Phase.STOPPING, at, reason)
    stopped = after._replace(stop_at=at.now, stop_verb=verb.value, next_at=next_at, linger_until=0.0)
    return Move(stopped, verb)


def pause(settings: Dial, tries: int) -> float:
    """Seconds after so many failed dials."""
    return float(min(settings.retry_min * (1 << min(max(tries - 1, 0), 30)), settings.retry_max))


def failed(record: Activation, at: Occasion, why: str) -> Move:
    """End a dial that has failed, and say when the next one may be."""
    remedy = Remedy.OPERATOR if at.sight.final else cause(at.sight.code or 0).remedy
    rest = pause(at.dial, record.tries)
    if remedy is Remedy.HOURLY:
        rest = max(rest, HOUR)
    final, mendable = remedy is Remedy.OPERATOR, remedy is Remedy.PAUSE
    after = record._replace(failed=record.failed + 1, final=why if final else "", mendable=mendable)
    return hang_up(after, at, why, Verb.ABORT, NEVER if final else at.now + rest)


def failure(record: Activation, at: Occasion) -> str:
    """Why a dial under way has failed; empty as long as it has not."""
    sight, age = at.sight, at.now - record.asked_at
    if sight.code or sight.final:
        return sight.said or _coded(sight.code or 0)
    if age >= at.dial.ready_timeout:
        return f"no address and way after {duration(age)}"
    ended = sight.sent and not sight.alive
    if ended and at.dial.kind in (UNIT, MODEM) and age >= (GRACE if sight.code == 0 else 0):
        return "the unit ended without an address"
    return "what dials was killed" if ended and at.dial.kind == COMMAND and sight.code is None else ""


def _coded(code: int) -> str:
    words = cause(code).words
    return words if words.startswith("exit code") else f"exit code {code}: {words}"


def came_up(record: Activation, at: Occasion, reason: str) -> Activation:
    """The record of one that is ready: a dial that succeeds adds no failed try."""
    tries = record.tries - (record.phase is Phase.DIALLING)
    after = into(record, Phase.UP, at, reason)
    dialled = record.dialled + 1
    return after._replace(ready_at=at.now, tries=tries, dialled=dialled, next_at=0.0, final="", mendable=False)


def is_reset(record: Activation) -> bool:
    """Whether a reset was asked for in this pause."""
    return record.phase is Phase.WAITING and 0.0 < record.since <= record.reset_at


def reset(record: Activation, at: Occasion) -> Move | None:
    """Ask for a reset after a failed dial, once an hour at most; None where there is nothing to ask."""
    if is_reset(record):
        return None if at.sight.sent else Move(record, Verb.RESET)
    rested = not record.reset_at or at.now >= record.reset_at + HOUR
    wanted = at.dial.reset and record.mendable and rested
    return Move(record._replace(reset_at=at.now), Verb.RESET) if wanted else None


def again(record: Activation, at: Occasion, verb: Verb) -> Move:
    """Ask the same again if nothing shows that it arrived: a run was killed between storing and asking."""
    arrived = at.sight.sent or (verb is Verb.DIAL and at.sight.alive)
    return Move(record) if arrived else Move(record, verb)


def counted(record: Activation, at: Occasion) -> Activation:
    """The record with the time that it was up by our dialling."""
    if not record.ready_at or not record.ours:
        return record
    return record._replace(seconds=record.seconds + max(0.0, at.now - record.ready_at), ready_at=0.0)
