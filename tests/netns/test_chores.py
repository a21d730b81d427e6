"""Root beside services that are another user: what it leaves to them, what it does for them, what it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mwan_hook import config, plainos
from mwan_hook.commands import chores as command
from mwan_hook.explain.report import publish
from mwan_hook.machine import names
from mwan_hook.model import State, Transition
from mwan_hook.store import chores, filelocked, files, history, lock, spool, state, wake
from tests.lab import wait_for

USER = 4242
HOLD = """
import fcntl, os, signal, sys
held = open(sys.argv[1], "r+")
fcntl.flock(held, fcntl.LOCK_EX)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Directories of the services' user, as systemd makes them."""
    for place in (files.RUN, files.LIB):
        (tmp_path / place).mkdir(parents=True)
        os.chown(tmp_path / place, USER, USER)
    return tmp_path


def owner(path: Path) -> int:
    """Its user."""
    return path.lstat().st_uid


def ask(root: Path, kind: str, content: Mapping[str, object] | None = None) -> int:
    """Put a chore where the services put it, and do it."""
    spool.add(str(root / files.CHORES), dict(content or {}), kind)
    return command.run(str(root))


def test_what_root_writes_in_directories_of_the_services_is_theirs(root: Path) -> None:
    (root / "etc/mwan-hook").mkdir(parents=True)
    (root / "etc/mwan-hook/mwan-hook.conf").write_text("[routing]\n")
    config.load(str(root))
    state.save(str(root), State())
    history.append(str(root), [Transition("online", "fiber", "eth7", None, "offline", "online", "why", 1.0)])
    spool.put(str(root), "probe", "eth7")
    with lock.look(str(root)), filelocked.notifier(str(root)), filelocked.hooks(str(root)):
        pass
    found = [path for place in (files.RUN, files.LIB) for path in (root / place).rglob("*")]
    assert {path.name for path in found} >= {"state.json", "state.json.lock", "notify.lock", "history.jsonl", "events"}
    assert {owner(path) for path in found} == {USER}
    assert {owner(path) for path in (root / files.ROOTS).rglob("*")} == {0}
    assert sorted(path.name for path in (root / files.ROOTS).iterdir()) == ["config.cache", "hooks.lock"]


def test_root_believes_no_configuration_that_the_services_have_kept(root: Path) -> None:
    (root / "etc/mwan-hook").mkdir(parents=True)
    (root / "etc/mwan-hook/mwan-hook.conf").write_text("[mail]\nto = a@example.org\nsendmail = /usr/sbin/sendmail\n")
    config.load(str(root))
    kept = (root / files.ROOTS / "config.cache").read_bytes()
    theirs = root / files.RUN / "config.cache"
    theirs.write_bytes(kept.replace(b"/usr/sbin/sendmail", b"/tmp/evil/sendmail"))
    os.chown(theirs, USER, USER)
    assert config.load(str(root)).config.mail.sendmail == "/usr/sbin/sendmail"


def test_what_root_has_left_there_is_given_to_them_but_nothing_that_has_another_name(root: Path) -> None:
    run = root / files.RUN
    (run / "state.json.lock").touch()
    (root / "secret").touch()
    (run / "hard").hardlink_to(root / "secret")
    (run / "soft").symlink_to(root / "secret")
    os.mkfifo(run / "pipe")
    assert ask(root, chores.OWNERS) == 0
    theirs = {path.name: owner(path) for path in run.iterdir()}
    assert theirs == {"state.json.lock": USER, "chores": USER, "hard": 0, "soft": 0, "pipe": 0}
    assert owner(root / "secret") == 0
    assert not list((run / "chores").iterdir())


def test_without_any_run_before_it_there_is_nothing_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.run(str(tmp_path)) == 0
    assert capfd.readouterr().err == ""


def test_a_file_that_they_replace_meanwhile_hinders_no_chore(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda place: [*listed(place), "state.json.new"])
    (root / files.RUN / "probe.lock").touch()
    assert ask(root, chores.OWNERS) == 0
    assert owner(root / files.RUN / "probe.lock") == USER


@pytest.mark.parametrize(
    ("before", "group", "after"),
    [
        (0o600, 0, (0o640, USER)),
        (0o660, 0, (0o640, USER)),
        (0o644, 0, (0o644, 0)),
        (0o640, 77, (0o640, 77)),  # another group's: named
        (0o600, 77, (0o640, USER)),
        (0o640, USER, (0o640, USER)),
    ],
)
def test_closed_configuration_is_opened_to_the_services_alone(
    root: Path, capfd: pytest.CaptureFixture[str], before: int, group: int, after: tuple[int, int]
) -> None:
    path = root / "etc/mwan-hook/conf.d/50-closed.conf"
    path.parent.mkdir(parents=True)
    path.touch()
    os.chown(path, 0, group)
    path.chmod(before)
    path.parent.chmod(0o700)
    refused = (before, group) == (0o640, 77)
    assert ask(root, chores.CONFIGURATION) == refused
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == after
    assert (path.parent.stat().st_mode & 0o777, path.parent.stat().st_gid) == (0o750, USER)
    assert ("belongs to another group" in capfd.readouterr().err) == refused


def test_names_are_written_and_nothing_else_that_is_asked_for(root: Path) -> None:
    assert ask(root, chores.NAMES, {"protocol": 172, "tables": {"1001": "fiber"}}) == 0
    assert "1001\tfiber\n" in (root / names.TABLES).read_text()
    before = (root / names.TABLES).read_bytes()
    bad: list[object] = [
        {"1001": "a\n0 local"},
        {"-1": "a"},
        {"x": "a"},
        {"1": "a b"},
        {str(1 << 32): "a"},
        {"1": ""},
        [],
    ]
    for tables in bad:
        assert ask(root, chores.NAMES, {"protocol": 172, "tables": tables}) == 1
    assert ask(root, chores.NAMES, {"protocol": 256, "tables": {}}) == 1
    assert ask(root, "other", {}) == 0
    assert (root / names.TABLES).read_bytes() == before


def test_where_etc_is_left_alone_nothing_is_written_there(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = root / "etc/mwan-hook/mwan-hook.conf"
    path.parent.mkdir(parents=True)
    path.write_text("[routing]\nwrite_etc = no\n")
    path.chmod(0o600)
    assert ask(root, chores.NAMES, {"protocol": 172, "tables": {"1001": "fiber"}}) == 0
    assert ask(root, chores.CONFIGURATION) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{path} cannot be read by the services (write_etc = no)" in capfd.readouterr().err
    assert [one.name for one in (root / "etc").iterdir()] == ["mwan-hook"]


def test_no_chore_waits_for_the_page_of_the_report(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(place: str, _loaded: config.Loaded) -> tuple[str, ...]:
        for kind, content in ((chores.REPORT, {}), (chores.NAMES, {"protocol": 172, "tables": {"1001": "fiber"}})):
            spool.add(str(root / files.CHORES), content, kind)
        wait_for("the names", (root / names.TABLES).exists, timeout=5)
        (root / "page").write_text(str(os.getpid()))
        return ()

    monkeypatch.setattr(publish, "refreshed", slow)
    assert ask(root, chores.REPORT) == 0
    assert (root / "page").read_text() != str(os.getpid())
    assert [path.name for path in (root / files.CHORES).iterdir()] == [chores.REPORT], "another start makes that one"


def test_a_page_that_does_not_end_is_given_up(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "LONGEST", 0.1)
    monkeypatch.setattr(publish, "refreshed", lambda *_: time.sleep(60))
    assert ask(root, chores.REPORT) == 1
    assert "the page took longer than" in capfd.readouterr().err


def test_files_of_names_that_are_links_are_another_programs(root: Path) -> None:
    assert names.write(str(root), 172, 1000, {1001: "fiber"}) == []
    tables, protocols = root / names.TABLES, root / names.PROTOCOLS
    tables.rename(root / "made")
    tables.symlink_to(root / "made")
    names.remove(str(root))
    assert (tables.is_symlink(), protocols.exists()) == (True, False)


def test_a_run_that_is_not_root_asks_once_for_names_and_writes_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "watched", lambda root: True)
    monkeypatch.setattr(plainos, "geteuid", lambda: USER)
    for _ in range(2):
        tables = {1001: "fiber", 1002: "a b", 1003: "\udc9b2J", 1004: "{x}|&<>~#="}
        assert names.write(str(root), 172, 1000, tables) == []
    assert [path.name for path in (root / files.CHORES).iterdir()] == [chores.NAMES]
    assert not (root / names.TABLES).exists()
    monkeypatch.undo()
    assert command.run(str(root)) == 0
    assert "1001\tfiber\n1004\t{x}|&<>~#=\n" in (root / names.TABLES).read_text(), "what is no word is left out"
    monkeypatch.setattr(wake, "watched", lambda root: True)
    monkeypatch.setattr(plainos, "geteuid", lambda: USER)
    assert names.write(str(root), 172, 1000, {1001: "fiber", 1004: "{x}|&<>~#="}) == []
    assert not list((root / files.CHORES).iterdir()), "what stands is not asked for"


def test_root_continues_a_stopped_run_of_the_services(root: Path) -> None:
    root.chmod(0o755)
    with lock.look(str(root)):
        pass
    words = ["mwan-hook", "-c", HOLD, str(root / files.STATE_LOCK)]
    for place in root.parents:
        place.chmod(place.stat().st_mode | 0o011)
    with subprocess.Popen(words, executable="/usr/bin/python3", user=USER, group=USER) as stopped:
        stat = Path(f"/proc/{stopped.pid}/stat")
        wait_for("it to stop", lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        held = lock.look(str(root))
        try:
            assert held.acquire(), held.messages
        finally:
            held.release()
            stopped.send_signal(signal.SIGCONT)
        assert "continued" in held.messages[0]
