"""Doctor's words on targets that are dead everywhere, and on lines that die together."""

from __future__ import annotations

import pytest

from mwan_hook.doctor.checks import common
from mwan_hook.doctor.finding import Case
from mwan_hook.model import Allotment, Family, State, Transition
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders as b

NAMES = ("fiber", "cable")
CONFIG = b.config(*(b.uplink(name, metric=100) for name in NAMES))
DAY = 86400.0


def case(state: State) -> Case:
    seen = b.snapshot(*NAMES)
    return Case(CONFIG, bind(CONFIG, Inputs(seen, state, Allotment())).uplinks, state, seen, now=500.0)


def outages(name: str, *times: float, old: str = "online", new: str = "offline") -> list[Transition]:
    return [
        Transition("offline", name, name, family, old, new, "words", at + late)
        for at in times
        for family, late in ((Family.IPV4, 0), (Family.IPV6, 2))
    ]


def found(*happened: Transition) -> list[tuple[str, str]]:
    return [(one.code, one.about) for one in common.check(case(State()), sorted(happened, key=lambda one: one.at))]


DUCT = [("one-duct", "cable, fiber")]


@pytest.mark.parametrize(
    ("fiber", "cable", "told"),
    [
        ((DAY, 2 * DAY, 3 * DAY), (DAY + 50, 2 * DAY - 50, 3 * DAY), DUCT),
        ((DAY, 2 * DAY), (DAY, 2 * DAY), []),
        ((DAY, 2 * DAY, 3 * DAY), (DAY, 2 * DAY, 3 * DAY + 61), []),
        ((DAY, 2 * DAY, 3 * DAY), (DAY, 2 * DAY, 3 * DAY, 4 * DAY), []),
        (tuple(DAY * n for n in range(1, 6)), tuple(DAY * n for n in range(1, 7)), DUCT),
        (tuple(DAY * n for n in range(1, 6)), tuple(DAY * n for n in range(1, 8)), []),
    ],
)
def test_two_lines_that_always_die_together_are_named(
    fiber: tuple[float, ...], cable: tuple[float, ...], told: list[tuple[str, str]]
) -> None:
    assert found(*outages("fiber", *fiber), *outages("cable", *cable)) == told


def test_what_died_by_hand_or_before_it_was_known_or_is_not_configured_tells_nothing() -> None:
    times = [DAY * n for n in range(1, 5)]
    assert found(*outages("fiber", *times), *outages("cable", *times, old="unknown")) == []
    assert found(*outages("fiber", *times), *outages("cable", *times, new="disabled")) == []
    assert found(*outages("fiber", *times), *outages("lte", *times)) == []
    assert found(*outages("fiber", *times), *outages("cable", *times, old="degraded")) == DUCT


def test_a_target_that_is_ignored_is_named_with_its_age() -> None:
    (one,) = common.check(case(State(ignored={"ipv6 icmp://2001:db8::9": 380.0})), ())
    assert (one.code, one.about) == ("target-ignored", "icmp://2001:db8::9")
    assert "(ipv6)" in one.what and "2 min" in one.what
