"""Samples of the last hour, from the record as it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mwan_hook.explain import pulse
from mwan_hook.explain.pulse import Pulse, Sample
from mwan_hook.model import Connectivity, Family, FamilyState, State, TargetResult, UplinkState
from mwan_hook.store import files

NOW, WALL = 5000.0, 1_700_000_000.0
OFFSET = WALL - NOW
KEY = ("fiber", Family.IPV4)


def line(at: float, *answers: list[Any], **more: Any) -> bytes:
    """A run with one round, ``at`` seconds before NOW."""
    moment = {"v": 1, "boot": "b", "config": 1, "facts": 1, "base": 1.0, "wall": WALL - at, "now": NOW - at}
    one = {"uplink": "fiber", "family": "ipv4", "begun": NOW - at, "answers": answers, **more}
    return json.dumps({"v": 1, "k": "run", "rounds": [one], "at": moment}, separators=(",", ":")).encode() + b"\n"


GOOD, LOST = ["icmp://192.0.2.1", 8.5], ["icmp://192.0.2.2", None, 56, 3, "timed out"]


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """The place of the record."""
    path = tmp_path / files.RECORD
    path.parent.mkdir(parents=True)
    return path


def taken(found: Pulse, state: State | None = None, wall: float = WALL) -> list[Sample]:
    found.add(state or State(), OFFSET, wall)
    return found.samples.get(KEY, [])


def test_what_was_recorded_in_the_last_hour_is_there_and_what_comes_is_added(tmp_path: Path, ring: Path) -> None:
    ring.with_name(ring.name + ".1").write_bytes(line(4000, GOOD) + line(3000, GOOD))
    ring.write_bytes(line(20, GOOD, LOST) + b'{"torn":')
    found = Pulse(str(tmp_path))
    assert taken(found) == [Sample(WALL - 3000, 1, 0, 8.5), Sample(WALL - 20, 2, 1, 8.5)]
    with ring.open("ab") as file:
        file.write(b"\n" + line(10, LOST))
    assert taken(found)[2:] == [Sample(WALL - 10, 1, 1, None)]
    assert taken(found, wall=WALL + 700) == [Sample(WALL - 20, 2, 1, 8.5), Sample(WALL - 10, 1, 1, None)]


def test_nothing_is_lost_or_told_twice_when_the_file_is_begun_anew(tmp_path: Path, ring: Path) -> None:
    ring.write_bytes(line(40, GOOD))
    found = Pulse(str(tmp_path))
    taken(found)
    with ring.open("ab") as file:
        file.write(line(30, GOOD))
    ring.rename(ring.with_name(ring.name + ".1"))
    ring.write_bytes(line(20, GOOD))
    assert [one.wall - WALL for one in taken(found)] == [-40, -30, -20]
    assert len(taken(found)) == 3


def test_a_file_that_was_there_before_is_not_told_again_when_the_one_that_was_read_is_gone(
    tmp_path: Path, ring: Path
) -> None:
    ring.with_name(ring.name + ".1").write_bytes(line(50, GOOD))
    ring.write_bytes(line(40, GOOD))
    found = Pulse(str(tmp_path))
    taken(found)
    other = ring.with_name("other")  # so that it has another inode
    other.write_bytes(line(20, GOOD))
    other.rename(ring)
    assert [one.wall - WALL for one in taken(found)] == [-50, -40, -20]


def test_portals_are_left_out_and_measured_echoes_count(tmp_path: Path, ring: Path) -> None:
    portal = ["http://portal.example", 300.0, 500, 4, None, True]
    ring.write_bytes(line(9, portal) + line(8, measured={"sent": 20, "rtts": [7.0, 9.0]}) + line(7, GOOD, portal))
    assert taken(Pulse(str(tmp_path))) == [Sample(WALL - 8, 20, 18, 7.0), Sample(WALL - 7, 1, 0, 8.5)]


def test_without_a_record_each_round_that_the_state_tells_of_is_a_sample(tmp_path: Path) -> None:
    found = Pulse(str(tmp_path))
    answers = (
        TargetResult("a", Connectivity.FULL, 8.0, None),
        TargetResult("b", Connectivity.LIMITED, None, "timed out"),
    )
    for at in (NOW - 5, NOW - 5, NOW):
        memory = FamilyState(probed_at=at, latency_ms=8.0, targets=answers)
        found.add(State(uplinks={"fiber": UplinkState("eth1", 2, memory)}), OFFSET, WALL)
    assert found.samples[KEY] == [Sample(WALL - 5, 2, 1, 8.0), Sample(WALL, 2, 1, 8.0)]


def test_of_a_file_without_end_the_last_part_is_read(
    tmp_path: Path, ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "LARGEST", 2000)
    ring.write_bytes(b"".join(line(60 - number, GOOD) for number in range(50)))
    found = taken(Pulse(str(tmp_path)))
    assert 3 < len(found) < 15 and found[-1].wall == WALL - 11
