"""What traffic says of a line, from values alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Connectivity,
    Counted,
    Evidence,
    Family,
    FamilyState,
    Job,
    Probe,
    Result,
    Round,
    State,
    Status,
    Target,
    TargetResult,
    UplinkState,
)
from mwan_hook.run import evidence as run_evidence
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict import evidence, schedule
from tests.unit.verdict.verdicts import OFFLINE, ONLINE, START, Line, probe, seen, uplink

V4 = Family.IPV4
FULL, LIMITED = Connectivity.FULL, Connectivity.LIMITED
ECHO, SERVER = parse("icmp://192.0.2.9"), parse("tcp://192.0.2.8:443")
EVERY = 10.0


def online(settings: Probe, *targets: TargetResult) -> FamilyState:
    """Online since a round at START, in which nothing had been counted."""
    line = Line()
    line.probe = settings
    line.uplink = uplink(settings)
    state = line.round(0)
    assert state.status is ONLINE
    return state._replace(evidence=Evidence(state.way, proven=("tcp://192.0.2.9:443",)), targets=targets)


def weighed(
    begun: int, answered: int, after: float = EVERY, settings: Probe | None = None, due: bool | None = None
) -> FamilyState:
    settings = settings or probe()
    clock = evidence.Pace(START + after, EVERY, after >= EVERY if due is None else due)
    return evidence.weighed(online(settings), settings, Counted(begun, answered), clock)


@pytest.mark.parametrize(
    ("begun", "answered", "spared", "doubted"),
    [
        (0, 0, False, False),
        (1, 1, True, False),
        (0, 1, True, False),  # begun before the round
        (1, 0, False, True),
        (49, 48, False, True),
        (50, 49, True, False),  # one under way
        (1000, 980, True, False),
        (1000, 979, False, True),
        (9, 4, False, True),
    ],
)
def test_answers_spare_a_round_and_many_connections_without_one_call_for_it(
    begun: int, answered: int, spared: bool, doubted: bool
) -> None:
    before, after = online(probe()), weighed(begun, answered)
    assert (after.good == before.good + 1) is spared
    assert after.burst is doubted is (after.next_probe_at is None)
    assert after.evidence and after.evidence.silent is doubted
    assert schedule.in_doubt(after, probe()) is doubted
    if spared:
        assert not schedule.due(after, uplink(probe()).config, START + EVERY + 5, False)
        assert schedule.due(after, uplink(probe()).config, START + 2 * EVERY, False)
        # asked for now, it is asked
        assert schedule.due(after, uplink(probe()).config, START + EVERY, False, START + EVERY)


def test_doubt_waits_for_no_round_but_a_moment_after_one() -> None:
    for begun, answered in ((3, 0), (9, 6), (1000, 979)):
        assert weighed(begun, answered, after=3, due=False).burst
    for begun, answered in ((2, 0), (9, 7), (1000, 980)):
        assert not weighed(begun, answered, after=3, due=False).burst
    assert not weighed(6, 0, after=1, due=False).burst
    assert weighed(6, 6, after=3, due=False) == online(probe())  # nothing to spare yet


def test_nothing_is_spared_for_ever_nor_where_a_limit_or_a_portal_check_wants_a_round() -> None:
    assert weighed(9, 9, after=evidence.LONGEST - 1).good == 2
    assert weighed(9, 9, after=evidence.LONGEST).good == 1
    assert weighed(9, 9, settings=probe(latency_high=500.0)).good == 1
    assert weighed(9, 9, settings=probe(loss_high=10.0)).good == 1
    assert weighed(9, 9, due=False).good == 1


def test_smaller_counters_begin_anew_and_another_way_does_too() -> None:
    assert evidence.since(Counted(100, 90), Counted(7, 6)) == Counted(7, 6)
    assert evidence.since(Counted(100, 90), Counted(107, 96)) == Counted(7, 6)
    state = online(probe())
    other = state._replace(evidence=Evidence("another way", Counted(1, 1), silent=True, deciding=("tcp://a:1",)))
    after = evidence.weighed(other, probe(), Counted(50, 0), evidence.Pace(START + 10, EVERY, True))
    assert after == state._replace(evidence=Evidence(state.way, Counted(50, 0)))


def test_over_tcp_are_asked_configured_targets_that_answer_or_proven_ones() -> None:
    assert evidence.made_up(probe(targets=(ECHO, SERVER)), V4) == ()
    made = evidence.made_up(probe(targets=(ECHO, parse("http://192.0.2.7/x"), parse("gateway:"))), V4)
    assert [one.name for one in made] == ["tcp://192.0.2.9:443", "tcp://192.0.2.9:53", "tcp://192.0.2.7:80"]
    (first, *_) = evidence.made_up(probe(targets=(parse("icmp://2001:db8::1"),)), Family.IPV6)
    assert first.name == "tcp://[2001:db8::1]:443" and parse(first.name) == first
    for last, deciding in ((FULL, ("tcp://192.0.2.8:443",)), (LIMITED, ())):
        settings = probe(targets=(ECHO, SERVER))
        state = online(settings, TargetResult(SERVER.name, last))
        state = state._replace(evidence=Evidence(state.way))
        after = evidence.weighed(state, settings, Counted(5, 0), evidence.Pace(START + 5, EVERY, False))
        assert after.evidence and after.evidence.deciding == deciding and after.evidence.silent is bool(deciding)
        assert after.burst


def result(target: Target, connectivity: Connectivity, error: str | None = None) -> Result:
    return Result(Job("fiber", V4, target, "eth7", 7, "192.168.7.2"), connectivity, error=error)


@pytest.mark.parametrize(
    ("answer", "error", "ignored", "expected"),
    [
        (FULL, None, (), FULL),
        (LIMITED, "connection refused", (), FULL),
        (LIMITED, "timed out after 1.3 s", (), LIMITED),
        (LIMITED, "timed out after 1.3 s", (SERVER.name,), FULL),
    ],
)
def test_in_doubt_an_echo_is_not_enough(
    answer: Connectivity, error: str | None, ignored: tuple[str, ...], expected: Connectivity
) -> None:
    known = Evidence("way", seen=Counted(9, 1), silent=True, deciding=(SERVER.name,))
    answers = [result(ECHO, FULL), result(SERVER, answer, error)]
    after = evidence.decided(seen(), answers, known, ignored)
    assert after.connectivity is expected
    assert (after.reason == f"no answer to 8 of 9 new connections, nor from {SERVER.name}") is (expected is LIMITED)
    assert evidence.decided(Round(LIMITED, None, "dead"), answers, known, ()).reason == "dead"


def test_in_doubt_each_host_is_asked_once() -> None:
    state = online(probe(targets=(ECHO,)))
    names = ("tcp://192.0.2.9:443", "tcp://192.0.2.9:53", "tcp://[2001:db8::1]:53")
    state = state._replace(evidence=Evidence(state.way, proven=names))
    after = evidence.weighed(state, probe(targets=(ECHO,)), Counted(5, 0), evidence.Pace(START + 5, EVERY, False))
    assert after.evidence and after.evidence.deciding == (names[0], names[2])


def test_a_round_clears_the_doubt_once_it_is_online_and_good_and_notes_who_answers() -> None:
    made = evidence.made_up(probe(targets=(ECHO,)), V4)
    answers = [result(ECHO, FULL), result(made[0], FULL), result(made[1], LIMITED, "connection refused")]
    state = online(probe(targets=(ECHO,)), TargetResult(ECHO.name, FULL))
    doubted = state._replace(evidence=Evidence(state.way, silent=True, deciding=(made[0].name,)))
    after = evidence.closed(doubted, Counted(8, 2), answers, START + 5, judged=True).evidence
    assert after and not after.silent and after.counters == Counted(8, 2) and after.proven == (made[0].name,)
    only = evidence.closed(state, Counted(), [answers[2]], START, judged=True).evidence
    assert only and only.proven == (made[1].name,)  # a refusal is an answer, where there is no better one
    for kept in (doubted._replace(good=0), doubted._replace(status=Status.OFFLINE)):
        still = evidence.closed(kept, Counted(8, 2), answers, START + 5, judged=True).evidence
        assert still and still.silent
    other = evidence.closed(doubted, Counted(8, 2), (), START + 5, judged=False).evidence
    assert other and other.silent and other.counters == Counted(8, 2)


def test_made_up_targets_are_asked_until_one_has_answered_and_then_in_doubt_alone() -> None:
    settings = probe(targets=(ECHO,))
    made, state = evidence.made_up(settings, V4), online(settings)
    wanted = {
        None: made,
        Evidence(state.way, tried_at=START): (),
        Evidence(state.way, tried_at=START - evidence.AGAIN): made,
        Evidence(state.way, proven=(made[0].name,)): (),
        Evidence(state.way, silent=True, deciding=(made[0].name,), proven=(made[0].name,)): made[:1],
    }
    for known, expected in wanted.items():
        assert evidence.wanted(state._replace(evidence=known), settings, V4, START) == expected


@given(
    st.lists(
        st.tuples(
            st.integers(0, 500),
            st.integers(0, 500),
            st.floats(0, 400),
            st.sampled_from([None, FULL, LIMITED]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_traffic_alone_changes_no_verdict(
    happened: list[tuple[int, int, float, Connectivity | None, bool]],
) -> None:
    line, counters, at = Line(fall=2), Counted(), 0.0
    line.round(0)
    for begun, answered, pause, answer, anew in happened:
        at += pause
        counters = Counted(begun, answered) if anew else Counted(counters.begun + begun, counters.answered + answered)
        before = line.facts(at)
        after = evidence.weighed(before, line.probe, counters, evidence.Pace(START + at, EVERY, pause >= EVERY))
        same = ("status", "connectivity", "bad", "since", "held_until", "passes", "transitions", "probed_at")
        assert [getattr(before, key) for key in same] == [getattr(after, key) for key in same]
        assert after.good - before.good in (0, 1)
        assert after.good == before.good or (before.status is ONLINE and before.bad == 0 and not before.burst)
        line.state = after
        if answer:
            line.state = evidence.closed(line.round(at, answer), counters, (), START + at, judged=True)


@pytest.mark.parametrize(
    ("other", "deciding", "expected"),
    [
        (ONLINE, (), LIMITED),
        (ONLINE, (SERVER.name,), FULL),  # the same server answers by none: that is its own fault
        (OFFLINE, (), FULL),  # the last way out
    ],
)
def test_what_is_not_configured_takes_no_last_way_out(
    other: Status, deciding: tuple[str, ...], expected: Connectivity
) -> None:
    known = Evidence("way", seen=Counted(9, 1), silent=True, deciding=(SERVER.name,))
    fiber = FamilyState(ONLINE, way="way", evidence=known)
    lte = FamilyState(other, way="w", evidence=known._replace(deciding=deciding) if deciding else None)
    state = State(uplinks={"fiber": UplinkState(ipv4=fiber), "lte": UplinkState(ipv4=lte)})
    answers = (result(ECHO, FULL), result(SERVER, LIMITED, "timed out after 1.3 s"))
    asked = ProbedRound(answers[0].job, seen()._replace(targets=(TargetResult(ECHO.name, FULL),)), 1.0, answers)
    assert run_evidence.decided(state, asked, ()).round.connectivity is expected


def test_a_time_that_cannot_be_spares_no_probe() -> None:
    config = uplink(probe()).config
    state = FamilyState(ONLINE, way="way", probed_at=100.0, next_probe_at=110.0, evidence=Evidence("way"))
    for spared_at, due in ((0.0, True), (195.0, False), (9e9, True)):
        stored = state._replace(evidence=Evidence("way", spared_at=spared_at))
        assert schedule.due(stored, config, 200.0, another_online=False) is due
