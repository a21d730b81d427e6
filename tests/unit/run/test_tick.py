"""What a run asks and when, what it makes of the answers, and with which word it ends: the kernel and the net aside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mwan_hook import config, say
from mwan_hook.config.targets import parse
from mwan_hook.model import (
    LOCAL_TABLE,
    MAIN_TABLE,
    Address,
    Allotment,
    Busy,
    Config,
    Connectivity,
    Family,
    FamilyState,
    Job,
    Metrics,
    MwanError,
    Nexthop,
    Pool,
    Probe,
    Quality,
    Result,
    Route,
    Rule,
    Snapshot,
    State,
    Status,
    Sysctl,
    UplinkState,
    Usage,
)
from mwan_hook.probes import runner
from mwan_hook.probes.loop import Late
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.run import ask, change, judge, look, rating, tick, wish
from mwan_hook.run.ask import Questions
from mwan_hook.run.scene import Judged, Key, ProbedRound, Scene
from mwan_hook.run.wish import Request
from mwan_hook.store import files, lock, wake
from mwan_hook.store import state as states
from mwan_hook.verdict import standing
from tests.unit import builders as b
from tests.unit.verdict.test_only_way import IPV4, Site
from tests.unit.verdict.verdicts import FULL, LIMITED, OFFLINE, ONLINE, PING, PORTAL, PORTALLED

IPV6 = Family.IPV6
ALL, NONE, FRESH = Request(), Config(), State()
OTHER, THIRD = parse("icmp://192.0.2.10"), parse("tcp://192.0.2.11:53")


def site_of(online: str = "dsl", **settings: Any) -> Site:
    """Two lines that were asked just now."""
    site = Site(**{"targets": (PING, OTHER, THIRD), "burst_interval": 1.0, **settings})
    site.run(0, **{name: FULL if name in online else LIMITED for name in site.uplinks})
    return site


def key(site: Site, name: str) -> Key:
    return Key(site.uplinks[name], IPV4)


def made(*words: Connectivity, portal: bool = False, size: int = 10) -> list[Result]:
    jobs = [Job("dsl", IPV4, PORTAL if portal else PING, "eth1", 1, "a", portal=portal) for _ in words]
    return [Result(job, word, 5.0, wire_bytes=size) for job, word in zip(jobs, words, strict=True)]


# ---------------------------------------------------------------- one round


def test_a_spared_round_goes_on_with_all_of_the_kind_that_did_not_answer() -> None:
    own = tuple(one.job._replace(target=target) for one in made(FULL) for target in (PING, OTHER))
    checks = tuple(one.job for one in made(FULL, FULL, portal=True))
    asked = Questions((own[0], checks[0]), (*own, *checks))
    assert asked.after([*made(FULL), *made(FULL, portal=True)]) == ()
    assert asked.after([*made(LIMITED), *made(FULL, portal=True)]) == own
    assert asked.after([*made(FULL), *made(PORTALLED, portal=True)]) == checks
    assert Questions((), own).after(made(LIMITED)) == (), "all were asked"


@pytest.mark.parametrize(
    ("spared", "second", "word", "spent", "partial"),
    [
        (True, [], LIMITED, 10, True),
        (True, made(FULL, FULL), FULL, 30, False),  # the whole round is what is judged
        (True, made(FULL, portal=True), LIMITED, 20, True),
        (False, [], LIMITED, 10, False),
    ],
)
def test_of_what_was_asked_twice_the_second_answer_counts_and_both_were_paid_for(
    spared: bool, second: list[Result], word: Connectivity, spent: int, partial: bool
) -> None:
    jobs = tuple(one.job for one in made(FULL))
    found = ask.merged(Questions(jobs if spared else (), jobs), made(LIMITED), second, 1)
    assert (found.connectivity, found.wire_bytes, found.partial) == (word, spent, partial)
    assert found.portal_checked is any(one.job.portal for one in second)


def test_a_portal_check_that_is_asked_again_is_paid_for_twice() -> None:
    found = ask.merged(Questions((), ()), [*made(FULL), *made(LIMITED, portal=True)], made(FULL, portal=True), 1)
    assert (found.portal, found.wire_bytes) == (False, 30)


def asks(site: Site, name: str) -> tuple[int, int, int]:
    """How many targets are asked at first, how many in all, and how many portal checks are among these."""
    found = ask.questions_for(site.judged(), key(site, name))
    return len(found.spared), len(found.whole), sum(job.portal for job in found.whole)


def test_a_good_line_is_asked_little_and_another_one_everything() -> None:
    site = site_of(online="dsl")
    assert asks(site, "dsl") == (2, 4, 1)
    assert asks(site, "lte") == (0, 4, 1), "it is offline"
    site.run(10, dsl=LIMITED)
    assert asks(site, "dsl") == (0, 3, 0), "in doubt the line alone is asked for, and all of it"


def test_a_metered_line_behind_a_portal_is_asked_little_while_another_one_carries() -> None:
    site = site_of(online="dsl lte")

    def behind_a_portal(metered: bool) -> None:
        state = site.state.uplinks["lte"]
        there = state.ipv4._replace(status=OFFLINE, connectivity=PORTALLED, burst=False, full_at=None)
        site.state = site.state._replace(uplinks={**site.state.uplinks, "lte": state.with_family(IPV4, there)})
        own = site.uplinks["lte"]
        site.uplinks["lte"] = own._replace(config=own.config._replace(metered=metered))

    behind_a_portal(metered=True)
    assert asks(site, "lte")[0] == 2
    behind_a_portal(metered=False)
    assert asks(site, "lte")[0] == 0
    behind_a_portal(metered=True)
    dsl = site.state.uplinks["dsl"]
    lost = dsl.with_family(IPV4, dsl.ipv4._replace(status=OFFLINE))
    site.state = site.state._replace(uplinks={**site.state.uplinks, "dsl": lost})
    assert asks(site, "lte")[0] == 0, "nothing else carries"


def test_a_round_asks_the_spared_targets_of_all_lines_at_once_then_what_they_leave_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = site_of(online="dsl lte", timeout=7)
    calls: list[list[str]] = []

    def run(jobs: Sequence[Job], **_: Any) -> list[Result]:
        calls.append([f"{job.uplink} {'portal' if job.portal else 'own'}" for job in jobs])
        return [Result(job, LIMITED if job.uplink == "dsl" and not job.portal else FULL, 5.0, None, 10) for job in jobs]

    monkeypatch.setattr(runner, "run", run)
    late = Late()
    found = {one.job.uplink: one.round for one in ask.ask(site.judged(), [key(site, "dsl"), key(site, "lte")], late)}
    assert calls == [["dsl own", "dsl portal", "lte own", "lte portal"], ["dsl own"] * 3]
    assert {name: (one.connectivity, one.partial, one.wire_bytes) for name, one in found.items()} == {
        "dsl": (LIMITED, False, 50),
        "lte": (FULL, True, 20),
    }
    assert late.patience >= 7
    calls.clear()
    assert ask.ask(site.judged(), [], late) == [] and calls == [], "no question starts no probe"


# ---------------------------------------------------------------- the rounds of a run


class Story:
    """A run over a site whose lines answer as told; a fake clock counts its pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, site: Site, **answers: Sequence[Connectivity]) -> None:
        self.site, self.answers = site, {name: list(words) for name, words in answers.items()}
        self.asked: list[tuple[float, str]] = []
        self.start = site.now
        monkeypatch.setattr(tick, "clock", lambda: site.now)
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(ask, "ask", self._ask)

    def _sleep(self, seconds: float) -> None:
        assert 0 < seconds < 60
        self.site.now += seconds

    def _ask(self, judged: Judged, keys: Sequence[Key], late: Late) -> list[ProbedRound]:
        names = [one.uplink.name for one in keys]
        self.asked += [(round(self.site.now - self.start, 3), name) for name in names]
        return self.site.seen(**{name: self.answers[name].pop(0) for name in names})

    def reconcile(self, rounds: Sequence[ProbedRound] = ()) -> Judged:
        site = self.site
        site.state = site.state._replace(uplinks=rating.verdicts(site.scene(), rounds, frozenset()))
        return site.judged()

    def probe(self, wish: Request = ALL) -> list[tuple[float, str]]:
        tick._probe(self, self.reconcile(), wish, self.start, Late())  # type: ignore[arg-type]
        return self.asked


def test_a_line_in_doubt_is_asked_again_after_each_pause_until_it_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_of(online="dsl lte", fall=3)
    site.now += 10
    story = Story(monkeypatch, site, dsl=[LIMITED] * 3, lte=[FULL])
    assert story.probe() == [(0, "dsl"), (0, "lte"), (1, "dsl"), (2, "dsl")]
    assert (site.memory("dsl").status, site.memory("lte").status) == (OFFLINE, ONLINE)


def test_what_is_online_is_asked_first_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_of(online="dsl")
    site.now += 10
    assert Story(monkeypatch, site, dsl=[FULL], lte=[LIMITED]).probe() == [(0, "dsl"), (0, "lte")]
    site.now += 1
    assert Story(monkeypatch, site).probe() == [], "nothing is due"
    assert Story(monkeypatch, site, dsl=[FULL]).probe(Request(names=("dsl",), since=site.now)) == [(0, "dsl")]
    assert Story(monkeypatch, site, lte=[LIMITED]).probe(Request(names=("eth2",), since=site.now)) == [(0, "lte")]


def test_a_doubt_that_outlasts_the_longest_burst_is_left_to_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_of(online="dsl lte", fall=100)
    site.now += 10
    story = Story(monkeypatch, site, dsl=[LIMITED] * 100, lte=[FULL] * 3)
    last = [at for at, name in story.probe() if name == "dsl"][-1]
    assert wish.LONGEST_BURST - 2 <= last < wish.LONGEST_BURST
    assert site.memory("dsl").status is ONLINE


@pytest.mark.parametrize(("pause", "expected"), [(0.7, 0.7), (0.0, Probe().burst_interval)])
def test_without_bursts_there_is_a_pause_all_the_same(pause: float, expected: float) -> None:
    assert wish.pause(key(Site(burst_interval=pause), "dsl")) == expected


def test_probing_may_take_a_burst_and_two_rounds_of_two_questions_of_the_slowest() -> None:
    site = Site(timeout=5)
    assert wish.longest(site.judged()) == wish.LONGEST_BURST + 20
    site.uplinks.clear()
    assert wish.longest(site.judged()) == wish.LONGEST_BURST


def test_a_gateway_that_has_become_another_is_asked_in_the_same_run() -> None:
    site = site_of(online="dsl lte")
    before = site.judged()
    own = site.uplinks["lte"]
    site.uplinks["lte"] = own._replace(ipv4=own.ipv4._replace(gateway="192.168.7.99"))
    run = SimpleNamespace(reconcile=site.judged)
    after, moved = tick._with_turns(run, before)  # type: ignore[arg-type]
    assert (moved, after.scene.uplinks) == ({("lte", IPV4)}, tuple(site.uplinks.values()))
    assert tick._with_turns(run, after)[1] == set()  # type: ignore[arg-type]


def test_before_the_last_way_falls_the_other_family_of_the_same_line_is_no_reason_to_ask_it_again() -> None:
    site = Site(count=2, fall=1)
    site.run(0, dsl=FULL, lte=LIMITED)
    site.now += 30
    online = [key(site, "dsl")]
    then, others = tick._without_way(site.judged(), online, site.seen(dsl=LIMITED), Request(since=site.now + 1))
    assert [one.uplink.name for one in others] == ["lte"]
    assert then.state.uplinks["dsl"].ipv4.status is OFFLINE, "the others are asked as after the fall"


def test_facts_leave_to_probes_what_is_due_where_the_last_way_is_lost_and_nothing_else() -> None:
    site = site_of(online="dsl")
    assert list(wish.left_to_probe(site.judged(), site.now + 30)) == [], "no line has IPv6, and IPv4 has its way"
    site.lose("dsl")
    site.run(1)
    assert list(wish.left_to_probe(site.judged(), site.now)) == [], "the other one was asked just now"
    assert list(wish.left_to_probe(site.judged(), site.now + 30)) == ["eth2"]
    site.lose("dsl", "")
    site.run(2)
    assert list(wish.left_to_probe(site.judged(), site.now)) == ["eth1"], "it came back"


# ---------------------------------------------------------------- how it ends


def loaded(given: Config = NONE) -> config.Loaded:
    return config.Loaded(given, (), "print", (), "/")


@pytest.mark.parametrize(
    ("errors", "failed", "code"), [((), False, 0), (("no route",), False, 1), ((), True, 1), (("no route",), True, 1)]
)
def test_what_could_not_be_done_is_said_and_is_the_exit_status(
    capsys: pytest.CaptureFixture[str], errors: tuple[str, ...], failed: bool, code: int
) -> None:
    judged = Site().judged()
    assert tick._said(judged._replace(state=judged.state._replace(errors=errors)), failed) == code
    assert capsys.readouterr().err.split("\n")[:-1] == [f"mwan-hook: {error}" for error in errors]


@pytest.mark.parametrize(
    ("textfile", "to", "again"), [("", (), False), ("/x.prom", (), False), ("", ("root",), False), ("", (), True)]
)
def test_only_what_is_configured_or_left_is_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, textfile: str, to: tuple[str, ...], again: bool
) -> None:
    from mwan_hook.run import prometheus, tell

    done: list[str] = []

    def refresh(*_: Any) -> tuple[str, ...]:
        done.append("prometheus")
        return ()

    monkeypatch.setattr(prometheus, "refresh", refresh)
    monkeypatch.setattr(wake, "remind", lambda _: done.append("mail"))
    monkeypatch.setattr(tell, "remind", lambda *_: done.append("again"))
    if again:
        (tmp_path / files.RUN).mkdir(parents=True)
        (tmp_path / files.AGAIN).touch()
    given = Config()
    given = given._replace(prometheus=given.prometheus._replace(textfile=textfile), mail=given.mail._replace(to=to))
    tick._look_after(str(tmp_path), loaded(given), Site().judged())
    assert done == ["prometheus"] * bool(textfile) + ["mail"] * bool(to) + ["again"] * again


class Prober:
    """The probe lock, which another run has or had."""

    messages, waited = (), True

    def __init__(self, free: bool) -> None:
        self.free, self.released = free, 0

    def acquire(self) -> bool:
        return self.free

    def release(self) -> None:
        self.released += 1


def run_of(monkeypatch: pytest.MonkeyPatch, prober: Prober, wish: Request) -> tuple[int, list[str]]:
    """Exit status, and what happened, of a run whose lines are all due."""
    site, steps = Site(), []
    site.run(0)

    class Run:
        failed = ring_full = False

        def __init__(self, *_: Any) -> None:
            pass

        def take_events(self, asked: frozenset[str]) -> Judged:
            return self.reconcile()

        def reconcile(self) -> Judged:
            steps.append("look")
            return site.judged()

        def finish(self, judged: Judged) -> Judged:
            steps.append("finish")
            return judged

    def probe(_: Any, judged: Judged, *__: Any) -> Judged:
        steps.append("probe")
        return judged._replace(stamp=(1, 1))

    monkeypatch.setattr(tick, "Run", Run)
    monkeypatch.setattr(tick, "clock", lambda: site.now)
    monkeypatch.setattr(lock, "prober", lambda *_: prober)
    monkeypatch.setattr(tick, "_probe", probe)
    monkeypatch.setattr(states, "stamp", lambda _: (1, 1))
    monkeypatch.setattr(tick, "_look_after", lambda *_: steps.append("after"))
    return tick.tick("/", loaded(), wish), steps


def test_a_run_that_waited_for_the_prober_looks_again_before_it_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    prober = Prober(free=True)
    assert run_of(monkeypatch, prober, Request()) == (0, ["look", "look", "probe", "finish", "after"])
    assert prober.released == 1


@pytest.mark.parametrize("wish", [Request(names=("dsl",)), Request(since=1.0)])
def test_only_what_was_asked_for_by_hand_must_be_probed_by_this_very_run(
    monkeypatch: pytest.MonkeyPatch, wish: Request
) -> None:
    assert run_of(monkeypatch, Prober(free=False), Request()) == (0, ["look", "finish", "after"])
    with pytest.raises(Busy):
        run_of(monkeypatch, Prober(free=False), wish)


# ---------------------------------------------------------------- what is on record


def test_before_the_kernel_is_touched_what_is_lost_by_it_is_on_record_beside_what_was() -> None:
    old, new, other = b.foreign("fiber", 5), b.foreign("fiber", 6), b.foreign("cable", 5)
    both = old._replace(nexthops=(*old.nexthops, *other.nexthops))
    known = (old, other, b.foreign("fiber", 5, IPV6)._replace(nexthops=old.nexthops))
    sysctl = (Sysctl("net.ipv4.conf.eth0.rp_filter", "1"),)
    stored = State(tables=(1003, 1032), foreign=known, protocols=(172,), sharing="objects", errors=("kept",))
    judged = State(tables=(1002, 1032), foreign=(both, new), protocols=(184,), objects=True, sysctls=sysctl)
    record = change._on_record(stored, judged)
    assert record == stored._replace(
        tables=(1002, 1003, 1032),
        foreign=(both, *known[1:], new),
        protocols=(172, 184),
        objects=True,
        sysctls=sysctl,
        sharing="",
    )
    assert change._on_record(record, State()).objects, "they may be there still"


def test_what_fails_with_words_of_ours_is_told_and_nothing_else_is_caught() -> None:
    def fail(error: Exception) -> None:
        raise error

    assert say.attempted(lambda: None) == []
    assert say.attempted(lambda: fail(MwanError("no room"))) == ["no room"]
    with pytest.raises(ZeroDivisionError):
        say.attempted(lambda: fail(ZeroDivisionError()))


# ---------------------------------------------------------------- one look, judged


def seen(config: Config, snapshot: Snapshot, state: State = FRESH) -> Scene:
    around = Inputs(snapshot, state, Allotment())
    return Scene("/nowhere", config, "print", state, Allotment(), bind(config, around), snapshot, 1000.0, 2000.0)


TWO = b.config(b.uplink("fiber", metric=100), b.uplink("cable", metric=100))
THERE = b.snapshot("fiber", "cable")


def test_an_event_makes_its_interface_due_and_a_round_is_no_event() -> None:
    site = site_of(online="dsl lte")
    assert rating.verdicts(site.scene(), (), frozenset({"eth1"}))["dsl"].ipv4.next_probe_at is None
    assert rating.verdicts(site.scene(), (), frozenset({"eth1"}))["lte"].ipv4.next_probe_at is not None
    assert rating.verdicts(site.scene(), site.seen(dsl=FULL), frozenset({"eth1"}))["dsl"].ipv4.next_probe_at is not None


@pytest.mark.parametrize("odd", [{"uplink": "gone"}, {"index": 99}, {"source": "192.0.2.1"}, {"gateway": None}])
def test_a_round_of_another_link_or_way_is_thrown_away(odd: dict[str, Any]) -> None:
    site = site_of(online="dsl lte")
    (bad,) = site.seen(dsl=LIMITED)
    rounds = [bad._replace(job=bad.job._replace(**odd))]
    assert rating.verdicts(site.scene(), rounds, frozenset())["dsl"].ipv4 == site.memory("dsl")
    assert rating.verdicts(site.scene(), [bad], frozenset())["dsl"].ipv4.bad == 1


@pytest.mark.parametrize(
    ("more", "beside"),
    [
        ({}, False),
        ({"foreign_rules": (Rule(IPV4, 0, LOCAL_TABLE),)}, False),
        ({"foreign_rules": (Rule(IPV4, 50, 51820, mark=1),)}, True),
        ({"pieces": (Route(IPV4, MAIN_TABLE, dst="0.0.0.0/1", nexthops=(Nexthop(9),)),)}, True),
        ({"hosts": (Route(IPV4, MAIN_TABLE, dst="192.0.2.1/32", nexthops=(Nexthop(2),)),)}, True),
        ({"defaults": (Route(IPV4, MAIN_TABLE, metric=5, nexthops=(Nexthop(9),)),)}, True),
    ],
)
def test_what_other_programs_have_is_looked_at_only_where_it_may_matter(more: dict[str, Any], beside: bool) -> None:
    there = THERE._replace(**more)
    assert judge._beside_others(seen(TWO, there).uplinks, there) is beside


def test_where_objects_may_be_used_the_shared_default_goes_through_them_and_that_is_remembered() -> None:
    on = b.state(fiber=Status.ONLINE, cable=Status.ONLINE)
    plain = judge.judge(seen(TWO, THERE, on))
    assert (plain.desired.objects, plain.state.objects) == ((), False)
    pooled = judge.judge(seen(TWO, THERE._replace(pool=Pool(use=True, answer="objects")), on))
    assert [bool(one.members) for one in pooled.desired.objects] == [False, False, True]
    assert (pooled.state.objects, pooled.state.sharing) == (True, "objects")


def test_what_a_lease_claims_and_what_it_brings_into_the_lan_are_each_told_alone() -> None:
    wide = Route(IPV4, MAIN_TABLE, "0.0.0.0/1", 2048, (Nexthop(2, "192.168.2.1"),), protocol=16)
    lan = THERE._replace(addresses=(*THERE.addresses, Address(9, IPV4, "192.168.9.1", 24, True)))
    for there in (lan._replace(claims=(wide,)), lan._replace(inside=(wide._replace(dst="192.168.9.128/25"),))):
        assert judge.judge(seen(TWO, there)).desired.notes != ()
    assert judge.judge(seen(TWO, THERE)).desired.notes == ()


def test_what_follows_from_what_is_desired_is_remembered() -> None:
    off = b.uplink("cable", metric=200, table=1234, enabled=False)
    entries = b.uplink("fiber", metric=100, metrics=Metrics(full=5)), off
    before = b.state(fiber=Status.ONLINE, cable=Status.OFFLINE)._replace(last_online={IPV6: ("cable",)})
    before = before._replace(usage={"x": Usage()})
    state = judge.judge(seen(b.config(*entries), THERE, before)).state
    assert state.foreign == (b.foreign("fiber", 100),), "ours stands for it"
    assert state.last_online == {IPV4: ("fiber",), IPV6: ("cable",)}, "of a family with nothing online the last ones"
    assert state.best[IPV4][:2] == ("fiber", "fiber")
    assert (state.tables, state.config, state.usage) == ((1000, 1001, 1234), "print", {})


def test_only_of_interfaces_that_a_match_asks_for_udev_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from mwan_hook.machine import udev

    monkeypatch.setattr(udev, "attributes", lambda root, name, index: {"ID": f"{root} {name} {index}"})
    by_path = b.uplink("usb")._replace(match=(b.uplink("x").match[0]._replace(kind="path", glob="pci-*"),))
    links = (b.link("fiber"),)
    assert look._attributes("/r", b.config(by_path), links) == {"fiber": {"ID": "/r fiber 2"}}
    monkeypatch.setattr(udev, "attributes", None)
    assert look._attributes("/r", TWO, links) == {}


def test_another_one_is_online_if_any_family_of_any_other_is() -> None:
    up = FamilyState(status=ONLINE)
    memories = {"dsl": UplinkState(ipv4=up), "lte": UplinkState(ipv6=up)}
    assert standing.another_online(memories, "dsl", ()) and standing.another_online(memories, "lte", ())
    assert not standing.another_online({**memories, "lte": UplinkState()}, "dsl", ())
    assert not standing.another_online(memories, "dsl", {"lte"}), "what is drained spares no metered one"
    bad = {"dsl": UplinkState(ipv4=up._replace(degraded=True)), "lte": UplinkState(ipv4=up)}
    assert not standing.another_online(bad, "lte", ()), "it carries for what is degraded"
    assert standing.another_online(bad, "dsl", ())
    told = {**bad, "dsl": UplinkState(ipv4=up._replace(degraded=True, quality=Quality(kept=True)))}
    assert standing.another_online(told, "lte", ()), "degraded = keep"
