"""What a reader of several looks takes as it was, on a real kernel."""

from __future__ import annotations

import pytest

from mwan_hook.model import MAIN_TABLE, Family
from tests.lab import Lab
from tests.netns.kernel import Kernel
from tests.netns.test_kernel import BOTH, GATEWAYS, Bed

MANY = 900
UNIT, OTHERS = 1001, 1002


@pytest.fixture
def bed(lab: Lab) -> Bed:
    made = Bed(lab.netns("kernel"))
    made.one = made.link("wan1", "192.168.1.80/24", "2001:db8:1::80/64")
    made.two = made.link("wan2", "192.168.3.2/24", "2001:db8:3::2/64")
    return made


def many(family: Family, table: int, count: int = MANY) -> list[str]:
    form = "10.{}.{}.0/24" if family is Family.IPV4 else "2a00:{:x}:{:x}::/48"
    return [f"route add {form.format(n >> 8, n & 255)} dev wan1 table {table} proto bird" for n in range(count)]


def looks(kernel: Kernel, family: Family, table: int, *turns: list[str]) -> list[tuple[bool, bool, int, int]]:
    found: list[tuple[bool, bool, int, int]] = kernel.call("reread", family, table, turns)
    return found


@BOTH
@pytest.mark.parametrize(("table", "other"), [(MAIN_TABLE, UNIT), (UNIT, MAIN_TABLE), (UNIT, OTHERS), (7, UNIT)])
def test_a_large_table_is_read_again_once_its_own_routes_have_changed(
    bed: Bed, family: Family, table: int, other: int
) -> None:
    """Not when others are filled: a run fills its own, more than any socket holds."""
    one = "192.0.2.0/24" if family is Family.IPV4 else "2001:db8:77::/48"
    told = looks(
        bed,
        family,
        table,
        many(family, table),
        [],
        [*many(family, other, 2000), f"route flush table {other} proto bird"],
        [f"route add {one} dev wan2 table {table}"],
        [],
        [f"route del {one} dev wan2 table {table}"],
    )
    same, counts = [routes for routes, *_ in told], [count for *_, count, _ in told]
    assert same == [False, True, True, False, True, False]
    assert counts == [counts[0], counts[0], counts[0], counts[0] + 1, counts[0] + 1, counts[0]]
    assert counts[0] >= MANY


@BOTH
@pytest.mark.parametrize(
    "line",
    [
        "link set wan2 mtu 1400",
        "link set wan2-p down",
        "link set wan2 down",
        "address del {address} dev wan2",
        "nexthop del id 5",
    ],
)
def test_what_may_take_routes_along_without_a_word_has_them_read_again(bed: Bed, family: Family, line: str) -> None:
    address = "192.168.3.2/24" if family is Family.IPV4 else "2001:db8:3::2/64"
    bed.ns.ip(f"nexthop add id 5 via {GATEWAYS[family][0]} dev wan1")
    told = looks(bed, family, MAIN_TABLE, many(family, MAIN_TABLE), [], [line.format(address=address)])
    assert [same for same, *_ in told] == [False, True, False]


@BOTH
def test_a_small_table_is_not_listened_to(bed: Bed, family: Family) -> None:
    told = looks(bed, family, UNIT, many(family, UNIT, 9), [], many(family, UNIT, 12)[9:])
    assert [(same, count) for same, _, count, _ in told] == [(False, 9), (False, 9), (False, 12)]


@pytest.mark.parametrize("filled", [50, MANY], ids=["small", "large"])
def test_defaults_of_ipv6_are_searched_for_once_in_a_large_main(bed: Bed, filled: int) -> None:
    one, two = (f"route add default via {GATEWAYS[Family.IPV6][1]} dev wan2 metric {metric}" for metric in (8, 9))
    main = [*many(Family.IPV6, MAIN_TABLE, filled), one]
    told = looks(bed, Family.IPV6, MAIN_TABLE, main, many(Family.IPV6, UNIT), [two], [])
    large = filled == MANY
    assert [same for _, same, *_ in told] == [False, large, False, large]
    assert [count for *_, count in told] == [1, 1, 2, 2]


@BOTH
def test_routes_of_ours_are_searched_for_everywhere_once(bed: Bed, family: Family) -> None:
    """Then where they were, and where they were expected: a table that no uplink has any more has routes left.

    No other program makes routes with our number meanwhile, so 4002 is not asked.
    """
    one = "192.0.2.0/24" if family is Family.IPV4 else "2001:db8:77::/48"

    def add(table: int) -> str:
        return f"route add {one} dev wan1 table {table} proto 172"

    turns = (
        ([add(UNIT), add(4000), add(4001)], (UNIT,)),
        ([f"route flush table {4000}"], (UNIT, OTHERS)),
        ([add(OTHERS), add(4002), f"route flush table {4001}"], ()),
    )
    assert bed.call("strewn", family, turns) == [[4000, 4001], [4001], [UNIT, OTHERS]]
