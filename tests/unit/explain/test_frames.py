"""What is on record comes out again as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook.explain.frame import Frame
from mwan_hook.explain.frames import frames, frames_of
from mwan_hook.explain.judging import verdicts_of
from mwan_hook.explain.replay import played
from mwan_hook.model import FAMILIES, At, BaseRecord, BytesRecord, ConfigRecord, FactsRecord, RunRecord, State
from mwan_hook.store import files
from tests.unit.explain.pasts import Lived, Machine

if TYPE_CHECKING:
    from mwan_hook.store.recording import Record

EVER = float("inf")


def recorded(root: str) -> list[Frame]:
    return list(frames(root, -EVER, EVER))


def without_loans(state: State) -> State:
    """The verdicts of a state: what dialled it beside, of which the record has the names alone."""
    return verdicts_of(state)._replace(dials={}, drains={})


@settings(max_examples=30)
@given(st.integers(0, 1 << 32), st.integers(3, 20))
def test_a_record_is_played_exactly_as_it_was(seed: int, runs: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root, "run/mwan-hook").mkdir(parents=True)
        lives = list(Machine(Random(seed), root).live(runs))
        found = recorded(root)
    assert [frame.now for frame in found] == [lived.at.now for lived in lives]
    for number, (frame, lived) in enumerate(zip(found, lives, strict=True)):
        assert_same(frame, lived)
        assert frame.gap is (number == 0)
        assert number == 0 or frame.before == found[number - 1].state
    for one in played(found, (), hurry=True):
        assert one.happened == one.frame.happened


@settings(max_examples=20)
@given(st.integers(0, 1 << 32), st.integers(3, 20), st.floats(0, 1), st.booleans())
def test_what_is_left_of_a_spoilt_record_is_as_it_was(seed: int, runs: int, where: float, torn: bool) -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root, "run/mwan-hook").mkdir(parents=True)
        lives = {lived.at.now: lived for lived in Machine(Random(seed), root).live(runs)}
        file = Path(root, files.RECORD)
        lines = file.read_bytes().splitlines(keepends=True)
        place = int(where * (len(lines) - 1))
        # Where others follow something is left of it: a run that cannot add its line has the next one begin a segment.
        spoilt = lines[place][: Random(seed).randint(0 if torn else 1, len(lines[place]) - 1)]
        rest = [] if torn else lines[place + 1 :]
        file.write_bytes(b"".join([*lines[:place], spoilt, *rest]))
        found = recorded(root)
    for frame in found:
        assert_same(frame, lives[frame.now])
    if torn and lines[place].startswith(b'{"v":1,"k":"run"'):
        assert len(found) == sum(line.startswith(b'{"v":1,"k":"run"') for line in lines[:place])


def machine(root: Path, seed: int) -> Machine:
    """One of which no run is by the short way."""
    (root / "run/mwan-hook").mkdir(parents=True, exist_ok=True)
    found = Machine(Random(seed), str(root))
    found.restless = 1.0
    return found


def test_after_lost_runs_there_is_a_gap_and_what_follows_goes_on_from_what_was_stored(tmp_path: Path) -> None:
    one = machine(tmp_path, 2)
    list(one.live(4))
    one.root = ""  # its runs are not recorded
    list(one.live(3))
    one.root = str(tmp_path)
    later = list(one.live(4))
    found = recorded(str(tmp_path))
    assert [frame.gap for frame in found] == [True, *[False] * 3, True, *[False] * 3]
    for frame, lived in zip(found[4:], later, strict=True):
        assert_same(frame, lived)


def test_another_boot_is_a_gap(tmp_path: Path) -> None:
    list(machine(tmp_path, 1).live(3))
    two = machine(tmp_path, 3)
    two.state = State("another")
    two.now, two.wall = 5.0, two.wall + 9000
    list(two.live(3))
    found = recorded(str(tmp_path))
    assert [frame.boot for frame in found] == [*["boot"] * 3, *["another"] * 3]
    assert [frame.gap for frame in found] == [True, False, False, True, False, False]
    assert not found[3].before.uplinks


def test_what_became_of_sockets_since_is_no_gap(tmp_path: Path) -> None:
    one = machine(tmp_path, 4)
    list(one.live(3))
    ended = {
        name: memory._replace(ipv4=memory.ipv4._replace(ended_at=one.now, aborted=3))
        for name, memory in one.state.uplinks.items()
    }
    one.state = one.state._replace(uplinks=ended)
    one.now += 1000  # a segment begins
    list(one.live(2))
    assert [frame.gap for frame in recorded(str(tmp_path))] == [True, False, False, False, False]


def test_only_what_lies_between_two_moments_is_played(tmp_path: Path) -> None:
    one = machine(tmp_path, 5)
    lives = []
    for _ in range(6):
        one.now, one.wall = one.now + 700, one.wall + 700
        lives += list(one.live(2))
    walls = [lived.at.wall for lived in lives]
    found = list(frames(str(tmp_path), walls[7], walls[9]))
    assert [frame.wall for frame in found] == walls[7:10]
    assert [without_loans(frame.state) for frame in found] == [without_loans(lived.after) for lived in lives[7:10]]
    assert not any(frame.gap for frame in found)


def test_without_a_record_there_are_no_frames(tmp_path: Path) -> None:
    assert recorded(str(tmp_path)) == []


def test_lines_of_others_and_of_newer_versions_are_left_out(tmp_path: Path) -> None:
    list(machine(tmp_path, 6).live(3))
    record = tmp_path / files.RECORD
    record.write_bytes(b'{"v":2,"k":"run"}\nnonsense\n[]\n\xff\n' + record.read_bytes() + b'{"v":2,"k":"run"}\n')
    assert len(recorded(str(tmp_path))) == 3
    record.write_bytes(record.read_bytes().replace(b'{"v":1,"k"', b'{"v":2,"k"'))
    assert recorded(str(tmp_path)) == [], "although all of it could be read"


def sample(boot: str, now: float, **carried: tuple[int, ...]) -> BytesRecord:
    return BytesRecord(boot, now, BASE.wall + now, carried)


BASE = BaseRecord("boot", 10.0, 1000.0)
CONFIG = ConfigRecord(1, "print")
FACTS = FactsRecord(2)


def run(now: float) -> RunRecord:
    return RunRecord(At(1, "boot", 1, 2, 10.0, 1000.0 + now, now))


def test_counters_are_frames_of_their_own() -> None:
    records: list[Record] = [
        *(sample("boot", 5, a=(2, 100, 50)), CONFIG, FACTS, BASE, run(10.0)),
        *(sample("boot", 20, a=(2, 300, 60), b=(3, 7, 8)), run(30.0), sample("boot", 40, a=(9, 5, 5), b=(3, 7, 8))),
        *(sample("boot", 50, a=(9, 4, 9)), sample("another", 1, a=(9, 1, 1))),
    ]
    found = list(frames_of(records))
    assert [(frame.now, frame.ran) for frame in found] == [
        *((10.0, True), (20.0, False), (30.0, True), (40.0, False), (50.0, False))
    ]
    assert [frame.moved for frame in found if not frame.ran] == [
        {"a": (200, 10), "b": (7, 8)},
        {"a": (5, 5), "b": (0, 0)},
        {"a": (4, 9)},
    ]
    assert all(frame.before == frame.state and not frame.happened for frame in found if not frame.ran)


def test_the_first_counters_say_nothing_of_what_was_before() -> None:
    found = list(frames_of([CONFIG, FACTS, BASE, run(10.0), sample("boot", 20, a=(2, 300, 60))]))
    assert [(frame.ran, frame.moved) for frame in found] == [(True, {}), (False, {})]


def assert_same(frame: Frame, lived: Lived) -> None:
    assert (frame.wall, frame.short, frame.happened) == (lived.at.wall, lived.short, lived.told)
    assert without_loans(frame.before) == without_loans(lived.before)
    assert without_loans(frame.state) == without_loans(lived.after)
    places = [[(one.name, one.preference(family)) for family in FAMILIES] for one in lived.uplinks]
    assert [[(one.name, one.preference(family)) for family in FAMILIES] for one in frame.uplinks] == places
