"""Delegated prefixes, from values alone: whose they are, where they lead, what is advertised of them."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook import config as files
from mwan_hook.addresses import covers, network
from mwan_hook.firewall import advertised, table
from mwan_hook.model import (
    MAIN_TABLE,
    Address,
    Allotment,
    Config,
    ConfigError,
    Delegated,
    Family,
    LastResort,
    Nat6,
    OnLink,
    Router,
    Rule,
    Snapshot,
    State,
    Status,
    Uplink,
)
from mwan_hook.routing import delegated, prefixes
from mwan_hook.routing.desired import desire
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

ON, OFF = Status.ONLINE, Status.OFFLINE
BOTH = (Family.IPV4, Family.IPV6)
FIBER, CABLE = "2001:db8:1100::/56", "2001:db8:2200::/56"
KNOWN = (Delegated(FIBER, "fiber"), Delegated(CABLE, "cable"))
LAN = 9


def seen(known: tuple[Delegated, ...] = KNOWN) -> Snapshot:
    return b.snapshot("fiber", "cable", "lte", families=BOTH)._replace(delegated=known)


def three(**fiber: object) -> Config:
    return b.config(b.uplink("fiber", metric=100, **fiber), b.uplink("cable", metric=100), b.uplink("lte", metric=100))


def uplinks(config: Config, state: State, snapshot: Snapshot) -> tuple[Uplink, ...]:
    return bind(config, Inputs(snapshot, state, Allotment())).uplinks


def rules(config: Config, state: State, snapshot: Snapshot | None = None) -> list[Rule]:
    there = snapshot or seen()
    wanted = desire(config, uplinks(config, state, there), state, there).rules
    return [rule for rule in wanted if rule.src and rule.src.endswith("/56")]


ALL_ON = b.state(fiber=ON, cable=ON, lte=ON)
FIBER_OFF = b.state(fiber=OFF, cable=ON, lte=ON)


def test_each_prefix_has_a_rule_at_the_priority_of_its_uplinks_addresses() -> None:
    own = b.uplink("fiber", metric=100, rule_priority=700)
    assert rules(three(), ALL_ON) == [
        Rule(Family.IPV6, 1200, 1001, src=FIBER),
        Rule(Family.IPV6, 1250, 0, src=FIBER, action="unreachable"),
        Rule(Family.IPV6, 1200, 1002, src=CABLE),
        Rule(Family.IPV6, 1250, 0, src=CABLE, action="unreachable"),
    ]
    moved = rules(three()._replace(uplinks=(own, *three().uplinks[1:])), ALL_ON)
    assert [rule.priority for rule in moved if rule.src == FIBER] == [700, 701]


def test_a_prefix_needs_no_guard_where_all_that_may_take_over_translate() -> None:
    """The kernel moves its traffic then as soon as the link is gone, before any run."""
    able = b.config(*(b.uplink(name, metric=100, nat6=Nat6.MASQUERADE) for name in b.NAMES))
    assert [(rule.src, rule.table) for rule in rules(able, ALL_ON)] == [(FIBER, 1001), (CABLE, 1002)]
    alone = b.state(fiber=ON, cable=OFF, lte=OFF)
    assert [rule.table for rule in rules(able, alone) if rule.src == FIBER] == [1001, 0], "main may know other ways"


def test_with_pin_marks_come_first() -> None:
    """A connection that failed over has another uplink's address already."""
    assert {rule.priority for rule in rules(three()._replace(router=Router(pin=True)), ALL_ON)} == {1301, 1302}
    late = b.config(b.uplink("fiber", rule_priority=2000))._replace(router=Router(pin=True))
    assert [rule.priority for rule in rules(late, ALL_ON)] == [2000, 2001]


def test_where_main_does_not_come_first_the_lans_own_traffic_does() -> None:
    config = three()
    found = rules(config._replace(routing=config.routing._replace(main_first=False)), ALL_ON)
    assert found[0] == Rule(Family.IPV6, 1199, MAIN_TABLE, src=FIBER, suppress_prefixlength=4)


@pytest.mark.parametrize("prefix", [FIBER, CABLE])
def test_what_an_uplink_does_not_want_is_not_used(prefix: str) -> None:
    assert {rule.src for rule in rules(three(prefixes=()), ALL_ON)} == {CABLE}
    assert {rule.src for rule in rules(three(families=(Family.IPV4,)), ALL_ON)} == {CABLE}
    held = tuple(one._replace(interface="fiber") for one in KNOWN)
    assert {rule.src for rule in rules(three(prefixes=(prefix,)), ALL_ON, seen(held))} == {prefix}


@given(
    st.fixed_dictionaries({name: st.sampled_from((ON, OFF, Status.DISABLED)) for name in b.NAMES}),
    st.fixed_dictionaries({name: st.sampled_from((None, Nat6.NO, Nat6.MASQUERADE, Nat6.PREFIX)) for name in b.NAMES}),
    st.fixed_dictionaries({name: st.sampled_from((100, 200)) for name in b.NAMES}),
    st.sampled_from(tuple(LastResort)),
)
def test_no_source_ever_leaves_untranslated_by_another_uplink(
    verdicts: dict[str, Status], modes: dict[str, Nat6 | None], metrics: dict[str, int], last: LastResort
) -> None:
    """Two uplinks have delegated a prefix each, a third has none."""
    entries = [b.uplink(name, metric=metrics[name], nat6=modes[name]) for name in b.NAMES]
    config, state = b.config(*entries, last_resort=last), b.state(**verdicts)
    bound = uplinks(config, state, seen())
    online = {one.name for one in bound if verdicts[one.name] is ON}
    able = {one.table for one in bound if modes[one.name] in (Nat6.MASQUERADE, Nat6.PREFIX)}
    walks = sorted(rules(config, state), key=lambda rule: rule.priority, reverse=True)
    found = {rule.src: rule for rule in walks}
    guarded = {rule.src for rule in walks if rule.table == 0}
    for owner, prefix in (("fiber", FIBER), ("cable", CABLE)):
        rule, own = found.get(prefix), next(one for one in bound if one.name == owner)
        if owner in online:
            assert rule is not None
            assert rule.table == own.table
            others = [one for one in bound if one.name in online and one is not own]
            assert prefix in guarded or all(one.table in able for one in others)
        elif rule is None:
            best = min(metrics[name] for name in online)
            assert all(one.table in able for one in bound if one.name in online and one.metric == best)
        elif rule.table not in (0, own.table):
            assert rule.table in able
            assert prefix in guarded
        elif rule.table == own.table:
            assert not online
            assert last in (LastResort.MAIN, LastResort.KEEP)
            assert prefix in guarded
        else:
            assert rule.action == "unreachable"


def test_a_pulled_uplinks_prefix_is_refused_not_leaked() -> None:
    there = b.snapshot("cable", "lte", families=BOTH)._replace(delegated=KNOWN)
    found = rules(three(), FIBER_OFF, there)
    assert found[0] == Rule(Family.IPV6, 1200, 0, src=FIBER, action="unreachable")


def test_prefixes_follow_the_verdicts_of_ipv6_and_not_those_of_ipv4() -> None:
    able = b.config(*(b.uplink(name, metric=100, nat6=Nat6.MASQUERADE) for name in b.NAMES))
    for other in (ALL_ON, FIBER_OFF, b.state(fiber=OFF, cable=OFF, lte=OFF)):
        for one in (ALL_ON, FIBER_OFF):
            mixed = {name: one.uplinks[name]._replace(ipv4=other.uplinks[name].ipv4) for name in b.NAMES}
            assert rules(able, State(uplinks=mixed)) == rules(able, one)


@pytest.mark.parametrize(("carrier", "tables"), [(True, [1001, 0]), (False, [0])])
def test_with_nothing_online_only_an_uplink_that_has_a_way_gets_its_prefix(carrier: bool, tables: list[int]) -> None:
    """Main may know another way, and that one does not translate."""
    there = seen()
    there = there._replace(links=(b.link("fiber", carrier=carrier), *there.links[1:]))
    off, config = b.state(fiber=OFF, cable=OFF, lte=OFF), three()
    hoping = config._replace(routing=config.routing._replace(last_resort=LastResort.MAIN))
    assert [rule.table for rule in rules(hoping, off, there) if rule.src == FIBER] == tables


def test_without_a_verdict_it_leaves_by_its_own_uplink() -> None:
    assert rules(three(), State())[0].table == 1001


# ---------------------------------------------------------------- whose they are


LINES = uplinks(three(), ALL_ON, seen(()))


def follow(old: tuple[Delegated, ...], *there: str, now: float = 100.0) -> tuple[Delegated, ...]:
    return delegated.followed(old, there, uplinks(three(), ALL_ON, seen(())), now)


def test_what_is_new_is_asked_for_once_and_then_known() -> None:
    fresh = follow((), FIBER)
    assert [delegated.due(one, 100) for one in fresh] == [True]
    known = delegated.answered(fresh, {FIBER: ["fiber"]}, LINES, 100)
    assert known == (Delegated(FIBER, "fiber", since=100, asked=100),)
    assert follow(known, FIBER, now=101) == known
    assert not any(delegated.due(one, at) for one in known for at in (101, 200, 1e6))


def test_what_is_not_known_is_asked_for_at_growing_intervals_and_not_for_ever() -> None:
    known, asked = follow((), FIBER), []
    for now in range(100, 1000):
        if any(delegated.due(one, now) for one in known):
            asked.append(now - 100)
            known = delegated.answered(known, {}, LINES, now)
        known = follow(known, FIBER, now=now)
    assert asked == [0, 1, 2, 4, 8, 16, 32, 64]
    said = delegated.nameless(known, seen(())._replace(blocked=(FIBER,)), known[0].asked)
    assert said == [f"{FIBER} was delegated, and no uplink is known to have got it: name it there (prefixes = {FIBER})"]
    again = follow(known, FIBER, CABLE, now=1000)
    assert all(delegated.due(one, 1000) for one in again)


def test_a_prefix_that_vanishes_stays_until_its_uplink_has_another() -> None:
    known = (Delegated(FIBER, "fiber", 1, 1, lans=(OnLink(LAN, "2001:db8:1100::/64"),)),)
    gone = follow(known)
    assert gone == (known[0]._replace(gone=True),)
    assert follow(gone) == gone
    assert follow(gone, CABLE)[1:] == gone
    replaced = delegated.answered(follow(gone, CABLE), {CABLE: ["fiber"]}, LINES, 100)
    assert [one.prefix for one in follow(replaced, CABLE)] == [CABLE]


def test_a_prefix_that_is_back_is_asked_for_again() -> None:
    """It may have come by another line."""
    back = follow((Delegated(FIBER, "fiber", 1, 1, gone=True),), FIBER)
    assert [(one.interface, one.gone, delegated.due(one, 100)) for one in back] == [("fiber", False, True)]
    assert delegated.answered(back, {FIBER: ["cable"]}, LINES, 100)[0].interface == "cable"
    assert delegated.answered(back, {}, LINES, 100)[0].interface == "fiber"


@pytest.mark.parametrize(
    ("before", "claims", "holder"),
    [
        ("", ["fiber", "cable"], "fiber"),  # at boot: the first
        ("", ["cable", "fiber"], "cable"),
        ("fiber", ["cable", "fiber"], "fiber"),  # it has it, and says so still
        ("fiber", ["cable", "lte"], "cable"),  # its lease has ended
        ("", ["lan0", "cable"], "cable"),  # no uplink
        ("", ["lan0"], ""),
        ("", ["old0", "cable"], "cable"),  # pulled out
        ("old0", ["old0", "cable"], "cable"),
        ("old0", ["old0"], "old0"),
    ],
)
def test_a_prefix_is_kept_by_the_first_uplink_as_long_as_its_lease(before: str, claims: list[str], holder: str) -> None:
    lines = (*LINES, LINES[0]._replace(interface="old0", name="old", index=0, link=None))
    asked = Delegated(FIBER, before, since=50.0)
    assert delegated.answered((asked,), {FIBER: claims}, lines, 60)[0].interface == holder


def test_a_clash_is_named_when_it_is_found() -> None:
    claims = {FIBER: ["fiber", "lan0", "lte"], CABLE: ["cable"]}
    known = delegated.answered((Delegated(FIBER, since=1.0), Delegated(CABLE, since=1.0)), claims, LINES, 2)
    said = f"{FIBER} was delegated to fiber, and lte claims it too: fiber keeps it"
    assert delegated.clashes(known, claims, LINES, 2) == [said]
    assert delegated.clashes(known, claims, LINES, 3) == []


def test_what_left_the_configuration_is_forgotten() -> None:
    assert follow((Delegated(FIBER, "old0", 1, 1),)) == ()


def test_a_configured_prefix_needs_no_asking() -> None:
    bound = uplinks(three(prefixes=(FIBER,)), ALL_ON, seen(()))
    assert delegated.seen(seen(()), bound, ()) == (FIBER,)
    found = delegated.followed((), (FIBER,), bound, 100)
    assert found == (Delegated(FIBER, "fiber"),)
    assert not delegated.due(found[0], 100)


def test_a_lans_address_shows_a_prefix_that_no_route_does() -> None:
    """A DHCP client makes no prefix of 64 bits unreachable."""
    addresses = [
        Address(LAN, Family.IPV6, "2001:db8:1100:3::1", 64, True),
        Address(LAN, Family.IPV6, "2001:db8:77:3::1", 64, True),
        Address(LAN, Family.IPV6, "fd00::1", 64, True),
        Address(LAN, Family.IPV6, "2001:db8:78::1", 128, True),
        Address(LAN, Family.IPV6, "2001:db8:79::1", 64, False),
    ]
    there = seen(())._replace(blocked=(FIBER,), addresses=(*seen().addresses, *addresses))
    assert delegated.seen(there, uplinks(three(), ALL_ON, there), ()) == (FIBER, "2001:db8:77:3::/64")


def test_the_lans_networks_of_a_prefix_are_kept_when_it_is_gone() -> None:
    bound = uplinks(three(), ALL_ON, seen())
    inside, uplinks_own = OnLink(LAN, "2001:db8:1100:1::/64"), OnLink(b.NAMES["lte"], "2001:db8:1100:2::/64")
    found = delegated.located(KNOWN, (inside, uplinks_own), bound)
    assert [one.lans for one in found] == [(inside,), ()]
    gone = tuple(one._replace(gone=True) for one in found)
    assert delegated.located(gone, (), bound) == gone


# ---------------------------------------------------------------- what is advertised


@pytest.mark.parametrize(
    ("router", "state", "deprecated"),
    [
        (Router(deprecate_prefixes=True), ALL_ON, ()),
        (Router(deprecate_prefixes=True), FIBER_OFF, (FIBER,)),
        (Router(), FIBER_OFF, ()),
        (Router(deprecate_prefixes=True), b.state(fiber=OFF, cable=OFF, lte=ON), (FIBER, CABLE)),
        (Router(deprecate_prefixes=True), b.state(fiber=OFF, cable=OFF, lte=OFF), ()),
        (Router(deprecate_prefixes=True), b.state(fiber=Status.DISABLED, cable=ON, lte=ON), (FIBER,)),
        (Router(deprecate_prefixes=True), b.state(cable=ON), ()),
    ],
)
def test_dead_uplinks_prefixes_are_deprecated_while_another_is_online(
    router: Router, state: State, deprecated: tuple[str, ...]
) -> None:
    config = three()._replace(router=router)
    assert table.deprecated(config, uplinks(config, state, seen()), state, seen()) == deprecated


def test_the_lifetime_of_a_prefix_is_moved_not_lost_so_that_the_checksum_stays() -> None:
    """The rules' offsets, tried on an advertisement; what nft(8) makes of them the tests in namespaces show."""
    head = bytes((134, 0, 0, 0, 64, 0)) + bytes(10)
    options = [struct.pack("!BB6s", 1, 1, b"\2\0\0\0\0\1"), prefix_option("2001:db8:1100:4::"), prefix_option("fd00::")]
    before = head + b"".join(options)
    after = applied(list(advertised.rules((FIBER,))), before)
    assert after == before.replace(struct.pack("!III", 86400, 14400, 0), struct.pack("!III", 86400, 0, 14400), 1)
    assert words(after) == words(before)
    assert applied(list(advertised.rules((CABLE,))), before) == before


def prefix_option(prefix: str) -> bytes:
    return struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(socket.AF_INET6, prefix)


def words(message: bytes) -> int:
    return sum(struct.unpack(f"!{len(message) // 2}H", message))


def applied(lines: list[str], message: bytes) -> bytes:
    """What the rules' payload expressions do: kind, prefix, lifetime, reserved, and the two that are set."""
    for line in lines[2:]:
        places = [(int(at) // 8, int(size) // 8) for at, size in re.findall(r"@th,(\d+),(\d+)", line)]
        kind, mask, bits = (int(word, 16) for word in re.findall(r"0x[0-9a-f]+", line))
        fields = [int.from_bytes(message[at : at + size], "big") for at, size in places]
        if len(message) < places[1][0] + 8 or fields[0] != kind or fields[1] & mask != bits or not fields[2]:
            continue
        lifetime, reserved = places[2][0], places[3][0]
        assert [at for at, _ in places[4:]] == [lifetime, lifetime]
        changed = bytearray(message)
        changed[reserved : reserved + 4] = message[lifetime : lifetime + 4]
        changed[lifetime : lifetime + 4] = bytes(4)
        message = bytes(changed)
    return message


# ---------------------------------------------------------------- configuration and arithmetic


def configured(root: Path, text: str) -> Config:
    path = root / "etc/mwan-hook/mwan-hook.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return files.load(str(root)).config


def test_prefixes_are_auto_none_or_named(tmp_path: Path) -> None:
    own = ("", "prefixes = no", "prefixes = auto", "prefixes = 2001:DB8:1::/56, 2001:db8:2::/64")
    entries = "\n".join(f"[[{name}]]\n{line}" for name, line in zip("abcd", own, strict=True))
    found = configured(tmp_path, f"[router]\ndeprecate_prefixes = yes\n[uplinks]\n{entries}\n")
    assert found.router.deprecate_prefixes
    assert [one.prefixes for one in found.uplinks] == [None, (), None, ("2001:db8:1::/56", "2001:db8:2::/64")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[a]]\nprefixes = yes", "expected auto, no or IPv6 prefixes"),
        ("[[a]]\nprefixes = 192.0.2.0/24", "expected auto, no or IPv6 prefixes"),
        ("[[a]]\nprefixes = auto, 2001:db8::/56", "expected auto, no or IPv6 prefixes"),
        ("[[a]]\nprefixes = 2001:db8::/72", "from /16 to /64"),
        ("[[a]]\nprefixes = 2001:db8::/48\n[[b]]\nprefixes = 2001:db8:0:1::/64", "is also a prefix of uplink a"),
        ("[[a]]\nmatch = usb*\nprefixes = 2001:db8::/48", "its match can mean two interfaces: expected auto or no"),
    ],
)
def test_a_bad_prefix_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, f"[uplinks]\n{text}\n")
    assert "prefixes" in str(caught.value)
    assert words in str(caught.value)


@given(st.integers(0, (1 << 128) - 1), st.integers(16, 64), st.integers(16, 64))
def test_arithmetic_is_that_of_ipaddress(number: int, length: int, other: int) -> None:
    address = ipaddress.IPv6Address(number)
    wide = ipaddress.IPv6Network((number, length), strict=False)
    inner = ipaddress.IPv6Network((number ^ 1 << 100, other), strict=False)
    assert ipaddress.IPv6Network(network(str(address), length)) == wide
    assert covers(network(str(address), length), network(str(inner.network_address), other)) == inner.subnet_of(wide)


def without_own_address(*more: Address) -> Snapshot:
    """fiber has a link-local address only; the LAN has some of others."""
    there = seen()
    kept = tuple(a for a in there.addresses if (a.index, a.family) != (b.NAMES["fiber"], Family.IPV6))
    own = Address(b.NAMES["fiber"], Family.IPV6, "fe80::80", 64, False)
    return there._replace(addresses=(*kept, own, *more))


OF_THE_PREFIX = Address(LAN, Family.IPV6, "2001:db8:1100:7::1", 64, True)


def lent(*more: Address, config: Config | None = None) -> tuple[str, str, str | None]:
    snapshot = without_own_address(*more)
    fiber = prefixes.lending(uplinks(config or three(), ALL_ON, snapshot), snapshot)[0].ipv6
    return fiber.source, fiber.missing, fiber.default.src if fiber.default else None


def test_an_uplink_without_an_address_sends_from_one_of_its_prefix() -> None:
    fading = OF_THE_PREFIX._replace(address="2001:db8:1100:8::1", deprecated=True)
    others = OF_THE_PREFIX._replace(address="2001:db8:2200:7::1")
    assert lent(others, fading, OF_THE_PREFIX) == (OF_THE_PREFIX.address, "", OF_THE_PREFIX.address)
    assert lent(others, OF_THE_PREFIX._replace(usable=False, tentative=True)) == ("", "no address", None)
    assert lent(OF_THE_PREFIX._replace(index=b.NAMES["lte"])) == ("", "no address", None)  # another uplink's
    only4 = three(families=(Family.IPV4,))
    assert lent(OF_THE_PREFIX, config=only4)[:2] == ("", "ipv6 is not used")


def test_the_lan_keeps_its_way_where_the_uplink_cannot_send_itself() -> None:
    """A router behind this one may have all of the prefix."""
    snapshot = without_own_address()
    first = rules(three(), b.state(cable=ON), snapshot)[0]
    assert (first.table, first.action) == (1001, "lookup")
    bare = snapshot._replace(defaults=tuple(r for r in snapshot.defaults if r.nexthops[0].index != b.NAMES["fiber"]))
    assert rules(three(), b.state(cable=ON), bare)[0].action == "unreachable"


def test_an_uplink_that_sends_from_the_lans_address_does_not_share_a_route() -> None:
    config, snapshot = three(), without_own_address(OF_THE_PREFIX)
    there = prefixes.lending(uplinks(config, ALL_ON, snapshot), snapshot)
    shared = [r for r in desire(config, there, ALL_ON, snapshot).shared if r.family is Family.IPV6]
    assert [[hop.index for hop in route.nexthops] for route in shared] == [[3, 4], [2], [3], [4]]
    assert [route.src for route in shared] == [None, OF_THE_PREFIX.address, None, None]
