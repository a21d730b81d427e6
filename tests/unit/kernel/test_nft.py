"""nft(8) as a program that may do anything: no kernel is asked here."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mwan_hook.kernel import nft


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The only nft(8) that is found."""
    file = tmp_path / "nft"
    file.write_text(text)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_one_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child holds the pipes that are read from."""
    pid = tmp_path / "pid"
    program(tmp_path, monkeypatch, f"#!/bin/sh\n/bin/sleep 60 & echo $! > {pid}; wait\n")
    monkeypatch.setattr(nft, "TIMEOUT", 0.5)
    began = time.monotonic()
    assert nft.refusal(("add table inet x",)) == nft.NO_ANSWER
    assert time.monotonic() - began < 20
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid.read_text().strip()}") and time.monotonic() < deadline:
        time.sleep(0.02)  # until init has taken note
    assert not os.path.exists(f"/proc/{pid.read_text().strip()}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nexit 3\n", "nft: failed with exit code 3"),
        ("#!/bin/sh\nkill -9 $$\n", "nft: killed by signal 9"),
        ("#!/bin/sh\nprintf '\\377one\\ntwo\\n' >&2; exit 1\n", "nft: \\xffone"),
        ("#!/nowhere/at/all\n", "nft: {} cannot be started: No such file or directory"),
        ("#!/bin/sh\nexit 0\n", ""),
    ],
)
def test_every_failure_has_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    program(tmp_path, monkeypatch, text)
    assert nft.refusal(("add table inet x",)) == reason.format(tmp_path / "nft")


def test_a_late_call_of_the_same_turn_gets_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "#!/bin/sh\n/bin/sleep 60\n")
    began = time.monotonic()
    assert nft.listing(time.monotonic() - 1) == ""
    assert time.monotonic() - began < 20
