"""Names of targets are asked through the uplink that is probed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mwan_hook.model import Connectivity, Family
from tests.lab.process import spawn, wait_for
from tests.netns.probe_lab import ALIVE, BLACK_HOLE, UNREACHABLE, ProbeLab, Provider, drip
from tests.netns.probe_servers import OPEN, Internet, make_keys

FULL, LIMITED = Connectivity.FULL, Connectivity.LIMITED
both = pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)


class Bed(NamedTuple):
    """What the tests use."""

    lab: ProbeLab
    uplink: Provider
    internet: Internet

    def resolv_conf(self, *servers: str) -> None:
        """Write /etc/resolv.conf."""
        lines = ["# comment", "search test", *(f"nameserver {server}" for server in servers), "options edns0"]
        (self.lab.root / "etc").mkdir(exist_ok=True)
        (self.lab.root / "etc/resolv.conf").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """One uplink with all servers."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab:
        uplink = lab.provider()
        yield Bed(lab, uplink, Internet(uplink, make_keys(tmp_path_factory.mktemp("keys"))))


@pytest.fixture
def bed(made: Bed) -> Iterator[Bed]:
    """The bed, with no server known."""
    made.internet.questions.clear()
    yield made
    (made.lab.root / "etc/resolv.conf").unlink(missing_ok=True)
    (made.lab.root / "run/systemd/resolve/io.systemd.Resolve").unlink(missing_ok=True)


@both
@pytest.mark.parametrize("name", ["ok.test", "OK.Test", "ok.test.", "alias.test", "big.test"])
def test_the_servers_of_the_lease_are_asked(bed: Bed, family: Family, name: str) -> None:
    result = bed.lab.one(bed.uplink.job(f"http://{name}/204", family, servers=(ALIVE[family],)))
    assert (result.connectivity, result.error) == (FULL, None)


@both
def test_the_servers_of_resolv_conf_are_asked_where_the_lease_has_none(bed: Bed, family: Family) -> None:
    bed.resolv_conf("127.0.0.53", ALIVE[family])
    assert bed.lab.one(bed.uplink.job(f"tcp://ok.test:{OPEN}", family)).connectivity is FULL


@both
@pytest.mark.parametrize("servers", [("127.0.0.53",), ("::1", "127.0.0.1"), ()], ids=["stub", "loopback", "empty"])
def test_a_server_on_the_loopback_is_never_asked_and_the_result_says_so(
    bed: Bed, family: Family, servers: tuple[str, ...]
) -> None:
    bed.resolv_conf(*servers)
    result = bed.lab.one(bed.uplink.job("http://ok.test/204", family, timeout=60))
    assert result.connectivity is LIMITED
    assert result.error == "no DNS server of this uplink is known to ask for ok.test"


def test_without_resolv_conf_no_server_is_known(bed: Bed) -> None:
    assert bed.lab.one(bed.uplink.job("http://ok.test/204", timeout=60)).connectivity is LIMITED


@both
def test_what_is_no_answer_is_passed_over(bed: Bed, family: Family) -> None:
    result = bed.lab.one(bed.uplink.job("http://odd.test/204", family, servers=(ALIVE[family],)))
    assert (result.connectivity, result.error) == (FULL, None)
    result = bed.lab.one(bed.uplink.job(f"dns://{ALIVE[family]}/odd.test", family))
    assert (result.connectivity, result.error) == (FULL, None)


@both
def test_an_answer_that_is_made_to_be_slow_to_read_delays_no_other_probe(bed: Bed, family: Family) -> None:
    began = time.monotonic()
    slow, other = bed.lab.run(
        bed.uplink.job("http://maze.test/204", family, servers=(ALIVE[family],)),
        bed.uplink.job(f"tcp://ok.test:{OPEN}", family, servers=(ALIVE[family],)),
    )
    assert time.monotonic() - began < 3
    assert slow.connectivity is LIMITED
    assert (slow.error or "").startswith("maze.test has no IP")
    assert (other.connectivity, other.error) == (FULL, None)


@both
def test_jobs_that_want_the_same_name_share_one_question(bed: Bed, family: Family) -> None:
    texts = ["http://ok.test/204", "http://OK.test/empty", f"tcp://ok.test:{OPEN}", "http://other.test/204"]
    results = bed.lab.run(*(bed.uplink.job(text, family, servers=(ALIVE[family],)) for text in texts))
    assert [result.connectivity for result in results] == [FULL] * 4
    assert sorted(bed.internet.questions) == ["ok.test.", "other.test."]


@both
def test_a_server_that_is_dead_does_not_keep_the_next_from_being_asked(bed: Bed, family: Family) -> None:
    servers = (BLACK_HOLE[family], UNREACHABLE[family], ALIVE[family])
    result = bed.lab.one(bed.uplink.job("http://ok.test/204", family, timeout=2, servers=servers))
    assert (result.connectivity, result.error) == (FULL, None)


@both
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nothing.test", "no such name: nothing.test"),
        ("servfail.test", "DNS server {} for servfail.test: answered SERVFAIL"),
        ("refused.test", "DNS server {} for refused.test: answered REFUSED"),
        ("silent.test", "DNS server {} for silent.test: timed out after 0.5 s"),
        ("forged.test", "DNS server {} for forged.test: timed out after 0.5 s"),
        ("slow.test", "DNS server {} for slow.test: timed out after 0.5 s"),
    ],
)
def test_a_name_that_cannot_be_found_is_limited(bed: Bed, family: Family, name: str, error: str) -> None:
    began = time.monotonic()
    job = bed.uplink.job(f"http://{name}/204", family, timeout=0.5, servers=(ALIVE[family],))
    result = bed.lab.one(job)
    assert time.monotonic() - began < 1.5
    assert (result.connectivity, result.error) == (LIMITED, error.format(ALIVE[family]))


def test_a_name_without_an_address_of_the_family_is_limited(bed: Bed) -> None:
    job = bed.uplink.job("http://only4.test/204", Family.IPV6, servers=(ALIVE[Family.IPV6],))
    assert bed.lab.one(job).error == "only4.test has no IPv6 address"


@both
def test_a_server_of_the_other_family_is_asked_from_that_family_s_address(bed: Bed, family: Family) -> None:
    other = Family.IPV6 if family is Family.IPV4 else Family.IPV4
    source = bed.uplink.source[other]
    job = bed.uplink.job("http://ok.test/204", family, other_source=source, other_servers=(ALIVE[other],))
    with bed.uplink.capture() as packets:  # nothing else of that family is asked in this round
        assert bed.lab.one(job).connectivity is FULL
    asked = [packet for packet in packets if packet.protocol == socket.IPPROTO_UDP and packet.incoming]
    assert {(packet.source, packet.destination) for packet in asked} == {(source, ALIVE[other])}


@both
@pytest.mark.parametrize("text", ["http://two.test/204", f"tcp://two.test:{OPEN}"])
def test_the_next_address_of_a_name_is_tried_where_the_first_fails_at_once(bed: Bed, family: Family, text: str) -> None:
    assert bed.lab.one(bed.uplink.job(text, family, servers=(ALIVE[family],))).connectivity is FULL


@both
def test_a_name_that_leads_nowhere_ends_with_the_deadline(bed: Bed, family: Family) -> None:
    began = time.monotonic()
    texts = ["http://dead.test/204", "tcp://dead.test:1", "https://dead.test/204", "dns://dead.test/a.test"]
    results = bed.lab.run(*(bed.uplink.job(text, family, timeout=0.6, servers=(ALIVE[family],)) for text in texts))
    assert time.monotonic() - began < 1.6
    assert {(result.connectivity, result.error) for result in results} == {(LIMITED, "timed out after 0.6 s")}


@both
def test_a_dns_server_may_be_named(bed: Bed, family: Family) -> None:
    assert (
        bed.lab.one(bed.uplink.job("dns://ok.test/other.test", family, servers=(ALIVE[family],))).connectivity is FULL
    )


@both
@pytest.mark.parametrize("target", ["tcp://any.test:53", "dns://any.test/other.test", "dns://{alive}/other.test"])
def test_dnsmasq_is_understood(dnsmasq: Provider, made: Bed, family: Family, target: str) -> None:
    asked = dnsmasq.job(target.format(alive=_host(family)), family, servers=(ALIVE[family],))
    result = made.lab.one(asked)
    assert (result.connectivity, result.error) == (FULL, None)


@both
def test_dnsmasq_s_no_is_understood(dnsmasq: Provider, made: Bed, family: Family) -> None:
    result = made.lab.one(dnsmasq.job("tcp://any.example:53", family, servers=(ALIVE[family],)))
    assert (result.connectivity, result.error) == (LIMITED, "no such name: any.example")


def _host(family: Family) -> str:
    return ALIVE[family] if family is Family.IPV4 else f"[{ALIVE[family]}]"


@pytest.fixture(scope="module")
def dnsmasq(made: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """An uplink whose name server is dnsmasq: each name below ``test`` has the address of the server itself."""
    uplink = made.lab.provider()
    log = tmp_path_factory.mktemp("dnsmasq") / "log"
    places = [
        word for address in ALIVE.values() for word in (f"--listen-address={address}", f"--address=/test/{address}")
    ]
    words = ["-d", "-C", "/dev/null", "-R", "-h", "-u", "root", "--bind-interfaces", "--local=/example/", *places]
    process = spawn(["ip", "netns", "exec", uplink.name, "dnsmasq", *words, "--log-facility=-"], log)
    try:
        wait_for(f"dnsmasq: {log}", lambda: "started, version" in log.read_text())
        yield uplink
    finally:
        process.kill()
        process.wait()


def test_the_bytes_of_a_name_count_once(bed: Bed) -> None:
    jobs = [bed.uplink.job(f"tcp://ok.test:{OPEN}", servers=(ALIVE[Family.IPV4],)) for _ in range(2)]
    with bed.uplink.capture() as packets:
        results = bed.lab.run(*jobs)
    names = sum(packet.size for packet in packets if packet.protocol == socket.IPPROTO_UDP)
    assert [result.wire_bytes for result in results] == [224 + names, 224]


# ---------------------------------------------------------------- systemd-resolved


def resolved(bed: Bed, reply: Callable[[socket.socket, dict[str, Any]], None]) -> list[dict[str, Any]]:
    """A service that speaks resolved's varlink; the calls that it gets."""
    path = bed.lab.root / "run/systemd/resolve/io.systemd.Resolve"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    calls: list[dict[str, Any]] = []

    def serve() -> None:
        with server:
            connection, _ = server.accept()
            with connection:
                data = b""
                while not data.endswith(b"\0"):
                    data += connection.recv(65536)
                calls.append(json.loads(data[:-1]))
                reply(connection, calls[0]["parameters"])

    threading.Thread(target=serve, daemon=True).start()
    return calls


def say(**message: Any) -> Callable[[socket.socket, dict[str, Any]], None]:
    """A reply, always the same."""
    return lambda connection, _: connection.sendall(json.dumps(message).encode() + b"\0")


def addresses(connection: socket.socket, parameters: dict[str, Any]) -> None:
    """The addresses of ok.test, one byte after the other; one of the other family first."""
    entries = [
        {"ifindex": parameters["ifindex"], "family": family.af, "address": list(socket.inet_pton(family.af, text))}
        for family, text in sorted(ALIVE.items(), key=lambda item: item[0].af == parameters["family"])
    ]
    reply = {"parameters": {"addresses": entries, "name": parameters["name"], "flags": 1 << 23}}
    drip(connection, json.dumps(reply).encode() + b"\0", pause=0.0005)


@both
def test_resolved_is_asked_for_the_link_where_it_runs(bed: Bed, family: Family) -> None:
    calls = resolved(bed, addresses)
    result = bed.lab.one(bed.uplink.job("http://ok.test/204", family, timeout=4, servers=(ALIVE[family],)))
    assert (result.connectivity, result.error) == (FULL, None)
    assert calls == [
        {
            "method": "io.systemd.Resolve.ResolveHostname",
            "parameters": {"ifindex": bed.uplink.index, "name": "ok.test", "family": family.af},
        }
    ]
    assert not bed.internet.questions


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"error": "io.systemd.Resolve.DNSError", "parameters": {"rcode": 3}}, "no such name: ok.test"),
        ({"error": "io.systemd.Resolve.NoSuchResourceRecord"}, "ok.test has no IPv4 address"),
        ({"parameters": {"addresses": [], "name": "ok.test", "flags": 0}}, "ok.test has no IPv4 address"),
    ],
)
def test_resolved_s_word_that_there_is_no_address_holds(bed: Bed, message: dict[str, Any], error: str) -> None:
    resolved(bed, say(**message))
    result = bed.lab.one(bed.uplink.job("http://ok.test/204", servers=(ALIVE[Family.IPV4],)))
    assert (result.connectivity, result.error) == (LIMITED, error)
    assert not bed.internet.questions


SILENCES: dict[str, Callable[[socket.socket, dict[str, Any]], None]] = {
    "no server for the link": say(error="io.systemd.Resolve.NoNameServers", parameters={}),
    "a server that fails": say(error="io.systemd.Resolve.DNSError", parameters={"rcode": 2}),
    "no answer": lambda connection, _: time.sleep(5),
    "a closed connection": lambda connection, _: None,
    "no JSON": lambda connection, _: connection.sendall(b"what\0"),
    "another shape": say(parameters={"addresses": [1]}),
    "a list": lambda connection, _: connection.sendall(b"[]\0"),
    "a wrong length": say(parameters={"addresses": [{"family": 2, "address": [1, 2]}]}),
    "no end": lambda connection, _: connection.sendall(b"x" * 200_000),
}


@pytest.mark.parametrize("silence", SILENCES)
def test_where_resolved_does_not_answer_the_servers_are_asked(bed: Bed, silence: str) -> None:
    resolved(bed, SILENCES[silence])
    result = bed.lab.one(bed.uplink.job("http://ok.test/204", timeout=4, servers=(ALIVE[Family.IPV4],)))
    assert (result.connectivity, result.error) == (FULL, None)
    assert bed.internet.questions == ["ok.test."]


def test_a_socket_without_a_listener_is_no_resolved(bed: Bed) -> None:
    path: Path = bed.lab.root / "run/systemd/resolve/io.systemd.Resolve"
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    result = bed.lab.one(bed.uplink.job("http://ok.test/204", servers=(ALIVE[Family.IPV4],)))
    assert result.connectivity is FULL
