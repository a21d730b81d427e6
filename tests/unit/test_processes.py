"""tests/processes.py: each test is run once and told as pytest tells it, also if its process dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MANY = """
import os, time, warnings
import pytest

@pytest.fixture(scope="module")
def room():
    yield
    note("left")

def note(word):
    with open({notes!r}, "a") as out:
        out.write(f"{{os.getpid()}} {{word}}\\n")

@pytest.mark.parametrize("number", range(8))
def test_many(number, room, tmp_path):
    time.sleep(0.02)
    note(f"{{number}} {{tmp_path.parent}}")
"""
OTHERS = """
import os, time, warnings
import pytest

def test_dies():
    os.kill(os.getpid(), 9)

def test_fails():
    print("said before")
    assert 1 == 2

def test_is_left_out():
    pytest.skip("for a reason")

def test_warns():
    warnings.warn("beware")

@pytest.fixture
def broken():
    yield
    raise ValueError("at its end")

def test_ends_badly(broken):
    pass
"""


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.processes", "-p", "no:cacheprovider", *words]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_each_test_is_run_once_and_its_end_is_told(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (tmp_path / "test_many.py").write_text(MANY.format(notes=str(notes)))
    (tmp_path / "test_others.py").write_text(OTHERS)
    done = run(tmp_path, "--processes", "3", "-rA")
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert said[-1].startswith("2 failed, 10 passed, 1 skipped, 1 warning, 1 error in")
    assert "the process ended with -9 in this test" in done.stdout
    assert "said before" in done.stdout and "assert 1 == 2" in done.stdout
    assert "ValueError: at its end" in done.stdout and "UserWarning: beware" in done.stdout
    lines = [line.split() for line in notes.read_text().splitlines()]
    assert sorted(word for _, word, *_ in lines if word != "left") == [str(number) for number in range(8)]
    processes = {pid for pid, *_ in lines}
    assert len(processes) > 1, "what a process has not begun with goes to one that has nothing to do"
    assert Counter(pid for pid, word, *_ in lines if word == "left") == Counter(processes)
    assert len({place for _, word, *places in lines for place in places}) == len(processes)


def test_the_first_failure_can_be_the_end(tmp_path: Path) -> None:
    tests = "".join(f"def test_{number}():\n    assert False\n" for number in range(30))
    (tmp_path / "test_bad.py").write_text(tests)
    done = run(tmp_path, "--processes", "2", "-x")
    assert done.returncode == 1
    assert "stopping after 1 failures" in done.stdout
