"""Keys about dialling that say nothing together, or not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mwan_hook import config
from tests.unit.config.test_config import mistakes, put

if TYPE_CHECKING:
    from pathlib import Path

UPLINK = "[uplinks]\n[[lte]]\nmatch = wwan0\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("activate = on-demand", "[[lte]] activate = on-demand: expected start too"),
        ("start = command:/usr/bin/dial up", "expected stop too: the command that hangs up"),
        ("start = unit:dial.service\nstop = command:/usr/bin/dial down", "is for a start = command:..."),
        ("start = networkd\nretry_min = 20\nretry_max = 10", "expected retry_min (20) to be at most retry_max (10)"),
        ("start = ", ""),
        ("start = networkd\nreset = reboot", "[[lte]] reset = reboot: expected command:PROGRAM"),
        ("start = dial.service", "[[lte]] start = dial.service: expected "),
        ("start = unit:dial.service\nexercise = daily", "[[lte]] exercise = daily: expected "),
    ],
)
def test_what_dials_is_whole(tmp_path: Path, text: str, said: str) -> None:
    found = mistakes(tmp_path, f"{UPLINK}metric = 200\n{text}\n") if said else []
    assert len(found) == bool(said)
    assert not found or (said in found[0] and found[0].startswith("mwan-hook.conf:"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("linger = 5", "linger"),
        ("ready_timeout = 30", "ready_timeout"),
        ("start = networkd\nlinger = 5", "linger"),
        ("start = networkd\nexercise = weekly", "exercise"),
    ],
)
def test_a_key_that_changes_nothing_is_named(tmp_path: Path, text: str, key: str) -> None:
    put(tmp_path, f"{UPLINK}metric = 200\n{text}\n")
    (warning,) = config.load(str(tmp_path)).warnings
    assert f"[[lte]] {key}" in warning and "changes nothing with" in warning


def test_a_backup_without_metric_comes_behind_all_others(tmp_path: Path) -> None:
    put(tmp_path, f"{UPLINK}activate = on-demand\nstart = networkd\n")
    (warning,) = config.load(str(tmp_path)).warnings
    assert "[[lte]] activate = on-demand: without a metric every other uplink is better" in warning
