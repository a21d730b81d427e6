"""The tree that SNMP sees, without snmpd."""

from __future__ import annotations

import pytest

from mwan_hook.model import Connectivity, FamilyState, State, UplinkState
from mwan_hook.notify import oids

BASE = (1, 3, 6, 1, 4, 1, 99999)


def uplink(index: int, ipv4: Connectivity, ipv6: Connectivity | None = None) -> UplinkState:
    """Memory of one with that connectivity."""
    other = FamilyState() if ipv6 is None else FamilyState(connectivity=ipv6, way="a")
    return UplinkState("eth", index, FamilyState(connectivity=ipv4, way="a"), other)


STATE = State(
    uplinks={
        "late": uplink(10, Connectivity.LIMITED),
        "soon": uplink(9, Connectivity.NONE, Connectivity.FULL),
        "gone": uplink(0, Connectivity.NONE),
    }
)


def test_the_order_is_of_numbers_column_by_column() -> None:
    tree = oids.variables(BASE, STATE)
    assert [one.oid[-2:] for one in tree] == [(1, 9), (1, 10), (2, 9), (2, 10), (3, 9), (3, 10)]
    assert [one.value for one in tree] == ["9", "10", "4", "3", "full", "limited"]
    assert [one.kind for one in tree] == ["integer"] * 4 + ["string"] * 2
    assert {one.oid[:-2] for one in tree} == {(*BASE, 1, 1)}


def test_following_walks_the_whole_tree_once_from_wherever_it_begins() -> None:
    tree = oids.variables(BASE, STATE)
    starts: list[tuple[int, ...]] = [(1,), BASE, (*BASE, 1), (*BASE, 1, 1, 1)]
    for name in starts:
        walked = []
        while found := oids.following(tree, name):
            walked.append(found)
            name = found.oid  # noqa: PLW2901 - walks on
        assert walked == tree
    assert oids.following(tree, (*BASE, 1, 1, 1, 9, 0)) == tree[1]
    assert oids.following(tree, (*BASE, 2)) is None


def test_get_takes_the_whole_name_only() -> None:
    tree = oids.variables(BASE, STATE)
    assert oids.get(tree, (*BASE, 1, 1, 3, 9)) == tree[4]
    for other in ((*BASE, 1, 1, 3), (*BASE, 1, 1, 3, 9, 0), (*BASE, 1, 1, 4, 9), BASE):
        assert oids.get(tree, other) is None


def test_a_number_of_an_oid_has_32_bits() -> None:
    assert oids.parse("1.4294967295") == (1, 0xFFFFFFFF)
    assert oids.parse("1" + ".1" * 127) == (1,) * 128


@pytest.mark.parametrize("text", ["1.3.6", ".1.3.6"])
def test_an_oid_may_begin_with_a_dot(text: str) -> None:
    assert oids.parse(text) == (1, 3, 6)
    assert oids.dotted((1, 3, 6)) == ".1.3.6"


@pytest.mark.parametrize(
    "text", ["", ".", "..1", "1.", "1.-3", "1.3.x", " 1.3", "1.3\n", "1.4294967296", "9" * 5000, ".1" * 129, "1.\u0663"]
)
def test_what_is_no_oid_is_none(text: str) -> None:
    assert oids.parse(text) is None
