"""History: bounded, and tolerant of torn lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mwan_hook.model import Family, Transition
from mwan_hook.store import files, history


def put(root: Path, path: str, content: str) -> Path:
    """A file below root."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    return place


def transition(number: int, reason: str = "words") -> Transition:
    """One of many."""
    return Transition("online", "fiber", "eth0", Family.IPV4, "offline", "online", reason, float(number))


def test_history_is_read_with_the_newest_last(tmp_path: Path) -> None:
    plugged = Transition("plugged", "lte", "usb0", None, "", "plugged", "r", 3.0)
    assert history.append(str(tmp_path), [transition(1), transition(2)]) == ()
    assert history.append(str(tmp_path), [plugged]) == ()
    assert history.append(str(tmp_path), []) == ()
    assert history.read(str(tmp_path)) == (transition(1), transition(2), plugged)


def test_no_history_is_empty(tmp_path: Path) -> None:
    assert history.read(str(tmp_path)) == ()
    history.append(str(tmp_path), [])
    assert not (tmp_path / files.LIB).exists()


def test_a_torn_line_takes_no_other_with_it(tmp_path: Path) -> None:
    history.append(str(tmp_path), [transition(1)])
    place = tmp_path / files.HISTORY
    place.write_bytes(place.read_bytes() + b'{"event": "onl')
    assert history.read(str(tmp_path)) == (transition(1),)
    history.append(str(tmp_path), [transition(2)])
    place.write_bytes(place.read_bytes() + b"\xff\n[]\n{}\n")
    assert history.read(str(tmp_path)) == (transition(1), transition(2))


def test_history_is_bounded_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LARGEST", 2000)
    for number in range(100):
        history.append(str(tmp_path), [transition(number)])
    directory = tmp_path / files.LIB
    assert sorted(os.listdir(directory)) == ["history.jsonl", "history.jsonl.1"]
    assert all((directory / name).stat().st_size <= 2000 for name in os.listdir(directory))
    kept = [one.at for one in history.read(str(tmp_path))]
    assert kept == [float(number) for number in range(100 - len(kept), 100)]
    assert len(kept) > 10


def test_history_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    put(tmp_path, "var", "a file")
    (message,) = history.append(str(tmp_path), [transition(1)])
    assert "var" in message
