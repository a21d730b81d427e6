"""What is to be sent for thousands of routes, without a kernel."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from mwan_hook.kernel import canonical, copies, copydiff, frames, wire
from mwan_hook.model import Family
from tests.unit.kernel.test_wire import OURS, THEIRS, collected, message

GATEWAY = bytes.fromhex("fe80") + bytes(13) + b"\1"
PREFERENCE, ENCAPSULATION = (wire.RTA_PREF, b"\0"), (canonical.RTA_ENCAP_TYPE, bytes(16))
UNSEEN = bytes.fromhex("2a00001400050000") + bytes(8)  # of RTA_GATEWAY's header, where no attribute begins
SEEN = bytes.fromhex("2a00000014000500") + bytes(8)  # and where one may


def message4(address: bytes, length: int = 24, metric: int = 0, table: int = 254, protocol: int = THEIRS) -> bytes:
    body = struct.pack("=BBBBBBBBI", 2, length, 0, 0, min(table, 252), protocol, 253, 1, 0)
    body += frames.number(wire.RTA_TABLE, table) + frames.attribute(wire.RTA_DST, address)
    body += frames.number(wire.RTA_PRIORITY, metric) if metric else b""
    return message(wire.RTM_NEWROUTE, body + frames.number(wire.RTA_OIF, 3))


def message6(
    address: bytes,
    length: int = 64,
    gateway: bytes = b"",
    age: int = 0,
    behind: Sequence[tuple[int, bytes]] = (PREFERENCE,),
    table: int = 254,
    protocol: int = THEIRS,
    index: int = 3,
) -> bytes:
    """As the kernel lays a route out; ``behind``: what comes after its age."""
    body = struct.pack("=BBBBBBBBI", 10, length, 0, 0, min(table, 252), protocol, 0, 1, 0)
    body += frames.number(wire.RTA_TABLE, table) + frames.attribute(wire.RTA_DST, address)
    body += frames.number(wire.RTA_PRIORITY, 1024) + (frames.attribute(wire.RTA_GATEWAY, gateway) if gateway else b"")
    body += frames.number(wire.RTA_OIF, index) + frames.attribute(wire.RTA_CACHEINFO, struct.pack("=8I", *[age] * 8))
    return message(wire.RTM_NEWROUTE, body + b"".join(frames.attribute(*one) for one in behind))


def address6(number: int) -> bytes:
    return struct.pack("!HHI", 0x2A00, number >> 16, number & 0xFFFF) + bytes(8)


@pytest.mark.parametrize("behind", [(), (PREFERENCE,), (PREFERENCE, ENCAPSULATION)], ids=["nothing", "little", "much"])
def test_an_age_is_cut_out_of_many_routes_as_of_one(behind: Sequence[tuple[int, bytes]]) -> None:
    sent = [message6(address6(n), age=n, behind=behind) for n in range(1, 90)]
    found = collected([b"".join(sent)])
    assert found.others == [canonical.rewrite(one[wire.HEADER :], 0)[1] for one in sent]


def parts(add: Sequence[bytes]) -> Counter[tuple[bytes, bool]]:
    """Canonical routes of messages to send, and whether each is appended."""
    routes = collected([frames.request(wire.RTM_NEWROUTE, 0, one[16:]) for one in add]).ours
    return Counter(
        (route, bool(struct.unpack_from("=H", one, 6)[0] & wire.NLM_F_APPEND))
        for route, one in zip(routes, add, strict=True)
    )


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("family", list(Family))
def test_each_route_is_added_once_and_appended_where_its_destination_has_another(family: Family, seed: int) -> None:
    """Some share an address alone, some a destination, some all; and the table has a few of them."""
    chance, one = random.Random(seed), cast(Callable[..., bytes], message4 if family is Family.IPV4 else message6)
    wide, narrow = (8, 24) if family is Family.IPV4 else (32, 64)
    addresses = [bytes((10, n, 0, 0)) if family is Family.IPV4 else address6(n) for n in range(60)]
    chosen = [(chance.choice(addresses), chance.choice((wide, narrow)), chance.randrange(3)) for _ in range(80)]
    chosen = [*dict.fromkeys(chosen)]
    few = chosen[: seed % 3 * 5]

    def made(of: Sequence[tuple[bytes, int, int]], **where: int) -> copies.CanonicalRoutes:
        name = "metric" if family is Family.IPV4 else "index"
        return collected([one(address, length, **{name: 3 + other}, **where) for address, length, other in of])

    main, have = made([*chosen, *chosen[::9]]), made(few, table=1001, protocol=OURS)
    several = {place for place, number in Counter((one, length) for one, length, _ in chosen).items() if number > 1}
    several |= {(one, length) for one, length, _ in few}
    appended = [(one, length) in several for one, length, _ in chosen if (one, length, _) not in few]
    found = copydiff.difference(family, 1001, main, have, OURS)
    assert parts(found.add) == Counter(zip(made(chosen[len(few) :]).others, appended, strict=True))


@pytest.mark.parametrize("address", [UNSEEN, SEEN])
@pytest.mark.parametrize("before", [0, 500])
def test_ipv6_routes_with_a_gateway_come_after_those_without(address: bytes, before: int) -> None:
    plain = [message6(address6(n)) for n in range(1, before + 1)]
    main = collected([*plain, message6(address), message6(address6(9999), gateway=GATEWAY), message6(address6(8888))])
    found = copydiff.difference(Family.IPV6, 1001, main, collected([]), OURS)
    order = [GATEWAY in one for one in found.add]
    assert (order.index(True) > before, len(order)) == (True, before + 3)
    assert address6(8888) in b"".join(found.add[: order.index(True)])
