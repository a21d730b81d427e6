"""Values and members of light are those of typing and enum, as far as the program goes with them."""

from __future__ import annotations

import copy
import enum
import json
import pickle
import typing
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook import light, model


class Heavy(str, enum.Enum):
    ONE = "one"
    TWO = "two"

    @property
    def twice(self) -> str:
        return self.value * 2

    @classmethod
    def first(cls) -> Heavy:
        return cls.ONE


class Light(str, light.Enum):
    ONE = "one"
    TWO = "two"

    @property
    def twice(self) -> str:
        return self.value * 2

    @classmethod
    def first(cls) -> Light:
        return cls.ONE


class HeavyNumber(enum.IntEnum):
    LOW = 0
    HIGH = 4


class LightNumber(light.IntEnum):
    LOW = 0
    HIGH = 4


class HeavyPoint(typing.NamedTuple):
    x: int
    y: int = 2


class LightPoint(light.NamedTuple):
    x: int
    y: int = 2


@pytest.mark.parametrize("kind", [Light, LightNumber, model.Family, model.Connectivity])
def test_a_member_is_one_object_by_any_way_it_is_found(kind: type[light.Enum]) -> None:
    for member in kind:
        assert type(member) is kind
        assert kind(member.value) is getattr(kind, member.name) is kind[member.name] is kind(member) is member
        assert copy.deepcopy(member) is copy.copy(member) is member
        assert pickle.loads(pickle.dumps(member)) is member
    assert len(list(kind)) == len(kind) == len({*kind}) > 1


@pytest.mark.parametrize(("ours", "theirs"), [(Light, Heavy), (LightNumber, HeavyNumber)])
def test_members_are_printed_compared_and_ordered_as_those_of_enum(
    ours: type[light.Enum], theirs: type[enum.Enum]
) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert (one.name, one.value) == (other.name, other.value)
        assert (str(one), repr(one)) == (str(other).replace("Heavy", "Light"), repr(other).replace("Heavy", "Light"))
        assert one == other and hash(one) == hash(other)
        assert json.dumps({"a": one, "b": [one]}) == json.dumps({"a": other, "b": [other]})
    assert sorted(ours) == sorted(theirs)  # type: ignore[type-var]


@pytest.mark.parametrize("value", ["three", "", None, 1, [], {}])
def test_what_is_no_members_value_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid Light"):
        Light(value)


def test_what_is_no_members_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="one"):
        Light["one"]


def test_a_member_has_the_methods_of_its_class() -> None:
    assert (Light.TWO.twice, Light.first()) == ("twotwo", Light.ONE)
    assert f"{LightNumber.HIGH}" == f"{HeavyNumber.HIGH}" == "4"
    assert LightNumber.LOW < LightNumber.HIGH == max(LightNumber)


@given(st.integers(), st.integers())
def test_a_value_is_that_of_typing(x: int, y: int) -> None:
    ours, theirs = LightPoint(x, y=y), HeavyPoint(x, y=y)
    assert ours == (x, y) == theirs
    assert hash(ours) == hash(theirs)
    assert LightPoint(x) == (x, 2)
    assert LightPoint._make(iter((x, y))) == ours and type(LightPoint._make((x, y))) is LightPoint
    assert ours._replace(x=y) == (y, y) == theirs._replace(x=y)
    assert ours._asdict() == theirs._asdict() and repr(ours) == repr(theirs).replace("Heavy", "Light")
    assert pickle.loads(pickle.dumps(ours)) == ours and type(copy.deepcopy(ours)) is LightPoint


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((1,), {"x": 1})])
def test_a_value_with_wrong_fields_is_a_type_error(values: tuple[int, ...], named: dict[str, int]) -> None:
    for kind in (LightPoint, HeavyPoint):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_a_value_that_was_given_all_of_its_fields_is_copied() -> None:
    class Fresh(light.NamedTuple):
        x: int
        y: int = 2

    assert Fresh(1, 3)._replace(y=4) == (1, 4)


def test_a_copy_with_a_field_that_is_not_there_is_a_value_error() -> None:
    for point in (LightPoint(1), HeavyPoint(1)):
        with pytest.raises(ValueError, match="z"):
            point._replace(y=1, z=3)  # type: ignore[call-arg]


@given(st.lists(st.text(max_size=1)))
def test_a_tally_counts_as_a_counter_does(things: list[str]) -> None:
    assert light.tally(iter(things)) == Counter(things)
    assert light.tally(things)["not there"] == 0
