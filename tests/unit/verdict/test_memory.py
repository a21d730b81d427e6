"""What a family of an uplink remembers through each change of its facts and each round, and what it forgets.

Every field of the memory begins with a value of its own, so that one that is not spoken of must stay as it was.
"""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.config.targets import parse
from mwan_hook.model import Connectivity, Family, FamilyState, TargetResult, Uplink, UplinkState
from mwan_hook.verdict import facts
from mwan_hook.verdict.decide import judge_round, with_only_way
from mwan_hook.verdict.facts import judge_facts, judge_uplink, probed
from tests.unit.verdict.verdicts import (
    DISABLED,
    FULL,
    LIMITED,
    NONE,
    OFFLINE,
    ONLINE,
    PORTALLED,
    START,
    judged_at_once,
    probe,
    seen,
    uplink,
)

V4 = Family.IPV4
SETTINGS = probe(portal_interval=60)
HERE = uplink(SETTINGS)
WAY = HERE.ipv4.key
NOW = START + 100.0
RICH = FamilyState(
    status=ONLINE,
    connectivity=FULL,
    judged=True,
    since=START + 1,
    good=4,
    bad=1,
    held_until=NOW + 50,
    full_at=START + 2,
    passes=(START + 3,),
    may_pass=True,
    burst=True,
    way=WAY,
    lost_at=START + 4,
    lost_way="an earlier one",
    portal=True,
    portal_at=START + 5,
    portal_due=False,
    probed_at=START + 6,
    next_probe_at=NOW + 7,
    latency_ms=8.0,
    srtt_ms=9.0,
    reason="words of before",
    probe_bytes=1000,
    targets=(TargetResult("x", FULL),),
    rounds=20,
    bad_rounds=10,
    transitions=5,
)
GONE = {
    "connectivity": NONE,
    "way": "",
    "good": 0,
    "bad": 0,
    "may_pass": False,
    "burst": False,
    "portal_due": True,
    "next_probe_at": None,
    "latency_ms": None,
    "targets": (),
}
LOST_NOW = {"status": OFFLINE, "since": NOW, "lost_at": NOW, "lost_way": WAY}


def changed(before: FamilyState, after: FamilyState) -> dict[str, object]:
    """What is another value now."""
    return {name: new for name, old, new in zip(before._fields, before, after, strict=True) if new != old}


def facts_of(before: FamilyState, now: Uplink = HERE, replugged: bool = False) -> dict[str, object]:
    """What a look at the facts changes."""
    return changed(before, judge_facts(before, now, V4, NOW, replugged, False))


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize("status", [ONLINE, OFFLINE])
def test_the_same_facts_change_nothing(status: Any) -> None:
    assert facts_of(RICH._replace(status=status)) == {}


@pytest.mark.parametrize(
    ("before", "remembered"),
    [
        (RICH, LOST_NOW),
        (RICH._replace(status=OFFLINE), {"lost_at": NOW, "lost_way": WAY}),
        (RICH._replace(status=OFFLINE, may_pass=False), {}),
        (RICH._replace(may_pass=False), LOST_NOW),
    ],
)
def test_a_fact_that_is_missing_takes_what_was_seen_and_keeps_what_was_earned_and_counted(
    before: FamilyState, remembered: dict[str, object]
) -> None:
    """All that was online, or had a pass, is remembered as lost now; since when it is offline stays."""
    found = facts_of(before, uplink(SETTINGS, missing="no carrier"))
    expected = {**GONE, "reason": "no carrier", **remembered}
    assert found == {key: value for key, value in expected.items() if getattr(before, key) != value}


def test_a_fact_that_stays_missing_changes_no_more_than_the_words() -> None:
    lost = judge_facts(RICH, uplink(SETTINGS, missing="no carrier"), V4, NOW - 10, False, False)
    assert facts_of(lost, uplink(SETTINGS, missing="no address")) == {"reason": "no address"}


def test_another_way_keeps_the_verdict_and_the_bad_rounds_and_voids_what_was_measured() -> None:
    void = {
        "way": uplink(SETTINGS, gateway="192.168.7.9").ipv4.key,
        "portal": False,
        "portal_due": True,
        "next_probe_at": None,
        "latency_ms": None,
        "srtt_ms": None,
        "targets": (),
        "reason": "the address or the gateway changed",
    }
    other = uplink(SETTINGS, gateway="192.168.7.9")
    assert facts_of(RICH, other) == void
    assert facts_of(RICH._replace(burst=False), other) == void
    quiet = RICH._replace(status=OFFLINE, burst=False)
    assert facts_of(quiet, other) == {**void, "good": 0, "bad": 0, "burst": True}


def test_what_is_plugged_in_anew_is_a_first_sight_but_for_what_is_counted_against_it() -> None:
    assert facts_of(RICH, replugged=True) == {
        "status": OFFLINE,
        "connectivity": NONE,
        "judged": False,
        "since": NOW,
        "good": 0,
        "bad": 0,
        "lost_at": None,
        "lost_way": "",
        "portal": False,
        "portal_due": True,
        "next_probe_at": None,
        "latency_ms": None,
        "srtt_ms": None,
        "reason": "not probed yet",
        "targets": (),
    }
    quiet = RICH._replace(may_pass=False, burst=False)
    assert facts_of(quiet, replugged=True).items() >= {"may_pass": True, "burst": True}.items()


def test_switching_off_keeps_what_is_held_against_it_and_what_was_counted() -> None:
    off = uplink(SETTINGS, enabled=False)
    found = facts_of(RICH, off)
    assert found == {
        "status": DISABLED,
        "since": NOW,
        "connectivity": Connectivity.UNKNOWN,
        "bad": 0,
        "may_pass": False,
        "burst": False,
        "lost_at": None,
        "lost_way": "",
        "portal_due": True,
        "next_probe_at": None,
        "latency_ms": None,
        "targets": (),
        "reason": "`enabled = no` in the configuration",
    }
    elsewhere = facts_of(RICH, uplink(SETTINGS, enabled=False, gateway="192.168.7.9"))
    assert elsewhere == {**found, "way": uplink(SETTINGS, gateway="192.168.7.9").ipv4.key, "good": 0}
    by_hand = off._replace(switched=False)
    assert facts_of(RICH, by_hand)["reason"] == "disabled by `mwan-hook disable`"
    assert facts_of(RICH, uplink(SETTINGS, enabled=False, missing="no carrier"))["connectivity"] is NONE


def test_without_targets_the_facts_judge_at_once_and_leave_no_hold_pass_or_loss() -> None:
    blind = uplink(probe(targets=()))
    before = RICH._replace(status=OFFLINE, connectivity=LIMITED, judged=False, way="another")
    assert facts_of(before, blind) == {
        "status": ONLINE,
        "since": NOW,
        "connectivity": FULL,
        "judged": True,
        "way": WAY,
        "good": 0,
        "bad": 0,
        "held_until": None,
        "may_pass": False,
        "burst": False,
        "lost_at": None,
        "lost_way": "",
        "portal": False,
        "next_probe_at": None,
        "latency_ms": None,
        "targets": (),
        "reason": facts.BY_FACTS,
        "by_facts": True,
    }
    assert facts_of(judge_facts(before, blind, V4, NOW - 50, False, False), blind) == {}
    assert facts_of(RICH._replace(by_facts=True)) == {"by_facts": False}


LOST = RICH._replace(
    status=OFFLINE, connectivity=NONE, way="", good=0, bad=0, may_pass=False, burst=False, portal_due=True,
    next_probe_at=None, lost_at=NOW - 5, lost_way=WAY,
)  # fmt: skip


@pytest.mark.parametrize(
    ("before", "may_pass", "burst"),
    [
        (LOST, True, True),
        (LOST._replace(lost_at=NOW - 15.0), True, True),
        (LOST._replace(lost_at=NOW - 15.1), False, True),
        (LOST._replace(lost_way="another"), False, True),
        (LOST._replace(lost_at=None), False, False),
        (LOST._replace(lost_at=None, judged=False), True, True),
        (LOST._replace(lost_at=None, judged=False, connectivity=LIMITED), True, False),
        (LOST._replace(passes=(NOW - 30, NOW - 20, NOW - 10)), False, True),
        (LOST._replace(passes=(NOW - 30, NOW - 20)), True, True),
        (LOST._replace(passes=(NOW - 600, NOW - 20, NOW - 10)), True, True),
        (LOST._replace(judged=False, passes=(NOW - 30, NOW - 20, NOW - 10)), False, True),
    ],
)
def test_what_comes_back_passes_if_it_is_the_same_soon_and_not_too_often(
    before: FamilyState, may_pass: bool, burst: bool
) -> None:
    after = judge_facts(before, HERE, V4, NOW, False, False)
    assert (after.status, after.way, after.may_pass, after.burst) == (OFFLINE, WAY, may_pass, burst)
    assert after.since == before.since
    assert after.reason == ("back, not probed yet" if before.judged else "not probed yet")


def test_what_is_switched_on_again_keeps_its_good_rounds_only_on_the_same_way() -> None:
    off = judge_facts(RICH, uplink(SETTINGS, enabled=False), V4, NOW - 10, False, False)._replace(
        portal_due=False, bad=2
    )
    on = {"status": OFFLINE, "since": NOW, "bad": 0, "burst": True, "reason": "back, not probed yet"}
    assert facts_of(off) == on
    other = uplink(SETTINGS, gateway="192.168.7.9")
    assert facts_of(off, other) == {**on, "way": other.ipv4.key, "good": 0, "portal_due": True}


@pytest.mark.parametrize(
    ("interface", "index", "now", "replugged"),
    [
        ("eth7", 7, HERE, False),
        ("eth7", 6, HERE, True),
        ("eth7", 0, HERE, True),
        ("", 0, HERE, False),  # the first sight is no replug
        ("eth7", 7, uplink(SETTINGS, missing="no interface", index=0), False),  # nor is it when it goes
    ],
)
def test_another_index_than_the_one_that_is_remembered_is_a_replug(
    interface: str, index: int, now: Uplink, replugged: bool
) -> None:
    before = UplinkState(interface, index, RICH._replace(way="" if not interface else WAY))
    after = judge_uplink(before, now, NOW, False)
    assert (after.ipv4.judged is False) is replugged
    assert after.index == now.index
    assert after.interface == "eth7"


def test_an_interface_that_is_gone_is_remembered_by_its_name() -> None:
    gone = uplink(SETTINGS, missing="interface is gone", index=0)._replace(interface="")
    assert judge_uplink(UplinkState("eth7", 7, RICH), gone, NOW, False).interface == "eth7"


@pytest.mark.parametrize("name", ["since", "full_at", "lost_at", "portal_at", "probed_at"])
def test_a_time_that_is_still_to_come_is_now_and_no_other_is_touched(name: str) -> None:
    assert changed(RICH, facts.sane(RICH._replace(**{name: NOW}), SETTINGS, NOW)) == {name: NOW}  # type: ignore[arg-type]
    odd = RICH._replace(**{name: NOW + 0.5})  # type: ignore[arg-type]
    assert changed(RICH, facts.sane(odd, SETTINGS, NOW)) == {name: NOW}


def test_a_hold_may_last_its_delay_and_no_longer() -> None:
    longest = NOW + SETTINGS.hysteresis_delay
    for until, kept in ((longest - 1, longest - 1), (longest, longest), (longest + 1, longest)):
        assert facts.sane(RICH._replace(held_until=until), SETTINGS, NOW).held_until == kept
    passes = (START, NOW + 2)
    assert facts.sane(RICH._replace(passes=passes), SETTINGS, NOW).passes == (START, NOW)
    assert facts.sane(RICH._replace(held_until=None, lost_at=None, since=NOW + 1), SETTINGS, NOW).held_until is None


@pytest.mark.parametrize(
    ("targets", "gateway", "noarp", "expected"),
    [
        (("icmp://192.0.2.9",), None, False, True),
        (("icmp://2001:db8::9",), "192.168.7.1", False, False),
        (("gateway:",), "192.168.7.1", False, True),
        (("gateway:",), None, False, False),
        (("gateway:",), "192.168.7.1", True, False),
        (("gateway:", "icmp://192.0.2.9"), "192.168.7.1", True, True),
        ((), "192.168.7.1", False, False),
    ],
)
def test_a_family_is_probed_if_a_target_can_be_asked_in_it(
    targets: tuple[str, ...], gateway: str | None, noarp: bool, expected: bool
) -> None:
    now = uplink(probe(targets=tuple(map(parse, targets))), gateway=gateway, noarp=noarp)
    assert probed(now, V4) is expected
    if "gateway:" in targets and len(targets) == 1:
        assert not probed(now._replace(link=None), V4)


# ---------------------------------------------------------------- rounds


def after_round(before: FamilyState, connectivity: Connectivity = FULL, **more: Any) -> FamilyState:
    """A round of probes now, sent two seconds ago, the next one in a minute."""
    settings = more.pop("settings", SETTINGS)
    found = seen(connectivity, more.pop("latency", 9.0), more.pop("portal", None))
    return judge_round(before, found, settings, NOW, begun=NOW - 2, every=60)


CALM = RICH._replace(portal=False, may_pass=False, burst=False, bad=0, lost_at=None, lost_way="", held_until=None)
SEEN = {
    "probed_at": NOW - 2,
    "next_probe_at": NOW + 58,
    "latency_ms": 9.0,
    "reason": "words",
    "probe_bytes": 1072,
    "rounds": 21,
    "targets": (),
}


def test_a_good_round_of_an_online_uplink_counts_and_nothing_else() -> None:
    assert changed(CALM, after_round(CALM)) == {**SEEN, "good": 5}
    fresh = CALM._replace(good=0, bad=2, lost_at=START, lost_way="x", burst=True)
    assert changed(fresh, after_round(fresh)) == {
        **SEEN, "good": 1, "bad": 0, "full_at": NOW, "lost_at": None, "lost_way": "", "burst": False
    }  # fmt: skip


def test_a_bad_round_of_an_online_uplink_counts_and_asks_again_soon() -> None:
    before = CALM._replace(held_until=NOW + 9, lost_at=START, lost_way="x", judged=False)
    assert changed(before, after_round(before, LIMITED)) == {
        **SEEN,
        "connectivity": LIMITED,
        "judged": True,
        "good": 0,
        "bad": 1,
        "bad_rounds": 11,
        "held_until": None,
        "burst": True,
        "next_probe_at": NOW + SETTINGS.burst_interval,
        "lost_at": None,
        "lost_way": "",
        "reason": "words; 1 of 3 bad rounds",
    }


@pytest.mark.parametrize(
    ("portal", "settings", "good"),
    [
        (None, SETTINGS, None),
        (True, SETTINGS, False),
        (True, probe(portal_is_online=True), True),
        (False, SETTINGS, None),
    ],
)
def test_a_round_that_could_not_tell_ends_a_burst_and_only_a_portal_makes_it_count(
    portal: bool | None, settings: Any, good: bool | None
) -> None:
    before = CALM._replace(burst=True)
    after = after_round(before, Connectivity.UNKNOWN, portal=portal, settings=settings)
    counted = {True: (before.good + 1, 0, 10), False: (0, 1, 11), None: (before.good, 0, 10)}
    assert (after.good, after.bad, after.bad_rounds) == counted[good]
    assert after.burst is (good is False)
    assert after.connectivity is (PORTALLED if portal else FULL)
    assert (after.rounds, after.status) == (21, ONLINE)


@pytest.mark.parametrize("off", [True, False])
def test_what_is_not_judged_still_pays_for_its_packets(off: bool) -> None:
    """A round that comes too late for an uplink that was switched off, or lost its way."""
    before = RICH._replace(status=DISABLED) if off else RICH._replace(way="")
    assert changed(before, after_round(before, LIMITED)) == {"probe_bytes": 1072}


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (SETTINGS, True),
        (probe(portal_interval=1), True),
        (probe(portal_interval=0), False),
        (probe(portal_targets=()), False),
    ],
)
def test_a_portal_is_remembered_only_while_a_check_can_take_it_back(settings: Any, kept: bool) -> None:
    after = after_round(RICH, FULL, settings=settings)
    assert (after.portal, after.connectivity) == ((True, PORTALLED) if kept else (False, FULL))
    assert ("the portal check found a portal" in after.reason) is kept


@pytest.mark.parametrize(
    ("portal", "at", "due"), [(None, RICH.portal_at, True), (False, NOW - 2, False), (True, NOW - 2, False)]
)
def test_a_portal_check_is_remembered_and_owed_no_longer(portal: bool | None, at: float, due: bool) -> None:
    after = after_round(CALM._replace(portal_due=True), FULL, portal=portal)
    assert (after.portal_at, after.portal_due, after.portal) == (at, due, bool(portal))
    assert not after_round(CALM, FULL, portal=portal).portal_due


LATENCY = probe(latency_high=200, latency_low=100)
UNJUDGED = CALM._replace(status=OFFLINE, judged=False, good=0)
PASSING = CALM._replace(status=OFFLINE, may_pass=True, good=0)
EARNING = CALM._replace(status=OFFLINE, good=0, full_at=None)


@pytest.mark.parametrize("before", [UNJUDGED, PASSING, EARNING, CALM])
@pytest.mark.parametrize(
    ("low", "latency", "good"),
    [
        (100, 99.9, True),
        (100, 100.0, None),
        (100, 200.0, None),
        (100, 200.1, False),
        (0, 200.0, True),
        (0, 200.1, False),
        (100, None, True),
    ],
)
def test_a_latency_is_good_up_to_the_limit_and_between_two_limits_only_for_want_of_a_verdict(
    before: FamilyState, low: float, latency: float | None, good: bool | None
) -> None:
    """A first sight is no excuse for one above the limit."""
    settings = LATENCY._replace(latency_low=low)
    after = after_round(before, FULL, latency=latency, settings=settings)
    if good is None and before in (UNJUDGED, PASSING):
        good = True
    assert (after.good, after.bad) == {True: (before.good + 1, 0), False: (0, 1), None: (before.good, 0)}[good]
    assert after.bad_rounds - before.bad_rounds == (good is False)
    if good is None:
        assert (after.status, after.good, after.judged, after.full_at) == (
            before.status, before.good, before.judged, before.full_at
        )  # fmt: skip


def test_a_latency_without_a_limit_is_never_bad() -> None:
    assert after_round(CALM, FULL, latency=9e9).good == CALM.good + 1


@pytest.mark.parametrize("connectivity", [FULL, LIMITED])
def test_earlier_passes_are_counted_with_the_one_that_is_used_up(connectivity: Connectivity) -> None:
    """By the good round that it waits for, and by the last bad one that it outlives."""
    before = PASSING._replace(passes=(NOW - 600, NOW - 599, NOW - 5), bad=2)
    after = after_round(before, connectivity)
    assert after.passes == (NOW - 599, NOW - 5, NOW)
    assert not after.may_pass
    assert (after.status is ONLINE) is (connectivity is FULL)
    spared = after_round(before._replace(bad=1), LIMITED)
    assert (spared.passes, spared.may_pass) == (before.passes, True)


@pytest.mark.parametrize(
    ("full_at", "delay", "held"),
    [
        (NOW - 599.9, 180, True),
        (NOW - 600, 180, False),
        (None, 180, False),
        (NOW - 1, 0, False),
    ],
)
def test_a_hold_begins_with_the_second_good_turn_within_the_backoff(
    full_at: float | None, delay: float, held: bool
) -> None:
    settings = probe(rise=1, hysteresis_delay=delay)
    after = after_round(EARNING._replace(full_at=full_at), settings=settings)
    assert (after.held_until, after.full_at) == (NOW + delay if held else None, NOW)
    assert (after.status is ONLINE) is not held
    later = after_round(EARNING._replace(full_at=full_at, good=1), settings=settings)
    assert (later.held_until, later.full_at, later.status) == (None, full_at, ONLINE)


@pytest.mark.parametrize(("left", "status"), [(0.1, OFFLINE), (0.0, ONLINE)])
def test_a_hold_ends_at_its_time_and_is_looked_at_then(left: float, status: Any) -> None:
    after = after_round(EARNING._replace(good=5, held_until=NOW + left))
    assert after.status is status
    assert after.next_probe_at == (NOW + left if left else NOW + 58)
    assert after.held_until == (NOW + left if left else None)


def test_a_change_of_verdict_dates_it_and_owes_a_portal_check_unless_it_has_just_been_made() -> None:
    for before, words in ((EARNING._replace(good=5), FULL), (CALM._replace(bad=2), LIMITED)):
        for portal in (None, False):
            after = after_round(before, words, portal=portal)
            assert after.status is not before.status
            assert (after.since, after.portal_due) == (NOW, portal is None)


@pytest.mark.parametrize(
    ("fall", "rise", "words", "statuses"),
    [
        (1, 1, [LIMITED, FULL], [OFFLINE, ONLINE]),
        (2, 2, [LIMITED, LIMITED, FULL, FULL], [ONLINE, OFFLINE, OFFLINE, ONLINE]),
        (3, 2, [LIMITED, LIMITED, FULL, LIMITED, LIMITED, LIMITED], [ONLINE] * 5 + [OFFLINE]),
        (1, 3, [LIMITED, FULL, FULL, LIMITED, FULL, FULL, FULL], [OFFLINE] * 6 + [ONLINE]),
    ],
)
def test_fall_and_rise_count_rounds_in_a_row(fall: int, rise: int, words: list[Any], statuses: list[Any]) -> None:
    settings = probe(fall=fall, rise=rise, hysteresis_delay=0)
    state, found = CALM, []
    for number, word in enumerate(words):
        state = judged_at_once(state, seen(word), settings, NOW + 10 * number)
        found.append(state.status)
    assert found == statuses
    assert state.bad_rounds == CALM.bad_rounds + words.count(LIMITED)
    assert state.rounds == CALM.rounds + len(words)


# ---------------------------------------------------------------- the only way


CANDIDATE = EARNING._replace(good=1, probed_at=NOW - 1, next_probe_at=NOW + 9, portal_at=NOW - 1, held_until=NOW + 99)


@pytest.mark.parametrize(
    ("change", "stands_in"),
    [
        ({}, True),
        ({"good": 0}, False),
        ({"way": ""}, False),
        ({"status": DISABLED}, False),
        ({"next_probe_at": None}, False),  # another way since: nothing is known of it
        ({"probed_at": None}, False),
        ({"probed_at": NOW - 19.9}, True),
        ({"probed_at": NOW - 20}, False),
    ],
)
def test_where_nothing_is_online_the_last_good_round_counts_if_it_is_young_and_of_this_way(
    change: dict[str, Any], stands_in: bool
) -> None:
    memory = CANDIDATE._replace(**change)
    found = with_only_way({"fiber": UplinkState("eth7", 7, memory)}, [HERE], NOW)["fiber"].ipv4
    assert (found.status is ONLINE) is stands_in
    if not stands_in:
        assert found == memory


def test_who_stands_in_is_online_without_rise_or_hold_from_now_on() -> None:
    found = with_only_way({"fiber": UplinkState("eth7", 7, CANDIDATE)}, [HERE], NOW)["fiber"].ipv4
    assert (found.status, found.since, found.held_until, found.may_pass, found.burst) == (
        ONLINE, NOW, None, False, False
    )  # fmt: skip
    assert found.reason == "words of before; nothing else is online"
    for portal_at, due in ((CANDIDATE.probed_at, False), (NOW - 60, True), (None, True)):
        memory = {"fiber": UplinkState("eth7", 7, CANDIDATE._replace(portal_at=portal_at))}
        assert with_only_way(memory, [HERE], NOW)["fiber"].ipv4.portal_due is due


def test_only_the_lowest_metric_stands_in_and_only_where_nothing_is_online() -> None:
    dear = HERE._replace(name="lte", metric=200)
    both = {"lte": UplinkState("eth8", 8, CANDIDATE), "fiber": UplinkState("eth7", 7, CANDIDATE)}
    found = with_only_way(both, [dear, HERE], NOW)
    assert [found[name].ipv4.status for name in ("lte", "fiber")] == [OFFLINE, ONLINE]
    both["lte"] = UplinkState("eth8", 8, CANDIDATE._replace(status=ONLINE))
    assert with_only_way(both, [dear, HERE], NOW) == both
    both["lte"] = UplinkState("eth8", 8, CANDIDATE, CANDIDATE._replace(status=ONLINE))
    assert with_only_way(both, [dear, HERE], NOW)["fiber"].ipv4.status is ONLINE, "another family's way is none"
