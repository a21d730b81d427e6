"""What the kernel does with routes, as far as the program relies on it; comments in the program name this file."""

from __future__ import annotations

import pytest

from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.kernel.dumps import split
from tests.lab import Lab
from tests.lab.inside import inside
from tests.netns.test_kernel import A4, A6, B4, B6, Bed


@pytest.fixture
def bed(lab: Lab) -> Bed:
    return Bed.with_two_links(lab)


def table(bed: Bed, flag: str, number: int = 77) -> list[str]:
    """What stands in a table."""
    found = bed.ns.ip(f"{flag} route show table {number}", check=False)
    return [" ".join(line.split()) for line in found.splitlines()]


def refused(bed: Bed, words: str) -> str:
    """The kernel's words against a route; empty if it takes it."""
    return bed.ns.run("ip", *words.split(), check=False).stderr


def test_with_an_address_main_loses_ipv4_routes_from_it_and_ipv6_ones_forget_it(bed: Bed) -> None:
    bed.ns.batch("addr add 192.168.1.9/24 dev wan1", "addr add 2001:db8:1::9/64 dev wan1 nodad")
    bed.ns.ip(f"route add 10.1.0.0/16 via {A4} src 192.168.1.9")
    bed.ns.ip(f"-6 route add 2001:db8:a1::/48 via {A6} src 2001:db8:1::9")
    bed.ns.batch("addr del 192.168.1.9/24 dev wan1", "addr del 2001:db8:1::9/64 dev wan1")
    assert not [line for line in table(bed, "-4", 254) if line.startswith("10.1.0.0/16")]
    (left,) = [line for line in table(bed, "-6", 254) if line.startswith("2001:db8:a1::/48")]
    assert " via " in left and " src " not in left


def test_ipv6_shares_only_among_nexthops_with_a_gateway(bed: Bed) -> None:
    assert refused(bed, f"-6 route add 2001:db8:a1::/48 table 77 nexthop via {A6} dev wan1 nexthop dev wan2")
    for device in ("wan1", "wan2"):
        bed.ns.ip(f"-6 route append 2001:db8:a1::/48 dev {device} table 77 metric 7")
    assert len(table(bed, "-6")) == 2


def test_no_route_is_taken_through_a_device_that_is_down_or_to_a_gateway_without_a_network(bed: Bed) -> None:
    assert refused(bed, "route add default via 203.0.113.1 dev wan1 table 77")
    bed.ns.ip("link set wan1 down")
    assert refused(bed, f"route add default via {A4} dev wan1 table 77")
    assert table(bed, "-4") == []


def test_an_ipv6_default_needs_no_more_than_an_address_of_the_link(bed: Bed) -> None:
    bed.ns.ip("addr del 2001:db8:1::80/64 dev wan1")
    bed.ns.ip("-6 route add default via fe80::1 dev wan1 table 77")
    assert len(table(bed, "-6")) == 1


def test_a_delete_without_metric_takes_any_of_ipv4(bed: Bed) -> None:
    bed.ns.ip(f"route add 10.1.0.0/16 via {A4} metric 5 table 77")
    bed.ns.ip("route del 10.1.0.0/16 metric 0 table 77")
    assert table(bed, "-4") == []


def test_a_delete_for_some_sources_takes_an_ipv6_route_for_all(bed: Bed) -> None:
    bed.ns.ip(f"-6 route add 2001:db8:a1::/48 via {A6} metric 5 table 77")
    bed.ns.ip("-6 route del 2001:db8:a1::/48 from 2001:db8:1::/64 metric 5 table 77")
    assert table(bed, "-6") == []


def test_a_replace_takes_what_comes_first_of_its_destination_and_metric(bed: Bed) -> None:
    for gateway in (A4, "192.168.1.9"):
        bed.ns.ip(f"route append 10.1.0.0/16 via {gateway} metric 5 table 77 proto static")
    bed.ns.ip(f"route replace 10.1.0.0/16 via {B4} metric 5 table 77 proto 172")
    assert [line.split()[2] for line in table(bed, "-4")] == [B4, "192.168.1.9"]


def test_ipv6_joins_routes_of_one_destination_and_metric_and_tells_the_first_ones_protocol(bed: Bed) -> None:
    bed.ns.ip(f"-6 route add 2001:db8:a1::/48 via {A6} metric 5 table 77 proto 172")
    bed.ns.ip(f"-6 route append 2001:db8:a1::/48 via {B6} metric 5 table 77 proto static")
    head, *legs = table(bed, "-6")
    assert " proto 172 " in head and len(legs) == 2


def test_links_of_a_kind_that_is_not_known_are_all(bed: Bed) -> None:
    """A kind is known once its module is loaded."""
    told = {}
    for kind in (b"nosuch\0", b"veth\0"):
        linkinfo = frames.attribute(18 | 0x8000, frames.attribute(1, kind))
        with inside(bed.ns.name):
            sock = netlink.connect()
        told[kind] = len(split(netlink.dump(sock, wire.RTM_GETLINK, bytes(16) + linkinfo)))
        sock.close()
    assert told == {b"nosuch\0": 5, b"veth\0": 4}
