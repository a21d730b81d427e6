"""The history stays within its bounds on disk, however much happens."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from mwan_hook import plainos
from mwan_hook.model import Family, Transition
from mwan_hook.store import files, history

MANY = 20_000  # ten files are full


def transition(number: int, reason: str = "3 of 4 targets answered; 3 of 3 good rounds") -> Transition:
    """One of many, as they are."""
    event, old = ("online", "offline") if number % 2 else ("offline", "online")
    return Transition(event, "fiber", "enp1s0", Family.IPV4, old, event, reason, 1_700_000_000.0 + number)


def sizes(root: Path) -> dict[str, int]:
    """All that lies beside the history, with it."""
    return {entry.name: entry.stat().st_size for entry in os.scandir(root / files.LIB)}


def test_twenty_thousand_transitions_leave_two_files_of_bounded_size(tmp_path: Path) -> None:
    most = 0
    for number in range(MANY):
        assert history.append(str(tmp_path), [transition(number)]) == ()
        if number % 500 == 0:
            most = max(most, sum(sizes(tmp_path).values()))
    assert set(sizes(tmp_path)) == {"history.jsonl", "history.jsonl.1"}
    assert max(most, sum(sizes(tmp_path).values())) <= 2 * history.LARGEST
    kept = [one.at for one in history.read(str(tmp_path))]
    assert kept == [1_700_000_000.0 + number for number in range(MANY - len(kept), MANY)]
    assert len(kept) > 1000


def test_one_run_with_more_than_a_file_holds_leaves_the_newest_of_it(tmp_path: Path) -> None:
    history.append(str(tmp_path), [transition(0)])
    assert history.append(str(tmp_path), [transition(number) for number in range(1, 20_000)]) == ()
    assert max(sizes(tmp_path).values()) <= history.LARGEST
    kept = [one.at for one in history.read(str(tmp_path))]
    assert kept[-1] == 1_700_000_000.0 + 19_999
    assert kept[1:] == [1_700_000_000.0 + number for number in range(20_000 - len(kept) + 1, 20_000)]


def test_a_reason_beyond_all_bounds_takes_nothing_with_it(tmp_path: Path) -> None:
    history.append(str(tmp_path), [transition(1)])
    assert history.append(str(tmp_path), [transition(2, "x" * history.LARGEST)]) == ()
    history.append(str(tmp_path), [transition(3)])
    assert [one.at for one in history.read(str(tmp_path))] == [1_700_000_001.0, 1_700_000_003.0]


def _append_many(root: str, first: int) -> None:
    for number in range(first, first + 5000):
        if history.append(root, [transition(number, "words")]) != ():
            os._exit(1)


def test_runs_at_the_same_time_keep_the_bounds_and_tear_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(str(tmp_path), 10_000 * n)) for n in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(120)
    assert [one.exitcode for one in writers] == [0] * 4
    assert set(sizes(tmp_path)) == {"history.jsonl", "history.jsonl.1"}
    # who meets a rotation appends once more; while a busy machine lets the one that rotates wait, the others go on
    assert max(sizes(tmp_path).values()) <= 2 * history.LARGEST
    for name in sizes(tmp_path):
        for line in (tmp_path / files.LIB / name).read_text().split():  # who met half a line has begun a new one
            assert json.loads(line)["uplink"] == "fiber"


def test_a_history_that_cannot_be_begun_anew_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LARGEST", 1000)
    assert history.append(str(tmp_path), [transition(0)] * 5) == ()
    really = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if not os.path.exists(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(path, flags, mode)

    monkeypatch.setattr(plainos, "open", refuse)
    before = os.listdir("/proc/self/fd")
    (message,) = history.append(str(tmp_path), [transition(0)] * 5)
    assert message.endswith("history.jsonl: No space left on device")
    assert len(os.listdir("/proc/self/fd")) == len(before)
