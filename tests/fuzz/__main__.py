"""By hand, and longer: ``python -m tests.fuzz [TIMES [SEED]]``; ten times as much, with a seed of the clock."""

from __future__ import annotations

import os
import sys
import time

times, seed = [*sys.argv[1:3], *("10", str(int(time.time())))[len(sys.argv) - 1 :]]
print(f"MWAN_FUZZ={times} MWAN_FUZZ_SEED={seed}", flush=True)
os.environ |= {"MWAN_FUZZ": times, "MWAN_FUZZ_SEED": seed}
os.execv(sys.executable, [sys.executable, "-m", "pytest", os.path.dirname(__file__), "-x"])
