"""Hours from frames: what counts as observed, and that no second is counted twice or not at all."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mwan_hook.durations import HOUR
from mwan_hook.explain import histogram, outages
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.summary import summed
from mwan_hook.model import (
    Config,
    Connectivity,
    Family,
    FamilyState,
    Hour,
    Job,
    Measured,
    Method,
    Probe,
    Result,
    Round,
    State,
    Status,
    Target,
    Uplink,
    UplinkConfig,
    UplinkState,
    Way,
    WayOut,
)
from mwan_hook.run.scene import ProbedRound
from mwan_hook.store import codec

V4, V6 = Family.IPV4, Family.IPV6
T0 = 1_800_000_000.0 // HOUR * HOUR
QUAD = Target("icmp:9.9.9.9", Method.ICMP, "9.9.9.9", name="icmp:9.9.9.9")
ONLINE = FamilyState(Status.ONLINE, Connectivity.FULL, judged=True, way="a")
OFFLINE = FamilyState(Status.OFFLINE, Connectivity.NONE, judged=True, way="a", reason="0 of 1 targets answered")
DISABLED = FamilyState(Status.DISABLED)


def uplink(name: str, metric: int = 100, missing: str = "", **settings: Any) -> Uplink:
    config = UplinkConfig(name, families=(V4,), probe=Probe((QUAD,)))._replace(**settings)
    return Uplink(config, name, name, 2, 1001, metric, 0, 0, True, ipv4=Way(V4, missing=missing))


def frame(
    at: float,
    boot: str = "b",
    gap: bool = False,
    moved: dict[str, tuple[int, int]] | None = None,
    rounds: tuple[ProbedRound, ...] = (),
    uplinks: tuple[Uplink, ...] = (),
    **standing: FamilyState,
) -> Frame:
    """A run at T0 + ``at`` that left the uplinks standing so; the first that is online is the best."""
    bound = uplinks or tuple(uplink(name, 100 + number) for number, name in enumerate(standing))
    best = next((name for name, one in standing.items() if one.status is Status.ONLINE), "")
    memories = {name: UplinkState(name, 2, one) for name, one in standing.items()}
    state = State(uplinks=memories, best={V4: WayOut(best)} if best else {})
    return Frame(T0 + at, 1000 + at, boot, Config(), bound, State(), state, rounds, (), gap, moved or {})


def round_of(name: str, *seen: float | None) -> ProbedRound:
    """A round whose targets answered after so many milliseconds, or not."""
    job = Job(name, V4, QUAD, name, 2, "192.0.2.1")
    full, none = Connectivity.FULL, Connectivity.NONE
    results = tuple(Result(job, none if rtt is None else full, rtt) for rtt in seen)
    times = [rtt for rtt in seen if rtt is not None]
    return ProbedRound(job, Round(full if times else none, times[0] if times else None, ""), 0.0, results)


def words(hours: tuple[Hour, ...], name: str, since: float, until: float) -> dict[str, float]:
    """Seconds by word that are not 0."""
    found = outages.seconds(outages.periods(hours, (name, V4), T0 + since, T0 + until))
    return {word: round(count, 2) for word, count in found.items() if count}


def of(frames: list[Frame], since: float, until: float, name: str = "fiber") -> dict[str, float]:
    return words(summed(frames, T0 + since, T0 + until), name, since, until)


def test_time_between_two_runs_is_as_the_first_left_it() -> None:
    frames = [frame(0, fiber=ONLINE), frame(10, fiber=OFFLINE), frame(20, fiber=ONLINE), frame(30, fiber=ONLINE)]
    assert of(frames, 0, 30) == {"online": 20, "offline": 10}


@pytest.mark.parametrize(("length", "known"), [(33, True), (34, False)])
def test_a_span_is_observed_while_the_next_run_is_not_three_rounds_late(length: float, known: bool) -> None:
    """Interval 10, time-out 3."""
    frames = [frame(0, fiber=ONLINE), frame(length, fiber=ONLINE)]
    assert of(frames, 0, length) == ({"online": length} if known else {"unknown": length})


def test_a_metered_uplink_alone_is_asked_seldom_and_observed_as_long() -> None:
    config: dict[str, Any] = {"metered": True, "metered_interval": 300.0, "probe": Probe((QUAD,), interval=100.0)}
    lte = (uplink("lte", **config),)
    frames = [frame(0, uplinks=lte, lte=ONLINE), frame(303, uplinks=lte, lte=ONLINE)]
    assert of(frames, 0, 303, "lte") == {"online": 303}
    frames = [frame(0, uplinks=lte, lte=ONLINE), frame(304, uplinks=lte, lte=ONLINE)]
    assert of(frames, 0, 304, "lte") == {"unknown": 304}


def test_what_is_spared_is_observed_by_the_runs_that_ask_others() -> None:
    both = (uplink("fiber"), uplink("lte", 200, metered=True))
    frames = [frame(at, uplinks=both, fiber=ONLINE, lte=ONLINE) for at in range(0, 610, 10)]
    assert of(frames, 0, 600, "lte") == {"online": 600}


def test_another_boot_a_gap_or_a_leap_of_the_clock_hides_what_was_between() -> None:
    for second in (
        frame(10, boot="c", fiber=ONLINE),
        frame(10, gap=True, fiber=ONLINE),
        frame(10, fiber=ONLINE)._replace(now=5000.0),
    ):
        assert of([frame(0, fiber=ONLINE), second], 0, 20) == {"unknown": 10, "online": 10}


def test_time_that_the_clock_was_set_on_by_was_not_observed() -> None:
    frames = [frame(0, fiber=ONLINE), frame(10, fiber=ONLINE)._replace(wall=T0 + 5000)]
    assert of(frames, 0, 5010) == {"unknown": 5000, "online": 10}


def test_a_clock_that_was_set_back_counts_no_second_twice() -> None:
    frames = [
        frame(100, fiber=ONLINE),
        frame(110, fiber=ONLINE),
        frame(60, fiber=OFFLINE)._replace(now=1120.0),
        frame(115, fiber=OFFLINE)._replace(now=1130.0),
        frame(125, fiber=ONLINE)._replace(now=1140.0),
    ]
    found = of(frames, 100, 130)
    assert sum(found.values()) == 30


def test_a_link_that_is_out_is_known_without_rounds() -> None:
    dark = (uplink("fiber", missing="no carrier"),)
    frames = [frame(0, uplinks=dark, fiber=OFFLINE), frame(5000, uplinks=dark, fiber=OFFLINE)]
    hours = summed(frames, T0, T0 + 5000)
    assert words(hours, "fiber", 0, 5000) == {"offline": 5000}
    (one,) = outages.outages(outages.periods(hours, ("fiber", V4), T0, T0 + 5000), ("fiber", V4))
    assert one.causes == ("interface",)


def test_a_line_without_verdict_yet_is_unknown() -> None:
    frames = [frame(0, fiber=FamilyState()), frame(10, fiber=ONLINE)]
    assert of(frames, 0, 20) == {"unknown": 10, "online": 10}


def test_who_stands_in_bridges_and_a_backup_that_is_out_does_not() -> None:
    frames = [
        frame(0, fiber=OFFLINE, lte=ONLINE),
        frame(10, fiber=ONLINE, lte=OFFLINE),
        frame(20, fiber=ONLINE, lte=ONLINE),
    ]
    hours = summed(frames, T0, T0 + 20)
    fiber = outages.periods(hours, ("fiber", V4), T0, T0 + 20)
    lte = outages.periods(hours, ("lte", V4), T0, T0 + 20)
    assert [(one.word, one.carries, one.bridged) for one in fiber] == [
        ("offline", False, True),
        ("online", True, False),
    ]
    assert [(one.word, one.carries, one.bridged) for one in lte] == [("online", True, False), ("offline", False, False)]


def test_probes_are_counted_by_whether_the_line_was_up() -> None:
    frames = [
        frame(0, rounds=(round_of("fiber", 8.0, None),), fiber=ONLINE),
        frame(10, rounds=(round_of("fiber", None, None),), fiber=OFFLINE),
        frame(20, rounds=(round_of("fiber", 8.0)._replace(measured=Measured(20, (9.0,) * 15)),), fiber=ONLINE),
    ]
    earlier = (frames[2].state, frames[0].state, frames[1].state)  # online, online, offline
    told = [one._replace(before=before) for one, before in zip(frames, earlier, strict=True)]
    found = outages.probes(summed(told, T0, T0 + 30), ("fiber", V4))
    assert (found.sent, found.lost, found.out_sent, found.out_lost) == (4, 3, 20, 5)
    assert sum(found.round_trips.values()) == 2


def test_bytes_are_shared_among_the_hours_since_the_last_sample() -> None:
    frames = [
        frame(1800, moved={"fiber": (5, 5)}, fiber=ONLINE),
        frame(1800 + 7200, moved={"fiber": (8000, 400)}, fiber=ONLINE),
    ]
    hours = summed(frames, T0, T0 + 3 * HOUR)
    assert [(hour.begin - T0, *hour.moved[0][1:]) for hour in hours] == [
        (0, 2005, 105),
        (HOUR, 4000, 200),
        (2 * HOUR, 2000, 100),
    ]
    assert outages.moved(hours, "fiber") == (8005, 405)


def test_a_percentile_is_within_five_per_cent() -> None:
    drawn = random.Random(7)
    times = sorted(drawn.lognormvariate(3, 1) for _ in range(999))
    counts = histogram.merged({histogram.bucket(one): 1} for one in times)
    for percent in (5, 50, 95, 99):
        exact = times[-(-999 * percent // 100) - 1]
        assert abs(histogram.percentile(counts, percent) - exact) <= 0.05 * exact  # type: ignore[operator]
    assert histogram.percentile({}, 50) is None


@pytest.mark.parametrize("seed", range(60))
def test_all_words_add_up_to_the_span_and_cuts_change_nothing(seed: int) -> None:
    drawn = random.Random(seed)
    frames, at = [], 0.0
    for _ in range(drawn.randrange(2, 120)):
        at += drawn.choice((0.5, 10, 30, 33, 34, 400, 4000))
        standing: dict[str, Any] = {
            name: drawn.choice((ONLINE, ONLINE, OFFLINE, DISABLED, FamilyState()))
            for name in ("fiber", "lte")
            if drawn.random() < 0.9
        }
        rounds = tuple(round_of(name, 5.0, None) for name in standing)
        frames.append(frame(at, drawn.choice("bbbbbc"), drawn.random() < 0.05, rounds=rounds, **standing))
    since, until = drawn.uniform(0, at / 2), drawn.uniform(at / 2, at + 100)
    whole = summed(frames, T0 + since, T0 + until)
    cut = drawn.choice([one.wall - T0 for one in frames if since < one.wall - T0 < until] or [until])
    parts = (*summed(frames, T0 + since, T0 + cut), *summed(frames, T0 + cut, T0 + until))
    for name in ("fiber", "lte"):
        found = words(whole, name, since, until)
        assert sum(found.values()) == pytest.approx(until - since, abs=0.05)
        assert words(parts, name, since, until) == pytest.approx(found, abs=0.05)
        assert outages.probes(parts, (name, V4)) == outages.probes(whole, (name, V4))
    for hour in whole:
        assert hour.begin <= hour.since < hour.until <= hour.begin + HOUR
        assert all(line.stretches[0].at == pytest.approx(hour.since - hour.begin, abs=1e-3) for line in hour.lines)


def test_an_hour_comes_back_from_the_disk() -> None:
    frames = [
        frame(0, rounds=(round_of("fiber", 0.001, 8.0),), fiber=ONLINE),
        frame(10, moved={"fiber": (7, 8)}, fiber=OFFLINE),
    ]
    (hour,) = summed(frames, T0, T0 + 20)
    assert codec.decode(codec.encode(hour), "Hour") == hour
