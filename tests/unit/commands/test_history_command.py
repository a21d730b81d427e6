"""``mwan-hook history``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mwan_hook.commands import history as command
from mwan_hook.model import Family, Transition
from mwan_hook.store import history

PLUGGED = Transition("plugged", "lte@usb0", "usb0", None, "unplugged", "plugged", "usb0 is there", 1.0)
ONLINE = Transition("online", "fiber", "eth0", Family.IPV4, "offline", "online", "x" * 100, 2.0)
MOVED = Transition("default-route", "fiber", "eth0", Family.IPV4, "none", "eth0", "\x1b[31mred", 3.0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """With three transitions."""
    monkeypatch.delenv("COLUMNS", raising=False)
    history.append(str(tmp_path), [PLUGGED, ONLINE, MOVED])
    return str(tmp_path)


def test_people_get_a_table_with_the_reason(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(root, None, False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["TIME", "UPLINK", "INTERFACE", "FAMILY", "CHANGE"]
    assert lines[1].endswith("unplugged -> plugged") and lines[2] == "    usb0 is there"
    assert lines[3].endswith("offline -> online") and lines[4:6] == [f"    {'x' * 76}", f"    {'x' * 24}"]
    assert lines[6].endswith("default-route") and lines[7] == "    none -> eth0: \\x1b[31mred"


def test_a_terminal_gets_lines_of_its_width(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    command.run(root, None, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-1] == "REASON" and len(lines) == 4
    assert lines[2].endswith("x" * 100) and len(lines[2]) <= 200


def test_one_uplink_or_all_of_a_template_can_be_asked_for(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("lte", "lte@usb0"):
        command.run(root, name, True)
        assert [one["uplink"] for one in json.loads(capsys.readouterr().out)] == ["lte@usb0"]
    command.run(root, "lt", True)
    assert json.loads(capsys.readouterr().out) == []


def test_programs_get_times_in_utc(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(root, "fiber", True)
    first = json.loads(capsys.readouterr().out)[0]
    assert first["at"] == "1970-01-01T00:00:02+00:00"
    assert (first["event"], first["family"], first["old"], first["new"]) == ("online", "ipv4", "offline", "online")


def test_no_history_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(str(tmp_path), None, False) == 0
    assert capsys.readouterr().out == ""
