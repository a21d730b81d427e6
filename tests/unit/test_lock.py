"""The locks, between real processes: fcntl's and filelock's are one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mwan_hook.model import Busy, MwanError, State
from mwan_hook.store import files, lock, state

WORKER = Path(__file__).with_name("lock_worker.py")
KINDS = ("look", "write")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts workers on tmp_path, and ends them."""
    workers: list[subprocess.Popen[str]] = []

    def run(kind: str, what: str, wait: float = 10) -> subprocess.Popen[str]:
        command = [sys.executable, str(WORKER), kind, str(tmp_path), str(wait), what]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return workers[-1]

    yield run
    for worker in workers:
        worker.kill()
        worker.communicate()


def holding(worker: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """A worker that has the lock by now."""
    assert worker.stdout is not None
    assert worker.stdout.readline() == "held\n"
    return worker


@pytest.mark.parametrize("holder", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_either_kind_excludes_either_and_says_who_holds_it(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], holder: str, kind: str
) -> None:
    worker = holding(start(holder, "hold"))
    with pytest.raises(Busy, match=f"held by process {worker.pid} .*lock_worker.py") as caught:
        taken: lock.Flock | lock.FileLocked = (lock.look if kind == "look" else lock.write)(str(tmp_path), 0.1)
        taken.__enter__()
    assert caught.value.code == 75


@pytest.mark.parametrize("holder", KINDS)
def test_a_killed_holder_leaves_no_lock(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], holder: str
) -> None:
    worker = holding(start(holder, "hold"))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    for kind in (lock.look, lock.write):
        with kind(str(tmp_path), 0.5):
            pass


def test_fifty_processes_at_once_lose_no_update(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    (tmp_path / "number").write_text("0")
    workers = [start(KINDS[number % 5 == 0], "add", 60) for number in range(50)]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    assert (tmp_path / "number").read_text() == "50"


def test_a_lock_file_that_is_unlinked_while_it_is_waited_for_guards_nothing(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    root = str(tmp_path)
    held = lock.look(root)
    assert held.acquire()
    waiting = start("look", "hold")
    time.sleep(0.3)
    os.unlink(held.path)
    holding(waiting)
    other = lock.look(root, 0.1)
    assert not other.acquire()
    held.release()
    assert not other.acquire(), "the unlinked file's lock is not the lock"


def test_the_lock_can_be_taken_again_after_its_release(tmp_path: Path) -> None:
    taken = lock.look(str(tmp_path), 0)
    for _ in range(2):
        assert taken.acquire()
        assert not taken.waited
        taken.release()
        taken.release()
    with lock.write(str(tmp_path), 0):
        assert not taken.acquire()
        assert taken.waited


def test_the_prober_lock_is_another_one(tmp_path: Path) -> None:
    with lock.look(str(tmp_path), 0), lock.prober(str(tmp_path), 0):
        assert not lock.prober(str(tmp_path), 0).acquire()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    with lock.look(str(tmp_path), 0):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with lock.look(str(tmp_path), 0), pytest.raises(Busy):
            lock.write(str(tmp_path), 0).__enter__()
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("kind", [lock.look, lock.write])
def test_a_place_where_no_file_can_be_is_told_in_words(tmp_path: Path, kind: Callable[..., lock.Flock]) -> None:
    (tmp_path / "run").write_text("a file where a directory should be")
    with pytest.raises(MwanError, match="/run"):
        kind(str(tmp_path), 0).__enter__()


@pytest.mark.parametrize("kind", [lock.look, lock.write])
def test_a_link_in_place_of_the_lock_file_is_not_followed(tmp_path: Path, kind: Callable[..., lock.Flock]) -> None:
    place = tmp_path / files.STATE_LOCK
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MwanError, match="cannot lock"):
        kind(str(tmp_path), 0).__enter__()
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_killed_before_the_rename_leaves_the_old_state(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    state.save(str(tmp_path), State(config="old"))
    worker = start("look", "die")
    assert worker.wait(timeout=30) == -signal.SIGKILL
    left = tmp_path / f"{files.STATE}.new"
    assert left.exists()
    assert state.load(str(tmp_path), writes=True)[0].config == "old"
    with lock.look(str(tmp_path), 1):
        state.save(str(tmp_path), State(config="new"))
    assert state.load(str(tmp_path), writes=True)[0].config == "new"
    assert not left.exists()
