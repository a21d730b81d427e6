"""What lies in a spool and cannot be removed is moved out of it, or told and left alone; nothing runs for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mwan_hook import plainos
from mwan_hook.model import Notice
from mwan_hook.store import files, outbox, spool

PROJECT = Path(__file__).resolve().parents[3]
DIRECTORY = "d/e"  # one that is not empty


def notify(root: Path) -> subprocess.CompletedProcess[str]:
    """The real command; it has to come to an end."""
    words = [sys.executable, "-m", "mwan_hook", "--root", str(root), "notify"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "lib")}
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=20)


def told(root: Path, number: int) -> str:
    """A notice in the spool; its name."""
    notice = Notice(f"{number:020d}-0000", "online", "fiber", "eth1")
    outbox.hand_over(str(root), (notice,))
    return notice.id


def test_notify_moves_a_directory_with_content_out_of_its_spool_and_ends(tmp_path: Path) -> None:
    told(tmp_path, 1)
    (tmp_path / files.NOTIFY / DIRECTORY).mkdir(parents=True)
    told(tmp_path, 2)
    done = notify(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "is no entry of the spool (it is no small file); moved to " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path / files.NOTIFY) == []
    (aside,) = os.listdir(tmp_path / files.RUN / spool.BAD)
    assert os.listdir(tmp_path / files.RUN / spool.BAD / aside) == ["e"]


def test_a_directory_of_any_name_is_moved_as_often_as_it_comes(tmp_path: Path) -> None:
    directory = tmp_path / files.EVENTS
    for name in ("d", "d", "ü" * 120, "\U0001f310" * 63):
        (directory / name / "e").mkdir(parents=True)
        interfaces, messages = spool.take(str(tmp_path))
        assert interfaces == ()
        assert "; moved to " in messages[0]
        assert os.listdir(directory) == []
    assert len(os.listdir(tmp_path / files.RUN / spool.BAD)) == 4


def test_a_directory_among_the_oldest_keeps_no_notice_out_of_a_full_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST", 1)
    (tmp_path / files.NOTIFY / "0" / "e").mkdir(parents=True)
    name = told(tmp_path, 1)
    assert os.listdir(tmp_path / files.NOTIFY) == [name]


def test_an_event_that_cannot_be_taken_out_is_an_event_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put(str(tmp_path), "add", "usb0")

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(plainos, "unlink", refuse)
    monkeypatch.setattr(plainos, "rename", refuse)
    interfaces, messages = spool.take(str(tmp_path))
    assert interfaces == ("usb0",)
    assert "cannot remove" in messages[0]
