"""The event spool, with anything in it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from mwan_hook.model import MwanError
from mwan_hook.store import files, spool


def put(root: Path, path: str, content: str) -> Path:
    """A file below root."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    return place


def test_events_are_taken_once_and_oldest_first(tmp_path: Path) -> None:
    for interface in ("usb1", "usb0", "../../x", "naïve \n%s"):
        spool.put(str(tmp_path), "add", interface)
    taken = spool.take(str(tmp_path))
    assert taken == (("usb1", "usb0", "../../x", "naïve \n%s"), ())
    assert spool.take(str(tmp_path)) == ((), ())
    assert os.listdir(tmp_path / files.EVENTS) == []


def test_no_spool_is_no_event(tmp_path: Path) -> None:
    assert spool.take(str(tmp_path)) == ((), ())


def test_what_is_no_entry_is_removed_with_a_message(tmp_path: Path) -> None:
    spool.put(str(tmp_path), "add", "usb0")
    put(tmp_path, f"{files.EVENTS}/torn", '{"action": "ad')
    put(tmp_path, f"{files.EVENTS}/list", "[]")
    put(tmp_path, f"{files.EVENTS}/large", "1" * (spool.LARGEST + 1))
    (tmp_path / files.EVENTS / "directory").mkdir()
    (tmp_path / files.EVENTS / "link").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / files.EVENTS / "pipe")
    interfaces, messages = spool.take(str(tmp_path))
    assert interfaces == ("usb0",)
    assert len(messages) == 6
    assert all(line.endswith("; removed") for line in messages)
    assert os.listdir(tmp_path / files.EVENTS) == []


def test_an_event_that_says_nothing_is_an_event(tmp_path: Path) -> None:
    put(tmp_path, f"{files.EVENTS}/by-hand", '{"interface": 5}')
    assert spool.take(str(tmp_path)) == (("",), ())


def test_a_file_in_the_making_is_left_until_it_is_old(tmp_path: Path) -> None:
    place = put(tmp_path, f"{files.EVENTS}/.half", "{")
    assert spool.take(str(tmp_path)) == ((), ())
    assert place.exists()
    os.utime(place, (0, 0))
    spool.take(str(tmp_path))
    assert not place.exists()


def test_a_run_takes_a_bounded_number_and_leaves_the_newer_ones(tmp_path: Path) -> None:
    directory = str(tmp_path / files.NOTIFY)
    names = [spool.add(directory, {"number": number}) for number in range(5)]
    entries, messages = spool.entries_of(directory, most=3)
    assert [entry.name for entry in entries] == names[:3]
    assert [entry.content for entry in entries] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert messages == ()
    spool.drop(directory, names[0])
    spool.drop(directory, names[0])
    assert [entry.name for entry in spool.entries_of(directory)[0]] == names[1:]


def test_a_spool_on_a_full_disk_says_so_and_leaves_nothing(fs: FakeFilesystem) -> None:
    fs.set_disk_usage(2)
    with pytest.raises(MwanError, match="No space left"):
        spool.put("/", "add", "usb0")
    assert os.listdir("/run/mwan-hook/events") == []


HOOK = Path(__file__).resolve().parents[3] / "hooks/spool-event"
ODD = [
    "eth0",
    'a"b\\c',
    "$(id)",
    "%s%n",
    "*?[",
    "-n",
    "'",
    "\x01\x7f",
    "naïve",
    os.fsdecode(b"\xff\xfe"),
    "{}",
    "&;|<>!#~`",
]


def dropped(root: Path, **environment: str) -> None:
    """The hook as udev or networkd-dispatcher run it."""
    subprocess.run([HOOK], env={"MWAN_HOOK_ROOT": str(root), **environment}, check=True, timeout=10)


@pytest.mark.parametrize("interface", ODD)
def test_the_hook_spools_interfaces_of_any_legal_name(tmp_path: Path, interface: str) -> None:
    dropped(tmp_path, ACTION="add", INTERFACE=interface)
    dropped(tmp_path, STATE="routable", IFACE=interface)
    assert spool.take(str(tmp_path)) == ((interface, interface), ())
    assert os.listdir(tmp_path / files.EVENTS) == []


def test_the_hook_and_the_program_name_events_in_one_order(tmp_path: Path) -> None:
    spool.put(str(tmp_path), "add", "first")
    time.sleep(0.03)  # the shell's clock has hundredths of a second
    dropped(tmp_path, ACTION="add", INTERFACE="second")
    time.sleep(0.03)
    spool.put(str(tmp_path), "add", "third")
    assert spool.take(str(tmp_path)) == (("first", "second", "third"), ())


def test_a_dispatcher_that_names_no_interface_still_makes_an_event(tmp_path: Path) -> None:
    dropped(tmp_path, STATE="off")
    assert spool.take(str(tmp_path)) == (("",), ())


def test_the_hook_never_fails_because_ifup_would_give_the_interface_up(tmp_path: Path) -> None:
    put(tmp_path, files.EVENTS, "a file in its place")
    dropped(tmp_path, PHASE="post-up", IFACE="eth0")
    assert (tmp_path / files.EVENTS).read_text() == "a file in its place"


def test_a_line_of_text_that_is_no_event_is_removed(tmp_path: Path) -> None:
    for name, content in (
        ("word", "add"),
        ("three", "add eth0 eth1"),
        ("lines", "add eth0\nadd eth1\n"),
        ("empty", ""),
    ):
        put(tmp_path, f"{files.EVENTS}/{name}", content)
    interfaces, messages = spool.take(str(tmp_path))
    assert interfaces == ()
    assert len(messages) == 4
