"""Order and content of the difference."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import MAIN_TABLE, Change, Copies, Family, Nexthop, Op, Route, Routing, Rule, Snapshot, Sysctl
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.plan import plan

V4 = Family.IPV4


def default(metric: int, *devices: int, table: int = 1000) -> Route:
    return Route(V4, table, metric=metric, nexthops=tuple(Nexthop(n, f"192.168.{n}.1") for n in devices))


def steps(changes: tuple[Change, ...]) -> list[tuple[str, object]]:
    return [(change.op.value, change.what) for change in changes]


def test_rules_of_both_families_go_from_the_last_to_the_first() -> None:
    there = Rule(V4, 10, 1), Rule(Family.IPV6, 20, 1), Rule(V4, 30, 1)
    assert [change.what for change in plan(Routing(), Desired(), Snapshot(rules=there))] == list(there[::-1])


def test_what_is_already_so_gives_no_change() -> None:
    rule, route = Rule(V4, 1900, 1000), default(1, 2, 3)
    desired = Desired(shared=(route,), rules=(rule,), sysctls=(Sysctl("net/x", "1"),))
    snapshot = Snapshot(shared=(route,), rules=(rule,), sysctls=(Sysctl("net/x", "1"),))
    assert plan(Routing(), desired, snapshot) == ()


def test_a_changed_default_is_replaced_in_place() -> None:
    changes = plan(Routing(), Desired(shared=(default(1, 3),)), Snapshot(shared=(default(1, 2, 3),)))
    assert steps(changes) == [("replace", default(1, 3))]


def test_nothing_goes_before_everything_new_is_there() -> None:
    desired = Desired(
        tables=(default(5, 3, table=1002),), shared=(default(1, 3),), rules=(Rule(V4, 1100, 1002, oif="b"),)
    )
    snapshot = Snapshot(
        shared=(default(2, 2),),
        rules=(Rule(V4, 1100, 1001, oif="a"),),
        copies=(Copies(V4, 1001, extra=(default(5, 2, table=1001),)),),
    )
    ops = [change.op for change in plan(Routing(), desired, snapshot)]
    assert ops == sorted(ops, key=lambda op: op is Op.DELETE) and ops.count(Op.DELETE) == 3


def test_copies_come_before_the_default_that_needs_them() -> None:
    desired = Desired(tables=(default(0, 2, table=1001),))
    changes = plan(Routing(), desired, Snapshot(copies=(Copies(V4, 1001, add=(b"subnet",)),)))
    assert [change.what for change in changes] == [b"subnet", default(0, 2, table=1001)]


def test_a_rule_that_stands_twice_loses_its_second_copy() -> None:
    rule = Rule(V4, 1200, 1001, src="192.0.2.1")
    assert steps(plan(Routing(), Desired(rules=(rule,)), Snapshot(rules=(rule, rule)))) == [("del", rule)]


def test_a_foreign_route_in_our_table_is_not_in_the_plan() -> None:
    """The snapshot holds ours only, and what it holds and is not wanted goes: here is nothing."""
    assert plan(Routing(), Desired(), Snapshot(defaults=(default(7, 2, table=MAIN_TABLE)._replace(protocol=4),))) == ()


def test_an_uplinks_default_at_another_metric_is_added_before_the_old_one_goes() -> None:
    old = default(100, 2, table=MAIN_TABLE)._replace(protocol=16)
    new = default(2000, 2, table=MAIN_TABLE)
    changes = plan(Routing(), Desired(main=(new,), displaced=(old,)), Snapshot(defaults=(old,)))
    assert steps(changes) == [("append", new), ("del", old)]


def test_two_uplinks_at_the_same_metric_keep_both_defaults() -> None:
    new = [default(2000, device, table=MAIN_TABLE) for device in (2, 3)]
    changes = plan(Routing(), Desired(main=tuple(new)), Snapshot(defaults=(new[0],)))
    assert steps(changes) == [("append", new[1])]


def test_a_sysctl_that_does_not_exist_is_not_written() -> None:
    assert plan(Routing(), Desired(sysctls=(Sysctl("net/ipv6/x", "1"),)), Snapshot()) == ()


routes = st.builds(
    lambda metric, devices: default(metric, *devices),
    st.integers(1, 5),
    st.lists(st.integers(2, 4), min_size=1, max_size=3, unique=True),
)
tables = st.lists(routes, max_size=5, unique_by=lambda route: route.metric)


def applied(present: list[Route], changes: tuple[Change, ...]) -> list[Route]:
    """The kernel's part: one route for each metric."""
    have = {route.metric: route for route in present}
    for change in changes:
        assert isinstance(change.what, Route)
        if change.op is Op.DELETE:
            assert have.pop(change.what.metric) == change.what
        else:
            assert (change.what.metric in have) == (change.op is Op.REPLACE)
            have[change.what.metric] = change.what
        assert have or not present or all(change.op is Op.DELETE for change in changes), "no default in between"
    return sorted(have.values(), key=lambda route: route.metric)


@given(tables, tables)
def test_any_shared_default_becomes_any_other_and_a_second_plan_is_empty(have: list[Route], want: list[Route]) -> None:
    desired = Desired(shared=tuple(want))
    after = applied(have, plan(Routing(), desired, Snapshot(shared=tuple(have))))
    assert after == sorted(want, key=lambda route: route.metric)
    assert plan(Routing(), desired, Snapshot(shared=tuple(after))) == ()


def test_in_main_ours_is_put_in_front_of_a_foreign_one_of_the_same_metric() -> None:
    to_main, ours = Routing(default_table=MAIN_TABLE), default(1, 2, table=MAIN_TABLE)
    old, foreign = default(1, 3, table=MAIN_TABLE), default(1, 4, table=MAIN_TABLE)._replace(protocol=4)
    put = steps(plan(to_main, Desired(shared=(ours,)), Snapshot(defaults=(foreign,))))
    assert put == [("prepend", ours)]
    changed = steps(plan(to_main, Desired(shared=(ours,)), Snapshot(defaults=(old, foreign))))
    assert changed == [("prepend", ours), ("del", old)]
    assert plan(to_main, Desired(shared=(ours,)), Snapshot(defaults=(ours, foreign))) == ()


def test_ours_behind_a_foreign_one_of_the_same_metric_is_put_in_front_again() -> None:
    to_main, ours = Routing(default_table=MAIN_TABLE), default(1, 2, table=MAIN_TABLE)
    foreign = default(1, 4, table=MAIN_TABLE)._replace(protocol=4)
    changes = plan(to_main, Desired(shared=(ours,)), Snapshot(defaults=(foreign, ours)))
    assert steps(changes) == [("del", ours), ("prepend", ours)]


def test_an_earlier_protocol_number_leaves_one_key_after_the_other() -> None:
    new = tuple(default(metric, 2) for metric in (1, 2))
    old = tuple(route._replace(protocol=99) for route in (*new, default(7, 2)))
    rule, earlier = Rule(V4, 1900, 1000), Rule(V4, 1900, 1000, protocol=99)
    snapshot = Snapshot(former_routes=old, former_rules=(earlier,))
    assert steps(plan(Routing(), Desired(shared=new, rules=(rule,)), snapshot)) == [
        ("del", old[0]),
        ("add", new[0]),
        ("del", old[1]),
        ("add", new[1]),
        ("add", rule),
        ("del", earlier),
        ("del", old[2]),
    ]


def test_a_value_from_before_us_is_written_where_it_is_not_back_yet() -> None:
    old = Sysctl("net/x", "0", 2)
    assert steps(plan(Routing(), Desired(originals=(old,)), Snapshot(sysctls=(Sysctl("net/x", "1", 2),)))) == [
        ("replace", old)
    ]
    assert plan(Routing(), Desired(originals=(old,)), Snapshot(sysctls=(old,))) == ()
