"""What follows for connections once routes stand and the state is stored: order, memory, failures, and when again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mwan_hook import config
from mwan_hook.kernel import netlink
from mwan_hook.model import (
    Allotment,
    Change,
    Config,
    Family,
    FamilyState,
    MwanError,
    Op,
    Route,
    Rule,
    Snapshot,
    State,
    Status,
    Sysctl,
    UplinkState,
    WayOut,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Bound, Inputs
from mwan_hook.run import follow, judge, look, peace
from mwan_hook.run.reconcile import Run
from mwan_hook.run.scene import Followed, Judged, Scene, stands
from mwan_hook.store import state as states
from mwan_hook.verdict.facts import with_sources
from tests.unit import builders as b

NOW = 100.0


def scene(root: str, state: State) -> Scene:
    return Scene(root, Config(), "print", state, Allotment(), Bound((), Allotment()), Snapshot(), NOW, 2000.0)


def step(due: Callable[[Judged], float | None], do: Callable[[Judged], Followed], *lines: str) -> Any:
    return SimpleNamespace(due=due, do=lambda judged, until: do(judged), lines=lambda judged: lines)


def once(said: str, at: float = NOW) -> Any:
    """A step that is due at a time, and notes in the state that it was done."""
    return step(
        lambda judged: None if said in judged.state.warnings else at,
        lambda judged: Followed(judged.state._replace(warnings=(*judged.state.warnings, said)), (said,)),
        said,
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that finds the kernel right; what it judges is what is stored, with ``follow_at`` as a test puts it."""
    monkeypatch.setattr(netlink, "connect", lambda _: None)
    monkeypatch.setattr(netlink, "any_change", lambda _: False)

    def seen(root: str, loaded: object, memory: State | None) -> Scene:
        return scene(root, memory or states.load(root, writes=True)[0])

    monkeypatch.setattr(look, "to_write", seen)
    monkeypatch.setattr(judge, "judge", lambda seen, *_: Judged(seen, seen.state, Desired(), ()))
    return Run(str(tmp_path), config.Loaded(Config(), (), "print", (), "/"))


def stored(run: Run) -> State:
    return states.load(run.root, writes=False)[0]


def due_at(run: Run, at: float | None) -> None:
    states.save(run.root, State(config="print", follow_at=at))


@pytest.mark.parametrize("at", [None, NOW + 0.1])
def test_nothing_is_done_before_it_is_due(run: Run, monkeypatch: pytest.MonkeyPatch, at: float | None) -> None:
    monkeypatch.setattr(follow, "follow", pytest.fail)
    due_at(run, at)
    before = states.stamp(run.root)
    run.reconcile()
    assert states.stamp(run.root) == before


def test_steps_are_done_in_order_after_the_state_is_stored_and_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(follow, "steps", lambda _: (once("one"), once("later", NOW + 7), once("two")))
    due_at(run, NOW)
    judged = run.reconcile()
    assert capsys.readouterr().out == "[#] one\n[#] two\n"
    assert stored(run).warnings == judged.state.warnings == ("one", "two")
    assert stored(run).follow_at == NOW + 7
    stamp = states.stamp(run.root)
    assert stamp == judged.stamp
    Run(run.root, run.loaded).reconcile()
    assert states.stamp(run.root) == stamp and capsys.readouterr().out == ""


def test_what_a_killed_run_has_not_stored_is_done_by_the_next(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Judged) -> Followed:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "steps", lambda _: (step(lambda _: NOW, killed),))
    due_at(run, NOW)
    with pytest.raises(KeyboardInterrupt):
        run.reconcile()
    assert stored(run).follow_at == NOW
    monkeypatch.setattr(follow, "steps", lambda _: (once("done"),))
    Run(run.root, run.loaded).reconcile()
    assert stored(run).warnings == ("done",) and stored(run).follow_at is None


@pytest.mark.parametrize("error", [MwanError("no answer"), OSError(1, "not permitted"), KeyError("a mistake of ours")])
def test_what_fails_is_said_and_tried_again_and_holds_up_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fails(_: Judged) -> Followed:
        raise error

    monkeypatch.setattr(follow, "steps", lambda _: (step(lambda _: NOW, fails), once("two")))
    due_at(run, NOW)
    judged = run.reconcile()
    assert "connections: " in capsys.readouterr().err and len(judged.state.errors) == 1
    assert stored(run).warnings == ("two",)
    assert stored(run).follow_at == NOW + follow.RETRY


def test_a_full_disk_stops_no_step_and_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: str, __: State) -> None:
        raise MwanError("no room")

    due_at(run, NOW)
    monkeypatch.setattr(follow, "steps", lambda _: (once("done"),))
    monkeypatch.setattr(states, "save", full)
    assert run.reconcile().state.errors == ("no room",)
    assert run.memory and run.memory.warnings == ("done",), "the rest of this run knows it"


def test_a_plan_has_the_lines_of_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    never = step(lambda _: None, lambda judged: Followed(judged.state), "never")
    monkeypatch.setattr(follow, "steps", lambda _: (once("now"), once("later", NOW + 1), never))
    seen = scene("/", State())
    assert follow.planned(Judged(seen, seen.state, Desired(), ())) == ["now"]


@pytest.mark.parametrize(
    ("change", "four", "six"),
    [
        (Change(Op.ADD, Route(Family.IPV4, 1000)), False, True),
        (Change(Op.DELETE, Rule(Family.IPV6, 1200, 1001)), True, False),
        (Change(Op.ADD, b"copy", 1001, Family.IPV6), True, False),
        (Change(Op.ADD, Sysctl("net/ipv4/conf/eth1/rp_filter", "2")), True, True),
    ],
)
def test_routes_stand_as_soon_as_no_route_or_rule_of_the_family_is_left_to_change(
    change: Change, four: bool, six: bool
) -> None:
    seen = scene("/", State())
    found = Judged(seen, seen.state, Desired(), (change,))
    assert (stands(found, Family.IPV4), stands(found, Family.IPV6)) == (four, six)


# ---------------------------------------------------------------- what makes it due


ONLINE = FamilyState(status=Status.ONLINE, way="a b")


@pytest.mark.parametrize(
    "now",
    [
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE._replace(status=Status.OFFLINE))}),
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE._replace(way="a c"))}),
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE._replace(sources=("192.0.2.1",)))}),
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE, ipv6=ONLINE)}),
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE), "new": UplinkState()}),
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE)}, best={Family.IPV4: WayOut("dsl")}),
        State(uplinks={"dsl": UplinkState(ipv4=ONLINE)}, config="another"),
    ],
)
def test_what_turns_makes_it_due_at_one_stroke_with_the_verdict(now: State) -> None:
    before = State(uplinks={"dsl": UplinkState(ipv4=ONLINE)})
    assert judge._turned(before, now) and not judge._turned(now, now)
    counted = {name: one._replace(ipv4=one.ipv4._replace(good=7)) for name, one in now.uplinks.items()}
    assert not judge._turned(now, now._replace(uplinks=counted))


def test_a_look_that_turns_nothing_leaves_the_time_that_was_set() -> None:
    config_ = b.config(b.uplink("fiber"))
    around = b.snapshot("fiber")
    bound = b.bound(config_, Inputs(around, State(), Allotment()))
    seen = Scene("/", config_, "print", State(), bound.allotment, bound, around, NOW, 2000.0)
    first = judge.judge(seen)
    assert first.state.follow_at == NOW
    later = seen._replace(state=first.state._replace(follow_at=NOW + 60), now=NOW + 1)
    assert judge.judge(later).state.follow_at == NOW + 60


def test_addresses_of_an_uplink_are_kept_while_it_is_offline() -> None:
    config_ = b.config(b.uplink("fiber"))
    around = b.snapshot("fiber", families=(Family.IPV4, Family.IPV6))
    (uplink,) = b.bound(config_, Inputs(around, State(), Allotment())).uplinks
    here = uplink._replace(ipv4=uplink.ipv4._replace(lent="203.0.113.9"))
    online = b.state(fiber=Status.ONLINE).uplinks["fiber"]
    known = with_sources(online, here)
    assert known.ipv4.sources == ("203.0.113.9", "192.168.2.2") and known.ipv6.sources == ("2001:db8:2::2",)
    gone = uplink._replace(ipv4=uplink.ipv4._replace(addresses=()))
    offline = known.with_family(Family.IPV4, known.ipv4._replace(status=Status.OFFLINE))
    assert with_sources(offline, gone).ipv4.sources == known.ipv4.sources
    assert with_sources(known, gone).ipv4.sources == ()


@pytest.mark.parametrize(
    ("at", "seconds"), [(None, peace.LASTS), (NOW + 7, 7.0), (NOW + 2 * peace.LASTS, peace.LASTS), (NOW, 0.0)]
)
def test_the_short_way_ends_when_connections_are_due(at: float | None, seconds: float) -> None:
    assert peace.lasts(scene("/", State(follow_at=at))) == seconds
