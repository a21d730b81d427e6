"""Carrier loss and unplug: what traffic loses before any of our runs, on a grid of 1 ms."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

from tests.bench.table import Row, at_most
from tests.lab import Lab, LabError, Line, topologies
from tests.lab.topologies import Network

REPETITIONS = 15
CONFIG = """
[probe]
portal_interval = 0
targets = icmp://8.8.8.8
rise = 1
hysteresis_delay = 0
[uplinks]
[[fixed]]
match = enp1s0
metric = 100
gateway = 192.168.1.1
[[usb1]]
match = enp0s20u1
metric = {second}
gateway = 192.168.3.1
[[usb2]]
match = enp0s20u2
metric = 300
gateway = 192.168.4.1
"""
# echo requests each millisecond until the input ends; prints when those were sent that were answered
STREAM = """
import select, socket, struct, sys, time
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
sock.setblocking(False)
sent, answered = [], set()
due = time.monotonic()
while not (select.select([sys.stdin, sock], [], [], max(0, due - time.monotonic()))[0][:1] == [sys.stdin]):
    try:
        while True:
            packet = sock.recv(200)
            kind, _, _, name, number = struct.unpack_from("!BBHHH", packet, 20)
            if (kind, name) == (0, 4711):
                answered.add(number)
    except BlockingIOError:
        pass
    now = time.monotonic()
    if now >= due:
        header = struct.pack("!BBHHH", 8, 0, 0, 4711, len(sent))
        try:
            sock.sendto(struct.pack("!BBHHH", 8, 0, checksum(header), 4711, len(sent)), ("9.9.9.9", 0))
        except OSError:
            pass
        sent.append(now)
        due = max(due + 0.001, now)
        if len(sent) == 1:
            print("begun", flush=True)
print(*(sent[number] for number in sorted(answered)))
"""
Break = Callable[[Network, Line], None]


def rows() -> Iterator[Row]:
    """All of this module's."""
    with Lab() as lab:
        net = topologies.three_uplinks(lab)
        for second, how in ((200, "the best uplink"), (100, "one of two that share")):
            net.router.configure(CONFIG.format(second=second))
            net.router.mwan("flush")
            for name, broken, mended in (("carrier loss", _cut, _joined), ("unplug", _unplugged, _plugged)):
                gaps = [_gap(net, broken, mended) for _ in range(REPETITIONS)]
                what = f"{name} of {how} to traffic over the next, no run of ours: median of {REPETITIONS}"
                yield at_most(what, statistics.median(gaps), "ms", 10)
                yield at_most("the same: the longest", max(gaps), "ms")
        yield from _without_us(net)


def _cut(net: Network, line: Line) -> None:
    line.isp.port(line.interface, False)


def _joined(net: Network, line: Line) -> None:
    net.router.carrier(line.interface, True)


def _unplugged(net: Network, line: Line) -> None:
    net.router.unplug(line.interface)


def _plugged(net: Network, line: Line) -> None:
    net.router.plug(line)


def _gap(net: Network, broken: Break, mended: Break) -> float:
    """Milliseconds between the last probe that was answered before and the first after, by their sending."""
    net.router.check()
    for _ in range(20):
        if net.router.way_out()[:1] == ["fixed"]:
            break
        net.router.check()
    line: list[Line] = []
    found = _longest(net, lambda: line.append(_broken(net, broken)), 0.6)
    mended(net, line[0])
    net.router.event("add", line[0].interface)
    return found


def _broken(net: Network, broken: Break) -> Line:
    """Break the uplink that carries the client's flow."""
    carries = _carrier_of_flow(net)
    broken(net, carries)
    return carries


def _carrier_of_flow(net: Network) -> Line:
    for isp in net.isps:
        isp.forget()
    for _ in range(50):
        for line in net.lines.values():
            if any(packet.destination == "9.9.9.9" for packet in line.isp.seen()):
                return line
    raise LabError("no provider sees the client's traffic")


def _longest(net: Network, fault: Callable[[], None], wait: float) -> float:
    assert net.client
    with subprocess.Popen(
        net.client.argv("python3", "-c", STREAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stream:
        assert stream.stdin
        assert stream.stdout
        stream.stdout.readline()
        time.sleep(0.1)
        fault()
        time.sleep(wait)
        stream.stdin.close()
        answered = [float(word) for word in stream.stdout.read().split()]
        ended = time.monotonic()
    times = [*answered, ended] if not answered or ended - answered[-1] > wait / 2 else answered
    return max(later - earlier for earlier, later in pairwise(times)) * 1000


def _without_us(net: Network) -> Iterator[Row]:
    """Two defaults of different metric in main, default sysctls, no program that acts."""
    net.router.mwan("flush")
    for metric, line in enumerate(net.lines.values(), 1):
        net.router.ns.ip(f"route add default via {line.isp.gateway} dev {line.interface} metric {metric}")
    first = next(iter(net.lines.values()))
    lost = _longest(net, lambda: first.isp.port(first.interface, False), 3)
    yield at_most("for comparison: carrier loss, plain defaults by metric, after 3 s still", lost, "ms")
