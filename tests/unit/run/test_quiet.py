"""The short way counts what the whole program would count, and takes nothing for the same that the program reads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook import plainjson
from mwan_hook.config.targets import parse
from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.model import Config, Connectivity, Family, FamilyState, Job, Probe, Result, Status, UplinkConfig
from mwan_hook.run import alike, listening, peace, quick_round, quiet
from mwan_hook.store import codec
from mwan_hook.verdict import rounds
from mwan_hook.verdict.decide import judge_round, updated
from tests.netns import passed

SPENT = 72  # bytes of an answer
NUMBERS = st.floats(0.01, 2000)


def targets_of(count: int) -> Probe:
    """Some targets."""
    return Probe(targets=tuple(parse(f"icmp://192.0.2.{n}") for n in range(1, count + 1)), portal_interval=0)


def in_peace(good: int, srtt: float, at: float, known: list[Any]) -> FamilyState:
    """Online and good, asked some seconds ago."""
    state = FamilyState(Status.ONLINE, Connectivity.FULL, True, 3.0, good, full_at=3.0, way="a b", reason="earlier")
    times: dict[str, Any] = {"probed_at": at, "next_probe_at": at + 10, "latency_ms": srtt, "srtt_ms": srtt}
    return state._replace(**times, probe_bytes=500, rounds=good, targets=tuple(known))


def asked_of(probe: Probe, required: int, good: int, times: list[float]) -> tuple[list[Result], bool]:
    """What the whole program asks in peace, and the answers; whether targets were spared."""
    jobs = [Job("line", Family.IPV4, target, "eth0", 2, "192.0.2.99") for target in probe.targets]
    spared = rounds.sparing(jobs, required, good)
    answers = zip(spared or jobs, times, strict=False)
    return [Result(job, Connectivity.FULL, rtt_ms, None, SPENT) for job, rtt_ms in answers], bool(spared)


@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.lists(NUMBERS, min_size=4, max_size=4), NUMBERS, NUMBERS
)
def test_a_good_round_is_counted_as_the_whole_program_counts_it(
    count: int, required: int, good: int, times: list[float], srtt: float, later: float
) -> None:
    probe = targets_of(count)
    known = rounds.summarise(
        [Result(Job("", Family.IPV4, t, "", 2, ""), Connectivity.FULL, 1.0) for t in probe.targets], 1
    )
    state = in_peace(good, srtt, 100.0, list(known.targets))
    results, spared = asked_of(probe, required, good, times)
    seen = rounds.summarise(results, required)
    seen = seen._replace(targets=updated(state.targets, seen.targets)) if spared else seen
    begun, now, every = 100 + later, 101 + later, 17.0
    whole = judge_round(state, seen, probe, now, begun=begun, every=every)
    stored = plainjson.loads(codec.encode(state))
    one: dict[str, Any] = {
        "spares": spared,
        "needed": max(1, min(required, count)),
        "timeout": probe.timeout,
        "every": every,
    }
    one["targets"] = [{"name": target.name} for target in probe.targets]
    assert [target["name"] for target in quick_round.chosen(one, stored)] == [r.job.target.name for r in results]
    said = [(result.job.target.name, result.rtt_ms, SPENT) for result in results]
    try:
        changed = quick_round.after_good(stored, one, said, begun)
    except alike.Doubt as doubt:
        assert doubt.stands and max(result.rtt_ms or 0 for result in results) > 300
        return
    assert plainjson.dumps({**stored, **changed}) == codec.encode(whole).decode().rstrip("\n")


def memo(**changes: Any) -> dict[str, Any]:
    """A memo of one uplink that is asked every ten seconds, and checked for a portal every hundred."""
    one = {"uplink": "line", "family": "ipv4", "every": 10, "portal_every": 100, "timeout": 3, **changes}
    return {"state": quiet.at_rest(stored()), "rounds": [one]}


def stored(**changes: Any) -> dict[str, Any]:
    memory = {"status": "online", "good": 3, "probed_at": 990.0, "portal_at": 950.0, "srtt_ms": 20.0}
    memory = {**memory, "next_probe_at": 1000.0, **changes}
    return {"version": 1, "uplinks": {"line": {"index": 2, "ipv4": memory}}, "saved_at": 990.1, "best": {}}


def without(state: dict[str, Any], field: str) -> dict[str, Any]:
    del state["uplinks"]["line"]["ipv4"][field]
    return state


def test_a_round_is_due_after_its_interval_less_a_tenth_or_when_all_is() -> None:
    assert len(quiet.due_rounds(memo(), stored(), 999.0, forced=False)) == 1
    assert len(quiet.due_rounds(memo(), stored(), 998.9, forced=False)) == 0
    assert len(quiet.due_rounds(memo(), stored(), 998.9, forced=True)) == 1
    assert len(quiet.due_rounds(memo(every=300), stored(), 1000.0, forced=False)) == 0
    assert len(quiet.due_rounds(memo(portal_every=0), stored(portal_at=1.0), 1000.0, forced=False)) == 1


@pytest.mark.parametrize(
    ("state", "now", "stands"),
    [
        (stored(), 1050.0, True),  # a portal check is due
        (stored(), 980.0, False),  # the clock is behind
        (stored(portal_at=2000.0), 1000.0, True),
        (stored(status="offline"), 1000.0, False),
        (stored(bad=1), 1000.0, False),
        (stored(held_until=5.0), 1000.0, False),
        ({**stored(), "outbox": [{}]}, 1000.0, False),
        ({**stored(), "saved_at": 1001.0}, 1000.0, False),
        (without(stored(), "next_probe_at"), 995.0, True),  # an event wants it asked at once
    ],
)
def test_all_else_that_the_state_says_is_for_the_whole_program(state: dict[str, Any], now: float, stands: bool) -> None:
    with pytest.raises(alike.Doubt) as doubt:
        quiet.due_rounds(memo(), state, now, forced=False)
    assert doubt.value.stands is stands


# ---------------------------------------------------------------- what is compared of a message


def message(kind: int, body: bytes, *attributes: tuple[int, bytes], sequence: int = 1) -> bytes:
    rest = body + b"".join(frames.attribute(*one) for one in attributes)
    made = frames.request(kind, 0, rest)
    return made[:8] + sequence.to_bytes(4, "little") + made[12:]


LINK = bytes(4) + (3).to_bytes(4, "little") + (0x11043).to_bytes(4, "little") + bytes(4)
ROUTE6 = bytes((10, 0, 0, 0, 254, 3, 0, 1)) + bytes(4)
ROUTE4 = bytes((2, 0, 0, 0, 254, 3, 0, 1)) + bytes(4)
ADDRESS = bytes((2, 24, 128, 0)) + (3).to_bytes(4, "little")
OWN, OIF = (2, b"\1\2\3\4"), (4, b"\3\0\0\0")
NAME, CARRIERS, INFO = (3, b"eth0\0"), (35, bytes(4)), (18, b"bridge timers")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (message(16, LINK, NAME, CARRIERS), message(16, LINK, NAME, (35, b"\1\0\0\0"), INFO), True),
        (message(16, LINK, NAME), message(16, LINK, (3, b"eth1\0")), False),
        (message(16, LINK, NAME), message(16, LINK[:8] + bytes(8), NAME), False),
        (message(20, ADDRESS, OWN, (6, bytes(16))), message(20, ADDRESS, OWN, (6, b"\1" * 16)), True),
        (message(20, ADDRESS, (2, b"\1\2\3\4")), message(20, ADDRESS, (2, b"\1\2\3\5")), False),
        (message(20, ADDRESS, (8, b"\x80\0\0\0")), message(20, ADDRESS, (8, b"\xa0\0\0\0")), False),
        (message(24, ROUTE6, OIF, (12, bytes(32))), message(24, ROUTE6, OIF, (12, b"\1" * 32)), True),
        (message(24, ROUTE6, (12, bytes(32))), message(24, ROUTE6[:8] + b"\1\0\0\0", (12, bytes(32))), False),
        (message(24, ROUTE4, (12, bytes(32))), message(24, ROUTE4, (12, b"\1" * 32)), False),  # none of IPv4
        (message(32, ROUTE4, (6, b"\1\0\0\0")), message(32, ROUTE4, (6, b"\2\0\0\0")), False),
    ],
)  # fmt: skip
def test_what_changes_by_itself_does_not_count_and_all_else_does(one: bytes, other: bytes, same: bool) -> None:
    assert (alike.still(one) == alike.still(other)) is same
    assert alike.still(one + other) == alike.still(one) + alike.still(other)


@given(
    st.lists(st.sampled_from([(1, b"\2" * 6), NAME, CARRIERS, INFO, (52, frames.attribute(53, b"alt\0"))]), max_size=6)
)
def test_links_that_are_not_told_apart_are_one_to_the_program(attributes: list[tuple[int, bytes]]) -> None:
    plain, full = message(16, LINK, NAME), message(16, LINK, NAME, *attributes)
    if alike.still(plain) == alike.still(full):
        assert wire.link(plain) == wire.link(full)


def test_a_message_of_another_kind_or_torn_is_a_doubt() -> None:
    for odd in (message(104, bytes(8)), message(20, ADDRESS, (2, b"\1\2\3\4"))[:-8] + b"\1\0\2\0\1\2\3\4"):
        with pytest.raises(alike.Doubt):
            alike.still(odd)
    torn = bytearray(message(24, ROUTE4))
    torn[6] = frames.NLM_F_DUMP_INTR
    with pytest.raises(frames.InterruptedDumpError):
        alike.still(bytes(torn))


REPLIES = {24: (message(24, ROUTE4, (1, b"\1\0\0\0")), message(24, ROUTE4, (1, b"\2\0\0\0"))), 32: ()}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[bytes, ...]]:
    """Replies by the kind of request; each dump has another sequence number."""
    replies, count = dict(REPLIES), [0]

    def dump(_sock: object, kind: int, _body: bytes) -> Any:
        count[0] += 1
        for one in replies[kind]:
            yield one[:8] + count[0].to_bytes(4, "little") + b"port" + one[16:]

    class Socket:
        def close(self) -> None:
            pass

    monkeypatch.setattr(netlink, "connect", Socket)
    monkeypatch.setattr(netlink, "dump", dump)
    return replies


def kept(*whole: bool) -> tuple[list[list[Any]], bytes]:
    """What is kept of those replies: of the first kind all, or the first buffer."""
    found, text = [], b""
    for kind, all_of_it in zip(REPLIES, whole, strict=True):
        reply = alike.plainly(REPLIES[kind] if all_of_it else REPLIES[kind][:1])
        found.append([kind, "00", len(reply), all_of_it])
        text += reply
    return found, text


@pytest.mark.parametrize("whole", [True, False])
def test_the_same_replies_are_the_same_with_other_numbers(kernel: dict[int, Any], whole: bool) -> None:
    alike.compare_kernel(*kept(whole, True), ())


@pytest.mark.parametrize(
    "change",
    [
        lambda replies: {24: replies[24][1:]},
        lambda replies: {24: ()},
        lambda replies: {24: (replies[24][1], replies[24][0])},
        lambda replies: {32: (message(32, ROUTE4),)},
    ],
)
def test_any_other_reply_is_a_doubt(kernel: dict[int, Any], change: Callable[[Any], Any]) -> None:
    kernel.update(change(REPLIES))
    for whole in (True, False):
        with pytest.raises(alike.Doubt):
            alike.compare_kernel(*kept(whole, True), ())


def test_of_a_reply_that_was_read_in_part_the_rest_does_not_count(kernel: dict[int, Any]) -> None:
    kernel[24] = (REPLIES[24][0], message(24, ROUTE4, (1, b"\3\0\0\0")))
    alike.compare_kernel(*kept(False, True), ())
    with pytest.raises(alike.Doubt):
        alike.compare_kernel(*kept(True, True), ())


def test_what_is_known_to_be_the_same_is_not_read(kernel: dict[int, Any]) -> None:
    kernel.update({24: (), 32: (message(32, ROUTE4),)})
    alike.compare_kernel(*kept(True, True), (24, 32))
    with pytest.raises(alike.Doubt):
        alike.compare_kernel(*kept(True, True), (24,))


OTHERS = 262272 | 1 << 31  # rules, nexthop objects
HEADING = b"sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n"


def row(inode: int, groups: int, waiting: int = 0) -> bytes:
    """A line of /proc/net/netlink."""
    return b"0000000000000000 0   1          %08x %-8d 0        0     2        0        %-8d\n" % (
        groups,
        waiting,
        inode,
    )


@pytest.mark.parametrize(
    ("silent", "rows"),
    [
        (True, [row(7, 1361), row(8, OTHERS)]),
        (True, [row(9, 1, 300), row(8, OTHERS), row(7, 1361)]),  # another's news
        (False, [row(7, 1361, 1), row(8, OTHERS)]),
        (False, [row(7, 1361), row(8, OTHERS, 512)]),
        (False, [row(7, 1361)]),  # closed
        (False, [row(7, 1361), row(8, OTHERS & ~0x40000)]),  # deaf for IPv6 rules
        (False, [row(7, 1361), row(8, 262272)]),  # deaf for nexthop objects
        (False, [row(7, 1361), row(78, OTHERS)]),
        (False, []),
    ],
)
def test_sockets_are_believed_while_they_are_open_empty_and_hear_of_everything(silent: bool, rows: list[bytes]) -> None:
    assert listening.all_silent([7, 8], HEADING + b"".join(rows)) is silent


def test_the_groups_are_those_of_the_socket_unit() -> None:
    assert sum(passed.GROUPS) == listening.GROUPS


# ---------------------------------------------------------------- files, locks


def test_a_file_of_the_same_size_and_time_is_told_by_its_change_time(tmp_path: Path) -> None:
    path, absent = tmp_path / "file", tmp_path / "absent"
    path.write_text("one")
    known = {"files": {str(one): alike.stamp(str(one)) for one in (path, absent)}, "values": {}}
    alike.compare_files(known)
    was = path.stat()
    time.sleep(0.02)  # a tick of the kernel's clock
    path.write_text("two")

    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(alike.Doubt):
        alike.compare_files(known)
    absent.touch()
    with pytest.raises(alike.Doubt):
        alike.compare_files({"files": {str(absent): None}, "values": {}})


def test_a_memo_that_others_could_have_written_is_not_read(tmp_path: Path) -> None:
    path, link = tmp_path / "quiet", tmp_path / "link"
    path.write_bytes(b'{"a":1}\nreplies')
    path.chmod(0o644)
    assert quiet.read(str(path)) == ({"a": 1}, b"replies")
    path.chmod(0o666)
    with pytest.raises(alike.Doubt):
        quiet.read(str(path))
    link.symlink_to(path)
    with pytest.raises(OSError):
        quiet.read(str(link))


def test_a_lock_that_is_held_or_open_to_others_is_a_doubt(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch(mode=0o600)
    first, second = quiet.Locks(), quiet.Locks()
    first.take(str(path))
    with pytest.raises(alike.Doubt) as doubt:
        second.take(str(path))
    assert doubt.value.stands
    second.release()
    first.release()
    path.chmod(0o644)
    with pytest.raises(alike.Doubt):
        second.take(str(path))
    second.release()


def test_what_is_no_memo_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "run/mwan-hook").mkdir(parents=True)
    for text in ("", "{", "[]\n", '{"program":[]}\n', "\0\n"):
        (tmp_path / quiet.MEMO).write_text(text)
        assert quiet.same(str(tmp_path), now=True) is None


# ---------------------------------------------------------------- what is kept


def test_a_key_that_is_not_known_leaves_it_to_the_whole_program() -> None:
    assert peace.is_known(Config())
    strange: list[dict[str, Any]] = [{"quota": 5}, {"prefixes": ("2001:db8::/56",)}, {"nat6_prefix": "fd00::/64"}]
    for more in strange:
        one = UplinkConfig("line", **more)
        assert not peace.is_known(Config(uplinks=(one,)))
    limits: list[dict[str, Any]] = [{"latency_high": 100.0}, {"loss_high": 10.0}, {"jitter_high": 50.0}]
    for more in limits:
        assert not peace.is_known(Config(uplinks=(UplinkConfig("line", probe=Probe(**more)),)))
