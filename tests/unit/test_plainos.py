"""What stands for `os` in a run does as `os` does, and costs no import of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Pause

from mwan_hook import plainos

FAKE = 64  # files that are open at once, at most, before those of the test below
PATHS = st.text(alphabet="a./ é", max_size=8)
HERE = Path(__file__).resolve()
LIB = Path(plainos.__file__).parents[1]


@given(PATHS, PATHS)
def test_paths_are_taken_apart_and_joined_as_by_os(one: str, other: str) -> None:
    assert plainos.path.join(one, other) == os.path.join(one, other)
    for name in ("split", "dirname", "basename", "abspath"):
        assert getattr(plainos.path, name)(one) == getattr(os.path, name)(one)


@pytest.mark.parametrize(
    "place", [HERE, HERE.parent, HERE / "x", "/nowhere", "", "/proc/self/exe", "/proc/self/cwd", "\0"]
)
def test_files_are_what_they_are_for_os(place: str | Path) -> None:
    for name in ("exists", "isdir", "islink"):
        assert getattr(plainos.path, name)(place) == getattr(os.path, name)(place)


def test_what_is_not_there_comes_from_os(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plainos.environ is os.environ
    assert plainos.path.realpath("/proc/self/..") == "/proc"
    monkeypatch.setenv("MWAN_TOLD", "é")
    assert (plainos.variable("MWAN_TOLD"), plainos.variable("MWAN_UNTOLD")) == ("é", "")
    with pytest.raises(AttributeError):
        _ = plainos.nothing  # type: ignore[attr-defined]


def test_a_variable_is_told_without_os() -> None:
    code = "import sys; sys.path.append(sys.argv[1]); from mwan_hook import plainos as o; print(o.variable('A'))"
    words = [
        sys.executable,
        "-IS",
        "-c",
        f"{code}; assert 'os' not in sys.modules",
        str(Path(plainos.__file__).parents[1]),
    ]
    done = subprocess.run(words, env={"A": "x"}, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "x\n"


def test_what_is_done_to_a_fake_file_reaches_no_real_one_of_the_same_descriptor(fs: FakeFilesystem) -> None:
    *_, fake = (plainos.open(f"/made{n}", os.O_CREAT | os.O_WRONLY, 0o600) for n in range(FAKE))
    with Pause(fs):
        place = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
        real = os.dup2(place, fake)
    plainos.fchmod(fake, 0o640)
    with pytest.raises(AttributeError):
        plainos.fchown(fake, 1, 1)
    with Pause(fs):
        assert os.fstat(real).st_mode & 0o777 == 0o600
        os.close(real)
        os.close(place)
    assert os.stat(f"/made{FAKE - 1}").st_mode & 0o777 == 0o640
