"""Compile what the demonstration runs, before any clock of it runs: on a slow machine that alone takes a minute."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LIB = PROJECT / "lib"
EVERY = 5.0  # seconds between two words


def modules() -> list[str]:
    """All of the program, with what it imports, and the laboratory's own programs."""
    program = [path.relative_to(LIB).with_suffix("").parts for path in sorted((LIB / "mwan_hook").rglob("*.py"))]
    names = [".".join(parts) for parts in program if parts[-1] not in ("__init__", "__main__")]
    return [*names, *(f"tests.lab.{name}" for name in ("serve", "flow", "relay", "lab", "topologies", "playground"))]


def mark() -> str:
    """What was compiled by whom."""
    newest = max(path.stat().st_mtime_ns for top in (LIB, PROJECT / "tests/lab") for path in top.rglob("*.py"))
    return f"{sys.version} {newest}"


def main() -> None:
    """See the module's words."""
    stamp = Path(sys.pycache_prefix or "/nowhere") / "complete"
    if stamp.is_file() and stamp.read_text() == mark():
        return
    print("Python's modules are compiled, this once ...", flush=True)
    names, said = modules(), time.monotonic()
    for number, name in enumerate(names):
        try:
            importlib.import_module(name)
        except ImportError as error:  # of what the demonstration does not need
            if name.startswith("tests."):
                raise
            print(f"  {name} is left out: {error}", flush=True)
        if time.monotonic() - said > EVERY:
            said = time.monotonic()
            print(f"  {number + 1} of {len(names)}", flush=True)
    if sys.pycache_prefix:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(mark())


if __name__ == "__main__":
    sys.path[0] = str(PROJECT)  # not this directory, whose names would hide others
    main()
