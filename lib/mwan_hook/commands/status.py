"""``mwan-hook status``: how the uplinks stand, for people and for programs.  Needs no root and no lock."""

from __future__ import annotations

import json
import sys
import time

from mwan_hook.commands.columns import table
from mwan_hook.commands.following import ReloadingConfig
from mwan_hook.commands.status_json import document
from mwan_hook.durations import largest_unit
from mwan_hook.model import (
    FAMILIES,
    ConfigError,
    Family,
    FamilyState,
    Phase,
    Status,
    Uplink,
    UplinkState,
)
from mwan_hook.run import judge, look
from mwan_hook.say import complain, say
from mwan_hook.verdict.events import best_connectivity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Activation, Draining
    from mwan_hook.run.scene import Judged, Scene

STANDBY = "standby"  # of what is dialled on demand, and idle
CLEAR = "\x1b[H\x1b[2J"
REFRESH = 2.0  # seconds between two pictures of --watch
HEADER = ("UPLINK", "INTERFACE", "CONNECTIVITY", "METRIC", "WEIGHT", "TABLE", "IPV4", "IPV6", "SINCE", "REASON")


def run(root: str, as_json: bool, watch: bool, header: bool) -> int:
    """Print it once, or again and again until interrupted."""
    try:
        configuration = ReloadingConfig(root)
    except ConfigError as error:
        return _stored(root, error, as_json, header)
    clear = watch and not as_json and sys.stdout.isatty()
    while True:
        seen = look.to_read(root, configuration.loaded)
        judged = judge.judge(seen)
        seen = judged.scene
        text = json.dumps(document(seen, judged), indent=1) if as_json else render(seen, judged, header)
        if clear:
            sys.stdout.write(CLEAR)
        say(text.split("\n"))
        sys.stdout.flush()
        if not watch:
            break
        complain(configuration.mistakes)  # a picture of what is not in force any more says so
        time.sleep(REFRESH)
        configuration.again()
    failed = (seen.state.firewall.failed,) if seen.state.firewall.failed else ()
    told = seen.bound.told if seen.uplinks or as_json or not header else ()  # else the table says it
    complain((*told, *seen.messages, *configuration.loaded.warnings, *seen.state.errors, *failed))
    return 0


def _stored(root: str, error: ConfigError, as_json: bool, header: bool) -> int:
    """What the state says, for a user who may not read the configuration.  Raises ``error`` for others."""
    from mwan_hook.commands import from_state

    seen = look.to_read(root, from_state.loaded(root, error))
    judged = from_state.judged(seen)
    if as_json:
        say(json.dumps(from_state.without_configuration(document(seen, judged)), indent=1).split("\n"))
    else:
        rows = [_row(seen, judged, uplink, judged.state.uplinks[uplink.name]) for uplink in seen.uplinks]
        unknown = [(*row[:3], "-", "-", "-", *row[6:]) for row in rows]
        say(table([*([HEADER] if header or not rows else []), *unknown]).split("\n"))
    complain((from_state.MISSING, *seen.messages, *seen.state.errors))
    return 0


def render(seen: Scene, judged: Judged, header: bool) -> str:
    """The table for people; each line begins with ``NAME INTERFACE N (connectivity)``."""
    rows = [_row(seen, judged, uplink, judged.state.uplinks.get(uplink.name, UplinkState())) for uplink in seen.uplinks]
    if header:
        rows.insert(0, HEADER)
    if not seen.uplinks:
        return "no uplinks: nothing configured, and no interface has a default route" if header else ""
    more: list[Sequence[Sequence[str]]] = []
    if header and (judged.state.ignored or judged.state.dark_since):
        from mwan_hook.commands import common

        more += common.rows(judged.state, seen.now)
    if header and seen.bound.policies:
        from mwan_hook.commands import policies

        more.append(policies.rows(seen, judged))
    if header and judged.state.usage:
        from mwan_hook.commands import usage

        more.append(usage.rows(judged))
    return "\n\n".join(map(table, (rows, *more)))


def _row(seen: Scene, judged: Judged, uplink: Uplink, memory: UplinkState) -> tuple[str, ...]:
    connectivity = best_connectivity(memory)
    lead = _leading(uplink, memory)
    state = memory.family(lead)
    record = judged.state.dials.get(uplink.name)
    cells = [_cell(uplink, memory, family) for family in FAMILIES]
    if record and uplink.config.dial and record.phase is Phase.IDLE:
        cells = [cell.replace(Status.OFFLINE.value, STANDBY) for cell in cells]
    return (
        uplink.name,
        uplink.interface,
        f"{int(connectivity)} ({connectivity.word})",
        str(uplink.metric),
        str(uplink.config.weight),
        str(uplink.table),
        *cells,
        largest_unit(seen.now - state.since) if state.since else "-",
        _story(seen, judged, uplink, state),
    )


def _story(seen: Scene, judged: Judged, uplink: Uplink, state: FamilyState) -> str:
    """The reason, and what is done about it."""
    record = judged.state.dials.get(uplink.name)
    if record and uplink.config.dial and (standing_by := _dialling(seen, record)):
        return standing_by
    words = f"{state.reason}; enabled by `mwan-hook enable`" if uplink.switched else state.reason
    if drained := seen.bound.drains.get(uplink.name):
        words = f"{_draining(seen, drained)}; {words}"
    if not uplink.config.repair or drained:
        return words
    from mwan_hook.repair.words import short
    from mwan_hook.run.ladders import standing

    next_step = short(next(standing(seen.root, judged, uplink.name)).due, seen.now)
    return f"{words}; {next_step}" if next_step else words


def _draining(seen: Scene, drained: Draining) -> str:
    from mwan_hook.connections import drain

    until = time.localtime(seen.wall - seen.now + drained.ends)
    today = until[:3] == time.localtime(seen.wall)[:3]
    return drain.words(drained, time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", until), seen.now)


def _dialling(seen: Scene, record: Activation) -> str:
    from mwan_hook.commands import dialled

    return dialled.words(seen, record)


def _leading(uplink: Uplink, memory: UplinkState) -> Family:
    """The family whose story is worth telling: an online one, else the better connected."""
    return max(
        (family for family in FAMILIES if family in uplink.config.families),
        key=lambda family: (
            memory.family(family).status is Status.ONLINE,
            memory.family(family).connectivity,
            family is Family.IPV4,
        ),
    )


def _cell(uplink: Uplink, memory: UplinkState, family: Family) -> str:
    state = memory.family(family)
    if family not in uplink.config.families:
        return "-"
    latency = f" {state.latency_ms:.1f} ms" if state.latency_ms is not None else ""
    return f"{state.word}{latency}"
