"""python -m tests.bench [--quick] [NAME...]: run benchmarks, all of them without names, and print the tables.

`--quick`: fewer and shorter ones, where a benchmark knows how (`connections`).
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from tests.bench import blackhole, common, connections, copies, events, fates, instant, traffic
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
CONNECTIONS = "connections"


def machine() -> str:
    """What it ran on, in a line."""
    lines_ = Path("/proc/cpuinfo").read_text().splitlines()
    found = [line.split(":")[1].strip() for line in lines_ if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in ("pyroute2", "requests", "filelock", "configobj"))
    cores = f"{len(found)} x {found[0]}" if found else platform.machine()
    return f"Linux {platform.release()}, Python {platform.python_version()}, {packages}; {cores}"


def main() -> int:
    """See the module's words."""
    words = [word for word in sys.argv[1:] if word != "--quick"]
    names = words or [*ALL, CONNECTIONS]
    unknown = set(names) - {*ALL, CONNECTIONS}
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join([*ALL, CONNECTIONS])}", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    begun, found, kept = time.monotonic(), list[Row](), list[fates.Kept]()
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        if name == CONNECTIONS:
            kept += connections.rows(connections.QUICK if len(words) < len(sys.argv) - 1 else connections.WHOLE)
        else:
            found += ALL[name]()
    for table in [lines(found)] * bool(found) + [lines(kept, fates.HEAD)] * bool(kept):
        print("\n".join(["", *table]))
    print(f"\n{time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
