"""Which interface is which uplink, with which table and mark."""

from __future__ import annotations

import pytest

from mwan_hook.model import (
    Address,
    Allotment,
    Config,
    Family,
    Lease,
    Link,
    Match,
    Nexthop,
    Policy,
    Route,
    Routing,
    Snapshot,
    State,
    UplinkConfig,
    UplinkState,
)
from mwan_hook.routing.uplinks import Bound, Inputs
from tests.unit import builders as b


def bound(config: Config, snapshot: Snapshot, **around: object) -> Bound:
    rest = {"state": State(), "allotment": Allotment(), **around}
    return b.bound(config, Inputs(snapshot, **rest))  # type: ignore[arg-type]


def template(name: str, *matches: Match) -> UplinkConfig:
    return UplinkConfig(name, matches)


def test_without_configuration_every_interface_with_a_default_is_an_uplink_of_that_metric() -> None:
    snapshot = b.snapshot("fiber", "lte")
    snapshot = snapshot._replace(defaults=(b.foreign("fiber", 100), b.foreign("lte", 700)))
    assert [(u.name, u.metric, u.table) for u in bound(Config(), snapshot).uplinks] == [
        ("fiber", 100, 1001),
        ("lte", 700, 1002),
    ]


def test_what_networkmanager_adds_while_its_own_check_fails_moves_no_uplink() -> None:
    snapshot = b.snapshot("fiber", "lte", "cable")
    raised = [b.foreign("fiber", 20100), b.foreign("lte", 700), b.foreign("cable", 20800)]
    snapshot = snapshot._replace(defaults=tuple(raised))
    plain = {up.name: up.metric for up in bound(Config(), snapshot).uplinks}
    assert plain == {"fiber": 20100, "lte": 700, "cable": 20800}
    penalised = frozenset((b.NAMES["fiber"], b.NAMES["lte"]))
    found = bound(
        b.config(b.uplink("fiber"), b.uplink("lte"), b.uplink("cable", metric=3)), snapshot, penalised=penalised
    )
    assert [up.metric for up in found.uplinks] == [100, 700, 3]


def test_a_default_of_our_own_makes_no_uplink_without_configuration() -> None:
    ours = b.foreign("fiber", 1, protocol=172)
    assert bound(Config(), b.snapshot("fiber")._replace(defaults=(ours,))).uplinks == ()


def test_a_literal_name_wins_over_a_template_that_stands_before_it() -> None:
    config = b.config(template("any", Match("name", "*")), b.uplink("fiber"))
    assert {u.name: u.interface for u in bound(config, b.snapshot("fiber", "lte")).uplinks} == {
        "any@lte": "lte",
        "fiber": "fiber",
    }


@pytest.mark.parametrize(
    ("match", "attributes"),
    [
        (Match("driver", "cdc_*"), {"driver": "cdc_ether"}),
        (Match("path", "pci-*-usb-0:2*"), {"path": "pci-0000:00:14.0-usb-0:2:1.0"}),
        (Match("id", "12D1:14db"), {"id": "12d1:14db"}),
        (Match("property", "huawei*", "ID_VENDOR"), {"property:ID_VENDOR": "huawei_mobile"}),
        (Match("name", "l?e"), {}),
    ],
)
def test_templates_match_by_what_udev_knows(match: Match, attributes: dict[str, str]) -> None:
    config = b.config(template("stick", match))
    found = bound(config, b.snapshot("fiber", "lte"), attributes={"lte": attributes})
    assert [u.name for u in found.uplinks] == ["stick@lte"]


def test_a_mac_address_compares_without_case_and_an_altname_counts_as_a_name() -> None:
    links = (Link(9, "eth0", True, True, mac="02:00:5e:aa:bb:cc", altnames=("enp9s0",)),)
    by_mac = b.config(template("m", Match("mac", "02:00:5E:AA:BB:CC")))
    assert [u.name for u in bound(by_mac, Snapshot(links=links)).uplinks] == ["m@eth0"]
    by_altname = b.config(UplinkConfig("alt", (Match("name", "enp9s0"),)))
    assert [(u.interface, u.index) for u in bound(by_altname, Snapshot(links=links)).uplinks] == [("eth0", 9)]


def test_an_uplink_that_matches_nothing_is_a_warning_and_stays_in_the_list_by_its_literal_name() -> None:
    found = bound(b.config(b.uplink("fiber"), b.uplink("lte")), b.snapshot("fiber"))
    assert found.warnings == ("uplink lte: no interface matches",)
    assert [(u.name, u.present) for u in found.uplinks] == [("fiber", True), ("lte", False)]


def test_no_uplinks_at_all_is_a_warning() -> None:
    bare = b.snapshot("fiber")._replace(defaults=())
    (warning,) = bound(b.config(), bare).warnings
    assert warning.startswith("no uplinks: no interface has a default route in main")
    assert bound(b.config(), b.snapshot("fiber")).warnings == ()
    (warning,) = bound(b.config(template("stick", Match("name", "usb*"))), bare).warnings
    assert warning == "uplink stick: no interface matches"


def test_an_uplink_of_a_template_seen_in_this_boot_stays_when_its_interface_is_gone() -> None:
    state = State(uplinks={"stick@lte": UplinkState("lte", 4)})
    found = bound(b.config(template("stick", Match("name", "l*"))), b.snapshot("fiber"), state=state)
    assert [(u.name, u.present, u.index) for u in found.uplinks] == [("stick@lte", False, 0)]


@pytest.mark.parametrize("name", ["other@lte", "stick", "stick@fiber", "stick@gone"])
def test_what_another_section_or_a_present_interface_has_is_no_uplink_that_is_gone(name: str) -> None:
    state = State(uplinks={name: UplinkState("lte" if name != "stick@fiber" else "fiber", 4)})
    found = bound(b.config(template("stick", Match("name", "*"))), b.snapshot("fiber"), state=state)
    assert [u.name for u in found.uplinks] == ["stick@fiber"]


def test_uplinks_of_a_template_come_by_name_in_any_order_of_links() -> None:
    snapshot = b.snapshot("lte", "fiber", "cable")
    found = bound(b.config(template("any", Match("name", "*"))), snapshot)
    assert [u.interface for u in found.uplinks] == ["cable", "fiber", "lte"]


@pytest.mark.parametrize(("mark", "mask", "expected"), [(5, None, (5, 0xFFFFFFFF)), (5, 0xF, (5, 0xF))])
def test_a_mark_of_the_configuration_has_its_own_mask(mark: int, mask: int | None, expected: tuple[int, int]) -> None:
    (found,) = bound(b.config(b.uplink("fiber", mark=mark, mask=mask)), b.snapshot("fiber")).uplinks
    assert (found.mark, found.mask) == expected
    (free,) = bound(b.config(b.uplink("fiber")), b.snapshot("fiber")).uplinks
    assert (free.mark, free.mask) == (0x100, 0x3F00)


def test_tables_and_marks_are_remembered_and_fixed_numbers_are_kept_free() -> None:
    config = b.config(b.uplink("cable", table=1001, mark=0x100), b.uplink("fiber"), b.uplink("lte"))
    first = bound(config, b.snapshot(*b.NAMES))
    assert {u.name: u.table for u in first.uplinks} == {"cable": 1001, "fiber": 1002, "lte": 1003}
    assert {u.name: hex(u.mark) for u in first.uplinks} == {"cable": "0x100", "fiber": "0x200", "lte": "0x300"}
    again = bound(config._replace(uplinks=config.uplinks[::-1]), b.snapshot(*b.NAMES), allotment=first.allotment)
    assert {u.name: u.table for u in again.uplinks} == {u.name: u.table for u in first.uplinks}


def test_allotted_tables_never_take_a_reserved_number_or_the_shared_defaults() -> None:
    config = Config(Routing(first_table=252, default_table=256), uplinks=tuple(b.uplink(n) for n in b.NAMES))
    assert [u.table for u in bound(config, b.snapshot(*b.NAMES)).uplinks] == [252, 257, 258]


def test_tables_that_run_out_at_the_top_go_on_below_the_first() -> None:
    config = Config(Routing(first_table=4294967294), uplinks=tuple(b.uplink(n) for n in b.NAMES))
    first = bound(config, b.snapshot(*b.NAMES))
    assert [u.table for u in first.uplinks] == [4294967294, 4294967295, 4294967293]
    policies = (Policy("web", order=(("fiber", "lte"),)), Policy("more", order=(("fiber",), ("lte",))))
    again = bound(config._replace(policies=policies), b.snapshot(*b.NAMES), allotment=first.allotment)
    assert again.policy_tables == (4294967292, 4294967291)


def test_marks_stay_inside_their_mask_and_end_with_it() -> None:
    config = Config(Routing(mark_mask=0x90), uplinks=tuple(b.uplink(n) for n in (*b.NAMES, "more")))
    assert [u.mark for u in bound(config, b.snapshot(*b.NAMES)).uplinks] == [0x10, 0x80, 0x90, 0]


def test_the_gateway_comes_from_the_configuration_then_main_then_the_lease() -> None:
    snapshot = b.snapshot("fiber")
    bare = snapshot._replace(defaults=())

    def gateway(config: UplinkConfig, around: Snapshot) -> str | None:
        return bound(b.config(config), around, lease=lambda _: Lease("192.168.2.254")).uplinks[0].ipv4.gateway

    assert gateway(b.uplink("fiber", gateways=("192.168.2.9",)), snapshot) == "192.168.2.9"
    assert gateway(b.uplink("fiber"), snapshot) == "192.168.2.1"
    assert gateway(b.uplink("fiber"), bare) == "192.168.2.254"


def test_a_gateway_outside_every_subnet_is_onlink() -> None:
    found = bound(b.config(b.uplink("fiber", gateways=("10.0.0.1",))), b.snapshot("fiber")._replace(defaults=()))
    assert found.uplinks[0].ipv4.onlink


def test_a_leg_of_a_foreign_multipath_default_gives_its_interface_a_gateway() -> None:
    both = Route(
        Family.IPV4,
        254,
        metric=5,
        nexthops=(b.foreign("fiber", 0).nexthops[0], b.foreign("lte", 0).nexthops[0]),
        protocol=4,
    )
    found = bound(Config(), b.snapshot("fiber", "lte")._replace(defaults=(both,)))
    assert [(u.name, u.ipv4.gateway) for u in found.uplinks] == [("fiber", "192.168.2.1"), ("lte", "192.168.4.1")]


@pytest.mark.parametrize(
    ("link", "addresses", "missing"),
    [
        (b.link("fiber", up=False), (b.address("fiber"),), "administratively down"),
        (b.link("fiber", carrier=False), (b.address("fiber"),), "no carrier"),
        (b.link("fiber"), (), "no address"),
        (b.link("fiber"), (b.address("fiber")._replace(usable=False, tentative=True),), "address is tentative"),
        (b.link("fiber"), (b.address("fiber"),), ""),
    ],
)
def test_what_is_missing_is_said_in_words(link: Link, addresses: tuple[Address, ...], missing: str) -> None:
    snapshot = b.snapshot("fiber")._replace(links=(link,), addresses=addresses)
    assert bound(b.config(b.uplink("fiber")), snapshot).uplinks[0].ipv4.missing == missing


def gateways(snapshot: Snapshot, state: State) -> list[tuple[str | None, str | None]]:
    ways = [u.ipv4 for u in bound(b.config(b.uplink("fiber")), snapshot, state=state).uplinks]
    return [(way.gateway, way.default.src if way.default else None) for way in ways]


def test_a_remembered_default_from_an_address_that_is_gone_counts_no_more() -> None:
    dead, alive = (b.foreign("fiber", 100)._replace(src=f"192.168.2.{last}") for last in (9, 2))
    bare = b.snapshot("fiber")._replace(defaults=())
    assert gateways(bare, State(foreign=(dead, alive))) == [("192.168.2.1", "192.168.2.2")]
    assert gateways(bare, State(foreign=(dead,))) == [(None, None)]


def test_a_default_for_one_type_of_service_is_not_an_uplinks_default() -> None:
    special = b.foreign("fiber", 10)._replace(tos=0x10, nexthops=(Nexthop(2, "192.168.2.70"),))
    snapshot = b.snapshot("fiber")._replace(defaults=(special, b.foreign("fiber", 100)))
    assert gateways(snapshot, State()) == [("192.168.2.1", None)]
    assert bound(Config(), snapshot._replace(defaults=(special,))).uplinks == ()


def test_of_defaults_of_equal_metric_the_kernel_takes_the_first() -> None:
    two = tuple(b.foreign("fiber", 50)._replace(nexthops=(Nexthop(2, f"192.168.2.{n}"),)) for n in (9, 10))
    assert gateways(b.snapshot("fiber")._replace(defaults=two), State()) == [("192.168.2.9", None)]
