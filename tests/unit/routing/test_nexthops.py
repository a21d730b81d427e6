"""The shared default through nexthop objects: which there should be, with which ids, and in which order they change."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import (
    Change,
    Family,
    Link,
    Nexthop,
    NexthopObject,
    Op,
    Pool,
    Route,
    Routing,
    Rule,
    Snapshot,
    State,
    Uplink,
    UplinkConfig,
)
from mwan_hook.routing import nexthops
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.plan import plan
from mwan_hook.routing.rules import LOOPBACK
from mwan_hook.routing.words import line

V4, V6 = Family.IPV4, Family.IPV6
METRIC = 100
OWN = 999  # table of own IPv6 packets


def uplink(index: int, weight: int = 1, metric: int = METRIC, present: bool = True) -> Uplink:
    name = f"eth{index}"
    link = Link(index, name, True, True) if present else None
    return Uplink(UplinkConfig(name, weight=weight), name, name, index if present else 0, 0, metric, 0, 0, True, link)


def best(*indices: int, family: Family = V4, last: int = 1) -> Route:
    """The shared default as a plain or multipath route, through gateways that end in ``last``."""
    form = "10.0.{}.{}" if family is V4 else "fe80::{}:{}"
    return Route(family, 1000, metric=1, nexthops=tuple(Nexthop(i, form.format(i, last)) for i in indices))


def desired(route: Route) -> Desired:
    names = tuple(f"eth{hop.index}" for hop in route.nexthops)
    rules = (Rule(route.family, 1300, 1007, mark=7, mask=7), Rule(route.family, 1900, route.table))
    return Desired(shared=(route, route._replace(metric=2)), rules=rules, online={route.family: names})


def wanted(route: Route, *uplinks: Uplink, own: int = OWN) -> Desired:
    return nexthops.with_groups(desired(route), uplinks, Snapshot(pool=Pool(use=True, own=own)))


def test_own_ipv6_packets_pass_a_group_of_several_by() -> None:
    several, uplinks = best(2, 3, family=V6), (uplink(2), uplink(3))
    found = wanted(several, *uplinks)
    assert found.policies == (several._replace(table=OWN),)
    assert found.rules == (Rule(V6, 1899, OWN, iif=LOOPBACK), *desired(several).rules)
    assert wanted(best(2, 3), *uplinks).rules == desired(best(2, 3)).rules, "IPv4 asks the way that it has chosen"
    assert wanted(best(2, family=V6), *uplinks).policies == (), "of one way the source is right"


def test_ipv6_has_no_group_where_own_packets_could_not_pass_it_by() -> None:
    several, uplinks = best(2, 3, family=V6), (uplink(2), uplink(3))
    assert wanted(several, *uplinks, own=0) == desired(several)
    assert wanted(best(2, family=V6), *uplinks, own=0) == desired(best(2, family=V6))
    before = desired(several)._replace(rules=(Rule(V6, 1899, 0, action="unreachable"), Rule(V6, 1900, 1000)))
    assert nexthops.with_groups(before, uplinks, Snapshot(pool=Pool(use=True, own=OWN))) == before


@pytest.mark.parametrize(
    ("shared", "taken", "own"),
    [(1000, (), 999), (1000, (999, 998, 2000), 997), (256, (), 252), (254, (), 0), (1, (), 0), (3, (1, 2), 0)],
)
def test_the_table_of_own_packets_is_a_free_one_below_the_shared_default_s(
    shared: int, taken: tuple[int, ...], own: int
) -> None:
    assert nexthops.own_table(shared, taken) == own


@pytest.mark.parametrize("weight", [256, 4096])
def test_a_twin_that_was_typed_with_less_weight_is_left_as_it_is(weight: int) -> None:
    uplinks = uplink(2), uplink(3, present=False)
    made = nexthops.with_groups(desired(best(2)), uplinks, Snapshot(pool=Pool(use=True, heaviest=65535)))
    assert line(Change(Op.ADD, made.objects[-1]), {}).split()[6] == "1720000024,256/1720000025"
    typed = made.objects[-1]._replace(members=((1720000024, weight), (1720000025, 1)))
    assert nexthops.difference(made.objects, Pool(ours=(*made.objects[:2], typed))) == ([], [])
    lighter = typed._replace(members=((1720000024, 255), (1720000025, 1)))
    assert nexthops.difference(made.objects, Pool(ours=(*made.objects[:2], lighter)))[0] != []


def are_groups(changes: list[Change]) -> list[bool]:
    return [change.what.hop is None for change in changes if isinstance(change.what, NexthopObject)]


@pytest.mark.parametrize("turned", [False, True])
def test_ways_come_before_the_groups_that_name_them_and_go_after_them(turned: bool) -> None:
    objects = wanted(best(2, 3), uplink(2), uplink(3)).objects
    objects = objects[::-1] if turned else objects
    put, none = nexthops.difference(objects, None)
    assert none == [] and {change.op for change in put} == {Op.ADD}
    assert are_groups(put) == [False, False, True]
    none, drop = nexthops.difference((), Pool(ours=objects))
    assert none == [] and {change.op for change in drop} == {Op.DELETE}
    assert are_groups(drop) == [True, False, False]


def test_several_share_a_group_whose_ids_tell_interface_and_family() -> None:
    found = wanted(best(2, 3), uplink(2, 3), uplink(3, 2))
    assert [one.id for one in found.objects] == [1720000024, 1720000034, 1720000004]
    assert found.objects[-1].members == ((1720000024, 3), (1720000034, 2))
    assert found.shared[0] == Route(V4, 1000, metric=1, nhid=1720000004)
    assert found.shared[1].nexthops == best(2, 3).nexthops


def test_a_group_needs_no_route_behind_its_own() -> None:
    alone = desired(best(2, 3))._replace(shared=(best(2, 3),))
    found = nexthops.with_groups(alone, (uplink(2), uplink(3)), Snapshot(pool=Pool(use=True)))
    assert found.shared == wanted(best(2, 3), uplink(2), uplink(3)).shared[:1]


@pytest.mark.parametrize(
    ("wanted", "there", "answer", "before", "objects", "sharing"),
    [
        (False, False, "", "", False, ""),
        (True, False, "", "", True, ""),  # a kill between the objects and the state loses none
        (False, True, "", "", True, ""),  # those are still to go
        (False, False, "objects", "", False, "objects"),
        (False, False, "", "objects", False, "objects"),
        (False, False, "routes", "objects", False, "routes"),
    ],
)
def test_it_is_remembered_that_objects_are_or_will_be_there_and_what_auto_found_last(
    wanted: bool, there: bool, answer: str, before: str, objects: bool, sharing: str
) -> None:
    one = (NexthopObject(4, V4, None),)
    state = State(objects=not objects, sharing=before)
    pool = Pool(ours=one if there else (), answer=answer)
    assert nexthops.remembered(state, pool, one if wanted else ()) == State(objects=objects, sharing=sharing)


def test_a_way_keeps_its_id_beside_its_twin_in_any_order_the_kernel_lists_them() -> None:
    uplinks, route = (uplink(2), uplink(3, present=False)), best(2)
    made = nexthops.with_groups(desired(route), uplinks, Snapshot(pool=Pool(use=True, taken=frozenset({1720000024}))))
    assert [one.id for one in made.objects] == [1720000034, 1720000025, 1720000004], "the twin's is the lower one"
    for ours in (made.objects, made.objects[::-1]):
        again = nexthops.with_groups(desired(route), uplinks, Snapshot(pool=Pool(use=True, ours=ours)))
        assert again.objects == made.objects


def test_members_are_in_the_order_of_the_kernel_not_of_the_uplinks() -> None:
    assert wanted(best(3, 2), uplink(3), uplink(2)).objects[-1].members == ((1720000024, 1), (1720000034, 1))


def test_of_several_groups_of_ours_the_one_that_carries_is_kept() -> None:
    uplinks = uplink(2), uplink(3)
    ways = wanted(best(2, 3), *uplinks).objects[:2]
    idle, used = (NexthopObject(number, V4, None, ((1720000024, 1), (1720000034, 1)), 1024, 120) for number in (50, 60))
    standing = Route(V4, 1000, metric=1, nhid=60)
    snapshot = Snapshot(shared=(standing,), pool=Pool(use=True, ours=(*ways, idle, used)))
    assert nexthops.with_groups(desired(best(2, 3)), uplinks, snapshot).shared[0].nhid == 60


def test_an_interface_has_a_way_of_each_family() -> None:
    uplinks = uplink(2), uplink(3)
    four = wanted(best(2, 3), *uplinks).objects
    six = nexthops.with_groups(
        desired(best(2, 3, family=V6)), uplinks, Snapshot(pool=Pool(use=True, ours=four, own=OWN))
    )
    assert [one.id for one in six.objects] == [1720000026, 1720000036, 1720000006]


@pytest.mark.parametrize("other", [{"family": V6}, {"buckets": 64}])
def test_a_group_of_another_family_or_size_is_not_taken_over(other: dict[str, Any]) -> None:
    """The kernel changes neither of the two."""
    uplinks = uplink(2), uplink(3)
    group = wanted(best(2, 3), *uplinks).objects[-1]._replace(**other)
    found = nexthops.with_groups(desired(best(2, 3)), uplinks, Snapshot(pool=Pool(use=True, ours=(group,))))
    assert found.objects[-1].id != group.id


def test_a_lone_member_has_a_twin_where_ipv4_would_not_note_its_flows() -> None:
    uplinks = uplink(2, 3), uplink(3, present=False)
    four = wanted(best(2), *uplinks)
    assert four.objects[-1].members == ((1720000024, 256), (1720000025, 1))
    assert four.objects[0]._replace(id=0) == four.objects[1]._replace(id=0)
    assert wanted(best(2, family=V6), *uplinks).objects[-1].members == ((1720000026, 3),)


@pytest.mark.parametrize(
    ("route", "uplinks"),
    [
        (best(2), (uplink(2), uplink(3, metric=200))),  # no other has its metric
        (best(2, 9), (uplink(2), uplink(3))),  # one of its ways is no uplink's
        (best(2), (uplink(2), uplink(3)._replace(enabled=False))),
        (best(2), (uplink(2), uplink(3)._replace(config=UplinkConfig("eth3", families=(V6,))))),
        (Route(V6, 1000, metric=1, nexthops=(Nexthop(2),)), (uplink(2), uplink(3))),
        (Route(V4, 1000, metric=1, nexthops=(Nexthop(2, "inet6 fe80::1"),)), (uplink(2), uplink(3))),
        (Route(V4, 1000, metric=1, kind="unreachable"), (uplink(2), uplink(3))),
    ],
)
def test_what_no_group_can_carry_stays_a_plain_route(route: Route, uplinks: tuple[Uplink, ...]) -> None:
    assert wanted(route, *uplinks) == desired(route)


def test_where_objects_are_not_to_be_used_those_that_stand_go() -> None:
    uplinks = uplink(2), uplink(3)
    before = wanted(best(2, 3), *uplinks)
    snapshot = Snapshot(shared=before.shared, rules=before.rules, pool=Pool(use=False, ours=before.objects))
    changes = plan(Routing(), nexthops.with_groups(desired(best(2, 3)), uplinks, snapshot), snapshot)
    assert [line(change, {2: "a", 3: "b"}) for change in changes] == [
        "ip route replace default table 1000 proto 172 metric 1 "
        "nexthop via 10.0.2.1 dev a weight 1 nexthop via 10.0.3.1 dev b weight 1",
        "ip nexthop del id 1720000004",
        "ip nexthop del id 1720000024",
        "ip nexthop del id 1720000034",
    ]


@pytest.mark.parametrize("route", [best(2, 3), best(2, 3, family=V6)])
def test_what_stands_without_verdicts_keeps_its_objects(route: Route) -> None:
    uplinks = uplink(2), uplink(3)
    before = wanted(route, *uplinks)
    pool = Pool(use=True, ours=before.objects, own=OWN)
    snapshot = Snapshot(shared=before.shared, rules=before.rules, policies=before.policies, pool=pool)
    standing = Desired(shared=before.shared, rules=desired(route).rules, online={route.family: ()})
    assert plan(Routing(), nexthops.with_groups(standing, uplinks, snapshot), snapshot) == ()


def test_lines_are_those_that_an_operator_could_have_typed() -> None:
    way = NexthopObject(24, V4, Nexthop(2, "10.0.2.1", onlink=True))
    group = NexthopObject(4, V4, None, ((24, 3), (34, 1)), 1024, 120)
    changes = Change(Op.ADD, way), Change(Op.REPLACE, group), Change(Op.DELETE, way)
    assert [line(change, {2: "wan1"}) for change in changes] == [
        "ip nexthop add id 24 via 10.0.2.1 dev wan1 onlink proto 172",
        "ip nexthop replace id 4 group 24,3/34 proto 172 type resilient buckets 1024 idle_timer 120",
        "ip nexthop del id 24",
    ]
    assert line(Change(Op.ADD, way._replace(family=V6, hop=Nexthop(2))), {2: "wan1"}).startswith("ip -6 nexthop add")


class Kernel:
    """Nexthop objects and the shared default, with the kernel's own rules."""

    def __init__(self, foreign: frozenset[int]) -> None:
        self.foreign = foreign
        self.objects: dict[int, NexthopObject] = {}
        self.routes: dict[int, Route] = {}
        self.own: dict[int, Route] = {}
        self.rules: list[Rule] = []

    def snapshot(self, use: bool) -> Snapshot:
        pool = Pool(use=use, ours=tuple(self.objects.values()), taken=self.foreign, own=OWN)
        own = tuple(self.own.values())
        return Snapshot(shared=tuple(self.routes.values()), rules=tuple(self.rules), policies=own, pool=pool)

    def apply(self, change: Change) -> None:
        what = change.what
        if isinstance(what, Rule):
            (self.rules.append if change.op is Op.ADD else self.rules.remove)(what)
        elif isinstance(what, Route):
            table = self.own if what.table == OWN else self.routes
            if change.op is Op.DELETE:
                del table[what.metric]
            else:
                assert (what.metric in table) == (change.op is Op.REPLACE)
                assert not what.nhid or not self.objects[what.nhid].hop
                table[what.metric] = what
        elif isinstance(what, NexthopObject):
            assert what.id not in self.foreign
            assert (what.id in self.objects) == (change.op is not Op.ADD)
            if change.op is Op.DELETE:
                assert what.id not in {route.nhid for route in self.routes.values()}
                members = {number for one in self.objects.values() for number, _ in one.members}
                assert what.id not in members, "the kernel would take it out of the group at once"
                del self.objects[what.id]
            else:
                assert {number for number, _ in what.members} <= set(self.objects)
                assert len({number for number, _ in what.members}) == len(what.members)
                self.objects[what.id] = what

    def lose(self, number: int) -> None:
        """As with a carrier: a group survives smaller, and with the last member it goes, and its route."""
        if number not in self.objects or self.objects[number].hop is None:
            return
        del self.objects[number]
        for one in [one for one in self.objects.values() if one.members]:
            left = tuple(member for member in one.members if member[0] != number)
            self.objects[one.id] = one._replace(members=left)
            if not left:
                del self.objects[one.id]
                self.routes = {metric: route for metric, route in self.routes.items() if route.nhid != one.id}

    def ways(self) -> dict[int, int]:
        """Ids by interface, of those that a group weighs."""
        weights = {number: weight for one in self.objects.values() for number, weight in one.members}
        ordered = sorted(self.objects.values(), key=lambda one: weights.get(one.id, 0))
        return {one.hop.index: one.id for one in ordered if one.hop}


class Scene(NamedTuple):
    carrying: set[int]
    plugged: set[int]  # besides
    weights: list[int]
    last: int  # number of the gateways
    use: bool
    lost: list[int]  # places in the kernel's list of what it takes out before


scenes = st.builds(
    Scene,
    st.sets(st.integers(2, 5)),
    st.sets(st.integers(2, 5)),
    st.lists(st.integers(1, 256), min_size=4, max_size=4),
    st.integers(1, 2),
    st.booleans(),
    st.lists(st.integers(0, 5), max_size=2),
)


@given(
    st.sampled_from([V4, V6]),
    st.frozensets(st.integers(1720000000, 1720000060), max_size=9),
    st.lists(scenes, max_size=6),
)
def test_any_group_becomes_any_other_in_an_order_that_the_kernel_takes(
    family: Family, foreign: frozenset[int], story: list[Scene]
) -> None:
    kernel = Kernel(foreign)
    for scene in story:
        for place in scene.lost:
            kernel.lose(sorted(kernel.objects)[place] if place < len(kernel.objects) else 0)
        before = kernel.ways()
        want = desired(best(*sorted(scene.carrying), family=family, last=scene.last))
        want = want if scene.carrying else Desired(online={family: ()})
        there = scene.carrying | scene.plugged
        uplinks = [uplink(i, scene.weights[i - 2], present=i in there) for i in range(2, 6)]
        snapshot = kernel.snapshot(scene.use)
        for change in plan(Routing(), nexthops.with_groups(want, uplinks, snapshot), snapshot):
            kernel.apply(change)
            assert 1 in kernel.routes or change.op is not Op.DELETE or not scene.carrying
        after = kernel.snapshot(scene.use)
        assert plan(Routing(), nexthops.with_groups(want, uplinks, after), after) == ()
        assert bool(kernel.objects) == bool(scene.use and scene.carrying)
        kept = kernel.ways()
        assert {index: kept[index] for index in kept if index in before} == {
            index: before[index] for index in before if index in kept
        }, "a way that stays keeps its id, and so its buckets"
