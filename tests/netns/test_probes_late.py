"""Answers that come later than a round waits for them."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from mwan_hook.model import Connectivity, Family, Result
from mwan_hook.probes import runner
from mwan_hook.probes.loop import PER_TARGET, Late
from tests.lab.relay import IFF_NO_PI, IFF_TUN, TUNSETIFF, pass_on
from tests.netns.probe_lab import BLACK_HOLE, ProbeLab, Provider, command, inside

FULL, LIMITED = Connectivity.FULL, Connectivity.LIMITED
FAR = {Family.IPV4: "9.9.9.6", Family.IPV6: "2001:db8:9::6"}
ECHO = {Family.IPV4: 36, Family.IPV6: 56}
TARGETS = {
    ("icmp", Family.IPV4): "icmp://9.9.9.6",
    ("icmp", Family.IPV6): "icmp://2001:db8:9::6",
    ("tcp", Family.IPV4): "tcp://9.9.9.6:7000",
    ("tcp", Family.IPV6): "tcp://[2001:db8:9::6]:7000",
}
every = pytest.mark.parametrize(("method", "family"), TARGETS, ids=[f"{m}-{f.value}" for m, f in TARGETS])


def tun(namespace: str, device: str) -> int:
    """A new tun device that is up; its file descriptor."""
    with inside(namespace):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    command("ip", "-n", namespace, "link", "set", device, "up")
    return fd


class Far:
    """A host behind the provider whose line takes ``delay`` seconds one way, and forgets nothing."""

    def __init__(self, lab: ProbeLab, provider: Provider) -> None:
        self.lab, self.uplink = lab, provider
        self.delay = 0.0
        self._name = f"{lab.tag}-far"
        command("ip", "netns", "add", self._name)
        lab.closing.callback(command, "ip", "netns", "del", self._name)
        self._near, self._far = tun(provider.name, "near0"), tun(self._name, "far0")
        self._stop, self._stopping = os.pipe()
        for family, address in FAR.items():
            flag = "-4" if family is Family.IPV4 else "-6"
            provider.ip(f"{flag} route add {address} dev near0")
            command("ip", "-n", self._name, "addr", "add", address, "dev", "far0")
            command("ip", "-n", self._name, flag, "route", "add", "default", "dev", "far0")
        with inside(self._name):
            server = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
        lab.closing.callback(server.close)
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()
        lab.closing.callback(self.stop)

    def _carry(self) -> None:
        """Pass packets on: to the far host late, back at once."""
        queue: list[tuple[float, bytes]] = []
        while True:
            now = time.monotonic()
            while queue and queue[0][0] <= now:
                pass_on(queue.pop(0)[1], self._far)
            wait = max(0.0, queue[0][0] - now) if queue else None
            ready = select.select([self._near, self._far, self._stop], [], [], wait)[0]
            if self._stop in ready:
                return
            if self._far in ready:
                pass_on(os.read(self._far, 65536), self._near)
            if self._near in ready:
                queue.append((time.monotonic() + self.delay, os.read(self._near, 65536)))

    def stop(self) -> None:
        """End the line."""
        os.write(self._stopping, b"x")
        self._thread.join()
        for fd in (self._near, self._far, self._stop, self._stopping):
            os.close(fd)

    def ask(self, *texts: str, family: Family = Family.IPV4, timeout: float = 0.3, late: Late | None) -> list[Result]:
        """One round."""
        jobs = [self.uplink.job(text, family, timeout=timeout) for text in texts]
        with inside(self.lab.machine):
            return runner.run(jobs, root=str(self.lab.root), late=late)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    """A far host behind one uplink."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab:
        yield Far(lab, lab.provider())


@pytest.fixture
def far(made: Far) -> Iterator[Far]:
    """The far host, 0.5 s away; what is under way is gone when the test ends."""
    made.delay = 0.5
    yield made
    time.sleep(made.delay)


@pytest.fixture
def late() -> Iterator[Late]:
    """Of one run."""
    kept = Late()
    yield kept
    kept.close()


@every
def test_a_reply_that_is_late_for_its_round_answers_the_next_one_with_its_true_round_trip(
    far: Far, late: Late, method: str, family: Family
) -> None:
    text = TARGETS[method, family]
    with far.uplink.capture() as packets:
        (first,) = far.ask(text, family=family, late=late)
        began = time.monotonic()
        (second,) = far.ask(text, family=family, timeout=2, late=late)
        took = time.monotonic() - began
    assert (first.connectivity, first.error) == (LIMITED, "timed out after 0.3 s")
    assert (second.connectivity, second.error) == (FULL, None)
    assert second.rtt_ms is not None and 495 < second.rtt_ms < 800
    assert took < 0.45  # the reply to its own request would take longer
    counted = first.wire_bytes + second.wire_bytes
    own = (socket.IPPROTO_ICMP, 58 if method == "icmp" else socket.IPPROTO_TCP, socket.IPPROTO_TCP)
    address = FAR[family]
    assert counted == sum(p.size for p in packets if p.protocol in own and address in (p.source, p.destination))


@every
def test_a_reply_that_came_between_two_rounds_counts_with_its_true_round_trip(
    far: Far, late: Late, method: str, family: Family
) -> None:
    text = TARGETS[method, family]
    assert far.ask(text, family=family, late=late)[0].connectivity is LIMITED
    time.sleep(0.6)
    began = time.monotonic()
    (second,) = far.ask(text, family=family, late=late)
    assert time.monotonic() - began < 0.2
    assert second.connectivity is FULL and second.rtt_ms is not None and 495 < second.rtt_ms < 700


def test_a_line_that_stays_slow_is_good_in_every_round_but_the_first(far: Far, late: Late) -> None:
    far.delay = 1.0
    results = []
    for timeout in (0.3, 0.3, 0.6, 0.6, 0.6):  # the smoothed round trip grows
        results += far.ask("icmp://9.9.9.6", timeout=timeout, late=late)
        time.sleep(0.5)
    assert [result.connectivity for result in results] == [LIMITED, FULL, FULL, FULL, FULL]
    assert all(result.rtt_ms is None or 995 < result.rtt_ms < 1300 for result in results)


def test_without_a_memory_a_late_reply_is_lost_as_ever(far: Far) -> None:
    for _ in range(2):
        assert far.ask("icmp://9.9.9.6", late=None)[0].connectivity is LIMITED
        time.sleep(0.4)


def test_a_reply_beyond_the_patience_does_not_count(far: Far) -> None:
    short = Late(0.4)
    for _ in range(3):
        assert far.ask("icmp://9.9.9.6", "tcp://9.9.9.6:7000", late=short)[0].connectivity is LIMITED
        time.sleep(0.2)
    short.close()


def test_a_late_reply_answers_its_own_target_and_way_only(far: Far, late: Late) -> None:
    first = far.ask("icmp://9.9.9.6", late=late)
    time.sleep(0.4)
    assert first[0].connectivity is LIMITED
    nobody = "icmp://" + BLACK_HOLE[Family.IPV4]
    assert far.ask(nobody, "tcp://9.9.9.6:7000", timeout=0.2, late=late)[0].connectivity is LIMITED
    other = far.uplink.job("icmp://9.9.9.6", timeout=0.2)._replace(uplink="other")
    with inside(far.lab.machine):
        assert runner.run([other], root=str(far.lab.root), late=late)[0].connectivity is LIMITED
    assert far.ask("icmp://9.9.9.6", timeout=0.2, late=late)[0].connectivity is FULL


def test_what_is_kept_is_bounded_and_closed_at_the_end(far: Far) -> None:
    far.delay = 0
    gc.collect()  # what earlier tests have left is not closed in the midst of this one
    before = len(os.listdir("/proc/self/fd"))
    late = Late()
    nobody = "icmp://" + BLACK_HOLE[Family.IPV4]
    for _ in range(PER_TARGET + 3):
        far.ask(nobody, nobody, timeout=0.01, late=late)
    assert len(os.listdir("/proc/self/fd")) == before + PER_TARGET
    late.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_too_old_is_closed(far: Far) -> None:
    far.delay = 0
    before = len(os.listdir("/proc/self/fd"))
    late = Late(0.1)
    far.ask("icmp://" + BLACK_HOLE[Family.IPV4], timeout=0.05, late=late)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    time.sleep(0.3)
    assert far.ask("icmp://9.9.9.6", late=late)[0].connectivity is FULL
    assert len(os.listdir("/proc/self/fd")) == before
