"""Two lines of one provider in one network: what is theirs by source or mark goes by their tables before main."""

from __future__ import annotations

import pytest

from mwan_hook.model import Address, Family, Link, Routing, Rule, Uplink, UplinkConfig, Way
from mwan_hook.routing import samenetwork

V4, V6 = Family.IPV4, Family.IPV6


def uplink(index: int, *addresses: str, family: Family = V4, mark: int = 0) -> Uplink:
    given = (text.partition("/") for text in addresses)
    way = Way(family, tuple(Address(index, family, one, int(length), True) for one, _, length in given))
    name, other = f"w{index}", Way(V6 if family is V4 else V4)
    four, six = (way, other) if family is V4 else (other, way)
    config = UplinkConfig(name)
    link = Link(index, name, True, True)
    return Uplink(config, name, name, index, 1000 + index, 100, mark, 0xF00, True, link, four, six)


@pytest.mark.parametrize(
    ("family", "one", "two", "other", "network"),
    [
        (V4, "100.65.0.3/11", "100.92.7.1/11", "192.0.2.9/24", "100.64.0.0/11"),
        (V6, "2001:db8:7::3/48", "2001:db8:7:9::1/48", "2001:db8:8::1/48", "2001:db8:7::/48"),
    ],
)
def test_each_has_the_network_by_itself(family: Family, one: str, two: str, other: str, network: str) -> None:
    used = [uplink(2, one, family=family, mark=0x100), uplink(3, two, family=family, mark=0x200)]
    used.append(uplink(4, other, family=family, mark=0x300))
    sources = [text.partition("/")[0] for text in (one, two)]
    assert list(samenetwork.rules(family, Routing(), used, used[1:], ())) == [
        Rule(family, 999, 1002, src=sources[0], dst=network),
        Rule(family, 999, 1003, src=sources[1], dst=network),
        Rule(family, 999, 1003, mark=0x200, mask=0xF00, dst=network),
    ]
    assert list(samenetwork.rules(family, Routing(), used[1:], used, ())) == []
    assert list(samenetwork.rules(family, Routing(main_first=False), used, used, ())) == []


def test_an_address_of_several_tells_none_of_them_and_hosts_are_no_networks() -> None:
    twins = [uplink(2, "10.8.0.2/24", "10.9.0.1/32"), uplink(3, "10.8.0.2/24", "10.9.0.1/32")]
    assert list(samenetwork.rules(V4, Routing(), twins, (), ("10.8.0.2", "10.9.0.1"))) == []
