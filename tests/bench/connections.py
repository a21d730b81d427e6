"""Many connections of a LAN client and of the machine itself through a failover and a failback."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.bench import talk
from tests.bench.fates import Kept, Noted, row
from tests.lab import Lab, LabError, Netns, topologies, wait_for
from tests.lab.topologies import Network
from tests.lab.uplinks import FIBER_LTE_IPV4, probing

SERVER = "198.51.100.7"
TIMER, PAUSE = 1.0, 0.2
PATIENCE = 5 * PAUSE
NAMES = {"10.1.0.2": "fiber", "10.2.0.2": "lte"}
PROBE = probing("icmp://9.9.9.9, icmp://8.8.8.8", interval=1, timeout=0.5)
DROP = "add table inet far\nadd chain inet far f { type filter hook forward priority 0; }\n"
PROGRAM = [sys.executable, "-IS", str(Path(talk.__file__).resolve())]


class Case(NamedTuple):
    """One configuration; `lte` is added to the backup's section."""

    name: str
    router: str
    lte: str


class Sizes(NamedTuple):
    """Flows of each protocol behind the router and of the router, and how long each part lasts."""

    client: int
    own: int
    outage: float
    after: float


WHOLE, QUICK = Sizes(200, 50, 14.0, 14.0), Sizes(20, 5, 9.0, 7.0)
OWN_AFTER = 3
CASES = (
    Case("pin, hard", f"pin = yes\nown_after = {OWN_AFTER}", "failback = hard"),
    Case("no pin, hard", f"pin = no\nown_after = {OWN_AFTER}", "failback = hard"),
    Case("pin, soft, own = keep", "pin = yes\nown = keep", "failback = soft"),
)


def rows(sizes: Sizes = WHOLE) -> Iterator[Kept]:
    """All of this module's."""
    for case in CASES:
        with Lab() as lab:
            net = _internet(topologies.probed(lab, 2, client=True))
            net.router.configure(
                f"[router]\nmasquerade = yes\n{case.router}\n{PROBE}{FIBER_LTE_IPV4.rstrip()}\n{case.lte}\n"
            )
            for _ in range(3):
                net.router.check()
            yield from _through(net, case, sizes)


def _internet(net: Network) -> Network:
    """One server behind both providers: what changes its address is another connection to it."""
    net.router.ns.nft("delete table ip lab\n")
    far = net.lab.netns("far")
    far.batch("link set lo up", f"addr add {SERVER}/32 dev lo")
    far.sysctl({"ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0})
    for n, isp in enumerate(net.isps, 1):
        far.batch(
            f"link add isp{n} type veth peer name world netns {isp.ns.name}",
            f"addr add 10.9.{n}.1/30 dev isp{n}",
            f"link set isp{n} up",
        )
        isp.ns.batch(f"addr add 10.9.{n}.2/30 dev world", "link set world up", f"route add {SERVER} via 10.9.{n}.1")
        far.ip(f"route add 10.{n}.0.0/24 via 10.9.{n}.2")
        isp.ns.sysctl({"ipv4/ip_forward": 1})
        isp.ns.nft(DROP)
    log = net.lab.spawn(far.argv(*PROGRAM, "serve", SERVER), "server")
    wait_for("the server", lambda: "ready" in log.read_text(), 30)
    return net


def _begin(stack: ExitStack, ns: Netns, count: int) -> subprocess.Popen[str]:
    words = ns.argv(*PROGRAM, "talk", SERVER, str(count), str(count), str(PAUSE))
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(process.kill)
    return process


def _end(process: subprocess.Popen[str]) -> list[Noted]:
    flows: list[Noted] = json.loads(process.communicate(timeout=60)[0])
    if any(not flow["answers"] for flow in flows):
        raise LabError("a flow was never answered")
    return flows


def _run_until(net: Network, end: float) -> None:
    """`check` as a timer starts it."""
    while time.monotonic() < end:
        due = time.monotonic() + TIMER
        net.router.mwan("check")
        time.sleep(max(0.0, min(due, end) - time.monotonic()))


def _through(net: Network, case: Case, sizes: Sizes) -> Iterator[Kept]:
    assert net.client
    isp = net.isps[0]
    with ExitStack() as stack:
        talking = [_begin(stack, net.client, sizes.client), _begin(stack, net.router.ns, sizes.own)]
        _run_until(net, time.monotonic() + 3)
        time.sleep(random.random() * TIMER)
        begun = time.monotonic()
        isp.ns.nft("add rule inet far f drop\n")
        with isp.broken("blackhole"):
            _run_until(net, begun + sizes.outage)
            back = time.monotonic()
        isp.ns.nft("flush chain inet far f\n")
        _run_until(net, back + sizes.after)
        over = time.monotonic()
        flows = [_end(process) for process in talking]
    for event, span in (("failover", (begun, back)), ("failback", (back, over))):
        yield from _judged(f"{event}, {case.name}", flows, span)


def _judged(what: str, flows: Sequence[Sequence[Noted]], span: tuple[float, float]) -> Iterator[Kept]:
    for whose, found in zip(("of a client", "of the machine"), flows, strict=True):
        for kind in ("tcp", "udp"):
            chosen = [flow for flow in found if flow["kind"] == kind]
            yield row(f"{what}: {kind.upper()} {whose}", chosen, span, PATIENCE, NAMES)
