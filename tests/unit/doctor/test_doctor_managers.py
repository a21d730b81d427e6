"""Who looks after the uplinks' interfaces, and gateways that they have not set."""

from __future__ import annotations

import pytest

from mwan_hook.doctor.checks import managers
from mwan_hook.doctor.checks.managers import Managed
from mwan_hook.doctor.finding import Case, Finding, Severity
from mwan_hook.model import Allotment, Config, State
from mwan_hook.routing.uplinks import Inputs
from tests.unit import builders as b

LTE = b.NAMES["lte"]
THERE = b.snapshot("fiber", "lte")._replace(defaults=(b.foreign("fiber", 100),))


def found(one: Managed, config: Config, there: object = THERE) -> list[Finding]:
    seen = THERE if there is None else there
    uplinks = b.bound(config, Inputs(seen, State(), Allotment())).uplinks  # type: ignore[arg-type]
    return list(managers.check(Case(config, uplinks, State(), seen, 0.0), [one]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "netplan", "says"),
    [
        (("ifupdown", "dhclient"), False, "ifdown lte; ifup lte"),
        (("NetworkManager",), False, "ipv4.never-default no, and nmcli device reapply lte"),
        (("dhcpcd",), False, "nogateway"),
        (("dhclient",), False, "IF_METRIC=NUMBER lte"),
        (("systemd-networkd",), False, "UseGateway=yes"),
        (("systemd-networkd",), True, "/etc/netplan"),
        ((), False, "gateway = ADDRESS in [[lte]] of mwan-hook.conf"),
    ],
)
def test_an_address_without_gateway_is_told_with_the_fix_of_its_manager(
    by: tuple[str, ...], netplan: bool, says: str
) -> None:
    (one,) = found(Managed("lte", LTE, by, netplan), b.config(b.uplink("fiber"), b.uplink("lte")))
    assert (one.code, one.severity, one.about) == ("no-gateway", Severity.PROBLEM, "lte")
    assert one.what.startswith("lte has an address (192.168.4.2") and "no gateway" in one.what
    assert says in one.fix.words


def test_nothing_is_told_of_one_that_has_its_gateway_or_is_switched_off() -> None:
    config = b.config(b.uplink("fiber"), b.uplink("lte"))
    assert found(Managed("lte", LTE, ("dhclient",)), config, b.snapshot("fiber", "lte")) == []
    assert found(Managed("lte", LTE, ()), b.config(b.uplink("fiber"), b.uplink("lte", enabled=False))) == []


def test_two_managers_of_one_interface_are_a_problem() -> None:
    config = b.config(b.uplink("fiber"), b.uplink("lte"))
    both = Managed("lte", LTE, ("systemd-networkd", "NetworkManager"))
    (one,) = found(both, config, b.snapshot("fiber", "lte"))
    assert (one.code, one.severity) == ("two-managers", Severity.PROBLEM)
    assert "unmanaged-devices=interface-name:lte" in one.fix.words


def test_without_configuration_a_leased_gateway_without_a_default_is_told() -> None:
    leased = Managed("lte", LTE, ("ifupdown",), leased="192.168.4.1")
    (one,) = found(leased, Config())
    assert (one.code, one.severity, one.about) == ("no-default", Severity.NOTE, "lte")
    assert found(leased._replace(leased=None), Config()) == []
    assert found(leased, b.config(b.uplink("fiber"))) == []
