"""What ``mwan-hook status`` shows to people."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from mwan_hook.columns import lines
from mwan_hook.commands import status_table
from mwan_hook.commands.status_json import document
from mwan_hook.commands.status_table import View
from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Activation,
    Allotment,
    Connectivity,
    Drain,
    Family,
    FamilyState,
    Phase,
    Probe,
    State,
    Status,
    UplinkState,
)
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import judge
from mwan_hook.run.scene import Judged, Scene
from tests.unit import builders as b

PROBE = Probe(targets=(parse("icmp://192.0.2.9"), parse("icmp://2001:db8::9")), portal_interval=0)
NOW, WALL = 1000.0, 1_700_000_000.0  # 22:13:20 UTC
V4, V6 = Family.IPV4, Family.IPV6
WAYS = {name: {V4: f"192.168.{n}.2 192.168.{n}.1", V6: f"2001:db8:{n}::2 fe80::1"} for name, n in b.NAMES.items()}


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def known(name: str, family: Family, **values: object) -> FamilyState:
    """Online for a minute, and probed a moment ago."""
    usual = {
        "status": Status.ONLINE,
        "connectivity": Connectivity.FULL,
        "judged": True,
        "since": NOW - 60,
        "good": 3,
        "way": WAYS[name][family],
        "next_probe_at": NOW + 5,
        "latency_ms": 8.94,
        "reason": "1 of 1 targets answered",
    }
    return FamilyState(**{**usual, **values})  # type: ignore[arg-type]


def judged(memories: dict[str, tuple[FamilyState, FamilyState]], **values: object) -> Judged:
    """Uplinks of equal metric, the first with twice the weight."""
    weights = dict(zip(memories, (2, 1, 1), strict=False))
    config = b.config(*(b.uplink(name, metric=100, weight=weights[name], probe=PROBE) for name in memories))
    there = b.snapshot(*memories, families=(V4, V6))
    kept = {name: UplinkState(name, b.NAMES[name], *both) for name, both in memories.items()}
    allotment = values.pop("allotment", Allotment())
    state = State("boot", kept, **values)  # type: ignore[arg-type]
    assert isinstance(allotment, Allotment)
    bound = b.bound(config, Inputs(there, state, allotment))
    return judge.judge(Scene("/", config, "print", state, allotment, bound, there, NOW, WALL))


def both(name: str, **values: object) -> tuple[FamilyState, FamilyState]:
    return known(name, V4, **values), known(name, V6, **values)


def drawn(made: Judged, room: int | None = 80, numbers: bool = False, header: bool = True) -> list[str]:
    found = status_table.picture(made, View(room, header, numbers))
    return ["".join(span.text for span in line) for line in found]


OFF = {"status": Status.OFFLINE, "connectivity": Connectivity.LIMITED, "latency_ms": None, "good": 0, "bad": 3}
DEAD = {**OFF, "reason": "0 of 3 targets answered: timed out after 3 s; 3 of 3 bad rounds"}


def test_who_shares_the_default_is_marked_with_the_share() -> None:
    assert drawn(judged({"fiber": both("fiber"), "cable": both("cable"), "lte": both("lte", **DEAD)})) == [
        "UPLINK  INTERFACE  STATE    IPV4           IPV6           SINCE",
        "fiber   fiber      online   * 67 % 8.9 ms  * 67 % 8.9 ms  1min",
        "    1 of 1 targets answered",
        "cable   cable      online   * 33 % 8.9 ms  * 33 % 8.9 ms  1min",
        "    1 of 1 targets answered",
        "lte     lte        offline              -              -  1min",
        "    0 of 3 targets answered: timed out after 3 s; 3 of 3 bad rounds",
        "* carries the default route",
    ]


def test_a_family_that_stands_otherwise_gets_a_line_of_its_own() -> None:
    made = judged({"fiber": (known("fiber", V4, **DEAD), known("fiber", V6)), "cable": both("cable", **DEAD)})
    assert drawn(made, 100)[1:5] == [
        "fiber   fiber      online   -     * 8.9 ms  1min   IPv6: 1 of 1 targets answered",
        "    IPv4 offline: 0 of 3 targets answered: timed out after 3 s; 3 of 3 bad rounds",
        "cable   cable      offline  -            -  1min",
        "    0 of 3 targets answered: timed out after 3 s; 3 of 3 bad rounds",
    ]


def test_a_family_that_is_online_without_a_round_trip_says_so() -> None:
    by_facts = known("fiber", V6, latency_ms=None, by_facts=True)
    made = judged({"fiber": (known("fiber", V4), by_facts), "cable": both("cable", **DEAD)})
    assert [line.split("  1min")[0] for line in drawn(made, None)[1:3]] == [
        "fiber   fiber      online   * 8.9 ms  * online",
        "cable   cable      offline         -         -",
    ]


def test_nothing_that_carries_is_said_once() -> None:
    assert drawn(judged({"fiber": both("fiber", **DEAD)}))[-1] == "nothing carries the default route"


def test_a_hold_says_until_when() -> None:
    held = both("cable", status=Status.OFFLINE, held_until=NOW + 90, bad=0)
    made = judged({"fiber": both("fiber"), "cable": held})
    assert "held until 22:14 " in drawn(made, None)[2]
    assert status_table.clock(made.scene, NOW + 7200) == "2023-11-15 00:13", "not today"


def test_the_words_of_what_is_idle_drained_and_taken_out() -> None:
    made = judged(
        {name: both(name, **(DEAD if name == "lte" else {})) for name in b.NAMES},
        dials={"lte": Activation(Phase.IDLE)},
        allotment=Allotment(enabled={"cable": False}, configured={"cable": True}, draining={"fiber": Drain(2e9, 600)}),
    )
    assert [line.split()[2] for line in drawn(made, None, header=False)] == ["draining", "disabled", "standby"]


def test_numbers_are_there_for_those_who_ask() -> None:
    found = drawn(judged({"fiber": both("fiber")}), None, numbers=True)
    assert found[0].split()[2:6] == ["STATE", "METRIC", "WEIGHT", "TABLE"]
    assert found[1].split()[2:6] == ["online", "100", "2", "1001"]


@pytest.mark.parametrize("room", [40, 60, 80, 120, 200])
def test_every_width_is_kept_and_no_word_is_cut(room: int) -> None:
    made = judged({"fiber": (known("fiber", V4, **DEAD), known("fiber", V6)), "cable": both("cable", **DEAD)})
    found = drawn(made, room)
    assert max(map(len, found)) <= room
    assert {*" ".join(drawn(made, None)).split()} <= {*" ".join(found).split(), ";", "REASON"}


def test_without_a_header_an_uplink_is_a_line() -> None:
    made = judged({"fiber": (known("fiber", V4, **DEAD), known("fiber", V6)), "cable": both("cable")})
    found = drawn(made, None, header=False)
    assert [line.split()[:3] for line in found] == [["fiber", "fiber", "online"], ["cable", "cable", "online"]]
    assert found[0].endswith("; IPv4 offline: 0 of 3 targets answered: timed out after 3 s; 3 of 3 bad rounds")


def test_colours_are_never_the_only_sign() -> None:
    made = judged({"fiber": both("fiber"), "cable": both("cable", **DEAD)})
    table = status_table.uplinks(made, View(None, False, False))
    for line in lines(table, None):
        words = [span for span in line if span.style in ("online", "offline")]
        assert [span.text for span in words] == [span.style for span in words] and words


def test_programs_are_told_what_they_were_told_before() -> None:
    made = judged({"fiber": both("fiber"), "cable": both("cable", **DEAD)})
    told = document(made)
    assert told["default"] == {"ipv4": ["fiber"], "ipv6": ["fiber"]}
    assert [*told["uplinks"]["cable"]] == [
        *("interface", "present", "carrier", "enabled", "draining", "draining_until", "connections", "enabled_by"),
        *("metered", "table", "metric", "weight", "mark", "connectivity", "ipv4", "ipv6"),
        *("quota", "prefixes", "activation", "repair"),
    ]
    assert [*told["uplinks"]["cable"]["ipv4"]] == [
        *("status", "connectivity", "addresses", "source", "gateway", "since", "good", "bad", "held_until"),
        *("latency_ms", "reason", "quality", "probed_at", "next_probe_at", "probe_bytes", "aborted", "evidence"),
        "targets",
    ]
    assert told["uplinks"]["cable"]["ipv4"]["status"] == "offline", "the verdict, not the word for people"
