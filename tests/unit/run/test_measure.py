"""Which echoes are asked beside the rounds, of whom, and what their answers are taken for."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Allotment,
    Connectivity,
    Family,
    FamilyState,
    Job,
    Probe,
    Quality,
    Result,
    State,
    Status,
    TargetResult,
    UplinkState,
)
from mwan_hook.probes import runner
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import judge, measure
from mwan_hook.run.scene import Judged, Key, Scene
from tests.unit import builders as b

V4 = Family.IPV4
ICMP = ("icmp://192.0.2.1", "icmp://192.0.2.2")
QUESTIONS = ("tcp://192.0.2.1:443", "dns://192.0.2.2/example.test")
THERE = b.snapshot("fiber", "cable")


def judged(targets: tuple[str, ...], answering: int = 2, metered: bool = False, **state: Any) -> Judged:
    probe = Probe(targets=tuple(map(parse, targets)), portal_interval=0, loss_high=10, loss_low=3)
    config = b.config(b.uplink("fiber", metric=1, probe=probe, metered=metered), b.uplink("cable", metric=2))
    results = [
        TargetResult(target, Connectivity.FULL if number < answering else Connectivity.LIMITED, 20.0)
        for number, target in enumerate(targets)
    ]
    known = FamilyState(Status.ONLINE, Connectivity.FULL, True, 5.0, 3, way="192.168.2.2 192.168.2.1", known=True)
    known = known._replace(probed_at=95.0, next_probe_at=105.0, targets=tuple(results), srtt_ms=20.0)
    state = {"quality": Quality(known.way, doubted=True), **state}
    uplinks = {"fiber": UplinkState("fiber", 2, known._replace(**state)), "cable": UplinkState("cable", 3)}
    stored = State("boot", uplinks)
    bound = b.bound(config, Inputs(THERE, stored, Allotment()))
    return judge.judge(Scene("/", config, "print", stored, bound.allotment, bound, THERE, 100.0, 2000.0))


def due(found: Judged) -> list[measure.DueSeries]:
    return measure.due(found, [Key(uplink, V4) for uplink in found.scene.uplinks], 100.0)


def test_a_doubt_is_a_burst_to_the_icmp_targets_that_answered() -> None:
    (one,) = due(judged((*ICMP, *QUESTIONS), answering=1))
    assert (one.key.uplink.name, one.wanted) == ("fiber", (20, True))
    assert [job.target.text for job in one.jobs] == [ICMP[0]]
    assert [job.target.text for job in due(judged(ICMP, answering=0))[0].jobs] == [*ICMP]


@pytest.mark.parametrize(
    "changed",
    [{"bad": 1, "good": 0}, {"status": Status.OFFLINE, "good": 0}, {"status": Status.OFFLINE}],
    ids=["failing", "offline", "earning its rise"],
)
def test_what_rounds_find_bad_is_not_measured(changed: dict[str, Any]) -> None:
    state = judged(ICMP, **changed)
    assert due(state._replace(state=state.scene.state)) == []


def test_without_doubt_a_round_has_a_few_more_echoes_but_no_metered_one() -> None:
    calm = Quality("192.168.2.2 192.168.2.1")
    assert [one.wanted for one in due(judged(ICMP, quality=calm))] == [(4, False)]
    assert due(judged(ICMP, quality=calm._replace(at=96.0))) == []  # that round had them
    assert due(judged(ICMP, quality=calm, metered=True)) == []


def test_other_targets_get_half_as_many_questions_and_one_that_was_sent_twice_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Job] = []

    def answer(jobs: list[Job], root: str) -> list[Result]:
        asked.extend(jobs)
        rtts = [21.0, 1025.0, None, *[22.0] * (len(jobs) - 3)]
        full, limited = Connectivity.FULL, Connectivity.LIMITED
        return [
            Result(job, limited if rtt is None else full, rtt, None, 100) for job, rtt in zip(jobs, rtts, strict=True)
        ]

    monkeypatch.setattr(runner, "run", answer)
    found = judged(QUESTIONS)
    (one,) = measure.ask(found, due(found))
    assert [job.target.text for job in asked] == [*QUESTIONS] * 5
    assert one.measured == (10, (21.0, *[22.0] * 7), True, 1000)
    after = judge.judge(found.scene, [one]).state.uplinks["fiber"].ipv4
    assert after.quality and (after.quality.buckets[0].lost, after.probe_bytes) == (2, 1000)
