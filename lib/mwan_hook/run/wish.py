"""What a run was asked to probe, and what of it is due."""

from __future__ import annotations

import time

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Probe, Status, Uplink
from mwan_hook.run.scene import Key, memory_of
from mwan_hook.verdict import schedule
from mwan_hook.verdict.decide import has_way
from mwan_hook.verdict.standing import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.run.scene import Judged

LONGEST_BURST = 20.0  # seconds; what takes longer goes on in the next run
LONGEST_COMEBACK = 5.0  # of an offline uplink's burst: others may wait to probe
WAIT_FOR_PROBER = 10.0


class Request(NamedTuple):
    """What this run was asked to probe."""

    names: tuple[str, ...] = ()  # uplinks; empty: all
    interfaces: tuple[str, ...] = ()  # named by an event: due, though the schedule may say no
    since: float | None = None  # --now: all that was not probed since then is due
    wait: float = WAIT_FOR_PROBER  # for another run that is probing
    remember: bool = False  # leave what was seen to the next ones, if it is nothing new


def in_doubt(judged: Judged, key: Key, running: float) -> bool:
    memory = memory_of(judged, key)
    longest = LONGEST_BURST if memory.status is Status.ONLINE else LONGEST_COMEBACK
    return running < longest and schedule.in_doubt(memory, key.uplink.config.probe)


def longest(judged: Judged) -> float:
    """Seconds that probing can take: a burst, and rounds of two questions each."""
    timeouts = [uplink.config.probe.timeout for uplink in judged.scene.uplinks]
    return LONGEST_BURST + 4 * max(timeouts, default=0.0)


def pause(key: Key) -> float:
    """Seconds between two rounds; without bursts too, what changes under every probe is not asked without end."""
    return key.uplink.config.probe.burst_interval or Probe().burst_interval


def clock() -> float:
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 6)


def keys(judged: Judged, names: Sequence[str] = ()) -> list[Key]:
    """Every family of the uplinks named, or of all."""
    uplinks = [uplink for uplink in judged.scene.uplinks if not names or means(names, uplink)]
    return [Key(uplink, family) for uplink in uplinks for family in FAMILIES]


def what_is_due(judged: Judged, wish: Request, now: float) -> list[Key]:
    """What a round shall be made of now."""
    return [
        key
        for key in keys(judged, wish.names)
        if schedule.due(
            memory_of(judged, key),
            key.uplink.config,
            now,
            another_online(judged.state.uplinks, key.uplink.name, judged.state.drains),
            wish.since,
        )
    ]


def means(names: Sequence[str], uplink: Uplink) -> bool:
    return bool({uplink.name, uplink.config.name, uplink.interface} & set(names))


def refuse_strangers(judged: Judged, names: Sequence[str]) -> None:
    """A name that is no uplink's is a usage error."""
    if names:
        from mwan_hook.run.naming import chosen

        chosen(judged.scene, names)


def left_to_probe(judged: Judged, now: float) -> Iterable[str]:
    """Interfaces that the facts have put in doubt, or that are due in a family which has lost its last way."""
    lost = [family for family in FAMILIES if not has_way(judged.state.uplinks, family)]
    due = {key.name for key in what_is_due(judged, Request(), now) if key.family in lost} if lost else ()
    doubtful = (
        key.uplink.interface
        for key in keys(judged)
        if key.name in due or schedule.in_doubt(memory_of(judged, key), key.uplink.config.probe)
    )
    return dict.fromkeys(doubtful)
