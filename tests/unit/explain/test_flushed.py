"""The files below /var give the record back as it was, also where a flush was killed, or lines are damaged."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook import plainos
from mwan_hook.commands import record as command
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.frames import LONGEST, frames, frames_of
from mwan_hook.model import BytesRecord, Family, Hour, LineHour, Recording, Stretch
from mwan_hook.run import recordlines
from mwan_hook.store import codec, days, files, hours, recording, thinning
from tests.unit.explain.pasts import Machine
from tests.unit.explain.test_frames import without_loans

EVER = float("inf")
ROOM = Recording()
NOW = 1_700_000_000.0 + 86400  # of Machine, and a day later


@contextmanager
def machine(lot: Random) -> Iterator[tuple[str, Machine]]:
    with tempfile.TemporaryDirectory() as root:
        Path(root, files.RUN).mkdir(parents=True)
        yield root, Machine(lot, root)


def lived(made: Machine, runs: int) -> None:
    for _ in made.live(runs):
        pass


def played(root: str) -> list[Frame]:
    return list(frames(root, -EVER, EVER))


def flush(root: str, room: Recording = ROOM, now: float = NOW) -> str:
    return command._flushed(root, room, now)


def below(root: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(root, files.RECORDS).glob("*")) if path.is_file()}


def sampled(root: str, made: Machine) -> None:
    carried: dict[str, tuple[int, ...]] = {"fiber": (2, int(made.now), int(made.now) * 2)}
    recordlines._append(f"{root}/{files.RECORD_SAMPLES}", recorded(BytesRecord("boot", made.now, made.wall, carried)))


def recorded(one: BytesRecord) -> bytes:
    return json.dumps({"v": 1, "k": "bytes", **codec.plain(one)}, separators=(",", ":")).encode() + b"\n"


def without_ring(root: str) -> None:
    for path in Path(root, files.RUN).glob("record*"):
        path.unlink()


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_flushed_in_parts_and_without_the_ring_it_plays_the_same(lot: Random, parts: list[int]) -> None:
    with machine(lot) as (root, made):
        for runs in parts:
            lived(made, runs)
            before = played(root)
            assert flush(root) == ""
            assert played(root) == before
            kept = below(root)
            flush(root)
            assert below(root) == kept
        whole = played(root)
        without_ring(root)
        assert played(root) == whole


@pytest.mark.parametrize("seed", range(4))
def test_a_past_is_left_out_without_a_look_at_each_run_and_nothing_else_is(seed: int) -> None:
    lot = Random(seed)
    with machine(lot) as (root, made):
        for turn in range(6):
            lived(made, 10)
            if turn % 2:
                sampled(root, made)
                flush(root, now=made.wall)
            made.now, made.wall = made.now + 1100, made.wall + lot.choice((1100, 1100, 5000, -5000))
        known = played(root)
        for since in (one.wall for one in (*lot.sample(known, 3), known[-1])):
            every = frames_of(recording.playable(recording._lines(root, since - LONGEST)), since)
            assert list(frames(root, since, EVER)) == [one for one in every if since <= one.wall]
        segments = list(recording.segments(recording._lines(root, 0.0)))
        with patch.object(recording, "parsed", wraps=recording.parsed) as parsed:
            assert list(frames(root, 2e9, EVER)) == []
        runs = [one for one in parsed.call_args_list if b'"k":"run"' in one.args[0]]
        assert len(runs) <= max(map(len, segments))


class Killed(BaseException):
    """As SIGKILL: nothing of the program handles it."""


@contextmanager
def dying(after: int) -> Iterator[list[int]]:
    """Each write is a moment; that number of them pass, and half of the next one's bytes."""
    left, real = (
        [after],
        {name: getattr(plainos, name) for name in ("write", "pwrite", "rename", "unlink", "ftruncate")},
    )

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*words: Any) -> Any:
            if left[0] == 0:
                if name in ("write", "pwrite"):
                    real[name](words[0], words[1][: len(words[1]) // 2], *words[2:])
                raise Killed
            left[0] -= 1
            return real[name](*words)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(plainos, name, wrapped(name))
            patch.setattr(os, name, wrapped(name))
        yield left


@pytest.mark.parametrize("room", [ROOM, Recording(size=2500)], ids=["kept", "thinned"])
def test_killed_anywhere_the_next_flush_has_all_of_it(room: Recording) -> None:
    with machine(Random(5)) as (root, made):
        moment, died = 0, True
        lived(made, 3)
        while died:
            lived(made, 2)
            before = played(root)
            died = False
            try:
                with dying(moment):
                    flush(root, room)
            except Killed:
                died = True
            assert played(root)[-2:] == before[-2:]
            assert flush(root, room) == ""
            assert played(root) == before or room is not ROOM
            moment += 1
        assert moment > 2
        for day in days.listed(root):
            assert days.end_of(day.path) == day.size


@pytest.mark.parametrize("harm", ["cut", "turned", "foreign", "newer", "zeros", "twice"])
def test_what_is_damaged_is_left_out_and_the_rest_plays(harm: str) -> None:
    lot = Random(harm)
    with machine(lot) as (root, made):
        for _ in range(3):
            lived(made, 6)
            flush(root)
        known = {(frame.now, frame.short): frame for frame in played(root)}
        ring = () if harm == "turned" else (Path(root, files.RECORD),)  # memory that turns bits is not mended
        for path in (*ring, *Path(root, files.RECORDS).glob("*.xz")):
            for _ in range(5):
                whole = path.read_bytes()
                damaged(path, harm, lot)
                for frame in played(root):
                    same = known[frame.now, frame.short]
                    assert without_loans(frame.state) == without_loans(same.state)
                    assert frame.happened == same.happened
                path.write_bytes(whole)
        last = list(made.live(2))[-1]
        assert flush(root) == ""
        assert played(root)[-1].now == last.at.now


def damaged(path: Path, harm: str, lot: Random) -> None:
    whole = path.read_bytes()
    at = lot.randrange(len(whole))
    path.write_bytes(
        {
            "cut": whole[:at],
            "turned": whole[:at] + bytes((whole[at] ^ 0x11,)) + whole[at + 1 :],
            "foreign": whole[:at] + b"\n[1]\nnonsense {\n" + whole[at:],
            "newer": whole.replace(b'{"v":1', b'{"v":2', at % 7),
            "zeros": whole[:at] + bytes(4096),
            "twice": whole + whole[at:],
        }[harm]
    )


def test_a_torn_line_of_the_ring_takes_no_other_with_it(tmp_path: Path) -> None:
    (tmp_path / files.RUN).mkdir(parents=True)
    made = Machine(Random(1), str(tmp_path))
    lived(made, 4)
    ring = tmp_path / files.RECORD
    ring.write_bytes(ring.read_bytes()[:-9])
    lived(made, 4)
    found = played(str(tmp_path))
    assert len(found) >= 7
    assert [frame.gap for frame in found].count(True) == 2
    assert found[-1].state == played(str(tmp_path))[-1].state


@pytest.mark.parametrize(
    "line", ['{"at":{"v":1}}', '{"at":{"v":1,"boot":"boot","now":"soon"}}', "", "[]", '{"at":{"v":2}}']
)
def test_behind_a_line_that_is_not_ours_a_segment_begins(tmp_path: Path, line: str) -> None:
    (tmp_path / files.RUN).mkdir(parents=True)
    made = Machine(Random(6), str(tmp_path))
    first = list(made.live(2))
    with (tmp_path / files.RECORD).open("a") as ring:
        ring.write(f"{line}\n")
    last = list(made.live(2))
    assert [frame.now for frame in played(str(tmp_path))] == [one.at.now for one in (*first, *last)]


@pytest.mark.parametrize("kind", ["link", "pipe", "too large", "closed"])
def test_what_lies_in_the_place_of_the_ring_is_put_aside_and_harms_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / files.RUN).mkdir(parents=True)
    made, ring, precious = Machine(Random(7), str(tmp_path)), tmp_path / files.RECORD, tmp_path / "precious"
    precious.write_text("precious")
    if kind == "link":
        ring.symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(ring)
    elif kind == "closed":
        ring.mkdir()  # what cannot be put aside: no record, and no harm
    else:
        with ring.open("wb") as file:
            file.truncate(1 << 40)
    lived(made, 3)
    assert precious.read_text() == "precious"
    assert [frame.gap for frame in played(str(tmp_path))] == ([] if kind == "closed" else [True, False, False])


def test_a_lost_line_another_boot_and_a_state_that_is_gone_are_gaps_and_no_more(tmp_path: Path) -> None:
    (tmp_path / files.RUN).mkdir(parents=True)
    made = Machine(Random(2), str(tmp_path))
    made.restless = 1.0
    lived(made, 3)
    kept, state = (tmp_path / files.RECORD).read_bytes(), made.state
    while without_loans(made.state) == without_loans(state):
        lived(made, 1)
    (tmp_path / files.RECORD).write_bytes(kept)  # as if that were a run that was killed when it had stored the state
    lived(made, 2)
    made.state = made.state._replace(boot_id="another", uplinks={}, saved_at=0.0, best={})
    made.now = 20.0
    lived(made, 2)
    made.state = type(made.state)("another")
    lived(made, 2)
    assert [frame.gap for frame in played(str(tmp_path))] == [True, False, False, True, False, True, False, True, False]
    assert flush(str(tmp_path)) == ""
    without_ring(str(tmp_path))
    assert [frame.gap for frame in played(str(tmp_path))].count(True) == 4


def test_the_ring_is_bounded_and_each_of_its_files_plays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from mwan_hook.run import record

    monkeypatch.setattr(record, "LARGEST", 20_000)
    with machine(Random(3)) as (root, made):
        for _ in range(60):
            lived(made, 1)
        ring, older = Path(root, files.RECORD), Path(root, f"{files.RECORD}.1")
        assert older.exists()
        assert made.full > 1, "each full one is to be written to the disk"
        assert max(ring.stat().st_size, older.stat().st_size) < 20_000 + 5_000
        whole = played(root)
        older.unlink()
        alone = played(root)
        assert alone[0].gap
        assert alone[1:] == whole[-len(alone) :][1:]


def test_a_full_disk_is_said_once_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with machine(Random(4)) as (root, made):
        lived(made, 3)
        before = played(root)
        Path(root, "var/lib").mkdir(parents=True)
        Path(root, files.LIB).write_text("in the way")
        assert [command.run(root), command.run(root)] == [1, 0]
        assert capsys.readouterr().err.count("\n") == 1
        lived(made, 1)
        Path(root, files.LIB).unlink()
        assert command.run(root) == 0
        without_ring(root)
        assert played(root)[:-1] == before


@pytest.mark.parametrize("text", ["keep = no", "size = 0"])
def test_what_is_switched_off_is_not_written_to_the_disk(tmp_path: Path, text: str) -> None:
    (tmp_path / files.RUN).mkdir(parents=True)
    place = tmp_path / "etc/mwan-hook/mwan-hook.conf"
    place.parent.mkdir(parents=True)
    place.write_text(f"[record]\n{text}\n")
    lived(Machine(Random(1), str(tmp_path)), 2)
    assert command.run(str(tmp_path)) == 0
    assert not (tmp_path / files.RECORDS).exists()


# ---------------------------------------------------------------- how long, and how much


def run_line(wall: float, happened: bool = False, size: int = 0) -> bytes:
    told: list[dict[str, Any]] = [{"event": "online"}] if happened else []
    at = {"v": 1, "boot": "b", "config": 1, "facts": 1, "base": 0.0, "wall": wall, "now": wall - 1e9}
    found = {"v": 1, "k": "run", "rounds": os.urandom(size).hex(), **({"happened": told} if told else {}), "at": at}
    return json.dumps(found, separators=(",", ":")).encode() + b"\n"


BEGIN = b'{"v":1,"k":"config"}\n{"v":1,"k":"facts"}\n{"v":1,"k":"base"}\n'


def day(root: str, begin: float, told: tuple[float, ...] = (), size: int = 0) -> None:
    """A day of runs a minute apart, in segments of ten."""
    lines = []
    for number in range(1440):
        wall = begin + 60 * number
        lines += ([BEGIN] if number % 10 == 0 else []) + [run_line(wall, wall - begin in told, size)]
    days.append(root, time.strftime("%Y-%m-%d", time.gmtime(begin)), b"".join(lines))


def minutes(root: str, begin: float) -> list[int]:
    """The minutes of a day that are kept."""
    walls = [at["wall"] for one in days.listed(root) for line in days.lines(one.path) if (at := recording.at_of(line))]
    return sorted(round((wall - begin) / 60) for wall in walls if begin <= wall < begin + 86400)


MIDNIGHT = 1_700_006_400.0  # of some day
DAY = 86400.0


def test_plain_records_go_after_their_time_and_what_is_around_transitions_later(tmp_path: Path) -> None:
    root, keep = str(tmp_path), 2 * DAY
    day(root, MIDNIGHT, told=(36_000.0,))
    day(root, MIDNIGHT + DAY, told=(0.0,))
    day(root, MIDNIGHT + 2 * DAY)
    for age in (2, 3):
        day(root, MIDNIGHT + (age + 1) * DAY)
        thinning.thin(root, keep, 10**9, MIDNIGHT + (age + 1) * DAY, 0)
    # the segment in which ten minutes before 10:00 lie, to ten minutes after; and before the next day's first minute
    assert minutes(root, MIDNIGHT) == [*range(590, 611), *range(1430, 1440)]
    assert minutes(root, MIDNIGHT + DAY) == list(range(11))
    assert minutes(root, MIDNIGHT + 2 * DAY) == list(range(1440))
    before = below(root)
    thinning.thin(root, keep, 10**9, MIDNIGHT + 4 * DAY, 0)
    assert below(root) == before
    for age in range(5, 12):
        day(root, MIDNIGHT + age * DAY)
        thinning.thin(root, keep, 10**9, MIDNIGHT + age * DAY, 0)
        assert bool(minutes(root, MIDNIGHT)) is (age < 9), "four times two days after its end"


@pytest.mark.parametrize("now", [0.0, MIDNIGHT + 9999 * DAY])
def test_a_clock_that_is_wrong_takes_nothing_away(tmp_path: Path, now: float) -> None:
    for number in range(3):
        day(str(tmp_path), MIDNIGHT + number * DAY)
    before = below(str(tmp_path))
    thinning.thin(str(tmp_path), DAY, 10**9, now, 0)
    assert below(str(tmp_path)) == before


def test_the_oldest_go_first_where_there_is_too_much(tmp_path: Path) -> None:
    root = str(tmp_path)
    for number in range(3):
        day(root, MIDNIGHT + number * DAY, told=(600.0,), size=20)
    size = sum(map(len, below(root).values()))
    thinning.thin(root, 30 * DAY, size + 999, MIDNIGHT + 3 * DAY, 1000)  # one byte too much with what else there is
    assert minutes(root, MIDNIGHT) == list(range(21))
    assert minutes(root, MIDNIGHT + DAY) == list(range(1440))
    thinning.thin(root, 30 * DAY, size // 3 + 2000, MIDNIGHT + 3 * DAY, 0)
    assert minutes(root, MIDNIGHT + DAY) != list(range(1440))
    assert minutes(root, MIDNIGHT + 2 * DAY) == list(range(1440))
    thinning.thin(root, 30 * DAY, 1000, MIDNIGHT + 3 * DAY, 0)
    assert len(days.listed(root)) == 1


def test_of_a_day_that_begins_within_a_segment_what_is_around_its_first_transition_is_kept(tmp_path: Path) -> None:
    with machine(Random(8)) as (root, made):
        lived(made, 3)
        ring = Path(root, files.RECORD)
        days.append(root, "2026-11-29", ring.read_bytes())
        size = ring.stat().st_size
        made.restless = 1.0
        while not (frame := played(root)[-1]).happened:
            lived(made, 1)
        rest = ring.read_bytes()[size:]
        assert not rest.startswith(recording.BEGIN)
        whole = played(root)
        days.append(root, "2026-11-30", rest)
        days.append(root, "2026-12-01", run_line(frame.wall + 9999))
        without_ring(root)
        for place in (0, 1):
            thinning._reduce(days.listed(root), place)
        assert [day.around for day in days.listed(root)] == [True, True, False]
        assert played(root) == whole


def test_what_is_kept_of_a_day_can_be_read_however_much_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day(str(tmp_path), MIDNIGHT, told=tuple(600.0 * number for number in range(144)))
    day(str(tmp_path), MIDNIGHT + DAY)
    monkeypatch.setattr(days, "PART", 30_000)
    thinning._reduce(days.listed(str(tmp_path)), 0)
    monkeypatch.setattr(files, "LARGEST", 60_000)
    assert minutes(str(tmp_path), MIDNIGHT) == list(range(1440))


def test_a_small_file_that_says_very_much_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "000001-2026-11-30.xz"
    monkeypatch.setattr(days, "LARGEST", 1_000_000)
    for text in (b"x\n" * 30_000, bytes(files.LARGEST + 1)):
        path.write_bytes(days.packed(text) * 200)
        assert sum(map(len, days.members(str(path)))) <= 1_060_000
        assert len([*days.latest(str(path))]) in (0, 200)


@pytest.mark.parametrize("at", ['"wall":"x","now":1', '"wall":1e300,"now":1', '"wall":1,"now":[]', '"wall":1'])
def test_a_run_whose_times_are_none_is_no_run(tmp_path: Path, at: str) -> None:
    with machine(Random(9)) as (root, made):
        lived(made, 2)
        with Path(root, files.RECORD).open("a") as ring:
            ring.write(f'{{"v":1,"k":"run","at":{{"v":1,"boot":"","config":1,"facts":1,"base":1,{at}}}}}\n')
        lived(made, 2)
        before = played(root)
        assert flush(root) == ""
        thinning._reduce(days.listed(root), 0)
        without_ring(root)
        assert len(before) == 4


def test_samples_behind_one_run_stand_in_their_order(tmp_path: Path) -> None:
    with machine(Random(10)) as (root, made):
        lived(made, 2)
        last = played(root)[-1]
        with Path(root, files.RECORD_SAMPLES).open("wb") as samples:
            for number in (1, 2, 3):
                at = {"boot": last.boot, "now": last.now + number, "wall": last.wall + number}
                line = {"v": 1, "k": "bytes", **at, "carried": {"one": [7, 1000 * number, 0]}}
                samples.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        assert [frame.moved for frame in played(root) if not frame.ran][1:] == [{"one": (1000, 0)}] * 2


# ---------------------------------------------------------------- the sums of hours


def hour(begin: float) -> Hour:
    lines = tuple([LineHour(f"uplink{number}", Family.IPV4, (Stretch(0.0, "online"),)) for number in range(50)])
    return Hour(begin, begin, begin + 3600, lines)


def test_hours_of_many_uplinks_take_no_more_than_half_of_the_size(tmp_path: Path) -> None:
    with machine(Random(11)) as (root, made):
        lived(made, 3)
        place = Path(root, hours.PLACE)
        place.parent.mkdir(parents=True)
        place.write_bytes(b"".join(hours.line(hour(MIDNIGHT - 3600 * ago)) for ago in range(200, 0, -1)))
        room = Recording(size=200_000)
        assert flush(root, room, MIDNIGHT + 7200) == ""
        assert 50_000 < place.stat().st_size <= 100_000
        assert hours.read(root, 0.0)[-1].begin == MIDNIGHT - 3600


def test_hours_of_a_clock_that_was_ahead_stop_no_later_sums() -> None:
    with machine(Random(12)) as (root, made):
        made.restless = 1.0
        lived(made, 3)
        first = played(root)[0].wall
        place = Path(root, hours.PLACE)
        place.parent.mkdir(parents=True)
        place.write_bytes(hours.line(hour(first // 3600 * 3600 + 3600 * 24 * 3650)))
        assert flush(root, ROOM, first + 7200) == ""
        assert first // 3600 * 3600 in [one.begin for one in hours.read(root, 0.0)]


@pytest.mark.parametrize("years", [-56, 10])
def test_a_clock_that_is_wrong_takes_no_hours_away(years: int) -> None:
    with machine(Random(12)) as (root, made):
        lived(made, 3)
        place = Path(root, hours.PLACE)
        place.parent.mkdir(parents=True)
        known = [hour(MIDNIGHT - 3600 * ago) for ago in range(20, 0, -1)]
        place.write_bytes(b"".join(map(hours.line, known)))
        room = Recording(size=place.stat().st_size)  # some have to go: the oldest
        assert flush(root, room, MIDNIGHT + years * 365 * 86400) == ""
        assert {one.begin for one in known[-5:]} <= {one.begin for one in hours.read(root, 0.0)}


def test_a_record_that_cannot_be_summed_up_stays_within_its_size() -> None:
    with machine(Random(12)) as (root, made):
        Path(root, hours.PLACE).mkdir(parents=True)
        for _ in range(4):
            lived(made, 60)
            assert "is a directory" in flush(root, Recording(size=16_000)).lower()
            assert sum(map(len, below(root).values())) <= 16_000


def test_what_lies_where_hours_should_is_left_alone_by_readers(tmp_path: Path) -> None:
    place = tmp_path / hours.PLACE
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    assert hours.read(str(tmp_path), 0.0) == ()


# ---------------------------------------------------------------- order


def test_files_go_on_in_their_order_under_any_clock(tmp_path: Path) -> None:
    for date in ("2031-01-01", "2026-11-30", "2026-11-30", "1970-01-01"):
        days.append(str(tmp_path), date, run_line(1.0))
    assert [one.date for one in days.listed(str(tmp_path))] == ["2031-01-01", "2026-11-30", "1970-01-01"]
    assert len([*days.lines(days.listed(str(tmp_path))[1].path)]) == 2
