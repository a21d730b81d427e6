"""When an uplink is probed."""

from __future__ import annotations

import pytest

from mwan_hook.model import Family, FamilyState, Status, UplinkConfig
from mwan_hook.verdict import schedule
from tests.unit.verdict.verdicts import FULL, LIMITED, START, Line, probe


def due(line: Line, at: float, another_online: bool = False, **settings: object) -> bool:
    """With these settings of the uplink."""
    since = settings.pop("since", None)
    config = UplinkConfig("fiber", probe=line.probe, **settings)  # type: ignore[arg-type]
    return schedule.due(line.state, config, START + at, another_online, since)  # type: ignore[arg-type]


def test_an_uplink_is_due_at_first_sight_and_then_at_its_interval() -> None:
    line = Line()
    line.facts(0)
    assert due(line, 0)
    line.round(0)
    assert not due(line, 8.9)
    assert due(line, 10)


def test_a_timer_that_fires_a_little_early_is_forgiven() -> None:
    line = Line()
    line.round(0)
    assert due(line, 9.98)


def test_a_metered_uplink_is_spared_only_while_another_is_online() -> None:
    line = Line()
    line.round(0)
    assert not due(line, 200, another_online=True, metered=True)
    assert due(line, 300, another_online=True, metered=True)
    assert due(line, 10, another_online=False, metered=True)


def test_force_means_all_that_was_not_probed_since() -> None:
    line = Line()
    line.round(5)
    assert due(line, 5.2, since=START + 5.1)
    assert not due(line, 5.2, since=START + 4.9)


def test_what_cannot_be_probed_is_never_due() -> None:
    for line, facts in (
        (Line(), {"missing": "no carrier"}),
        (Line(), {"enabled": False}),
        (Line(targets=()), {"missing": ""}),
    ):
        line.facts(0, **facts)
        assert not due(line, 100, since=START + 99)
        assert not schedule.in_doubt(line.state, line.probe)


def test_the_end_of_a_hold_is_a_reason_to_look() -> None:
    line = Line(fall=1, rise=1, interval=1000)
    line.rounds((0, FULL), (10, LIMITED), (20, FULL))
    assert not due(line, 199)
    assert due(line, 200)
    assert not schedule.in_doubt(line.state, line.probe)
    line.round(200)
    assert not due(line, 201)


def test_a_failed_online_uplink_is_in_doubt_until_it_fell_or_answered() -> None:
    line = Line(fall=3)
    line.round(0)
    assert not schedule.in_doubt(line.state, line.probe)
    line.round(10, LIMITED)
    assert schedule.in_doubt(line.state, line.probe)
    assert due(line, 10.5)
    assert not due(line, 10.4)
    line.round(10.5)
    assert not schedule.in_doubt(line.state, line.probe)
    line.rounds((20, LIMITED), (21, LIMITED), (22, LIMITED))
    assert not schedule.in_doubt(line.state, line.probe)


def test_a_burst_interval_of_zero_means_no_bursts() -> None:
    line = Line(burst_interval=0)
    line.rounds((0, FULL), (10, LIMITED))
    assert not schedule.in_doubt(line.state, line.probe)
    assert line.state.next_probe_at == START + 20


@pytest.mark.parametrize(
    ("rounds", "stays"),
    [
        ([FULL, FULL], True),
        ([FULL, FULL, FULL], False),
        ([LIMITED, LIMITED], True),
        ([LIMITED, LIMITED, LIMITED], False),
        ([LIMITED, FULL], True),
        ([LIMITED, FULL, LIMITED], False),
    ],
)
def test_a_burst_after_a_link_event_ends_by_itself(rounds: list[object], stays: bool) -> None:
    line = Line(hysteresis_backoff=60, fall=3, rise=3)
    line.round(0)
    line.facts(100, missing="no carrier")
    line.facts(200, missing="")
    assert schedule.in_doubt(line.state, line.probe)
    for number, connectivity in enumerate(rounds):
        line.round(200 + number, connectivity)  # type: ignore[arg-type]
    assert schedule.in_doubt(line.state, line.probe) is stays


@pytest.mark.parametrize(
    ("srtt", "echo", "service"), [(None, 3.0, 3.0), (10.0, 0.3, 1.3), (100.0, 0.4, 1.3), (400, 1.6, 1.6), (5000, 3, 3)]
)
def test_a_probe_in_a_burst_waits_four_round_trips(srtt: float | None, echo: float, service: float) -> None:
    assert schedule.burst_timeouts(FamilyState(srtt_ms=srtt), probe()) == pytest.approx((echo, service))


def test_a_time_out_that_is_shorter_than_a_retransmission_holds() -> None:
    assert schedule.burst_timeouts(FamilyState(srtt_ms=10), probe(timeout=0.7)) == pytest.approx((0.3, 0.7))
    assert schedule.burst_timeouts(FamilyState(srtt_ms=10), probe(timeout=0.2)) == pytest.approx((0.2, 0.2))


@pytest.mark.parametrize(
    ("fall", "bad", "timeout", "service"),
    [
        (3, 2, 3, 1.3),  # 3.9 s since the first was sent
        (3, 1, 9, 1.3),
        (3, 2, 9, 6.4),  # 2 x 1.3 s before
        (2, 1, 3, 1.7),
        (2, 0, 3, 1.3),
        (4, 3, 3, 1.3),
    ],
)
def test_no_service_is_given_up_before_the_first_unanswered_question_had_its_time_out(
    fall: int, bad: int, timeout: float, service: float
) -> None:
    state = FamilyState(status=Status.ONLINE, bad=bad, srtt_ms=10)
    assert schedule.burst_timeouts(state, probe(fall=fall, timeout=timeout)) == pytest.approx((0.3, service))


@pytest.mark.parametrize(
    ("fall", "burst_interval", "hurried"), [(3, 0.5, True), (2, 0.1, True), (1, 0.5, False), (3, 0, False)]
)
def test_a_round_is_hurried_only_where_another_one_can_hear_late_answers(
    fall: int, burst_interval: float, hurried: bool
) -> None:
    settings = probe(fall=fall, burst_interval=burst_interval)
    peace = FamilyState(status=Status.ONLINE, good=4)
    doubt = FamilyState(status=Status.ONLINE, bad=1, burst=True)
    assert schedule.hurries(peace, settings) is hurried
    assert schedule.hurries(doubt, settings) is hurried
    returning = FamilyState(status=Status.OFFLINE, good=1, burst=True)
    assert schedule.hurries(returning, settings) is (burst_interval > 0)
    assert not schedule.hurries(returning._replace(burst=False), settings)


def test_portal_targets_are_asked_at_first_sight_at_their_interval_and_while_there_is_a_portal() -> None:
    settings = probe(portal_interval=600)

    def ask(at: float, **state: object) -> bool:
        config = UplinkConfig("fiber", probe=settings)
        memory = FamilyState(**state)  # type: ignore[arg-type]
        return schedule.portal_due(memory, config, Family.IPV4, START + at, another_online=True)

    assert ask(0)
    assert not ask(10, portal_due=False, portal_at=START)
    assert ask(600, portal_due=False, portal_at=START)
    assert ask(10, portal_due=False, portal_at=START, portal=True)
    for never in (probe(portal_interval=0), probe(portal_targets=())):
        assert not schedule.portal_due(FamilyState(), UplinkConfig("x", probe=never), Family.IPV4, START, False)


def test_a_metered_uplink_is_asked_for_a_portal_in_every_twelfth_of_its_rounds_while_another_is_online() -> None:
    lte = UplinkConfig("lte", metered=True, probe=probe(portal_interval=600))
    known = FamilyState(portal_due=False, portal_at=START)

    def ask(at: float, config: UplinkConfig = lte, another_online: bool = True, **state: object) -> bool:
        memory = known._replace(**state)  # type: ignore[arg-type]
        return schedule.portal_due(memory, config, Family.IPV4, START + at, another_online)

    assert not ask(3599)
    assert ask(3600)
    assert ask(600, another_online=False)
    assert not ask(600, portal=True)
    assert ask(10, portal=True, another_online=False)
    assert ask(10, portal_due=True)
    assert not ask(3600, lte._replace(metered_interval=301))
    assert not ask(3600, lte._replace(probe=probe(portal_interval=7200)))


def test_a_change_of_verdict_asks_for_the_portal_unless_the_round_did() -> None:
    line = Line(fall=1)
    line.round(0)
    assert line.state.portal_due
    line.state = line.state._replace(portal_due=False, portal_at=START)
    assert not line.round(10).portal_due
    assert line.round(20, LIMITED).portal_due
