"""When something is asked, at the edge of each rule; and how many are asked in a spared round."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.config.targets import parse
from mwan_hook.model import Family, FamilyState, Job, UplinkConfig
from mwan_hook.verdict import rounds, schedule
from tests.unit.verdict.verdicts import DISABLED, FULL, LIMITED, OFFLINE, ONLINE, PORTALLED, START, probe

SETTINGS = probe(interval=100, portal_interval=600)
PEACE = FamilyState(
    status=ONLINE, way="w", good=3, probed_at=START, next_probe_at=START + 100, portal_at=START, portal_due=False
)


def due(at: float, state: FamilyState = PEACE, *, another: bool = False, **more: Any) -> bool:
    """Seconds after the last round."""
    since = more.pop("since", None)
    config = UplinkConfig("fiber", probe=more.pop("settings", SETTINGS), **more)
    return schedule.due(state, config, START + at, another, since)


def portal_due(at: float, state: FamilyState = PEACE, *, another: bool = False, **more: Any) -> bool:
    """The same of a portal check."""
    config = UplinkConfig("fiber", probe=more.pop("settings", SETTINGS), **more)
    return schedule.portal_due(state, config, Family.IPV4, START + at, another)


@pytest.mark.parametrize(
    ("metered", "another", "metered_interval", "seconds"),
    [
        (False, False, 300, 100),
        (False, True, 300, 100),  # others are not metered
        (True, False, 300, 100),  # the only way is not spared
        (True, True, 300, 300),
        (True, True, 50, 100),  # never more often than without
    ],
)
def test_only_a_metered_uplink_beside_another_is_asked_at_its_longer_interval(
    metered: bool, another: bool, metered_interval: float, seconds: float
) -> None:
    config = UplinkConfig("lte", metered=metered, metered_interval=metered_interval, probe=SETTINGS)
    assert schedule.interval(config, another) == seconds
    late = seconds - 1  # a second is forgiven
    assert due(late, another=another, metered=metered, metered_interval=metered_interval)
    assert not due(late - 0.01, another=another, metered=metered, metered_interval=metered_interval)


@pytest.mark.parametrize(("interval", "first"), [(5, 4.5), (10, 9.0), (20, 19.0), (100, 99.0)])
def test_a_tenth_of_the_interval_is_forgiven_and_at_most_a_second(interval: float, first: float) -> None:
    settings = probe(interval=interval)
    assert due(first, settings=settings)
    assert not due(first - 0.01, settings=settings)


@pytest.mark.parametrize(
    ("change", "at", "expected"),
    [
        ({"next_probe_at": None}, 0, True),
        ({"probed_at": None}, 0, True),
        ({"way": ""}, 1000, False),
        ({"status": DISABLED}, 1000, False),
        ({"by_facts": True}, 1000, False),
        ({"held_until": START + 5}, 4.9, False),
        ({"held_until": START + 5}, 5, True),
        ({"burst": True, "next_probe_at": START + 0.5}, 0.4, False),
        ({"burst": True, "next_probe_at": START + 0.5}, 0.5, True),
        ({"burst": True, "next_probe_at": START + 0.5, "held_until": START + 5}, 0.5, False),
        ({"burst": False, "next_probe_at": START + 0.5}, 0.5, False),
    ],
)
def test_a_round_is_due_by_the_first_of_its_reasons(change: dict[str, Any], at: float, expected: bool) -> None:
    assert due(at, PEACE._replace(**change)) is expected


@pytest.mark.parametrize(("since", "expected"), [(-0.1, False), (0, False), (0.1, True), (None, False)])
def test_who_was_probed_at_that_very_moment_is_not_forced_again(since: float | None, expected: bool) -> None:
    assert due(1, since=None if since is None else START + since) is expected


@pytest.mark.parametrize(
    ("change", "more", "at", "expected"),
    [
        ({}, {}, 599.9, False),
        ({}, {}, 600, True),
        ({"portal_due": True}, {}, 0, True),
        ({"portal_at": None}, {}, 0, True),
        ({"portal": True}, {}, 0, True),
        ({"portal": True}, {"metered": True}, 0, True),
        ({"portal": True}, {"metered": True, "another": True}, 3599, False),
        ({}, {"metered": True, "another": True}, 3599, False),
        ({}, {"metered": True, "another": True}, 3600, True),
        ({}, {"another": True}, 600, True),
        ({"portal_due": True}, {"settings": probe(portal_interval=0)}, 9999, False),
        ({"portal_due": True}, {"settings": probe(portal_interval=1)}, 0, True),
        ({"portal_due": True}, {"settings": probe(portal_targets=(parse("http://[2001:db8::1]/"),))}, 9999, False),
    ],
)
def test_a_portal_is_asked_for_at_its_interval_and_where_one_is_suspected(
    change: dict[str, Any], more: dict[str, Any], at: float, expected: bool
) -> None:
    """A metered uplink beside another one: in the twelfth round."""
    assert portal_due(at, PEACE._replace(**change), **more) is expected


@pytest.mark.parametrize(
    ("metered", "connectivity", "burst", "waits"),
    [
        (True, PORTALLED, False, True),
        (False, PORTALLED, False, False),
        (True, LIMITED, False, False),
        (True, FULL, False, False),
        (True, PORTALLED, True, False),
    ],
)
def test_only_a_metered_uplink_that_nothing_but_a_portal_keeps_out_waits_for_it(
    metered: bool, connectivity: Any, burst: bool, waits: bool
) -> None:
    state = FamilyState(connectivity=connectivity, burst=burst)
    assert schedule.waits_behind_portal(state, UplinkConfig("lte", metered=metered)) is waits


@pytest.mark.parametrize(
    ("change", "interval", "doubt"),
    [
        ({}, 0.5, False),
        ({"next_probe_at": None}, 0.5, True),
        ({"burst": True}, 0.5, True),
        ({"burst": True}, 0.1, True),
        ({"burst": True}, 0, False),
        ({"burst": True, "held_until": START}, 0.5, False),
        ({"burst": True, "way": ""}, 0.5, False),
        ({"burst": True, "by_facts": True}, 0.5, False),
        ({"burst": True, "status": DISABLED}, 0.5, False),
    ],
)
def test_a_run_stays_for_what_is_in_burst_or_was_never_asked(
    change: dict[str, Any], interval: float, doubt: bool
) -> None:
    assert schedule.in_doubt(PEACE._replace(**change), probe(burst_interval=interval)) is doubt


@pytest.mark.parametrize(
    ("status", "good", "bad", "peace"),
    [
        (ONLINE, 1, 0, True),
        (ONLINE, 0, 0, False),  # not asked yet
        (ONLINE, 1, 1, False),
        (OFFLINE, 3, 0, False),
    ],
)
def test_peace_is_online_and_a_good_round_last(status: Any, good: int, bad: int, peace: bool) -> None:
    state = FamilyState(status=status, good=good, bad=bad)
    assert schedule.in_peace(state) is peace
    for fall in (1, 2):
        expected = fall > 1 and peace if status is ONLINE else False
        assert schedule.hurries(state, probe(fall=fall)) is expected
        assert schedule.hurries(state._replace(burst=True), probe(fall=fall)) is (fall > 1 or status is OFFLINE)


# ---------------------------------------------------------------- who is asked


def jobs(own: int, portal: int) -> list[Job]:
    """So many targets of each kind."""
    return [
        Job("fiber", Family.IPV4, parse(f"icmp://192.0.2.{number + 1}"), "eth0", 7, "", portal=number >= own)
        for number in range(own + portal)
    ]


@pytest.mark.parametrize(
    ("own", "portal", "required", "asked"),
    [
        (0, 0, 1, None),
        (0, 3, 1, None),  # portal targets alone judge no line
        (1, 0, 1, None),
        (1, 1, 1, None),
        (1, 2, 1, (1, 1)),
        (2, 0, 1, (1, 0)),
        (2, 0, 2, None),
        (2, 0, 9, None),
        (2, 1, 2, None),
        (2, 2, 2, (2, 1)),
        (3, 0, 0, (1, 0)),
        (3, 1, 2, (2, 1)),
        (3, 2, 2, (2, 1)),
    ],
)
def test_a_spared_round_asks_as_many_as_are_required_in_turn_or_is_none(
    own: int, portal: int, required: int, asked: tuple[int, int] | None
) -> None:
    every = jobs(own, portal)
    for turn in range(2 * own + 1):
        found = rounds.sparing(every, required, turn)
        if asked is None:
            assert found == ()
            continue
        chosen = [every.index(job) for job in found]
        assert chosen == [(turn + place) % own for place in range(asked[0])] + [own] * asked[1]
