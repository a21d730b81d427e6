"""Our rules beside those of other programs, from values alone."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.model import (
    LOCAL_TABLE,
    MAIN_TABLE,
    Address,
    Allotment,
    Config,
    Family,
    LastResort,
    Link,
    Nexthop,
    Route,
    Rule,
    Snapshot,
    State,
    Status,
)
from mwan_hook.others import foreign, tunnels
from mwan_hook.others.servers import is_public
from mwan_hook.routing.desired import Desired, desire
from mwan_hook.routing.priorities import LAST
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE
V4, V6 = Family.IPV4, Family.IPV6
TUN = 70
FULL = 0xFFFFFFFF
LOCAL = (Rule(V4, 0, LOCAL_TABLE, protocol=2), Rule(V6, 0, LOCAL_TABLE, protocol=2))
WIREGUARD = (
    Rule(V4, 32764, MAIN_TABLE, suppress_prefixlength=0, protocol=3),
    Rule(V4, 32765, 51820, mark=0xCA6C, mask=FULL, protocol=3, inverted=True),
)
BYPASS = Rule(V4, 5210, MAIN_TABLE, mark=0x80000, mask=0xFF0000, protocol=3)
TAILSCALE = (
    BYPASS,
    BYPASS._replace(priority=5230, table=253),
    BYPASS._replace(priority=5250, table=0, action="unreachable"),
    Rule(V4, 5270, 52, protocol=3),
)


def way(table: int, dst: str = "default", index: int = TUN, family: Family = V4, **more: object) -> Route:
    """A route of another program."""
    return Route(family, table, dst, nexthops=(Nexthop(index),), protocol=3)._replace(**more)  # type: ignore[arg-type]


def beside(
    rules: tuple[Rule, ...] = (),
    *wide: Route,
    families: tuple[Family, ...] = (V4,),
    lte: Status = ON,
    pieces: tuple[Route, ...] = (),
    hosts: tuple[Route, ...] = (),
    **routing: object,
) -> Desired:
    """Fiber and LTE with what others have."""
    snapshot: Snapshot = b.snapshot("fiber", "lte", families=families)._replace(
        foreign_rules=(*LOCAL, *rules), foreign_wide=wide, pieces=pieces, hosts=hosts
    )
    snapshot = snapshot._replace(links=(*snapshot.links, Link(TUN, "tun7", True, True)))
    config = b.config(b.uplink("fiber", metric=1), b.uplink("lte", metric=2), **routing)
    return joined(config, snapshot, b.state(fiber=ON, lte=lte))


def joined(config: Config, snapshot: Snapshot, state: State) -> Desired:
    """What a run would want."""
    uplinks = bind(config, Inputs(snapshot, state, Allotment())).uplinks
    return tunnels.with_tunnels(desire(config, uplinks, state, snapshot), config, uplinks, snapshot)


def shared(made: Desired, family: Family = V4) -> list[int]:
    """Where the shared default is asked for everything."""
    return [r.priority for r in made.rules if r.table == 1000 and r.family is family and not foreign.selects(r)]


@pytest.mark.parametrize(
    ("rules", "wide", "place"),
    [
        ((), (), 1900),
        (WIREGUARD, (way(51820),), 32765),  # behind what was there first at the same priority
        (tuple(rule._replace(priority=rule.priority - 31766) for rule in WIREGUARD), (way(51820),), 1900),
        (TAILSCALE, (way(52),), 5272),
        (TAILSCALE, (), 5272),
        ((Rule(V4, 4000, 88, iif="lan0", protocol=3),), (), 4002),
        ((Rule(V4, 4000, 88, uids=(9, 9), protocol=3), Rule(V4, 7000, 89, protocol=3)), (way(89),), 7002),
        ((Rule(V4, 9000, 0, action="unreachable", protocol=3),), (), 9002),  # all but what has rules of its own
        ((Rule(V4, 9000, 0, l3mdev=True, protocol=3),), (), 9002),
        ((Rule(V4, 9000, 5, narrowed=True, protocol=3),), (), 9002),
        # where everything went before us
        ((Rule(V4, 9000, 90, protocol=3),), (way(90, index=2),), 1900),
        ((Rule(V4, 9000, MAIN_TABLE, protocol=3),), (), 1900),
        ((Rule(V4, 9000, 0, action="goto", target=32766, protocol=3),), (), 1900),
        (
            (Rule(V4, 4000, 88, dst="10.4.0.0/16", protocol=3), Rule(V4, 4001, 90, protocol=3)),
            (way(90, index=4),),
            4000,
        ),
        ((Rule(V4, 4000, 90, protocol=3), Rule(V4, 6000, 91, protocol=3)), (way(90, index=2), way(91)), 1900),
        # what takes nothing from us
        ((Rule(V4, 4000, 0, action="nop", protocol=3),), (), 1900),
        ((Rule(V4, 32765, LOCAL_TABLE, protocol=3),), (), 1900),
        ((Rule(V4, 4000, 77, src="192.168.2.2", protocol=3),), (), 1900),  # fiber's own address
        ((Rule(V4, 32800, 77, protocol=3),), (way(77),), 1900),  # behind main
    ],
)
def test_the_shared_default_stands_behind_what_takes_packets_for_a_purpose(
    rules: tuple[Rule, ...], wide: tuple[Route, ...], place: int
) -> None:
    assert shared(beside(rules, *wide)) == [place]


def test_each_family_has_its_own_place() -> None:
    made = beside((Rule(V6, 5270, 52, protocol=3),), way(52, family=V6), families=(V4, V6))
    assert (shared(made), shared(made, V6)) == ([1900], [5272])


def test_a_better_default_by_a_tunnel_makes_a_tunnel_of_a_table() -> None:
    rules = (Rule(V4, 9000, 90, protocol=3),)
    assert shared(beside(rules, way(90, metric=5), way(90, index=2, metric=9))) == [9002]
    assert shared(beside(rules, way(90, metric=9), way(90, index=2, metric=5))) == [1900]
    assert shared(beside(rules, way(90, "0.0.0.0/1"), way(90, index=2))) == [9002]


def test_a_tunnels_own_packets_take_the_shared_default_in_front_of_mains() -> None:
    made = beside(TAILSCALE, way(52))
    led = [rule for rule in made.rules if rule.mark == 0x80000]
    assert led == [Rule(V4, 5209, 1000, mark=0x80000, mask=0xFF0000)]


def test_also_where_our_own_rules_come_after_the_tunnels() -> None:
    made = beside(TAILSCALE, way(52), rule_priority=5300)
    led = [rule for rule in made.rules if rule.mark == 0x80000]
    networks = Rule(V4, 5208, MAIN_TABLE, mark=0x80000, mask=0xFF0000, suppress_prefixlength=0)
    assert led == [networks, Rule(V4, 5209, 1000, mark=0x80000, mask=0xFF0000)]
    assert shared(made) == [6200]


def test_what_an_operator_sends_to_main_in_front_of_us_is_left_to_main() -> None:
    made = beside((Rule(V4, 500, MAIN_TABLE, mark=7, mask=FULL, protocol=3),))
    assert not [rule for rule in made.rules if rule.mark == 7]


def test_with_the_default_in_main_nothing_is_led() -> None:
    made = beside(TAILSCALE, way(52), default_table=MAIN_TABLE)
    assert not [rule for rule in made.rules if rule.mark == 0x80000]


def test_networks_of_a_tunnel_come_before_the_rules_of_addresses() -> None:
    for made in (beside(TAILSCALE, way(52)), beside(TAILSCALE, way(52), default_table=MAIN_TABLE)):
        assert Rule(V4, 1051, 52, suppress_prefixlength=1) in made.rules
    made = beside((Rule(V6, 5270, 52, protocol=3),), families=(V4, V6))
    assert Rule(V6, 1051, 52, suppress_prefixlength=4) in made.rules


def test_behind_a_tunnel_for_all_but_its_own_packets_only_those_reach_networks() -> None:
    null = Rule(V4, 7500, 66, protocol=3)

    def networks(*rules: Rule) -> list[tuple[int | None, str | None]]:
        made = beside((*rules, null), way(51820), way(51821))
        return [(rule.mark, rule.dst) for rule in made.rules if rule.table == null.table]

    wireguard = WIREGUARD[1]._replace(priority=6100)
    split = Rule(V4, 6200, 51821, dst="10.4.0.0/16", protocol=3, inverted=True)
    assert networks() == [(None, None)]
    assert networks(wireguard) == [(0xCA6C, None)]
    assert networks(split) == [(None, "10.4.0.0/16")]
    assert networks(wireguard, split) == []
    assert networks(Rule(V4, 6100, 51820, protocol=3)) == []


def test_what_chooses_by_mark_or_destination_jumps_over_the_rules_of_addresses() -> None:
    rules = (
        Rule(V4, 3000, 80, mark=0x64, mask=FULL, protocol=3),
        Rule(V4, 3001, 81, dst="10.4.0.0/16", protocol=3),
        Rule(V4, 3002, 82, uids=(30, 40), protocol=3),
        Rule(V4, 3003, 83, iif="lan0", protocol=3),  # forwarded packets have no address of ours
        Rule(V4, 3004, 84, src="10.5.0.0/16", protocol=3),
        Rule(V4, 3005, 85, mark=0x100, mask=0x3F00, protocol=3),  # fiber's mark
        Rule(V4, 3006, 86, mark=0x65, mask=FULL, protocol=3, inverted=True),
    )
    jumps = [rule for rule in beside(rules).rules if rule.action == "goto"]
    assert [(rule.priority, rule.mark, rule.dst, rule.uids, rule.target) for rule in jumps] == [
        (1050, 0x64, None, None, 3000),
        (1050, None, "10.4.0.0/16", None, 3000),
        (1050, None, None, (30, 40), 3000),
    ]
    assert not [rule for rule in beside(TAILSCALE).rules if rule.action == "goto"]


@pytest.mark.parametrize(
    ("between", "legs"),
    [
        ((), [(1050, 6000)]),
        ((2200,), [(1050, 2200)]),
        ((1060,), [(1099, 6000)]),  # behind it come our rules of devices
        ((1130,), [(1050, 1130), (1199, 6000)]),
        ((1130, 1140), [(1050, 1130), (1199, 6000)]),
        ((1070, 1220, 1270, 3300), [(1099, 1220), (1249, 1270), (1299, 3300)]),
        ((980, 6001), [(1050, 6000)]),
    ],
)
def test_a_jump_passes_over_no_rule_of_another_program(between: tuple[int, ...], legs: list[tuple[int, int]]) -> None:
    rules = [Rule(V4, priority, 91, src="10.9.0.0/16", protocol=3) for priority in between]
    rules.append(Rule(V4, 6000, 90, dst="10.4.0.0/16", protocol=3))
    rules.sort(key=lambda rule: rule.priority)
    jumps = [rule for rule in beside(tuple(rules)).rules if rule.action == "goto"]
    assert [(rule.priority, rule.target) for rule in jumps] == legs
    assert {rule.dst for rule in jumps} == {"10.4.0.0/16"}


def test_a_jump_leads_over_the_addresses_of_an_uplink_that_stand_further_on() -> None:
    rules = (Rule(V4, 1500, 91, src="10.9.0.0/16", protocol=3), Rule(V4, 6000, 90, dst="10.4.0.0/16", protocol=3))
    snapshot = b.snapshot("fiber", families=(V4,))._replace(foreign_rules=(*LOCAL, *rules))
    made = joined(b.config(b.uplink("fiber", rule_priority=2500)), snapshot, b.state(fiber=ON))
    jumps = [(rule.priority, rule.target) for rule in made.rules if rule.action == "goto"]
    assert jumps == [(1050, 1500), (2499, 6000)]


def test_the_last_resort_does_not_refuse_what_a_tunnel_would_carry() -> None:
    def refused(rules: tuple[Rule, ...], *wide: Route, pieces: tuple[Route, ...] = ()) -> bool:
        config = b.config(b.uplink("fiber"), last_resort=LastResort.UNREACHABLE)
        snapshot = b.snapshot("fiber", families=(V6,))._replace(foreign_rules=(*LOCAL, *rules), foreign_wide=wide)
        made = joined(config, snapshot._replace(pieces=pieces), b.state(fiber=OFF))
        return any(rule.priority == 1199 for rule in made.rules)

    tunnel = Rule(V6, 5270, 52, protocol=3)
    assert refused(())
    assert refused((tunnel,))
    assert not refused((tunnel,), way(52, family=V6))
    assert not refused((), pieces=(way(MAIN_TABLE, "2000::/3", family=V6),))


def test_what_stands_first_is_said() -> None:
    assert beside().notes == ()
    assert beside(WIREGUARD, way(51820)).notes == (
        "ip rule 32765 of another program leads all traffic into tun7 (table 51820)",
        "ip rule 32765 is the shared default's, instead of 1900: rules of other programs come first",
    )
    assert beside((Rule(V4, 9000, 0, action="prohibit", protocol=3),)).notes[0] == (
        "ip rule 9000 of another program refuses everything (prohibit)"
    )


HALVES = (way(MAIN_TABLE, "0.0.0.0/1"),)
SERVER = way(MAIN_TABLE, "93.184.216.34/32", index=4, nexthops=(Nexthop(4, "192.168.4.1"),))


def test_a_tunnels_server_is_reached_by_an_uplink_that_works() -> None:
    made = beside(lte=OFF, pieces=HALVES, hosts=(SERVER,))
    assert [rule for rule in made.rules if rule.dst] == [Rule(V4, 999, 1000, dst="93.184.216.34")]
    assert made.notes == (
        "main has 0.0.0.0/1 dev tun7: a default in pieces, which comes before the shared default",
        "main has 93.184.216.34 via 192.168.4.1 dev lte, and lte is offline: "
        "as a tunnel's server it is reached by fiber meanwhile",
    )
    in_main = beside(lte=OFF, pieces=HALVES, hosts=(SERVER,), default_table=MAIN_TABLE)
    assert [rule.table for rule in in_main.rules if rule.dst] == [1001]
    assert not [rule for rule in beside(pieces=HALVES, hosts=(SERVER,)).rules if rule.dst]  # its line works


def test_without_a_tunnel_a_host_route_by_a_dead_line_is_only_named() -> None:
    made = beside(lte=OFF, hosts=(SERVER,))
    assert not [rule for rule in made.rules if rule.dst]
    assert made.notes[0].startswith(
        "main has 93.184.216.34 via 192.168.4.1 dev lte, and lte is offline: what goes there"
    )
    other = SERVER._replace(nexthops=(Nexthop(4, "192.168.4.77"),))  # a neighbour of the line, not the internet
    private = SERVER._replace(dst="10.1.2.3/32")
    assert beside(lte=OFF, pieces=HALVES, hosts=(other, private)).notes[1:] == ()


@pytest.mark.parametrize(
    ("prefix", "public"),
    [
        *(
            (one, True)
            for one in ("9.9.9.9/32", "93.184.216.34/32", "172.32.0.1/32", "100.128.0.1/32", "2001:db8::7/128")
        ),
        *((one, False) for one in ("10.0.0.1/32", "172.16.5.5/32", "192.168.1.1/32", "100.64.3.3/32", "fd00::1/128")),
        ("224.0.0.5/32", False),
    ],
)
def test_addresses_that_any_line_may_reach(prefix: str, public: bool) -> None:
    assert is_public(prefix) is public


def test_a_default_in_pieces_waits_where_other_programs_have_rules() -> None:
    """One network is kept out of the tunnel by a rule that stands before main: so it stays."""
    first = Rule(V4, 1000, MAIN_TABLE, suppress_prefixlength=0, protocol=172)
    kept = (Rule(V4, 7000, 88, src="192.0.2.0/24", protocol=3),)
    assert first in beside(pieces=HALVES).rules, "as ever where nothing else stands"
    found = [r for r in beside(kept, pieces=HALVES).rules if r.table == MAIN_TABLE]
    assert found == [first._replace(priority=7001), first._replace(suppress_prefixlength=1)]
    assert [r.priority for r in beside(kept, pieces=HALVES, lte=OFF).rules if r.table == 1000] == [7002]


def test_a_bypass_of_one_tunnel_goes_by_the_default_in_pieces_of_another() -> None:
    led = [r for r in beside(TAILSCALE, way(52), pieces=HALVES).rules if r.mark == BYPASS.mark]
    assert [(r.priority, r.table, r.suppress_prefixlength) for r in led] == [(5208, MAIN_TABLE, 0), (5209, 1000, None)]


def test_the_address_of_a_line_that_is_no_uplink_goes_where_main_sends_it() -> None:
    spare, address = Route(V4, MAIN_TABLE, metric=5, nexthops=(Nexthop(TUN, "10.9.9.1"),), protocol=3), "10.9.9.2"
    snapshot = b.snapshot("fiber", "lte", families=(V4,))._replace(foreign_rules=LOCAL)
    snapshot = snapshot._replace(
        links=(*snapshot.links, Link(TUN, "eth7", True, True)),
        defaults=(*snapshot.defaults, spare),
        addresses=(*snapshot.addresses, Address(TUN, V4, address, 24, True)),
    )
    config = b.config(b.uplink("fiber", metric=1), b.uplink("lte", metric=2))
    made = joined(config, snapshot, b.state(fiber=ON, lte=ON))
    assert [r for r in made.rules if r.src == address] == [Rule(V4, 1899, MAIN_TABLE, src=address, protocol=172)]
    inside = joined(config._replace(routing=config.routing._replace(default_table=MAIN_TABLE)), snapshot, State())
    assert not [r for r in inside.rules if r.src == address]


# ---------------------------------------------------------------- what a rule of others means


@pytest.mark.parametrize(
    ("change", "leads"),
    [
        ({}, True),
        ({"inverted": True, "mark": 5, "mask": 5}, True),
        ({"src": "10.0.0.1"}, False),
        ({"suppress_prefixlength": 0}, False),
        ({"action": "unreachable"}, False),
        ({"l3mdev": True}, False),
        ({"table": MAIN_TABLE}, False),
        ({"table": LOCAL_TABLE}, False),
        ({"priority": LAST}, True),
        ({"priority": LAST + 1}, False),
    ],
)
def test_a_rule_for_all_packets_to_a_table_of_its_own_leads_where_that_says(
    change: dict[str, Any], leads: bool
) -> None:
    rule = Rule(V4, 5000, 77, protocol=3)._replace(**change)
    assert foreign.tables([rule]) == ((V4, rule.table),) * leads
    pieces = way(rule.table, "0.0.0.0/1"), way(rule.table, "128.0.0.0/1")
    others = way(78, "0.0.0.0/1"), way(rule.table, "8000::/1", family=V6)
    found = foreign.wide(rule, Snapshot(foreign_wide=(*pieces, *others, way(rule.table, metric=9))))
    assert found == list(pieces) * leads


def test_of_several_defaults_of_a_table_the_best_counts() -> None:
    good, bad = way(77, metric=3), way(77, metric=4)
    assert foreign.wide(Rule(V4, 5000, 77), Snapshot(foreign_wide=(bad, good))) == [good]
    assert foreign.wide(Rule(V4, 5000, 77), Snapshot()) == []


@pytest.mark.parametrize(
    ("rule", "behind"),
    [
        (Rule(V4, 3000, 0, action=foreign.NOP), False),
        (Rule(V4, 3000, LOCAL_TABLE), False),
        (Rule(V4, 3000, MAIN_TABLE, suppress_prefixlength=0), False),
        (Rule(V4, 3000, 77, mark=5, mask=5), True),
        (Rule(V4, 3000, LOCAL_TABLE, mark=5, mask=5), True),
    ],
)
def test_the_shared_default_stands_behind_rules_that_it_would_take_from(rule: Rule, behind: bool) -> None:
    assert shared(beside((rule,))) == [3002 if behind else 1900]
