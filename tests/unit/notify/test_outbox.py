"""From a verdict to the hooks: nothing is lost, told twice or out of order, wherever a run is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwan_hook import config, plainos
from mwan_hook.commands import notify
from mwan_hook.model import (
    Allotment,
    Config,
    Connectivity,
    Contact,
    Family,
    FamilyState,
    MwanError,
    Notice,
    Notified,
    Snapshot,
    State,
    Status,
    Transition,
    UplinkState,
    WayOut,
)
from mwan_hook.notify import hooks, process
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Bound
from mwan_hook.run import channels, save
from mwan_hook.run import tell as telling
from mwan_hook.run.reconcile import Run
from mwan_hook.run.scene import Judged, Scene
from mwan_hook.store import again, codec, files, history, outbox, state, wake
from mwan_hook.verdict import notices
from tests.unit.verdict.verdicts import probe, uplink

HOOKS = ("10-first", "20-second")


class Killed(BaseException):
    """SIGKILL, as far as a test in one process can have it."""


class Killer:
    """Raises :class:`Killed` at one of the moments when something is written, renamed or removed."""

    def __init__(self) -> None:
        self.left = -1  # moments to live; -1: for ever
        self.moments = 0

    def moment(self) -> None:
        self.moments += 1
        if self.left == 0:
            raise Killed
        self.left -= 1

    def before(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*words: Any, **named: Any) -> Any:
            self.moment()
            return action(*words, **named)

        return wrapped


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    """Every primitive of the stores is a moment; the path unit is there, so nothing is started."""
    made = Killer()
    for name in ("write", "rename", "unlink"):
        monkeypatch.setattr(plainos, name, made.before(getattr(plainos, name)))
    monkeypatch.setattr(wake, "watched", lambda root: True)
    monkeypatch.setattr(process, "adopt", lambda orphans: None)
    monkeypatch.setattr(notify, "BACKOFF", 0)
    return made


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch, killer: Killer) -> list[tuple[str, str, str, str]]:
    """What two hooks were told: id, event, reason, and which hook; they may be killed before, within and after."""
    found: list[tuple[str, str, str, str]] = []

    def run(hook: hooks.Hook, timeout: float, variables: dict[str, str], given: bytes) -> bool:
        killer.moment()
        record = json.loads(given)
        found.append((record["id"], record["event"], record["reason"], hook.name))
        killer.moment()
        return True

    monkeypatch.setattr(wake, "has_hooks", lambda root: True)
    monkeypatch.setattr(hooks, "found", lambda root, event: iter([hooks.Hook(name, name, event) for name in HOOKS]))
    monkeypatch.setattr(hooks, "_run", run)
    return found


def live(root: Path, status: Status, reason: str) -> None:
    """One run that finds the uplink like this, as far as remembering and telling go."""
    stored, _ = state.load(str(root), writes=True)
    memory = FamilyState(status, Connectivity.UNKNOWN, judged=True, reason=reason)
    after = stored._replace(uplinks={"fiber": UplinkState("eth7", 7, memory)})
    bound = Bound((uplink(probe()),), Allotment(), ())
    seen = Scene(str(root), Config(), "print", stored, Allotment(), bound, Snapshot(), 5.0, 1e9)
    made = Run(str(root), config.load(str(root)))
    save.saved(made, Judged(seen, after, Desired(), ()), stored, (), ())


def tell(root: Path) -> None:
    """`mwan-hook notify`."""
    notify.run(str(root), False, None)


def killed(killer: Killer, after: int, action: Callable[..., None], *words: object) -> bool:
    """Whether ``action`` was killed at that moment."""
    killer.left = after
    try:
        action(*words)
    except Killed:
        return True
    finally:
        killer.left = -1
    return False


def test_a_run_killed_anywhere_loses_no_transition_and_tells_none_twice(
    tmp_path: Path, killer: Killer, heard: list[tuple[str, str, str, str]]
) -> None:
    live(tmp_path, Status.OFFLINE, "begin")
    tell(tmp_path)
    heard.clear()
    moment, number, deaths = 0, 0, 0
    while True:
        status = Status.OFFLINE if number % 2 else Status.ONLINE
        died = killed(killer, moment, live, tmp_path, status, f"change {number}")
        live(tmp_path, status, f"change {number}")
        tell(tmp_path)
        number, moment, deaths = number + 1, moment + 1, deaths + died
        if not died:
            break
    assert deaths >= 6
    expected = [
        ("offline" if change % 2 else "online", f"change {change}", hook) for change in range(number) for hook in HOOKS
    ]
    assert [one[1:] for one in heard] == expected
    assert [one[0] for one in heard] == sorted(one[0] for one in heard)
    assert len({one[0] for one in heard}) == number
    written = [one.reason for one in history.read(str(tmp_path)) if one.reason.startswith("change")]
    assert written == [f"change {change}" for change in range(number)]


def test_a_notifier_killed_anywhere_repeats_at_most_the_hook_that_ran(
    tmp_path: Path, killer: Killer, heard: list[tuple[str, str, str, str]]
) -> None:
    live(tmp_path, Status.OFFLINE, "begin")
    tell(tmp_path)
    moment = 0
    while True:
        heard.clear()
        for number in range(3):
            live(tmp_path, Status.OFFLINE if number % 2 else Status.ONLINE, f"{moment}.{number}")
        live(tmp_path, Status.OFFLINE, f"{moment}.3")
        died = killed(killer, moment, tell, tmp_path)
        tell(tmp_path)
        once = list(dict.fromkeys(heard))
        wanted = [(f"{moment}.{number}", hook) for number in range(4) for hook in HOOKS]
        assert [one[2:] for one in once] == wanted
        assert heard == sorted(heard, key=once.index)
        assert len(heard) - len(once) <= died
        assert not outbox.names(str(tmp_path), files.NOTIFY)
        if not died:
            break
        moment += 1
    assert moment > 40


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["online", "offline", "tell"]), st.integers(-1, 30)), max_size=14))
def test_any_order_of_runs_notifiers_and_kills_tells_each_change_once(
    tmp_path_factory: pytest.TempPathFactory,
    killer: Killer,
    heard: list[tuple[str, str, str, str]],
    steps: list[tuple[str, int]],
) -> None:
    root = tmp_path_factory.mktemp("root")
    heard.clear()
    live(root, Status.OFFLINE, "begin")
    for number, (what, after) in enumerate(steps):
        if what == "tell":
            killed(killer, after, tell, root)
        else:
            killed(killer, after, live, root, Status(what), str(number))
    live(root, state.load(str(root), writes=True)[0].uplinks["fiber"].ipv4.status, "end")
    tell(root)
    events = [one[1] for one in dict.fromkeys(heard) if one[3] == HOOKS[0] and one[1] in {"online", "offline"}]
    assert events == [("online", "offline")[number % 2] for number in range(len(events))]
    stored = state.load(str(root), writes=True)[0].uplinks["fiber"].ipv4.status
    assert (events[-1] if events else "offline") == stored.value
    assert [one[0] for one in heard] == sorted(one[0] for one in heard)


def test_a_run_that_finds_nothing_new_writes_nothing(tmp_path: Path, killer: Killer) -> None:
    live(tmp_path, Status.ONLINE, "why")
    before = state.stamp(str(tmp_path))
    killer.moments = 0
    live(tmp_path, Status.ONLINE, "why")
    assert killer.moments == 0
    assert state.stamp(str(tmp_path)) == before


def test_without_a_listener_the_spool_keeps_the_newest_and_says_so_once(
    tmp_path: Path, killer: Killer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outbox, "MOST", 5)
    for number in range(20):
        live(tmp_path, Status.OFFLINE if number % 2 else Status.ONLINE, str(number))
    found, messages = outbox.waiting(str(tmp_path), files.NOTIFY)
    assert [one.reason for one in found] == ["15", "16", "17", "18", "19"]
    assert messages == ()
    assert capsys.readouterr().err.count("notices are not delivered") == 1
    tell(tmp_path)
    live(tmp_path, Status.ONLINE, "again")
    assert state.load(str(tmp_path), writes=True)[0].unheard == 0


def test_a_spool_that_cannot_be_written_keeps_what_there_is_to_tell_in_the_state(
    tmp_path: Path, killer: Killer, heard: list[tuple[str, str, str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / files.NOTIFY
    place.parent.mkdir(parents=True)
    place.write_text("in the way")
    live(tmp_path, Status.ONLINE, "one")
    assert "is in the way" in capsys.readouterr().err
    assert [one.event for one in state.load(str(tmp_path), writes=True)[0].outbox] == ["plugged", "online"]
    place.unlink()
    live(tmp_path, Status.ONLINE, "one")
    tell(tmp_path)
    assert [one[1] for one in heard] == ["plugged", "plugged", "online", "online"]
    assert state.load(str(tmp_path), writes=True)[0].outbox == ()


def test_what_waits_in_the_state_is_bounded() -> None:
    old = tuple(Notice(notices.identity(number), "online") for number in range(300))
    assert notices.pending(old, (Notice("new", "offline"),))[-1].id == "new"
    assert len(notices.pending(old, old)) == notices.MOST_PENDING


def test_what_was_told_in_another_boot_means_nothing(tmp_path: Path, killer: Killer) -> None:
    outbox.note(str(tmp_path), Notified("another", last="9" * 20))
    assert outbox.notified(str(tmp_path))[0].last == ""


def test_what_is_no_notice_is_removed_and_said(tmp_path: Path, killer: Killer) -> None:
    place = tmp_path / files.NOTIFY
    place.mkdir(parents=True)
    (place / "1").write_text('{"id": "1"}')
    (place / "2").write_text('{"id": "2", "event": "online", "family": "ipx"}')
    (place / "3").write_text(json.dumps(codec.plain(Notice("3", "online", "fiber"))))
    found, messages = outbox.waiting(str(tmp_path), files.NOTIFY)
    assert [one.id for one in found] == ["3"]
    assert len(messages) == 2 and all("is no notice" in line for line in messages)
    assert os.listdir(place) == ["3"]


def test_ids_sort_by_time_and_within_one_moment() -> None:
    ids = [notices.identity(5, 0), notices.identity(5, 9), notices.identity(5, 10), notices.identity(10**12)]
    assert ids == sorted(ids)


def _two(status: Status, best: WayOut) -> State:
    memory = FamilyState(status, Connectivity.FULL if status is Status.ONLINE else Connectivity.LIMITED)
    return State(uplinks={"fiber": UplinkState("eth7", 7, memory)}, best={Family.IPV4: best} if best.uplink else {})


def _made(before: State, after: State) -> Iterator[Notice]:
    happened = notices.ways_out(before, after, 9.0)
    more = Transition("online", "fiber", "eth7", Family.IPV4, "offline", "online", "why", 9.0)
    return iter(notices.notices((*happened, more), before, after, (uplink(probe()),), 4.0, 12))


def test_a_notice_knows_the_uplink_its_numbers_and_the_way_out() -> None:
    way = WayOut("fiber", "eth7", "192.168.7.2", "192.168.7.1")
    default, online = _made(_two(Status.OFFLINE, WayOut()), _two(Status.ONLINE, way))
    assert (default.event, default.interface, default.family) == ("default-route", "eth7", Family.IPV4)
    assert default.ipv4 == online.ipv4 == Contact("192.168.7.2", "192.168.7.1")
    assert default.ipv6 == online.ipv6 == Contact()
    assert default.default == {Family.IPV4: way, Family.IPV6: WayOut()}
    assert (online.id, online.index, online.state, online.old_state) == (
        notices.identity(12, 1),
        7,
        Connectivity.FULL,
        Connectivity.LIMITED,
    )
    assert (online.online, online.offline) == (("fiber",), ())
    assert codec.decoder("Notice")(json.loads(json.dumps(codec.plain(online)))) == online


def test_the_way_out_is_empty_when_there_is_none() -> None:
    way = WayOut("fiber", "eth7", "192.168.7.2", "192.168.7.1")
    default, told = _made(_two(Status.ONLINE, way), _two(Status.OFFLINE, WayOut()))
    assert (default.interface, default.uplink, default.ipv4, default.index) == ("", "", Contact(), 0)
    assert (told.online, told.offline) == ((), ("eth7",))


def test_an_address_alone_is_another_way_out_and_a_renamed_uplink_is_not() -> None:
    way = WayOut("fiber", "eth7", "192.168.7.2", "192.168.7.1")
    before = State(best={Family.IPV4: way, Family.IPV6: way})
    assert notices.ways_out(before, State(best={Family.IPV4: way._replace(uplink="x"), Family.IPV6: way}), 1.0) == ()
    changed = State(best={Family.IPV4: way._replace(address="192.168.7.9"), Family.IPV6: way})
    assert [(one.family, one.new) for one in notices.ways_out(before, changed, 1.0)] == [
        (Family.IPV4, "eth7 192.168.7.9 192.168.7.1")
    ]


def test_without_a_unit_only_who_is_there_is_told(tmp_path: Path) -> None:
    assert not channels.needed(str(tmp_path), Config())
    (tmp_path / "etc/mwan-hook/conf.d").mkdir(parents=True)
    assert not channels.needed(str(tmp_path), Config())
    assert channels.needed(str(tmp_path), Config(mail=Config().mail._replace(to=("root",))))
    (tmp_path / "usr/lib/mwan-hook/online.d").mkdir(parents=True)
    assert channels.needed(str(tmp_path), Config())


@pytest.mark.parametrize("unit", [False, True])
def test_channels_are_told_in_the_order_of_the_table_with_a_unit_and_without(
    unit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killer: Killer
) -> None:
    told: list[tuple[str, tuple[str, ...]]] = []

    class Heard:
        def __init__(self, name: str) -> None:
            self.deliver = lambda root, loaded, given: self.take(name, given)

        def take(self, name: str, given: Sequence[Notice]) -> bool:
            told.append((name, tuple(one.id for one in given)))
            if name == "prometheus":
                raise ZeroDivisionError
            return True

    def full(_root: str) -> None:
        raise MwanError("no space left")

    monkeypatch.setattr(again, "wanted", full)
    monkeypatch.setattr(channels.Channel, "wanted", lambda row, root, config: row.name != "mail")
    monkeypatch.setattr(channels.Channel, "code", property(lambda row: Heard(row.name)))
    monkeypatch.setattr(wake, "watched", lambda root: unit)
    assert channels.needed(str(tmp_path), Config())
    outbox.hand_over(str(tmp_path), [Notice("1", "online"), Notice("2", "offline")])
    assert notify.run(str(tmp_path), False, None) == 1, "one failed"
    hooks_first = [("hooks", ("1",)), ("hooks", ("2",))]
    books = [("webhook", ("1", "2")), ("prometheus", ("1", "2")), ("report", ("1", "2"))]
    assert told == [*(books + hooks_first if unit else hooks_first + books), ("D-Bus", ("1", "2"))]
    assert not outbox.names(str(tmp_path), files.NOTIFY) | outbox.names(str(tmp_path), files.HOOKS)


def test_the_words_of_a_default_route_name_the_event() -> None:
    one = Transition("default-route", "fiber", "eth7", Family.IPV4, "none", "eth7", "why", 1.0)
    assert telling.words(one) == "default-route: ipv4 none -> eth7 (why)"
