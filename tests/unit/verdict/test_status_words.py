"""The one word that people are told of an uplink."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import (
    Activation,
    Connectivity,
    Family,
    FamilyState,
    Phase,
    State,
    Status,
    Uplink,
    UplinkState,
    Way,
)
from mwan_hook.verdict import words
from mwan_hook.verdict.words import Word
from tests.unit import builders as b

NOW = 1000.0
V4, V6 = Family.IPV4, Family.IPV6
ABLE = {V4: Way(V4, missing=""), V6: Way(V6, missing="")}
GOOD = FamilyState(Status.ONLINE, Connectivity.FULL)
BAD = FamilyState(Status.OFFLINE, Connectivity.LIMITED)
HELD = FamilyState(Status.OFFLINE, Connectivity.FULL, held_until=NOW + 1)
LOGIN = FamilyState(Status.OFFLINE, Connectivity.PORTAL)
WORSE = GOOD._replace(degraded=True)
OUT = FamilyState(Status.DISABLED)
NOTHING = State()
IDLE = State(dials={"lte": Activation(Phase.IDLE)})


def uplink(**values: Any) -> Uplink:
    """One that has all it needs in both families."""
    ways = {"ipv4": ABLE[V4], "ipv6": ABLE[V6]}
    usual = {"enabled": True, "index": 4, "table": 1001, "metric": 100, "mark": 0, "mask": 0}
    return Uplink(b.uplink("lte"), "lte", "lte", **{**usual, **ways, **values})


def word(ipv4: FamilyState, ipv6: FamilyState, /, state: State = NOTHING, **values: Any) -> Word:
    return words.of_uplink(uplink(**values), UplinkState("lte", 4, ipv4, ipv6), state, NOW)


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "expected"),
    [
        (GOOD, GOOD, "online"),
        (GOOD, BAD, "online"),
        (BAD, GOOD, "online"),
        (WORSE, BAD, "degraded"),
        (WORSE, GOOD, "degraded"),
        (LOGIN, BAD, "portal"),
        (LOGIN._replace(status=Status.ONLINE), BAD, "online"),
        (HELD, BAD, "held"),
        (HELD._replace(held_until=NOW), BAD, "offline"),
        (HELD, LOGIN, "held"),
        (BAD, BAD, "offline"),
        (BAD._replace(degraded=True), BAD, "offline"),
        (FamilyState(), FamilyState(), "offline"),
        (OUT, OUT, "disabled"),
    ],
)
def test_the_word_is_that_of_the_family_that_leads(ipv4: FamilyState, ipv6: FamilyState, expected: str) -> None:
    assert word(ipv4, ipv6).value == expected


@pytest.mark.parametrize(
    ("state", "values", "expected"),
    [
        (IDLE, {}, "standby"),
        (IDLE, {"enabled": False}, "disabled"),
        (IDLE, {"draining": True}, "standby"),
        (State(dials={"lte": Activation(Phase.DIALLING)}), {}, "offline"),
        (State(), {"draining": True}, "draining"),
        (State(), {"draining": True, "enabled": False}, "disabled"),
    ],
)
def test_what_holds_for_the_whole_uplink_goes_before(state: State, values: dict[str, Any], expected: str) -> None:
    assert word(BAD, BAD, state, **values).value == expected


def test_a_link_that_another_program_dialled_is_online() -> None:
    assert word(GOOD, BAD, IDLE) is Word.ONLINE


@pytest.mark.parametrize("memory", [HELD, LOGIN])
def test_without_a_way_it_is_offline_though_the_last_round_was_good(memory: FamilyState) -> None:
    gone = {"ipv4": Way(V4, missing="no carrier"), "ipv6": Way(V6)}
    assert word(memory, memory, NOTHING, **gone) is Word.OFFLINE


MEMORIES = st.builds(
    FamilyState,
    status=st.sampled_from([*Status]),
    connectivity=st.sampled_from([*Connectivity]),
    degraded=st.booleans(),
    held_until=st.sampled_from([None, 0.0, NOW, NOW + 0.1, 1e9]),
)


@given(
    ipv4=MEMORIES,
    ipv6=MEMORIES,
    phase=st.sampled_from([None, *Phase]),
    ways=st.tuples(st.sampled_from(["", "no address"]), st.sampled_from(["", "no gateway"])),
    enabled=st.booleans(),
    draining=st.booleans(),
)
def test_there_is_always_exactly_one_word(
    ipv4: FamilyState, ipv6: FamilyState, phase: Phase | None, ways: tuple[str, str], enabled: bool, draining: bool
) -> None:
    state = State(dials={"lte": Activation(phase)} if phase else {})
    missing = {"ipv4": Way(V4, missing=ways[0]), "ipv6": Way(V6, missing=ways[1])}
    found = word(ipv4, ipv6, state, enabled=enabled, draining=draining, **missing)
    assert isinstance(found, Word)
    assert (found is Word.DISABLED) is (not enabled or (not draining and found is Word.DISABLED))
    if enabled and not draining and found not in (Word.STANDBY, Word.DISABLED):
        up = Status.ONLINE in (ipv4.status, ipv6.status)
        assert (found in (Word.ONLINE, Word.DEGRADED)) is up, "what routing uses is never told otherwise"
