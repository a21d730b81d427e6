"""Limits of loss, latency and jitter: what a line of a known kind is found to be, on a simulated clock."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook.model import FAMILIES, Bucket, Connectivity, Family, Measured, Quality, Round, Status
from mwan_hook.store import codec
from mwan_hook.verdict import quality, window
from mwan_hook.verdict.facts import judge_facts
from tests import chances
from tests.unit.verdict.qualities import ECHO, TARGET, Line, limited
from tests.unit.verdict.verdicts import uplink

DAY, MONTH = 86400.0, 30 * 86400.0


@pytest.mark.parametrize(
    ("seen", "of", "bound"), [(0, 20, 0.0), (5, 20, 0.1119), (26, 106, 0.1735), (10, 100, 0.0552), (20, 20, 0.8389)]
)
def test_wilsons_lower_bound(seen: int, of: int, bound: float) -> None:
    assert window.lower_bound(seen, of) == pytest.approx(bound, abs=5e-4)
    assert window.lower_bound(0, 0) == 0.0


def test_a_quarter_lost_is_degraded_within_90_seconds_in_20_of_20_runs() -> None:
    took = []
    for seed in range(20):
        line = Line(seed, 0.25).settle()
        began = line.now
        while not line.degraded and line.now - began < 200:
            line.check()
        took.append(line.now - began)
        assert line.state.status is Status.ONLINE
        assert line.state.reason.startswith("loss ") and line.state.reason.endswith("(limit 10 %)")
    assert max(took) <= 90


def test_one_percent_is_never_degraded_in_24_hours() -> None:
    for seed in range(2):
        assert [word for _, word in Line(seed, 0.01).run(DAY).told] == ["online"]


def test_a_line_as_bad_as_its_limit_swings_at_most_once_in_ten_minutes() -> None:
    for seed in range(4):
        line = Line(seed, 0.10).run(DAY / 3)
        turned = [at for at, word in line.told if word == "degraded"]
        assert all(later - earlier >= 600 for earlier, later in pairwise(turned))
        back = [at for at, word in line.told[1:] if word == "online"]
        assert all(at - max(one for one in turned if one < at) >= 600 for at in back)


def degraded(seed: int = 1, **settings: object) -> Line:
    """A line just found degraded, and then mended."""
    line = Line(seed, 0.4, **settings).settle()  # type: ignore[arg-type]
    while not line.degraded:
        line.check()
    line.loss = 0.0
    return line


def test_it_comes_back_after_a_whole_good_window_of_a_hundred_samples() -> None:
    line = degraded()
    began = line.now
    line.run(600)
    assert line.degraded
    assert not [at for at in line.bursts if began < at < began + 595]
    while line.degraded and line.now - began < 900:
        line.check()
    at, word = line.told[-1]
    assert word == "online"
    assert 655 <= at - began <= 680
    assert line.state.reason == "good again: loss 0 % of 108 (limit 3 %)"
    assert len([at for at in line.bursts if at > began]) <= 5


def test_a_line_that_stays_bad_costs_one_burst_in_ten_minutes() -> None:
    line = degraded()
    line.loss = 0.4
    bursts = len(line.bursts)
    line.run(6000)
    assert line.degraded
    assert len(line.bursts) - bursts == 10


def test_between_the_limits_it_stays_degraded() -> None:
    line = degraded()
    line.loss = 0.09
    assert line.run(2 * 3600).degraded


def test_lost_echoes_buy_at_most_five_bursts_in_a_window_and_one_a_check() -> None:
    line = Line(3, 0.10, degraded="keep").run(3600)
    gaps = [later - earlier for earlier, later in pairwise(line.bursts)]
    assert min(gaps) >= 9
    assert max(sum(at <= other < at + 60 for other in line.bursts) for at in line.bursts) <= 5


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.10, 0.20])
def test_a_metered_uplink_that_stands_by_stays_within_five_megabytes_a_month(loss: float) -> None:
    line = Line(5, loss, metered=True, spared=True)
    line.run(MONTH / 10)
    portal = 12 * 24 * 30 / 10  # echoes: what a check for portals costs, once an hour
    spent = 10 * sum((line.echoes + portal) * ECHO[family] for family in FAMILIES)
    assert spent < 5_000_000
    assert len(line.bursts) <= 5 * (3 * DAY / quality.SPARED + 1)


def test_a_saturated_line_is_slow_and_not_dead() -> None:
    line = Line(2, 0.0, latency_high=500.0, latency_low=100.0).settle()
    line.rtt = lambda: line.random.uniform(20, 1500)
    line.run(120)
    assert line.degraded
    assert line.state.status is Status.ONLINE
    assert line.state.reason.startswith("latency ")
    assert "(limit 500 ms)" in line.state.reason


def test_a_few_slow_answers_are_no_slow_line() -> None:
    line = Line(2, 0.0, latency_high=500.0)
    line.rtt = lambda: 900.0 if line.random.random() < 0.3 else 20.0
    assert [word for _, word in line.run(6 * 3600).told] == ["online"]


def test_jitter_is_the_difference_from_one_answer_to_the_next() -> None:
    line = Line(2, 0.0, loss_high=0.0, loss_low=0.0, jitter_high=30.0).settle()
    line.rtt = lambda: 200.0  # slow, and even
    assert not line.run(120).degraded
    line.rtt = lambda: line.random.choice((20.0, 90.0, 160.0))
    assert line.run(120).degraded
    assert line.state.reason.startswith("jitter ")


def test_a_target_that_never_answers_says_nothing_of_the_line() -> None:
    state = Line(1, 0.0).settle().state
    other = Round(Connectivity.FULL, 20.0, "", lost=("icmp://203.0.113.1",))
    assert quality.noted(state, other, limited()) == state
    doubted = quality.noted(state, other._replace(lost=(TARGET,)), limited())
    assert doubted.quality and doubted.quality.doubted


@pytest.mark.parametrize("change", ["replugged", "another address", "no limits"])
def test_what_was_measured_goes_with_its_way_and_its_limits(change: str) -> None:
    line = degraded()
    there = uplink(limited(loss_high=0.0, loss_low=0.0) if change == "no limits" else line.probe)
    there = uplink(line.probe, gateway="192.168.7.9") if change == "another address" else there
    replugged = change == "replugged"
    state = judge_facts(line.state, there, Family.IPV4, line.now, replugged, False)
    assert (state.degraded, state.quality) == (False, None)


def test_a_bounce_launders_nothing() -> None:
    line = degraded()
    gone = judge_facts(line.state, uplink(line.probe, missing="no carrier"), Family.IPV4, line.now, False, False)
    assert gone.word == "offline"
    back = judge_facts(gone, line.uplink, Family.IPV4, line.now + 1, False, False)
    assert back.degraded and back.quality == line.state.quality


ODD = st.integers(0, 200)
TIMES = st.floats(-5000, 5000)


@settings(max_examples=40)
@given(
    st.lists(st.builds(Bucket, TIMES, ODD, ODD, ODD, ODD, ODD, ODD, ODD), max_size=4),
    TIMES,
    st.booleans(),
    st.booleans(),
)
def test_no_stored_figures_stop_a_run_or_keep_an_uplink_degraded_for_ever(
    buckets: list[Bucket], at: float, checking: bool, bad: bool
) -> None:
    line = degraded()
    stored = line.state.quality
    assert stored
    odd = stored._replace(buckets=tuple(buckets), bursts=(at, -at), checked_at=at, checking=checking)
    line.state = line.state._replace(quality=odd, degraded=bad)
    line.run(1500)
    assert not line.degraded


SAMPLES = st.tuples(
    st.sampled_from((0.0, 0.3, 1.0, 9.0, 10.0, 60.0, 61.0, 600.0, 7200.0)),
    st.integers(1, 40),
    st.lists(st.sampled_from((1.0, 20.0, 499.0, 500.0, 900.0, 60000.0)), max_size=40),
    st.booleans(),
)


@given(st.lists(SAMPLES, max_size=80), st.sampled_from((5.0, 60.0, 3600.0)))
def test_no_sequence_of_samples_breaks_the_bounds_or_the_stay(
    sequence: list[tuple[float, int, list[float], bool]], span: float
) -> None:
    probe = limited(latency_high=500.0, latency_low=100.0, jitter_high=50.0, window=span)
    known, bad, now, since = Quality("w"), False, 1000.0, 0.0
    for later, sent, rtts, burst in sequence:
        now += later
        before, was = known, bad
        known, bad = quality.after(known, bad, Measured(max(sent, len(rtts)), tuple(rtts), burst), probe, now)
        assert len(known.buckets) <= window.KEPT * window.PARTS + 2
        assert len(known.bursts) <= quality.MOST_BURSTS
        assert len(codec.encode(known)) < 6000
        assert [one.at for one in known.buckets] == sorted(one.at for one in known.buckets)
        if bad and not was:
            assert burst or before.bursts
            assert known.reason
            since = now
        if was and not bad:
            assert now - since >= 2 * span - quality.slack(probe)


def test_the_table_of_the_page_is_what_the_program_does() -> None:
    page = Path(__file__).resolve().parents[3] / "docs/quality.md"
    assert chances.table() in page.read_text()


@pytest.mark.parametrize("loss", [0.12, 0.25])
def test_the_chances_are_those_of_the_simulation(loss: float) -> None:
    hits, tries = 0, 600
    for seed in range(tries):
        line = Line(seed, 0.0)
        line.check()
        line.loss = loss
        line.state = line.state._replace(quality=None)
        hits += any(line.check().degraded for _ in range(6))
    assert hits / tries == pytest.approx(chances.within_a_window(loss), abs=0.06)
