"""From an event to right tables: `event` is started at once, the last write of ours is what counts."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.bench import subject
from tests.bench.spawner import Spawner
from tests.bench.table import Row, at_most
from tests.lab import Lab, LabError, topologies
from tests.lab.process import spawn, wait_for
from tests.lab.topologies import Network

REPETITIONS = 9
OURS = re.compile(r"\bproto (?:172|mwan)\b")
CONFIG = """
[probe]
portal_interval = 0
targets = icmp://9.9.9.9, icmp://[2620:fe::fe]
rise = 1
hysteresis_delay = 0
[uplinks]
[[one]]
match = enp0s8
metric = 200
[[two]]
match = enp0s9
metric = 300
"""
OTHER_ADDRESS, OTHER_GATEWAY = "172.30.255.77", "172.30.255.254"


class Kind(NamedTuple):
    """A change, and the one that takes it back; each is the kernel's event number `action`."""

    name: str
    there: Callable[[Network], None]
    back: Callable[[Network], None]
    action: str = "change"


def rows() -> Iterator[Row]:
    """All of this module's."""
    with Lab() as lab:
        net = topologies.two_dynamic(lab)
        net.isps[0].ns.ip(f"addr add {OTHER_GATEWAY}/24 dev lan")
        net.router.configure(CONFIG)
        for _ in range(3):
            net.router.check()
        with Spawner(net.router.ns, lab.dir) as spawner:
            log = _listen(lab, net)
            for kind in KINDS:
                took = [_once(net, spawner, log, kind) for _ in range(REPETITIONS)]
                what = f"{kind.name} to right tables: median of {REPETITIONS}"
                yield at_most(what, statistics.median(took), "ms", 40)


def _listen(lab: Lab, net: Network) -> Path:
    log = lab.dir / "routes.log"
    lab.children.append(spawn(["ip", "-n", net.router.ns.name, "-ts", "-o", "monitor", "route", "rule"], log))
    lab.ledger.add_pid(lab.children[-1].pid)
    time.sleep(0.3)
    return log


def _once(net: Network, spawner: Spawner, log: Path, kind: Kind) -> float:
    """Milliseconds from the start of the run to our last write."""
    kind.there(net)
    before = log.stat().st_size
    run = spawner.run(*subject.words(net.router, "event", kind.action, "enp0s8"))
    lines = wait_for("what was written", lambda: _written(log, before))
    plan = net.router.mwan("plan").stdout
    if "ip " in plan:
        raise LabError(f"{kind.name}: the tables are not right: {plan}")
    kind.back(net)
    net.router.event("change", "enp0s8")
    for _ in range(10):
        if net.router.way_out()[:1] == ["one"]:
            return (lines[-1] - run.begun) * 1000
        net.router.check()
    raise LabError(f"{kind.name}: {net.router.status()}")


def _written(log: Path, start: int) -> list[float]:
    """When our routes and rules were written, seconds since the epoch."""
    with log.open() as file:
        file.seek(start)
        lines = [line for line in file if OURS.search(line)]
    return [datetime.fromisoformat(line[1 : line.index("]")]).timestamp() for line in lines]


def _carrier(on: bool) -> Callable[[Network], None]:
    return lambda net: net.router.carrier("enp0s8", on)


def _unplug(net: Network) -> None:
    net.router.unplug("enp0s8")


def _plug(net: Network) -> None:
    net.router.plug(net.lines["enp0s8"])


def _plug_anew(net: Network) -> None:
    _unplug(net)
    net.router.event("remove", "enp0s8")
    _plug(net)


def _lease(address: str, gateway: str) -> Callable[[Network], None]:
    """Another lease: the address and the default route are replaced."""

    def taken(net: Network) -> None:
        ns = net.router.ns
        old = [o for o in ns.objects("-4 route show default dev enp0s8") if o.get("protocol") != "172"]
        ns.batch(
            *[f"route del default dev enp0s8 metric {route['metric']}" for route in old],
            "addr flush dev enp0s8 scope global to 172.30.255.0/24",
            f"addr add {address}/24 dev enp0s8",
            f"route add default via {gateway} dev enp0s8 proto dhcp src {address} metric 200",
        )

    return taken


def _nothing(net: Network) -> None:
    pass


FIRST = ("172.30.255.4", "172.30.255.1")
KINDS = (
    Kind("carrier loss", _carrier(False), _carrier(True)),
    Kind("unplug", _unplug, _plug, "remove"),
    Kind("plug-in, with its verdict", _plug_anew, _nothing, "add"),
    Kind("another address, with its verdict", _lease(OTHER_ADDRESS, FIRST[1]), _lease(*FIRST)),
    Kind("another gateway, with its verdict", _lease(FIRST[0], OTHER_GATEWAY), _lease(*FIRST)),
)
