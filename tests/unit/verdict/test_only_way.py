"""No line that works is kept out while there is no other way; the last way out falls after the others were asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import (
    Activation,
    Allotment,
    Config,
    Connectivity,
    Family,
    FamilyState,
    Job,
    Link,
    Probe,
    Snapshot,
    State,
    Status,
    Uplink,
    UplinkState,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Bound
from mwan_hook.run import tick
from mwan_hook.run.rating import verdicts
from mwan_hook.run.scene import Judged, Key, ProbedRound, Scene
from mwan_hook.run.wish import Request
from mwan_hook.verdict.decide import FRESH_INTERVALS, has_way
from tests.unit.verdict.verdicts import FULL, LIMITED, OFFLINE, ONLINE, PING, START, probe, seen, uplink

IPV4 = Family.IPV4
NAMES = ("dsl", "lte", "sat")


class Site:
    """Uplinks of IPv4 in order of preference, judged together as a run does."""

    def __init__(self, count: int = 2, **settings: object) -> None:
        self.probe: Probe = probe(**settings)
        self.now = START
        self.state = State()
        self.uplinks = {name: self._uplink(name, n) for n, name in enumerate(NAMES[:count], 1)}
        self.dialled: frozenset[str] = frozenset()

    def _uplink(self, name: str, number: int, missing: str = "") -> Uplink:
        made = uplink(self.probe, missing, index=number)
        link = Link(number, f"eth{number}", True, not missing)
        return made._replace(name=name, interface=f"eth{number}", metric=100 * number, link=link)

    def scene(self) -> Scene:
        bound = Bound(tuple(self.uplinks.values()), Allotment())
        state = self.state._replace(dials={name: Activation(ours=True) for name in self.dialled})
        return Scene("/nowhere", Config(), "", state, Allotment(), bound, Snapshot(), self.now, self.now)

    def lose(self, name: str, missing: str = "no carrier") -> None:
        """A fact goes missing; with an empty text it is back."""
        self.uplinks[name] = self._uplink(name, self.uplinks[name].index, missing)

    def seen(self, **rounds: Connectivity) -> list[ProbedRound]:
        return [ProbedRound(self.job(name), seen(word), self.now) for name, word in rounds.items()]

    def job(self, name: str) -> Job:
        one = self.uplinks[name]
        return Job(name, IPV4, PING, one.interface, one.index, one.ipv4.source, one.ipv4.gateway)

    def run(self, at: float, **rounds: Connectivity) -> list[str]:
        """The facts and these rounds in one run; who is online then."""
        self.now = START + at
        self.state = self.state._replace(uplinks=verdicts(self.scene(), self.seen(**rounds), frozenset()))
        return [name for name in self.uplinks if self.memory(name).status is ONLINE]

    def memory(self, name: str) -> FamilyState:
        return self.state.uplinks[name].ipv4

    def judged(self) -> Judged:
        return Judged(self.scene(), self.state, Desired(), ())


def test_the_only_line_is_back_with_each_first_good_round_however_often_it_fell() -> None:
    site = Site(count=1, fall=1)
    site.run(0, dsl=FULL)
    for at in range(100, 500, 50):
        assert site.run(at, dsl=LIMITED) == []
        assert site.run(at + 10, dsl=FULL) == ["dsl"]
        state = site.memory("dsl")
        assert (state.held_until, state.since, state.good) == (None, START + at + 10, 1)
    assert site.memory("dsl").reason == "words; nothing else is online"


def test_a_redial_of_the_only_line_waits_for_no_pass() -> None:
    site = Site(count=1)
    site.run(0, dsl=FULL)
    for at in range(60, 420, 60):
        site.lose("dsl")
        site.run(at)
        site.lose("dsl", "")
        assert site.run(at + 20, dsl=FULL) == ["dsl"]


def redialled(site: Site, bad: int = 0) -> list[float | None]:
    """`lte` is dialled five times within ten minutes beside `sat`, with so many bad rounds first: its holds."""
    held = []
    for at in range(100, 600, 100):
        site.lose("lte", "")
        for late in range(bad):
            assert site.run(at + late, lte=LIMITED, sat=FULL) == ["sat"]
        online = site.run(at + bad, lte=FULL, sat=FULL)
        held.append(site.memory("lte").held_until)
        assert ("lte" in online) is (held[-1] is None and not (bad and not site.dialled))
        site.lose("lte", "no address")
        assert site.run(at + 50, sat=FULL) == ["sat"]
    return held


@pytest.mark.parametrize("bad", [0, 4])
def test_what_we_hang_up_and_dial_again_is_no_flap_and_uses_no_pass(bad: int) -> None:
    site = Site(count=3)
    site.dialled = frozenset(["lte"])
    site.lose("dsl")
    site.lose("lte", "no address")
    site.run(0, sat=FULL)
    assert redialled(site, bad) == [None] * 5
    assert site.memory("lte").passes == ()


def test_what_comes_and_goes_by_itself_beside_an_online_line_is_held() -> None:
    site = Site(count=3)
    site.lose("dsl")
    site.lose("lte", "no address")
    site.run(0, sat=FULL)
    assert [until is not None for until in redialled(site)] == [False, True, True, True, True]


def test_beside_an_online_line_the_rise_and_the_hold_are_waited_for() -> None:
    site = Site(fall=1)
    site.run(0, dsl=FULL, lte=FULL)
    site.run(10, dsl=LIMITED, lte=FULL)
    assert site.run(20, dsl=FULL, lte=FULL) == ["lte"]
    assert site.memory("dsl").held_until == START + 200


@pytest.mark.parametrize("order", [("dsl", "lte"), ("lte", "dsl")])
def test_in_any_order_of_rounds_the_good_one_replaces_the_bad_one(order: tuple[str, str]) -> None:
    site = Site(fall=1)
    site.run(0, dsl=FULL, lte=LIMITED)
    words = {"dsl": LIMITED, "lte": FULL}
    assert site.run(10, **{name: words[name] for name in order}) == ["lte"]


def test_of_two_that_are_good_at_once_the_preferred_one_is_enough() -> None:
    site = Site(count=3, fall=1)
    site.run(0, dsl=FULL, lte=FULL, sat=FULL)
    site.run(10, dsl=LIMITED, lte=LIMITED, sat=LIMITED)
    assert site.run(20, sat=FULL, lte=FULL) == ["lte"]


def test_one_that_has_a_pass_needs_no_stand_in() -> None:
    site = Site(fall=1)
    site.run(0, dsl=FULL)
    site.run(10, dsl=LIMITED)
    assert site.run(20, dsl=FULL, lte=FULL) == ["lte"], "lte is seen for the first time, dsl is held"


@pytest.mark.parametrize(("later", "online"), [(19.9, ["dsl"]), (20.0, [])])
def test_a_held_line_stands_in_for_one_that_lost_its_carrier(later: float, online: list[str]) -> None:
    assert FRESH_INTERVALS * Probe().interval == 20
    site = Site(fall=1)
    site.run(0, dsl=FULL, lte=FULL)
    site.run(10, dsl=LIMITED, lte=FULL)
    site.run(20, dsl=FULL, lte=FULL)
    site.lose("lte")
    assert site.run(20 + later) == online, "a good round stands as long as it is young"


def test_a_line_whose_last_round_was_bad_or_that_changed_since_stands_in_for_none() -> None:
    site = Site(fall=1)
    site.run(0, dsl=FULL, lte=FULL)
    site.run(10, dsl=LIMITED, lte=FULL)
    site.run(20, dsl=FULL, lte=FULL)
    site.run(30, dsl=LIMITED, lte=FULL)
    site.lose("lte")
    assert site.run(31) == []
    site.run(40, dsl=FULL)
    site.lose("dsl", "no address")
    assert site.run(41) == []
    site.lose("dsl", "")
    assert site.run(42) == [], "asked first"


def test_each_family_has_a_way_of_its_own() -> None:
    site = Site(fall=1)
    site.run(0, dsl=FULL)
    site.run(10, dsl=LIMITED)
    other = FamilyState(Status.ONLINE, Connectivity.FULL, judged=True, way="x", by_facts=True)
    memories = {**site.state.uplinks, "else": UplinkState("eth9", 9, ipv6=other)}
    assert has_way(memories, Family.IPV6)
    assert not has_way(memories, IPV4)
    assert site.run(20, dsl=FULL) == ["dsl"]


def test_a_stand_in_is_checked_for_a_portal_unless_its_round_did() -> None:
    site = Site(fall=1)
    site.run(0, dsl=FULL, lte=FULL)
    site.run(10, dsl=LIMITED)
    site.run(20, dsl=FULL)
    site.lose("lte")
    site.run(21)
    assert site.memory("dsl").portal_due


WORDS = st.sampled_from((FULL, LIMITED, None))


@given(st.lists(st.tuples(WORDS, WORDS, WORDS, st.sampled_from((None, *NAMES))), max_size=30), st.integers(1, 3))
def test_whenever_a_line_was_good_just_now_something_is_online(
    story: list[tuple[Connectivity | None, Connectivity | None, Connectivity | None, str | None]], fall: int
) -> None:
    site = Site(count=3, fall=fall)
    for number, (*words, toggled) in enumerate(story):
        if toggled:
            site.lose(toggled, "" if site.uplinks[toggled].ipv4.missing else "no carrier")
        rounds = {name: word for name, word in zip(NAMES, words, strict=True) if word}
        online = site.run(10.0 * number, **rounds)
        good = [name for name, word in rounds.items() if word is FULL and not site.uplinks[name].ipv4.missing]
        assert online or not good
        assert all(site.memory(name).held_until is None for name in online)


# ---------------------------------------------------------------- what a run asks before it takes the last way out


def asked(site: Site, wish: Request, **rounds: Connectivity) -> set[str]:
    """The uplinks that are asked, too, after these answers of what is online."""
    online = [Key(site.uplinks[name], IPV4) for name in rounds]
    _, keys = tick._without_way(site.judged(), online, site.seen(**rounds), wish)
    return {key.uplink.name for key in keys}


def due_site(fall: int) -> Site:
    """Of three lines `dsl` is online; the others are offline, and due."""
    site = Site(count=3, fall=fall)
    site.run(0, dsl=FULL, lte=LIMITED, sat=LIMITED)
    for at in range(1, fall):
        site.run(at, dsl=FULL, lte=LIMITED, sat=LIMITED)
    site.now += 10 + fall
    return site


def test_the_others_that_are_due_are_asked_before_the_last_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    site = due_site(fall=1)
    monkeypatch.setattr(tick, "clock", lambda: site.now)
    assert asked(site, Request(), dsl=LIMITED) == {"lte", "sat"}
    assert asked(site, Request(names=("dsl",)), dsl=LIMITED) == {"lte", "sat"}, "named or not"
    assert asked(site, Request(), dsl=FULL) == set()


def test_none_is_asked_while_the_last_way_only_fails_and_does_not_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    site = due_site(fall=2)
    monkeypatch.setattr(tick, "clock", lambda: site.now)
    assert asked(site, Request(), dsl=LIMITED) == set()
    site.state = site.state._replace(uplinks=verdicts(site.scene(), site.seen(dsl=LIMITED), frozenset()))
    assert asked(site, Request(), dsl=LIMITED) == {"lte", "sat"}


def test_none_is_asked_where_another_line_carries_or_can_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(count=3, fall=1)
    monkeypatch.setattr(tick, "clock", lambda: site.now)
    site.run(0, dsl=FULL, lte=FULL, sat=LIMITED)
    site.now += 30
    assert asked(site, Request(), dsl=LIMITED) == set()
    site.run(40, lte=LIMITED, sat=LIMITED)
    site.run(50, lte=FULL, sat=LIMITED)
    assert site.memory("lte").status is OFFLINE
    site.now += 10
    assert asked(site, Request(), dsl=LIMITED) == set()


def test_what_is_not_due_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    site = due_site(fall=1)
    monkeypatch.setattr(tick, "clock", lambda: site.now)
    site.state = site.state._replace(uplinks=verdicts(site.scene(), site.seen(sat=LIMITED), frozenset()))
    assert asked(site, Request(), dsl=LIMITED) == {"lte"}
