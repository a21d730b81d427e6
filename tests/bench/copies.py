"""Tables of 10,000 routes that are copied into an uplink's table."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator

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
FEW = 10
FLAGS = {"ipv4": "-4", "ipv6": "-6"}
NAMES = {"ipv4": "IPv4", "ipv6": "IPv6"}
RAW = (sys.executable, "-m", "tests.bench.raw")


def rows() -> Iterator[Row]:
    """All of this module's."""
    for family in NAMES:
        with Lab() as lab, Lab() as little:
            router = _with_routes(lab, family, ROUTES)
            yield from _rebuild(lab, router, _with_routes(little, family, FEW), family)
            yield from _reconcile(lab, router, family)


def _with_routes(lab: Lab, family: str, count: int) -> Router:
    net = topologies.probed(lab, 1)
    net.router.ns.batch(*OTHER, *foreign(count, family))
    net.router.configure(CONFIG + subject.uplinks(1))
    return net.router


def _copied(router: Router, family: str) -> int:
    found = router.ns.run("ip", FLAGS[family], "route", "show", "table", str(TABLE), check=False).stdout
    return sum("other" in line for line in found.splitlines())


def _rebuild(lab: Lab, router: Router, small: Router, family: str) -> Iterator[Row]:
    """The whole run after `flush`, against ip(8) adding the same routes to an empty table, in turns."""
    batch = lab.dir / "batch"
    batch.write_text("".join(f"{line} table {TABLE}\n" for line in foreign(ROUTES, family)))
    ip = shutil.which("ip")
    assert ip
    ours, beside, theirs, floor = [], [], [], []
    with Spawner(router.ns, lab.dir) as spawner, Spawner(small.ns, lab.dir) as spawner_of_small:
        for _ in range(REBUILDS):
            router.mwan("flush")
            small.mwan("flush")
            theirs.append(spawner.run(ip, FLAGS[family], "-batch", str(batch)))
            floor.append(_floor(router, family))
            router.ns.ip(f"{FLAGS[family]} route flush table {TABLE}")
            ours.append(spawner.run(*subject.words(router, "check")))
            beside.append(spawner_of_small.run(*subject.words(small, "check")))
            if _copied(router, family) != ROUTES:
                raise LabError(f"{_copied(router, family)} routes were copied")
    what, wall, of_ip = f"rebuild of {ROUTES:,} copied {NAMES[family]} routes", subject.wall(ours), subject.wall(theirs)
    yield against(f"{what}: the whole run after `flush`, against `ip -batch`", wall, of_ip, "ms", 1)
    more = statistics.median(one.wall_ms - other.wall_ms for one, other in zip(ours, beside, strict=True))
    yield against(f"the same: beyond the same run with {FEW} routes", more, of_ip, "ms")
    yield against("for comparison: the kernel's floor (ready messages, sent)", statistics.median(floor), of_ip, "ms")


def _floor(router: Router, family: str) -> float:
    """Milliseconds to send ready messages for the table's routes; the table is emptied in between."""
    with subprocess.Popen(
        router.ns.argv(*RAW, "send", family, str(TABLE)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        if int(process.stdout.readline()) < ROUTES:
            raise LabError("the table is not full")
        router.ns.ip(f"{FLAGS[family]} route flush table {TABLE}")
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
