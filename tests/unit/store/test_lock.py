"""The locks, between real processes."""

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
from mwan_hook.modem import memory
from mwan_hook.store import filelocked, files, foreign, holder, lock, state

WORKER = Path(__file__).with_name("lock_worker.py")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts workers on tmp_path, and ends them."""
    workers: list[subprocess.Popen[str]] = []

    def run(what: str, wait: float = 10, script: Path = WORKER) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path), str(wait), what]
        # a terminal stops no process group that is orphaned, as that of a background job can be
        workers.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
        )
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


def test_a_lock_that_is_held_says_by_which_process_and_user(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    worker = holding(start("hold"))
    with pytest.raises(Busy, match=f"held by process {worker.pid} .*lock_worker.py.* of user root") as caught:
        lock.look(str(tmp_path), 0.1).__enter__()
    assert caught.value.code == 75


def test_a_killed_holder_leaves_no_lock(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    worker = holding(start("hold"))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    with lock.look(str(tmp_path), 0.5):
        pass


def test_fifty_processes_at_once_lose_no_update(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    (tmp_path / "number").write_text("0")
    workers = [start("add", 60) for _ in range(50)]
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
    waiting = start("hold")
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
    with lock.look(str(tmp_path), 0):
        assert not taken.acquire()
        assert taken.waited


def test_the_prober_lock_is_another_one(tmp_path: Path) -> None:
    with lock.look(str(tmp_path), 0), lock.prober(str(tmp_path), 0, 1):
        assert not lock.prober(str(tmp_path), 0, 1).acquire()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    with lock.look(str(tmp_path), 0):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with lock.look(str(tmp_path), 0), pytest.raises(Busy):
            lock.look(str(tmp_path), 0).__enter__()
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("kind", [lambda root: lock.look(root, 0), filelocked.notifier])
def test_a_place_where_no_file_can_be_is_told_in_words(tmp_path: Path, kind: Callable[[str], lock.Flock]) -> None:
    (tmp_path / "run").write_text("a file where a directory should be")
    with pytest.raises(MwanError, match="/run"):
        kind(str(tmp_path)).__enter__()


@pytest.mark.parametrize("kind", [lambda root: lock.look(root, 0), filelocked.notifier])
def test_a_link_in_place_of_the_lock_file_is_not_followed(tmp_path: Path, kind: Callable[[str], lock.Flock]) -> None:
    (tmp_path / files.RUN).mkdir(parents=True)
    for place in (files.STATE_LOCK, files.NOTIFY_LOCK):
        (tmp_path / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MwanError, match="cannot lock"):
        kind(str(tmp_path)).__enter__()
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_killed_before_the_rename_leaves_the_old_state(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    state.save(str(tmp_path), State(config="old"))
    worker = start("die")
    assert worker.wait(timeout=30) == -signal.SIGKILL
    left = tmp_path / f"{files.STATE}.new"
    assert left.exists()
    assert state.load(str(tmp_path), writes=True)[0].config == "old"
    with lock.look(str(tmp_path), 1):
        state.save(str(tmp_path), State(config="new"))
    assert state.load(str(tmp_path), writes=True)[0].config == "new"
    assert not left.exists()


@pytest.fixture
def mwan_hook(tmp_path: Path) -> Path:
    """The worker under the program's name, as a run of it is known by."""
    (tmp_path / "bin").mkdir()
    place = tmp_path / "bin/mwan-hook"
    place.symlink_to(WORKER)
    return place


def state_of(pid: int) -> str:
    """The letter of proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def stopped(worker: subprocess.Popen[str]) -> None:
    """The worker, stopped by a signal that it cannot keep off."""
    worker.send_signal(signal.SIGSTOP)
    while state_of(worker.pid) != "T":
        time.sleep(0.01)


def test_a_stopped_run_is_continued_by_the_one_that_waits(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], mwan_hook: Path
) -> None:
    worker = holding(start("hold", script=mwan_hook))
    stopped(worker)
    waiting = lock.look(str(tmp_path), 0.5)
    assert not waiting.acquire()
    assert state_of(worker.pid) != "T"
    assert [line.partition(" held ")[2] for line in waiting.messages] == [
        f"{waiting.path} while it was stopped: continued"
    ]


def test_a_run_that_outlives_its_own_deadline_is_ended_and_named(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], mwan_hook: Path
) -> None:
    worker = holding(start("overdue", script=mwan_hook))
    waiting = lock.look(str(tmp_path), 0.0)
    assert waiting.acquire()
    assert worker.wait(5) == -signal.SIGKILL
    assert len(waiting.messages) == 1
    assert f"process {worker.pid} " in waiting.messages[0]
    assert "past every deadline: ended" in waiting.messages[0]
    waiting.release()


@pytest.mark.parametrize("what", ["hold", "overdue"])
def test_a_stranger_is_named_and_left_alone(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], what: str
) -> None:
    worker = holding(start(what))
    stopped(worker)
    waiting = lock.look(str(tmp_path), 0.5)
    assert not waiting.acquire()
    assert state_of(worker.pid) == "T"
    command = f"{sys.executable} {WORKER} {tmp_path} 10 {what}"[: holder.COMMAND_SHOWN]  # it may lie deep
    assert waiting.messages == [
        f"{waiting.path} is held by process {worker.pid} ({command}) of user root, which is no run of mwan-hook: end it"
    ]


def test_the_terminal_stops_no_run_that_holds_a_lock(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    worker = holding(start("stop"))
    assert state_of(worker.pid) != "T"
    with lock.look(str(tmp_path)):
        pass
    until = time.monotonic() + 30
    while state_of(worker.pid) != "T":
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("kind", [lambda root: lock.look(root, 0), filelocked.notifier])
@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_no_other_user_can_open_a_lock_file(
    tmp_path: Path, kind: Callable[[str], lock.Flock], before: int | None
) -> None:
    place = Path(kind(str(tmp_path)).path)
    place.parent.mkdir(parents=True)
    if before:
        place.touch()
        place.chmod(before)
    umask = os.umask(0)
    try:
        with kind(str(tmp_path)):
            assert place.stat().st_mode & 0o7777 == 0o600
    finally:
        os.umask(umask)


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_the_umask_changes_no_mode_and_wrong_ones_are_put_right(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        state.save(str(tmp_path), State(config="one"))
        place = tmp_path / files.RUN
        assert place.stat().st_mode & 0o7777 == 0o755
        place.chmod(0o700)
        (tmp_path / files.STATE).chmod(0o600)
        state.save(str(tmp_path), State(config="two"))
        assert place.stat().st_mode & 0o7777 == 0o755
        assert (tmp_path / files.STATE).stat().st_mode & 0o7777 == 0o644
    finally:
        os.umask(before)


@pytest.mark.parametrize("trap", ["fifo", "hard link", "symbolic link", "socket"])
def test_what_lies_at_a_temporary_file_is_never_opened(tmp_path: Path, trap: str) -> None:
    place, precious = tmp_path / "mwan_hook.prom", tmp_path / "precious"
    precious.write_text("keep")
    left = tmp_path / "mwan_hook.prom.new"
    if trap == "fifo":
        os.mkfifo(left)
    elif trap == "hard link":
        left.hardlink_to(precious)
    elif trap == "symbolic link":
        left.symlink_to(precious)
    else:
        os.mknod(left, 0o140600)
    files.replace(str(place), b"new", durable=False)
    assert (place.read_text(), precious.read_text(), left.exists()) == ("new", "keep", False)


def test_a_shared_directory_gets_names_that_cannot_be_guessed_and_is_swept(tmp_path: Path) -> None:
    place = tmp_path / "mwan_hook.prom"
    (tmp_path / "mwan_hook.prom.0123456789abcdef.new").write_text("left by a killed run")
    (tmp_path / "mwan_hook.prom.new").mkdir()
    (tmp_path / "other.prom").write_text("of another program")
    foreign.replace(str(place), b"figures")
    assert sorted(os.listdir(tmp_path)) == ["mwan_hook.prom", "mwan_hook.prom.new", "other.prom"]
    assert place.read_text() == "figures"


def test_a_fifo_in_place_of_a_file_of_ours_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / files.STATE
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    found, messages = state.load(str(tmp_path), writes=True)
    assert found == State()
    assert len(messages) == 1
    assert "no plain file" in messages[0]


def test_one_process_at_a_time_dials_on_an_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WAIT", 0.05)
    with memory.one_at_a_time(str(tmp_path), "wwan0"):
        with memory.one_at_a_time(str(tmp_path), "wwan1"):
            pass
        with pytest.raises(Busy, match=r"/wwan0\.lock is held by .* gave up after 0\.05 s"):
            memory.one_at_a_time(str(tmp_path), "wwan0").__enter__()
    with memory.one_at_a_time(str(tmp_path), "wwan0"):
        pass
