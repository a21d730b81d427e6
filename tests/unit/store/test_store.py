"""State, allotment, spool and history on a file system that may be torn, foreign, full or read-only."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyfakefs.fake_filesystem import FakeFilesystem, set_uid

from mwan_hook import model, plainos
from mwan_hook.model import (
    Allotment,
    Connectivity,
    Family,
    FamilyState,
    MwanError,
    Nexthop,
    Route,
    State,
    Status,
    Sysctl,
    TargetResult,
    UplinkState,
    WayOut,
)
from mwan_hook.store import codec, dials, files, foreign, state, usage

FULL_STATE = State(
    boot_id="boot",
    uplinks={
        "lte@usb0": UplinkState(
            "usb0",
            4,
            FamilyState(
                Status.ONLINE,
                Connectivity.FULL,
                judged=True,
                held_until=None,
                full_at=1.5,
                passes=(1.5, 2.5),
                reason="naïve",
                targets=(TargetResult("icmp://1.1.1.1", Connectivity.FULL, 8.9), TargetResult("x", Connectivity.NONE)),
            ),
        )
    },
    last_online={Family.IPV6: ("lte@usb0",)},
    best={Family.IPV4: WayOut("lte@usb0", "usb0", "192.0.2.2", "192.0.2.1")},
    tables=(1000, 1001),
    sysctls=(Sysctl("net/ipv4/conf/usb0/ignore_routes_with_linkdown", "0"),),
    foreign=(Route(Family.IPV4, 254, metric=3, nexthops=(Nexthop(4, "192.0.2.1"),)),),
    errors=("no",),
    saved_at=3.5,
)


def put(root: Path, path: str, content: str | bytes) -> Path:
    """A file below root."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state.save(str(tmp_path), FULL_STATE)
    loaded, messages = state.load(str(tmp_path), writes=True, boot="boot")
    assert loaded == FULL_STATE
    assert messages == ()
    assert type(loaded.uplinks["lte@usb0"].ipv4.connectivity) is Connectivity
    assert type(loaded.foreign[0].nexthops[0]) is Nexthop
    assert os.stat(tmp_path / files.STATE).st_mode & 0o7777 == 0o644
    assert os.stat(tmp_path / files.RUN).st_mode & 0o7777 == 0o755
    assert os.listdir(tmp_path / files.RUN) == ["state.json"]


def test_a_link_that_takes_the_place_of_a_new_directory_changes_nothing_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write to the parent may be quicker than root's second step."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    monkeypatch.setattr(plainos, "mkdir", lambda path: os.symlink(elsewhere, path))
    with pytest.raises(MwanError):
        files.make_directory(str(tmp_path / "new"))
    assert elsewhere.stat().st_mode & 0o777 == 0o700


def test_the_umask_hides_nothing(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        state.save(str(tmp_path), State())
    finally:
        os.umask(before)
    assert os.stat(tmp_path / files.STATE).st_mode & 0o777 == 0o644
    assert os.stat(tmp_path / files.RUN).st_mode & 0o777 == 0o755


def test_no_file_is_nothing_without_a_message(tmp_path: Path) -> None:
    assert state.load(str(tmp_path), writes=True) == (State(), ())
    assert state.stamp(str(tmp_path)) == (0, 0)


def test_a_state_saved_without_a_boot_is_of_this_one(tmp_path: Path) -> None:
    state.save(str(tmp_path), State(config="a"))
    assert state.load(str(tmp_path), writes=True)[0] == State(boot_id=state.boot_id(), config="a")


def test_the_state_of_another_boot_counts_as_none(tmp_path: Path) -> None:
    state.save(str(tmp_path), FULL_STATE)
    assert state.load(str(tmp_path), writes=True, boot="another") == (State(), ())


def test_the_stamp_tells_that_it_was_saved(tmp_path: Path) -> None:
    state.save(str(tmp_path), State())
    before = state.stamp(str(tmp_path))
    state.save(str(tmp_path), State())
    assert state.stamp(str(tmp_path)) != before


ONE = '{"version":1,"boot_id":"b","uplinks":{"a":{"interface":"a","index":1,"ipv4":%s}}}'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not JSON"),
        ('{"version": 1, "boo', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("null", "not a file of mwan-hook"),
        ('{"a": 1}', "not a file of mwan-hook"),
        ('{"version": true}', "not a file of mwan-hook"),
        ('{"version": 2, "uplinks": []}', "of version 2, this program knows 1"),
        ('{"version": 1, "uplinks": []}', "an object was expected"),
        ('{"version": 1, "foreign": [5]}', "an object was expected"),
        ('{"version": 1, "foreign": [{"family": "ipv4"}]}', "Route without table"),
        ('{"version": 1, "last_online": {"ipv5": []}}', "is no Family"),
        ('{"version": 1, "tables": [-1]}', "a whole number was expected"),
        ('{"version": 1, "tables": 5}', "a list was expected"),
        (ONE % '{"status": "up"}', "'up' is no Status"),
        (ONE % '{"connectivity": [1]}', "is no Connectivity"),
        (ONE % '{"connectivity": true}', "is no Connectivity"),
        (ONE % '{"since": NaN}', "a number was expected"),
        (ONE % '{"since": 1e999}', "a number was expected"),
        (ONE % '{"since": true}', "a number was expected"),
        (ONE % '{"good": 1.5}', "a whole number was expected"),
        (ONE % '{"judged": 1}', "true or false was expected"),
        (ONE % '{"reason": "\\ud800"}', "cannot be used"),
        (ONE % '{"reason": null}', "text was expected"),
    ],
)
def test_an_unusable_state_is_set_aside_with_a_message(tmp_path: Path, content: str | bytes, why: str) -> None:
    place = put(tmp_path, files.STATE, content)
    loaded, messages = state.load(str(tmp_path), writes=True)
    assert loaded == State()
    assert len(messages) == 1
    assert why in messages[0]
    assert "set aside" in messages[0]
    assert not place.exists()
    assert place.with_name("state.json.bad").exists()
    assert state.load(str(tmp_path), writes=True) == (State(), ())


def test_only_the_latest_unusable_file_is_kept(tmp_path: Path) -> None:
    for content in ("first", "second"):
        put(tmp_path, files.STATE, content)
        state.load(str(tmp_path), writes=True)
    assert os.listdir(tmp_path / files.RUN) == ["state.json.bad"]
    assert (tmp_path / f"{files.STATE}.bad").read_text() == "second"


def test_a_directory_in_place_of_the_state_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / files.STATE).mkdir(parents=True)
    assert "set aside" in state.load(str(tmp_path), writes=True)[1][0]
    state.save(str(tmp_path), State())


@pytest.mark.parametrize(
    ("load", "place"),
    [
        (state.load, files.STATE),
        (state.load_allotment, files.ALLOTMENT),
        (usage.load, files.USAGE),
        (dials.load, files.DIALLED),
    ],
)
def test_what_cannot_be_read_is_set_aside_by_a_run_and_is_an_error_of_who_only_looks(
    tmp_path: Path, load: Callable[[str, bool], tuple[object, tuple[str, ...]]], place: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.symlink_to(path.name)
    with pytest.raises(MwanError, match="cannot read"):
        load(str(tmp_path), False)
    assert "(Too many levels of symbolic links); set aside" in load(str(tmp_path), True)[1][0]
    assert (load(str(tmp_path), True)[1], path.with_name(f"{path.name}.bad").is_symlink()) == ((), True)


def test_what_another_try_may_read_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save(str(tmp_path), State("b", config="old"))

    def full(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr(plainos, "open", full)
        with pytest.raises(MwanError, match="Too many open files"):
            state.load(str(tmp_path), writes=True, boot="b")
    assert state.load(str(tmp_path), writes=True, boot="b")[0].config == "old"


def test_a_file_too_large_to_be_ours_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 100)
    put(tmp_path, files.STATE, " " * 101)
    assert "larger than 100 bytes" in state.load(str(tmp_path), writes=True)[1][0]


def test_a_key_of_a_later_program_is_no_error(tmp_path: Path) -> None:
    put(tmp_path, files.STATE, '{"version": 1, "boot_id": "b", "colour": "blue"}')
    assert state.load(str(tmp_path), writes=True, boot="b") == (State("b"), ())


def test_a_full_disk_leaves_the_old_state_and_no_other_file(fs: FakeFilesystem) -> None:
    fs.set_disk_usage(4000)
    state.save("/", State("b", config="old"))
    with pytest.raises(MwanError, match=r"cannot write .*state\.json: No space left"):
        state.save("/", State("b", config="new" * 2000))
    assert os.listdir("/run/mwan-hook") == ["state.json"]
    assert state.load("/", writes=True, boot="b")[0].config == "old"


def test_a_place_that_is_not_ours_is_told_in_words_and_still_read(fs: FakeFilesystem) -> None:
    state.save("/", State("b", config="old"))
    fs.chmod("/", 0o755)
    set_uid(1000)
    try:
        assert state.load("/", writes=True, boot="b")[0].config == "old"
        with pytest.raises(MwanError, match=r"cannot write .*: Permission denied"):
            state.save("/", State("b"))
        with pytest.raises(MwanError, match="cannot make the directory /var"):
            state.save_allotment("/", Allotment())
    finally:
        set_uid(0)


def test_an_unusable_state_that_cannot_be_moved_is_a_message_only(fs: FakeFilesystem) -> None:
    fs.create_file("/run/mwan-hook/state.json", contents="torn")
    set_uid(1000)
    try:
        loaded, messages = state.load("/", writes=True, boot="b")
    finally:
        set_uid(0)
    assert loaded == State()
    assert "nor set aside: Permission denied" in messages[0]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.text(max_size=3), st.sampled_from([*State._fields, *FamilyState._fields, *UplinkState._fields])
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(JSON)
def test_well_formed_json_is_a_state_or_an_error_in_words(raw: object) -> None:
    for content in ({"version": 1, "uplinks": {"a": raw}}, {"version": 1, **(raw if isinstance(raw, dict) else {})}):
        try:
            found = codec.decode(json.dumps(content).encode(), "State")
        except ValueError as error:
            assert str(error)
        else:
            assert codec.decode(codec.encode(found), "State") == found


def test_every_noun_that_is_stored_can_be_read() -> None:
    for name in ("State", "Allotment", "Transition", "Round", "Uplink", "Snapshot"):
        assert hasattr(model, name)
    for name in ("State", "Allotment", "Transition"):
        assert callable(codec.decoder(name))


def test_the_allotment_outlives_and_is_written_only_when_it_changes(tmp_path: Path) -> None:
    given_out = Allotment({"fiber": 1001}, {"fiber": 0x100}, {"lte": False})
    state.save_allotment(str(tmp_path), given_out)
    before = (tmp_path / files.ALLOTMENT).stat()[:-3]  # without times: to read it may change one
    state.save_allotment(str(tmp_path), given_out)
    assert (tmp_path / files.ALLOTMENT).stat()[:-3] == before
    assert state.load_allotment(str(tmp_path), writes=True) == (given_out, ())


def test_a_torn_allotment_is_set_aside(tmp_path: Path) -> None:
    put(tmp_path, files.ALLOTMENT, '{"version": 1, "tables": {"a": "b"}}')
    loaded, messages = state.load_allotment(str(tmp_path), writes=True)
    assert loaded == Allotment()
    assert "allotment.json.bad" in messages[0]
    state.save_allotment(str(tmp_path), Allotment({"a": 1}))
    assert state.load_allotment(str(tmp_path), writes=True)[0].tables == {"a": 1}


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        ("word\r\nand more\n", 0o600, "word"),
        ("\nword\n", 0o600, "is empty: expected a first line with the secret"),
        ("word\n", 0o604, "can be read by others and is not used; chmod 600"),
    ],
)
def test_a_secret_is_the_first_line_of_a_file_that_others_may_not_read(
    tmp_path: Path, text: str, mode: int, found: str
) -> None:
    (tmp_path / "secret").write_bytes(text.encode())
    (tmp_path / "secret").chmod(mode)
    try:
        assert foreign.secret_line(str(tmp_path), "/secret") == found
    except MwanError as error:
        assert found in str(error)
    assert foreign.secret_line(str(tmp_path), "") == ""
