"""A line that is cut beyond its gateway, and a timer: until new connections leave by the next uplink."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.bench.table import Row, against, at_most
from tests.lab import Lab, LabError, topologies
from tests.lab.topologies import Network

TIMER = 10.0
LABS, EACH = 5, 4
REPETITIONS = LABS * EACH
REFERENCE = TIMER / 2 + 1
# networkd-like leases; the rest is what ships
CONFIG = """
[probe]
portal_interval = 0
targets = icmp://9.9.9.9, icmp://8.8.8.8, icmp://1.1.1.1
[uplinks]
[[one]]
match = enp0s8
metric = 200
[[two]]
match = enp0s9
metric = 300
"""
# a new connection every 20 ms; a refusal comes from the other end as well as a yes
CONNECT = """
import select, socket, sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(("9.9.9.9", 7))
        waiting = select.poll()
        waiting.register(sock, select.POLLOUT)
        if waiting.poll(20) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, 111):
            print(time.monotonic())
            break
"""


def rows() -> Iterator[Row]:
    """All of this module's."""
    # one fault in each twentieth of the timer's period: the mean of all phases without their luck
    phases = [(number + random.random()) * TIMER / REPETITIONS for number in range(REPETITIONS)]
    random.shuffle(phases)
    with ExitStack() as stack:
        networks = [topologies.two_dynamic(stack.enter_context(Lab())) for _ in range(LABS)]
        with ThreadPoolExecutor(LABS) as pool:
            shares = [phases[place::LABS] for place in range(LABS)]
            took = [one for found in pool.map(_outages, networks, shares) for one in found]
    what = "black hole to new connections over the next uplink, timer 10 s"
    yield against(f"{what}: mean of {REPETITIONS}, against T/2 + 1 s", statistics.mean(took), REFERENCE, "s", 1.3)
    yield at_most("the same: the longest", max(took), "s")
    beyond = statistics.mean(took) - statistics.mean(TIMER - phase for phase in phases)
    yield at_most("the same: mean from the timer's next run to the first connection", beyond, "s")


def _outages(net: Network, phases: list[float]) -> list[float]:
    return [_outage(net, phase) for phase in phases]


def _outage(net: Network, phase: float) -> float:
    """Seconds from the fault to the first connection that works; the timer fired `phase` seconds before the fault."""
    router, isp = net.router, net.isps[0]
    router.configure(CONFIG)
    router.mwan("flush")
    for _ in range(3):
        router.check()
    fired = time.monotonic()
    router.mwan("check")
    time.sleep(max(0.0, fired + phase - time.monotonic()))
    with isp.broken("blackhole"), ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        connected = pool.submit(router.ns.run, "python3", "-c", CONNECT, "45")
        while not connected.done():
            fired += TIMER
            while time.monotonic() < fired and not connected.done():
                time.sleep(0.02)
            if not connected.done():
                router.mwan("check")
    if not connected.result().stdout:
        raise LabError("no connection worked within 45 s")
    return float(connected.result().stdout) - begun
