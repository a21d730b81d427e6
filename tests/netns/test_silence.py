"""What the kernel's neighbour table says of a gateway that does not answer, state by state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mwan_hook.addresses import VIA_IPV6
from mwan_hook.config.targets import parse
from mwan_hook.kernel import neighbours
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import NO_NEXTHOP, PROTOCOL, Connectivity, Family, Job, Link, Result, Uplink, UplinkConfig, Way
from mwan_hook.run import ask
from mwan_hook.run.scene import Key
from mwan_hook.verdict.evidence import REFUSED
from tests.lab import Lab
from tests.lab.inside import inside
from tests.lab.netns import Netns

GATEWAYS = {Family.IPV4: "192.0.2.1", Family.IPV6: "fe80::1"}
LLADDR = "lladdr 02:00:00:00:00:09"


@pytest.fixture(scope="module")
def machine() -> Iterator[Netns]:
    """Two links on which nothing answers."""
    with Lab() as lab:
        ns = lab.netns("machine")
        names = ("line", "other")
        ns.batch(*(f"link add {name} type veth peer name {name}-peer" for name in names))
        ns.batch(*(f"link set {name}{end} up" for name in names for end in ("", "-peer")))
        yield ns


def link(ns: Netns) -> Link:
    return Link(ns.index("line"), "line", True, True)


def is_silent(ns: Netns, family: Family, gateway: str, noarp: bool = False) -> bool:
    with inside(ns.name), Reader(PROTOCOL) as reader:
        return neighbours.is_silent(reader, family, link(ns)._replace(noarp=noarp), gateway)


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (f"{LLADDR} nud reachable", False),
        (f"{LLADDR} nud stale", False),
        (f"{LLADDR} nud delay", False),
        (f"{LLADDR} nud probe", False),
        (f"{LLADDR} nud permanent", False),
        (f"{LLADDR} nud noarp", False),
        ("nud failed", True),
        ("nud incomplete", True),
    ],
)
def test_only_a_question_without_an_answer_is_silence(
    machine: Netns, family: Family, state: str, expected: bool
) -> None:
    gateway = GATEWAYS[family]
    machine.ip(f"neigh replace {gateway} dev line {state}")
    try:
        assert is_silent(machine, family, gateway) is expected
        assert not is_silent(machine, family, gateway, noarp=True)
    finally:
        machine.ip("neigh flush dev line nud all")


@pytest.mark.parametrize("family", list(Family))
def test_what_is_known_on_another_link_or_said_by_proxy_is_nothing(machine: Netns, family: Family) -> None:
    gateway = GATEWAYS[family]
    machine.ip(f"neigh replace {gateway} dev other nud failed")
    machine.ip(f"neigh add proxy {gateway} dev line")
    assert not is_silent(machine, family, gateway)
    machine.ip(f"neigh del proxy {gateway} dev line")


def test_an_ipv4_route_by_an_ipv6_gateway_has_a_neighbour_too(machine: Netns) -> None:
    machine.ip("neigh replace fe80::1 dev line nud failed")
    assert is_silent(machine, Family.IPV4, f"{VIA_IPV6}fe80::1")
    machine.ip(f"neigh replace fe80::1 dev line {LLADDR} nud reachable")
    assert not is_silent(machine, Family.IPV4, f"{VIA_IPV6}fe80::1")
    machine.ip("neigh flush dev line nud all")


WORDS = [
    (Connectivity.LIMITED, "timed out after 0.3 s", NO_NEXTHOP),
    (Connectivity.LIMITED, "192.0.2.53: timed out after 3 s", NO_NEXTHOP),
    (Connectivity.LIMITED, "host unreachable", NO_NEXTHOP),
    (Connectivity.LIMITED, REFUSED, REFUSED),  # an answer, by which a line may be judged good
    (Connectivity.LIMITED, "network unreachable, says 192.0.2.1", "network unreachable, says 192.0.2.1"),
    (Connectivity.LIMITED, "host unreachable, says 192.0.2.1", "host unreachable, says 192.0.2.1"),
    (Connectivity.PORTAL, None, None),
    (Connectivity.NONE, "no route", "no route"),
]


def test_what_was_heard_stays_and_nothing_but_words_changes(machine: Netns) -> None:
    """No verdict may come of it: connectivity, bytes and times are the probe's."""
    gateway = GATEWAYS[Family.IPV4]
    way, index = Way(Family.IPV4, gateway=gateway, missing=""), machine.index("line")
    line = Uplink(UplinkConfig("line"), "line", "line", index, 1001, 1, 0, 0, True, link(machine), ipv4=way)
    job = Job("line", Family.IPV4, parse("tcp://192.0.2.9:80"), "line", index, "192.0.2.2")
    before = [Result(job, connectivity, None, words, 60) for connectivity, words, _ in WORDS]
    machine.ip(f"neigh replace {gateway} dev line nud failed")
    with inside(machine.name):
        [after] = ask.explained([Key(line, Family.IPV4)], [{("line", Family.IPV4): before}])
    assert after == {("line", Family.IPV4): [one._replace(error=w[2]) for one, w in zip(before, WORDS, strict=True)]}
    machine.ip("neigh flush dev line nud all")
    with inside(machine.name):
        [after] = ask.explained([Key(line, Family.IPV4)], [{("line", Family.IPV4): before}])
    assert after == {("line", Family.IPV4): before}
