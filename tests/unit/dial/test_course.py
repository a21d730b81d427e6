"""One backup from the outage to the hang-up: when it is dialled, when not, and what a dial costs that fails."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mwan_hook.dial import course
from mwan_hook.dial.values import Need, Occasion, Outlook, Sight, Verb
from mwan_hook.model import Activate, Activation, Dial, Exercise, Family, Phase, Policy
from tests.unit.dial.world import Line, World, on_demand, three, two

DIAL, HANG_UP, END, ABORT, RESET = Verb.DIAL, Verb.HANG_UP, Verb.END, Verb.ABORT, Verb.RESET


def test_peace_dials_nothing() -> None:
    world = two()
    world.runs(3600, every=10)
    assert world.lines["lte"].calls == []
    assert world.told == []
    assert world.phase("lte") == "idle"


def test_an_outage_dials_and_the_return_of_the_line_hangs_up_after_linger() -> None:
    world = two(linger=90.0)
    world.lines["fiber"].works = False
    world.runs(20)
    assert world.phase("lte") == "up"
    world.lines["fiber"].works = True
    world.runs(80)
    assert world.verbs("lte") == [DIAL]
    assert world.phase("lte") == "lingering"
    world.runs(20)
    assert world.verbs("lte") == [DIAL, HANG_UP]
    assert world.phase("lte") == "idle"
    assert world.events("lte") == ["dialling", "dialled", "hung-up"]
    assert world.records["lte"].tries == 0


def test_a_backup_is_dialled_for_a_line_that_is_drained_and_not_when_it_is_drained_itself() -> None:
    world = two(linger=60.0)
    world.lines["lte"].draining = True
    world.runs(200)
    assert world.verbs("lte") == []
    world.lines["fiber"].draining, world.lines["lte"].draining = True, False
    world.runs(20)
    assert (world.verbs("lte"), world.phase("lte")) == ([DIAL], "up")


def test_a_backup_that_is_drained_stays_up_until_it_is_disabled() -> None:
    world = two(linger=60.0)
    world.lines["fiber"].works = False
    world.runs(20)
    world.lines["fiber"].works, world.lines["lte"].draining = True, True
    world.runs(600, every=10)
    assert (world.verbs("lte"), world.phase("lte")) == ([DIAL], "up")
    world.lines["lte"].enabled = world.lines["lte"].draining = False
    world.runs(20)
    assert (world.verbs("lte"), world.phase("lte")) == ([DIAL, HANG_UP], "idle")


def test_a_flap_within_linger_costs_no_second_dial() -> None:
    world = two(linger=60.0)
    for _ in range(5):
        world.lines["fiber"].works = False
        world.runs(30)
        world.lines["fiber"].works = True
        world.runs(45)
    assert world.verbs("lte") == [DIAL]


def test_a_delay_is_waited_for_and_a_short_outage_dials_nothing() -> None:
    world = two(activate_delay=30.0)
    world.lines["fiber"].works = False
    world.runs(28)
    world.lines["fiber"].works = True
    world.runs(5)
    world.lines["fiber"].works = False
    world.runs(29)
    assert world.verbs("lte") == []
    world.runs(3)
    assert world.verbs("lte") == [DIAL]


@pytest.mark.parametrize("mode", ["fail", "hang", "noaddr"])
def test_a_dial_that_fails_is_ended_and_the_pause_doubles(mode: str) -> None:
    world = two(mode, ready_timeout=20.0, retry_min=30.0, retry_max=100.0)
    world.lines["fiber"].works = False
    world.runs(600)
    calls = world.lines["lte"].calls
    assert [verb for _, verb in calls[:6]] == [DIAL, ABORT] * 3
    times = [at for at, _ in calls]
    pauses = [round(times[place + 1] - times[place]) for place in range(1, len(times) - 1, 2)]
    assert pauses[:4] == [30, 60, 100, 100]
    assert world.records["lte"].tries >= 4
    assert world.events("lte")[:3] == ["dialling", "dial-failed", "dialling"]


@pytest.mark.parametrize("killed", ["", "stored", "asked"])
def test_a_reset_follows_a_failed_dial_at_most_once_an_hour_and_once_for_a_killed_run(killed: str) -> None:
    world = two("hang", ready_timeout=20.0, retry_min=30.0, reset="command:/bin/reset")
    world.lines["fiber"].works = False
    while world.phase("lte") != "waiting":
        world.runs(1)
    world.now += 1
    world.run(killed=killed)
    world.runs(5)
    assert world.verbs("lte") == [DIAL, ABORT, RESET]
    world.runs(3 * 3600 - 60, every=10)
    resets = [at for at, verb in world.lines["lte"].calls if verb is RESET]
    assert len(resets) == 3
    assert all(later - earlier >= 3600 for earlier, later in pairwise(resets))


@pytest.mark.parametrize("code", [19, 83])
def test_what_no_reset_mends_is_not_reset(code: int) -> None:
    world = two("fail", reset="command:/bin/reset")
    world.lines["lte"].code = code
    world.lines["fiber"].works = False
    world.runs(2 * 3600, every=10)
    assert RESET not in world.verbs("lte")
    assert not world.records["lte"].mendable


def test_a_wrong_password_is_tried_once_an_hour() -> None:
    world = two("fail")
    world.lines["lte"].code = 19
    world.lines["fiber"].works = False
    world.runs(7300, every=10)
    assert [at // 3600 for at, verb in world.lines["lte"].calls if verb is DIAL] == [0, 1, 2]
    assert world.records["lte"].reason == "exit code 19: wrong user or password"


def test_a_unit_that_is_not_known_is_final_until_the_operator_dials() -> None:
    world = two("fail")
    world.lines["lte"].final = True
    world.lines["fiber"].works = False
    world.runs(4 * 3600, every=30)
    assert world.verbs("lte").count(DIAL) == 1
    assert world.records["lte"].final


def test_two_backups_are_tried_one_by_one() -> None:
    world = three("hang", "ok", ready_timeout=40.0)
    world.lines["fiber"].works = False
    world.runs(38)
    assert world.verbs("gsm") == []
    world.runs(10)
    assert world.verbs("lte") == [DIAL, ABORT]
    assert world.phase("gsm") == "up"


def test_a_better_backup_that_comes_up_relieves_the_worse_one() -> None:
    world = three("hang", "ok", ready_timeout=20.0, linger=15.0)
    world.lines["fiber"].works = False
    world.runs(40)
    assert world.phase("gsm") == "up"
    world.lines["lte"].mode = "ok"
    world.runs(60)
    assert world.phase("lte") == "up"
    assert world.verbs("gsm") == [DIAL, HANG_UP]


def test_a_session_that_drops_is_dialled_again_at_once_and_then_as_a_failed_dial() -> None:
    world = two(retry_min=50.0)
    line = world.lines["lte"]
    world.lines["fiber"].works = False
    world.runs(10)
    line.up, line.asked = False, None
    world.runs(2)
    assert world.verbs("lte") == [DIAL, DIAL]
    world.runs(10)
    line.up, line.asked = False, None
    world.runs(40)
    assert world.verbs("lte") == [DIAL, DIAL, ABORT]
    world.runs(20)
    assert world.verbs("lte") == [DIAL, DIAL, ABORT, DIAL]
    assert world.phase("lte") == "up"


def test_ten_minutes_online_forget_what_failed() -> None:
    world = two()
    line = world.lines["lte"]
    world.lines["fiber"].works = False
    world.runs(10)
    for _ in range(3):
        line.up, line.asked = False, None
        world.runs(610)
    assert world.verbs("lte") == [DIAL] * 4


def test_connected_without_data_is_dialled_again_once() -> None:
    world = two("silent", retry_min=200.0)
    world.lines["fiber"].works = False
    world.runs(60)
    assert world.verbs("lte") == [DIAL, ABORT, DIAL, ABORT]
    assert world.records["lte"].reason == "connected without data"


@pytest.mark.parametrize("killed", ["stored", "asked"])
@pytest.mark.parametrize("mode", ["ok", "hang", "noaddr"])
def test_a_kill_between_storing_and_asking_loses_no_dial_and_doubles_none(killed: str, mode: str) -> None:
    for point in range(35):  # with both kinds and three modes, 210
        world = two(mode, ready_timeout=50.0)
        world.lines["fiber"].works = False
        for number in range(40):
            world.now += 1
            world.run(killed=killed if number == point else "")
        assert world.verbs("lte") == [DIAL]


@pytest.mark.parametrize("killed", ["stored", "asked"])
def test_a_kill_while_hanging_up_is_made_good(killed: str) -> None:
    for point in range(12):
        world = two(linger=5.0)
        world.lines["fiber"].works = False
        world.runs(10)
        world.lines["fiber"].works = True
        for number in range(20):
            world.now += 1
            world.run(killed=killed if number == point else "")
        assert set(world.verbs("lte")) == {DIAL, HANG_UP}
        assert world.phase("lte") == "idle"
        assert not world.lines["lte"].up


def test_what_a_killed_run_wanted_down_stays_up_once_it_is_the_only_way_out() -> None:
    world = two(linger=5.0)
    world.lines["fiber"].works = False
    world.runs(10)
    world.lines["fiber"].works = True
    while world.phase("lte") != "stopping":
        world.now += 1
        world.run(killed="stored")
    world.lines["fiber"].works = False
    world.runs(300)
    assert (world.verbs("lte"), world.phase("lte")) == ([DIAL], "up")
    assert world.events("lte") == ["dialling", "dialled"]
    world.lines["fiber"].works = True
    world.runs(20)
    assert world.verbs("lte") == [DIAL, HANG_UP]


def test_a_dial_that_a_killed_run_gave_up_may_come_up_late() -> None:
    world = two("hang", ready_timeout=20.0)
    world.lines["fiber"].works = False
    while world.phase("lte") != "stopping":
        world.now += 1
        world.run(killed="stored" if world.verbs("lte") else "")
    world.lines["lte"].mode = "ok"
    world.runs(300)
    assert (world.verbs("lte"), world.phase("lte")) == ([DIAL], "up")
    assert world.events("lte") == ["dialling", "dial-failed", "dialled"]


@pytest.mark.parametrize(("there", "verb"), [((Family.IPV6,), ABORT), ((Family.IPV4, Family.IPV6), None)])
def test_what_lacks_the_family_that_is_wanted_is_hung_up_all_the_same(
    there: tuple[Family, ...], verb: Verb | None
) -> None:
    record = Activation(Phase.STOPPING, ours=True, stop_at=10.0, stop_verb=ABORT.value, next_at=100.0)
    need = Need(Outlook.WANTED, "no better uplink is online", (Family.IPV4,))
    at = Occasion(11.0, Dial("unit:carrier"), need, Sight(families=there, alive=True), enabled=True)
    taken = course.step(record, at, free=True)
    assert (taken.verb, taken.record.phase is Phase.UP) == (verb, verb is None)


def test_fifty_triggers_are_one_dial() -> None:
    world = two()
    world.lines["fiber"].works = False
    for _ in range(50):
        world.run()
    assert world.verbs("lte") == [DIAL]


def test_what_another_hand_dialled_is_used_and_never_hung_up() -> None:
    world = two(linger=0.0)
    world.lines["lte"].up = True
    world.runs(30)
    world.lines["fiber"].works = False
    world.runs(300)
    world.lines["fiber"].works = True
    world.runs(3600, every=10)
    assert world.verbs("lte") == []
    assert world.lines["lte"].up


def test_the_only_way_out_is_not_hung_up() -> None:
    world = two(linger=0.0)
    world.lines["fiber"].works = False
    world.runs(10)
    world.runs(3600, every=10)
    assert world.verbs("lte") == [DIAL]


def test_disabling_hangs_up_at_once() -> None:
    world = two(linger=600.0)
    world.lines["fiber"].works = False
    world.runs(10)
    world.lines["lte"].enabled = False
    world.runs(2)
    assert world.verbs("lte") == [DIAL, HANG_UP]
    world.runs(100)
    assert world.verbs("lte") == [DIAL, HANG_UP]


def test_an_uplink_out_of_the_configuration_is_hung_up_when_there_is_another_way() -> None:
    world = two()
    world.lines["fiber"].works = False
    world.runs(10)
    line, dial = world.lines["lte"], world.lines["lte"].dial
    line.dial = None
    world.runs(10)
    assert world.verbs("lte") == [DIAL]
    assert dial


def test_unknown_is_not_offline() -> None:
    world = two()
    world.lines["fiber"].probed = False
    world.runs(300)
    assert world.verbs("lte") == []
    world.lines["fiber"].probed, world.lines["fiber"].works = True, False
    world.runs(2)
    assert world.verbs("lte") == [DIAL]


def test_what_never_appeared_is_waited_for_a_minute_after_the_first_run() -> None:
    world = two()
    world.begun = world.now
    world.lines["fiber"].probed = world.lines["fiber"].up = False
    world.runs(58)
    assert world.verbs("lte") == []
    world.runs(5)
    assert world.verbs("lte") == [DIAL]


def test_ipv6_alone_counts_only_where_a_better_uplink_had_it() -> None:
    both = (Family.IPV4, Family.IPV6)
    for had in (False, True):
        world = two()
        world.lines["lte"].families = both
        world.lines["fiber"].had6 = had
        world.runs(30)
        assert world.verbs("lte") == [DIAL] * had


def test_a_policy_that_lists_it_alone_makes_it_wanted() -> None:
    for uplinks in (("fiber", "lte"), ("lte",)):
        world = two()
        world.policies = (Policy("voip", order=(uplinks,)),)
        world.runs(200)
        assert world.verbs("lte") == [DIAL] * (uplinks == ("lte",))


@pytest.mark.parametrize("over", [True, False])
def test_beyond_the_quota_it_is_dialled_unless_that_is_refused(over: bool) -> None:
    world = two(dial_over_quota=over)
    world.exceeded = frozenset({"lte"})
    world.lines["fiber"].works = False
    world.runs(30)
    assert world.verbs("lte") == [DIAL] * over


def test_what_is_kept_up_is_dialled_without_an_outage() -> None:
    world = two(activate=Activate.ALWAYS)
    world.runs(1000)
    assert world.verbs("lte") == [DIAL]


def test_an_exercise_in_its_window_once_a_week() -> None:
    world = two(exercise=Exercise.WEEKLY)
    world.runs(7200, every=60)
    assert world.verbs("lte") == []
    world.minute = 4 * 60
    world.runs(1800, every=10)
    assert world.verbs("lte") == [DIAL, HANG_UP]
    world.now += 3 * 86400
    world.runs(600, every=10)
    assert world.verbs("lte") == [DIAL, HANG_UP]
    world.now += 4 * 86400
    world.runs(600, every=10)
    assert world.verbs("lte") == [DIAL, HANG_UP] * 2
    assert world.records["lte"].exercise_failed == 0


@pytest.mark.parametrize("mode", ["fail", "noaddr", "silent"])
def test_an_exercise_that_fails_is_told_and_hung_up(mode: str) -> None:
    world = two(mode, exercise=Exercise.MONTHLY, ready_timeout=20.0)
    world.minute = 3 * 60
    world.runs(3600, every=10)
    assert world.verbs("lte") == [DIAL, ABORT]
    assert world.events("lte").count("exercise-failed") == 1
    assert world.records["lte"].tries == 0


def test_an_outage_during_an_exercise_keeps_it_up() -> None:
    world = two(exercise=Exercise.WEEKLY)
    world.minute = 4 * 60
    world.run()
    assert world.phase("lte") == "exercising"
    world.lines["fiber"].works = False
    world.runs(400)
    assert world.verbs("lte") == [DIAL]
    assert world.phase("lte") == "up"


def test_dialled_by_a_command_it_stays_for_its_time() -> None:
    world = two(linger=20.0)
    world.run()
    world.records["lte"] = world.records["lte"]._replace(hand_until=world.now + 100)
    world.runs(115)
    assert world.verbs("lte") == [DIAL]
    world.runs(15)
    assert world.verbs("lte") == [DIAL, HANG_UP]


def test_hung_up_by_a_command_it_is_idle_until_the_next_outage() -> None:
    world = two()
    world.lines["fiber"].works = False
    world.runs(10)
    world.records["lte"] = world.records["lte"]._replace(hung=True)
    world.runs(500)
    assert world.verbs("lte") == [DIAL, HANG_UP]
    world.lines["fiber"].works = True
    world.runs(5)
    world.lines["fiber"].works = False
    world.runs(5)
    assert world.verbs("lte") == [DIAL, HANG_UP, DIAL]


def test_a_machine_with_the_backup_alone_keeps_it_up() -> None:
    world = World({"lte": Line(200, on_demand())})
    world.runs(500)
    assert world.verbs("lte") == [DIAL]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("fiber", "works", "lte:ok", "lte:fail", "lte:hang", "lte:noaddr", "lte:silent", "gsm:ok", "gsm:fail"),
                *("drop:lte", "drop:gsm", "kill:stored", "kill:asked", "off", "on"),
            ]
        ),
        st.floats(0.5, 90.0),
    ),
    min_size=3,
    max_size=25,
)


@settings(max_examples=75, deadline=None)
@example([("fiber", 1.0), ("fiber", 1.0), ("lte:silent", 1.0), ("kill:stored", 1.0), ("works", 1.0)])
@example([("lte:hang", 1.0), ("fiber", 6.0), ("kill:stored", 16.0), ("lte:ok", 1.0)])
@given(EVENTS)
def test_a_world_that_goes_wrong_in_any_order(script: list[tuple[str, float]]) -> None:
    world = three(ready_timeout=25.0, retry_min=10.0, linger=30.0)
    for what, seconds in script:
        _happen(world, what)
        until = world.now + seconds
        while world.now < until:
            world.now += 5
            before = {name: list(line.calls) for name, line in world.lines.items()}
            world.advance()
            ways = [name for name, line in world.lines.items() if line.up and line.works]
            world.run(killed=what.removeprefix("kill:") if what.startswith("kill:") else "")
            _hold(world, before, ways)
    for line in world.lines.values():
        line.mode, line.enabled = "ok", True
    world.lines["fiber"].works = False
    world.runs(400, every=5)
    assert any(line.up and line.works for line in world.lines.values()), "a way out is found in the end"
    world.lines["fiber"].works = True
    world.runs(200, every=5)
    assert not world.lines["lte"].up
    assert not world.lines["gsm"].up


def _happen(world: World, what: str) -> None:
    name, _, mode = what.partition(":")
    if what in ("fiber", "works"):
        world.lines["fiber"].works = what == "works"
    elif name in ("lte", "gsm"):
        world.lines[name].mode = mode
    elif name == "drop":
        world.lines[mode].up, world.lines[mode].asked = False, None  # what dials has ended with it
    elif what in ("on", "off"):
        world.lines["lte"].enabled = what == "on"


def _hold(world: World, before: dict[str, list[tuple[float, Verb]]], ways: list[str]) -> None:
    """What is so after every single run."""
    fresh = {name: line.calls[len(before[name]) :] for name, line in world.lines.items()}
    assert sum(map(len, fresh.values())) <= 1, "one request a run"
    for name, calls in fresh.items():
        for _, verb in calls:
            if verb is not DIAL and world.lines[name].enabled and ways == [name]:
                raise AssertionError(f"{name} was the only way out")
            if verb is DIAL:
                assert world.lines[name].enabled
                assert "fiber" not in ways, "nothing is dialled beside what is better"
    dialling = [name for name, record in world.records.items() if record.phase.value == "dialling"]
    assert len(dialling) <= 1, "one by one"
