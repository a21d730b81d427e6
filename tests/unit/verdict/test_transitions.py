"""What people and hooks hear of a change."""

from __future__ import annotations

from mwan_hook.model import Connectivity, FamilyState, State, Status, UplinkState
from mwan_hook.verdict.events import best_connectivity, transitions
from mwan_hook.verdict.facts import judge_uplink
from tests.unit.verdict.verdicts import DISABLED, FULL, LIMITED, OFFLINE, ONLINE, START, probe, uplink


def state(status: Status, connectivity: Connectivity, index: int = 7, reason: str = "why") -> State:
    """One uplink with IPv4 like this and no IPv6."""
    family = FamilyState(status, connectivity, reason=reason)
    return State(uplinks={"fiber": UplinkState("eth7", index, family)})


def words(before: State, after: State) -> list[tuple[str, str, str]]:
    """Event, old and new."""
    return [(one.event, one.old, one.new) for one in transitions(before, after, 1.0)]


def test_nothing_changed_is_no_event() -> None:
    assert words(state(ONLINE, FULL), state(ONLINE, FULL, reason="other words")) == []


def test_a_verdict_and_a_connectivity_are_told_with_their_reason() -> None:
    found = transitions(state(ONLINE, FULL), state(OFFLINE, LIMITED, reason="3 of 3 bad rounds"), 5.0)
    assert [(one.event, one.family and one.family.value, one.reason) for one in found] == [
        ("offline", "ipv4", "3 of 3 bad rounds"),
        ("limited", None, "3 of 3 bad rounds"),
    ]
    assert {one.at for one in found} == {5.0}


def test_a_new_uplink_is_plugged_and_one_that_goes_is_unplugged() -> None:
    assert words(State(), state(ONLINE, FULL)) == [
        ("plugged", "unplugged", "plugged"),
        ("online", "offline", "online"),
        ("full", "unknown", "full"),
    ]
    gone = judge_uplink(
        state(ONLINE, FULL).uplinks["fiber"], uplink(probe(), missing="no interface", index=0), START, False
    )
    assert words(state(ONLINE, FULL), State(uplinks={"fiber": gone})) == [
        ("unplugged", "plugged", "unplugged"),
        ("offline", "online", "offline"),
        ("none", "full", "none"),
    ]


def test_another_index_is_both() -> None:
    found = words(state(ONLINE, FULL, 7), state(ONLINE, FULL, 8))
    assert [event for event, _, _ in found] == ["unplugged", "plugged"]


def test_disabling_an_online_uplink_is_told_as_offline() -> None:
    assert words(state(ONLINE, FULL), state(DISABLED, Connectivity.UNKNOWN)) == [("offline", "online", "disabled")]
    assert words(state(DISABLED, Connectivity.UNKNOWN), state(OFFLINE, Connectivity.UNKNOWN)) == []


def test_an_uplink_that_left_the_configuration_is_offline_but_not_unplugged() -> None:
    assert words(state(ONLINE, FULL), State()) == [("offline", "online", "offline")]


def test_connectivity_is_the_best_of_the_families() -> None:
    one = UplinkState(ipv4=FamilyState(connectivity=LIMITED), ipv6=FamilyState(connectivity=FULL))
    assert best_connectivity(one) is FULL
