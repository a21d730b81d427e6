"""NTP targets: chrony with its clock set and not set, and a server that answers anything."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mwan_hook.model import Connectivity, Family
from tests.lab.process import wait_for
from tests.netns.probe_lab import ALIVE, BLACK_HOLE, UNREACHABLE, ProbeLab, Provider, command
from tests.netns.probe_servers import answer

FULL, LIMITED = Connectivity.FULL, Connectivity.LIMITED
UNSET, LIAR, CLOSED = 1123, 4123, 5123  # ports; the good one has NTP's
both = pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)


def chrony(lab: ProbeLab, uplink: Provider, place: Path, port: int, *lines: str) -> None:
    """A real server that touches no clock."""
    place.mkdir()
    common = ("allow all", f"port {port}", "cmdport 0", f"pidfile {place}/pid", f"bindcmdaddress {place}/socket")
    (place / "conf").write_text("\n".join((*common, *lines, "")))
    words = ["ip", "netns", "exec", uplink.name, "chronyd", "-x", "-d", "-u", "root", "-f", str(place / "conf")]
    process = subprocess.Popen(words, stdout=(place / "log").open("w"), stderr=subprocess.STDOUT)
    lab.closing.callback(process.wait)
    lab.closing.callback(process.terminate)
    wait_for(
        f"chronyd: {(place / 'log').read_text()}",
        lambda: f":{port} " in command("ip", "netns", "exec", uplink.name, "ss", "-Hnlu"),
    )


class Bed:
    """One uplink, its servers, and what the liar says to a question."""

    def __init__(self, lab: ProbeLab, place: Path) -> None:
        self.lab, self.uplink = lab, lab.provider()
        self.lie: Callable[[bytes], list[bytes]] = lambda packet: []
        chrony(lab, self.uplink, place / "good", 123, "local stratum 5")
        chrony(lab, self.uplink, place / "unset", UNSET)
        self.uplink.datagrams(LIAR, lambda packet: self.lie(packet) if packet else [])
        self.uplink.datagrams(53, lambda packet: [named(packet)] if packet else [])


def named(packet: bytes) -> bytes:
    """A resolver's answer."""
    import dns.message

    return answer(dns.message.from_wire(packet)).to_wire()


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Made once."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab:
        yield Bed(lab, tmp_path_factory.mktemp("chrony"))


def target(address: str, port: int = 0) -> str:
    """As it is configured."""
    host = f"[{address}]" if ":" in address else address
    return f"ntp://{host}:{port}" if port else f"ntp://{address}"


@both
def test_a_server_s_answer_is_full_and_costs_the_bytes_it_is_counted_with(bed: Bed, family: Family) -> None:
    with bed.uplink.capture() as packets:
        result = bed.lab.one(bed.uplink.job(target(ALIVE[family]), family))
    assert (result.connectivity, result.error) == (FULL, None)
    assert result.rtt_ms is not None and 0 < result.rtt_ms < 3000
    ours = [packet for packet in packets if packet.protocol == socket.IPPROTO_UDP]
    assert [packet.incoming for packet in ours] == [True, False]
    assert ours[0].source == bed.uplink.source[family]
    assert result.wire_bytes == sum(packet.size for packet in ours) == (152 if family is Family.IPV4 else 192)


def test_a_server_is_found_by_name_through_the_uplink(bed: Bed) -> None:
    result = bed.lab.one(bed.uplink.job("ntp://ok.test", servers=(ALIVE[Family.IPV4],)))
    assert (result.connectivity, result.error) == (FULL, None)


def test_a_server_whose_clock_is_not_set_shows_the_line_and_is_named(bed: Bed) -> None:
    result = bed.lab.one(bed.uplink.job(target(ALIVE[Family.IPV4], UNSET)))
    assert (result.connectivity, result.error) == (FULL, "the server's clock is not set")


@both
@pytest.mark.parametrize(("where", "error"), [(UNREACHABLE, "unreachable"), (ALIVE, "connection refused")])
def test_an_error_ends_the_wait_at_once(bed: Bed, family: Family, where: dict[Family, str], error: str) -> None:
    result = bed.lab.one(bed.uplink.job(target(where[family], CLOSED), family, timeout=60))
    assert result.connectivity is LIMITED and result.error is not None and result.error.endswith(error)


def test_no_answer_is_limited_when_the_time_is_over(bed: Bed) -> None:
    result = bed.lab.one(bed.uplink.job(target(BLACK_HOLE[Family.IPV4]), timeout=0.3))
    assert (result.connectivity, result.error, result.wire_bytes) == (LIMITED, "timed out after 0.3 s", 76)


def reply(asked: bytes, first: int = 0x24, stratum: int = 3, reference: bytes = bytes(4), origin: bytes = b"") -> bytes:
    """A server's packet."""
    return bytes((first, stratum, 6, 236)) + bytes(8) + reference + bytes(8) + (origin or asked[40:48]) + b"\xe9" * 16


LIES: dict[str, Callable[[bytes], list[bytes]]] = {
    "another question's": lambda asked: [reply(asked, origin=bytes((asked[40] ^ 1,)) + asked[41:48])],
    "no origin": lambda asked: [reply(asked, origin=bytes(8))],
    "the question itself": lambda asked: [asked],
    "a client's": lambda asked: [reply(asked, 0x23)],
    "symmetric": lambda asked: [reply(asked, 0x22)],
    "broadcast": lambda asked: [reply(asked, 0x25)],
    "control": lambda asked: [reply(asked, 0x26)],
    "cut": lambda asked: [reply(asked)[:47], b""],
}
TRUTHS = {
    "version 3": (lambda asked: [reply(asked, 0x1C)], None),
    "with an extension": (lambda asked: [reply(asked) + bytes(20)], None),
    "after lies": (lambda asked: [*(lie(asked)[0] for lie in LIES.values()), reply(asked)], None),
    "stratum 16": (lambda asked: [reply(asked, stratum=16)], "the server's clock is not set"),
    "at its start": (lambda asked: [reply(asked, 0xE4, 0, b"INIT")], "the server's clock is not set (INIT)"),
    "a kiss": (lambda asked: [reply(asked, 0xE4, 0, b"RATE")], "the server sent a kiss of death, RATE"),
    "a refusal": (lambda asked: [reply(asked, 0xE4, 0, b"DENY")], "the server sent a kiss of death, DENY"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_packet_that_does_not_answer_the_question_is_not_taken_for_one(bed: Bed, lie: str) -> None:
    bed.lie = LIES[lie]
    result = bed.lab.one(bed.uplink.job(target(ALIVE[Family.IPV4], LIAR), timeout=0.2))
    assert (result.connectivity, result.error) == (LIMITED, "timed out after 0.2 s")


@pytest.mark.parametrize("truth", TRUTHS)
def test_any_authentic_answer_is_full_and_a_bad_one_is_named(bed: Bed, truth: str) -> None:
    bed.lie, words = TRUTHS[truth]
    result = bed.lab.one(bed.uplink.job(target(ALIVE[Family.IPV4], LIAR), timeout=5))
    assert result.connectivity is FULL
    assert (result.error or "").startswith(words or "") and bool(result.error) == bool(words)
