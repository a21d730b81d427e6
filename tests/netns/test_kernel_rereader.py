"""What a reader of several looks takes as it was, on a real kernel."""

from __future__ import annotations

import pytest

from mwan_hook.model import MAIN_TABLE, Family
from tests.lab import Lab, wait_for
from tests.netns.kernel import Kernel
from tests.netns.test_kernel import BOTH, GATEWAYS, Bed

MANY = 900
UNIT, OTHERS = 1001, 1002
V6 = Family.IPV6


@pytest.fixture
def bed(lab: Lab) -> Bed:
    made = Bed(lab.netns("kernel"))
    made.ns.sysctl({"ipv6/conf/default/accept_dad": 0})  # its end would be news
    made.one = made.link("wan1", "192.168.1.80/24", "2001:db8:1::80/64")
    made.two = made.link("wan2", "192.168.3.2/24", "2001:db8:3::2/64")
    wait_for("the last news of the links", lambda: made.ns.ip("link").count("state UP") == 4)
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
        "address add {host} dev wan2",
        "nexthop del id 5",
    ],
)
def test_what_may_take_routes_along_without_a_word_has_them_read_again(bed: Bed, family: Family, line: str) -> None:
    address, host = (
        ("192.168.3.2/24", "192.0.2.1/32") if family is Family.IPV4 else ("2001:db8:3::2/64", "2001:db8::1/128")
    )
    bed.ns.ip(f"nexthop add id 5 via {GATEWAYS[family][0]} dev wan1")
    told = looks(bed, family, MAIN_TABLE, many(family, MAIN_TABLE), [], [line.format(address=address, host=host)])
    assert [same for same, *_ in told] == [False, True, False]


@BOTH
def test_what_was_read_while_routes_may_still_go_is_read_once_more(bed: Bed, family: Family) -> None:
    """With a nexthop object thousands go after the kernel has told of it, and a dump comes in between."""
    bed.ns.ip(f"nexthop add id 5 via {GATEWAYS[family][0]} dev wan1")
    told = looks(bed, family, MAIN_TABLE, many(family, MAIN_TABLE), [], ["nexthop del id 5"], [], [])
    assert [same for same, *_ in told] == [False, True, False, False, True]


@BOTH
def test_what_changes_while_a_table_is_read_is_read_by_the_next_look(bed: Bed, family: Family) -> None:
    one = "192.0.2.0/24" if family is Family.IPV4 else "2001:db8:77::/48"
    looks(bed, family, UNIT, many(family, UNIT))
    assert bed.call("changed_while_read", family, UNIT, f"route add {one} dev wan2 table {UNIT}") == [MANY, MANY + 1]


@BOTH
def test_without_a_filter_news_of_every_table_has_all_read_again(bed: Bed, family: Family) -> None:
    one = "192.0.2.0/24" if family is Family.IPV4 else "2001:db8:77::/48"
    more = [f"route add {one} dev wan2 table {UNIT}"], [f"route add {one} dev wan2"]
    turns: list[list[str]] = [many(family, MAIN_TABLE), [], *more]
    told = bed.call("unfiltered", family, MAIN_TABLE, turns)
    assert [same for same, *_ in told] == [False, True, False, False]
    assert told[3][2] == told[2][2] + 1


@BOTH
@pytest.mark.parametrize("ignores_dead", [0, 1])
@pytest.mark.parametrize("table", [MAIN_TABLE, 7, 255, 256, UNIT, 0xFFFFFFFE])
def test_what_is_kept_is_what_a_dump_tells(bed: Bed, family: Family, table: int, ignores_dead: int) -> None:
    """Through all that happens to routes."""
    bed.ns.sysctl(
        {f"{family.value}/conf/{name}/ignore_routes_with_linkdown": ignores_dead for name in ("wan1", "wan2")}
    )
    a, b = GATEWAYS[family]
    form = "192.0.{}.0/24" if family is Family.IPV4 else "2001:db8:7{}::/48"
    first, second, third = (f"{form.format(n)} table {table}" for n in range(3))
    source, length = ("192.168.3.7", 24) if family is Family.IPV4 else ("2001:db8:3::7", 64)
    by_object = [f"route add {first} nhid 5", f"route add {second} nhid 9"]
    turns = [
        many(family, table),
        [f"nexthop add id 5 via {b} dev wan2", f"nexthop add id 6 via {a} dev wan1", "nexthop add id 9 group 5/6"],
        *([line] for line in by_object),
        [f"nexthop replace id 5 via {a} dev wan1"],
        [f"nexthop replace id 5 via {b} dev wan2"],
        [f"route add {third} via {b} dev wan2"],
        [f"route replace {third} via {b} dev wan2 mtu 1400"],
        [f"route append {third} via {a} dev wan1"],
        [f"route del {third} via {a} dev wan1"],
        [f"route replace {third} nexthop via {a} dev wan1 nexthop via {b} dev wan2"],
        ["link set wan2-p down"],
        ["link set wan2-p up"],
        ["nexthop del id 9"],
        ["link set wan2 down"],
        ["link set wan2 up"],
        [f"address add {source}/{length} dev wan2" + (" nodad" if family is Family.IPV6 else "")],
        [f"route add {first} dev wan2 src {source} metric 77"],
        [f"address del {source}/{length} dev wan2"],
        [f"route replace {first} dev wan2 metric 78"],
        ["link add bridge0 type bridge", "link set wan2 master bridge0"],
        ["link del wan2"],
        [line.replace("route add", "route del") for line in many(family, table)[:9]],
    ]
    assert bed.call("stale", family, table, turns) == []


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


BESIDE = (
    *(f"route add default via {GATEWAYS[Family.IPV6][1]} dev wan2 metric {metric}" for metric in (8, 9)),
    *(f"route add {half} via {GATEWAYS[Family.IPV6][0]} dev wan1 proto static" for half in ("2000::/4", "3000::/4")),
    f"route add 2001:db8:ee::/48 via {GATEWAYS[Family.IPV6][0]} dev wan1 proto ra",
    f"route add 2001:db8:ef::/48 via {GATEWAYS[Family.IPV6][0]} dev wan1 proto dhcp",
    f"route add 2000::/5 via {GATEWAYS[Family.IPV6][0]} dev wan1 proto ra",
    "route add unreachable 2001:db8:f00::/56 proto dhcp",
)


@pytest.mark.parametrize("count", [5, 1500])
def test_defaults_are_those_that_a_reader_of_one_look_finds(bed: Bed, count: int) -> None:
    """In a large main that one asks device by device, and leaves out those without an address to send from."""
    bed.ns.ip("link add bare type veth peer bare-p")
    for name in ("bare-p", "bare"):
        bed.ns.ip(f"link set {name} addrgenmode none up")
    bed.ns.ip("-6 route add default dev bare metric 5")
    bed.ns.ip("-6 route add default via 2001:db8:1::1 dev wan1 metric 9")
    [(*_, defaults)] = looks(bed, V6, MAIN_TABLE, many(V6, MAIN_TABLE, count))
    assert defaults == len(bed.call("read", "defaults_of_main", V6)) == (2 if count == 5 else 1)


@pytest.mark.parametrize("mixed", [False, True])
def test_what_else_is_asked_of_a_large_main_is_found_in_what_is_copied(bed: Bed, mixed: bool) -> None:
    """Main is read once, for its defaults, wide routes, what others brought, networks, and the copies."""
    main = [f"{line} mtu {1300 + n % 2}" if mixed and n % 3 else line for n, line in enumerate(many(V6, MAIN_TABLE))]
    told, right, count, read = bed.call("beside_defaults", [*main, *BESIDE])
    assert told == right
    assert [len(one) for one in told] == [2, 2, 1, 2, 1, 6]
    assert (count >= MANY + len(BESIDE), read) == (True, 1)


def test_news_after_the_search_for_defaults_has_main_read_for_the_copies(bed: Bed) -> None:
    counts: list[tuple[int, int]] = []
    for between in ("", "route add 2001:db8:77::/48 dev wan2"):
        *_, count, read = bed.call("beside_defaults", [] if counts else [*many(V6, MAIN_TABLE), *BESIDE], between)
        counts.append((count, read))
    assert counts == [(counts[0][0], 1), (counts[0][0] + 1, 2)]


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
