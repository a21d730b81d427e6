"""What an uplink with a quota has carried, by the kernel's own counters: over boots, re-plugs and wrong clocks.

A reading is (boot, interface index, counter).  As long as boot and index are the same the counter only grows, so the
difference of two readings is what went through between them, however many runs there were and wherever one was killed.
Another boot or index, or a smaller counter, began at 0: all of it is new.

Bytes are booked to the period that the clock says, and no entry is ever thrown back to 0: a clock that was wrong for a
while has booked that while to a wrong period, and finds the right one as it was.  Days are text, YYYY-MM-DD, local.
"""

from __future__ import annotations

from mwan_hook.credible import days
from mwan_hook.light import NamedTuple
from mwan_hook.model import Stage, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import State, Traffic, Uplink

PLAUSIBLE = "2025"  # before that there was no such program: a clock that was not set yet
SETTLED = 86400.0  # seconds after boot in which a clock that is behind may still be one that was not set
STEP = 60.0  # seconds; a clock that differs by more from boot time than it did was set
PERIODS = 12  # kept of each uplink
FINE = 1000  # what a run need not remember is less than this part of the quota
COARSE = 100  # and less than this part of it need not go to the disk,
LONGEST = 3600.0  # unless it is so many seconds old


class Moment(NamedTuple):
    """When it is: the local date, CLOCK_BOOTTIME seconds, and whether it was set since the last run of this boot."""

    year: int
    month: int
    day: int
    now: float
    stepped: bool = False

    @property
    def today(self) -> str:
        """The date, or nothing where it cannot be."""
        day = _day(self.year, self.month, self.day)
        return day if day >= PLAUSIBLE else ""


def first_day(today: str, reset_day: int) -> str:
    """First day of the period that a date lies in; the reset day of a shorter month is its last."""
    year, month, day = map(int, today.split("-"))
    if day < min(reset_day, days(year, month)):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return _day(year, month, min(reset_day, days(year, month)))


def next_day(period: str, reset_day: int) -> str:
    """The day on which the next period begins."""
    year, month, _ = map(int, period.split("-"))
    year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return _day(year, month, min(reset_day, days(year, month)))


def _day(year: int, month: int, day: int) -> str:
    return f"{year:04}-{month:02}-{day:02}"


def used(usage: Usage) -> int:
    """Bytes in the period in force."""
    return usage.periods.get(usage.period, 0)


def counted(old: Usage | None, reading: tuple[str, int, int] | None, moment: Moment, reset_day: int) -> Usage:
    """``old`` with what went through since.  ``reading`` None: there is no interface.

    Traffic from before the first reading is not counted.
    """
    if old is None:
        old, more = Usage(first=moment.today), 0
    else:
        more = 0 if reading is None else _since(old, reading)
    usage = _dated(old, moment, reset_day)
    if reading is not None:
        boot_id, index, counter = reading
        usage = usage._replace(boot_id=boot_id, index=index, counter=counter, at=moment.now)
    return booked(usage, more) if more else usage


def booked(usage: Usage, more: int) -> Usage:
    """The usage with so many bytes more in the period in force."""
    periods = {**usage.periods, usage.period: used(usage) + more}
    for day in sorted(periods)[: max(0, len(periods) - PERIODS)]:
        if day != usage.period:
            del periods[day]
    return usage._replace(periods=periods)


def _since(old: Usage, reading: tuple[str, int, int]) -> int:
    boot_id, index, counter = reading
    same = (old.boot_id, old.index) == (boot_id, index) and counter >= old.counter
    return counter - old.counter if same else counter


def _dated(old: Usage, moment: Moment, reset_day: int) -> Usage:
    """The usage in the period that the clock says, if it can be believed.

    One that is behind and was not set in this boot is that of a machine that does not keep the time: it stays in the
    period that it knows.  Another reset day is a correction: the figure goes with it.
    """
    today = moment.today
    if not today:
        return old
    if first_day(today, old.reset_day) < old.period and not (moment.stepped or moment.now > SETTLED):
        return old
    wanted = first_day(today, reset_day)
    periods = dict(old.periods)
    for day in ("", *((old.period,) if old.reset_day != reset_day else ())):  # "": before the date was known
        if day in periods and day != wanted:
            periods[wanted] = periods.get(wanted, 0) + periods.pop(day)
    return old._replace(period=wanted, periods=periods, reset_day=reset_day, first=old.first or today)


def advanced(
    uplinks: Iterable[Uplink], known: Mapping[str, Usage], traffic: Traffic, moment: Moment
) -> dict[str, Usage]:
    """The usage of every uplink with a quota."""
    limited = [uplink for uplink in uplinks if uplink.config.quota]
    known = _renamed(known, [uplink for uplink in limited if uplink.index in traffic.carried], traffic.boot_id)
    found = {}
    for uplink in limited:
        carried = traffic.carried.get(uplink.index)
        reading = None if carried is None else (traffic.boot_id, uplink.index, carried)
        usage = counted(known.get(uplink.name), reading, moment, uplink.config.quota_reset_day)
        found[uplink.name] = usage._replace(stage=stage(uplink, usage))
    return found


def _renamed(known: Mapping[str, Usage], there: Iterable[Uplink], boot_id: str) -> Mapping[str, Usage]:
    """The usage with readings of interfaces that had another uplink's name before in this boot.

    What was counted is not counted again; within one template it goes with the interface.
    """
    places = {one.index: name for name, one in known.items() if one.index and one.boot_id == boot_id}
    moved = [(u, places[u.index]) for u in there if u.index in places and places[u.index] != u.name]
    if not moved:
        return known
    found = dict(known)
    whole = {name for uplink, name in moved if name.partition("@")[0] == uplink.config.name}
    for _, name in moved:
        found[name] = found[name]._replace(index=0, periods={} if name in whole else found[name].periods)
    for uplink, name in moved:
        other, mine = known[name], found.get(uplink.name, Usage(first=known[name].first))
        mine = mine._replace(boot_id=boot_id, index=other.index, counter=other.counter, at=other.at)
        if name in whole:
            both = {day: mine.periods.get(day, 0) + more for day, more in other.periods.items()}
            period = max(mine.period, other.period)
            mine = mine._replace(period=period, periods={**mine.periods, **both}, reset_day=other.reset_day)
        found[uplink.name] = mine
    return found


def stage(uplink: Uplink, usage: Usage) -> Stage:
    """How far it has come."""
    quota, carried = uplink.config.quota, used(usage)
    if carried >= quota:
        return Stage.EXCEEDED
    return Stage.WARNING if 100 * carried >= quota * uplink.config.quota_warn else Stage.BELOW


def demoted(uplinks: Sequence[Uplink], usage: Mapping[str, Usage]) -> tuple[Uplink, ...]:
    """The uplinks, those beyond their quota at metrics behind all others; among themselves they keep their order."""
    over = {name for name, one in usage.items() if one.stage is Stage.EXCEEDED}
    worst = max((uplink.metric for uplink in uplinks), default=0)
    return tuple(u._replace(metric=worst + 1 + u.metric) if u.name in over else u for u in uplinks)


def quiet(state: State, stored: State, uplinks: Iterable[Uplink]) -> State:
    """``stored`` where nothing is new but counters that moved a little: the next run counts on from there."""
    if state.usage == stored.usage or state._replace(usage=stored.usage) != stored:
        return state
    quotas = {uplink.name: uplink.config.quota for uplink in uplinks}
    fine = state.usage.keys() == stored.usage.keys() and not any(
        differs(stored.usage[name], usage, quotas[name] // FINE) for name, usage in state.usage.items()
    )
    return stored if fine else state


def differs(old: Usage, new: Usage, most: int) -> bool:
    """Whether it is another reading or period, or more than ``most`` bytes went through."""
    place = (old.boot_id, old.index, old.period, old.stage, old.reset_day)
    if place != (new.boot_id, new.index, new.period, new.stage, new.reset_day) or new.counter < old.counter:
        return True
    return not 0 <= used(new) - used(old) <= most


def overdue(kept: Usage | None, new: Usage, quota: int) -> bool:
    """Whether the disk is to have it: it has moved by a hundredth of the quota, or at all within an hour."""
    if kept is None or (kept.period, kept.stage, kept.reset_day) != (new.period, new.stage, new.reset_day):
        return True
    more = used(new) - used(kept)
    age = new.at - kept.at if kept.boot_id == new.boot_id else new.at
    return more < 0 or more > quota // COARSE or (more > 0 and age >= LONGEST)
