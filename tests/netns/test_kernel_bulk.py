"""Many messages at once: what of them the kernel refuses, and that the rest is done."""

from __future__ import annotations

import random
from collections.abc import Sequence
from errno import EEXIST, EINVAL, ENETUNREACH, ENODEV

import pytest

from mwan_hook.kernel import build, bulk, wire
from mwan_hook.model import Family, Route
from tests.lab import Lab
from tests.netns.kernel import hop
from tests.netns.test_kernel import Bed

ABSENT, TABLE = 9999, 1001
USUAL = 212992 // 2  # net.core.rmem_default, which the kernel doubles
SHORT = Route(Family.IPV4, TABLE)
LONG = SHORT._replace(metric=7, mtu=1400)


@pytest.fixture
def bed(lab: Lab) -> Bed:
    made = Bed(lab.netns("kernel"))
    made.one = made.link("wan1", "192.168.1.80/24")
    return made


def message(number: int, index: int, gateway: str = "", like: Route = SHORT) -> bytes:
    """A route to add; every number has a destination of its own."""
    way, scope = (hop(index, gateway or None),), 0 if gateway else 253
    route = like._replace(dst=f"10.{number >> 8}.{number & 255}.0/24", nexthops=way, scope=scope)
    return build.insertion(build.canonical(route), wire.NLM_F_CREATE | wire.NLM_F_EXCL)


def refused(bed: Bed, number: int, like: Route) -> list[tuple[bytes, int]]:
    """Messages for an odd number, and the errno of each."""
    crooked = bytearray(message(number, bed.one, like=like))
    crooked[16 + 1] = 23  # bits of the prefix; the destination has one beyond them
    return [
        (message(number, ABSENT, like=like), ENODEV),
        (message(number, bed.one, "203.0.113.5", like), ENETUNREACH),
        (message(0, bed.one), EEXIST),
        (bytes(crooked), EINVAL),
    ]


@pytest.mark.parametrize("count", [2, 150, 1200])
@pytest.mark.parametrize("shapes", [[SHORT], [SHORT, LONG]], ids=["one length", "several lengths"])
@pytest.mark.parametrize("share", [0.02, 0.9])
def test_each_refusal_is_of_the_message_that_was_refused(
    bed: Bed, count: int, shapes: list[Route], share: float
) -> None:
    chance = random.Random(count)
    sent, expected = [message(0, bed.one)], {}
    for number in range(1, 2 * count, 2):
        like = chance.choice(shapes)
        last = number == 2 * count - 1
        if last or chance.random() < share:
            one, expected[len(sent)] = chance.choice(refused(bed, number, like))
        else:
            one = message(number, bed.one, like=like)
        sent.append(one)
    found = bed.call("send", sent)
    assert {place: code for place, (code, _) in found.items()} == expected
    assert len(bed.routes(Family.IPV4, TABLE)) == len(sent) - len(expected)


def test_refusals_that_a_small_socket_cannot_hold_do_not_stop_the_rest(bed: Bed) -> None:
    bad: Sequence[bytes] = [message(number, ABSENT) for number in range(300)]
    found = bed.call("send_cramped", [*bad, *(message(number, bed.one) for number in range(300, 400))], 4096, 2048)
    assert 0 < len(found) < len(bad)
    assert {code for code, _ in found.values()} == {ENODEV}
    assert max(found) < len(bad)
    assert len(bed.routes(Family.IPV4, TABLE)) == 100


def test_where_room_is_made_no_refusal_is_lost(bed: Bed) -> None:
    """A socket of the usual size does not hold those of a large buffer."""
    bad = [message(number, ABSENT) for number in range(2000)]
    lost, found = (bed.call("send_cramped", bad, USUAL, room) for room in (USUAL, bulk.ROOM))
    assert len(lost) < len(found) == len(bad)


def test_a_gateway_may_become_reachable_by_what_comes_later(bed: Bed) -> None:
    """What is refused for its gateway is sent once more, and is told of only if it is refused again."""
    behind = [message(number, bed.one, "10.9.0.1") for number in range(200)]
    never = message(300, bed.one, "203.0.113.5")
    found = bed.call("send", [*behind, never, message(9 << 8, bed.one)])
    assert {place: code for place, (code, _) in found.items()} == {200: ENETUNREACH}
    assert len(bed.routes(Family.IPV4, TABLE)) == 201
