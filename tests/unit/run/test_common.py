"""A target that is dead behind every uplink is its own fault: runs over lines, gateways and targets that die."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwan_hook.config.targets import parse
from mwan_hook.model import Dial, Family, FamilyState, Job, Method, Result, Target, UplinkState
from mwan_hook.probes import runner
from mwan_hook.probes.loop import Late
from mwan_hook.run import common, measure, rating, tick, wish
from mwan_hook.run.scene import Judged, ProbedRound
from mwan_hook.run.wish import Request
from mwan_hook.verdict import dark, quality
from mwan_hook.verdict.events import counted
from tests.unit.verdict.test_only_way import IPV4, NAMES, Site
from tests.unit.verdict.verdicts import FULL, LIMITED, OFFLINE, ONLINE, PORTALLED

ONE, TWO, THREE = (parse(f"icmp://198.51.100.{n}") for n in (1, 2, 3))
KEY = f"ipv4 {ONE.name}"
WEB = parse("tcp://198.51.100.9:443")
ECHO = 84


class World(Site):
    """Lines with their providers: what is dead in it fails; ``run`` is what the timer starts."""

    def __init__(self, patch: pytest.MonkeyPatch, count: int = 2, **settings: Any) -> None:
        super().__init__(count, **{"targets": (ONE,), "portal_interval": 0, **settings})
        self.dead: set[str] = set()  # names of lines, of targets, LINE/TARGET, and LINE/gateway:
        self.portals: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.bytes = dict.fromkeys(NAMES, 0)
        self.told: list[str] = []
        patch.setattr(runner, "run", self.answer)
        for module in (tick, wish, common):
            patch.setattr(module, "clock", lambda: self.now)
        patch.setattr(time, "clock_gettime", lambda _: self.now)
        patch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def metered(self, name: str) -> None:
        own = self.uplinks[name]
        self.uplinks[name] = own._replace(config=own.config._replace(metered=True))

    def answer(self, jobs: Sequence[Job], **_: Any) -> list[Result]:
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> Result:
        name = job.target.name
        self.asked.append((job.uplink, name))
        self.bytes[job.uplink] += ECHO
        gateway = job.target.method is Method.GATEWAY
        gone = {f"{job.uplink}/{name}"} if gateway else {job.uplink, name, f"{job.uplink}/{name}"}
        if gone & self.dead:
            return Result(job, LIMITED, None, "timed out", ECHO)
        if job.uplink in self.portals and not gateway:
            return Result(job, PORTALLED, 5.0, None, ECHO)
        return Result(job, FULL, 5.0, None, ECHO)

    def reconcile(self, rounds: Sequence[ProbedRound] = ()) -> Judged:
        scene, before = self.scene(), self.state
        ignored, rounds = rating.settled(scene, rounds)
        memories = rating.verdicts(scene, rounds, frozenset())
        memories = {name: counted(before.uplinks.get(name, UplinkState()), one) for name, one in memories.items()}
        after = before._replace(uplinks=memories, ignored=ignored)
        self.state = dark.darkened(after, scene.uplinks, self.now)
        self.told += [f"{one.event} {one.new}" for one in dark.transitions(before, self.state, self.now)]
        return self.judged()

    def check(self, every: float = 10, times: int = 1, forced: bool = False) -> list[str]:
        """Runs of the timer; who is online after them."""
        for _ in range(times):
            self.now += every
            self.asked.clear()
            given = Request(since=self.now) if forced else Request()
            tick._probe(self, self.reconcile(), given, self.now, Late())  # type: ignore[arg-type]
        return [name for name in self.uplinks if self.memory(name).status is ONLINE]


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def world(patch: pytest.MonkeyPatch, count: int = 2, **settings: Any) -> World:
    """All lines online."""
    made = World(patch, count, **settings)
    assert made.check(times=2) == list(NAMES[:count])
    return made


SETS = {
    "a single target": {"targets": (ONE,)},
    "one of two": {"targets": (ONE, TWO)},
    "both required": {"targets": (ONE, TWO), "required": 2},
    "two of three required": {"targets": (ONE, TWO, THREE), "required": 2},
    "no second chance": {"targets": (ONE,), "fall": 1},
    "no bursts": {"targets": (ONE, TWO), "required": 2, "burst_interval": 0},
}


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
@pytest.mark.parametrize("count", [2, 3])
def test_no_verdict_follows_from_a_target_that_is_dead_everywhere_and_it_is_named(
    patch: pytest.MonkeyPatch, chosen: dict[str, Any], count: int
) -> None:
    site = world(patch, count, **chosen)
    site.dead = {ONE.name}
    for _ in range(8):
        assert site.check() == list(NAMES[:count])
    assert list(site.state.ignored) == [KEY]
    if site.probe.required > 1 or len(site.probe.targets) == 1:
        assert ONE.name in site.memory("dsl").reason
    assert site.told == ["target-ignored ignored"], "once"
    assert all(site.memory(name).bad == 0 for name in NAMES[:count])
    site.dead = set()
    assert site.check(times=4) == list(NAMES[:count])
    assert (site.state.ignored, site.told[1:]) == ({}, ["target-counted counted"])


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
@pytest.mark.parametrize("gateway", ["alive", "dead"])
def test_a_dead_line_falls_with_the_same_round_as_without_others(
    patch: pytest.MonkeyPatch, chosen: dict[str, Any], gateway: str
) -> None:
    dying = {"dsl"} | ({"dsl/gateway:"} if gateway == "dead" else set())
    fell, rounds = [], []
    for count in (1, 3):
        site = world(patch, count, **chosen)
        site.dead, begun = set(dying), site.now
        while "dsl" in site.check():
            assert site.now < begun + 100
        fell.append(round(site.memory("dsl").since - begun, 3))
        rounds.append(site.memory("dsl").bad_rounds)
        assert (site.state.ignored, site.told) == ({}, [])
    assert fell[0] == fell[1]
    assert rounds[0] == rounds[1] == site.probe.fall


@pytest.mark.parametrize("chosen", SETS.values(), ids=SETS)
def test_a_dead_line_beside_a_dead_target_still_falls(patch: pytest.MonkeyPatch, chosen: dict[str, Any]) -> None:
    site = world(patch, 3, **chosen)
    site.dead = {ONE.name}
    site.check(times=8)
    assert site.state.ignored
    site.dead |= {"lte", "lte/gateway:"}
    assert site.check(times=5) == ["dsl", "sat"], "by another target, or by its gateway"


def test_what_counts_again_is_counted_anew(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, fall=3)
    site.dead = {ONE.name}
    site.check(times=3)
    site.dead = {f"dsl/{ONE.name}"}  # it answers the other line again
    rounds = site.memory("dsl").bad_rounds
    assert site.check() == ["lte"] and not site.state.ignored
    assert site.memory("dsl").bad_rounds == rounds + 3, "and its gateway has no say any more"


@pytest.mark.parametrize("other", ["dsl/gateway:", "lte/gateway:"])
def test_a_gateway_that_is_silent_is_no_life(patch: pytest.MonkeyPatch, other: str) -> None:
    site = world(patch)
    site.dead = {ONE.name, other}
    assert site.check(times=3) == [] and not site.state.ignored


def test_two_targets_that_are_dead_everywhere_are_no_targets_fault(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, targets=(ONE, TWO))
    site.dead = {ONE.name, TWO.name}
    assert site.check(times=3) == []
    assert (site.state.ignored, site.told) == ({}, ["common offline"])


def test_a_line_that_fell_alone_is_no_witness(patch: pytest.MonkeyPatch) -> None:
    site = world(patch)
    site.dead = {"dsl"}
    assert site.check() == ["lte"]
    site.dead = {"dsl", "lte"}
    assert site.check(every=120, times=2) == [] and not site.state.ignored
    assert site.told == [], "they did not die at once"


def test_one_line_alone_has_no_other_to_ask(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, 1)
    site.dead = {ONE.name}
    assert site.check() == [] and site.told == []
    assert {name for name, _ in site.asked} == {"dsl"}


def test_a_portal_is_the_lines_own(patch: pytest.MonkeyPatch) -> None:
    site = world(patch)
    site.portals = {"dsl", "lte"}
    assert site.check(times=2) == [] and not site.state.ignored


def test_at_first_sight_a_single_dead_target_keeps_no_line_out(patch: pytest.MonkeyPatch) -> None:
    site = World(patch)
    site.dead = {ONE.name}
    assert site.check() == ["dsl", "lte"] and list(site.state.ignored) == [KEY]
    site.lose("dsl")
    assert site.check() == ["lte"]
    site.lose("dsl", "")
    assert site.check(every=5) == ["dsl", "lte"], "it has a pass"


def test_what_is_offline_does_not_come_up_by_its_gateway_unless_nothing_else_is_online(
    patch: pytest.MonkeyPatch,
) -> None:
    site = world(patch, 3)
    site.dead = {"dsl"}
    assert site.check() == ["lte", "sat"]
    site.dead = {ONE.name}
    assert site.check(times=9) == ["lte", "sat"]
    site.lose("lte")
    site.lose("sat")
    assert site.check(times=2) == ["dsl"]


@pytest.mark.parametrize(
    ("third", "ignored"),
    [({}, False), ({"dead": True, "dial": Dial()}, False), ({"dead": True}, True), ({"draining": True}, True)],
    ids=["it carries", "it can be dialled", "it is dead", "it is drained"],
)
def test_by_gateways_alone_nothing_is_ignored_while_another_uplink_may_carry(
    patch: pytest.MonkeyPatch, third: dict[str, Any], ignored: bool
) -> None:
    """What two lines share behind their gateways may have died, and a third one asks something else."""
    site = world(patch, 3)
    own = site.uplinks["sat"]
    config = own.config._replace(probe=own.config.probe._replace(targets=(TWO,)), dial=third.get("dial"))
    site.uplinks["sat"] = own._replace(config=config, draining=third.get("draining", False))
    site.dead = {"sat"} if third.get("dead") else set()
    site.check(times=4)
    site.dead |= {ONE.name}
    found = site.check(times=3)
    assert (list(site.state.ignored) == [KEY]) is ignored
    assert ({"dsl", "lte"} <= {*found}) is ignored


def test_a_router_that_says_there_is_no_way_is_no_life(patch: pytest.MonkeyPatch) -> None:
    site = world(patch)

    def refused(jobs: Sequence[Job], **_: Any) -> list[Result]:
        words = [f"no route to host, says {job.gateway}" for job in jobs]
        found = [(job, FULL if job.target.method is Method.GATEWAY else LIMITED) for job in jobs]
        return [Result(job, word, None, error) for (job, word), error in zip(found, words, strict=True)]

    patch.setattr(runner, "run", refused)
    assert site.check(times=2) == [] and not site.state.ignored


def test_a_metered_line_is_asked_for_one_answer_and_only_in_doubt(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, fall=3)
    site.metered("lte")
    site.check()
    before, counted = site.bytes["lte"], site.memory("lte").probe_bytes
    site.dead = {"dsl"}
    assert site.check() == ["lte"]
    asked = [one for one in site.asked if one[0] == "lte"]
    assert asked[0] == ("lte", ONE.name)
    assert site.bytes["lte"] - before == site.memory("lte").probe_bytes - counted
    site.dead = set()
    site.check(times=9)
    spent = site.bytes["lte"]
    site.dead = {"dsl"}
    site.now += 10
    rounds = judge_first(site)
    assert site.bytes["lte"] == spent, "the first bad round asks nobody else"
    assert rounds == 1


def judge_first(site: World) -> int:
    """One round of the first line alone."""
    before = site.memory("dsl").rounds
    judged = site.judged()
    keys = [key for key in wish.keys(judged, ("dsl",)) if key.family is IPV4]
    from mwan_hook.run import ask

    seen = tick._beside_witnesses(judged, ask.ask(judged, keys, Late()), Late(), set())
    site.reconcile(seen)
    return site.memory("dsl").rounds - before


def test_of_a_target_that_one_provider_blocks_others_are_asked_less_and_less(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, targets=(ONE, TWO))
    site.metered("lte")
    site.dead = {f"dsl/{ONE.name}"}
    site.check(times=4)
    spent = site.bytes["lte"]
    assert site.check(times=60) == ["dsl", "lte"]
    rounds = 600 // 300
    assert site.bytes["lte"] - spent <= (rounds + 5) * 2 * ECHO


@pytest.mark.parametrize("targets", [(ONE,), (ONE, TWO)])
def test_what_is_ignored_measures_no_line(patch: pytest.MonkeyPatch, targets: tuple[Target, ...]) -> None:
    site = world(patch, targets=targets)
    patch.setattr(quality, "wanted", lambda *_: quality.DueEchoes(1, burst=False))
    for name, own in site.uplinks.items():
        probe = own.config.probe._replace(loss_high=10.0, loss_low=3.0)
        site.uplinks[name] = own._replace(config=own.config._replace(probe=probe))
    cases: list[tuple[dict[str, float], set[str]]] = [
        ({}, {one.name for one in targets}),
        ({KEY: 1.0}, {one.name for one in targets[1:]}),
    ]
    for ignored, left in cases:
        site.state = site.state._replace(ignored=ignored)
        due = measure.due(site.judged(), wish.keys(site.judged()), site.now)
        assert {job.target.name for one in due for job in one.jobs} == left


# ---------------------------------------------------------------- all at once


@pytest.mark.parametrize(
    ("silent", "left"), [((), {ONE.name}), ((ONE.name,), {WEB.name}), ((ONE.name, WEB.name), {ONE.name})]
)
def test_what_never_answers_by_a_line_measures_it_only_where_nothing_else_answers(
    patch: pytest.MonkeyPatch, silent: tuple[str, ...], left: set[str]
) -> None:
    """A provider that lets no echo pass loses nothing."""
    site = world(patch, targets=(ONE, WEB))
    patch.setattr(quality, "wanted", lambda *_: quality.DueEchoes(1, burst=False))
    for name, own in site.uplinks.items():
        probe = own.config.probe._replace(loss_high=10.0, loss_low=3.0)
        site.uplinks[name] = own._replace(config=own.config._replace(probe=probe))
        memory = site.memory(name)
        told = tuple([one._replace(connectivity=LIMITED if one.target in silent else FULL) for one in memory.targets])
        kept = site.state.uplinks[name].with_family(Family.IPV4, memory._replace(targets=told))
        site.state = site.state._replace(uplinks={**site.state.uplinks, name: kept})
    due = measure.due(site.judged(), wish.keys(site.judged()), site.now)
    assert {job.target.name for one in due for job in one.jobs} == left


def test_all_dead_together_are_told_once_and_come_back_without_a_hold(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, 3, targets=(ONE, TWO), rise=2)
    site.check(every=700)
    for name in NAMES:
        assert site.memory(name).full_at is not None
    site.dead = set(NAMES)
    assert site.check(times=4) == []
    assert (site.told, site.state.dark) == (["common offline"], NAMES)
    site.dead = set()
    assert site.check() == ["dsl"]
    assert site.told == ["common offline", "common online"]
    assert site.check(times=2) == list(NAMES)
    assert all(site.memory(name).held_until is None for name in NAMES)
    assert (site.state.dark, site.state.light_at) == ((), 0.0)
    site.dead = {"lte"}
    site.check(times=2)
    site.dead = set()
    site.check()
    assert site.memory("lte").held_until is None, "the outage of all was no flap of its own"


def test_one_that_falls_twice_by_itself_is_held_as_ever(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, 2, targets=(ONE, TWO))
    for held in (True, True):
        site.dead = {"lte"}
        assert site.check(times=2) == ["dsl"]
        site.dead = set()
        site.check()
        assert (site.memory("lte").held_until is not None) is held


@pytest.mark.parametrize(("gap", "told"), [(50, ["common offline"]), (80, [])])
def test_together_means_within_a_minute(patch: pytest.MonkeyPatch, gap: float, told: list[str]) -> None:
    site = world(patch, targets=(ONE, TWO), fall=1)
    site.dead = {"dsl"}
    assert site.check() == ["lte"]
    site.dead |= {"lte"}
    assert site.check(every=gap) == [] and site.told == told


def test_what_was_out_before_or_was_switched_off_does_not_hide_it(patch: pytest.MonkeyPatch) -> None:
    site = world(patch, 3, targets=(ONE, TWO))
    site.dead = {"sat"}
    site.check(times=9)
    site.dead |= {"dsl", "lte"}
    site.check()
    assert site.state.dark == ("dsl", "lte") and site.told == ["common offline"]
    assert dark.keeps_back(site.state, site.now)
    assert not dark.keeps_back(site.state, site.state.dark_since + dark.PATIENCE)


def test_a_family_by_facts_is_no_life_beside_one_that_is_probed() -> None:
    probed, facts = FamilyState(OFFLINE, way="a"), FamilyState(ONLINE, way="b", by_facts=True)
    assert not dark.lives(UplinkState("eth1", 1, probed, facts))
    assert dark.lives(UplinkState("eth1", 1, FamilyState(), facts))
    assert dark.lives(UplinkState("eth1", 1, probed._replace(status=ONLINE), facts))


# ---------------------------------------------------------------- any sequence

FAULTS = ("dsl", "lte", "sat", f"lte/{TWO.name}", f"sat/{THREE.name}")


@given(
    st.lists(st.tuples(st.sets(st.sampled_from(FAULTS)), st.floats(1, 100)), max_size=8),
    st.sampled_from([{"targets": (ONE, TWO), "required": 2}, {"targets": (ONE, TWO, THREE), "required": 3}]),
    st.integers(1, 4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_no_sequence_takes_out_a_line_for_a_target_that_is_dead_everywhere(
    patch: pytest.MonkeyPatch, steps: list[tuple[set[str], float]], chosen: dict[str, Any], fall: int
) -> None:
    """Two lines that are alive by another target are enough; faults of the others go as they like."""
    site = world(patch, 3, fall=fall, **chosen)
    for faults, pause in steps:
        site.dead = {ONE.name, *(fault for fault in faults if fault.startswith("sat"))}
        assert {"dsl", "lte"} <= set(site.check(every=pause))


@given(st.lists(st.sets(st.sampled_from([*NAMES, ONE.name, TWO.name, "dsl/gateway:"])), max_size=10), st.integers(1, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_after_any_faults_a_dead_line_beside_one_that_answers_is_offline_after_its_rounds(
    patch: pytest.MonkeyPatch, steps: list[set[str]], fall: int
) -> None:
    site = world(patch, 3, fall=fall, targets=(ONE, TWO))
    for faults in steps:
        site.dead = set(faults)
        site.check()
    site.dead = {"dsl"}
    assert "dsl" not in site.check(times=2, forced=True)
