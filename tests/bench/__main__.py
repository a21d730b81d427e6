"""python -m tests.bench [NAME...]: run benchmarks, all of them without names, and print the table."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from tests.bench import blackhole, common, copies, events, instant, traffic
from tests.bench.table import Row, lines

ALL: dict[str, Callable[[], Iterable[Row]]] = {
    "common": common.rows,
    "foreign": common.rows_foreign,
    "copies": copies.rows,
    "blackhole": blackhole.rows,
    "instant": instant.rows,
    "events": events.rows,
    "bytes": traffic.rows,
}


def machine() -> str:
    """What it ran on, in a line."""
    lines_ = Path("/proc/cpuinfo").read_text().splitlines()
    found = [line.split(":")[1].strip() for line in lines_ if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyroute2", "requests", "filelock", "configobj"))
    cores = f"{len(found)} x {found[0]}" if found else platform.machine()
    return f"Linux {platform.release()}, Python {platform.python_version()}, {packages}; {cores}"


def main() -> int:
    """See the module's words."""
    names = sys.argv[1:] or list(ALL)
    unknown = set(names) - set(ALL)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    begun, found = time.monotonic(), []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found += list(ALL[name]())
    print("\n".join(["", *lines(found)]))
    print(f"\n{time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
