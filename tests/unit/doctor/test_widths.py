"""Doctor's look at how large a packet a line takes, on values: the search, and what is said of what it found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mwan_hook.doctor.checks import widths
from mwan_hook.doctor.checks.widths import Narrow
from mwan_hook.doctor.finding import Severity
from mwan_hook.doctor.read.widths import _may_be_asked
from mwan_hook.model import Family, Router, Status, UplinkConfig
from mwan_hook.probes.width import largest, patience
from tests.unit import builders
from tests.unit.doctor.test_doctor import case

V4, V6 = Family.IPV4, Family.IPV6


class Way:
    """What answers up to a size, and how often it was asked."""

    def __init__(self, takes: int) -> None:
        self.takes, self.asked = takes, 0

    def best(self, sizes: Sequence[int]) -> int:
        self.asked += 1
        return max((size for size in sizes if size <= self.takes), default=0)


@pytest.mark.parametrize("takes", [576, 577, 1279, 1280, 1400, 1492, 1498, 1499])
def test_the_largest_size_is_found_within_five_rounds(takes: int) -> None:
    way = Way(takes)
    assert largest(way.best, 576, 1500, lambda: False) == (takes, takes + 1)
    assert way.asked <= 5


def test_a_search_whose_time_is_up_says_what_it_knows() -> None:
    way = Way(1400)
    assert largest(way.best, 576, 1500, lambda: way.asked == 2) == (1389, 1500)
    assert largest(Way(1400).best, 576, 1500, lambda: True) == (576, 1500)


@pytest.mark.parametrize("round_trip", [0.001, 0.03, 0.1, 0.3, 0.7])
def test_an_answer_has_time_for_its_way(round_trip: float) -> None:
    assert max(0.1, 1.5 * round_trip) <= patience(round_trip) <= max(0.1, 2.5 * round_trip)


@pytest.mark.parametrize(
    ("found", "router", "severity", "words"),
    [
        ([(V4, 1400, False)], {}, Severity.WARNING, "MTUBytes=1400|[router] mss = 1360"),
        ([(V4, 1400, False), (V6, 1400, False)], {}, Severity.WARNING, "MTUBytes=1400|[router] mss = 1340"),
        ([(V4, 1480, False), (V6, 1300, True)], {}, Severity.WARNING, "MTUBytes=1300|[router] mss = 1240"),
        ([(V4, 1492, True)], {}, Severity.NOTE, "MTUBytes=1492|[router] mss = 1452"),
        ([(V4, 1400, False)], {"pin": True, "mss": 1361}, Severity.WARNING, "[router] mss = 1360"),
        ([(V4, 1400, False)], {"pin": True, "mss": 1360}, Severity.NOTE, "MTUBytes=1400"),
        ([(V6, 1400, False)], {"pin": True, "mss": 1360}, Severity.WARNING, "[router] mss = 1340"),
        ([(V4, 1400, False)], {"mss": 1360}, Severity.WARNING, "MTUBytes=1400"),  # there is no table
        ([(V4, 1400, False)], {"pin": True, "mss": 0}, Severity.WARNING, "[router] mss = 1360"),
        ([(V4, 1200, False)], {}, Severity.WARNING, "no IPv6|[router] mss = 1160"),
    ],
)
def test_a_narrow_line_is_told_with_what_helps(
    found: list[tuple[Family, int, bool]], router: dict[str, object], severity: Severity, words: str
) -> None:
    here = case(router=Router(**router))  # type: ignore[arg-type]
    narrow = [Narrow("cable", family, 1500, takes, takes + 1, "192.0.2.9", told) for family, takes, told in found]
    [finding] = widths.check(here, narrow)
    assert (finding.code, finding.severity, finding.about) == ("path-mtu", severity, "cable")
    assert "cable says that it takes 1500 bytes" in finding.what
    assert all(f"{takes} bytes" in finding.what for _, takes, _ in found)
    assert all(word in finding.fix.words for word in words.split("|"))
    assert list(widths.check(here, [])) == []


def test_what_is_not_known_to_a_byte_is_left_to_be_measured() -> None:
    [finding] = widths.check(case(), [Narrow("cable", V4, 1500, 576, 1500, "192.0.2.9", told=True)])
    assert "576 bytes and none of 1500" in finding.what
    assert "MTUBytes" not in finding.fix.words and "ping -M do" in finding.fix.words


@pytest.mark.parametrize(
    ("entry", "mtu", "status", "asked"),
    [
        ({}, 1500, Status.ONLINE, True),
        ({"metered": True}, 1500, Status.ONLINE, False),
        ({"quota": 1_000_000}, 1500, Status.ONLINE, False),
        ({}, 1500, Status.OFFLINE, False),
        ({"enabled": False}, 1500, Status.ONLINE, False),
        ({}, 576, Status.ONLINE, False),
        ({}, 0, Status.ONLINE, False),
    ],
)
def test_only_lines_that_are_online_and_cost_nothing_are_asked(
    entry: dict[str, object], mtu: int, status: Status, asked: bool
) -> None:
    fiber: UplinkConfig = builders.uplink("fiber", metric=100, **entry)
    here = case(fiber, state=builders.state(fiber=status))
    [uplink] = [one for one in here.uplinks if one.name == "fiber"]
    assert uplink.link
    uplink = uplink._replace(link=uplink.link._replace(mtu=mtu))
    assert _may_be_asked(here, uplink, V4) == asked
