"""What ``mwan-hook status`` shows to people, as tables."""

from __future__ import annotations

from mwan_hook import dates, phrases
from mwan_hook.columns import Table, TableRow, lines, paragraph
from mwan_hook.commands.status_json import best_tier
from mwan_hook.durations import largest_unit
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Family, FamilyState, Status, Uplink, UplinkState
from mwan_hook.verdict import words
from mwan_hook.verdict.standing import uses
from mwan_hook.verdict.words import Word
from mwan_hook.wrapping import Styled, columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Draining
    from mwan_hook.run.scene import Judged, Scene
    from mwan_hook.wrapping import Line

HEADS = ("UPLINK", "INTERFACE", "STATE", "IPV4", "IPV6", "SINCE", "REASON")
NUMBERS = ("METRIC", "WEIGHT", "TABLE")  # with --all, behind the state
MARK = "*"
CARRIES = f"{MARK} carries the default route"
NOTHING = "nothing carries the default route"
NO_UPLINKS = "no uplinks: nothing configured, and no interface has a default route"


class View(NamedTuple):
    """How the table is to look.  ``known``: the configuration could be read."""

    room: int | None  # columns; None: a line an uplink
    header: bool
    numbers: bool  # metric, weight and table, too
    known: bool = True


def picture(judged: Judged, view: View) -> list[Line]:
    """The whole picture."""
    if not judged.scene.uplinks:
        return paragraph([Styled(NO_UPLINKS)], view.room, 0) if view.header else []
    found = lines(uplinks(judged, view), view.room)
    if not view.header:
        return found
    carried = any(map(_tiers(judged).get, FAMILIES))
    found += paragraph([Styled(CARRIES if carried else NOTHING, "dim" if carried else "offline")], view.room, 0)
    for more in _others(judged) if view.known else ():
        found += [(), *lines(more, view.room)]
    return found


def uplinks(judged: Judged, view: View) -> Table:
    """The table of the uplinks."""
    tiers = _tiers(judged)
    ways = [_ways(judged, family, tiers[family]) for family in FAMILIES]
    rows = []
    for place, uplink in enumerate(judged.scene.uplinks):
        name = Styled(uplink.name, "strong" if any(uplink.name in tier for tier in tiers.values()) else "")
        rows.append(_row(judged, uplink, view, name, [Styled(way[place]) for way in ways]))
    heads = (*HEADS[:3], *(NUMBERS if view.numbers else ()), *HEADS[3:])
    return Table(heads if view.header else (), tuple(rows))


def _tiers(judged: Judged) -> dict[Family, list[str]]:
    """Names of those that carry the default, by family."""
    return {family: best_tier(judged, family) for family in FAMILIES}


def _row(judged: Judged, uplink: Uplink, view: View, name: Styled, families: Sequence[Styled]) -> TableRow:
    seen, memory = judged.scene, judged.state.memory(uplink.name)
    word = words.of_uplink(uplink, memory, judged.state, seen.now)
    lead = words.leading(uplink, memory, seen.now)
    state = memory.family(lead)
    numbers = (uplink.metric, uplink.config.weight, uplink.table)
    cells = (
        name,
        Styled(uplink.interface),
        Styled(spelled(seen, word, state), word.value),
        *(Styled(str(number) if view.known else "-") for number in numbers if view.numbers),
        *families,
        Styled(largest_unit(seen.now - state.since) if state.since else "-"),
    )
    others = [family for family in FAMILIES if family is not lead and uses(uplink, family, judged.state)]
    below = tuple([found for family in others if (found := _other(seen, uplink, memory, family, lead))])
    reason = story(judged, uplink, state)
    return TableRow((*cells, Styled(f"{phrases.FAMILIES[lead]}: {reason}" if below and reason else reason)), below)


def _other(seen: Scene, uplink: Uplink, memory: UplinkState, family: Family, lead: Family) -> tuple[Styled, ...]:
    """How the other family stands, if otherwise: ``IPv6 offline: 0 of 3 targets answered``."""
    word = words.of_family(uplink, memory, family, seen.now)
    if word is words.of_family(uplink, memory, lead, seen.now):
        return ()
    state = memory.family(family)
    said = Styled(spelled(seen, word, state), word.value)
    return (Styled(f"{phrases.FAMILIES[family]} "), said, Styled(f": {state.reason}" if state.reason else ""))


def spelled(seen: Scene, word: Word, state: FamilyState) -> str:
    """The word, with the time until which it is held."""
    if word is not Word.HELD or state.held_until is None:
        return word.value
    return f"{word.value} until {clock(seen, state.held_until)}"


def clock(seen: Scene, moment: float) -> str:
    """A CLOCK_BOOTTIME moment as people say it today."""
    at = seen.wall - seen.now + moment
    return dates.local(at, dates.CLOCK if dates.same_day(at, seen.wall) else dates.MINUTE)


def _ways(judged: Judged, family: Family, tier: Sequence[str]) -> list[str]:
    """A cell an uplink: who carries the default and how much of it, and :func:`_measured`; each below the other."""
    uplinks = judged.scene.uplinks
    whole = sum(uplink.config.weight for uplink in uplinks if uplink.name in tier) or 1
    marks, times = [], []
    for uplink in uplinks:
        mark = MARK if uplink.name in tier else ""
        marks.append(f"{mark} {100 * uplink.config.weight / whole:.0f} %" if mark and len(tier) > 1 else mark)
        state = judged.state.memory(uplink.name).family(family)
        times.append(_measured(state))
    left, right = max(map(columns, marks)), max(map(columns, times))
    gap = " " if left else ""
    return [f"{mark.ljust(left)}{gap}{spent.rjust(right)}" for mark, spent in zip(marks, times, strict=True)]


def _measured(state: FamilyState) -> str:
    """The round trip; that it is online where none is measured, as by facts alone."""
    if state.latency_ms is not None:
        return f"{state.latency_ms:.1f} ms"
    return Word.ONLINE.value if state.status is Status.ONLINE else "-"


def story(judged: Judged, uplink: Uplink, state: FamilyState) -> str:
    """The reason, and what is done about it."""
    seen = judged.scene
    record = judged.state.dials.get(uplink.name)
    if record and uplink.config.dial:
        from mwan_hook.commands import dialled

        if standing_by := dialled.words(seen, record):
            return standing_by
    reason = f"{state.reason}; enabled by `mwan-hook enable`" if uplink.switched else state.reason
    if drained := seen.bound.drains.get(uplink.name):
        return f"{_draining(seen, drained)}; {reason}"
    if not uplink.config.repair:
        return reason
    from mwan_hook.repair.words import short
    from mwan_hook.run.ladders import standing

    next_step = short(next(standing(seen.root, judged, uplink.name)).due, seen.now)
    return f"{reason}; {next_step}" if next_step else reason


def _draining(seen: Scene, drained: Draining) -> str:
    from mwan_hook.connections import drain

    return drain.words(drained, clock(seen, drained.ends), seen.now)


def _others(judged: Judged) -> Sequence[Table]:
    """Tables below that of the uplinks, where there is something to say."""
    found: list[Table] = []
    if judged.state.ignored or judged.state.dark_since:
        from mwan_hook.commands import common

        found += common.tables(judged.state, judged.scene.now)
    if judged.scene.bound.policies:
        from mwan_hook.commands import policies

        found.append(policies.table(judged))
    if judged.state.usage:
        from mwan_hook.commands import usage

        found.append(usage.table(judged))
    return found
