"""The installed command that is measured."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterable

from tests.bench.spawner import Took
from tests.lab import Router

COMMAND = os.environ.get("MWAN_BENCH_COMMAND", "")
NOTHING = (sys.executable, "-c", "pass")


def words(router: Router, *arguments: str) -> list[str]:
    """The command line of `mwan-hook ARGUMENTS` on a router's files."""
    return [COMMAND, "--root", str(router.root), *arguments]


def interpreter() -> list[str]:
    """The words of the command's first line: a tool that runs a program must be given the program, not a script."""
    with open(COMMAND, encoding="utf-8") as script:
        return script.readline().removeprefix("#!").split()


def wall(runs: Iterable[Took]) -> float:
    """Median milliseconds."""
    return statistics.median(run.wall_ms for run in runs)


def slowest_answer(router: Router) -> float:
    """Milliseconds of the slowest target's last answer."""
    uplinks = router.status()["uplinks"].values()
    found = [target["rtt_ms"] or 0.0 for u in uplinks for f in ("ipv4", "ipv6") for target in u[f]["targets"]]
    return max(found, default=0.0)


def uplinks(count: int) -> str:
    """The section of uplinks eth1, eth2, ... by falling preference."""
    return "[uplinks]\n" + "".join(f"[[isp{n}]]\nmatch = eth{n}\nmetric = {100 * n}\n" for n in range(1, count + 1))
