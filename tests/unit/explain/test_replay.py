"""What another configuration would have made of the record."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook.explain import changes, sidebyside
from mwan_hook.explain.figures import Comparison
from mwan_hook.explain.frame import Frame, Seen
from mwan_hook.explain.frames import frames
from mwan_hook.explain.judging import Instant, judged
from mwan_hook.explain.replay import Played, played
from mwan_hook.model import Config, ConfigError, Connectivity, Family, Job, Result, State, Transition, Uplink
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict.rounds import summarise
from tests import frames as f
from tests.unit.explain.pasts import NAMES, Machine

V4 = Family.IPV4
PROBE = f.PROBE._replace(hysteresis_delay=0)
ONE, TWO = (f.line(number, families=(V4,), probe=PROBE) for number in (1, 2))
CONFIG = Config(probe=PROBE, uplinks=(ONE.config, TWO.config))
GOOD, BAD, HALF = ("yes", "yes"), ("no", "no"), ("no", "yes")
OPTIONS = (
    *(["line1.fall=5"], ["line2.metric=50"], ["probe.rise=4", "probe.fall=1"], ["line1.enabled=no"]),
    *(["line1.latency_high=20"], ["line2.metered=yes"], ["probe.required=2"], ["routing.prefer=latency"]),
)


def asked(uplink: Uplink, answers: Sequence[str], begun: float, rtt: float = 20.0) -> ProbedRound:
    """A round in which targets answered, or did not, in their order."""
    way = uplink.way(V4)
    results = [
        Result(
            Job(uplink.name, V4, target, uplink.interface, uplink.index, way.source, way.gateway),
            Connectivity.FULL if answer == "yes" else Connectivity.LIMITED,
            rtt if answer == "yes" else None,
            None if answer == "yes" else "no answer within 3 s",
            72,
        )
        for target, answer in zip(uplink.config.probe.targets, answers, strict=False)
    ]
    return ProbedRound(results[0].job, summarise(results, 1), begun, tuple(results))


def past(*runs: Sequence[Sequence[str]], moved: dict[str, tuple[int, int]] | None = None) -> list[Frame]:
    """Frames of two lines, ten seconds apart: answers of the first and of the second."""
    found: list[Frame] = []
    state, seen = State(f.BOOT), Seen((ONE, TWO))
    for number, answers in enumerate(runs):
        now = f.NOW + 10 * number
        made = tuple(asked(line, each, now - 0.1) for line, each in zip((ONE, TWO), answers, strict=True))
        verdict = judged(state, CONFIG, seen, made, Instant(now, f.BOOTED + now))
        found.append(
            Frame(
                *(f.BOOTED + now, now, f.BOOT, CONFIG, verdict.uplinks, state, verdict.state, made, verdict.happened),
                gap=not number,
                seen=seen,
            )
        )
        state = verdict.state
    if moved:
        last = found[-1]
        found.append(last._replace(before=state, rounds=(), happened=(), moved=moved, ran=False))
    return found


def replayed(found: Sequence[Frame], *options: str) -> list[Played]:
    return list(played(found, changes.parsed(options, ("line1", "line2")), hurry=True))


def events(found: Sequence[Played], uplink: str) -> list[tuple[int, str]]:
    """Verdicts that were told of an uplink, with the number of the run."""
    told = [(number, one) for number, each in enumerate(found) for one in each.happened]
    return [(number, one.event) for number, one in told if one.uplink == uplink and one.event in ("online", "offline")]


DIES = past((GOOD, GOOD), *[(BAD, GOOD)] * 5, *[(GOOD, GOOD)] * 4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [(0, "online"), (3, "offline"), (8, "online")]),
        (("probe.fall=5",), [(0, "online"), (5, "offline"), (8, "online")]),
        (("line1.fall=6",), [(0, "online")]),
        (("line2.fall=6",), [(0, "online"), (3, "offline"), (8, "online")]),
        (("line1.rise=4", "line1.fall=1"), [(0, "online"), (1, "offline"), (9, "online")]),
        (("line1.fall=1", "probe.fall=5"), [(0, "online"), (1, "offline"), (8, "online")]),
        (("line1.enabled=no",), []),
    ],
)
def test_the_same_answers_lead_elsewhere_under_another_configuration(
    options: tuple[str, ...], expected: list[tuple[int, str]]
) -> None:
    assert events(replayed(DIES, *options), "line1") == expected


def test_rounds_are_summed_up_again_from_their_answers() -> None:
    found = past((GOOD, GOOD), *[(HALF, GOOD)] * 4)
    assert events(replayed(found), "line1") == [(0, "online")]
    assert events(replayed(found, "probe.required=2"), "line1") == [(0, "online"), (3, "offline")]
    first = "icmp://192.0.2.1, icmp://2001:db8::1"
    assert events(replayed(found, f"line1.targets={first}"), "line1") == [(0, "online"), (3, "offline")]
    assert events(replayed(found, "line1.targets=icmp://192.0.2.2"), "line1") == [(0, "online")]
    reason = replayed(found, "probe.required=2")[3].state.uplinks["line1"].ipv4.reason
    assert reason == "1 of 2 targets answered, 2 required: no answer within 3 s; 3 of 3 bad rounds"


def test_of_a_round_in_peace_the_other_targets_are_as_they_were_last() -> None:
    found = past((GOOD, GOOD), (HALF, GOOD), (GOOD, GOOD), (GOOD, GOOD), (GOOD, GOOD))

    def spared(frame: Frame) -> Frame:
        """Only the second target was asked."""
        one = frame.rounds[0]
        whole = summarise(one.results[1:], 1)._replace(partial=True)
        return frame._replace(rounds=(one._replace(round=whole, results=one.results[1:]), *frame.rounds[1:]))

    found = [*found[:2], *map(spared, found[2:])]
    assert [one.state.uplinks["line1"].ipv4.bad for one in replayed(found, "line1.required=2")] == [0, 1, 2, 3, 4]
    assert events(replayed(found, "line1.required=2"), "line1") == [(0, "online"), (3, "offline")]
    left = replayed(found, "line1.targets=icmp://192.0.2.1")
    assert [one.state.uplinks["line1"].ipv4.rounds for one in left] == [1, 2, 3, 4, 5]
    assert events(left, "line1") == [(0, "online"), (3, "offline")]


def test_without_targets_the_facts_alone_judge() -> None:
    found = replayed(DIES, "line1.targets=,")
    assert events(found, "line1") == [(0, "online")]
    assert found[-1].state.uplinks["line1"].ipv4.by_facts


def test_another_metric_makes_another_way_the_best() -> None:
    found = replayed(DIES, "line2.metric=50")
    assert {one.state.best[V4].uplink for one in found} == {"line2"}
    assert replayed(DIES)[0].state.best[V4].uplink == "line1"


def test_a_quota_that_is_used_up_keeps_an_uplink_last() -> None:
    put_aside = [
        frame._replace(seen=frame.seen._replace(uplinks=(ONE._replace(metric=1 << 32), TWO))) for frame in DIES
    ]
    assert replayed(put_aside, "line1.metric=1")[0].state.best[V4].uplink == "line2"


def test_facts_that_follow_from_no_verdict_stand_as_they_were_told() -> None:
    told = Transition("quota-warning", "line2", "eth2", None, "below", "warning", "80 %", f.BOOTED)
    found = [DIES[0], DIES[1]._replace(happened=(told,)), *DIES[2:]]
    assert [one for one in replayed(found)[1].happened if one.uplink == "line2"] == [told]
    assert replayed(found, "probe.fall=1")[1].happened[-1] == told


def test_after_a_gap_all_goes_on_from_what_was_stored() -> None:
    found = [*DIES[:5], DIES[5]._replace(gap=True), *DIES[6:]]
    assert events(replayed(found, "line1.fall=9"), "line1") == [(0, "online"), (8, "online")]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("probe.fall=0", "[probe] fall = 0: expected a whole number from 1 to 1000000"),
        ("probe.fal=3", "[probe] fal: unknown key (did you mean fall?)"),
        ("line1.fall=x", "[uplinks] [[line1]] fall = x: expected a whole number from 1 to 1000000"),
        ("line3.fall=3", "no uplink line3 is on record (did you mean line2?)"),
        ("mail.to=a@b.example", "replay cannot change this section: no verdict follows from it"),
        ("line1.metrics.full=3", "replay cannot change this section"),
        ("line1.table=3", "replay cannot change this key: no verdict follows from it"),
        ("probe.interval=5", "replay cannot change this key: it says what is asked and when"),
        ("fall=3", "expected KEY=VALUE with a KEY as in probe.fall"),
        ("probe.fall", "expected KEY=VALUE"),
        ("probe.fall=3\nrise=1", "expected one line"),
        ("line1.metric=", "expected a metric"),
    ],
)
def test_what_cannot_be_changed_is_said(option: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^--with {option.splitlines()[0]}") as raised:
        changes.parsed([option], ("line1", "line2"))
    assert words in str(raised.value)


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        changes.parsed(["probe.fal=1", "line1.rise=0"], ("line1",))
    assert len(str(raised.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["line1.required=7"], "--with: [uplinks] [[line1]] required: required is 7"),
        (["line1.latency_low=9"], "[[line1]] latency_low: expected latency_low (9) to be at most latency_high (0)"),
        (["line1.targets=icmp://192.0.2.9"], "uplink line1 was not asked icmp://192.0.2.9"),
    ],
)
def test_keys_have_to_fit_what_is_on_record(options: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        replayed(DIES, *options)
    assert words in str(raised.value)


def test_a_template_is_all_of_its_uplinks_and_one_of_them_may_differ() -> None:
    names = ("lte@usb0", "lte@usb1")
    entries = tuple(ONE.config._replace(name=name) for name in names)
    wanted = changes.parsed(["lte@usb1.fall=7", "lte.fall=5", "probe.fall=4", "probe.rise=2"], names)
    found = changes.changed(CONFIG._replace(uplinks=entries), wanted).uplinks
    assert [(one.probe.fall, one.probe.rise) for one in found] == [(5, 2), (7, 2)]


def test_a_value_of_its_own_beats_that_of_all() -> None:
    own = CONFIG._replace(uplinks=(ONE.config._replace(probe=PROBE._replace(fall=9)), TWO.config))
    wanted = changes.parsed(["probe.fall=4"], ("line1", "line2"))
    assert [one.probe.fall for one in changes.changed(own, wanted).uplinks] == [9, 4]


def test_what_changes_nothing_and_what_was_not_measured_is_known() -> None:
    wanted = changes.parsed(["probe.fall=3", "line1.loss_high=5"], ("line1", "line2"))
    assert changes.idle(wanted, [CONFIG]) == ["probe.fall=3"]
    assert changes.unmeasured(wanted, [CONFIG]) == ["line1"]


# ---------------------------------------------------------------- figures


def compared(found: Sequence[Played], exact: bool = False) -> tuple[Any, Any]:
    both, told = Comparison(), sidebyside.Told(exact)
    for one in found:
        both.add(one)
        told.add(one)
    return both, told


def test_both_histories_are_summed_up() -> None:
    found, differ = compared(replayed(past((GOOD, GOOD), *[(BAD, GOOD)] * 5, *[(GOOD, GOOD)] * 4), "line1.fall=9"))
    assert (found.runs, found.gaps, found.observed, found.unknown) == (10, 0, 90.0, 0.0)
    was, now = found.recorded, found.replayed
    assert (was.failing_default_seconds, now.failing_default_seconds) == (20.0, 50.0)  # until it is left
    assert [(each.failovers, each.nothing_online_seconds, each.metered_seconds) for each in (was, now)] == [
        (1, 0.0, 0.0),
        (0, 0.0, 0.0),
    ]
    assert (was.of("line1").outages, was.of("line1").online_seconds, was.of("line1").offline_seconds) == (1, 40.0, 50.0)
    assert (was.of("line1").default_seconds, was.of("line2").default_seconds) == (40.0, 50.0)
    assert (now.of("line1").outages, now.of("line1").online_seconds, now.of("line2").default_seconds) == (0, 90.0, 0.0)
    assert [(one.event, one.uplink) for one in differ.gone][:2] == [("offline", "line1"), ("default-route", "line2")]
    assert not [one for one in differ.new if one.event == "offline"]


def test_bytes_move_with_the_time_of_the_default() -> None:
    frames_ = past(
        (GOOD, GOOD), *[(BAD, GOOD)] * 5, *[(GOOD, GOOD)] * 4, moved={"line1": (400, 0), "line2": (400, 100)}
    )
    found, _ = compared(replayed(frames_, "line1.fall=9", "line1.metered=yes"))
    assert [found.recorded.of(f"line{number}").bytes for number in (1, 2)] == [400, 500]
    assert [found.replayed.of(f"line{number}").bytes for number in (1, 2)] == [900, 0]
    was, now = found.recorded, found.replayed
    assert (was.metered_bytes, now.metered_bytes) == (0, 900)
    assert (was.metered_seconds, now.metered_seconds) == (
        0,
        now.of("line1").default_seconds,
    )  # by its own configuration
    assert now.metered_seconds > 0
    same, _ = compared(replayed(frames_, "line1.portal_is_online=yes"))
    assert [same.replayed.of(f"line{number}").bytes for number in (1, 2)] == [400, 500]


def test_time_without_runs_is_unknown() -> None:
    late = [frame._replace(now=frame.now + 3600, wall=frame.wall + 3600) for frame in DIES[5:]]
    found, _ = compared(replayed([*DIES[:5], *late]))
    assert (found.gaps, found.unknown, found.observed) == (1, 3610.0, 80.0)


@pytest.mark.parametrize(("seconds", "colons"), [(90, 4), (3600, 2)])
def test_less_than_an_hour_is_said_to_the_second(seconds: int, colons: int) -> None:
    last = DIES[-1]._replace(now=DIES[0].now + seconds, wall=DIES[0].wall + seconds)
    found, differ = compared(replayed([*DIES[:-1], last]))
    when = next(iter(sidebyside.lines(found, differ, [], []))).partition(": ")[0]
    assert when.count(":") == colons, when


def test_for_people_all_fits_80_columns_and_says_what_replay_cannot_know() -> None:
    found, differ = compared(replayed(DIES, "line1.fall=9"))
    text = list(sidebyside.lines(found, differ, ["line1.fall=9"], ["A note."]))
    assert max(map(len, text)) <= 80
    assert "failovers                                  1             0" in text
    assert [line[:1] for line in text if line[1:5] == " 202"].count("-") == len(differ.gone)
    words = " ".join(text)
    assert sidebyside.HONESTY in words and words.endswith("A note.")


def test_the_same_configuration_is_said_to_lead_to_the_same() -> None:
    found, differ = compared(replayed(DIES), exact=True)
    text = " ".join(sidebyside.lines(found, differ, [], []))
    assert "same configuration: the history is the recorded one, exactly (13 transitions)" in text
    other = [DIES[0], *[frame._replace(happened=()) for frame in DIES[1:]]]
    found, differ = compared(replayed(other), exact=True)
    assert "the history differs from the recorded one" in " ".join(sidebyside.lines(found, differ, [], []))


def test_other_words_are_another_history_only_under_the_same_configuration() -> None:
    other = [
        frame._replace(happened=tuple(one._replace(reason="in other words") for one in frame.happened))
        for frame in DIES
    ]
    for exact in (True, False):
        _, differ = compared(replayed(other), exact=exact)
        assert (len(differ.gone), len(differ.new)) == ((13, 13) if exact else (0, 0))


def test_as_values_there_are_the_same_figures() -> None:
    found, differ = compared(replayed(DIES, "line1.fall=9"))
    made = sidebyside.document(found, differ, ["line1.fall=9"], [])
    assert (made["version"], made["with"], made["same"]) == (1, {"line1.fall": "9"}, False)
    assert made["recorded"]["uplinks"]["line1"]["offline_seconds"] == 50.0
    assert made["only_recorded"][0]["family"] == "ipv4"
    assert made["notes"] == [sidebyside.HONESTY]


# ---------------------------------------------------------------- in a hurry


@settings(max_examples=20)
@given(st.integers(0, 1 << 32), st.sampled_from(OPTIONS))
def test_what_is_only_counted_is_what_a_whole_judgement_makes_of_it(seed: int, options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root, "run/mwan-hook").mkdir(parents=True)
        for _ in Machine(Random(seed), root).live(12):
            pass
        found = list(frames(root, float("-inf"), float("inf")))
    named = [option.replace("line1", "fiber").replace("line2", "cable") for option in options]
    wanted = changes.parsed(named, NAMES)
    try:
        whole = list(played(found, wanted, hurry=False))
    except ConfigError:
        return  # two are required of one target
    assert list(played(found, wanted, hurry=True)) == whole
