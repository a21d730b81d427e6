"""Which addresses are endpoints of MPTCP, and what differs in the kernel: pure."""

from __future__ import annotations

import random

import pytest

from mwan_hook.connections.endpoints import MOST, EndpointWork, Wanted, difference, key, left, lines, role, wanted
from mwan_hook.model import (
    BACKUP,
    IMPLICIT,
    SUBFLOW,
    Address,
    Endpoint,
    Family,
    Mptcp,
    PathManager,
    Status,
    Uplink,
    UplinkConfig,
    Way,
)
from tests.unit.builders import NAMES, state

FIBER, CABLE, LTE = NAMES["fiber"], NAMES["cable"], NAMES["lte"]
V4, V6 = Family.IPV4, Family.IPV6


def four(text: str, index: int = FIBER) -> Address:
    return Address(index, V4, text, 24, True)


def six(text: str, index: int = FIBER, **marks: bool) -> Address:
    return Address(index, V6, text, 64, True, **marks)


def uplink(name: str, *addresses: Address, metric: int = 100, enabled: bool = True, **config: object) -> Uplink:
    ipv4, ipv6 = (Way(of, tuple(one for one in addresses if one.family is of), missing="") for of in (V4, V6))
    made = UplinkConfig(name, **config)  # type: ignore[arg-type]
    return Uplink(made, name, name, NAMES[name], 1001, metric, 0, 0, enabled, ipv4=ipv4, ipv6=ipv6)


def made(*uplinks: Uplink, **statuses: Status) -> list[tuple[str, int, int]]:
    known = {one.name: Status.ONLINE for one in uplinks} | statuses
    return [(one.address, one.index, one.flags) for one in wanted(uplinks, state(**known)).made]


# ---------------------------------------------------------------- which addresses


@pytest.mark.parametrize(
    ("metered", "said", "found"),
    [
        (False, None, Mptcp.YES),
        (True, None, Mptcp.BACKUP),
        (True, Mptcp.YES, Mptcp.YES),
        (False, Mptcp.BACKUP, Mptcp.BACKUP),
        (True, Mptcp.NO, Mptcp.NO),
    ],
)
def test_a_metered_uplink_is_spared_unless_told_otherwise(metered: bool, said: Mptcp | None, found: Mptcp) -> None:
    assert role(uplink("lte", metered=metered, mptcp=said)) is found


def test_both_families_of_every_online_uplink_the_preferred_ones_first() -> None:
    lte = uplink("lte", four("192.0.2.9", LTE), six("2001:db8:4::9", LTE), metric=300, metered=True)
    fiber = uplink("fiber", four("198.51.100.7"), six("2001:db8:2::7"), metric=50)
    assert made(lte, fiber) == [
        ("198.51.100.7", FIBER, SUBFLOW),
        ("2001:db8:2::7", FIBER, SUBFLOW),
        ("192.0.2.9", LTE, SUBFLOW | BACKUP),
        ("2001:db8:4::9", LTE, SUBFLOW | BACKUP),
    ]


@pytest.mark.parametrize("status", [Status.OFFLINE, Status.DISABLED])
def test_an_uplink_that_carries_nothing_has_none(status: Status) -> None:
    fiber, lte = uplink("fiber", four("198.51.100.7")), uplink("lte", four("192.0.2.9", LTE))
    assert made(fiber, lte, fiber=status) == [("192.0.2.9", LTE, SUBFLOW)]


def test_nor_has_one_that_is_left_out_switched_off_or_gone() -> None:
    left_out = uplink("cable", four("203.0.113.5", CABLE), mptcp=Mptcp.NO)
    switched_off = uplink("fiber", four("198.51.100.7"), enabled=False)
    gone = uplink("lte", four("192.0.2.9", LTE))._replace(index=0)
    assert made(left_out, switched_off, gone) == []


def test_addresses_that_no_connection_should_leave_from_are_left_out() -> None:
    tentative = Address(FIBER, V6, "2001:db8:2::3", 64, False, tentative=True)
    link_local = Address(FIBER, V6, "fe80::1", 64, False)
    old, inside = six("2001:db8:2:1::4", deprecated=True), six("fd00:2::5")
    one = uplink("fiber", six("2001:db8:2::6"), six("2001:db8:2::8"), tentative, link_local, old, inside)
    assert [address for address, _, _ in made(one)] == ["2001:db8:2::6", "2001:db8:2::8"]


@pytest.mark.parametrize("only", [six("fd00:2::5"), six("2001:db8:2::4", deprecated=True)])
def test_what_is_all_there_is_does(only: Address) -> None:
    assert [address for address, _, _ in made(uplink("fiber", only))] == [only.address]


def test_an_address_that_lasts_does_not_give_away_a_temporary_one() -> None:
    private, other = six("2001:db8:2::dead", temporary=True), six("2001:db8:99::1")
    one = uplink("fiber", six("2001:db8:2::1"), private, other)
    assert {address for address, _, _ in made(one)} == {"2001:db8:2::dead", "2001:db8:99::1"}


def test_an_address_that_another_interface_lends_is_one_by_the_uplink() -> None:
    one = uplink("fiber")._replace(ipv6=Way(V6, missing="", lent="2001:db8:77::1"))
    assert made(one) == [("2001:db8:77::1", FIBER, SUBFLOW)]


def test_second_addresses_come_after_the_first_ones_of_all() -> None:
    fiber = uplink("fiber", four("198.51.100.7"), four("198.51.100.8"), metric=1)
    lte = uplink("lte", four("192.0.2.9", LTE), metric=9)
    assert [address for address, _, _ in made(fiber, lte)] == ["198.51.100.7", "192.0.2.9", "198.51.100.8"]


def test_while_nothing_is_online_in_a_family_what_stands_may_stay() -> None:
    fiber = uplink("fiber", four("198.51.100.7"), six("2001:db8:2::7"))
    lte = uplink("lte", four("192.0.2.9", LTE))
    found = wanted((fiber, lte), state(fiber=Status.OFFLINE, lte=Status.OFFLINE))
    assert not found.made
    assert [one.address for one in found.kept] == ["198.51.100.7", "192.0.2.9", "2001:db8:2::7"]
    found = wanted((fiber, lte), state(fiber=Status.OFFLINE, lte=Status.ONLINE))
    assert "198.51.100.7" not in [one.address for one in found.kept]


def test_a_drained_uplink_keeps_what_stands_as_a_backup_and_gets_nothing_new() -> None:
    fiber, lte = uplink("fiber", four("198.51.100.7"))._replace(draining=True), uplink("lte", four("192.0.2.9", LTE))
    online = state(fiber=Status.ONLINE, lte=Status.ONLINE)
    found = wanted((fiber, lte), online)
    assert [one.address for one in found.made] == ["192.0.2.9"]
    assert found.kept == (Endpoint("198.51.100.7", index=FIBER, flags=SUBFLOW | BACKUP),)
    alone = wanted((fiber, lte), state(fiber=Status.ONLINE, lte=Status.OFFLINE))
    assert [one.address for one in alone.made] == ["198.51.100.7"]


# ---------------------------------------------------------------- what differs


def want(*endpoints: Endpoint) -> Wanted:
    return Wanted(endpoints)


def point(last: int, index: int = FIBER, number: int = 0, flags: int = SUBFLOW) -> Endpoint:
    return Endpoint(f"192.0.2.{last}", number, index, flags)


def done(work: EndpointWork, there: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """The kernel's endpoints afterwards."""
    stay = [one for one in there if one not in work.delete]
    changed = {one.id: one for one in work.change}
    made = [one._replace(flags=one.flags & ~IMPLICIT) for one in work.add]
    stay = [changed.get(one.id, one) for one in stay if one.address not in {new.address for new in made}]
    assert len(stay) + len(made) <= MOST
    return (*stay, *made)


def test_what_is_wanted_is_made_once() -> None:
    work = difference(want(point(1), point(2, LTE, flags=SUBFLOW | BACKUP)), (), 2, PathManager(), on=True)
    assert [(one.id, one.index, one.flags) for one in work.add] == [(172, FIBER, 2), (173, LTE, 6)]
    assert work.limit is None
    again = difference(want(point(1), point(2, LTE, flags=6)), done(work, ()), 2, work.memory, on=True)
    assert again.idle
    assert again.memory == work.memory


def test_what_is_not_wanted_any_more_goes_and_has_its_id_again() -> None:
    first = difference(want(point(1), point(2)), (), 2, PathManager(), on=True)
    there = done(first, ())
    fallen = difference(want(point(2)), there, 2, first.memory, on=True)
    assert [one.address for one in fallen.delete] == ["192.0.2.1"]
    risen = difference(want(point(1), point(2)), done(fallen, there), 2, fallen.memory, on=True)
    assert [(one.address, one.id) for one in risen.add] == [("192.0.2.1", 172)]


def test_what_another_program_made_is_left_alone() -> None:
    theirs = (point(1, number=1), point(9, number=2, flags=0x1), point(2, number=172))
    work = difference(want(point(1), point(2), point(3)), theirs, 8, PathManager(), on=True)
    assert [(one.address, one.id) for one in work.add] == [("192.0.2.3", 173)]
    assert not work.delete
    gone = left(done(work, theirs), 8, work.memory)
    assert [one.address for one in gone.delete] == ["192.0.2.3"]


def test_one_with_our_address_and_another_id_or_device_is_not_ours() -> None:
    memory = PathManager({key(point(1)): 172})
    for theirs in (point(1, number=3), point(1, LTE, 172), point(1, number=172, flags=SUBFLOW | IMPLICIT)):
        assert not left((theirs,), 2, memory).delete


def test_the_flag_is_changed_in_place() -> None:
    memory = PathManager({key(point(1)): 172})
    work = difference(want(point(1, flags=6)), (point(1, number=172),), 2, memory, on=True)
    assert [(one.id, one.flags) for one in work.change] == [(172, 6)]
    assert not work.add
    assert not work.delete
    back = difference(want(point(1)), (point(1, number=172, flags=6 | 0x8),), 2, memory, on=True)
    assert [(one.id, one.flags) for one in back.change] == [(172, SUBFLOW | 0x8)]  # fullmesh is the operator's


def test_one_that_the_kernel_has_made_is_replaced_and_keeps_its_id() -> None:
    work = difference(want(point(1)), (point(1, index=0, number=5, flags=IMPLICIT),), 2, PathManager(), on=True)
    assert [(one.id, one.flags & IMPLICIT) for one in work.add] == [(5, IMPLICIT)]
    assert work.memory.ids == {key(point(1)): 5}
    assert lines(work, {FIBER: "eth1"}) == ["ip mptcp endpoint add 192.0.2.1 dev eth1 subflow"]


def test_an_address_on_two_uplinks_is_an_endpoint_of_the_first_and_moves_after_a_deletion() -> None:
    first = difference(want(point(1), point(1, LTE)), (), 2, PathManager(), on=True)
    assert [one.index for one in first.add] == [FIBER]
    moved = difference(want(point(1, LTE)), done(first, ()), 2, first.memory, on=True)
    assert moved.crowded
    assert [one.index for one in (*moved.delete, *moved.add)] == [FIBER, LTE]


def test_beyond_what_the_kernel_holds_the_rest_is_left_out() -> None:
    theirs = (point(100, number=1), point(101, number=2))
    work = difference(want(*(point(n) for n in range(1, 10))), theirs, 2, PathManager(), on=True)
    assert len(work.add) == MOST - len(theirs)
    assert work.left_out == ("192.0.2.7", "192.0.2.8", "192.0.2.9")
    assert work.limit == MOST - 1


def test_what_is_deprecated_stays_while_it_stands_and_is_not_made() -> None:
    old = Wanted((), (point(1),))
    assert difference(old, (), 2, PathManager(), on=True).idle
    assert difference(old, (point(1, number=172),), 2, PathManager({key(point(1)): 172}), on=True).idle


# ---------------------------------------------------------------- the limit


@pytest.mark.parametrize(("limit", "count", "found"), [(2, 3, None), (2, 4, 3), (0, 2, 1), (0, 1, None), (8, 8, None)])
def test_the_limit_is_raised_to_the_number_less_one_and_never_lowered(
    limit: int, count: int, found: int | None
) -> None:
    assert difference(want(*(point(n) for n in range(count))), (), limit, PathManager(), on=True).limit == found


def test_the_limit_is_put_back_to_what_was_before_us() -> None:
    first = difference(want(*(point(n) for n in range(4))), (), 2, PathManager(), on=True)
    there = done(first, ())
    second = difference(want(*(point(n) for n in range(6))), there, 3, first.memory, on=True)
    assert (second.limit, second.memory.before) == (5, 2)
    # killed before it was set: the limit is still the earlier one of ours
    for limit, found in ((5, 2), (3, 2), (2, None), (6, None)):
        assert left((), limit, second.memory).limit == found


def test_a_limit_that_another_program_lowered_meanwhile_is_what_was_before_us() -> None:
    memory = PathManager(before=2, raised=(5,))
    work = difference(want(*(point(n) for n in range(6))), (), 4, memory, on=True)
    assert (work.limit, work.memory.before, work.memory.raised) == (5, 4, (5,))


# ---------------------------------------------------------------- lines, and any order of events


def test_lines_are_what_an_operator_could_have_typed() -> None:
    work = EndpointWork(
        (point(1, number=172), point(2, LTE, 173, 6)),
        (point(3, number=174, flags=6), point(4, number=175)),
        (point(5, number=176),),
        3,
    )
    said = [
        "ip mptcp limits set subflows 3",
        "ip mptcp endpoint add 192.0.2.1 dev eth1 id 172 subflow",
        "ip mptcp endpoint add 192.0.2.2 dev if4 id 173 subflow backup",
        "ip mptcp endpoint change id 174 backup",
        "ip mptcp endpoint change id 175 nobackup",
        "ip mptcp endpoint delete id 176",
    ]
    assert lines(work, {FIBER: "eth1"}) == said
    assert lines(work._replace(crowded=True), {FIBER: "eth1"})[1] == said[-1]


@pytest.mark.parametrize("seed", range(40))
def test_after_any_order_of_events_ours_are_as_wanted_and_others_stay(seed: int) -> None:
    """Uplinks that come and go, others' endpoints, runs that are killed anywhere."""
    dice = random.Random(seed)
    there: tuple[Endpoint, ...] = ()
    theirs: list[Endpoint] = []
    limit, memory = dice.randrange(3), PathManager()
    before = limit
    for _ in range(30):
        if dice.random() < 0.3 and len(there) < MOST:
            one = point(dice.randrange(6), dice.choice((FIBER, LTE)), dice.choice((1, 2, 172, 173)))
            free = one.address not in {x.address for x in there} and one.id not in {x.id for x in there}
            if free and memory.ids.get(key(one)) != one.id:
                theirs, there = [*theirs, one], (*there, one)
        chosen = [point(n, dice.choice((FIBER, LTE)), flags=dice.choice((2, 6))) for n in range(12)]
        wish = want(*dice.sample(chosen, dice.randrange(len(chosen))))
        work = difference(wish, there, limit, memory, on=True)
        memory = work.memory  # stored before anything is done
        if dice.random() < 0.3:  # killed after some of it
            work = work._replace(add=work.add[: dice.randrange(len(work.add) + 1)], change=(), limit=None)
            there = done(work, there)
            continue
        there, limit = done(work, there), limit if work.limit is None else work.limit
        assert difference(wish, there, limit, memory, on=True).idle
        assert {one for one in there if memory.ids.get(key(one)) != one.id} == {*theirs}
        assert len({one.id for one in there}) == len(there)
    work = left(there, limit, memory)
    assert {*done(work, there)} == {*theirs}
    assert (limit if work.limit is None else work.limit) == before
