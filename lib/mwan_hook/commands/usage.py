"""``mwan-hook usage``: what uplinks with a quota have carried, and the carrier's own figure in its place."""

from __future__ import annotations

from mwan_hook import columns, config, dates
from mwan_hook.columns import Table
from mwan_hook.commands import screen
from mwan_hook.config import Loaded
from mwan_hook.durations import DAY
from mwan_hook.model import Stage, Uplink, Usage, UsageError
from mwan_hook.phrases import many
from mwan_hook.quota import usage as quota
from mwan_hook.quota import words
from mwan_hook.quota.words import shown
from mwan_hook.run import judge, look, metering
from mwan_hook.run.naming import chosen
from mwan_hook.run.reconcile import Run
from mwan_hook.run.scene import Judged
from mwan_hook.say import complain, say
from mwan_hook.store import lock
from mwan_hook.store import state as states

HEADER = ("QUOTA", "USED", "OF", "PERCENT", "RESETS", "FORECAST", "")


def run(root: str, name: str | None, figure: int | None, save: bool) -> int:
    """Show it; or put ``figure`` (bytes) in its place, or write what is counted to the disk.  Raises MwanError."""
    loaded = config.load(root) if save or figure is not None else config.look(root)
    if save:
        return _save(root, loaded)
    if figure is not None:
        _set(root, loaded, name or "", figure)
        judged = Run(root, loaded).reconcile()  # what follows from it
        complain(judged.state.errors)
    else:
        judged = judge.judge(look.to_read(root, loaded))
    wanted = {uplink.name for uplink in (chosen(judged.scene, [name]) if name else judged.scene.uplinks)}
    found = [row for row in _rows(judged) if row[0] in wanted]
    if found:
        screen.show(columns.plain(HEADER, found))
    else:
        say((f"{name or 'no uplink'} has {'no' if name else 'a'} quota",))
    return 1 if figure is not None and judged.state.errors else 0


def _save(root: str, loaded: Loaded) -> int:
    """What systemd runs when the machine goes down: nothing is lost then."""
    if not any(uplink.quota for uplink in loaded.config.uplinks):
        return 0
    with lock.look(root):
        judged = judge.judge(look.to_write(root, loaded))
        complain(metering.keep(judged, judged.state, now=True))
    return 0


def _set(root: str, loaded: Loaded, name: str, figure: int) -> None:
    with lock.look(root):
        judged = judge.judge(look.to_write(root, loaded))
        named = [uplink for uplink in chosen(judged.scene, [name]) if uplink.config.quota]
        if len(named) != 1:
            raise UsageError(f"{name} means {len(named) or 'no'} uplinks with a quota; name one")
        usage = judged.state.usage[named[0].name]
        usage = usage._replace(periods={**usage.periods, usage.period: figure})
        # The thresholds are for the next run to tell.
        after = judged.scene.state._replace(usage={**judged.state.usage, named[0].name: usage})
        states.save(root, after._replace(saved_at=judged.scene.now, saved_wall=judged.scene.wall))
        complain(metering.keep(judged, after, now=True))


def table(judged: Judged) -> Table:
    """The table for people, a row an uplink."""
    return columns.plain(HEADER, _rows(judged))


def _rows(judged: Judged) -> list[tuple[str, ...]]:
    return [_row(judged, uplink) for uplink in judged.scene.uplinks if uplink.config.quota]


def _row(judged: Judged, uplink: Uplink) -> tuple[str, ...]:
    usage, limit = judged.state.usage[uplink.name], uplink.config.quota
    resets, left, expected = _outlook(judged, usage)
    percent = 100 * quota.used(usage) // limit
    ends = f"{resets} ({many(round(left), 'day')})" if resets else "-"
    more = "exceeded: used last" if usage.stage is Stage.EXCEEDED else ""
    if expected is not None and expected > limit and not more:
        more = "will be exceeded"
    what = "-" if expected is None else shown(expected)
    return uplink.name, shown(quota.used(usage)), shown(limit), f"{percent} %", ends, what, more


def _outlook(judged: Judged, usage: Usage) -> tuple[str, float, int | None]:
    """The day of the reset, days until then, and the bytes at its end if it goes on so."""
    if not usage.period:
        return "", 0.0, None
    resets = quota.next_day(usage.period, usage.reset_day)
    left = max(0.0, (dates.midnight(resets) - judged.scene.wall) / DAY)
    elapsed = (judged.scene.wall - dates.midnight(max(usage.period, usage.first))) / DAY
    return resets, left, words.forecast(quota.used(usage), elapsed, left)


def document(judged: Judged, uplink: Uplink) -> dict[str, object]:
    """``quota`` of ``status --json``: bytes, percent, days."""
    usage, limit = judged.state.usage[uplink.name], uplink.config.quota
    resets, left, expected = _outlook(judged, usage)
    return {
        "quota_bytes": limit,
        "used_bytes": quota.used(usage),
        "percent": round(100 * quota.used(usage) / limit, 1),
        "stage": usage.stage.value,
        "demoted": usage.stage is Stage.EXCEEDED,
        "period": usage.period or None,
        "resets": resets or None,
        "days_left": round(left, 2) if resets else None,
        "forecast_bytes": expected,
        "earlier": {day: carried for day, carried in sorted(usage.periods.items()) if day < usage.period},
    }
