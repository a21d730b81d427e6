"""What is told of a change, what may be stored, and what a spool and a file keep: each rule at its edge."""

from __future__ import annotations

import datetime
import os
import stat
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mwan_hook import credible, plainos
from mwan_hook.model import (
    Connectivity,
    Family,
    FamilyState,
    MwanError,
    Notice,
    State,
    Status,
    Sysctl,
    UplinkState,
    Usage,
    Usages,
)
from mwan_hook.store import codec, files, outbox, spool
from mwan_hook.store import holder as holders
from mwan_hook.verdict.events import best_connectivity, counted, transitions

UNKNOWN, NONE, PORTAL, LIMITED, FULL = Connectivity
ON, OFF, DISABLED = Status.ONLINE, Status.OFFLINE, Status.DISABLED

# ---------------------------------------------------------------- transitions


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        ((NONE, "w"), (UNKNOWN, "w"), UNKNOWN),
        ((NONE, ""), (UNKNOWN, "w"), UNKNOWN),  # the other one may have everything
        ((NONE, "w"), (UNKNOWN, ""), NONE),  # what has no way is no question
        ((NONE, "w"), (NONE, "w"), NONE),
        ((LIMITED, "w"), (UNKNOWN, "w"), LIMITED),
        ((FULL, "w"), (UNKNOWN, "w"), FULL),
        ((FULL, "w"), (NONE, ""), FULL),
        ((UNKNOWN, ""), (UNKNOWN, ""), UNKNOWN),
    ],
)
def test_an_uplink_is_as_good_as_its_better_family_and_unknown_while_the_other_may_be(
    first: tuple[Connectivity, str], second: tuple[Connectivity, str], best: Connectivity, turned: bool
) -> None:
    pair = [FamilyState(connectivity=word, way=way) for word, way in (first, second)]
    assert best_connectivity(UplinkState("eth0", 7, *(reversed(pair) if turned else pair))) is best


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize(
    ("was", "now", "more"),
    [(ON, OFF, 1), (OFF, ON, 1), (ON, DISABLED, 1), (DISABLED, ON, 1), (OFF, DISABLED, 0), (OFF, OFF, 0), (ON, ON, 0)],
)
def test_a_verdict_that_turned_is_counted_once_in_its_family(
    family: Family, was: Status, now: Status, more: int
) -> None:
    """From the number that is stored, not from that of the new memory."""
    quiet = FamilyState(ON, transitions=70)
    old = UplinkState("eth0", 7, quiet, quiet).with_family(family, FamilyState(was, transitions=40))
    new = UplinkState("eth0", 7, quiet, quiet).with_family(family, FamilyState(now, good=1, transitions=40))
    found = counted(old, new)
    assert found.family(family).transitions == 40 + more
    assert found == new.with_family(family, new.family(family)._replace(transitions=40 + more))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (("eth0", 7), ("eth0", 7), []),
        (("eth0", 7), ("eth0", 0), [("unplugged", "eth0")]),
        (("eth0", 7), ("", 0), [("unplugged", "eth0")]),  # the name is remembered
        (("", 0), ("eth0", 7), [("plugged", "eth0")]),
        (("eth0", 0), ("eth1", 7), [("plugged", "eth1")]),
        (("eth0", 7), ("eth1", 8), [("unplugged", "eth1"), ("plugged", "eth1")]),
    ],
)
def test_a_plug_is_told_with_the_name_that_it_has_now_or_had_last(
    old: tuple[str, int], new: tuple[str, int], told: list[tuple[str, str]]
) -> None:
    found = transitions(State(uplinks={"a": UplinkState(*old)}), State(uplinks={"a": UplinkState(*new)}), 5.0)
    assert [(one.event, one.interface) for one in found] == told
    assert all(one.uplink == "a" and one.at == 5.0 for one in found)


def test_changes_are_told_in_the_order_of_the_uplinks_with_new_ones_last() -> None:
    before = State(uplinks={"z": UplinkState("eth0", 1), "b": UplinkState("eth1", 2)})
    after = State(uplinks={"a": UplinkState("eth2", 3), "b": UplinkState("eth1", 0), "z": UplinkState("eth0", 0)})
    assert [(one.uplink, one.event) for one in transitions(before, after, 0)] == [
        ("z", "unplugged"), ("b", "unplugged"), ("a", "plugged")
    ]  # fmt: skip


# ---------------------------------------------------------------- credible


@given(st.dates())
def test_every_day_of_the_calendar_may_be_stored(day: datetime.date) -> None:
    assert credible.usages(Usages({"lte": Usage(period=day.isoformat())})) == ""


@given(st.integers(1, 9999), st.integers(1, 12))
@example(1900, 2)
@example(2000, 2)
@example(2024, 2)
def test_months_have_the_days_of_the_calendar_and_no_more(year: int, month: int) -> None:
    last = 28
    while True:
        try:
            datetime.date(year, month, last + 1)
        except ValueError:
            break
        last += 1
    assert credible.days(year, month) == last
    for day, doubtful in ((last, False), (last + 1, True), (0, True)):
        stored = Usages({"lte": Usage(first=f"{year:04}-{month:02}-{day:02}")})
        assert bool(credible.usages(stored)) is doubtful


@pytest.mark.parametrize(
    "text",
    ["0000-01-01", "2026-00-10", "2026-13-10", "2026-1-010", "2026-01-1", "2026/01/01", "20260-1-01", "2026-01-0x",
     "-2026-01-1", "2026--0101", "+026-01-01", "202\uff16-01-01", "2026-01-01 ", "today"],
)  # fmt: skip
def test_what_is_no_day_is_refused_wherever_it_stands(text: str) -> None:
    for usage in (Usage(period=text), Usage(first=text), Usage(periods={text: 1})):
        assert "is no day" in credible.usages(Usages({"lte": usage}))
    assert credible.usages(Usages({"lte": Usage(period="", first="")})) == ""


@pytest.mark.parametrize(
    ("usage", "doubtful"),
    [
        (Usage(index=0x7FFFFFFF), False),
        (Usage(index=0x80000000), True),
        (Usage(reset_day=1), False),
        (Usage(reset_day=31), False),
        (Usage(reset_day=0), True),
        (Usage(reset_day=32), True),
        (Usage(at=0.0), False),
        (Usage(at=-0.1), True),
    ],
)
def test_a_usage_is_within_its_bounds(usage: Usage, doubtful: bool) -> None:
    assert bool(credible.usages(Usages({"lte": usage}))) is doubtful


@pytest.mark.parametrize(
    ("key", "value", "index", "ours"),
    [
        ("net/ipv4/conf/eth0/rp_filter", "2", 0x7FFFFFFF, True),
        ("net/ipv4/conf/eth0/rp_filter", "2", 0x80000000, False),
        ("net/ipv6/conf/eth0/rp_filter", "2", 7, False),
        ("net/ipv6/conf/eth0/ignore_routes_with_linkdown", "-2147483648", 7, True),
        ("net/ipv6/conf/eth0/ignore_routes_with_linkdown", "-21474836480", 7, False),
        (f"net/ipv4/conf/{'e' * 15}/rp_filter", "1", 7, True),
        (f"net/ipv4/conf/{'e' * 16}/rp_filter", "1", 7, False),
        (f"net/ipv4/conf/{'ä' * 8}/rp_filter", "1", 7, False),
        ("net/ipv4/conf/eth0/rp_filter", "--1", 7, False),
        ("net/ipv4/conf/eth0/rp_filter", "1 ", 7, False),
        ("net/ipv4/conf/default/rp_filter", "1", 7, False),
        ("net/ipv4/neigh/eth0/rp_filter", "1", 7, False),
    ],
)
def test_an_original_value_is_one_of_a_setting_of_ours(key: str, value: str, index: int, ours: bool) -> None:
    assert bool(credible.state(State(sysctls=(Sysctl(key, value, index),)))) is not ours


# ---------------------------------------------------------------- spools


def put(root: Path, name: str, content: bytes, directory: str = files.EVENTS) -> Path:
    """A file in a spool."""
    place = root / directory / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"add eth0", ("add", "eth0")),
        (b"add eth0\n", ("add", "eth0")),
        (b"add ", ("add", "")),
        (b"add", None),
        (b" eth0", None),
        (b"", None),
        (b"add eth0 more", None),
        (b"add eth0\nadd eth1", None),
    ],
)
def test_a_line_of_text_is_an_action_and_an_interface(
    tmp_path: Path, line: bytes, event: tuple[str, str] | None
) -> None:
    put(tmp_path, "1", line)
    interfaces, messages = spool.take(str(tmp_path))
    assert interfaces == ((event[1],) if event else ())
    assert len(messages) == (event is None)


def test_an_entry_may_be_as_large_as_the_limit_and_no_larger(tmp_path: Path) -> None:
    start, end = b'{"action": "', b'"}'
    largest = start + b"a" * (spool.LARGEST - len(start) - len(end)) + end
    put(tmp_path, "1", largest)
    put(tmp_path, "2", largest + b" ")
    interfaces, messages = spool.take(str(tmp_path))
    assert len(interfaces) == 1
    assert len(messages) == 1 and "/2 is no entry" in messages[0] and "no small file" in messages[0]


def test_an_entry_is_no_link_to_a_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"add eth0")
    place = put(tmp_path, "1", b"")
    place.unlink()
    place.symlink_to(tmp_path / "elsewhere")
    interfaces, messages = spool.take(str(tmp_path))
    assert (interfaces, len(messages), place.is_symlink()) == ((), 1, False)
    assert (tmp_path / "elsewhere").exists()


def test_what_is_removed_counts_against_the_number_that_is_taken(tmp_path: Path) -> None:
    """A spool full of rubbish makes no run longer than one full of entries."""
    directory = str(tmp_path / files.EVENTS)
    for number in range(6):
        put(tmp_path, str(number), b"junk" if number % 2 == 0 else b"add eth0")
    entries, messages = spool.entries_of(directory, most=4)
    assert ([entry.name for entry in entries], len(messages)) == (["1", "3"], 2)
    assert sorted(os.listdir(directory)) == ["1", "3", "4", "5"]


@pytest.mark.parametrize(("age", "stays"), [(0, True), (-55, True), (55, True), (65, False), (-65, False)])
def test_a_file_in_the_making_is_left_for_a_minute_on_either_side_of_a_clock_step(
    tmp_path: Path, age: float, stays: bool
) -> None:
    place = put(tmp_path, ".1", b"{")
    os.utime(place, (time.time() - age,) * 2)
    assert spool.take(str(tmp_path)) == ((), ())
    assert place.exists() is stays


def notice(number: int, event: str = "online") -> Notice:
    """The number makes its id."""
    return Notice(f"{number:020d}-0000", event, "fiber", "eth0", 7)


def test_a_notice_is_read_under_the_name_of_its_file_and_files_in_the_making_are_none(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert outbox.names(root, files.NOTIFY) == frozenset()
    assert outbox.hand_over(root, [notice(1), notice(2)]) == 0
    put(tmp_path, ".hidden", b"{", files.NOTIFY)
    copy = (tmp_path / files.NOTIFY / notice(1).id).read_bytes()
    put(tmp_path, notice(3).id, copy, files.NOTIFY)
    found, messages = outbox.waiting(root, files.NOTIFY)
    assert found == (notice(1), notice(2), notice(3))
    assert messages == ()
    assert outbox.names(root, files.NOTIFY) == {notice(number).id for number in (1, 2, 3)}
    outbox.drop(root, files.NOTIFY, found[0])
    outbox.drop(root, files.NOTIFY, found[0])
    assert outbox.names(root, files.NOTIFY) == {notice(2).id, notice(3).id}


@pytest.mark.parametrize("content", [b'{"event": "online"', b'{"event": 5}', b'{"event": "../x"}', b"[" * 100_000])
def test_what_is_no_notice_is_removed_and_the_others_are_read(tmp_path: Path, content: bytes) -> None:
    outbox.hand_over(str(tmp_path), [notice(1), notice(3)])
    put(tmp_path, notice(2).id, content, files.NOTIFY)
    found, messages = outbox.waiting(str(tmp_path), files.NOTIFY)
    assert found == (notice(1), notice(3))
    assert len(messages) == 1 and notice(2).id in messages[0]
    assert outbox.names(str(tmp_path), files.NOTIFY) == {notice(1).id, notice(3).id}


def test_a_notice_is_nested_as_deep_as_it_likes(tmp_path: Path) -> None:
    """What is just not too deep for the reader may be so for the words that refuse it."""
    depths = range(sys.getrecursionlimit() - 120, sys.getrecursionlimit() + 1)
    for depth in depths:
        content = b'{"id": "1", "event": "online", "family": ' + b"[" * depth + b"]" * depth + b"}"
        put(tmp_path, notice(depth).id, content, files.NOTIFY)
    found, messages = outbox.waiting(str(tmp_path), files.NOTIFY)
    assert (found, len(messages)) == ((), len(depths))


def test_where_there_are_too_many_the_oldest_go_and_files_in_the_making_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST", 3)
    root = str(tmp_path)
    hidden = put(tmp_path, ".0", b"{", files.NOTIFY)
    assert outbox.hand_over(root, [notice(number) for number in (1, 2, 3)]) == 0
    assert outbox.hand_over(root, [notice(4), notice(5)]) == 2
    assert outbox.names(root, files.NOTIFY) == {notice(number).id for number in (3, 4, 5)}
    assert hidden.exists()


@pytest.mark.parametrize(("holder", "said"), [(4711, 99.5), (4712, None)])
def test_a_deadline_counts_only_from_the_process_that_holds_the_lock(
    tmp_path: Path, holder: int, said: float | None
) -> None:
    place = tmp_path / "state.json.lock"
    place.write_text("4711 99.5\n")
    assert holders._deadline(str(place), holder) == said
    for odd in ("", "4711\n", "4711 99.5 more\n", "x 99.5\n"):
        place.write_text(odd)
        assert holders._deadline(str(place), 4711) is None


# ---------------------------------------------------------------- files


def test_directories_of_others_keep_their_mode(tmp_path: Path) -> None:
    theirs = tmp_path / "srv" / "metrics"
    theirs.mkdir(parents=True)
    theirs.chmod(0o2775)
    files.make_directory(str(theirs))
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o2775


def test_a_relative_directory_is_made_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.make_directory("one/two/three")
    assert (tmp_path / "one" / "two" / "three").is_dir()
    files.make_directory("lone")
    assert (tmp_path / "lone").is_dir()
    assert stat.S_IMODE((tmp_path / "one" / "two").stat().st_mode) == 0o755
    (tmp_path / "file").write_text("")
    with pytest.raises(MwanError, match="file is in the way"):
        files.make_directory("file")


@pytest.mark.parametrize(("user", "cure"), [(0, ""), (1000, "; this needs root")])
def test_a_refusal_names_the_cure_to_those_who_lack_it(monkeypatch: pytest.MonkeyPatch, user: int, cure: str) -> None:
    monkeypatch.setattr(plainos, "geteuid", lambda: user)
    assert files.why(PermissionError(13, "Permission denied")) == f"Permission denied{cure}"
    assert files.why(FileNotFoundError(2, "No such file or directory")) == "No such file or directory"
    assert files.why(OSError("words of a library")) == "words of a library"


@pytest.mark.parametrize("size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 1 << 19])
def test_a_file_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"x" * size)
    assert files.read(str(place)) == b"x" * size


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 1000)
    place = tmp_path / "file"
    place.write_bytes(b"x" * 1000)
    assert files.read(str(place)) == b"x" * 1000
    place.write_bytes(b"x" * 1001)
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        files.read(str(place))


@pytest.mark.parametrize("durable", [True, False])
def test_what_has_to_survive_a_power_cut_is_on_the_disk_before_and_after_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """And what has not costs no wait for a disk."""
    steps: list[str] = []
    sync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def renamed(old: str, new: str) -> None:
        steps.append("name")
        rename(old, new)

    monkeypatch.setattr(plainos, "fsync", synced)
    monkeypatch.setattr(plainos, "rename", renamed)
    files.replace(str(tmp_path / "file"), b"content", durable=durable)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert steps == (["file", "name", "directory"] if durable else ["name"])


def test_a_file_that_was_put_right_meanwhile_is_not_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run has written a good one between the reading of the bad one and its removal."""
    place = tmp_path / "usage.json"
    contents = iter([b"{torn", b"{}"])
    monkeypatch.setattr(files, "read", lambda _: next(contents))
    place.write_bytes(b"{}")
    found, messages = codec.load(str(place), "Usages", Usages(), None, writes=True)
    assert found == Usages()
    assert len(messages) == 1 and messages[0].endswith("going on from nothing")
    assert os.listdir(tmp_path) == ["usage.json"]
