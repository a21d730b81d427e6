"""All dialled uplinks at once: the best first, each knowing what the better ones do, and at most one request."""

from __future__ import annotations

from mwan_hook.dial import course
from mwan_hook.dial.steps import NEVER, hang_up, is_reset
from mwan_hook.dial.values import UNIT, Decision, DialRequest, Move, Need, Occasion, Outlook, Sight, Verb
from mwan_hook.dial.wanted import Field, need, preference
from mwan_hook.light import NamedTuple
from mwan_hook.model import Activation, Dial, Exercise, Phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mwan_hook.model import Uplink

GONE = "not configured any more"
OVER_QUOTA = "beyond its quota"
CHECKED = 900.0  # seconds between two looks at whether it is time for an exercise
DAY = 86400.0
EVERY = {Exercise.WEEKLY: 7 * DAY, Exercise.MONTHLY: 30 * DAY}
EARLY = DAY / 2  # a window that opens a little sooner than a whole period later counts


class Clock(NamedTuple):
    """What the calendar says."""

    wall: float  # seconds since the epoch
    minute: int  # of the local day


def decide(
    field: Field,
    records: Mapping[str, Activation],
    sights: Mapping[str, Sight],
    exceeded: frozenset[str],
    clock: Clock,
    free: bool,
) -> Decision:
    """The records to be stored, and what is asked then.

    ``exceeded``: uplinks beyond their quota.  Without ``free`` this run has asked something already.
    """
    found, moments = dict(records), [NEVER]
    request: DialRequest | None = None
    for uplink in preference(field.uplinks):
        if not uplink.config.dial:
            continue
        old = found.get(uplink.name, Activation())
        at = _occasion(uplink, uplink.config.dial, field, found, sights, exceeded, clock)
        taken = course.step(old, at, free and request is None)
        found[uplink.name] = _named(old, taken, uplink.interface, clock)
        request = request or _request(uplink.name, old, found[uplink.name], taken)
        moments += [course.due_at(found[uplink.name], at), *_later(uplink, field, at)]
    return _without_strangers(Decision(found, request, min(moments)), field, sights, free)


def _without_strangers(known: Decision, field: Field, sights: Mapping[str, Sight], free: bool) -> Decision:
    """The decision with records of uplinks that the configuration does not dial any more."""
    found, request, at = dict(known.records), known.request, known.due_at
    mine = {uplink.name for uplink in field.uplinks if uplink.config.dial}
    for name in [name for name in found if name not in mine]:
        taken = _left_over(found[name], sights.get(name, Sight()), field, free and request is None)
        request = request or _request(name, found[name], taken.record, taken)
        found[name] = taken.record
        if taken.record.phase is Phase.IDLE:
            del found[name]
        at = min(at, 0.0)
    return Decision(found, request, at)


def _occasion(
    uplink: Uplink,
    dial: Dial,
    field: Field,
    records: Mapping[str, Activation],
    sights: Mapping[str, Sight],
    exceeded: frozenset[str],
    clock: Clock,
) -> Occasion:
    record = records.get(uplink.name, Activation())
    refused = OVER_QUOTA if uplink.name in exceeded and not dial.dial_over_quota else _another(uplink, field, records)
    return Occasion(
        field.now,
        dial,
        need(uplink, field, records),
        sights.get(uplink.name, Sight()),
        uplink.enabled,
        "" if record.hand_until else refused,
        record.exercise_now or _exercise_due(dial, record.exercised_at, clock.wall, clock.minute),
    )


def _another(uplink: Uplink, field: Field, records: Mapping[str, Activation]) -> str:
    """Why a backup waits for another one, a worse one too: they are tried one by one."""
    if not (uplink.config.dial and uplink.config.dial.on_demand):
        return ""
    backups = [one.name for one in field.uplinks if one.config.dial and one.config.dial.on_demand and one is not uplink]
    busy = [name for name in backups if name in records and records[name].phase is Phase.DIALLING]
    return f"{busy[0]} is being dialled" if busy else ""


def _named(old: Activation, taken: Move, interface: str, clock: Clock) -> Activation:
    """The record with where it is, and with the day of an exercise: one that begins counts, so that none is doubled."""
    begins = taken.record.phase is Phase.EXERCISING and old.phase is not Phase.EXERCISING
    at = clock.wall if begins else taken.record.exercised_at
    return taken.record._replace(interface=interface, exercised_at=at)


def _request(name: str, old: Activation, new: Activation, taken: Move) -> DialRequest | None:
    if not taken.verb:
        return None
    key = key_of(new)
    return DialRequest(name, taken.verb, key, again=key == key_of(old) and old.phase is new.phase)


def key_of(record: Activation) -> float:
    """The name of the request under way."""
    if is_reset(record):
        return record.reset_at
    return record.stop_at if record.phase is Phase.STOPPING else record.asked_at


def verb_of(record: Activation) -> Verb | None:
    """The request under way; None where nothing is."""
    if record.phase is Phase.STOPPING:
        return Verb(record.stop_verb or Verb.HANG_UP)
    if is_reset(record):
        return Verb.RESET
    return Verb.DIAL if record.phase in (Phase.DIALLING, Phase.EXERCISING) else None


def _later(uplink: Uplink, field: Field, at: Occasion) -> list[float]:
    """When the calendar, or patience with what was never seen, may bring something."""
    moments = [field.now + CHECKED] if at.dial.exercise in EVERY and uplink.enabled else []
    if at.need.standing is Outlook.UNSURE:
        moments.append(field.now + 1.0)
    return moments


def _left_over(record: Activation, sight: Sight, field: Field, free: bool) -> Move:
    """One that the configuration does not know any more: hung up, once there is another way out."""
    if record.phase is not Phase.STOPPING:
        if not record.ours:
            return Move(Activation())
        if not sight.carried:
            return Move(record)
    at = Occasion(field.now, Dial(record.by or UNIT), Need(Outlook.PEACE, GONE), sight, enabled=False)
    if record.phase is Phase.STOPPING:
        return course.step(record, at, free)
    return hang_up(record, at, GONE, Verb.HANG_UP) if free else Move(record)


def _exercise_due(dial: Dial, exercised_at: float, wall: float, minute: int) -> bool:
    """Whether it is time to see that one which stands by works; ``minute`` of the local day.

    A window may lie over midnight.
    """
    every = EVERY.get(dial.exercise)
    if every is None or not _in_window(dial.exercise_at, minute):
        return False
    return not exercised_at or wall - exercised_at >= every - EARLY or wall < exercised_at - DAY


def _in_window(window: tuple[int, int], minute: int) -> bool:
    """Whether a minute of the day lies in a window; its end does not."""
    first, last = window
    return first <= minute < last if first < last else minute >= first or minute < last
