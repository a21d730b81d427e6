"""What is not the line's fault is not counted against it: a program's work, a slow import, a processor that is busy."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import dns.message
import pytest

from mwan_hook.model import Connectivity, Family
from mwan_hook.probes import runner
from mwan_hook.probes.loop import Late
from tests.lab.router import PROJECT
from tests.netns.probe_lab import ALIVE, ETH_P_IPV6, ProbeLab, Provider, inside
from tests.netns.probe_servers import REPLIES, answer, make_keys, read_request

FULL, LIMITED = Connectivity.FULL, Connectivity.LIMITED
ETH_P_ARP = 0x0806
LATE = {Family.IPV4: "10.77.1.77", Family.IPV6: "fe80::77"}  # gateways that answer late
HTTP, HTTPS = 8000, 8443
METHODS = ("dns", "ntp", "http", "https", "name", "gateway")
AGENT = """
import sys, time
from mwan_hook.model import Family, Job
from mwan_hook.config.targets import parse
from mwan_hook.probes import runner

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name in ("requests", "dns.message", "ssl", "threading", "mwan_hook.probes.icmp", "mwan_hook.probes.resolve"):
            time.sleep(0.7)

timeout, slow, device, index, root, *targets = sys.argv[1:]
sys.meta_path[:0] = [Slow()] * (slow == "slow")
family = Family.IPV4
jobs = [
    Job(device, family, parse(text), device, int(index), "10.77.1.2", "10.77.1.1", False, float(timeout), ("9.9.9.9",))
    for text in targets
]
if slow != "slow":
    runner.run(jobs, root=root)
print("ready", flush=True)
for result in runner.run(jobs, root=root):
    print(result.connectivity.word, round(result.rtt_ms or 0), result.job.target.text, result.error)
"""


class Bed(NamedTuple):
    """One uplink whose servers take their time."""

    lab: ProbeLab
    uplink: Provider
    delay: list[float]

    def text(self, method: str, family: Family) -> str:
        """The target of a method."""
        host = f"[{ALIVE[family]}]" if family is Family.IPV6 else ALIVE[family]
        return {
            "icmp": f"icmp://{ALIVE[family]}",
            "tcp": f"tcp://{host}:{HTTP}",
            "dns": f"dns://{host}/ok.test",
            "ntp": f"ntp://{host}",
            "http": f"http://{host}:{HTTP}/204",
            "https": f"https://{host}:{HTTPS}/204",
            "name": f"http://ok.test:{HTTP}/204",
            "gateway": "gateway:",
        }[method]

    def agent(self, timeout: float, imports: str, *methods: str) -> subprocess.Popen[str]:
        """A process of its own that probes by IPv4."""
        words = [str(timeout), imports, self.uplink.interface, str(self.uplink.index), str(self.lab.root)]
        targets = [self.text(method, Family.IPV4) for method in methods]
        command = ["ip", "netns", "exec", self.lab.machine, sys.executable, "-c", AGENT, *words, *targets]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "lib")}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def serve(uplink: Provider, delay: list[float], keys: Path) -> None:
    """Servers that answer after a while."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem")

    def http(connection: socket.socket) -> None:
        read_request(connection)
        time.sleep(delay[0])
        connection.sendall(REPLIES["/204"])

    def https(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            http(secure)

    def name(packet: bytes) -> list[bytes]:
        if not packet:  # the test is over
            return []
        time.sleep(delay[0])
        return [answer(dns.message.from_wire(packet)).to_wire()]

    def clock(packet: bytes) -> list[bytes]:
        if not packet:
            return []
        time.sleep(delay[0])
        return [b"\x24\3" + bytes(22) + packet[40:48] + bytes(16)]

    uplink.listen(HTTP, http)
    uplink.listen(HTTPS, https)
    uplink.datagrams(53, name)
    uplink.datagrams(123, clock)


def gateways(uplink: Provider, delay: list[float]) -> None:
    """Two addresses of no machine that answer who asks for them, late."""
    with inside(uplink.name):
        arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        nd = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        say = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex("lan")
    arp.bind(("lan", ETH_P_ARP))
    nd.bind(("lan", ETH_P_IPV6))
    say.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    mac, asked = arp.getsockname()[4], socket.inet_pton(socket.AF_INET6, LATE[Family.IPV6])

    def hear_arp() -> None:
        while packet := arp.recv(2048):
            if packet[20:22] == b"\0\1" and packet[38:42] == socket.inet_aton(LATE[Family.IPV4]):
                time.sleep(delay[0])
                there = packet[22:32]
                arp.send(there[:6] + mac + packet[12:20] + b"\0\2" + mac + packet[38:42] + there)

    def hear_nd() -> None:
        while packet := nd.recv(2048):
            if packet[6] == socket.IPPROTO_ICMPV6 and packet[40] == 135 and packet[48:64] == asked:
                time.sleep(delay[0])
                there = socket.inet_ntop(socket.AF_INET6, packet[8:24])
                say.sendto(struct.pack("!BBHI", 136, 0, 0, 0x60000000) + asked + b"\2\1" + mac, (there, 0, 0, index))

    def until_the_end(hear: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):  # the link is down
            hear()

    for hear in (hear_arp, hear_nd):
        threading.Thread(target=until_the_end, args=(hear,), daemon=True).start()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The bed."""
    keys = make_keys(tmp_path_factory.mktemp("keys"))
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(keys / "ca.pem"))
        bed = Bed(lab, lab.provider(), [0.0])
        serve(bed.uplink, bed.delay, keys)
        gateways(bed.uplink, bed.delay)
        yield bed


@pytest.fixture
def bed(made: Bed) -> Iterator[Bed]:
    """Servers answer at once; what is under way ends with the test."""
    made.delay[0] = 0.0
    yield made
    time.sleep(2 * made.delay[0])


@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_is_late_for_its_round_counts_in_the_next_one_with_every_method(
    bed: Bed, method: str, family: Family
) -> None:
    bed.delay[0] = 0.7
    late, job = Late(), bed.uplink.job(bed.text(method, family), family, servers=(ALIVE[family],), gateway=LATE[family])
    with inside(bed.lab.machine):
        (first,) = runner.run([job._replace(timeout=0.4)], root=str(bed.lab.root), late=late)
        began = time.monotonic()
        (second,) = runner.run([job], root=str(bed.lab.root), late=late)
    took = time.monotonic() - began
    late.close()
    assert first.connectivity is LIMITED and first.error is not None
    assert first.error.endswith("timed out after 0.4 s")
    assert (second.connectivity, second.error) == (FULL, None)
    # no reply of a gateway tells which question it answers
    assert second.rtt_ms is not None and second.rtt_ms > (250 if method == "gateway" else 690)
    # an answer to its own question would take the delay at least, by name twice: the server's and the resolver's
    assert took < bed.delay[0] * (2 if method == "name" else 1) or second.rtt_ms > took * 1000


def test_a_search_for_a_name_that_is_late_goes_on_without_another_question(bed: Bed) -> None:
    bed.delay[0] = 0.5
    late, job = Late(), bed.uplink.job(bed.text("name", Family.IPV4), servers=(ALIVE[Family.IPV4],), timeout=0.3)
    with inside(bed.lab.machine), bed.uplink.capture() as packets:
        results = [runner.run([job], root=str(bed.lab.root), late=late)[0] for _ in range(4)]
    late.close()
    assert [result.connectivity for result in results].index(FULL) == 3  # 0.5 s for the name, 0.5 s for the server
    questions = [p for p in packets if p.protocol == socket.IPPROTO_UDP and p.incoming]
    assert len(questions) == 2  # in the first and in the third round: the search of the first ended in the second


def test_imports_are_not_paid_by_the_line(bed: Bed) -> None:
    began = time.monotonic()
    agent = bed.agent(0.6, "slow", "icmp", "tcp", "dns", "http", "https", "name", "gateway")
    said = agent.communicate(timeout=60)[0].splitlines()[1:]
    assert time.monotonic() - began > 1  # else nothing was slow
    assert [line.split()[0] for line in said] == ["full"] * 7, said


def test_a_process_that_is_stopped_reads_what_has_come_before_it_gives_up(bed: Bed) -> None:
    bed.delay[0] = 0.1
    for pause in (0.05, 0.15):
        agent = bed.agent(1.0, "fast", "icmp", "tcp", "dns", "http", "https", "name", "gateway")
        assert agent.stdout and agent.stdout.readline() == "ready\n"
        time.sleep(pause)
        os.kill(agent.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(agent.pid, signal.SIGCONT)
        said = agent.communicate(timeout=60)[0].splitlines()
        assert [line.split()[0] for line in said] == ["full"] * 7, said
