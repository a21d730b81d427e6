"""What the kernel's messages look like, as far as the program relies on it; comments in the program name this file."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mwan_hook.kernel import copywords, counters, frames, netlink, wire
from mwan_hook.kernel.dumps import request
from mwan_hook.model import Family
from tests.lab import Lab
from tests.lab.inside import inside
from tests.netns.test_kernel import BOTH, GATEWAYS, Bed
from tests.netns.test_kernel_reader import fill

LARGEST = 32 * 1024


@pytest.fixture
def bed(lab: Lab) -> Bed:
    return Bed.with_two_links(lab)


def read(bed: Bed, kind: int, body: bytes) -> list[bytes]:
    """The buffers of a dump."""
    with inside(bed.ns.name):
        sock = netlink.connect()
    try:
        return list(netlink.dump(sock, kind, body))
    finally:
        sock.close()


def messages(buffers: Iterable[bytes]) -> list[bytes]:
    return [message for buffer in buffers for message in frames.split(buffer)]


def kinds(message: bytes) -> list[int]:
    return [kind for kind, _ in wire.each_attribute(message, 28)]


def routes(bed: Bed, family: Family, table: int = 0) -> list[bytes]:
    return messages(read(bed, wire.RTM_GETROUTE, request(family, table)))


@BOTH
def test_a_dump_has_buffers_of_32_kib_at_most_and_the_next_one_is_always_there(bed: Bed, family: Family) -> None:
    """Each is asked for without waiting; the kernel makes none larger however much room it is offered."""
    fill(bed, family, "wan1")
    found = read(bed, wire.RTM_GETROUTE, request(family, 254))
    assert len(messages(found)) >= 3000
    assert len(found) > 3
    assert LARGEST // 2 < max(map(len, found)) <= LARGEST < netlink.RECEIVE


@BOTH
def test_a_routes_table_is_told_first_and_its_destination_next(bed: Bed, family: Family) -> None:
    """Of routes of every kind; defaults have no destination."""
    bed.add(*bed.hops(family))
    found = routes(bed, family)
    assert {wire.attributes(one, 28)[wire.RTA_TABLE] for one in found} >= {
        number.to_bytes(4, "little") for number in (77, 254, 255, 1000, 4294967295)
    }
    for message in found:
        expected = [wire.RTA_TABLE, wire.RTA_DST] if message[wire.HEADER + 1] else [wire.RTA_TABLE]
        assert kinds(message)[: len(expected)] == expected


def test_ipv6_tells_nexthops_before_the_preference(bed: Bed) -> None:
    near, far = GATEWAYS[Family.IPV6]
    bed.ns.ip(f"-6 route add 2001:db8:a1::/48 nexthop via {near} dev wan1 nexthop via {far} dev wan2")
    (found,) = [one for one in routes(bed, Family.IPV6, 254) if wire.RTA_MULTIPATH in kinds(one)]
    assert [kind for kind in kinds(found) if kind != wire.RTA_CACHEINFO][-2:] == [wire.RTA_MULTIPATH, wire.RTA_PREF]


@BOTH
def test_a_mark_of_0_is_left_out_and_its_mask_told_alone(bed: Bed, family: Family) -> None:
    for priority, mark in ((7, "0/0xff00"), (8, "0x100/0xff00")):
        bed.ns.ip(f"{family.flag} rule add fwmark {mark} lookup 52 pref {priority}")
    told = {}
    for message in messages(read(bed, wire.RTM_GETRULE, bytes((family.af,)) + bytes(11))):
        found = wire.attributes(message, 28)
        told[found.get(wire.FRA_PRIORITY)] = (wire.FRA_FWMARK in found, wire.FRA_FWMASK in found)
    assert [told[priority.to_bytes(4, "little")] for priority in (7, 8)] == [(False, True), (True, True)]


@pytest.mark.parametrize(("word", "kind"), [("rtt", 4), ("rttvar", 5), ("rto_min", 13)])
def test_metrics_that_are_times_have_units_of_their_own(bed: Bed, word: str, kind: int) -> None:
    """As ip(8) sends them: 40 ms."""
    bed.ns.ip(f"route add 10.1.0.0/16 via {GATEWAYS[Family.IPV4][0]} dev wan1 {word} 40ms")
    (found,) = [wire.attributes(one, 28) for one in routes(bed, Family.IPV4, 254) if wire.RTA_METRICS in kinds(one)]
    told = int.from_bytes(wire.attributes(found[wire.RTA_METRICS], 0)[kind], "little")
    assert told == 40 * copywords._UNITS[kind][0]


def test_an_answer_is_there_when_the_question_is_sent(bed: Bed) -> None:
    """Counters are read without waiting: a hundred times, not one is missing."""
    with inside(bed.ns.name):
        for _ in range(100):
            assert counters.read([bed.one]).keys() == {bed.one}
