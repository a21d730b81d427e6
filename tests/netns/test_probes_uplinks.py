"""Several uplinks: every packet of a probe leaves by its own, with its own source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from mwan_hook.model import Connectivity, Family, Job
from tests.netns.probe_lab import ALIVE, ProbeLab, Provider
from tests.netns.probe_servers import OPEN, Internet, make_keys

FULL, LIMITED = Connectivity.FULL, Connectivity.LIMITED
both = pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)


class Bed(NamedTuple):
    """Two uplinks; the first carries the machine's default route."""

    lab: ProbeLab
    first: Provider
    second: Provider


def build(lab: ProbeLab, keys: pytest.TempPathFactory, *subnets: str) -> Bed:
    """Providers with servers, and main's defaults by the first."""
    place = make_keys(keys.mktemp("keys"))
    for subnet in subnets:
        Internet(lab.provider(subnet), place)
    first, second = lab.providers
    for metric, provider in enumerate((first, second), 100):
        for family, flag in ((Family.IPV4, "-4"), (Family.IPV6, "-6")):
            where = f"via {provider.gateway[family]} dev {provider.interface} metric {metric}"
            lab.ip(f"{flag} route add default {where}")
    return Bed(lab, first, second)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Two uplinks with networks of their own."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab:
        yield build(lab, tmp_path_factory, "", "")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Two uplinks with the same network, the same address and the same gateway."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab:
        yield build(lab, tmp_path_factory, "192.168.8", "192.168.8")


def jobs(provider: Provider, family: Family, timeout: float = 3) -> list[Job]:
    """One of every kind."""
    address = f"[{ALIVE[family]}]" if family is Family.IPV6 else ALIVE[family]
    texts = [
        f"icmp://{ALIVE[family]}",
        f"tcp://{address}:{OPEN}",
        f"dns://{address}/ok.test",
        f"http://{address}/204",
        "http://ok.test/204",
        f"tcp://other.test:{OPEN}",
    ]
    return [provider.job(text, family, timeout, servers=(ALIVE[family],)) for text in texts]


def cut(provider: Provider, family: Family) -> None:
    """The internet behind the gateway is gone."""
    provider.ip(f"addr del {ALIVE[family]}/{32 if family is Family.IPV4 else 128} dev lo")
    provider.ip(f"route add blackhole {ALIVE[family]}")


def mend(provider: Provider, family: Family) -> None:
    """It is back."""
    provider.ip(f"route del blackhole {ALIVE[family]}")
    provider.ip(f"addr add {ALIVE[family]}/{32 if family is Family.IPV4 else 128} dev lo")


@both
def test_a_line_that_is_dead_behind_its_gateway_is_seen_on_that_uplink_alone(bed: Bed, family: Family) -> None:
    cut(bed.first, family)
    with bed.first.capture() as by_first, bed.second.capture() as by_second:
        results = bed.lab.run(*jobs(bed.first, family, 1), *jobs(bed.second, family, 3))
    mend(bed.first, family)
    assert [result.connectivity for result in results] == [LIMITED] * 6 + [FULL] * 6
    for provider, packets in ((bed.first, by_first), (bed.second, by_second)):
        sent = [packet for packet in packets if packet.incoming and packet.destination == ALIVE[family]]
        assert {packet.source for packet in sent} == {provider.source[family]}
        assert len(sent) >= 6


@both
@pytest.mark.parametrize("which", [0, 1], ids=["best", "other"])
def test_strict_reverse_path_filters_do_not_hinder_probes(bed: Bed, family: Family, which: int) -> None:
    names = ("all", bed.first.interface, bed.second.interface)
    bed.lab.sysctl(*(f"net.ipv4.conf.{name}.rp_filter=1" for name in names))
    results = bed.lab.run(*jobs((bed.first, bed.second)[which], family))
    bed.lab.sysctl(*(f"net.ipv4.conf.{name}.rp_filter=0" for name in names))
    assert [(result.connectivity, result.error) for result in results] == [(FULL, None)] * 6


def test_a_gateway_is_asked_on_its_own_line(bed: Bed) -> None:
    bed.second.ip("link set lan arp off")
    asked = [provider.job("gateway:", timeout=0.5) for provider in (bed.first, bed.second)]
    results = bed.lab.run(*asked)
    bed.second.ip("link set lan arp on")
    assert [result.connectivity for result in results] == [FULL, LIMITED]


@pytest.mark.parametrize("dead", [0, 1])
def test_uplinks_with_the_same_address_and_gateway_are_told_apart(twins: Bed, dead: int) -> None:
    providers = (twins.first, twins.second)
    cut(providers[dead], Family.IPV4)
    results = twins.lab.run(*jobs(providers[dead], Family.IPV4, 1), *jobs(providers[1 - dead], Family.IPV4))
    mend(providers[dead], Family.IPV4)
    assert [result.connectivity for result in results] == [LIMITED] * 6 + [FULL] * 6


def test_the_same_name_is_asked_on_each_uplink(bed: Bed) -> None:
    with bed.first.capture() as by_first, bed.second.capture() as by_second:
        asked = [provider.job("http://ok.test/204", servers=("9.9.9.9",)) for provider in (bed.first, bed.second)]
        results = bed.lab.run(*asked)
    assert [result.connectivity for result in results] == [FULL, FULL]
    for packets in (by_first, by_second):
        assert len([packet for packet in packets if packet.protocol == 17 and packet.incoming]) == 1


def test_both_families_of_all_uplinks_are_asked_at_once(bed: Bed) -> None:
    everything = [job for provider in (bed.first, bed.second) for family in Family for job in jobs(provider, family)]
    assert {result.connectivity for result in bed.lab.run(*everything)} == {FULL}


def test_a_renamed_interface_is_still_the_same_one(bed: Bed) -> None:
    asked = [*jobs(bed.second, Family.IPV4), bed.second.job("gateway:")]
    for old, new in ((bed.second.interface, "renamed"), ("renamed", bed.second.interface)):
        bed.lab.ip(f"link set {old} down")
        bed.lab.ip(f"link set {old} name {new}")
        bed.lab.ip(f"link set {new} up")
        bed.lab.ip(f"route add default via {bed.second.gateway[Family.IPV4]} dev {new} table 1002")
        bed.lab.ip("rule del priority 1100 lookup 1002")
        bed.lab.ip(f"rule add priority 1100 oif {new} lookup 1002")
        assert {result.connectivity for result in bed.lab.run(*asked)} == {FULL}
