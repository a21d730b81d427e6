"""Doctor's checks of the kernel, on values: a finding where it is wrong, none where it is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from mwan_hook.config.targets import parse
from mwan_hook.doctor import known as doctorknown
from mwan_hook.doctor.checks import (
    defaults as doctordefaults,
)
from mwan_hook.doctor.checks import (
    dns,
    marks,
)
from mwan_hook.doctor.checks import (
    kernel as doctorkernel,
)
from mwan_hook.doctor.checks import (
    rules as doctorrules,
)
from mwan_hook.doctor.checks import (
    state as doctorstate,
)
from mwan_hook.doctor.checks import (
    sysctls as doctorsysctls,
)
from mwan_hook.doctor.checks.dns import Resolver
from mwan_hook.doctor.checks.kernel import Kernel
from mwan_hook.doctor.checks.marks import Flowtable, Marker
from mwan_hook.doctor.checks.rules import Foreign
from mwan_hook.doctor.checks.state import check_uplinks
from mwan_hook.doctor.finding import SYSCTLS, Case, Finding, Severity, ordered, spelled
from mwan_hook.model import (
    MAIN_TABLE,
    Address,
    Allotment,
    Config,
    Family,
    Link,
    Nat6,
    Nexthop,
    Policy,
    Probe,
    Route,
    Router,
    Rule,
    Snapshot,
    State,
    Status,
    UplinkConfig,
)
from mwan_hook.routing.priorities import ALL_BITS
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.trace.values import AnyRule, Device, Leg, RouteEntry, Span
from tests.unit import builders

V4, V6 = Family.IPV4, Family.IPV6
FIBER, CABLE = builders.uplink("fiber", metric=100), builders.uplink("cable", metric=100)
DEVICES = {1: Device("lo"), 2: Device("fiber"), 3: Device("cable"), 9: Device("tailscale0")}
LAN = Link(7, "br0", True, True)
ONLINE = builders.state(fiber=Status.ONLINE, cable=Status.ONLINE)._replace(boot_id="x")


def point_to_point(probe: Probe, *others: str) -> Case:
    """`fiber` by a point-to-point link, with these others."""
    seen = builders.snapshot("fiber", *others)
    links = (builders.link("fiber")._replace(noarp=True), *seen.links[1:])
    config = builders.config(builders.uplink("fiber", probe=probe), *(builders.uplink(name) for name in others))
    seen = seen._replace(links=links)
    return Case(config, bind(config, Inputs(seen, ONLINE, Allotment())).uplinks, ONLINE, seen)


@pytest.mark.parametrize(
    ("targets", "found"),
    [((), True), (("gateway:",), True), (("icmp://2001:db8::9",), True), (("gateway:", "icmp://9.9.9.9"), False)],
)
def test_a_point_to_point_line_that_is_not_probed_is_told_beside_another(targets: tuple[str, ...], found: bool) -> None:
    asked = Probe(targets=tuple(map(parse, targets)))
    assert [one.code for one in check_uplinks(point_to_point(asked, "cable"))] == ["unprobed"] * found
    assert list(check_uplinks(point_to_point(asked))) == []


def case(
    *entries: UplinkConfig,
    state: State = ONLINE,
    families: tuple[Family, ...] = (V4,),
    lan: Iterable[Address] = (),
    router: Router = Router(),  # noqa: B008 - a tuple
    policies: tuple[Policy, ...] = (),
    **routing: object,
) -> Case:
    """Two uplinks that are up, fiber and cable, with a LAN behind them where it has addresses."""
    entries = entries or (FIBER, CABLE)
    config = builders.config(*entries, **routing)._replace(router=router, policies=policies)
    seen = builders.snapshot("fiber", "cable", families=families)
    seen = seen._replace(links=(*seen.links, LAN), addresses=(*seen.addresses, *lan))
    bound = bind(config, Inputs(seen, state, Allotment()))
    return Case(config, bound.uplinks, state, seen)


def codes(findings: Iterable[Finding]) -> list[str]:
    return [one.code for one in findings]


def bad(findings: Iterable[Finding]) -> Finding:
    """The only one."""
    [found] = findings
    assert found.what
    assert found.breaks
    assert found.fix.written or found.fix.commands or found.fix.words
    return found


# ---------------------------------------------------------------- sysctls

GOOD = {
    "net/ipv4/conf/all/rp_filter": "2",
    "net/ipv4/fib_multipath_hash_policy": "1",
    "net/ipv6/fib_multipath_hash_policy": "1",
    "net/ipv4/ip_forward": "0",
    "net/ipv6/conf/all/forwarding": "0",
    **{f"net/ipv4/conf/{name}/rp_filter": "1" for name in ("fiber", "cable")},
    **{f"net/{v}/conf/{n}/ignore_routes_with_linkdown": "1" for v in ("ipv4", "ipv6") for n in ("fiber", "cable")},
    **{f"net/ipv4/conf/{n}/forwarding": "0" for n in ("fiber", "cable", "br0")},
    **{f"net/ipv6/conf/{n}/accept_ra": "1" for n in ("fiber", "cable")},
    **{f"net/ipv6/conf/{n}/forwarding": "0" for n in ("fiber", "cable")},
}


def sysctls(one: Case, values: Mapping[str, str], places: Mapping[str, str] = {}) -> list[Finding]:
    read = doctorsysctls.keys(one)
    assert set(values) <= set(read)
    known = {key: value for key, value in {**GOOD, **values}.items() if key in read}
    return list(doctorsysctls.check(one, known, places, frozenset()))


def test_good_values_are_passed_over() -> None:
    assert sysctls(case(families=(V4, V6)), {}) == []


def test_a_strict_rp_filter_is_told_of_the_larger_of_the_interfaces_and_all() -> None:
    found = sysctls(case(), {"net/ipv4/conf/all/rp_filter": "0"}, {"net/ipv4/conf/fiber/rp_filter": "/etc/x:3"})
    assert [(one.code, one.about, one.severity) for one in found] == [
        ("rp-filter", "fiber", Severity.WARNING),
        ("rp-filter", "cable", Severity.WARNING),
    ]
    assert "net.ipv4.conf.fiber.rp_filter = 1 (set by /etc/x:3)" in found[0].what
    assert (found[0].fix.path, found[0].fix.lines) == (SYSCTLS, ("net.ipv4.conf.fiber.rp_filter = 2",))
    everywhere = {f"net/ipv4/conf/{name}/rp_filter": "0" for name in ("fiber", "cable")}
    found = sysctls(case(), {**everywhere, "net/ipv4/conf/all/rp_filter": "1"})
    assert "net.ipv4.conf.all.rp_filter = 1" in found[0].what
    assert sysctls(case(), {**everywhere, "net/ipv4/conf/all/rp_filter": "0"}) == []


def test_a_strict_rp_filter_is_a_problem_where_packets_of_others_pass_and_none_with_one_uplink() -> None:
    values = {"net/ipv4/conf/all/rp_filter": "1", "net/ipv4/ip_forward": "1"}
    assert {one.severity for one in sysctls(case(), values)} == {Severity.PROBLEM}
    assert sysctls(case(FIBER), {**values}) == []


def test_linkdown_is_a_warning_after_the_first_run_and_ipv4_is_content_with_all() -> None:
    four, six = (f"net/{v}/conf/fiber/ignore_routes_with_linkdown" for v in ("ipv4", "ipv6"))
    found = bad(sysctls(case(families=(V4, V6)), {four: "0", six: "0"}))
    assert (found.code, found.severity) == ("linkdown", Severity.WARNING)
    assert [one.key for one in found.fix.sysctls] == [four, six]
    assert bad(sysctls(case(state=ONLINE._replace(boot_id="")), {four: "0"})).severity is Severity.NOTE
    everywhere = {f"net/{v}/conf/all/ignore_routes_with_linkdown": "1" for v in ("ipv4", "ipv6")}
    found = bad(sysctls(case(families=(V4, V6)), {four: "0", six: "0", **everywhere}))
    assert [one.key for one in found.fix.sysctls] == [six]


def test_the_hash_policy_counts_only_where_something_is_shared() -> None:
    values = {"net/ipv4/fib_multipath_hash_policy": "0", "net/ipv6/fib_multipath_hash_policy": "0"}
    assert [(one.code, one.about) for one in sysctls(case(families=(V4, V6)), values)] == [
        ("hash-policy", "ipv4"),
        ("hash-policy", "ipv6"),
    ]
    assert codes(sysctls(case(state=State()), values)) == ["hash-policy"]  # no uplink has IPv6
    apart = (FIBER, builders.uplink("cable", metric=200))
    assert sysctls(case(*apart), values) == []
    led = case()
    led = led._replace(config=led.config._replace(routing=led.config.routing._replace(prefer="latency")))
    assert sysctls(led, values) == []  # one of them carries
    policy = Policy("web", order=(("fiber",), ("cable",)))
    assert sysctls(case(*apart, policies=(policy,)), values) == []
    found = bad(sysctls(case(*apart, policies=(policy._replace(order=(("fiber", "cable"),)),)), values))
    assert found.what.endswith("and fiber and cable share policy web")


def test_forwarding_is_asked_for_by_masquerade_nat6_and_policies_of_machines_behind() -> None:
    assert bad(sysctls(case(router=Router(masquerade=(V4,))), {})).about == "ipv4"
    own = FIBER._replace(masquerade=(V4,)), CABLE
    assert bad(sysctls(case(*own), LOOSE)).what.startswith("net.ipv4.ip_forward = 0, and the configuration has masq")
    taking = {f"net/ipv6/conf/{name}/accept_ra": "2" for name in ("fiber", "cable")}
    assert bad(sysctls(case(families=(V4, V6), router=Router(nat6=Nat6.PREFIX)), taking)).about == "ipv6"
    behind = Policy("guests", iif=("br0",), order=(("fiber",),))
    lan = (Address(7, V4, "192.168.99.1", 24, True),)
    assert bad(sysctls(case(lan=lan, policies=(behind,)), {})).about == "ipv4"
    on = {f"net/ipv4/conf/{name}/forwarding": "1" for name in ("br0", "fiber", "cable")}
    assert sysctls(case(lan=lan, policies=(behind,)), {"net/ipv4/ip_forward": "1", **on, **LOOSE}) == []
    assert sysctls(case(policies=(behind,)), LOOSE) == []
    assert sysctls(case(lan=lan), {}) == []
    routed = Router(masquerade=(V4,))
    assert sysctls(case(lan=lan, router=routed), {**LOOSE, **on}) == []  # by networkd, one by one
    found = bad(sysctls(case(lan=lan, router=routed), {**LOOSE, **on, "net/ipv4/conf/cable/forwarding": "0"}))
    assert found.fix.lines == ("net.ipv4.ip_forward = 1",)
    most = {**LOOSE, **on, "net/ipv4/ip_forward": "1", "net/ipv4/conf/br0/forwarding": "0"}
    assert bad(sysctls(case(lan=lan, router=routed), most)).fix.lines == ("net.ipv4.conf.br0.forwarding = 1",)


LOOSE = {"net/ipv4/conf/fiber/rp_filter": "2", "net/ipv4/conf/cable/rp_filter": "2"}


def _by(route: Route, protocol: int) -> Route:
    return route._replace(protocol=protocol)


def test_a_forwarding_kernel_that_takes_advertisements_itself_needs_accept_ra_2() -> None:
    both = case(families=(V4, V6))
    both = both._replace(snapshot=both.snapshot._replace(defaults=tuple(_by(r, 9) for r in both.snapshot.defaults)))
    values = {**GOOD, **{f"net/ipv6/conf/{name}/forwarding": "1" for name in ("fiber", "cable")}}
    assert codes(doctorsysctls.check(both, values, {}, frozenset())) == ["accept-ra", "accept-ra"]
    assert codes(doctorsysctls.check(both, values, {}, frozenset((2,)))) == ["accept-ra"]
    static = both._replace(snapshot=both.snapshot._replace(defaults=tuple(_by(r, 4) for r in both.snapshot.defaults)))
    assert codes(doctorsysctls.check(static, values, {}, frozenset())) == []
    values |= {f"net/ipv6/conf/{name}/accept_ra": "2" for name in ("fiber", "cable")}
    assert codes(doctorsysctls.check(both, values, {}, frozenset())) == []


# ---------------------------------------------------------------- rules


def entry(table: int, index: int = 9, dst: str = "default", **values: object) -> RouteEntry:
    return RouteEntry(Route(V4, table, dst, **values), (Leg(index),))  # type: ignore[arg-type]


def rules(one: Case, *found: AnyRule, tables: Mapping[int, tuple[RouteEntry, ...]] = {}) -> list[Finding]:
    known = {(family, number): entries for family in (V4, V6) for number, entries in tables.items()}
    wide = (
        entry.route._replace(family=family, nexthops=tuple(Nexthop(leg.index) for leg in entry.legs))
        for (family, _), entries in known.items()
        for entry in entries
    )
    seen = one.snapshot._replace(foreign_rules=tuple(map(simple, found)), foreign_wide=tuple(wide))
    return list(doctorrules.check(one._replace(snapshot=seen), Foreign(found, known, DEVICES)))


def simple(one: AnyRule) -> Rule:
    """The same as a run reads it."""
    mark = (one.mark, one.mask) if one.mask else (None, None)
    made = Rule(one.family, one.priority, one.table, one.src, None, one.iif, mark=mark[0], mask=mark[1])
    made = made._replace(action=one.action, inverted=one.inverted, protocol=3)
    return made._replace(suppress_prefixlength=one.suppress_prefixlength)


TAILSCALE = AnyRule(V4, 5270, table=52)
WIREGUARD = AnyRule(V4, 998, table=51820, mark=0xCA6C, mask=ALL_BITS, inverted=True)


def test_the_kernels_own_rules_and_ours_are_no_fault() -> None:
    own = [AnyRule(V4, 0, table=255), AnyRule(V4, 32766, table=254), AnyRule(V4, 32767, table=253)]
    ours = AnyRule(V4, 900, table=1000, protocol=172)
    vrf = AnyRule(V4, 1000, l3mdev=True)
    moved = AnyRule(V4, 100, table=255)  # the local table, asked later than the kernel does by itself
    tables = {255: (entry(255),), 254: (entry(254, 2),), 1000: (entry(1000),)}
    assert rules(case(), *own, ours, vrf, moved, tables=tables) == []


WAS_DEFAULT = AnyRule(V4, 4000, table=100)  # to an uplink: everything went there before us


def test_what_the_shared_default_stands_behind_is_not_behind_it() -> None:
    assert rules(case(), TAILSCALE, tables={52: (entry(52, dst="100.64.0.0/10"),)}) == []
    assert rules(case(rule_priority=5300), TAILSCALE, tables={52: (entry(52, dst="100.64.0.0/10"),)}) == []
    found = bad(rules(case(), WIREGUARD._replace(priority=32765), tables={51820: (entry(51820),)}))
    assert (found.code, found.severity) == ("rule-first", Severity.WARNING)
    assert "tailscale0" in found.what


def test_what_was_not_asked_before_us_either_is_told() -> None:
    tables = {100: (entry(100, 2),), 52: (entry(52, dst="100.64.0.0/10"),)}
    was, behind = rules(case(), WAS_DEFAULT, TAILSCALE, tables=tables)
    assert (was.code, was.severity, was.about) == ("rule-behind", Severity.NOTE, "ipv4 4000")
    assert (behind.code, behind.severity, behind.about) == ("rule-behind", Severity.WARNING, "ipv4 5270")
    assert "of Tailscale" in behind.what
    assert behind.fix.words == "give it a priority below 1900"


def test_another_familys_rules_are_not_met_where_no_uplink_has_it() -> None:
    six = WAS_DEFAULT._replace(family=V6)
    assert rules(case(state=State()), six, tables={100: (entry(100, 2),)}) == []
    assert codes(rules(case(families=(V4, V6)), six, tables={100: (entry(100, 2),)})) == ["rule-behind"]


def test_a_default_in_main_is_proposed_where_others_lead_to_it() -> None:
    everything = bad(rules(case(), AnyRule(V4, 500, table=254), tables={254: (entry(254, 2),)}))
    assert (everything.code, everything.severity) == ("rule-first", Severity.PROBLEM)
    some = AnyRule(V4, 500, table=254, mark=7, mask=ALL_BITS)
    found = bad(rules(case(), some, tables={254: (entry(254, 2),)}))
    assert (found.code, found.severity) == ("rule-to-main", Severity.NOTE)
    assert all("default_table = main" in one.fix.words for one in (everything, found))
    assert rules(case(default_table=MAIN_TABLE), some, tables={254: (entry(254, 2),)}) == []


def test_a_tunnel_that_takes_everything_first_is_a_warning_and_a_rule_to_an_uplink_a_problem() -> None:
    found = bad(rules(case(), WIREGUARD, tables={51820: (entry(51820),)}))
    assert (found.code, found.severity) == ("rule-first", Severity.WARNING)
    assert "of WireGuard (wg-quick)" in found.what
    found = bad(rules(case(), AnyRule(V4, 500, table=100), tables={100: (entry(100, 2),)}))
    assert (found.code, found.severity) == ("rule-first", Severity.PROBLEM)
    assert bad(rules(case(), AnyRule(V4, 500, action="unreachable"))).severity is Severity.PROBLEM
    null = RouteEntry(Route(V4, 100, kind="blackhole"))
    assert bad(rules(case(), AnyRule(V4, 500, table=100), tables={100: (null,)})).severity is Severity.PROBLEM


def test_a_first_rule_without_a_default_or_with_a_selector_takes_nothing_away() -> None:
    assert rules(case(), AnyRule(V4, 500, table=100), tables={100: (entry(100, dst="10.0.0.0/8"),)}) == []
    assert rules(case(), AnyRule(V4, 500, table=100, src="10.1.0.0/16"), tables={100: (entry(100),)}) == []
    suppressed = AnyRule(V4, 500, table=254, suppress_prefixlength=0)
    assert rules(case(), suppressed, tables={254: (entry(254, 2),)}) == []
    pieces = (entry(100, dst="0.0.0.0/1"), entry(100, dst="128.0.0.0/1"))
    assert codes(rules(case(), AnyRule(V4, 500, table=100), tables={100: pieces})) == ["rule-first"]


def test_a_first_rule_with_a_default_for_some_sources_alone_takes_nothing_away() -> None:
    six, all_of_them = case(families=(V6,)), RouteEntry(Route(V6, 100), (Leg(9),))
    some = RouteEntry(Route(V6, 100, from_="2001:db8:7::/48"), (Leg(9),))
    assert codes(rules(six, AnyRule(V6, 500, table=100), tables={100: (all_of_them,)})) == ["rule-first"]
    assert rules(six, AnyRule(V6, 500, table=100), tables={100: (some,)}) == []


@pytest.mark.parametrize(
    "selector",
    [
        {"src": "10.0.0.0/8"},
        {"iif": "br0"},
        {"mark": 1, "mask": 1},
        {"ipproto": 6},
        {"dport": Span(1, 2)},
        {"uids": Span(0, 9)},
    ],
)
def test_a_rule_between_ours_is_noted(selector: dict[str, object]) -> None:
    found = bad(rules(case(), AnyRule(V4, 1500, table=100, **selector)))  # type: ignore[arg-type]
    assert (found.code, found.severity) == ("rule-between", Severity.NOTE)


def test_with_the_shared_default_in_main_nothing_is_behind_it() -> None:
    assert rules(case(default_table=MAIN_TABLE), TAILSCALE, tables={52: (entry(52, dst="100.64.0.0/10"),)}) == []
    assert codes(rules(case(default_table=MAIN_TABLE), TAILSCALE, tables={52: (entry(52),)})) == ["rule-first"]


# ---------------------------------------------------------------- marks


def test_marks_of_others_outside_our_bits_are_theirs() -> None:
    tailscale = AnyRule(V4, 5210, table=254, mark=0x80000, mask=0xFF0000)
    kube = AnyRule(V4, 100, table=100, mark=0x4000, mask=0x4000)
    assert list(marks.check_rules(case(), (tailscale, kube))) == []


def test_a_mark_that_is_an_uplinks_is_a_problem_and_another_within_the_mask_a_warning() -> None:
    mwan3 = AnyRule(V4, 2001, table=1, mark=0x100, mask=0x3F00)
    found = bad(marks.check_rules(case(), (mwan3,)))
    assert (found.code, found.severity) == ("mark-clash", Severity.PROBLEM)
    assert "of mwan3" in found.what
    assert "fiber" in found.breaks
    assert found.fix.words.startswith("[routing] mark_mask = 0x3f0000 ")
    other = bad(marks.check_rules(case(), (mwan3._replace(mark=0x3D00),)))
    assert (other.code, other.severity) == ("mark-overlap", Severity.WARNING)
    assert list(marks.check_rules(case(mark_mask=0x3F0000), (mwan3,))) == []


def test_a_rule_for_one_bit_takes_packets_of_every_uplink_that_has_it() -> None:
    one, two = (
        builders.uplink(name, metric=1, mark=mark, mask=0x3F00) for name, mark in (("fiber", 0x300), ("cable", 0x200))
    )
    found = bad(marks.check_rules(case(one, two), (AnyRule(V4, 100, table=1, mark=0x100, mask=0x100),)))
    assert found.code == "mark-clash"
    assert found.breaks.startswith("such packets are led by uplink fiber,")


def test_a_mark_with_other_bits_too_is_told_apart_and_noted() -> None:
    found = bad(marks.check_rules(case(), (WIREGUARD,)))
    assert (found.code, found.severity) == ("mark-overlap", Severity.NOTE)


def test_netfilters_marks_are_held_against_ours() -> None:
    def marked(*values: object, router: Router = Router()) -> list[str]:  # noqa: B008
        return codes(marks.check_markers(case(router=router), [Marker("nft ip x y", *values)]))  # type: ignore[arg-type]

    assert marked(0xFF0000, 0x40000) == []
    assert marked(0xFF00, 0x200) == ["mark-clash"]
    assert marked(0xFF00, 0x3000) == ["mark-overlap"]
    assert marked(ALL_BITS, None) == ["mark-overlap"]
    assert marked(ALL_BITS, 0) == []
    assert marked(ALL_BITS, 0, router=Router(pin=True)) == ["mark-overlap"]
    assert marked(0xFF00, 0x200, True) == []
    assert marked(0xFF00, 0x200, True, router=Router(pin=True)) == ["mark-clash"]
    named = bad(marks.check_markers(case(), [Marker("x", 0x100, 0x100, False, ("mangle", "KUBE-MARK"))]))
    assert "of kube-proxy" in named.what


def test_a_flowtable_matters_where_it_has_an_uplink() -> None:
    through = Flowtable("nft flowtable inet filter f", ("br0", "fiber"))
    found = bad(marks.check_flowtables(case(), [through, Flowtable("other", ("br0",))]))
    assert (found.code, found.about) == ("flowtable", through.where)


# ---------------------------------------------------------------- defaults and addresses


def defaults(one: Case, table: int, *entries: RouteEntry, family: Family = V4) -> list[Finding]:
    return list(doctordefaults.check(one, {(family, table): entries}, DEVICES))


def test_a_foreign_default_with_a_better_metric_beats_ours_in_main() -> None:
    in_main = case(default_table=MAIN_TABLE)
    ours = entry(MAIN_TABLE, 2, metric=2)
    assert defaults(in_main, MAIN_TABLE, ours, entry(MAIN_TABLE, 9, metric=100, protocol=16)) == []
    assert (
        defaults(in_main, MAIN_TABLE, ours, entry(MAIN_TABLE, 9, metric=2, protocol=9)) == []
    )  # ours stands before it
    found = bad(defaults(in_main, MAIN_TABLE, ours, entry(MAIN_TABLE, 9, metric=1, protocol=9)))
    assert (found.code, found.severity) == ("default-beaten", Severity.PROBLEM)
    assert found.fix.commands == ("ip route del default dev tailscale0 table main metric 1",)
    assert defaults(case(), MAIN_TABLE, entry(MAIN_TABLE, 9, metric=1, protocol=9)) == []  # no rule looks there


def test_a_foreign_default_in_a_table_of_ours_is_told_only_if_it_is_better() -> None:
    assert codes(defaults(case(), 1000, entry(1000, 2, metric=1), entry(1000, protocol=4))) == ["default-beaten"]
    assert codes(defaults(case(), 1001, entry(1001, 2, metric=100), entry(1001, protocol=4))) == ["default-beaten"]
    assert defaults(case(), 1001, entry(1001, 2, metric=1), entry(1001, metric=5, protocol=4)) == []


def test_a_default_in_pieces_is_told_while_mains_routes_come_first() -> None:
    pieces = (entry(MAIN_TABLE, dst="0.0.0.0/1"), entry(MAIN_TABLE, dst="128.0.0.0/1"))
    assert bad(defaults(case(), MAIN_TABLE, *pieces)).code == "split-default"
    assert defaults(case(), MAIN_TABLE, pieces[0]) == []
    assert defaults(case(main_first=False), MAIN_TABLE, *pieces) == []
    whole = RouteEntry(Route(V6, MAIN_TABLE, "2000::/3"), (Leg(9),))
    assert codes(defaults(case(families=(V6,)), MAIN_TABLE, whole, family=V6)) == ["split-default"]
    some = RouteEntry(whole.route._replace(from_="2001:db8:7::/48"), whole.legs)
    assert defaults(case(families=(V6,)), MAIN_TABLE, some, family=V6) == []


SERVER = Route(V4, MAIN_TABLE, "93.184.216.34/32", nexthops=(Nexthop(3, "192.168.3.1"),))


def lost(cable: Status, *hosts: Route, pieces: tuple[Route, ...] = ()) -> list[Finding]:
    one = case(state=builders.state(fiber=Status.ONLINE, cable=cable))
    return list(doctordefaults.check_lost(one._replace(snapshot=one.snapshot._replace(hosts=hosts, pieces=pieces))))


def test_a_route_by_an_offline_uplink_is_told_while_another_is_online() -> None:
    assert lost(Status.ONLINE, SERVER) == []
    wide, inside = SERVER._replace(dst="93.184.0.0/16"), SERVER._replace(dst="10.7.0.0/16")
    found, other = lost(Status.OFFLINE, SERVER, wide, inside)
    assert (found.code, found.severity, found.about) == ("route-offline", Severity.WARNING, "ipv4 93.184.216.34/32")
    assert found.fix.commands == ("ip route del 93.184.216.34/32 via 192.168.3.1 dev cable",)
    assert other.about == "ipv4 93.184.0.0/16"


def test_the_server_of_a_tunnel_is_reached_and_named() -> None:
    half = Route(V4, MAIN_TABLE, "0.0.0.0/1", nexthops=(Nexthop(9),))
    assert bad(lost(Status.OFFLINE, SERVER, pieces=(half,))).severity is Severity.NOTE
    one = case()
    one = one._replace(snapshot=one.snapshot._replace(hosts=(SERVER,), pieces=(half,)))
    pieces = (entry(MAIN_TABLE, dst="0.0.0.0/1"), entry(MAIN_TABLE, dst="128.0.0.0/1"))
    assert "93.184.216.34/32 by cable" in bad(defaults(one, MAIN_TABLE, *pieces)).what


def test_a_network_that_the_lan_has_too_is_told() -> None:
    lan = Address(7, V4, "192.168.2.1", 24, True)  # fiber is 192.168.2.2/24
    assert bad(doctordefaults.check_addresses(case(lan=[lan]))).code == "network-twice"
    same = lan._replace(address="192.168.2.2")
    assert bad(doctordefaults.check_addresses(case(lan=[same]))).code == "address-twice"
    assert list(doctordefaults.check_addresses(case(lan=[lan._replace(address="192.168.99.1")]))) == []
    wide = Address(7, V4, "192.168.0.1", 16, True)  # fiber's own network is narrower and comes before it
    assert list(doctordefaults.check_addresses(case(lan=[wide]))) == []
    corner = Address(7, V4, "192.168.2.9", 28, True)
    assert "the gateway 192.168.2.1 of fiber is in" in bad(doctordefaults.check_addresses(case(lan=[corner]))).what
    assert list(doctordefaults.check_addresses(case(lan=[corner._replace(address="192.168.2.129")]))) == []
    alias = Address(2, V4, "192.168.2.9", 24, True)
    assert list(doctordefaults.check_addresses(case(lan=[alias]))) == []  # of the uplink itself


def test_identical_sticks_are_handled_unless_a_router_does_not_pin() -> None:
    twin = (Address(3, V4, "192.168.2.2", 24, True),)
    assert list(doctordefaults.check_addresses(case(lan=twin))) == []
    assert list(doctordefaults.check_addresses(case(lan=twin, router=Router(pin=True, masquerade=(V4,))))) == []
    unpinned = case(lan=twin, router=Router(masquerade=(V4,)))
    assert bad(doctordefaults.check_addresses(unpinned)).code == "twins-unpinned"


# ---------------------------------------------------------------- DNS

DOWN = builders.state(fiber=Status.ONLINE, cable=Status.OFFLINE)._replace(boot_id="x")


def test_a_server_behind_a_dead_line_is_a_problem_only_if_no_other_is_left() -> None:
    dead, alive = Resolver("192.168.3.1", "/etc/resolv.conf", 3), Resolver("9.9.9.9", "/etc/resolv.conf", 2)
    found = bad(dns.check(case(state=DOWN), [dead]))
    assert (found.code, found.severity, found.about) == ("dns-dead-link", Severity.PROBLEM, "/etc/resolv.conf")
    assert "uplink cable, which is offline" in found.what
    assert bad(dns.check(case(state=DOWN), [dead, alive])).severity is Severity.WARNING
    assert list(dns.check(case(state=DOWN), [alive, Resolver("10.0.0.1", "/etc/resolv.conf", 7)])) == []
    assert list(dns.check(case(), [dead, alive])) == []


def test_a_server_without_a_way_is_told_and_a_leases_is_only_a_warning() -> None:
    gone = Resolver("10.9.9.9", "/etc/resolv.conf", error="Network is unreachable")
    assert "Network is unreachable" in bad(dns.check(case(), [gone])).what
    lease = Resolver("192.168.3.1", "lease of fiber", 3)
    assert bad(dns.check(case(state=DOWN), [lease])).severity is Severity.WARNING


# ---------------------------------------------------------------- kernel

PARTS = (*doctorkernel.FIREWALL, *doctorkernel.TRANSLATION, doctorkernel.RULES4, doctorkernel.RULES6)
BUILT = dict.fromkeys((doctorkernel.MULTIPATH.option, *(part.option for part in PARTS)), "y")
PIN = Router(pin=True, masquerade=(V4,))


def kernel(one: Case, options: Mapping[str, str] | None = None, **values: object) -> list[str]:
    built = BUILT if options is None else options
    return codes(doctorkernel.check(one, Kernel("6.1.0", built, "/proc/config.gz")._replace(**values)))  # type: ignore[arg-type]


def test_what_the_kernel_lacks_is_told_where_it_is_needed() -> None:
    assert kernel(case(router=PIN)) == []
    without = {option: "y" for option in BUILT if option != "CONFIG_NFT_CT"}
    assert kernel(case(router=PIN), without) == ["kernel-lacks"]
    assert kernel(case(), without) == []
    assert kernel(case(), {"CONFIG_IP_MULTIPLE_TABLES": "y"}) == ["kernel-lacks"]  # shared, and no multipath
    assert kernel(case(FIBER), {"CONFIG_IP_MULTIPLE_TABLES": "y"}) == []


def test_a_module_that_is_not_there_or_may_not_be_loaded_is_told() -> None:
    modules = {**BUILT, "CONFIG_NFT_CT": "m"}
    with_it = frozenset(("nft_ct",))
    assert kernel(case(router=PIN), modules, known=with_it) == []
    assert kernel(case(router=PIN), modules, known=frozenset()) == ["module-missing"]
    assert kernel(case(router=PIN), modules, known=frozenset(), loaded=with_it) == []
    assert kernel(case(router=PIN), modules, known=None) == []  # unknown, as in a container
    locked = doctorkernel.check(case(router=PIN), Kernel("6.1", modules, "x", with_it, frozenset(), "locked"))
    assert bad(locked).fix.lines == ("nft_ct",)


@pytest.mark.parametrize(
    ("built", "values", "found"),
    [
        ("y", {"known": frozenset(), "locked": "locked"}, []),
        ("m", {"known": None, "locked": "locked"}, ["module-locked"]),
        ("m", {"known": None, "locked": "locked", "loaded": frozenset(("nft_ct",))}, []),
        ("m", {"known": frozenset(), "locked": "locked"}, ["module-missing"]),
        ("", {"known": None, "locked": "locked"}, ["kernel-lacks"]),
        ("", {"known": frozenset()}, ["kernel-lacks", "module-missing"]),
    ],
)
def test_a_part_is_built_in_or_loaded_or_can_be(built: str, values: dict[str, object], found: list[str]) -> None:
    options = {option: word for option, word in {**BUILT, "CONFIG_NFT_CT": built}.items() if word}
    assert kernel(case(router=PIN), options, **values) == found


def test_where_the_kernels_options_are_not_known_modules_alone_are_looked_at() -> None:
    modules = {part.module for part in PARTS} - {""}

    def found(known: frozenset[str] | None, locked: str = "") -> list[str]:
        return codes(doctorkernel.check(case(router=PIN), Kernel("6.1.0", None, "", known, frozenset(), locked)))

    assert found(frozenset(modules)) == found(None) == found(None, "locked") == []
    assert set(found(frozenset())) == {"module-missing"}
    assert set(found(frozenset(modules), "locked")) == {"module-locked"}


def test_a_share_of_uplinks_or_of_a_policy_wants_multipath_routes() -> None:
    apart, policy = (FIBER, builders.uplink("cable", metric=200)), Policy("web", order=(("fiber",), ("cable",)))
    shared = policy._replace(order=(("fiber", "cable"),))
    cases = (case(), case(*apart), case(*apart, policies=(policy,)), case(*apart, policies=(shared,)))
    assert [doctorkernel.MULTIPATH in doctorkernel.needed(one) for one in cases] == [True, False, False, True]


@pytest.mark.parametrize(
    ("order", "metric", "told"),
    [
        ((("fiber",), ("cable",)), 100, True),
        ((("fiber",), ("cable",)), 200, False),
        ((("fiber", "cable"),), 100, False),
        ((("cable",),), 100, False),
    ],
)
def test_uplinks_that_shared_a_policy_by_their_metric_alone_are_a_note(
    order: tuple[tuple[str, ...], ...], metric: int, told: bool
) -> None:
    one = case(FIBER, builders.uplink("cable", metric=metric), policies=(Policy("web", order=order),))
    found = list(doctorstate.check_order(one))
    assert [(note.code, note.severity) for note in found] == [("policy-order", Severity.NOTE)] * told
    assert all("to share it: fiber + cable" in note.what for note in found)


def test_a_kernel_is_too_old_for_some_things_only() -> None:
    ports = Policy("voip", protocols=(17,), order=(("fiber",),))
    assert kernel(case(), release="4.9.0-8-amd64") == []
    assert kernel(case(policies=(ports,)), release="4.9.0-8-amd64") == ["kernel-old"]
    assert kernel(case(policies=(ports,)), release="4.17.1") == []
    assert kernel(case(router=PIN), release="4.19") == ["kernel-old"]
    assert kernel(case(router=Router(nat6=Nat6.PREFIX)), release="5.4.0") == ["kernel-old"]
    assert kernel(case(router=PIN), release="5.4.0") == []


def test_sockets_that_cannot_be_ended_matter_where_there_is_another_uplink_to_connect_by() -> None:
    found = bad(doctorkernel.check_sockets(case(), "no such option"))
    assert (found.code, found.what, "13 to 30 minutes" in found.breaks) == ("sockets-stay", "no such option", True)
    assert not codes(doctorkernel.check_sockets(case(), ""))
    assert not codes(doctorkernel.check_sockets(case(router=Router(own="keep")), "no such option"))
    assert not codes(doctorkernel.check_sockets(case()._replace(uplinks=()), "no such option"))


def test_nft_is_asked_for_only_by_a_router() -> None:
    assert codes(doctorkernel.check_nft(case(), "", "")) == []
    assert codes(doctorkernel.check_nft(case(router=PIN), "", "")) == ["nft-missing"]
    assert codes(doctorkernel.check_nft(case(router=PIN), "/usr/sbin/nft", "nft: no")) == ["nft-refuses"]
    assert codes(doctorkernel.check_nft(case(router=PIN), "/usr/sbin/nft", "")) == []


# ---------------------------------------------------------------- words


def test_the_worst_comes_first_and_nothing_twice() -> None:
    note, problem = (Finding("x", severity, "", "", "") for severity in (Severity.NOTE, Severity.PROBLEM))
    assert ordered([note, problem, note]) == (problem, note)


def test_keys_are_spelled_as_people_write_them() -> None:
    assert spelled("net/ipv4/conf/wan1/rp_filter") == "net.ipv4.conf.wan1.rp_filter"
    assert spelled("net/ipv4/conf/wan1.7/rp_filter") == "net/ipv4/conf/wan1.7/rp_filter"


def test_no_uplink_no_rule_of_ours_to_be_met() -> None:
    assert list(doctorrules.check(Case(Config()), Foreign((TAILSCALE,)))) == []
    assert Snapshot() == Case(Config()).snapshot


@pytest.mark.parametrize(
    ("release", "wanted"),
    [("4.16.0", ["kernel-old"]), ("4.17-rc1", []), ("5", []), ("x.17", []), ("5.x", []), ("6.1.0-9-amd64", [])],
)
def test_what_a_kernel_is_too_old_for_is_told_where_its_version_can_be_read(release: str, wanted: list[str]) -> None:
    one = case(policies=(Policy("web", order=(("fiber",),), protocols=(6,)),))
    assert codes(doctorkernel._age(one, release)) == wanted


@pytest.mark.parametrize(
    ("rule", "program"),
    [
        (AnyRule(V4, 5210, table=254, mark=0x80000, mask=0xFF0000), "Tailscale"),
        (AnyRule(V4, 5300, table=52), ""),
        (AnyRule(V4, 5000, table=51820), "WireGuard (wg-quick)"),
        (AnyRule(V4, 9, table=2004, mark=0x200, mask=0xF00), "Cilium"),
        (AnyRule(V4, 9, table=2005, mark=0xF00, mask=0xF00), "Cilium"),
        (AnyRule(V4, 9, table=2005, mark=0x300, mask=0xF00), ""),
        (AnyRule(V4, 1001, table=1, iif="wan"), "mwan3"),
        (AnyRule(V4, 1001, table=2, iif="wan"), ""),
        (AnyRule(V4, 1255, table=255, iif="wan"), "mwan3"),
        (AnyRule(V4, 1256, table=256, iif="wan"), ""),
        (AnyRule(V4, 1000, table=0, iif="wan"), ""),
        (AnyRule(V4, 2003, table=3, mark=0x300, mask=0x3F00), "mwan3"),
        (AnyRule(V4, 3003, table=0, mark=0x300, mask=0x3F00), "mwan3"),
        (AnyRule(V4, 4003, table=3, mark=0x300, mask=0x3F00), ""),
        (AnyRule(V4, 1003, table=3, mark=0x300, mask=0x3F00), ""),
        (AnyRule(V4, 9, mark=0x4000, mask=0x4000), "kube-proxy"),
    ],
)
def test_programs_are_known_by_their_rules(rule: AnyRule, program: str) -> None:
    assert doctorknown.of_rule(rule) == program
