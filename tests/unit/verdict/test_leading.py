"""`prefer = latency`: one of equals leads, and no sequence of round trips makes it swing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import Family, FamilyState, Status, Uplink, UplinkConfig, UplinkState, Way
from mwan_hook.verdict import leading

V4, V6 = Family.IPV4, Family.IPV6
NAMES = ("fiber", "cable", "lte")


def uplinks(*metrics: int, behind: str = "") -> tuple[Uplink, ...]:
    made = []
    for number, (name, metric) in enumerate(zip(NAMES, metrics, strict=False), 1):
        here = (V4,) if name == behind else ()
        config = UplinkConfig(name)
        one = Uplink(config, name, name, number, 1000 + number, metric, 0, 0, True, behind=here)
        made.append(one._replace(ipv4=Way(V4, missing=""), ipv6=Way(V6, missing="")))
    return tuple(made)


def memories(**srtt: float | None) -> dict[str, UplinkState]:
    """Uplinks that are online with these round trips over IPv4; None: offline."""
    found = {}
    for name, value in srtt.items():
        status = Status.OFFLINE if value is None else Status.ONLINE
        found[name] = UplinkState(name, 1, FamilyState(status, srtt_ms=value))
    return found


def leaders(found: dict[str, UplinkState]) -> list[str]:
    return [name for name, one in found.items() if one.ipv4.leads is not None]


def moved(found: dict[str, UplinkState], **srtt: float | None) -> dict[str, UplinkState]:
    fresh = memories(**srtt)
    return {
        name: fresh[name].with_family(V4, fresh[name].ipv4._replace(leads=one.ipv4.leads))
        for name, one in found.items()
    }


def order(group: tuple[Uplink, ...], found: dict[str, UplinkState]) -> list[str]:
    ranked = leading.behind_leaders(group, found)
    return [uplink.name for uplink in sorted(ranked, key=lambda one: one.preference(V4))]


def test_the_quicker_of_equals_leads_and_the_others_keep_their_order() -> None:
    group = uplinks(1, 1, 1)
    found = leading.led(group, memories(fiber=30.0, cable=40.0, lte=8.0), 1000.0)
    assert leaders(found) == ["lte"]
    assert order(group, found) == ["lte", "fiber", "cable"]
    assert [one.second for one in leading.behind_leaders(group, found)] == [(V4,), (V4,), ()]


def test_metrics_come_first_and_one_alone_needs_no_lead() -> None:
    group = uplinks(1, 2, 2)
    found = leading.led(group, memories(fiber=300.0, cable=40.0, lte=8.0), 1000.0)
    assert leaders(found) == ["lte"]
    assert order(group, found) == ["fiber", "lte", "cable"]


def test_a_degraded_one_leads_no_other() -> None:
    group = uplinks(1, 1, 1, behind="lte")
    found = leading.led(group, memories(fiber=30.0, cable=20.0, lte=8.0), 1000.0)
    assert order(group, found) == ["cable", "fiber", "lte"]


@pytest.mark.parametrize(
    ("later", "srtt", "leader"),
    [
        (299.0, 5.0, "fiber"),  # its stay is not over
        (300.0, 5.0, "cable"),
        (300.0, 24.1, "fiber"),  # of 30 ms less than 6, a fifth
        (300.0, 23.9, "cable"),
        (1.0, None, "cable"),  # the leader is dead
    ],
)
def test_another_one_leads_when_it_is_surely_quicker_or_the_leader_is_dead(
    later: float, srtt: float | None, leader: str
) -> None:
    group = uplinks(1, 1)
    found = leading.led(group, memories(fiber=30.0, cable=31.0), 1000.0)
    changed: dict[str, Any] = {"fiber": None, "cable": 31.0} if srtt is None else {"fiber": 30.0, "cable": srtt}
    after = leading.led(group, moved(found, **changed), 1000.0 + later)
    assert leaders(after) == [leader]
    back = leading.led(group, moved(after, fiber=30.0, cable=31.0), 1000.0 + later + 1)
    assert leaders(back) == [leader]  # who comes back finds it taken


TRIPS = st.one_of(st.none(), st.floats(0.1, 2000))
STEPS = st.tuples(st.sampled_from((0.0, 1.0, 10.0, 299.0, 300.0, 3600.0)), TRIPS, TRIPS, TRIPS)


@given(st.lists(STEPS, max_size=40))
def test_no_sequence_of_round_trips_has_two_leaders_or_swings(
    steps: list[tuple[float, float | None, float | None, float | None]],
) -> None:
    group, now = uplinks(1, 1, 1), 1000.0
    found, led, since = memories(fiber=None, cable=None, lte=None), "", now
    for later, *trips in steps:
        now += later
        srtt = dict(zip(NAMES, trips, strict=True))
        before, found = led, leading.led(group, moved(found, **srtt), now)
        online = [name for name in NAMES if srtt[name] is not None]
        assert len(leaders(found)) == bool(online)
        led = leaders(found)[0] if online else ""
        if led != before:
            if before and srtt[before] is not None:
                assert now - since >= leading.STAY
                assert (srtt[before] or 0) - (srtt[led] or 0) > leading.LEAST_MS
            since = now
        assert leading.led(group, found, now) == found
        assert [one.second for one in leading.behind_leaders(group, found)].count(()) == (1 if online else 3)
