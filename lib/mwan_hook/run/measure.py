"""Echoes that measure loss, latency and jitter, beside the rounds.  Imported only where an uplink has such limits."""

from __future__ import annotations

import time

from mwan_hook.light import NamedTuple
from mwan_hook.model import OFFLINE, Connectivity, Measured, Round, Status
from mwan_hook.run.scene import Key, ProbedRound, memory_of
from mwan_hook.verdict import quality, rounds
from mwan_hook.verdict.standing import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import FamilyState, Job, Probe
    from mwan_hook.run.scene import Judged
    from mwan_hook.verdict.quality import DueEchoes

ECHOES = 2  # of Traits.samples: how well a method measures
RESENT = 950.0  # ms: what takes so much longer than usual was asked twice, for the first question was lost
BESIDE = Round(Connectivity.UNKNOWN, None, "")


class DueSeries(NamedTuple):
    """What is due for one family of an uplink."""

    key: Key
    wanted: DueEchoes
    jobs: tuple[Job, ...]

    @property
    def name(self) -> tuple[object, ...]:
        """Each of these is asked once in a run."""
        return (*self.key.name, self.wanted.burst)


def made(judged: Judged, keys: Iterable[Key], done: set[tuple[object, ...]]) -> list[ProbedRound]:
    """What came of all that is due now, and is not ``done`` in this run: each series is made once."""
    wanted = [one for one in due(judged, keys, time.clock_gettime(time.CLOCK_BOOTTIME)) if one.name not in done]
    done.update(one.name for one in wanted)
    return ask(judged, wanted) if wanted else []


def due(judged: Judged, keys: Iterable[Key], now: float) -> list[DueSeries]:
    """What is to be measured now."""
    found = []
    for key in keys:
        state, config = memory_of(judged, key), key.uplink.config
        if not config.probe.measured or not _can_be(state, config.probe):
            continue
        wanted = quality.wanted(state, config.probe, now, config.metered, _is_spared(judged, key))
        jobs = _jobs(judged, key, state) if wanted else ()
        if wanted and jobs:
            found.append(DueSeries(key, wanted, jobs))
    return found


def _is_spared(judged: Judged, key: Key) -> bool:
    """Whether a metered uplink stands by for others: for one that would be behind it, it does not."""
    config, family, memories = key.uplink.config, key.family, judged.state.uplinks
    if not config.metered or not another_online(memories, key.uplink.name, judged.state.drains):
        return False
    others = [one for one in judged.scene.uplinks if one.name != key.uplink.name and not one.draining]
    online = [one for one in others if memories[one.name].family(family).status is Status.ONLINE]
    return any(one.preference(family) <= key.uplink.preference(family) for one in online)


def _can_be(state: FamilyState, probe: Probe) -> bool:
    """Whether its rounds are good: what rounds find dead, or behind a portal, needs no measuring."""
    aside = state.degraded and probe.degraded == OFFLINE
    return state.bad == 0 and state.good > 0 and (state.status is Status.ONLINE or aside)


def _jobs(judged: Judged, key: Key, state: FamilyState) -> tuple[Job, ...]:
    """Questions to targets that answered lately, by the methods that measure best.

    What is dead behind every uplink measures none, and so does what never answers by this one while others do.
    """
    every = rounds.jobs_for(key.uplink, key.family, key.uplink.config.probe, with_portal=False)
    every = tuple([job for job in every if f"{key.family.value} {job.target.name}" not in judged.state.ignored])
    measuring = [job for job in every if rounds.METHODS[job.target.method].samples]
    answering = {one.target for one in state.targets if one.connectivity is Connectivity.FULL}
    if answering:
        measuring = [job for job in measuring if job.target.name in answering]
    best = max([rounds.METHODS[job.target.method].samples for job in measuring], default=0)
    return tuple([job for job in measuring if rounds.METHODS[job.target.method].samples == best])


def ask(judged: Judged, asked: Sequence[DueSeries]) -> list[ProbedRound]:
    """Ask them all, and what came of it."""
    begun = round(time.clock_gettime(time.CLOCK_BOOTTIME), 6)
    echoes = [one for one in asked if rounds.METHODS[one.jobs[0].target.method].samples == ECHOES]
    found = [*_echoes(echoes), *_questions(judged, [one for one in asked if one not in echoes])]
    return [ProbedRound(one.jobs[0], BESIDE, begun, measured=measured) for one, measured in found if measured.sent]


def _echoes(asked: Sequence[DueSeries]) -> list[tuple[DueSeries, Measured]]:
    if not asked:
        return []
    from mwan_hook.probes import echoes

    lines = [echoes.Series(one.jobs, one.wanted.echoes, one.wanted.burst) for one in asked]
    return list(zip(asked, echoes.run(lines), strict=True))


def _questions(judged: Judged, asked: Sequence[DueSeries]) -> list[tuple[DueSeries, Measured]]:
    """Connections, or questions for names or the time; half as many, as each of them is work for a server."""
    if not asked:
        return []
    from mwan_hook.probes import runner

    jobs = [[one.jobs[number % len(one.jobs)] for number in range(_number(judged, one))] for one in asked]
    results = iter(runner.run([job for own in jobs for job in own], root=judged.scene.root))
    found = []
    for one, own in zip(asked, jobs, strict=True):
        answers = [next(results) for _ in own]
        usual = memory_of(judged, one.key).srtt_ms or 0.0
        rtts = [r.rtt_ms for r in answers if r.connectivity is Connectivity.FULL and r.rtt_ms is not None]
        there = tuple([rtt_ms for rtt_ms in rtts if rtt_ms < usual + RESENT])
        spent = sum(r.wire_bytes for r in answers)
        found.append((one, Measured(len(own), there, one.wanted.burst, spent)))
    return found


def _number(judged: Judged, one: DueSeries) -> int:
    degraded = memory_of(judged, one.key).degraded
    return one.wanted.echoes if degraded else max(1, one.wanted.echoes // 2)
