"""A run's course: what it writes in which order, what it keeps in mind, when it stops; the kernel is a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from mwan_hook import config
from mwan_hook.kernel import neighbours, netlink, nft, rereader, write
from mwan_hook.machine import names
from mwan_hook.model import (
    PROTOCOL,
    UNREAD,
    Allotment,
    Change,
    Config,
    CopyRoutes,
    Family,
    Firewall,
    Link,
    MwanError,
    Notice,
    Op,
    Routing,
    Rule,
    Ruleset,
    Snapshot,
    State,
    Sysctl,
    Transition,
    UplinkState,
    Usage,
    WayOut,
)
from mwan_hook.quota import usage
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Bound
from mwan_hook.run import change, judge, look, metering, record, ruleset, save, tell
from mwan_hook.run.reconcile import Run
from mwan_hook.run.scene import Judged, Scene
from mwan_hook.store import files, history, spool, state
from mwan_hook.store import state as states
from mwan_hook.verdict import switches

ONE, TWO = (Change(Op.ADD, Sysctl(f"net.ipv4.conf.eth{n}.rp_filter", "0")) for n in (1, 2))
TABLE = Change(Op.ADD, Ruleset(("add table inet mwan_hook",)))
NEWS = Notice(f"{1:020d}-0", "online")


class World:
    """A root, and a kernel in which ``todo`` is what differs from what should be."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = str(root)
        self.moved = False  # what the kernel says when it is asked for changes
        self.todo: list[Change] = []
        self.refused: dict[Change, str] = {}
        self.later: list[list[Change]] = []  # what differs after each time something was changed
        self.verdict: dict[str, Any] = {}  # of each look
        self.given = Allotment()
        self.firewall: Firewall | None = None
        self.turns: dict[str, Any] = {}
        self.links: tuple[Link, ...] = ()
        self.nft: list[Firewall] = []
        self.now = 100.0
        self.steps: list[str] = []
        self.at_hand: list[State] = []  # the stored state whenever the kernel is touched
        self.deprecated: tuple[str, ...] = ()
        monkeypatch.setattr(netlink, "connect", lambda _: "own")
        monkeypatch.setattr(netlink, "any_change", lambda ears: ears == ("own", "another's") and self.moved)
        monkeypatch.setattr(look, "to_write", self._look)
        monkeypatch.setattr(judge, "judge", self._judge)
        monkeypatch.setattr(write, "apply", self._apply)
        monkeypatch.setattr(ruleset, "settle", self._table)
        monkeypatch.setattr(names, "write", lambda _, protocol, *__: [f"no name for {protocol}"])
        self.patch = monkeypatch.setattr
        self.run = self.another()

    def another(self, warnings: tuple[str, ...] = ()) -> Run:
        """A run that starts now."""
        told: Any = ["another's"]
        return Run(self.root, config.Loaded(Config(), warnings, "print", (), "/"), told)

    def stored(self) -> State:
        return states.load(self.root, writes=False)[0]

    def _look(self, root: str, loaded: config.Loaded, memory: State | None) -> Scene:
        self.steps.append("look" if memory is None else "look with memory")
        state = memory or states.load(root, writes=True)[0]
        bound = Bound((), self.given, turns=self.turns)
        known = states.load_allotment(root, writes=True)[0]
        there = Snapshot(firewall=self.firewall, links=self.links)
        return Scene(root, loaded.config, "print", state, known, bound, there, self.now, 2000.0, ("seen",))

    def _judge(
        self, seen: Scene, rounds: object = (), asked: frozenset[str] = frozenset(), earlier: object = None
    ) -> Judged:
        self.asked, self.seen = asked, seen
        state = seen.state._replace(config="print", **self.verdict)
        return Judged(seen, state, Desired(), tuple(self.todo), self.deprecated)

    def _apply(self, changes: list[Change]) -> list[str]:
        self.steps.append(f"change {len(changes)}")
        self.at_hand.append(self.stored())
        failed = [self.refused[one] for one in changes if one in self.refused]
        done = [one for one in self.todo if one in self.refused or isinstance(one.what, Ruleset)]
        self.todo = self.later.pop(0) if self.later else done
        return failed

    def _table(self, judged: Judged, again: object, patience: float) -> tuple[Firewall, list[str]]:
        self.steps.append(f"nft {patience:g}")
        found = self.nft.pop(0)
        self.firewall = found
        if not found.failed:
            self.todo = [one for one in self.todo if not isinstance(one.what, Ruleset)]
        return found, [found.failed] if found.failed else []

    def refuse_to_save(self) -> Callable[[], None]:
        """The disk is full until the returned function is called."""
        save, full = states.save, [True]

        def failing(root: str, state: State) -> None:
            if full:
                raise MwanError("no room")
            save(root, state)

        self.patch(states, "save", failing)
        return full.clear


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


# ---------------------------------------------------------------- when anything is written


def test_a_run_that_finds_all_in_order_writes_its_state_once_and_never_again(world: World) -> None:
    world.run.reconcile()
    stored, stamp = world.stored(), states.stamp(world.root)
    assert (stored.boot_id, stored.config, stored.saved_at, stored.saved_wall) == (states.boot_id(), "print", 100, 2000)
    assert 0 < stored.run_seconds == round(stored.run_seconds, 6) < 60
    world.now += 50
    for run in (world.run, world.another()):
        assert run.reconcile().stamp == stamp == states.stamp(world.root)
    assert world.steps == ["look", "look"], "no kernel was touched, and nothing was read anew without news"


def test_no_run_fails_by_its_record(world: World) -> None:
    tried: list[object] = []

    def failing(*words: object) -> None:
        tried.append(words)
        raise RuntimeError("a fault of the program")

    world.patch(record, "_seen", failing)
    assert world.run.reconcile().stamp == states.stamp(world.root)
    assert len(tried) == 1 and world.stored().config == "print"


def test_what_the_run_was_asked_for_lasts_until_it_is_stored(world: World) -> None:
    world.run.asked = frozenset({"eth1"})
    world.run.take_events(["eth2"])
    assert world.asked == {"eth1", "eth2"} and not world.run.asked


def test_events_are_taken_out_of_the_spool_by_a_run_that_is_to_take_them_only(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.run.take_events(())
    spool.put(world.root, "add", "eth7")
    (Path(world.root) / files.EVENTS / "torn").write_text("{")
    world.run.reconcile()
    assert world.asked == frozenset() and "torn" not in capsys.readouterr().err
    world.run.take_events(())
    assert world.asked == {"eth7"} and "torn" in capsys.readouterr().err


def test_warnings_of_the_configuration_are_said_when_it_is_new(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.verdict = {"warnings": ("a tunnel",)}
    for expected in ("seen\nmwan-hook: odd key\nmwan-hook: a tunnel", "seen"):
        world.another(("odd key",)).reconcile()
        assert capsys.readouterr().err == f"mwan-hook: {expected}\n"


# ---------------------------------------------------------------- what is on record before the kernel is touched


def test_before_the_first_change_tables_and_marks_are_on_the_disk_and_verdicts_are_not(world: World) -> None:
    world.todo, world.given = [ONE], Allotment(tables={"dsl": 1001})
    world.verdict = {"tables": (1001,), "uplinks": {"dsl": UplinkState("eth1")}}
    world.run.reconcile()
    assert world.steps == ["look", "change 1", "look with memory"], "of its own record it knows what it says"
    assert (world.at_hand[0].tables, world.at_hand[0].uplinks) == ((1001,), {})
    assert state.load_allotment(world.root, writes=False)[0] == world.given
    assert world.stored().uplinks == {"dsl": UplinkState("eth1")}


def test_an_allotment_alone_is_written_too_and_only_a_new_one(world: World) -> None:
    world.todo = [ONE]
    world.run.reconcile()
    assert not (Path(world.root) / files.ALLOTMENT).exists()
    world.given, world.moved = Allotment(tables={"dsl": 1001}), True
    world.run.reconcile()
    assert state.load_allotment(world.root, writes=False)[0] == world.given


def test_what_cannot_be_put_on_record_is_told_and_holds_up_no_route(world: World) -> None:
    world.todo, world.verdict = [ONE], {"tables": (1001,)}
    heal = world.refuse_to_save()
    judged = world.run.reconcile()
    assert judged.state.errors == ("no room", "no room") and world.todo == []
    assert world.run.memory and world.run.memory.tables == (1001,), "the rest of the run goes by it"
    heal()
    assert world.run.reconcile().state.errors == () == world.stored().errors
    assert world.stored().tables == (1001,)


def test_a_word_by_hand_that_has_lost_is_told_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    state.save_allotment(world.root, Allotment(enabled={"dsl": False}))
    world.patch(switches, "overruled", lambda before, _: [f"lost: {before.enabled}"])
    for expected in (1, 0):
        world.another().reconcile()
        assert capsys.readouterr().err.count("lost: {'dsl': False}") == expected
    world.given = Allotment(tables={"dsl": 1001})
    world.another().reconcile()
    assert "lost" not in capsys.readouterr().err


# ---------------------------------------------------------------- change and look again


@pytest.mark.parametrize(
    ("later", "applied"),
    [
        ([[TWO], []], [1, 1]),  # until nothing is left
        ([[ONE]], [1]),  # or nothing helps
        ([[TWO], [ONE], [TWO], [ONE], [TWO], [ONE]], [1] * change.PASSES),  # and not for ever
    ],
)
def test_changes_go_on_while_they_lead_further(world: World, later: list[list[Change]], applied: list[int]) -> None:
    world.todo, world.later = [ONE], later
    world.run.reconcile()
    assert [step for step in world.steps if "change" in step] == [f"change {n}" for n in applied]


def test_what_the_kernel_refuses_is_an_error_while_it_is_wanted_and_tried_by_each_run(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.todo, world.refused = [ONE, TWO], {ONE: "busy"}
    assert world.run.reconcile().state.errors == ("busy",) == world.stored().errors
    out, err = capsys.readouterr()
    assert "rp_filter" in out and f"no name for {PROTOCOL}" in err, (
        "what is done is printed, and a small failure is no error"
    )
    world.refused.clear()
    assert world.another().reconcile().state.errors == () == world.stored().errors
    assert world.todo == []


def test_a_change_whose_interface_went_under_it_is_no_error(world: World) -> None:
    world.todo, world.refused, world.later = [ONE], {ONE: "no such device"}, [[]]
    assert world.run.reconcile().state.errors == ()


def test_after_an_error_the_next_run_tries_all_again_and_clears_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    states.save(world.root, State(config="print", errors=("busy",)))
    for expected in (True, False):
        assert not world.another().reconcile().state.errors and not world.stored().errors
        assert ("no name for" in capsys.readouterr().err) is expected


def test_the_words_of_an_error_come_before_those_of_a_full_disk(world: World) -> None:
    world.run.reconcile()
    world.moved, world.todo, world.refused = True, [ONE], {ONE: "busy"}
    world.refuse_to_save()
    assert world.run.reconcile().state.errors == ("busy", "no room")


# ---------------------------------------------------------------- what is known need not be read


def test_only_news_of_the_kernel_or_of_another_run_make_it_look_anew(world: World) -> None:
    world.run.reconcile()
    world.steps.clear()
    world.run.reconcile()
    assert world.steps == [] and world.seen.messages == ()
    assert world.seen.now != world.now and world.seen.wall > 2000
    world.moved = True
    world.run.reconcile()
    assert world.steps == ["look with memory"]
    world.moved, world.verdict = False, {"tables": (7,)}
    world.another().reconcile()
    world.steps.clear()
    world.run.reconcile()
    assert world.steps == ["look"] and world.run.last and world.run.last.state.tables == (7,)


UNPLUGGED = Link(4, "eth4", up=True, carrier=False)


@pytest.mark.parametrize(
    ("change", "links", "kept"),
    [
        (ONE, (UNPLUGGED._replace(carrier=True), UNPLUGGED._replace(up=False)), True),
        (ONE, (UNPLUGGED,), False),  # the setting may have made its routes dead
        (Change(Op.ADD, Rule(Family.IPV4, 1, 1)), (UNPLUGGED,), True),
    ],
)
def test_where_all_of_main_is_copied_one_reader_looks_as_long_as_nothing_changes_unheard(
    world: World, change: Change, links: tuple[Link, ...], kept: bool
) -> None:
    readers: list[object] = []

    def again(reader: object, root: str, loaded: config.Loaded, memory: State | None) -> Scene:
        readers.append(reader)
        return world._look(root, loaded, memory)

    world.patch(rereader, "Rereader", lambda _: object())
    world.patch(look, "again", again)
    copying = Config()._replace(routing=Routing(copy_routes=CopyRoutes.MAIN))
    run = Run(world.root, config.Loaded(copying, (), "print", (), "/"), world.another()._listeners[1:])
    world.links, world.todo = links, [change]
    run.reconcile()
    assert (readers[1] is readers[0]) == kept and len(readers) == 2
    world.moved = True
    run.reconcile()
    assert readers[2] is readers[1]
    states.save(world.root, world.stored()._replace(tables=(7,)))
    run.reconcile()
    assert readers[3] is not readers[2], "another run may have left routes anywhere"


@pytest.mark.parametrize(("count", "deaf"), [(900, True), (9, False)])
def test_a_run_hears_others_but_not_itself_make_thousands_of_changes(world: World, count: int, deaf: bool) -> None:
    listeners: list[Mock] = []
    there: list[list[bool]] = []

    def connect(_: int) -> Mock:
        listeners.append(Mock())
        return listeners[-1]

    def apply(changes: list[Change]) -> list[str]:
        there.append([one.close.called for one in listeners])
        return world._apply(changes)

    world.patch(netlink, "connect", connect)
    world.patch(write, "apply", apply)
    heard: list[object] = []
    world.patch(netlink, "any_change", heard.append)
    run, world.todo = world.another(), [ONE] * count
    run.reconcile()
    assert there == [[deaf]]
    assert [one.close.called for one in listeners] == [True, False][not deaf :]
    assert heard == [(listeners[0], "another's"), (listeners[-1], "another's")]


@pytest.mark.parametrize(("asks", "looks"), [(True, 2), (False, 1)])
def test_gateways_that_wait_for_their_turn_are_asked_once_in_a_run(world: World, asks: bool, looks: int) -> None:
    calls: list[object] = []
    answers = iter([asks])
    world.patch(neighbours, "ask", lambda *given: (calls.append(given), next(answers))[1])  # type: ignore[func-returns-value]
    world.run.reconcile()
    world.steps.clear()
    world.turns, world.moved = {"dsl/ipv4": object()}, True
    world.run.reconcile()
    assert (world.steps, calls) == (["look with memory"] * looks, [((), world.turns)])
    world.moved = False
    world.run.reconcile()
    assert (len(world.steps), len(calls)) == (looks + 1, 1), "and each look is a new one meanwhile"


# ---------------------------------------------------------------- nft(8)


GOOD = Firewall(9, "digest", TABLE.what.commands)  # type: ignore[union-attr]
LATE, BAD = GOOD._replace(failed=nft.NO_ANSWER), GOOD._replace(failed="nft: no")


def test_the_table_comes_after_the_routes_and_is_on_record_at_once(world: World) -> None:
    world.todo, world.firewall, world.nft = [ONE, TABLE], Firewall(8), [GOOD]
    world.run.reconcile()
    assert world.steps == ["look", "change 1", "nft 2", "look with memory"]
    assert world.stored().firewall == GOOD and not world.run.failed


def test_a_table_that_was_not_read_is_asked_for_though_nothing_differs(world: World) -> None:
    world.firewall, world.nft = Firewall(8, UNREAD), [GOOD]
    world.run.reconcile()
    assert "nft 2" in world.steps and world.stored().firewall == GOOD


def test_an_nft_that_was_slow_is_asked_again_at_the_end(world: World) -> None:
    world.todo, world.firewall, world.nft = [TABLE], Firewall(8), [LATE, GOOD]
    judged = world.run.reconcile()
    assert (judged.changes, world.run.failed, world.stored().firewall) == ((), False, LATE)
    world.run.finish(judged)
    assert [step for step in world.steps if "nft" in step] == ["nft 2", "nft 8"]
    assert world.stored().firewall == GOOD


def test_an_nft_that_refuses_is_asked_once_in_a_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.todo, world.firewall, world.nft = [TABLE], Firewall(8), [BAD]
    judged = world.run.reconcile()
    assert world.run.failed and world.run.finish(judged) is judged
    assert "nft: no" in capsys.readouterr().err and not judged.state.errors, "status names it beside the errors"


def test_what_failed_in_an_earlier_run_waits_for_the_end_and_no_answer_there_is_a_failure(world: World) -> None:
    states.save(world.root, State(config="print", firewall=BAD))
    world.todo, world.firewall, world.nft = [TABLE], BAD._replace(listing=UNREAD), [LATE]
    judged = world.run.reconcile()
    assert (world.steps, judged.changes) == (["look"], ())
    world.run.finish(judged)
    assert world.steps[-2:] == ["nft 8", "look with memory"] and world.run.failed
    assert world.run.reconcile().changes == (), "not asked again"


def test_nothing_is_finished_where_nothing_failed(world: World) -> None:
    judged = world.run.reconcile()
    assert world.run.finish(judged) is judged


def test_another_runs_state_is_not_written_over_by_what_nft_has_made(world: World) -> None:
    world.todo, world.firewall, world.nft = [TABLE], Firewall(8), [GOOD]
    world.run.reconcile()
    world.run.memory = State(tables=(5,))  # older than the file, as its stamp tells
    world.run.stamp = (0, 0)
    world.todo, world.nft, world.moved = [TABLE], [GOOD], True
    world.run.reconcile()
    assert world.stored().tables == ()


# ---------------------------------------------------------------- what is told


def test_what_is_to_be_told_is_stored_first_and_stays_until_it_could_be(world: World) -> None:
    told: list[State] = []

    def hand_over(root: str, _: object, state: State) -> State:
        told.append(world.stored())
        return state._replace(outbox=())

    world.patch(tell, "handed_over", hand_over)
    world.verdict = {"outbox": (NEWS,)}
    heal = world.refuse_to_save()
    world.run.reconcile()
    assert told == [] and world.run.memory and world.run.memory.outbox == (NEWS,)
    heal()
    world.run.reconcile()
    assert [one.outbox for one in told] == [(NEWS,)] and not world.run.memory.outbox
    world.verdict = {}
    world.run.reconcile()
    assert len(told) == 1, "nothing is left to tell"


@pytest.mark.parametrize(
    ("known", "repeat", "age", "spoken"),
    [
        (("a",), (), 0, False),
        ((), (), 0, True),
        (("a",), ("a",), save.SAID_TWICE, True),
        (("a",), ("a",), save.SAID_TWICE - 0.5, False),
        (("a",), (), save.SAID_TWICE, False),
    ],
)
def test_hosts_hear_what_changed_and_once_more_after_a_while(
    world: World, known: tuple[str, ...], repeat: tuple[str, ...], age: float, spoken: bool
) -> None:
    world.deprecated, heard = ("a",), []

    def advertised(_: Judged, state: State) -> State:
        heard.append(state)
        return state

    world.patch(tell, "advertised", advertised)
    world.verdict = {"deprecated": known, "to_repeat": repeat, "said_at": world.now - age}
    world.run.reconcile()
    assert bool(heard) is spoken


def test_what_came_and_which_way_out_is_the_best_are_told_once_to_hooks_and_the_history(world: World) -> None:
    handed: list[State] = []

    def hand_over(root: str, _: object, state: State) -> State:
        handed.append(state)
        return state._replace(outbox=())

    world.patch(tell, "handed_over", hand_over)
    world.run.reconcile()
    way = {Family.IPV4: WayOut("dsl", "eth1", "192.0.2.2", "192.0.2.1")}
    world.moved, world.verdict = True, {"uplinks": {"dsl": UplinkState("eth1", 3)}, "best": way}
    for _ in "12":
        world.run.reconcile()
    events = [one.event for one in history.read(world.root)]
    assert events == ["plugged", "default-route"] == [one.event for state in handed for one in state.outbox]


@pytest.mark.parametrize("moved", [True, False])
def test_what_was_carried_is_kept_and_its_thresholds_are_told(world: World, moved: bool) -> None:
    crossed = Transition("quota-warned", "dsl", "eth1", None, "below", "warned", "80 %", 2000.0)

    def keep(*_: object, now: bool) -> tuple[str, ...]:
        raise MwanError("flash is full")

    world.patch(metering, "keep", keep)
    world.patch(metering, "transitions", lambda *_: (crossed,) if moved else ())
    world.patch(usage, "quiet", lambda state, *_: state._replace(tables=(9,)))
    world.run.reconcile()
    assert not world.stored().tables, "no quota, nothing to count"
    world.moved, world.verdict = True, {"usage": {"dsl": Usage()}}
    assert world.run.reconcile().state.errors == ("flash is full",)
    assert world.stored().tables == (9,), "as quiet as counters are"
    assert history.read(world.root) == ((crossed,) if moved else ())
