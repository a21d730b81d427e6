"""The repair ladder as values: what is due when, and a simulated line over reboots and kills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook.model import (
    Activation,
    Connectivity,
    Dial,
    Family,
    FamilyState,
    Phase,
    Rung,
    Status,
    Uplink,
    UplinkState,
)
from mwan_hook.repair import ladder
from mwan_hook.repair.ladder import DAY, Climb, Clocks, Done, Due, Line
from tests.unit import builders

RUNGS = (Rung("renew", 60), Rung("reconfigure", 180), Rung("hook", 600))
ONLINE = FamilyState(Status.ONLINE, Connectivity.FULL, judged=True, since=1, transitions=1)
NONE, LIMITED, FULL = Connectivity.NONE, Connectivity.LIMITED, Connectivity.FULL


def uplink(up: bool = True, enabled: bool = True, most: int = 8, rungs: Sequence[Rung] = RUNGS) -> Uplink:
    config = builders.uplink("lte", repair=tuple(rungs), repair_max=most)
    return Uplink(config, "lte", "lte", 4, 1001, 100, 0, 0, enabled, builders.link("lte", up))


def dead(since: float, saw: Connectivity = LIMITED, **more: object) -> FamilyState:
    return FamilyState(Status.OFFLINE, saw, judged=True, since=since, **more)  # type: ignore[arg-type]


def out(since: float, transitions: int = 0) -> UplinkState:
    return UplinkState("lte", 4, dead(since, transitions=transitions), dead(1.0, NONE))


def at(now: float, boot: str = "a", wall: float = 1e9) -> Clocks:
    return Clocks(boot, now, wall + now)


def current(climb: Climb, one: Uplink, memory: UplinkState, now: Clocks) -> Climb:
    return ladder.current(climb, Line(one, memory, Activation()), now)


def due(one: Uplink, memory: UplinkState, climb: Climb, now: Clocks) -> Due | None:
    return ladder.due(Line(one, memory, Activation()), climb, now)


def dead_since(one: Uplink, memory: UplinkState) -> float | None:
    return ladder.dead_since(Line(one, memory, Activation()))


def due_at(climb: Climb, memory: UplinkState, now: Clocks, one: Uplink | None = None) -> tuple[str, float] | None:
    one = one or uplink()
    found = due(one, memory, current(climb, one, memory, now), now)
    return (found.rung.step, found.at) if found else None


def climbed(climb: Climb, memory: UplinkState, now: Clocks, one: Uplink | None = None) -> Climb:
    """The next step, begun and ended at this moment."""
    one = one or uplink()
    climb = current(climb, one, memory, now)
    next_one = due(one, memory, climb, now)
    assert next_one is not None and next_one.at <= now.now
    begun = ladder.begun(ladder.passed(one.config.repair, climb, now), next_one.rung.step, now)
    assert begun.unfinished
    return ladder.ended(begun, "done")


# ---------------------------------------------------------------- who gets a step at all


@pytest.mark.parametrize(
    ("families", "since"),
    [
        ((dead(100), dead(90, NONE)), 100),
        ((dead(100, NONE), dead(120)), 120),
        ((dead(100), FamilyState(since=130)), 130),  # not probed yet in the other: it is the same outage
        ((ONLINE, dead(100)), None),
        ((dead(100), ONLINE), None),
        ((dead(100, Connectivity.PORTAL), dead(90, NONE)), None),
        ((dead(100, FULL), dead(90, NONE)), None),  # held, or earning its rise
        ((FamilyState(since=100), FamilyState(since=100)), None),  # unknown
        ((FamilyState(), FamilyState()), None),
        ((dead(100)._replace(status=Status.DISABLED), dead(90)), None),
    ],
)
def test_only_a_line_that_is_known_to_be_out_in_all_families_is_repaired(
    families: tuple[FamilyState, FamilyState], since: float | None
) -> None:
    assert dead_since(uplink(), UplinkState("lte", 4, *families)) == since


def test_a_line_that_is_switched_off_or_down_is_left_alone_and_one_without_interface_is_not() -> None:
    memory = out(100)
    assert dead_since(uplink(enabled=False), memory) is None
    assert dead_since(uplink()._replace(draining=True), memory) is None
    assert dead_since(uplink(up=False), memory) is None
    assert dead_since(uplink()._replace(link=None), memory) == 100


UP = Activation(Phase.UP, ours=True)
FAILED = Activation(Phase.WAITING, ours=True, wanted_since=150.0, mendable=True)


@pytest.mark.parametrize(
    ("dialled", "link_up", "since"),
    [
        (Activation(), False, None),  # idle
        (Activation(Phase.DIALLING, wanted_since=150.0), True, None),
        (Activation(Phase.STOPPING, wanted_since=150.0, mendable=True), True, None),
        (FAILED, False, 150),
        (FAILED._replace(wanted_since=50.0), False, 100),
        (FAILED._replace(mendable=False), False, None),  # a locked SIM, a wrong password
        (FAILED._replace(hung=True), False, None),
        (UP._replace(wanted_since=150.0), True, None),  # about to be dialled again
        (UP._replace(wanted_since=150.0, ours=False), True, 100),
        (UP._replace(phase=Phase.LINGERING), True, 100),
        (UP._replace(phase=Phase.LINGERING), False, None),
    ],
)
def test_a_dialled_line_is_repaired_between_failed_dials_and_while_it_is_up_without_being_dialled_again(
    dialled: Activation, link_up: bool, since: float | None
) -> None:
    one = uplink(up=link_up)
    one = one._replace(config=one.config._replace(dial=Dial("modem:apn=internet")))
    assert ladder.dead_since(Line(one, out(100), dialled)) == since
    answers = UplinkState("lte", 4, dead(100, Connectivity.PORTAL), dead(90, NONE))
    assert ladder.dead_since(Line(one, answers, dialled)) is None
    assert ladder.dead_since(Line(one._replace(enabled=False), out(100), dialled)) is None


def test_dials_that_fail_are_one_outage_of_which_each_pause_goes_on_with_the_ladder() -> None:
    one = uplink(up=False)
    one = one._replace(config=one.config._replace(dial=Dial("unit:dsl")))
    climb, seen = Climb(), []
    for now in range(1000, 1700, 10):
        dials = (now // 50) % 2  # a dial of 50 s, a pause of 50 s
        record = FAILED._replace(phase=Phase.DIALLING if dials else Phase.WAITING, wanted_since=1000.0)
        line, moment = Line(one, out(1.0), record), at(now)
        climb = ladder.current(climb, line, moment)
        found = ladder.due(line, climb, moment)
        if found and found.at <= now:
            seen.append((found.rung.step, now))
            climb = ladder.ended(ladder.begun(ladder.passed(RUNGS, climb, moment), found.rung.step, moment), "done")
    assert seen == [("renew", 1100), ("reconfigure", 1200), ("hook", 1600)]


def test_a_family_that_the_uplink_does_not_serve_says_nothing() -> None:
    one = uplink()
    one = one._replace(config=one.config._replace(families=(Family.IPV4,)))
    assert dead_since(one, UplinkState("lte", 4, dead(100), ONLINE)) == 100


# ---------------------------------------------------------------- when


def test_each_step_comes_at_its_time_since_the_line_went_offline() -> None:
    memory, climb, seen = out(1000), Climb(), []
    for now in range(1000, 1700, 10):
        found = due_at(climb, memory, at(now))
        assert found is not None
        if found[1] <= now:
            seen.append((found[0], now - 1000))
            climb = climbed(climb, memory, at(now))
    assert seen == [("renew", 60), ("reconfigure", 180), ("hook", 600)]


def test_on_each_further_climb_the_pauses_are_doubled() -> None:
    memory, climb, seen = out(1000), Climb(), []
    for _ in range(8):
        found = due_at(climb, memory, at(1e6))
        assert found is not None
        seen.append((found[0], round(found[1] - 1000)))
        climb = climbed(climb, memory, at(found[1]))
    assert seen[:3] == [("renew", 60), ("reconfigure", 180), ("hook", 600)]
    assert seen[3:6] == [("renew", 720), ("reconfigure", 960), ("hook", 1800)]
    assert seen[6:] == [("renew", 1800 + 240), ("reconfigure", 1800 + 240 + 480)]


def test_a_step_that_came_late_leaves_the_next_one_half_of_its_pause() -> None:
    memory = out(1000)
    climb = climbed(Climb(), memory, at(5000))
    assert due_at(climb, memory, at(5000)) == ("reconfigure", 5060)


def test_the_ladder_ends_when_the_line_is_online_and_the_next_outage_begins_a_new_one() -> None:
    climb = climbed(Climb(), out(1000), at(1060))
    back = UplinkState("lte", 4, ONLINE, dead(1.0, NONE))
    rested = current(climb, uplink(), back, at(1100))
    assert not rested.since and not rested.place and len(rested.done) == 1 and rested.counts == {"renew": 1}
    assert current(rested, uplink(), back, at(1110)) == rested
    assert due_at(rested, out(2000), at(2000)) == ("renew", 2060)
    assert due_at(climb, out(2000), at(2000)) == ("renew", 2060), "no run has looked while it was online"


def test_what_a_step_does_to_one_family_is_no_other_outage() -> None:
    memory = UplinkState("lte", 4, dead(1000), dead(1020))
    climb = climbed(Climb(), memory, at(1080))
    after = memory._replace(ipv6=memory.ipv6._replace(connectivity=Connectivity.UNKNOWN))
    assert due_at(climb, after, at(1090)) == ("reconfigure", 1200)


def test_what_keeps_a_step_back_is_looked_at_again_and_does_not_climb() -> None:
    memory = out(1000)
    climb = ladder.kept_back(current(Climb(), uplink(), memory, at(1060)), "why", at(1060))
    assert due_at(climb, memory, at(1070)) == ("renew", 1060 + ladder.PATIENCE)
    found = due(uplink(), memory, climb, at(1070))
    assert found is not None and found.why == "why"
    assert climbed(climb, memory, at(1120)).held == ""


def test_a_configuration_with_fewer_steps_begins_the_next_climb() -> None:
    memory = out(1000)
    climb = climbed(climbed(Climb(), memory, at(1060)), memory, at(1180))
    found = due_at(climb, memory, at(1200), uplink(rungs=RUNGS[:1]))
    assert found == ("renew", 1180 + 120)
    assert due_at(climb, memory, at(1200), uplink(rungs=())) is None


# ---------------------------------------------------------------- how often


def test_no_more_steps_in_a_day_than_allowed_and_again_when_the_oldest_is_a_day_old() -> None:
    one, memory, climb = uplink(most=2), out(1000), Climb()
    for now in (1060, 1180):
        climb = climbed(climb, memory, at(now), one)
    found = due(one, memory, climb, at(1700))
    assert found is not None and found.at == 1060 + DAY and "repair_max is 2" in found.why
    assert due_at(climb, memory, at(1060 + DAY), one) == ("hook", 1600)


def test_the_day_is_counted_over_reboots_by_the_wall_or_by_the_uptime() -> None:
    one, memory = uplink(most=1), out(50)
    spent = Climb(done=(Done("before", 90_000, 1e9 + 90_000),))
    for wall, free in ((1e9 + 91_000, DAY - 1000 + 100), (1e9, DAY), (1e9 + 90_000 + DAY, 110)):
        found = due_at(spent, memory, Clocks("a", 100, wall), one)
        assert found and found[1] == pytest.approx(max(free, 110)), "a clock that was set back makes no step older"


def test_entries_that_are_a_day_old_are_forgotten_with_the_next_step_but_counts_stay() -> None:
    old = Climb(done=(Done("a", 10, 10),), counts={"renew": 4})
    climb = climbed(old, out(DAY), at(DAY + 60))
    assert len(climb.done) == 1 and climb.counts == {"renew": 5}


# ---------------------------------------------------------------- kills and reboots


def test_a_step_begun_in_an_earlier_boot_is_taken_for_done_and_the_ladder_goes_on() -> None:
    one, memory = uplink(), out(1000)
    climb = current(Climb(), one, memory, at(1060))
    stored = ladder.begun(ladder.passed(RUNGS, climb, at(1060)), "renew", at(1060))
    unknown = UplinkState("lte", 4, FamilyState(since=5.0), FamilyState())
    assert current(stored, one, unknown, at(6, "b")) == stored, "nothing is known yet"
    after = current(stored, one, out(20), at(30, "b"))
    assert not after.unfinished and after.outcome == ladder.REBOOTED
    assert due_at(stored, out(20), at(30, "b")) == ("reconfigure", 20 + 120)


def test_one_that_was_online_in_this_boot_begins_anew() -> None:
    climb = climbed(Climb(), out(1000), at(1060))
    assert due_at(climb, out(20, transitions=2), at(30, "b")) == ("renew", 80)


def test_what_was_begun_and_not_ended_is_still_known_when_the_line_is_online() -> None:
    stored = ladder.begun(Climb("a", since=5, place=1), "replug", at(1060))
    rested = current(stored, uplink(), UplinkState("lte", 4, ONLINE), at(1070))
    assert rested.unfinished and rested.step == "replug" and not rested.since
    assert not ladder.ended(rested, "done").unfinished


# ---------------------------------------------------------------- together


@pytest.mark.parametrize(
    ("dead", "online", "answering", "beyond"),
    [
        (("a", "b"), False, {"a": True, "b": True}, True),
        (("a", "b"), False, {"a": True}, False),  # the other's gateway says nothing, or it has none
        (("a", "b"), False, {}, False),
        (("a", "b"), True, {"a": True, "b": True}, False),
        (("a",), False, {"a": True}, False),  # alone there is no together
    ],
)
def test_the_fault_is_beyond_us_where_all_are_dead_and_all_gateways_answer(
    dead: tuple[str, ...], online: bool, answering: dict[str, bool], beyond: bool
) -> None:
    assert ladder.beyond(dead, online, answering) is beyond


# ---------------------------------------------------------------- a simulated line


SEEN: dict[str, Callable[[float], UplinkState]] = {
    "online": lambda since: UplinkState("lte", 4, ONLINE._replace(since=since), dead(0.5, NONE)),
    "out": out,
    "portal": lambda since: UplinkState("lte", 4, dead(since, Connectivity.PORTAL), dead(0.5, NONE)),
    "unknown": lambda since: UplinkState("lte", 4, FamilyState(since=since), FamilyState(since=since)),
}
WHAT = st.tuples(st.sampled_from(["online", "out", "out", "out", "portal", "reboot", "kill"]), st.integers(1, 400))


class Simulated:
    """A line, the clock, and the process that does what is due; it may be killed before it stores a step's end."""

    def __init__(self, most: int) -> None:
        self.uplink, self.climb = uplink(most=most), Climb()
        self.boot, self.now, self.since, self.wall = 0, 10.0, 10.0, 1e9
        self.state, self.was_online, self.killed, self.outage = "online", True, False, 0
        self.steps: list[tuple[float, str, int]] = []  # wall, step, outage

    def happens(self, event: str) -> None:
        if event == "reboot":
            self.boot, self.wall, self.now = self.boot + 1, self.wall + self.now, 10.0
            self.state, self.since, self.was_online = "unknown", 10.0, False
        elif event == "kill":
            self.killed = True
        elif event != self.state:
            self.since = self.now if "online" in (event, self.state) else self.since
            self.state = event
            self.outage += event == "online"
            self.was_online |= event == "online"

    def memory(self) -> UplinkState:
        seen = SEEN[self.state](self.since)
        if self.was_online and self.state != "online":
            return seen._replace(ipv4=seen.ipv4._replace(transitions=1))
        return seen

    def tick(self) -> None:
        self.now += 10.0
        moment, memory = Clocks(str(self.boot), self.now, self.wall + self.now), self.memory()
        if self.climb.unfinished and self.climb.boot_id == moment.boot_id:
            self.climb = ladder.ended(self.climb, ladder.HURT)
        fresh = current(self.climb, self.uplink, memory, moment)
        self.climb = fresh if self.state == "online" else self.climb  # a run stores no more than that
        found = due(self.uplink, memory, fresh, moment)
        if found is None or found.at > self.now:
            return
        assert self.state == "out" and self.now - self.since >= RUNGS[0].after
        begun = ladder.begun(ladder.passed(RUNGS, fresh, moment), found.rung.step, moment)
        self.steps.append((moment.wall, found.rung.step, self.outage))
        self.climb, self.killed = begun if self.killed else ladder.ended(begun, "done"), False


@settings(max_examples=75, deadline=None)
@given(st.lists(WHAT, max_size=30), st.integers(1, 6))
def test_a_simulated_line_gets_each_step_once_in_order_and_never_too_many(
    story: list[tuple[str, int]], most: int
) -> None:
    line = Simulated(most)
    for event, ticks in story:
        line.happens(event)
        for _ in range(ticks):
            line.tick()
    order = [rung.step for rung in RUNGS]
    for (then, step, earlier), (later, following, this) in pairwise(line.steps):
        if earlier == this:
            assert order.index(following) == (order.index(step) + 1) % len(order), "none twice, none lost"
            assert later - then >= 30, "half of the shortest pause"
        else:
            assert following == "renew"
    for place, (then, _, _) in enumerate(line.steps):
        assert sum(then <= other < then + DAY - 1 for other, _, _ in line.steps[place:]) <= most
