"""What a run has worked out once it works out again only where something may follow that is not the same."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Allotment,
    Connectivity,
    Copies,
    Family,
    FamilyState,
    Job,
    LastResort,
    Probe,
    Round,
    Snapshot,
    State,
    Status,
    TargetResult,
    Traffic,
    UplinkState,
    Usage,
)
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import judge
from mwan_hook.run.scene import Judged, ProbedRound, Scene
from tests.unit import builders as b

NAMES = ("fiber", "cable")
TARGET = parse("icmp://192.0.2.9")
PROBE = Probe(targets=(TARGET,), portal_interval=0)
CONFIG = b.config(*(b.uplink(name, metric=100 * n, probe=PROBE) for n, name in enumerate(NAMES, 1)))
THERE = b.snapshot(*NAMES)


def memory(name: str, **values: Any) -> UplinkState:
    """An uplink that is online and was asked just now."""
    number = b.NAMES[name]
    way = f"192.168.{number}.2 192.168.{number}.1"
    known = FamilyState(Status.ONLINE, Connectivity.FULL, True, 5.0, 3, way=way, probed_at=90.0, next_probe_at=100.0)
    return UplinkState(name, number, known._replace(**values), FamilyState(reason="no address"))


def scene(there: Snapshot, state: State, now: float, config: Any = CONFIG) -> Scene:
    allotment = Allotment()
    bound = b.bound(config, Inputs(there, state, allotment))
    return Scene("/", config, "print", state, bound.allotment, bound, there, now, 2000.0)


def settled(state: State, now: float = 100.0, config: Any = CONFIG) -> Judged:
    """What is judged where the kernel has all that is desired."""
    wanted = judge.judge(scene(THERE, state, now, config)).desired
    copies = tuple(Copies(r.family, r.table, extra=(r,)) for r in wanted.tables)
    there = THERE._replace(rules=wanted.rules, shared=wanted.shared, sysctls=wanted.sysctls, copies=copies)
    made = judge.judge(scene(there, state, now, config))
    assert made.changes == ()
    return made


def answer(name: str, what: Connectivity) -> ProbedRound:
    number = b.NAMES[name]
    job = Job(name, Family.IPV4, TARGET, name, number, f"192.168.{number}.2", f"192.168.{number}.1")
    results = (TargetResult(TARGET.name, what, 3.0),)
    return ProbedRound(job, Round(what, 3.0, f"{what.word}", results, wire_bytes=72), 101.0)


FAMILY_STATES = {
    "status": st.sampled_from([Status.ONLINE, Status.OFFLINE]),
    "good": st.integers(0, 4),
    "bad": st.integers(0, 3),
    "judged": st.booleans(),
    "held_until": st.sampled_from([None, 99.0, 300.0]),
    "may_pass": st.booleans(),
    "burst": st.booleans(),
    "portal": st.booleans(),
    "connectivity": st.sampled_from(list(Connectivity)),
    "probed_at": st.sampled_from([None, 90.0]),
}
STATES = st.fixed_dictionaries({name: st.fixed_dictionaries({}, optional=FAMILY_STATES) for name in NAMES})
ROUNDS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(list(Connectivity)[1:]))


@given(STATES, ROUNDS, st.sampled_from(list(LastResort)), st.floats(101, 500))
def test_what_was_worked_out_before_changes_no_result(
    values: dict[str, dict[str, Any]], rounds: dict[str, Connectivity], last: LastResort, now: float
) -> None:
    config = CONFIG._replace(routing=CONFIG.routing._replace(last_resort=last))
    state = State(boot_id="boot", uplinks={name: memory(name, **more) for name, more in values.items()})
    first = settled(state, config=config)
    seen = first.scene._replace(state=first.state._replace(saved_at=100.0), now=now)
    said = [answer(name, what) for name, what in rounds.items()]
    assert judge.judge(seen, said, frozenset(), first) == judge.judge(seen, said)


@pytest.mark.parametrize("over", NAMES)
def test_beyond_its_quota_a_line_stands_in_only_where_no_other_can(over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = [b.uplink(n, metric=100 * k, probe=PROBE, quota=1000 * (n == over)) for k, n in enumerate(NAMES, 1)]
    earning = {"status": Status.OFFLINE, "good": 1, "held_until": 500.0}
    state = State("boot", {name: memory(name, **earning) for name in NAMES})
    used = {over: Usage("boot", b.NAMES[over], 0, 50.0, "2026-11-01", {"2026-11-01": 5000})}
    there = THERE._replace(traffic=Traffic("boot", {b.NAMES[over]: 0}))
    monkeypatch.setattr(time, "localtime", lambda _: (2026, 11, 5))
    made = judge.judge(scene(there, state._replace(usage=used), 100.0, b.config(*limited)))
    online = [name for name, one in made.state.uplinks.items() if one.ipv4.status is Status.ONLINE]
    assert online == [name for name in NAMES if name != over]
    alone = judge.judge(made.scene._replace(bound=made.scene.bound._replace(uplinks=made.scene.uplinks[:1])))
    assert list(alone.desired.online[Family.IPV4]) == [NAMES[0]]


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> list[State]:
    """The states that a kernel was worked out from."""
    states: list[State] = []
    desired = judge._desired

    def noted(seen: Scene, state: State) -> Any:
        states.append(state)
        return desired(seen, state)

    monkeypatch.setattr(judge, "_desired", noted)
    return states


def at_rest() -> Judged:
    """Both online and good, for some rounds already."""
    first = settled(State(boot_id="boot", uplinks={name: memory(name) for name in NAMES}))
    return settled(first.state)


def test_a_good_round_in_peace_is_counted_without_working_anything_out(works: list[State]) -> None:
    first = at_rest()
    works.clear()
    seen = first.scene._replace(state=first.state._replace(saved_at=100.0, run_seconds=0.1), now=105.0)
    after = judge.judge(seen, [answer(name, Connectivity.FULL) for name in NAMES], frozenset(), first)
    assert works == [] and after.changes == ()
    assert [one.ipv4.rounds for one in after.state.uplinks.values()] == [1, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: seen._replace(snapshot=seen.snapshot._replace(rules=())),
        lambda seen: seen._replace(bound=seen.bound._replace(warnings=("news",))),
        lambda seen: seen._replace(config=seen.config._replace(uplinks=seen.config.uplinks[:1])),
        lambda seen: seen._replace(state=seen.state._replace(last_online={})),
        lambda seen: seen._replace(state=seen.state._replace(uplinks={**seen.state.uplinks, "fiber": UplinkState()})),
    ],
)
def test_all_else_that_differs_is_worked_out_again(change: Any, works: list[State]) -> None:
    first = at_rest()
    works.clear()
    judge.judge(change(first.scene._replace(state=first.state, now=105.0)), (), frozenset(), first)
    assert len(works) == 1


def test_where_something_was_to_do_all_is_worked_out_again(works: list[State]) -> None:
    first = judge.judge(at_rest().scene._replace(snapshot=THERE))
    assert first.changes
    works.clear()
    again = judge.judge(first.scene._replace(state=first.state), (), frozenset(), first)
    assert len(works) == 1 and again.changes == first.changes
