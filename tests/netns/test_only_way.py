"""A fresh link, the only line, the last way out: what a wait would cost is the whole internet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab, Network, topologies, wait_for

SETTINGS = """
[probe]
portal_interval = 0
timeout = 0.4
burst_interval = 0.1
fall = {fall}
[uplinks]
[[fiber]]
match = eth1
metric = 100
[[lte]]
match = eth2
metric = 200
[[sat]]
match = eth3
metric = 300
"""


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Three lines, for all of these tests."""
    with Lab() as lab:
        yield topologies.probed(lab, 3)


@pytest.fixture
def net(lines: Network) -> Network:
    """The three lines whole, as after a boot; the default hold is in force."""
    return lines.anew()


def moves(net: Network) -> list[tuple[str, str]]:
    """Each move of the best IPv4 default: from and to which interface."""
    told = [t for t in net.router.history() if t["event"] == "default-route" and t["family"] == "ipv4"]
    return [(t["old"].partition(" ")[0], t["new"].partition(" ")[0]) for t in told]


def test_a_cable_that_is_put_back_is_online_although_its_first_probes_get_lost(net: Network) -> None:
    net.router.configure(SETTINGS.format(fall=40))
    net.router.check()
    net.router.carrier("eth1", False)
    net.router.mwan("event", "--facts")
    with net.isps[0].broken("blackhole"):
        net.router.carrier("eth1", True)
        run = net.router.start("event", "change", "eth1")
        wait_for("a bad round", lambda: net.router.family("fiber")["bad"] >= 1, 30)
        assert net.router.verdict("fiber") == "offline"
    assert run.wait(30) == 0
    net.router.check()  # on a slow machine the run may have ended before the line was whole
    for family in ("ipv4", "ipv6"):
        assert net.router.family("fiber", family)["held_until"] is None
        assert net.router.way_out(family) == ["fiber"]


@pytest.mark.parametrize("fault", ["blackhole", "carrier"])
def test_the_only_line_is_back_at_its_first_good_round_however_often_it_falls(net: Network, fault: str) -> None:
    net.router.configure(SETTINGS.format(fall=1))
    for interface in ("eth2", "eth3"):
        net.router.carrier(interface, False)
    net.router.check()
    for _ in range(4):
        if fault == "carrier":
            net.router.carrier("eth1", False)
        else:
            net.isps[0].fault(fault)
        net.router.check()
        assert net.router.way_out() == []
        net.isps[0].heal()
        net.router.carrier("eth1", True)
        net.router.check()
        assert (net.router.way_out(), net.router.way_out("ipv6")) == (["fiber"], ["fiber"])


def test_a_held_line_carries_as_soon_as_the_other_one_loses_its_carrier(net: Network) -> None:
    net.router.configure(SETTINGS.format(fall=1))
    net.router.carrier("eth3", False)
    net.router.check()
    with net.isps[0].broken("blackhole"):
        net.router.check()
    net.router.check()
    assert net.router.family("fiber")["held_until"]
    assert net.router.way_out() == ["lte"]
    net.router.carrier("eth2", False)
    net.router.mwan("event", "--facts")
    assert (net.router.way_out(), net.router.way_out("ipv6")) == (["fiber"], ["fiber"])


@pytest.mark.parametrize("shared", ["1000", "main"])
def test_the_last_way_is_replaced_in_one_step_by_a_line_that_is_due(net: Network, shared: str) -> None:
    net.router.configure(f"[routing]\ndefault_table = {shared}\n" + SETTINGS.format(fall=1))
    for isp in net.isps[1:]:
        isp.fault("blackhole")
    net.router.check()
    assert net.router.way_out() == ["fiber"]
    told = len(moves(net))
    net.isps[0].fault("blackhole")
    for isp in net.isps[1:]:
        isp.heal()
    net.router.check()
    assert moves(net)[told:] == [("eth1", "eth2")]
