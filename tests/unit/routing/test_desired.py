"""The kernel layout of the contract, from values alone."""

from __future__ import annotations

import time

from mwan_hook.model import (
    MAIN_TABLE,
    Allotment,
    Config,
    Connectivity,
    Family,
    LastResort,
    Metrics,
    Nexthop,
    Route,
    Snapshot,
    State,
    Status,
    Sysctl,
)
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.rules import shared_addresses
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE


def desired(config: Config, snapshot: Snapshot, state: State) -> Desired:
    bound = bind(config, Inputs(snapshot, state, Allotment()))
    return desire(config, bound.uplinks, state, snapshot)


def devices(route: Route) -> list[tuple[int, int]]:
    return [(hop.index, hop.weight) for hop in route.nexthops]


def three(**settings: object) -> Config:
    return b.config(*(b.uplink(name, metric=100) for name in b.NAMES), **settings)


def test_many_addresses_are_compared_in_one_pass() -> None:
    """Quadratically, these would take minutes."""
    names = ("fiber", "cable")
    texts = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(30000)]
    several = [b.address(name)._replace(address=text) for name in names for text in texts]
    snapshot = b.snapshot(*names)._replace(addresses=tuple(several))
    uplinks = bind(b.config(*map(b.uplink, names)), Inputs(snapshot, State(), Allotment())).uplinks
    began = time.process_time()
    assert len(shared_addresses(uplinks, Family.IPV4)) == 30000
    assert time.process_time() - began < 5


def test_equal_metrics_share_one_multipath_route_with_a_plain_fallback_for_each() -> None:
    made = desired(three(), b.snapshot(*b.NAMES), b.state(fiber=ON, cable=ON, lte=ON))
    assert [(route.metric, devices(route)) for route in made.shared] == [
        (1, [(2, 1), (3, 1), (4, 1)]),
        (2, [(2, 1)]),
        (3, [(3, 1)]),
        (4, [(4, 1)]),
    ]


def test_weights_go_to_the_multipath_route_only() -> None:
    config = b.config(b.uplink("fiber", weight=3, metric=1), b.uplink("lte", metric=1))
    made = desired(config, b.snapshot("fiber", "lte"), b.state(fiber=ON, lte=ON))
    assert devices(made.shared[0]) == [(2, 3), (4, 1)]
    assert devices(made.shared[1]) == [(2, 1)]


def test_a_better_metric_carries_alone_and_the_other_stands_below() -> None:
    config = b.config(b.uplink("lte", metric=200), b.uplink("fiber", metric=100))
    made = desired(config, b.snapshot("fiber", "lte"), b.state(fiber=ON, lte=ON))
    assert [devices(route)[0][0] for route in made.shared] == [2, 2, 4]
    assert made.online[Family.IPV4] == ("fiber", "lte")


def test_an_offline_uplink_keeps_its_table_and_source_rule_but_no_mark_and_no_share() -> None:
    made = desired(three(), b.snapshot(*b.NAMES), b.state(fiber=ON, cable=OFF, lte=ON))
    assert all(3 not in dict(devices(route)) for route in made.shared)
    about = [rule for rule in made.rules if rule.oif == "cable" or rule.src == "192.168.3.2"]
    assert [(rule.priority, rule.table, rule.action) for rule in about] == [
        (1100, 1002, "lookup"),
        (1200, 1002, "lookup"),
        (1250, 0, "unreachable"),
    ]
    assert [route.metric for route in made.tables if route.table == 1002] == [100]


def guards(made: Desired) -> list[tuple[int, str | None]]:
    return [(rule.priority, rule.src) for rule in made.rules if rule.action == "unreachable"]


def test_a_guard_stands_behind_the_rule_of_each_address_and_in_no_table() -> None:
    made = desired(three(), b.snapshot(*b.NAMES), State())
    assert guards(made) == [(1250, f"192.168.{n}.2") for n in (2, 3, 4)]
    assert {route.kind for route in made.tables} == {"unicast"}
    own = desired(b.config(b.uplink("lte", rule_priority=640)), b.snapshot("lte"), State())
    assert guards(own) == [(641, "192.168.4.2")]


def test_what_never_had_a_way_out_is_left_as_it_is_without_us() -> None:
    """Its addresses may have a way by rules and tables of others."""
    config, there = b.config(b.uplink("fiber"), b.uplink("lte")), b.snapshot("fiber", "lte")
    there = there._replace(defaults=tuple(r for r in there.defaults if r.nexthops[0].index == b.NAMES["fiber"]))
    made = desired(config, there, State())
    assert {rule.src for rule in made.rules if rule.src} == {"192.168.2.2"}
    assert [rule.oif for rule in made.rules if rule.oif] == ["fiber", "lte"]
    ever = desired(config, there, b.state(lte=OFF))
    assert guards(ever) == [(1250, "192.168.2.2"), (1250, "192.168.4.2")], "it had one in this boot"
    standing = there._replace(rules=desired(config, b.snapshot("fiber", "lte"), State()).rules)
    assert guards(desired(config, standing, State())) == guards(ever), "and this tells it without a verdict"


def test_without_main_first_its_networks_are_reached_right_before_the_shared_default() -> None:
    both = (Family.IPV4, Family.IPV6)
    there, state = b.snapshot("fiber", families=both), b.state(fiber=ON)
    made = desired(b.config(b.uplink("fiber"), main_first=False), there, state)
    found = [(r.family, r.priority, r.suppress_prefixlength) for r in made.rules if r.table == MAIN_TABLE]
    assert found == [(Family.IPV4, 1898, 1), (Family.IPV6, 1898, 4)]
    own = desired(b.config(b.uplink("fiber", rule_priority=4000), main_first=False), there, state)
    last = [(r.priority, r.table) for r in own.rules if r.family is Family.IPV4 and r.priority > 4000]
    assert sorted(last) == [(4001, 0), (4002, MAIN_TABLE), (4004, 1000)]
    kernel = desired(b.config(b.uplink("fiber"), main_first=False, default_table=MAIN_TABLE), there, state)
    assert all(rule.table != MAIN_TABLE for rule in kernel.rules), "the kernel's own rule does that"


def test_rules_of_the_contract_stand_at_their_priorities() -> None:
    made = desired(b.config(b.uplink("fiber")), b.snapshot("fiber"), b.state(fiber=ON))
    assert [(rule.priority, rule.table) for rule in made.rules] == [
        (1000, MAIN_TABLE),
        (1100, 1001),
        (1300, 1001),
        (1200, 1001),
        (1250, 0),
        (1900, 1000),
    ]
    assert made.rules[0].suppress_prefixlength == 0
    assert (made.rules[2].mark, made.rules[2].mask) == (0x100, 0x3F00)


def test_a_family_that_no_uplink_has_gets_nothing() -> None:
    both = (Family.IPV4, Family.IPV6)
    snapshot = b.snapshot("fiber")._replace(families=both)
    made = desired(b.config(b.uplink("fiber")), snapshot, State())
    assert {rule.family for rule in made.rules} == {Family.IPV4}


def test_with_nothing_online_the_last_resort_decides() -> None:
    snapshot, state = b.snapshot("fiber", "lte"), b.state(fiber=OFF, lte=OFF)
    entries = (b.uplink("fiber", metric=1), b.uplink("lte", metric=2))
    main = desired(b.config(*entries), snapshot, state)
    assert main.shared == () and all(rule.priority != 1900 for rule in main.rules)
    wall = desired(b.config(*entries, last_resort=LastResort.UNREACHABLE), snapshot, state)
    assert [(r.kind, r.metric) for r in wall.shared] == [("unreachable", 1)]
    assert any(rule.priority == 1900 for rule in wall.rules)
    remembered = state._replace(last_online={Family.IPV4: ("lte",)})
    keep = desired(b.config(*entries, last_resort=LastResort.KEEP), snapshot, remembered)
    assert [devices(route)[0][0] for route in keep.shared] == [4, 4]


def test_a_default_in_main_needs_no_rule_of_its_own() -> None:
    made = desired(three(default_table=MAIN_TABLE), b.snapshot(*b.NAMES), b.state(fiber=ON, cable=ON, lte=ON))
    assert {route.table for route in made.shared} == {MAIN_TABLE}
    assert all(rule.priority != 1900 for rule in made.rules)


def test_ipv6_shares_among_nexthops_with_a_gateway_only() -> None:
    snapshot = b.snapshot("fiber", "lte", families=(Family.IPV6,))
    by_device = Route(Family.IPV6, MAIN_TABLE, metric=100, nexthops=(Nexthop(2),), protocol=16)
    snapshot = snapshot._replace(defaults=(by_device, b.foreign("lte", 100, Family.IPV6)))
    config = b.config(b.uplink("fiber", metric=1), b.uplink("lte", metric=1))
    made = desired(config, snapshot, b.state(fiber=ON, lte=ON))
    assert [devices(route) for route in made.shared] == [[(4, 1)], [(2, 1)], [(4, 1)]]


def test_metrics_displace_the_foreign_default_and_remember_it() -> None:
    config = b.config(b.uplink("fiber", metrics=Metrics(full=100, limited=2000)))
    state = b.state(fiber=OFF)
    memory = state.uplinks["fiber"]
    state.uplinks["fiber"] = memory._replace(ipv4=memory.ipv4._replace(connectivity=Connectivity.LIMITED))
    original = b.foreign("fiber", 100)
    made = desired(config, b.snapshot("fiber"), state)
    assert [(route.table, route.metric) for route in made.main] == [(MAIN_TABLE, 2000)]
    assert made.displaced == (original,) and made.foreign == (original,)


def test_metrics_leave_a_foreign_default_alone_that_has_the_metric_already() -> None:
    config = b.config(b.uplink("fiber", metrics=Metrics(full=100, limited=2000)))
    made = desired(config, b.snapshot("fiber"), b.state(fiber=ON))
    assert made.main == () and made.displaced == ()


def test_a_remembered_default_is_put_back_when_the_metrics_are_taken_out_of_the_configuration() -> None:
    original = b.foreign("fiber", 100)
    snapshot = b.snapshot("fiber")._replace(defaults=(original._replace(metric=2000, protocol=172),))
    made = desired(b.config(b.uplink("fiber")), snapshot, b.state(fiber=ON)._replace(foreign=(original,)))
    assert made.restored == (original,) and made.main == ()


def test_a_remembered_default_is_forgotten_when_its_address_is_gone_and_a_newer_one_is_known() -> None:
    config = b.config(b.uplink("fiber", metrics=Metrics(full=50)))
    dead = b.foreign("fiber", 100)._replace(src="192.168.2.9")
    newer = b.foreign("fiber", 200)._replace(src="192.168.2.2")
    snapshot, state = b.snapshot("fiber")._replace(defaults=(newer,)), b.state(fiber=ON)._replace(foreign=(dead,))
    made = desired(config, snapshot, state)
    assert made.foreign == (newer,) and [route.src for route in made.main] == ["192.168.2.2"]
    without = desired(b.config(b.uplink("fiber")), snapshot._replace(defaults=()), state)
    assert without.restored == (), "the kernel takes no route from an address that is gone"


def test_a_default_for_one_type_of_service_is_not_displaced() -> None:
    special = b.foreign("fiber", 100)._replace(tos=0x10)
    snapshot = b.snapshot("fiber")
    snapshot = snapshot._replace(defaults=(special, *snapshot.defaults))
    made = desired(b.config(b.uplink("fiber", metrics=Metrics(full=50))), snapshot, b.state(fiber=ON))
    assert made.displaced == (b.foreign("fiber", 100),)


def in_main(*foreign: Route, families: tuple[Family, ...]) -> list[int]:
    """Metrics of the shared default of two uplinks in main, beside these foreign ones."""
    config = b.config(b.uplink("fiber", metric=1), b.uplink("lte", metric=2), default_table=MAIN_TABLE)
    snapshot = b.snapshot("fiber", "lte", families=families)
    snapshot = snapshot._replace(defaults=(*snapshot.defaults, *foreign))
    return [route.metric for route in desired(config, snapshot, b.state(fiber=ON, lte=ON)).shared]


def test_the_shared_default_in_main_begins_at_metric_0_only_beside_a_foreign_one_of_metric_0() -> None:
    assert in_main(b.foreign("lte", 1), families=(Family.IPV4,)) == [1, 2, 3]
    assert in_main(b.foreign("lte", 0), families=(Family.IPV4,)) == [0, 1, 2]
    assert in_main(b.foreign("lte", 0)._replace(tos=8), families=(Family.IPV4,)) == [1, 2, 3]


def test_the_shared_default_in_main_keeps_out_of_the_way_of_foreign_ipv6_ones() -> None:
    foreign = [b.foreign("lte", metric, Family.IPV6) for metric in (1, 3)]
    assert in_main(*foreign, families=(Family.IPV6,)) == [2, 4, 5]


def test_an_ipv6_default_is_not_merged_into_that_of_another_interface() -> None:
    config = b.config(b.uplink("fiber", metrics=Metrics(full=50)), b.uplink("lte"))
    other = b.foreign("lte", 50, Family.IPV6)
    original = b.foreign("fiber", 100, Family.IPV6)
    snapshot = b.snapshot("fiber", "lte", families=(Family.IPV6,))._replace(defaults=(other, original))
    made = desired(config, snapshot, b.state(fiber=ON, lte=ON))
    assert [route.metric for route in made.main] == [51] and made.displaced == (original,)
    mine = made.main[0]._replace(metric=50)
    joined = mine._replace(nexthops=(*mine.nexthops, *other.nexthops))
    again = desired(config, snapshot._replace(defaults=(joined,)), b.state(fiber=ON)._replace(foreign=(original,)))
    assert again.main == made.main and again.foreign == (original,)


def test_every_source_rule_stands_before_the_shared_default() -> None:
    config = b.config(b.uplink("fiber", rule_priority=2000), b.uplink("lte", rule_priority=3000))
    rules = desired(config, b.snapshot("fiber", "lte"), b.state(fiber=ON)).rules
    assert [rule.priority for rule in rules if rule.table == 1000] == [3004]
    late = desired(b.config(b.uplink("fiber", rule_priority=40000)), b.snapshot("fiber"), b.state(fiber=ON)).rules
    assert [rule.priority for rule in late if rule.table == 1000] == [32765]


def test_an_uplink_that_is_plugged_in_anew_is_used_as_if_it_had_never_been() -> None:
    snapshot = b.snapshot("fiber")._replace(addresses=(), defaults=())
    anew = snapshot._replace(links=(b.link("fiber")._replace(index=9),))
    assert desired(b.config(b.uplink("fiber")), snapshot, b.state(fiber=OFF)).rules
    assert not desired(b.config(b.uplink("fiber")), anew, b.state(fiber=OFF)).rules


def test_a_value_from_before_us_is_put_back_and_follows_its_interface_through_a_rename() -> None:
    key = "net/ipv4/conf/{}/ignore_routes_with_linkdown"
    before = (Sysctl(key.format("wan0"), "0", 2), Sysctl(key.format("gone"), "0", 77))
    state = b.state(fiber=ON)._replace(sysctls=before)
    kept = desired(b.config(b.uplink("fiber")), b.snapshot("fiber"), state)
    assert kept.originals == () and kept.sysctls == (Sysctl(key.format("fiber"), "1", 2),)
    given_back = desired(b.config(b.uplink("lte")), b.snapshot("fiber"), state)
    assert given_back.originals == (Sysctl(key.format("fiber"), "0", 2),) and given_back.sysctls == ()


def test_a_default_of_an_earlier_protocol_number_is_not_foreign() -> None:
    former = b.foreign("fiber", 50, protocol=99)._replace(nexthops=(Nexthop(2, "192.168.2.99"),))
    snapshot = b.snapshot("fiber")
    snapshot = snapshot._replace(defaults=(former, *snapshot.defaults))
    made = desired(b.config(b.uplink("fiber")), snapshot, b.state(fiber=ON)._replace(protocols=(99, 172)))
    assert {hop.gateway for route in made.tables for hop in route.nexthops} == {"192.168.2.1"}


def test_without_memory_the_standing_default_stays_until_there_are_verdicts() -> None:
    """A state file that was lost must not take the way out with it."""
    before = desired(three(), b.snapshot(*b.NAMES), b.state(fiber=ON, cable=ON, lte=ON))
    found = b.snapshot(*b.NAMES)._replace(shared=before.shared)
    assert desired(three(), found, State()).shared == before.shared
    assert desired(three(), found, b.state(fiber=OFF, cable=OFF, lte=OFF)).shared == ()
