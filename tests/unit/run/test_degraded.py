"""What follows from a degraded uplink: whom it comes after, what is told, and that it never takes the last way out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Allotment,
    Connectivity,
    Family,
    FamilyState,
    Notice,
    Policy,
    Probe,
    Quality,
    State,
    Status,
    UplinkState,
)
from mwan_hook.notify.mail.book import MailQueue, recorded
from mwan_hook.policy.policies import in_family, via
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import judge
from mwan_hook.run.scene import Judged, Scene
from mwan_hook.verdict.decide import with_only_way
from mwan_hook.verdict.events import transitions
from tests.unit import builders as b

V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)
WHY = "loss 12 % of 40 (limit 10 %)"
THERE = b.snapshot(*b.NAMES, families=BOTH)
TARGETS = (parse("icmp://192.0.2.9"), parse("icmp://2001:db8::9"))


def memory(name: str, degraded: tuple[Family, ...] = (), **values: Any) -> UplinkState:
    """An uplink that is online in both families and was asked just now."""
    number = b.NAMES[name]
    ways = {
        V4: f"192.168.{number}.2 192.168.{number}.1",
        V6: f"2001:db8:{number}::2 fe80::1",
    }
    made = UplinkState(name, number)
    for family in BOTH:
        known = FamilyState(Status.ONLINE, Connectivity.FULL, True, 5.0, 3, way=ways[family], known=True, reason=WHY)
        known = known._replace(probed_at=95.0, next_probe_at=105.0)
        if family in degraded:
            known = known._replace(degraded=True, quality=Quality(ways[family], 95.0, reason=WHY), **values)
        made = made.with_family(family, known)
    return made


def judged(action: str, degraded: dict[str, tuple[Family, ...]], metrics: Any = (1, 2, 3), **values: Any) -> Judged:
    """Three uplinks, fiber, cable and lte, of these metrics."""
    probe = Probe(targets=TARGETS, portal_interval=0, loss_high=10, loss_low=3, degraded=action)
    entries = [b.uplink(name, metric=metric, probe=probe) for name, metric in zip(b.NAMES, metrics, strict=True)]
    config = b.config(*entries)
    state = State("boot", {name: memory(name, degraded.get(name, ()), **values) for name in b.NAMES})
    return judge.judge(scene_of(config, state))


def scene_of(config: Any, state: State) -> Scene:
    bound = b.bound(config, Inputs(THERE, state, Allotment()))
    return Scene("/", config, "print", state, bound.allotment, bound, THERE, 100.0, 2000.0)


def hops(made: Judged, family: Family) -> list[list[int]]:
    return [[hop.index for hop in route.nexthops] for route in made.desired.shared if route.family is family]


@pytest.mark.parametrize("action", ["", "demote"])
def test_it_comes_after_all_that_are_not_in_its_family(action: str) -> None:
    made = judged(action, {"fiber": (V4,)})
    assert made.desired.online == {V4: ("cable", "lte", "fiber"), V6: ("fiber", "cable", "lte")}
    assert hops(made, V4) == [[3], [3], [4], [2]]
    assert hops(made, V6) == [[2], [2], [3], [4]]
    both = judged(action, {"fiber": (V4,), "cable": (V4,)})
    assert both.desired.online[V4] == ("lte", "fiber", "cable")  # in their own order


def test_it_shares_no_more_with_its_equals() -> None:
    made = judged("demote", {"fiber": (V4,)}, metrics=(1, 1, 1))
    assert [sorted(ways) for ways in hops(made, V4)] == [[3, 4], [3], [4], [2]]
    assert sorted(hops(made, V6)[0]) == [2, 3, 4]
    all_ = judged("demote", dict.fromkeys(b.NAMES, BOTH), metrics=(1, 1, 1))
    assert sorted(hops(all_, V4)[0]) == [2, 3, 4]  # nothing is better


def test_to_keep_it_changes_no_route() -> None:
    made = judged("keep", {"fiber": BOTH})
    assert made.desired.online == dict.fromkeys(BOTH, ("fiber", "cable", "lte"))
    assert made.state.uplinks["fiber"].ipv4.word == "degraded"


def test_to_have_it_offline_needs_another_one_that_is_not_degraded() -> None:
    made = judged("offline", {"fiber": (V4,)})
    fiber = made.state.uplinks["fiber"]
    assert (fiber.ipv4.status, fiber.ipv6.status) == (Status.OFFLINE, Status.ONLINE)
    assert fiber.ipv4.reason.startswith(WHY)
    assert made.desired.online[V4] == ("cable", "lte")
    again = judge.judge(made.scene._replace(state=made.state))
    assert again.state.uplinks == made.state.uplinks
    worse = judged("offline", {"fiber": (V4,), "cable": (V4,), "lte": (V4,)})
    assert worse.desired.online[V4] == ("fiber", "cable", "lte"), "the others are no better"
    all_ = judged("offline", dict.fromkeys(b.NAMES, BOTH))
    assert all_.desired.online == dict.fromkeys(BOTH, ("fiber", "cable", "lte"))


@pytest.mark.parametrize("action", ["demote", "keep", "offline"])
@given(degraded=st.dictionaries(st.sampled_from([*b.NAMES]), st.sampled_from([(V4,), (V6,), BOTH])))
def test_no_set_of_degraded_uplinks_takes_a_way_out(action: str, degraded: dict[str, tuple[Family, ...]]) -> None:
    made = judged(action, degraded)
    for family in BOTH:
        well = [name for name in b.NAMES if family not in degraded.get(name, ())]
        online = made.desired.online[family]
        assert online
        if action == "offline" and well:
            assert list(online) == well
        elif action == "demote":
            assert list(online) == [*well, *(name for name in b.NAMES if name not in well)]
        else:
            assert list(online) == [*b.NAMES]


def test_one_that_was_put_aside_stands_in_where_nothing_else_is_online() -> None:
    made = judged("offline", {"fiber": (V4,)})
    dead = {
        name: one.with_family(V4, one.ipv4._replace(status=Status.OFFLINE, good=0, bad=3))
        for name, one in made.state.uplinks.items()
        if name != "fiber"
    }
    after = judge.judge(made.scene._replace(state=made.state._replace(uplinks={**made.state.uplinks, **dead})))
    assert after.desired.online[V4] == ("fiber",)
    assert after.state.uplinks["fiber"].ipv4.word == "degraded"


def test_a_policy_lists_it_last_in_its_family_and_keeps_it_alone() -> None:
    probe = Probe(targets=TARGETS, portal_interval=0, loss_high=10)
    entries = [b.uplink(name, metric=number, probe=probe) for number, name in enumerate(b.NAMES)]
    listed = (Policy("voice", order=b.order("fiber+lte cable")), Policy("only", order=b.order("fiber")))
    config = b.config(*entries)._replace(policies=listed)
    state = State("boot", {name: memory(name, (V4,) if name == "fiber" else ()) for name in b.NAMES})
    made = judge.judge(scene_of(config, state))
    voice, only = made.scene.bound.policies
    assert [via(voice, family, made.state) for family in BOTH] == [("lte",), ("fiber", "lte")]
    assert via(only, V4, made.state) == ("fiber",)
    assert [[one.name for one in tier] for tier in in_family(voice, V4).tiers] == [["lte"], ["cable"], ["fiber"]]


OFFLINE_STATE = FamilyState(status=Status.OFFLINE, known=True, reason="3 of 3 bad rounds")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((Status.ONLINE, False), (Status.ONLINE, True), [("degraded", "online", "degraded")]),
        ((Status.ONLINE, True), (Status.ONLINE, False), [("online", "degraded", "online")]),
        ((Status.ONLINE, True), (Status.OFFLINE, True), [("offline", "degraded", "offline")]),
        ((Status.ONLINE, False), (Status.OFFLINE, True), [("offline", "online", "offline")]),
        (
            (Status.OFFLINE, True),
            (Status.ONLINE, True),
            [("online", "offline", "online"), ("degraded", "online", "degraded")],
        ),
        ((Status.ONLINE, True), (Status.ONLINE, True), []),
    ],
)
def test_what_hooks_hear(
    before: tuple[Status, bool], after: tuple[Status, bool], told: list[tuple[str, str, str]]
) -> None:
    def state(status: Status, degraded: bool) -> State:
        return State(
            uplinks={"fiber": UplinkState("eth1", 7, OFFLINE_STATE._replace(status=status, degraded=degraded))}
        )

    found = transitions(state(*before), state(*after), 0.0)
    assert [(one.event, one.old, one.new) for one in found] == told


def test_mail_tells_of_it_once_and_when_it_is_good_again() -> None:
    notices = [
        Notice("1-0", "degraded", "fiber", "eth1", family=V4, old="online", new="degraded", reason=WHY),
        Notice("2-0", "online", "fiber", "eth1", family=V4, old="degraded", new="online", reason="good again"),
        Notice("3-0", "online", "fiber", "eth1", family=V4, old="offline", new="online", reason="2 of 2"),
    ]
    from mwan_hook.model import Mail

    book = recorded(MailQueue(), notices, lambda _: True, Mail(to=("a@b",)))
    assert [(one.about, one.words) for one in book.news] == [
        ("Quality", f"degraded in ipv4: {WHY}"),
        ("Quality", "online in ipv4: good again"),
    ]


def test_mail_tells_of_an_outage_that_began_as_a_degradation() -> None:
    died = Notice("1-0", "offline", "fiber", "eth1", family=V4, old="degraded", new="offline", reason="0 of 2")
    from mwan_hook.model import Mail

    book = recorded(MailQueue(), [died], lambda _: True, Mail(to=("a@b",)))
    assert [span.subject for span in book.open] == ["fiber", ""] and not book.news


@pytest.mark.parametrize(("action", "first"), [("keep", "fiber"), ("", "cable"), ("demote", "cable")])
def test_what_is_only_told_of_stands_in_by_its_metric(action: str, first: str) -> None:
    probe = Probe(targets=TARGETS, portal_interval=0, loss_high=10, degraded=action, interval=10)
    entries = [b.uplink(name, metric=metric, probe=probe) for name, metric in (("fiber", 1), ("cable", 2))]
    uplinks = b.bound(b.config(*entries), Inputs(THERE, State(), Allotment())).uplinks
    memories = {name: memory(name, BOTH if name == "fiber" else ()) for name in ("fiber", "cable")}
    off = {name: one.with_family(V4, one.ipv4._replace(status=Status.OFFLINE)) for name, one in memories.items()}
    found = with_only_way(off, uplinks, 100.0)
    assert [name for name, one in found.items() if one.ipv4.status is Status.ONLINE] == [first]


def test_what_was_put_aside_stands_in_for_what_is_drained() -> None:
    probe = Probe(targets=TARGETS, portal_interval=0, loss_high=10, degraded="offline", interval=10)
    entries = [b.uplink(name, metric=metric, probe=probe) for name, metric in (("fiber", 1), ("cable", 2))]
    fiber, cable = b.bound(b.config(*entries), Inputs(THERE, State(), Allotment())).uplinks
    aside = memory("fiber", BOTH)
    memories = {"fiber": aside.with_family(V4, aside.ipv4._replace(status=Status.OFFLINE)), "cable": memory("cable")}
    assert with_only_way(memories, (fiber, cable), 100.0) == memories
    found = with_only_way(memories, (fiber, cable._replace(draining=True)), 100.0)
    assert found["fiber"].ipv4.status is Status.ONLINE
