"""What comes next for one dialled uplink: from what is remembered and what is seen to what is remembered next.

At most one thing is asked of what dials, and the caller stores the record before it asks.  A request has a name (the
moment it was asked for), so that one which did not arrive can be asked again, and never twice.
"""

from __future__ import annotations

from mwan_hook.dial import steps
from mwan_hook.dial.steps import NEVER, again, counted, dial, failed, failure, hang_up, into, is_wanted, may_go
from mwan_hook.dial.values import COMMAND, Move, Occasion, Outlook, Verb
from mwan_hook.durations import duration
from mwan_hook.model import Activation, Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SETTLED = 600.0  # seconds online after which failures are forgotten
STOP_PATIENCE = 30.0  # seconds until a hang-up that shows nothing is asked for again
STOPS = 5  # so often where only what dials is left, and no link


def step(record: Activation, at: Occasion, free: bool) -> Move:
    """The next step; without ``free`` none that asks anything: the next run takes it."""
    record = _wanted_since(record, at)._replace(invocation=at.sight.invocation or record.invocation)
    taken = _PHASES[record.phase](record, at)
    return taken if free or not taken.verb else Move(record)


def _wanted_since(record: Activation, at: Occasion) -> Activation:
    """The record with how long it has been wanted; a word of the operator's ends with what it was about."""
    if at.need.standing is Outlook.PEACE:
        resting = record.phase in (Phase.IDLE, Phase.WAITING)
        record = record._replace(hung=record.hung and not resting, wanted_since=0.0)
    elif at.need.standing is Outlook.WANTED and not record.wanted_since:
        record = record._replace(wanted_since=at.now)
    if record.hand_until and record.hand_until <= at.now:
        record = record._replace(hand_until=0.0)
    return record


def _idle(record: Activation, at: Occasion) -> Move:
    if at.sight.families:
        return Move(into(record, Phase.UP, at, steps.FOREIGN)._replace(ours=False, ready_at=at.now))
    reason = _why_not(record, at)
    if reason:
        return Move(into(record, Phase.IDLE, at, reason))
    if is_wanted(record, at):
        return dial(record, at, at.need.why, Phase.DIALLING)
    return dial(record, at, "an exercise", Phase.EXERCISING)


def _why_not(record: Activation, at: Occasion) -> str:
    """Why it is not dialled now; empty if it is."""
    standing = at.need.standing
    exercise = at.exercise and standing is Outlook.PEACE
    hindrances = (
        (not at.enabled, "disabled"),
        (bool(record.final), record.final),
        (not at.sight.device, "its interface is not there"),
        (record.hung, "hung up by `mwan-hook hangup`"),
        (standing is not Outlook.WANTED and not exercise, at.need.why),
        (standing is Outlook.WANTED and bool(at.refused), at.refused),
    )
    first = next((words for hinders, words in hindrances if hinders), "")
    if first or exercise or record.hand_until:
        return first
    left = record.wanted_since + at.dial.activate_delay - at.now
    return f"{at.need.why}; dialled in {duration(left)}" if left > 0 else ""


def _waiting(record: Activation, at: Occasion) -> Move:
    if at.sight.families:
        return Move(steps.came_up(record, at, "it came up late"))
    if not is_wanted(record, at):
        return Move(into(record, Phase.IDLE, at, at.need.why)._replace(ours=False))
    if asked := steps.reset(record, at):
        return asked
    if at.now < record.next_at or _why_not(record, at):
        return Move(record)
    return dial(record, at, at.need.why, Phase.DIALLING)


def _by_hand(record: Activation) -> str:
    return "`mwan-hook hangup`" if record.hung else "disabled"


def _dialling(record: Activation, at: Occasion) -> Move:
    why = failure(record, at)
    if not at.enabled or record.hung:
        return hang_up(record, at, _by_hand(record), Verb.ABORT)
    if steps.is_ready(at):
        return Move(steps.came_up(record, at, record.reason))
    if why:
        return failed(record, at, why)
    until = (record.linger_until or at.now + at.dial.linger) if may_go(record, at) else 0.0
    if until and at.now >= until:
        return hang_up(record._replace(tries=max(0, record.tries - 1)), at, at.need.why, Verb.ABORT)
    record = record._replace(linger_until=until)
    return Move(record) if until else again(record, at, Verb.DIAL)  # what is not wanted any more is not asked again


def _up(record: Activation, at: Occasion) -> Move:
    """The step of one that is up, lingering or not."""
    if not at.sight.families:
        return _dropped(record, at, "the link was lost")
    if not record.ours:
        return Move(into(record, Phase.UP, at, steps.FOREIGN))
    if not at.enabled or record.hung:
        return hang_up(record, at, _by_hand(record), Verb.HANG_UP)
    if at.now >= record.ready_at + SETTLED and at.sight.online:
        record = record._replace(tries=0, spent=False)
    if at.sight.silent and is_wanted(record, at):
        return _dropped(record, at, "connected without data")
    return _lingering(record, at)


def _lingering(record: Activation, at: Occasion) -> Move:
    if not may_go(record, at):
        return Move(into(record, Phase.UP, at, at.need.why)._replace(linger_until=0.0))
    until = record.linger_until or at.now + at.dial.linger
    if at.now >= until and at.sight.carried:
        return hang_up(record, at, at.need.why, Verb.HANG_UP)
    return Move(into(record, Phase.LINGERING, at, at.need.why)._replace(linger_until=until))


def _dropped(record: Activation, at: Occasion, why: str) -> Move:
    """A session that ended: while it is wanted it is dialled again at once, the first time; else it has failed."""
    there = at.sight.alive or bool(at.sight.families)
    if not record.ours or not is_wanted(record, at):
        if record.ours and there:
            return hang_up(record, at, why, Verb.ABORT)
        return Move(counted(into(record, Phase.IDLE, at, why), at)._replace(ours=False, linger_until=0.0))
    record = counted(record, at)
    if record.spent:
        return failed(record._replace(tries=record.tries + 1), at, why)
    record = record._replace(spent=True)
    return hang_up(record, at, why, Verb.ABORT, at.now) if there else dial(record, at, why, Phase.DIALLING)


def _stopping(record: Activation, at: Occasion) -> Move:
    sight = at.sight
    patient = at.now < record.since + STOPS * STOP_PATIENCE
    gone = not sight.families and not sight.stopping and not (sight.alive and patient)
    if gone and (at.dial.kind != COMMAND or (sight.sent and not (sight.stop_failed and patient))):
        return Move(_over(record, at))
    if not sight.sent:
        fit = steps.is_ready(at) and is_wanted(record, at) and not (sight.silent or sight.stopping)
        return Move(_kept(record, at)) if fit else again(record, at, Verb(record.stop_verb))
    done = record.stop_verb == Verb.HANG_UP.value and not sight.stopping and not sight.families
    if at.dial.kind == COMMAND and sight.alive and done:
        return Move(record._replace(stop_at=at.now, stop_verb=Verb.END.value), Verb.END)
    if at.now >= record.stop_at + STOP_PATIENCE:
        return Move(record._replace(stop_at=at.now, stop_verb=Verb.ABORT.value), Verb.ABORT)
    return Move(record)


def _kept(record: Activation, at: Occasion) -> Activation:
    """The record of one whose hang-up was not served yet: it has come up since, or is the way out again."""
    if not record.ready_at:
        return steps.came_up(record, at, "it came up late")
    return into(record, Phase.UP, at, at.need.why)._replace(linger_until=0.0, next_at=0.0)


def _over(record: Activation, at: Occasion) -> Activation:
    """The record of one that is down."""
    hung = record.hung and at.need.standing is not Outlook.PEACE
    after = counted(record, at)._replace(ours=False, hung=hung, hung_up=record.hung_up + bool(record.ready_at))
    if record.next_at and is_wanted(record, at):
        return into(after, Phase.WAITING, at, record.reason)
    return into(after, Phase.IDLE, at, record.reason)._replace(next_at=0.0, spent=False)


def _exercising(record: Activation, at: Occasion) -> Move:
    if not at.enabled or record.hung:
        return hang_up(record, at, _by_hand(record), Verb.ABORT)
    ready = bool(at.sight.families)
    if not is_wanted(record, at):
        return _exercised(record, at) if ready else _exercise_begun(record, at)
    if ready:
        return Move(steps.came_up(record, at, at.need.why))
    return Move(into(record, Phase.DIALLING, at, at.need.why)._replace(tries=record.tries + 1))


def _exercise_begun(record: Activation, at: Occasion) -> Move:
    why = failure(record, at)
    return _unfit(record, at, why) if why else again(record, at, Verb.DIAL)


def _exercised(record: Activation, at: Occasion) -> Move:
    if not record.ready_at:
        return Move(record._replace(ready_at=at.now, dialled=record.dialled + 1))
    if at.sight.online:
        return hang_up(record, at, "the exercise is done", Verb.HANG_UP)
    if at.sight.silent or at.now >= record.ready_at + at.dial.ready_timeout:
        return _unfit(record, at, "connected without data")
    return Move(record)


def _unfit(record: Activation, at: Occasion, why: str) -> Move:
    after = record._replace(exercise_failed=record.exercise_failed + 1)
    return hang_up(after, at, f"the exercise failed: {why}", Verb.ABORT)


_PHASES: dict[Phase, Callable[[Activation, Occasion], Move]] = {
    Phase.IDLE: _idle,
    Phase.WAITING: _waiting,
    Phase.DIALLING: _dialling,
    Phase.UP: _up,
    Phase.LINGERING: _up,
    Phase.STOPPING: _stopping,
    Phase.EXERCISING: _exercising,
}


def due_at(record: Activation, at: Occasion) -> float:
    """When the clock alone may bring the next step."""
    if record.phase in (Phase.DIALLING, Phase.EXERCISING, Phase.STOPPING):
        return 0.0
    if record.phase is Phase.WAITING and steps.reset(record, at):
        return 0.0
    moments = [record.hand_until or NEVER, record.linger_until or NEVER, record.next_at or NEVER]
    if record.phase is Phase.UP and (record.tries or record.spent):
        moments.append(record.ready_at + SETTLED)
    if record.phase is Phase.IDLE and record.wanted_since:
        moments.append(record.wanted_since + at.dial.activate_delay)
    return min(moments)
