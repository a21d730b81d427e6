"""What our nft table should hold, from values alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook import config as files
from mwan_hook.firewall import table
from mwan_hook.model import (
    UNREAD,
    Address,
    Allotment,
    Config,
    ConfigError,
    Delegated,
    Failback,
    Family,
    Firewall,
    Nat6,
    Nexthop,
    OnLink,
    Op,
    Route,
    Router,
    Rule,
    Ruleset,
    Snapshot,
    State,
    Status,
)
from mwan_hook.routing.desired import desire
from mwan_hook.routing.uplinks import Bound, Inputs, bind
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE
BOTH = (Family.IPV4, Family.IPV6)
PIN = Router(pin=True)


def bound(config: Config, snapshot: Snapshot, state: State) -> Bound:
    return bind(config, Inputs(snapshot, state, Allotment()))


def commands(config: Config, state: State | None = None, snapshot: Snapshot | None = None) -> tuple[str, ...]:
    memory = state or b.state(fiber=ON, lte=ON)
    seen = snapshot or b.snapshot("fiber", "lte", families=BOTH)
    return table.wanted(config, bound(config, seen, memory).uplinks, memory, seen, ())


def two(router: Router, **lte: object) -> Config:
    entries = b.uplink("fiber", metric=100), b.uplink("lte", metric=200, **lte)
    return b.config(*entries)._replace(router=router)


def rules(lines: tuple[str, ...], chain: str) -> list[str]:
    start = f"add rule inet mwan_hook {chain} "
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def test_networks_that_hosts_have_addresses_of_still_are_translated_too() -> None:
    """networkd takes the LAN's address away with the carrier of the uplink that it came by."""
    gone = Delegated("2001:db8:1100::/56", "fiber", gone=True, lans=(OnLink(9, "2001:db8:1100:4::/64"),))
    seen = b.snapshot("fiber", "lte", families=BOTH)._replace(delegated=(gone,))
    lines = rules(commands(two(Router(), nat6=Nat6.PREFIX), snapshot=seen), "srcnat")
    wanted = "ip6 saddr 2001:db8:1100:4::/64 fib saddr type != local snat ip6 prefix to 2001:db8:4::/64"
    assert f'oifname "lte" {wanted}' in lines


def test_advertisements_are_corrected_for_dead_uplinks_alone() -> None:
    known = (Delegated("2001:db8:1100::/56", "fiber"), Delegated("2001:db8:2200::/56", "lte"))
    seen = b.snapshot("fiber", "lte", families=BOTH)._replace(delegated=known)
    config = two(Router(deprecate_prefixes=True))
    assert commands(config, b.state(fiber=ON, lte=ON), seen) == ()
    lines = commands(config, b.state(fiber=OFF, lte=ON), seen)
    assert "add chain inet mwan_hook advertised { type filter hook output priority 300; policy accept; }" in lines
    assert any("== 0x20010db811000000" in line for line in lines)
    assert not any("== 0x20010db822000000" in line for line in lines)


def test_nothing_is_made_of_nothing() -> None:
    assert commands(two(Router())) == ()


def test_marks_are_set_inside_the_mask_only() -> None:
    lines = commands(two(PIN))
    changes = [line for line in lines if "mark set" in line]
    assert len(changes) == 2 + 2 + 2 + 2
    assert all("mark & 0xffffc0ff | 0x" in line for line in changes)


def test_a_mark_that_was_chosen_for_an_uplink_is_not_overwritten() -> None:
    lines = commands(two(PIN))
    restoring = [line for line in rules(lines, "prerouting") + rules(lines, "output") if "meta mark set" in line]
    assert len(restoring) == 4
    assert all("meta mark & 0x3f00 == 0 " in line for line in restoring)


def test_verdicts_change_nothing_in_the_table() -> None:
    both = commands(two(PIN), b.state(fiber=ON, lte=ON))
    assert commands(two(PIN), b.state(fiber=OFF, lte=ON)) == both
    assert commands(two(PIN), b.state(fiber=OFF, lte=OFF)) == both


def test_a_pulled_interface_changes_nothing_in_the_table() -> None:
    seen = b.snapshot("fiber", families=BOTH)
    assert commands(two(PIN), snapshot=seen) == commands(two(PIN))


def test_a_tunnel_that_takes_all_lets_go_of_what_went_out_and_not_of_answers() -> None:
    rule = Rule(Family.IPV4, 5270, 52, protocol=3)
    way = Route(Family.IPV4, 52, nexthops=(Nexthop(70),), protocol=3)
    seen = b.snapshot("fiber", "lte", families=BOTH)._replace(foreign_rules=(rule,))
    config = two(PIN)
    assert commands(config, snapshot=seen) == commands(config)  # networks alone
    to_an_uplink = seen._replace(foreign_wide=(way._replace(nexthops=(Nexthop(2),)),))
    assert commands(config, snapshot=to_an_uplink) == commands(config)
    added = [
        one for one in commands(config, snapshot=seen._replace(foreign_wide=(way,))) if one not in commands(config)
    ]
    for chain in ("prerouting", "output"):
        assert [
            f"meta nfproto ipv4 ct direction original ct mark & 0x3f00 == {mark} return" for mark in ("0x100", "0x200")
        ] == rules(tuple(added), chain)


def test_a_hard_failback_lets_go_of_what_went_out_while_a_better_one_is_online() -> None:
    config = two(PIN, failback=Failback.HARD)
    lines = rules(commands(config), "prerouting")
    let_go = [line for line in lines if line.startswith("meta nfproto")]
    assert let_go == [
        "meta nfproto ipv4 ct direction original ct mark & 0x3f00 == 0x200 return",
        "meta nfproto ipv6 ct direction original ct mark & 0x3f00 == 0x200 return",
    ]
    assert lines.index(let_go[1]) < lines.index(
        "ct mark & 0x3f00 == 0x200 meta mark & 0x3f00 == 0 meta mark set meta mark & 0xffffc0ff | 0x200"
    )
    assert commands(config, b.state(fiber=OFF, lte=ON)) == commands(two(PIN))


def test_equal_uplinks_are_not_left_for_one_another() -> None:
    entries = b.uplink("fiber", metric=200), b.uplink("lte", metric=200, failback=Failback.HARD)
    config = b.config(*entries)._replace(router=PIN)
    assert commands(config) == commands(config, b.state(fiber=OFF, lte=ON))


def test_an_uplink_says_itself_what_it_masquerades() -> None:
    everywhere = Router(masquerade=(Family.IPV4,))
    lines = rules(commands(two(everywhere)), "srcnat")
    assert lines == [
        'oifname "fiber" meta nfproto ipv4 fib saddr type != local masquerade',
        'oifname "lte" meta nfproto ipv4 fib saddr type != local masquerade',
    ]
    assert rules(commands(two(everywhere, masquerade=())), "srcnat") == lines[:1]
    assert rules(commands(two(Router(), masquerade=(Family.IPV4,))), "srcnat") == lines[1:]
    assert rules(commands(two(Router(), masquerade=(Family.IPV6,))), "srcnat") == [
        'oifname "lte" meta nfproto ipv6 fib saddr type != local masquerade'
    ]
    assert rules(commands(two(Router(), nat6=Nat6.MASQUERADE)), "srcnat") == [
        'oifname "lte" meta nfproto ipv6 fib saddr type != local masquerade'
    ]


def test_prefixes_of_the_lan_become_the_uplinks() -> None:
    seen = b.snapshot("fiber", "lte", families=BOTH)
    inside = (
        Address(9, Family.IPV6, "fd00:aa::1", 64, True),
        Address(9, Family.IPV6, "2001:db8:4:0:5::1", 64, True),
        Address(9, Family.IPV6, "fe80::1", 64, False),
    )
    seen = seen._replace(addresses=(*seen.addresses, *inside))
    lines = commands(two(Router(), nat6=Nat6.PREFIX), snapshot=seen)
    assert rules(lines, "srcnat") == [
        'oifname "lte" ip6 saddr fd00:aa::/64 fib saddr type != local snat ip6 prefix to 2001:db8:4::/64'
    ]
    wide = commands(two(Router(), nat6=Nat6.PREFIX, nat6_prefix="2001:db8:ff00::/56"), snapshot=seen)
    assert [line.rpartition(" to ")[2] for line in rules(wide, "srcnat")] == ["2001:db8:ff00::/56"] * 2


def test_the_prefix_of_an_uplink_is_that_of_the_address_it_sends_from() -> None:
    seen = b.snapshot("fiber", "lte", families=BOTH)

    def target(*lte: Address) -> list[str]:
        others = tuple(one for one in seen.addresses if one.index != b.NAMES["lte"])
        inside = Address(9, Family.IPV6, "fd00:aa::1", 64, True)
        there = seen._replace(addresses=(*lte, inside, *others))
        lines = rules(commands(two(Router(), nat6=Nat6.PREFIX), snapshot=there), "srcnat")
        return [line.rpartition(" to ")[2] for line in lines]

    ula = Address(b.NAMES["lte"], Family.IPV6, "fdab::7", 64, True)
    fading = Address(b.NAMES["lte"], Family.IPV6, "2001:db8:40::7", 64, True, deprecated=True)
    lasting = Address(b.NAMES["lte"], Family.IPV6, "2001:db8:41::7", 64, True)
    host = Address(b.NAMES["lte"], Family.IPV6, "2001:db8:42::7", 128, True)
    assert target(ula, fading, lasting) == ["2001:db8:41::/64"]
    assert target(host, ula, lasting) == ["2001:db8:41::/64"]  # a host's address says no network
    assert target(host, ula) == []
    assert target(ula) == ["fdab::/64"]


def test_the_table_is_made_anew_only_if_it_or_what_is_wanted_differs() -> None:
    wanted = commands(two(PIN))
    known = Firewall(7, "digest", wanted)
    assert table.difference(wanted, known, known) == ()
    assert table.difference(wanted, Firewall(9, "digest"), known) == ()
    assert table.remembered(wanted, Firewall(9, "digest"), known) == known._replace(generation=9)
    for there in (Firewall(9, "other"), Firewall(9, "")):
        (change,) = table.difference(wanted, there, known)
        assert change.op is Op.REPLACE and change.what == Ruleset(wanted)
        assert table.remembered(wanted, there, known) == known
    assert table.difference(wanted[:-1], known, known)[0].what == Ruleset(wanted[:-1])


def test_it_is_taken_away_only_where_there_is_one() -> None:
    assert table.difference((), Firewall(9, ""), Firewall()) == ()
    (change,) = table.difference((), Firewall(9, "digest"), Firewall())
    assert change.op is Op.DELETE
    assert table.remembered((), Firewall(9, ""), Firewall(7, "digest", ("x",))) == Firewall()


def test_what_failed_is_tried_again_until_it_stands() -> None:
    wanted = commands(two(PIN))
    for listing in ("", "digest"):  # none, and the one from before, which still stands
        failed = Firewall(7, listing, wanted, "no nft")
        for there in (failed, Firewall(7, listing), Firewall(8, listing), Firewall(8, UNREAD)):
            (change,) = table.difference(wanted, there, failed)
            assert change.what == Ruleset(wanted)
            assert table.remembered(wanted, there, failed) == failed
        made = Firewall(9, "digest", wanted)
        assert table.difference(wanted, made, made) == ()


def test_a_table_that_is_not_read_yet_may_be_right_but_is_not_remembered_as_such() -> None:
    wanted, there = commands(two(PIN)), Firewall(9, UNREAD)
    known = Firewall(7, "digest", wanted)
    assert table.difference(wanted, there, known) == ()
    assert table.remembered(wanted, there, known) == known
    (change,) = table.difference(wanted[:-1], there, known)
    assert change.op is Op.REPLACE
    (change,) = table.difference((), there, known)
    assert change.op is Op.DELETE
    assert table.remembered((), there, known) == known


def twins(snapshot: Snapshot) -> Snapshot:
    """The same address on every interface."""
    same = tuple(one._replace(address="192.168.8.100") for one in snapshot.addresses)
    return snapshot._replace(addresses=same)


def sources(config: Config, snapshot: Snapshot, state: State) -> list[tuple[int, int]]:
    made = desire(config, bound(config, snapshot, state).uplinks, state, snapshot)
    found: list[Rule] = [rule for rule in made.rules if rule.src]
    return [(rule.priority, rule.table) for rule in found]


def test_an_address_of_several_uplinks_has_its_rules_after_the_marks() -> None:
    seen = twins(b.snapshot("fiber", "lte"))
    equal = b.config(b.uplink("fiber", metric=100), b.uplink("lte", metric=100))
    assert sources(equal, seen, b.state(fiber=ON, lte=ON)) == [(1301, 1000), (1302, 0)]
    assert sources(two(PIN), seen, b.state(fiber=OFF, lte=ON)) == [(1301, 1000), (1302, 0)]
    assert sources(two(PIN), seen, b.state(fiber=OFF, lte=OFF)) == [(1301, 1001), (1302, 0)]
    nowhere = seen._replace(defaults=())
    assert sources(two(PIN), nowhere, b.state(fiber=OFF, lte=OFF)) == [(1301, 1001), (1302, 0)], "none has a way"


def test_beside_a_better_one_the_address_leads_to_a_holder() -> None:
    seen = b.snapshot("fiber", "cable", "lte")
    same = tuple(a if a.index == 2 else a._replace(address="192.168.8.100") for a in seen.addresses)
    config = b.config(*(b.uplink(name, metric=100 * n) for n, name in enumerate(b.NAMES, 1)))
    seen = seen._replace(addresses=same)
    alone = [(1200, 1001), (1250, 0)]
    assert sources(config, seen, b.state(fiber=ON, cable=ON, lte=ON)) == [*alone, (1301, 1002), (1302, 0)]
    assert sources(config, seen, b.state(fiber=ON, cable=OFF, lte=ON)) == [*alone, (1301, 1003), (1302, 0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[router]\npin = maybe", "expected yes or no"),
        ("[router]\nmasquerade = ipv5", "expected yes (IPv4), no, ipv4, ipv6 or both families"),
        ("[router]\nnat6 = yes", "expected no, masquerade or prefix"),
        ("[uplinks]\n[[a]]\nfailback = slow", "expected soft or hard"),
        ("[uplinks]\n[[a]]\nnat6_prefix = 192.168.0.0/16", "expected an IPv6 prefix"),
        ("[uplinks]\n[[a]]\nnat6_prefix = 2001:db8::/65", "from /16 to /64"),
        ("[router]\npin = yes\n[uplinks]\n[[a]]\nmark = 0x4", "inside [routing] mark_mask (0x3f00)"),
    ],
)
def test_mistakes_are_told_with_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "etc/mwan-hook").mkdir(parents=True)
    (tmp_path / "etc/mwan-hook/mwan-hook.conf").write_text(text + "\n")
    with pytest.raises(ConfigError) as caught:
        files.load(str(tmp_path))
    assert expected in str(caught.value)


def test_yes_masquerades_ipv4_and_a_list_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "etc/mwan-hook").mkdir(parents=True)
    text = "[router]\nmasquerade = yes\n[uplinks]\n[[a]]\nmasquerade = ipv6, ipv4\n[[b]]\nmasquerade = no\n[[c]]\n"
    (tmp_path / "etc/mwan-hook/mwan-hook.conf").write_text(text)
    found = files.load(str(tmp_path)).config
    assert found.router.masquerade == (Family.IPV4,)
    assert [uplink.masquerade for uplink in found.uplinks] == [BOTH, (), None]


def test_what_was_not_translated_as_the_table_stood_is_translation_that_is_added() -> None:
    seen = b.snapshot("fiber", "lte", families=BOTH)
    state = b.state(fiber=ON, lte=ON)

    def added(before: Config, after: Config, listing: str = "same") -> set[tuple[int, Family]]:
        known = Firewall(1, "same", commands(before))
        uplinks = bound(after, seen, state).uplinks
        found = table.added(after, uplinks, seen, Firewall(2, listing), known)
        return {(one.index, one.family) for one in found}

    one, both = two(Router(), masquerade=(Family.IPV4,)), two(Router(masquerade=(Family.IPV4,)))
    lte, fiber = (b.NAMES["lte"], Family.IPV4), (b.NAMES["fiber"], Family.IPV4)
    assert added(one, both) == {fiber}
    assert added(both, both) == set()
    assert added(both, one) == set()
    assert added(both, both, listing="") == {fiber, lte}, "nft flush ruleset"
    assert added(both, both, listing="another's") == {fiber, lte}
    assert added(two(PIN), two(PIN._replace(nat6=Nat6.MASQUERADE))) == {(lte[0], Family.IPV6), (fiber[0], Family.IPV6)}


def test_of_prefix_translation_the_networks_that_it_is_for_are_told() -> None:
    seen = b.snapshot("fiber", families=BOTH)
    lan = Address(9, Family.IPV6, "2001:db8:77::1", 64, True)
    seen = seen._replace(addresses=(*seen.addresses, lan))
    config = b.config(b.uplink("fiber"))._replace(router=Router(nat6=Nat6.PREFIX))
    [one] = table.added(config, bound(config, seen, State()).uplinks, seen, Firewall(), Firewall())
    assert one[1:] == (b.NAMES["fiber"], Family.IPV6, "2001:db8:77::/64")
    assert " 2001:db8:77::/64 " in one.rule
