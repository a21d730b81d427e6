"""Tables of 10,000 routes that are copied into an uplink's table."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import subject
from tests.bench.common import OTHER, foreign
from tests.bench.spawner import Spawner
from tests.bench.table import Row, against
from tests.lab import Lab, LabError, Router, topologies

ROUTES = 10_000
REBUILDS = 7
RECONCILES = 25
TABLE = 1001
CONFIG = "[routing]\ncopy_routes = main\n[probe]\nportal_interval = 0\ntargets = icmp://9.9.9.9\n"
NAMES = {"ipv4": "IPv4", "ipv6": "IPv6"}
RAW = (sys.executable, "-m", "tests.bench.raw")


def rows() -> Iterator[Row]:
    """All of this module's."""
    for family in NAMES:
        with Lab() as lab:
            router = _large(lab, family)
            yield from _rebuild(lab, router, family)
            yield from _reconcile(lab, router, family)


def _large(lab: Lab, family: str) -> Router:
    net = topologies.probed(lab, 1)
    net.router.ns.batch(*OTHER, *foreign(ROUTES, family))
    net.router.configure(CONFIG + subject.uplinks(1))
    return net.router


def _copied(router: Router, family: str) -> int:
    flag = "-4" if family == "ipv4" else "-6"
    found = router.ns.run("ip", flag, "route", "show", "table", str(TABLE), check=False).stdout
    return sum("other" in line for line in found.splitlines())


def _rebuild(lab: Lab, router: Router, family: str) -> Iterator[Row]:
    """The whole run after `flush`, against ip(8) adding the same routes to an empty table, in turns."""
    batch = lab.dir / "batch"
    batch.write_text("".join(f"{line} table {TABLE}\n" for line in foreign(ROUTES, family)))
    ip = next(str(path) for path in map(Path, ("/sbin/ip", "/usr/sbin/ip", "/bin/ip")) if path.exists())
    flag = "-4" if family == "ipv4" else "-6"
    ours, cpu, theirs, floor = [], [], [], []
    with Spawner(router.ns, lab.dir) as spawner:
        for _ in range(REBUILDS):
            router.mwan("flush")
            theirs.append(spawner.run(ip, flag, "-batch", str(batch)))
            floor.append(_floor(router, family))
            router.ns.ip(f"{flag} route flush table {TABLE}")
            ours.append(spawner.run(*subject.words(router, "check")))
            cpu.append(ours[-1].cpu_ms)
            if _copied(router, family) != ROUTES:
                raise LabError(f"{_copied(router, family)} routes were copied")
    what = f"rebuild of {ROUTES:,} copied {NAMES[family]} routes"
    wall = subject.wall(ours)
    yield against(f"{what}: the whole run after `flush`, against `ip -batch`", wall, subject.wall(theirs), "ms", 1)
    ready = f"for comparison: the kernel's floor ({NAMES[family]}: ready messages sent)"
    yield against(ready, statistics.median(floor), subject.wall(theirs), "ms")


def _floor(router: Router, family: str) -> float:
    """Milliseconds to send ready messages for the table's routes; the table is emptied in between."""
    with subprocess.Popen(
        router.ns.argv(*RAW, "send", family, str(TABLE)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        if int(process.stdout.readline()) < ROUTES:
            raise LabError("the table is not full")
        router.ns.ip(f"{'-4' if family == 'ipv4' else '-6'} route flush table {TABLE}")
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline())


def _reconcile(lab: Lab, router: Router, family: str) -> Iterator[Row]:
    for _ in range(3):
        router.check()
    words = [*RAW, family, str(router.root), str(RECONCILES)]
    with_listener = lab.monitor(router.ns)
    dumped, reconciled, count = map(float, router.ns.run(*words).stdout.split())
    written = with_listener.written()
    if written or count < ROUTES:
        raise LabError(f"{count} routes, and a reconcile without a change wrote:\n" + "\n".join(written[:5]))
    what = f"reconcile without a change at {ROUTES:,} copied {NAMES[family]} routes, nothing written"
    yield against(f"{what}, against one raw dump", reconciled, dumped, "ms", 3.5)
