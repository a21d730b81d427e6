"""The said "at the earliest": good rounds played from there find the change not before, and at, that time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mwan_hook.config.targets import parse
from mwan_hook.explain import judging, why
from mwan_hook.explain.earliest import comeback, good_again, leads_from
from mwan_hook.explain.frame import Seen
from mwan_hook.explain.values import Situation
from mwan_hook.model import (
    Bucket,
    Config,
    Connectivity,
    Family,
    FamilyState,
    Measured,
    Probe,
    Quality,
    Result,
    Routing,
    State,
    Status,
    Uplink,
)
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict import leading, quality, schedule
from mwan_hook.verdict.rounds import jobs_for, summarise
from mwan_hook.verdict.standing import another_online
from tests.frames import BOOTED, NOW, PROBE, frame, line, state

V4 = Family.IPV4
STEP = 0.5  # seconds; all moments of these tests are multiples of it
LIMITED, FULL, PORTALLED = Connectivity.LIMITED, Connectivity.FULL, Connectivity.PORTAL
PORTAL_CHECK = parse("http://192.0.2.3/generate_204")


class Past(NamedTuple):
    """One thing that happens to a line: after so long, a round, or the loss of its carrier."""

    after: float
    seen: Connectivity | None  # None: the carrier is lost


class Machine:
    """Lines whose rounds are judged by all that judges them in a run."""

    def __init__(self, uplinks: Sequence[Uplink]) -> None:
        self.uplinks = tuple(uplinks)
        self.config = Config(Routing(), PROBE, tuple(uplink.config for uplink in uplinks))
        self.now, self.state = NOW, State()
        self.facts()

    def facts(self, uplinks: Sequence[Uplink] = ()) -> None:
        """A run without rounds."""
        self.judge((), uplinks)

    def judge(self, rounds: Sequence[ProbedRound], uplinks: Sequence[Uplink] = ()) -> None:
        seen = Seen(tuple(uplinks or self.uplinks), (V4,))
        at = judging.Instant(self.now, BOOTED + self.now)
        self.state = judging.judged(self.state, self.config, seen, rounds, at).state

    def memory(self, uplink: Uplink) -> FamilyState:
        return self.state.uplinks[uplink.name].family(V4)

    def another(self, uplink: Uplink) -> bool:
        return another_online(self.state.uplinks, uplink.name, ())

    def round(self, uplink: Uplink, seen: Connectivity) -> None:
        """A round in which everything answers, or nothing, or a portal does."""
        checked = schedule.portal_due(self.memory(uplink), uplink.config, V4, self.now, self.another(uplink))
        jobs = jobs_for(uplink, V4, uplink.config.probe, with_portal=checked)
        good = LIMITED if seen is LIMITED else FULL
        results = [Result(job, seen if job.portal else good, 9.0 if good is FULL else None) for job in jobs]
        whole = summarise(results, uplink.config.probe.required)
        self.judge([ProbedRound(jobs[0], whole, self.now, tuple(results))])

    def view(self) -> Situation:
        return why.view_of(frame(self.uplinks, self.now, known=self.state, config=self.config), readable=True)


def lived(uplinks: Sequence[Uplink], pasts: Sequence[Past]) -> Machine:
    """A machine whose first line has had this past, and whose others were online all the time."""
    machine = Machine(uplinks)
    for other in uplinks[1:]:
        machine.round(other, FULL)
    first = uplinks[0]
    cut = first._replace(ipv4=first.ipv4._replace(missing="no carrier", default=None))
    for past in pasts:
        machine.now += past.after
        machine.facts()
        if past.seen is None:
            machine.facts([cut, *uplinks[1:]])
        else:
            machine.round(first, past.seen)
    machine.facts()
    return machine


def found_by_playing(machine: Machine, uplink: Uplink, until: float) -> float:
    """When it is online if every round is good and made as soon as it is due."""
    while machine.memory(uplink).status is not Status.ONLINE:
        if schedule.due(machine.memory(uplink), uplink.config, machine.now, machine.another(uplink)):
            machine.round(uplink, FULL)
            if machine.memory(uplink).status is Status.ONLINE:
                break
        machine.now += STEP
        assert machine.now <= until, "it should be online by now"
    return machine.now


probes = st.builds(
    PROBE._replace,
    interval=st.sampled_from((5.0, 10.0, 30.0)),
    fall=st.integers(1, 3),
    rise=st.integers(1, 5),
    burst_interval=st.sampled_from((0.0, 0.5)),
    hysteresis_delay=st.sampled_from((0.0, 30.0, 180.0)),
    hysteresis_backoff=st.sampled_from((0.0, 60.0, 600.0)),
    portal_targets=st.sampled_from(((), (PORTAL_CHECK,))),
    portal_interval=st.sampled_from((0.0, 600.0)),
)
pasts = st.lists(
    st.builds(
        Past,
        st.integers(1, 120).map(lambda halves: halves * STEP),
        st.sampled_from((FULL, FULL, LIMITED, LIMITED, PORTALLED, None)),
    ),
    max_size=12,
)


@given(probes, pasts, st.booleans(), st.booleans())
@example(
    PROBE,
    [Past(10, FULL), *[Past(10, LIMITED)] * 3, Past(10, FULL), *[Past(10, LIMITED)] * 3, Past(10, FULL)],
    True,
    False,
)
def test_an_offline_line_is_online_at_the_time_that_was_said_and_not_before(
    probe: Probe, past: list[Past], alone: bool, metered: bool
) -> None:
    first = line(1, "one", (V4,), probe=probe, metered=metered)
    uplinks = [first] if alone else [first, line(2, "two", (V4,), probe=PROBE._replace(portal_targets=()))]
    machine = lived(uplinks, past)
    said = comeback(machine.view(), first, V4)
    assert said is not None
    assert found_by_playing(machine, first, said.at + 1) == pytest.approx(said.at)


def echoes(uplink: Uplink, now: float, memory: FamilyState, spared: bool) -> FamilyState:
    """What is remembered after the echoes that are due, all of them answered."""
    due = quality.wanted(memory, uplink.config.probe, now, uplink.config.metered, spared)
    if due is None:
        return memory
    answers = Measured(due.echoes, (9.0,) * due.echoes, due.burst)
    return quality.judged(memory, answers, uplink.config.probe, now)


@given(st.floats(0, 2000), st.booleans(), st.sampled_from((5.0, 10.0)), st.sampled_from((30.0, 60.0)))
def test_a_degraded_line_is_good_again_not_before_the_time_that_was_said(
    ago: float, checking: bool, interval: float, window: float
) -> None:
    probe = PROBE._replace(interval=interval, window=window, loss_high=5, degraded="demote")
    one = line(1, "one", (V4,), probe=probe)
    lost = (Bucket(NOW - ago, 20, 3),) if checking and ago < window else ()
    known = Quality(one.ipv4.key, NOW - ago, lost, checked_at=NOW - ago, checking=checking and ago < window)
    uplinks = (one, line(2, "two", (V4,)))
    made = state(uplinks, one={"degraded": True, "quality": known})
    said = good_again(why.view_of(frame(uplinks, known=made), readable=True), one, V4)
    assert said is not None
    now, memory = NOW, made.uplinks["one"].ipv4
    while memory.degraded and now < said + 5 * window:
        memory = echoes(one, now, memory, spared=False)
        memory = memory._replace(probed_at=now) if now - (memory.probed_at or 0) >= interval else memory
        assert memory.degraded or now >= said
        now += 1.0
    assert not memory.degraded


@pytest.mark.parametrize("since", [NOW - 100, NOW - leading.STAY + 1])
def test_a_quicker_line_takes_the_lead_at_the_time_that_was_said(since: float) -> None:
    uplinks = (line(1, "one"), line(2, "two", metric=100))
    made = state(uplinks, one={"leads": since, "srtt_ms": 90.0})
    said = leads_from(why.view_of(frame(uplinks, known=made), readable=True), uplinks[0], V4)
    assert said is not None

    def leader(now: float) -> str:
        memories = leading.led(uplinks, made.uplinks, now)
        return next(name for name, memory in memories.items() if memory.ipv4.leads is not None)

    assert (leader(said - 0.5), leader(said)) == ("one", "two")
    assert leads_from(why.view_of(frame(uplinks, NOW + 1000, known=made), readable=True), uplinks[0], V4) is None
