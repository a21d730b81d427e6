"""Echo, TCP, DNS and gateway targets on a real kernel, over both families."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mwan_hook.model import NO_NEXTHOP, Connectivity, Family, MwanError
from mwan_hook.probes import runner
from tests.netns.probe_lab import ALIVE, BLACK_HOLE, UNREACHABLE, ProbeLab, Provider, inside
from tests.netns.probe_servers import CLOSED, OPEN, Internet, make_keys

FULL, LIMITED, NONE, UNKNOWN = Connectivity.FULL, Connectivity.LIMITED, Connectivity.NONE, Connectivity.UNKNOWN
both = pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbeLab]:
    """One uplink with all servers."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as made:
        Internet(made.provider(), make_keys(tmp_path_factory.mktemp("keys")))
        yield made


@pytest.fixture
def uplink(lab: ProbeLab) -> Provider:
    """The uplink."""
    return lab.providers[0]


def literal(address: str) -> str:
    """As in a URL."""
    return f"[{address}]" if ":" in address else address


# ---------------------------------------------------------------- icmp


@both
def test_an_echo_reply_is_full_and_costs_the_bytes_it_is_counted_with(
    lab: ProbeLab, uplink: Provider, family: Family
) -> None:
    with uplink.capture() as packets:
        result = lab.one(uplink.job(f"icmp://{ALIVE[family]}", family))
    assert (result.connectivity, result.error) == (FULL, None)
    assert result.rtt_ms is not None and 0 < result.rtt_ms < 3000
    echo = [packet for packet in packets if ALIVE[family] in (packet.source, packet.destination)]
    assert [packet.incoming for packet in echo] == [True, False]
    assert {packet.source for packet in echo} == {uplink.source[family], ALIVE[family]}
    assert result.wire_bytes == sum(packet.size for packet in echo) == (72 if family is Family.IPV4 else 112)


@both
def test_no_echo_reply_is_limited_when_the_time_is_over(lab: ProbeLab, uplink: Provider, family: Family) -> None:
    result = lab.one(uplink.job(f"icmp://{BLACK_HOLE[family]}", family, timeout=0.4))
    assert (result.connectivity, result.rtt_ms, result.error) == (LIMITED, None, "timed out after 0.4 s")
    assert result.wire_bytes == (36 if family is Family.IPV4 else 56)


@both
def test_an_unreachable_error_ends_an_echo_at_once_and_names_who_sent_it(
    lab: ProbeLab, uplink: Provider, family: Family
) -> None:
    with uplink.capture() as packets:
        result = lab.one(uplink.job(f"icmp://{UNREACHABLE[family]}", family, timeout=60))
    assert result.connectivity is LIMITED
    teller = f"{uplink.subnet}.1" if family is Family.IPV4 else "2001:db8:1::1"
    assert result.error is not None and result.error.endswith(f"unreachable, says {teller}")
    seen = [packet for packet in packets if packet.protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6)]
    assert result.wire_bytes == sum(p.size for p in seen if UNREACHABLE[family] == p.destination or p.source == teller)


def test_a_next_hop_that_does_not_answer_on_the_link_is_told_apart(lab: ProbeLab, uplink: Provider) -> None:
    """Of IPv4 the kernel sends that error by ``lo``, where no socket that is bound to the line hears it."""
    uplink.ip("link set lan arp off")
    with inside(lab.machine):
        wait = Path(f"/proc/sys/net/ipv6/neigh/{uplink.interface}/retrans_time_ms")
        usual = wait.read_text()
        wait.write_text("40")
    try:
        lab.ip(f"neigh flush dev {uplink.interface}")
        result = lab.one(uplink.job(f"icmp://{ALIVE[Family.IPV6]}", Family.IPV6, timeout=30))
    finally:
        uplink.ip("link set lan arp on")
        with inside(lab.machine):
            wait.write_text(usual)
    assert (result.connectivity, result.error, result.wire_bytes) == (LIMITED, NO_NEXTHOP, 0), "no packet has left"


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forge(kind: int, payload: bytes) -> bytes:
    """An ICMP message with its checksum."""
    return struct.pack("!BBH", kind, 0, checksum(struct.pack("!BBH", kind, 0, 0) + payload)) + payload


LIES: dict[str, Callable[[bytes], bytes]] = {
    "another identifier": lambda data: forge(0, struct.pack("!H", struct.unpack("!H", data[4:6])[0] ^ 1) + data[6:]),
    "another sequence number": lambda data: forge(0, data[4:6] + bytes((data[6] ^ 1,)) + data[7:]),
    "another nonce": lambda data: forge(0, data[4:-1] + bytes((data[-1] ^ 1,))),
    "a longer payload": lambda data: forge(0, data[4:] + b"xx"),
    "a shorter payload": lambda data: forge(0, data[4:-2]),
    "a broken checksum": lambda data: bytes((0, 0, data[2] ^ 0x55, data[3])) + data[4:],
    "another address": lambda data: forge(0, data[4:]),
    "nothing but an echo of the request": lambda data: data,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_reply_that_does_not_answer_the_request_is_not_taken_for_one(
    lab: ProbeLab, uplink: Provider, lie: str
) -> None:
    with inside(uplink.name):
        Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")
        liar = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with liar:
        liar.bind((f"{uplink.subnet}.1" if lie == "another address" else ALIVE[Family.IPV4], 0))
        ears = liar
        if lie == "another address":
            with inside(uplink.name):
                ears = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        ears.settimeout(5)
        told = threading.Event()

        def answer() -> None:
            data, peer = ears.recvfrom(256)
            liar.sendto(LIES[lie](data[20:]), peer)
            told.set()

        threading.Thread(target=answer).start()
        result = lab.one(uplink.job("icmp://9.9.9.9", timeout=0.4))
        assert told.wait(5)
        ears.close()
    with inside(uplink.name):
        Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("0")
    assert result.error == "timed out after 0.4 s"


def test_an_unreachable_error_for_another_program_s_echo_does_not_end_ours(lab: ProbeLab, uplink: Provider) -> None:
    with inside(uplink.name):
        liar = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")
        ears = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ears.settimeout(5)
    told = threading.Event()

    def answer() -> None:
        data, peer = ears.recvfrom(256)
        other = data[:24] + bytes((data[24] ^ 1,)) + data[25:]  # quotes another identifier
        body = bytes(4) + other
        message = struct.pack("!BBH", 3, 1, checksum(struct.pack("!BBH", 3, 1, 0) + body)) + body
        liar.sendto(message, peer)
        told.set()

    with liar, ears:
        threading.Thread(target=answer).start()
        result = lab.one(uplink.job("icmp://9.9.9.9", timeout=0.4))
        assert told.wait(5)
    with inside(uplink.name):
        Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("0")
    assert result.error == "timed out after 0.4 s"


# ---------------------------------------------------------------- tcp


@both
def test_a_connection_that_is_accepted_is_full_and_ends_with_a_reset(
    lab: ProbeLab, uplink: Provider, family: Family
) -> None:
    with uplink.capture() as packets:
        result = lab.one(uplink.job(f"tcp://{literal(ALIVE[family])}:{OPEN}", family))
    assert (result.connectivity, result.error) == (FULL, None)
    segments = [packet for packet in packets if packet.protocol == socket.IPPROTO_TCP]
    assert [packet.incoming for packet in segments] == [True, False, True, True]
    assert result.wire_bytes == (224 if family is Family.IPV4 else 304)
    assert result.wire_bytes == sum(packet.size for packet in segments)


@both
def test_a_refused_connection_is_limited_at_once(lab: ProbeLab, uplink: Provider, family: Family) -> None:
    with uplink.capture() as packets:
        result = lab.one(uplink.job(f"tcp://{literal(ALIVE[family])}:{CLOSED}", family, timeout=60))
    assert (result.connectivity, result.error) == (LIMITED, "connection refused")
    assert result.wire_bytes == sum(packet.size for packet in packets if packet.protocol == socket.IPPROTO_TCP)


@both
def test_an_unreachable_error_ends_a_connection_at_once(lab: ProbeLab, uplink: Provider, family: Family) -> None:
    result = lab.one(uplink.job(f"tcp://{literal(UNREACHABLE[family])}:{OPEN}", family, timeout=60))
    assert result.connectivity is LIMITED
    assert result.error in ("host unreachable", "network unreachable")


@both
def test_a_connection_into_a_black_hole_is_limited_and_its_repeated_requests_are_counted(
    lab: ProbeLab, uplink: Provider, family: Family
) -> None:
    with uplink.capture() as packets:
        result = lab.one(uplink.job(f"tcp://{literal(BLACK_HOLE[family])}:{OPEN}", family, timeout=1.4))
    assert (result.connectivity, result.error) == (LIMITED, "timed out after 1.4 s")
    assert result.wire_bytes == sum(packet.size for packet in packets if packet.protocol == socket.IPPROTO_TCP)
    assert result.wire_bytes == 2 * (60 if family is Family.IPV4 else 80)


# ---------------------------------------------------------------- gateway


@both
def test_a_gateway_that_answers_is_full(lab: ProbeLab, uplink: Provider, family: Family) -> None:
    result = lab.one(uplink.job("gateway:", family))
    assert (result.connectivity, result.error) == (FULL, None)
    assert result.rtt_ms is not None and result.wire_bytes == (56 if family is Family.IPV4 else 144)


@both
def test_a_gateway_that_is_silent_is_limited(lab: ProbeLab, uplink: Provider, family: Family) -> None:
    nobody = f"{uplink.subnet}.77" if family is Family.IPV4 else "fe80::77"
    result = lab.one(uplink.job("gateway:", family, timeout=0.4, gateway=nobody))
    assert (result.connectivity, result.error) == (LIMITED, "timed out after 0.4 s")


@both
@pytest.mark.parametrize("fields", [{"gateway": None}, {"noarp": True}], ids=["none", "noarp"])
def test_without_neighbours_there_is_no_gateway_to_ask(
    lab: ProbeLab, uplink: Provider, family: Family, fields: dict[str, object]
) -> None:
    result = lab.one(uplink.job("gateway:", family, **fields))  # type: ignore[arg-type]
    assert result.connectivity is UNKNOWN and result.wire_bytes == 0
    assert result.error == "no gateway to ask: the way is a nexthop by device"


# ---------------------------------------------------------------- dns


@both
@pytest.mark.parametrize("name", ["ok.test", "nothing.test", "big.test", "alias.test/AAAA", "ok.test/TXT", "."])
def test_a_dns_server_s_answer_is_full_be_it_that_there_is_none(
    lab: ProbeLab, uplink: Provider, family: Family, name: str
) -> None:
    result = lab.one(uplink.job(f"dns://{literal(ALIVE[family])}/{name}", family))
    assert (result.connectivity, result.error) == (FULL, None)


@both
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("servfail.test", "the server answered SERVFAIL"),
        ("refused.test", "the server answered REFUSED"),
        ("silent.test", "timed out after 0.5 s"),
        ("forged.test", "timed out after 0.5 s"),
        ("slow.test", "timed out after 0.5 s"),
    ],
)
def test_a_dns_server_that_cannot_answer_is_limited(
    lab: ProbeLab, uplink: Provider, family: Family, name: str, error: str
) -> None:
    result = lab.one(uplink.job(f"dns://{literal(ALIVE[family])}/{name}", family, timeout=0.5))
    assert (result.connectivity, result.error) == (LIMITED, error)


@both
def test_a_dns_question_costs_the_bytes_it_is_counted_with(lab: ProbeLab, uplink: Provider, family: Family) -> None:
    with uplink.capture() as packets:
        result = lab.one(uplink.job(f"dns://{literal(ALIVE[family])}/ok.test", family))
    assert result.wire_bytes == sum(packet.size for packet in packets if packet.protocol == socket.IPPROTO_UDP)


@both
@pytest.mark.parametrize("address", [UNREACHABLE, ALIVE], ids=["unreachable", "closed port"])
def test_an_error_for_a_dns_question_ends_it_at_once(
    lab: ProbeLab, uplink: Provider, family: Family, address: dict[Family, str]
) -> None:
    result = lab.one(uplink.job(f"dns://{literal(address[family])}:5353/ok.test", family, timeout=60))
    assert result.connectivity is LIMITED
    assert result.error in ("connection refused", "host unreachable", "network unreachable")


# ---------------------------------------------------------------- facts


@both
@pytest.mark.parametrize("scheme", ["icmp://{}", "tcp://{}:7000", "dns://{}/ok.test", "ntp://{}", "http://{}/204"])
@pytest.mark.parametrize(
    ("fields", "error"),
    [({"source": None}, "the source address is gone"), ({"index": 9999}, None)],
    ids=["no address", "no device"],
)
def test_a_missing_fact_is_none_at_once_with_no_packet(
    lab: ProbeLab, uplink: Provider, family: Family, scheme: str, fields: dict[str, object], error: str | None
) -> None:
    if "source" in fields:
        fields = {"source": "10.99.99.99" if family is Family.IPV4 else "2001:db8:99::99"}
    address = ALIVE[family] if scheme.startswith("icmp") else literal(ALIVE[family])
    with uplink.capture() as packets:
        result = lab.one(uplink.job(scheme.format(address), family, timeout=60, **fields))
    # the kernel solicits routers, tests its addresses and tells its groups on its own
    ours = [packet for packet in packets if not packet.destination.startswith("ff02::")]
    assert result.connectivity is NONE and result.wire_bytes == 0 and not ours
    assert result.error in ((error,) if error else ("the interface is gone", "no route"))


@both
def test_an_interface_that_is_down_is_none_at_once(lab: ProbeLab, family: Family) -> None:
    other = lab.provider()
    job = other.job("gateway:" if family is Family.IPV4 else f"icmp://{ALIVE[family]}", family, timeout=60)
    lab.ip(f"link set {other.interface} down")
    assert lab.one(job).connectivity is NONE


@both
def test_an_interface_that_goes_in_mid_probe_breaks_nothing(lab: ProbeLab, family: Family) -> None:
    other = lab.provider()
    address = literal(BLACK_HOLE[family])
    asked = [f"icmp://{BLACK_HOLE[family]}", f"tcp://{address}:1", "gateway:", f"dns://{address}/a.test"]
    jobs = [other.job(text, family, timeout=1, gateway=None) for text in [*asked, f"http://{address}/204"]]
    timer = threading.Timer(0.3, lab.ip, [f"link del {other.interface}"])
    timer.start()
    results = lab.run(*jobs)
    timer.join()
    assert {result.connectivity for result in results} <= {LIMITED, NONE, UNKNOWN}
    assert [result.connectivity for result in lab.run(*jobs)] == [NONE, NONE, UNKNOWN, NONE, NONE]


def test_without_the_capability_the_error_names_root(lab: ProbeLab, uplink: Provider) -> None:
    job = uplink.job("icmp://9.9.9.9")
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            runner.run([job], root="/")
        except MwanError as error:
            os._exit(0 if "root" in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_results_come_in_the_order_of_the_jobs(lab: ProbeLab, uplink: Provider) -> None:
    texts = ["tcp://9.9.9.9:7001", "icmp://9.9.9.7", "icmp://9.9.9.9", "gateway:", "icmp://9.9.9.8"]
    jobs = [uplink.job(text, timeout=0.5) for text in texts]
    assert [result.job for result in lab.run(*jobs)] == jobs
    assert lab.run() == []


def test_nothing_stays_open(lab: ProbeLab, uplink: Provider) -> None:
    texts = [
        "tcp://9.9.9.9:7000",
        "icmp://9.9.9.7",
        "http://9.9.9.9/hang",
        "http://9.9.9.9/204",
        "dns://9.9.9.9/a.test",
    ]
    lab.run(*(uplink.job(text, timeout=0.3) for text in texts))
    before = sorted(os.listdir("/proc/self/fd"))
    lab.run(*(uplink.job(text, timeout=0.3) for text in texts))
    for thread in threading.enumerate():
        if thread.name.startswith("probe "):
            thread.join(5)
    mine = [fd for fd in os.listdir("/proc/self/fd") if fd not in before]
    # What is new may only be the servers' side.
    names = [os.readlink(f"/proc/self/fd/{fd}") for fd in mine if os.path.islink(f"/proc/self/fd/{fd}")]
    assert not [name for name in names if "eventfd" in name]
