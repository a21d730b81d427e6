"""Verdicts by example: fall, rise, hold, pass, bounce, portal, latency."""

from __future__ import annotations

import pytest

from mwan_hook.config.targets import parse
from mwan_hook.model import Connectivity, Family, FamilyState, Job, UplinkState
from mwan_hook.verdict.decide import judge_round
from mwan_hook.verdict.facts import BY_FACTS, fits, judge_uplink, sane
from tests.unit.verdict.verdicts import (
    DISABLED,
    FULL,
    LIMITED,
    NONE,
    OFFLINE,
    ONLINE,
    PING,
    PORTALLED,
    START,
    Line,
    judged_at_once,
    probe,
    seen,
    uplink,
)


def held(line: Line) -> float | None:
    """Seconds after START."""
    return None if line.state.held_until is None else line.state.held_until - START


def test_a_flapping_line_is_held_as_the_acceptance_case_says() -> None:
    line = Line(fall=1, rise=1)
    assert line.round(0).status is ONLINE
    assert line.round(100, LIMITED).status is OFFLINE
    assert line.round(130).status is OFFLINE
    assert held(line) == 310
    assert line.round(200, LIMITED).held_until is None
    assert line.round(250).status is OFFLINE
    assert held(line) == 430
    assert line.round(429).status is OFFLINE
    assert line.round(430).status is ONLINE
    assert line.round(900, LIMITED).status is OFFLINE
    assert line.round(1000).status is ONLINE


def test_no_switch_after_two_bad_rounds_and_a_switch_after_the_third() -> None:
    line = Line(fall=3)
    line.round(0)
    assert line.rounds((10, LIMITED), (20, LIMITED)).status is ONLINE
    assert line.state.reason == "words; 2 of 3 bad rounds"
    assert line.round(30, LIMITED).status is OFFLINE
    assert line.state.since == START + 30


def test_a_good_round_resets_the_bad_ones() -> None:
    line = Line(fall=3)
    line.round(0)
    assert line.rounds((1, LIMITED), (2, LIMITED), (3, FULL), (4, LIMITED), (5, LIMITED)).status is ONLINE
    assert line.state.bad == 2


def test_failback_needs_good_rounds_in_a_row() -> None:
    line = Line(rise=3, fall=1, hysteresis_delay=0)
    line.rounds((0, FULL), (10, LIMITED))
    assert line.rounds((20, LIMITED), (30, FULL), (40, FULL)).status is OFFLINE
    assert line.state.reason == "words; 2 of 3 good rounds"
    assert line.rounds((50, LIMITED), (60, FULL), (70, FULL)).status is OFFLINE
    assert line.round(80).status is ONLINE


@pytest.mark.parametrize(("gap", "until"), [(599.9, 779.9), (600.0, None)])
def test_exactly_the_backoff_later_is_not_within_it(gap: float, until: float | None) -> None:
    line = Line(fall=1, rise=1)
    line.rounds((0, FULL), (10, LIMITED), (gap, FULL))
    assert held(line) == (None if until is None else pytest.approx(until))
    assert (line.state.status is ONLINE) is (until is None)


def test_a_short_failure_of_an_online_uplink_counts_as_a_turn() -> None:
    line = Line(fall=2, rise=1)
    line.rounds((0, FULL), (700, LIMITED), (710, FULL), (800, LIMITED), (810, LIMITED), (900, FULL))
    assert held(line) == 900 + 180


def test_no_delay_means_no_hold() -> None:
    line = Line(fall=1, rise=1, hysteresis_delay=0)
    assert line.rounds((0, FULL), (10, LIMITED), (20, FULL)).status is ONLINE


def test_a_first_round_that_is_bad_is_a_verdict_and_leaves_the_pass() -> None:
    line = Line()
    assert line.round(0, LIMITED).judged
    assert line.state.status is OFFLINE
    assert line.state.may_pass
    assert line.round(10).status is ONLINE


@pytest.mark.parametrize(("fall", "lost", "status"), [(1, 1, OFFLINE), (4, 3, ONLINE), (4, 4, OFFLINE)])
def test_a_pass_outlives_the_first_probes_of_a_fresh_link_that_get_lost(fall: int, lost: int, status: object) -> None:
    line = Line(fall=fall)
    line.round(0)
    line.facts(100, missing="no carrier")
    line.facts(103, missing="")
    for number in range(lost):
        assert line.round(103 + number / 2, LIMITED).burst is (number + 1 < fall)
    assert line.state.passes == (START,) if lost < fall else (START, START + 103 + (lost - 1) / 2)
    assert line.round(103 + lost / 2).status is status
    assert (held(line) is None) is (status is ONLINE)


@pytest.mark.parametrize(("gap", "status"), [(15.0, ONLINE), (15.1, OFFLINE)])
def test_a_plug_that_bounces_while_its_pass_lasts_keeps_it(gap: float, status: object) -> None:
    line = Line(rise=2)
    line.round(0)
    line.facts(700, missing="no carrier")
    line.facts(702, missing="")
    line.round(702, LIMITED)
    line.facts(703, missing="no carrier")
    assert line.facts(703 + gap, missing="").bad == 0
    assert line.round(703 + gap).status is status


def test_a_line_that_bounces_at_first_sight_keeps_its_pass() -> None:
    line = Line()
    line.round(0, LIMITED)
    line.facts(1, missing="no address")
    assert line.facts(2, missing="").burst
    assert line.round(2).status is ONLINE


def test_a_missing_fact_acts_at_once_and_says_why() -> None:
    line = Line()
    line.round(0)
    state = line.facts(5, missing="no carrier")
    assert (state.status, state.connectivity, state.reason) == (OFFLINE, NONE, "no carrier")
    assert state.since == START + 5
    assert line.round(6).status is OFFLINE


@pytest.mark.parametrize(("back", "status"), [(15.0, ONLINE), (15.1, OFFLINE)])
def test_the_same_way_back_within_fifteen_seconds_is_a_pass(back: float, status: object) -> None:
    line = Line()
    line.round(0)
    line.facts(100, missing="no carrier")
    line.facts(100 + back, missing="")
    assert line.round(100 + back).status is status


def test_another_gateway_after_the_bounce_is_no_pass() -> None:
    line = Line()
    line.round(0)
    line.facts(1, missing="no address")
    line.facts(2, gateway="192.168.7.254")
    assert line.round(2).status is OFFLINE


def test_an_uplink_that_earns_its_rise_after_a_long_loss_is_in_burst() -> None:
    line = Line(hysteresis_backoff=60)
    line.round(0)
    line.facts(100, missing="no carrier")
    line.facts(200, missing="")
    assert line.round(200).burst
    assert line.state.next_probe_at == START + 200.5
    assert line.rounds((200.5, FULL), (201, FULL)).status is ONLINE


def test_a_bounce_gives_an_offline_uplink_nothing() -> None:
    line = Line(fall=1, hysteresis_delay=0)
    line.rounds((0, FULL), (10, LIMITED), (20, FULL), (30, FULL))
    line.facts(30.1, missing="no carrier")
    state = line.facts(30.2, missing="")
    assert (state.may_pass, state.burst, state.good) == (False, False, 0)
    assert line.rounds((31, FULL), (32, FULL)).status is OFFLINE
    assert line.round(33).status is ONLINE


def test_a_bounce_shortens_no_hold() -> None:
    line = Line(fall=1, rise=1, hysteresis_delay=180, hysteresis_backoff=60)
    line.rounds((0, FULL), (10, LIMITED), (20, FULL))
    assert held(line) == 200
    line.facts(100, missing="no carrier")
    line.facts(101, missing="")
    assert line.round(101).status is OFFLINE
    assert held(line) == 200
    assert line.round(200).status is ONLINE


def test_at_most_three_passes_within_the_backoff() -> None:
    line = Line(rise=3)
    line.round(0)
    for at in (10, 20):
        line.facts(at, missing="no carrier")
        line.facts(at + 1, missing="")
        assert line.round(at + 1).status is ONLINE
    line.facts(30, missing="no carrier")
    assert line.facts(31, missing="").burst
    assert line.round(31).status is OFFLINE
    assert held(line) == 31 + 180


def test_a_pass_exactly_the_backoff_ago_does_not_count() -> None:
    line = Line(hysteresis_backoff=40)
    line.round(0)
    for at in (10, 20, 39):
        line.facts(at, missing="no carrier")
        line.facts(at + 1, missing="")
        line.round(at + 1)
    assert line.state.passes == (START + 11, START + 21, START + 40)


def test_a_new_address_voids_the_good_rounds_of_an_offline_uplink() -> None:
    line = Line(fall=1, hysteresis_delay=0)
    line.rounds((0, FULL), (10, LIMITED), (20, FULL), (30, FULL))
    line.facts(31, gateway="192.168.7.254")
    assert line.round(40).status is OFFLINE
    assert line.state.good == 1


def test_an_interface_plugged_in_anew_passes_even_from_a_hold() -> None:
    line = Line(fall=1, rise=1)
    line.rounds((0, FULL), (10, LIMITED), (20, FULL))
    assert held(line) == 200
    line.facts(30, missing="no interface", index=0)
    assert line.facts(31, index=9).may_pass
    assert line.round(31).status is ONLINE
    assert line.state.held_until is None


def test_a_pass_waits_for_the_address() -> None:
    line = Line()
    line.facts(0, missing="no address", index=9)
    line.facts(60, missing="", index=9)
    assert line.round(60).status is ONLINE


def test_an_unseen_replug_takes_the_uplink_out_until_it_is_probed() -> None:
    line = Line()
    line.round(0)
    state = line.facts(10, index=9)
    assert (state.status, state.connectivity, state.may_pass) == (OFFLINE, NONE, True)
    assert line.round(10).status is ONLINE


def test_a_new_address_leaves_an_online_uplink_online_and_asks_at_once() -> None:
    line = Line()
    line.round(0)
    state = line.facts(5, gateway="192.168.7.254")
    assert (state.status, state.next_probe_at, state.portal_due, state.targets) == (ONLINE, None, True, ())


def test_a_new_address_does_not_wipe_the_bad_rounds() -> None:
    line = Line(fall=2)
    line.rounds((0, FULL), (10, LIMITED))
    line.facts(11, gateway="192.168.7.254")
    assert line.round(12, LIMITED).status is OFFLINE


def test_a_disabled_uplink_is_not_judged_and_comes_back_without_a_hold_of_its_own() -> None:
    line = Line()
    line.rounds((0, FULL), (10, FULL), (20, FULL))
    assert line.facts(30, enabled=False).status is DISABLED
    assert line.round(31).status is DISABLED
    assert line.facts(40, enabled=True).burst
    assert line.round(40).status is ONLINE


def test_switching_off_and_on_launders_no_hold() -> None:
    line = Line(fall=1, rise=1)
    line.rounds((0, FULL), (10, LIMITED), (20, FULL))
    line.facts(30, enabled=False)
    line.facts(31, enabled=True)
    assert line.round(31).status is OFFLINE
    assert held(line) == 200


def test_an_uplink_disabled_before_its_first_round_has_its_pass() -> None:
    line = Line()
    line.facts(0, enabled=False)
    line.facts(10, enabled=True)
    assert line.round(10).status is ONLINE


def test_a_family_without_targets_is_judged_by_the_facts() -> None:
    line = Line(targets=(parse("icmp://2001:db8::9"),))
    state = line.facts(0)
    assert (state.status, state.connectivity, state.reason) == (ONLINE, FULL, BY_FACTS)
    assert line.facts(1, missing="no address").status is OFFLINE
    assert line.facts(100, missing="").status is ONLINE


def test_a_gateway_target_without_neighbours_leaves_the_facts() -> None:
    line = Line(targets=(parse("gateway:"),))
    assert not line.facts(0).by_facts
    assert line.facts(1, noarp=True).by_facts
    assert not line.facts(2, noarp=False).by_facts


def test_latency_above_the_limit_is_bad_and_exactly_the_limit_is_not() -> None:
    line = Line(fall=1, latency_high=200)
    assert line.round(0, FULL, 200).status is ONLINE
    assert line.round(10, FULL, 200.1).status is OFFLINE
    assert line.state.connectivity is FULL
    assert "latency of 200 ms is above 200 ms" in line.state.reason


def test_latency_between_the_limits_changes_nothing() -> None:
    line = Line(fall=2, rise=2, hysteresis_delay=0, latency_high=200, latency_low=100)
    line.rounds((0, FULL), (10, LIMITED))
    for at, latency in ((20, 100.0), (30, 150.0), (40, 200.0)):
        assert line.round(at, FULL, latency).bad == 1
        assert not line.state.burst
    assert line.round(50, LIMITED).status is OFFLINE
    line.round(60, FULL, 99)
    assert line.round(70, FULL, 150).good == 1
    assert line.round(80, FULL, 99).status is ONLINE


def test_latency_between_the_limits_is_good_enough_for_a_first_verdict() -> None:
    line = Line(latency_high=200, latency_low=100)
    assert line.round(0, FULL, 150).status is ONLINE


def test_a_portal_holds_until_a_check_says_otherwise() -> None:
    line = Line(fall=1, rise=1, hysteresis_delay=0)
    line.round(0)
    line.state = judged_at_once(line.state, seen(FULL, portal=True), line.probe, START + 10)
    assert (line.state.connectivity, line.state.status) == (PORTALLED, OFFLINE)
    assert line.round(20).connectivity is PORTALLED
    assert line.round(30, LIMITED).connectivity is LIMITED
    assert line.round(40).connectivity is PORTALLED
    line.state = judged_at_once(line.state, seen(FULL, portal=False), line.probe, START + 50)
    assert (line.state.connectivity, line.state.status) == (FULL, ONLINE)


def test_a_portal_is_found_behind_targets_that_do_not_answer() -> None:
    line = Line()
    line.facts(0)
    state = judged_at_once(line.state, seen(LIMITED, None, portal=True), line.probe, START)
    assert (state.connectivity, state.status) == (PORTALLED, OFFLINE)


def test_a_portal_may_count_as_online_but_a_dead_line_behind_it_does_not() -> None:
    line = Line(fall=1, portal_is_online=True)
    line.facts(0)
    line.state = judged_at_once(line.state, seen(FULL, portal=True), line.probe, START)
    assert line.state.status is ONLINE
    assert line.round(10, LIMITED).status is OFFLINE


def test_a_round_that_could_not_tell_changes_no_verdict() -> None:
    line = Line(fall=1)
    line.round(0)
    state = line.round(10, Connectivity.UNKNOWN)
    assert (state.status, state.connectivity, state.bad) == (ONLINE, FULL, 0)


def test_the_round_trip_is_smoothed_and_bytes_are_summed() -> None:
    line = Line()
    line.round(0, FULL, 80)
    state = line.round(10, FULL, 160)
    assert (state.latency_ms, state.srtt_ms, state.probe_bytes) == (160, 90, 144)
    assert line.round(20, LIMITED, None).srtt_ms == 90


@pytest.mark.parametrize(
    ("before", "latency", "after"),
    [
        (20, 100, 30),  # as in RFC 6298
        (20, 300, 55),
        (20, 900, 450),  # too late for a burst, which waits 1.8 s from now on
        (200, 700, 262.5),  # a burst waited 0.8 s
        (450, 1700, 606.25),
        (None, 900, 900),
    ],
)
def test_an_answer_that_is_too_late_for_a_burst_raises_what_bursts_wait(
    before: float | None, latency: float, after: float
) -> None:
    line = Line()
    line.state = line.state._replace(srtt_ms=before)
    assert line.round(0, FULL, latency).srtt_ms == pytest.approx(after)


def test_the_next_round_is_counted_from_when_the_probes_were_sent() -> None:
    line = Line()
    line.facts(0)
    state = judge_round(line.state, seen(), line.probe, START + 3, begun=START, every=300)
    assert (state.probed_at, state.next_probe_at) == (START, START + 300)


def test_times_of_another_clock_are_pulled_to_what_can_be() -> None:
    odd = FamilyState(since=9e9, full_at=9e9, passes=(9e9,), held_until=9e9, probed_at=9e9, portal_at=9e9, lost_at=9e9)
    state = sane(odd, probe(), START)
    times = (state.since, state.full_at, *state.passes, state.probed_at, state.portal_at, state.lost_at)
    assert set(times) == {START}
    assert state.held_until == START + 180


def test_a_result_whose_link_changed_does_not_fit() -> None:
    now = uplink(probe())
    job = Job("fiber", Family.IPV4, PING, "eth7", 7, "192.168.7.2", "192.168.7.1")
    assert fits(job, now)
    assert not fits(job._replace(source="192.168.7.3"), now)
    assert not fits(job, uplink(probe(), index=8))
    assert not fits(job, uplink(probe(), missing="no carrier"))
    assert not fits(job, uplink(probe(), enabled=False))


def test_both_families_are_judged_and_the_index_is_remembered() -> None:
    state = judge_uplink(UplinkState(), uplink(probe()), START, False)
    assert (state.interface, state.index) == ("eth7", 7)
    assert state.ipv4.may_pass
    assert state.ipv6.connectivity is NONE
    again = judge_uplink(state, uplink(probe(), index=8), START + 1, False)
    assert again.ipv4.reason == "not probed yet"
