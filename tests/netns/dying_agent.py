"""Runs mwan-hook as told by its command line, until rename(2) is called for the RENAMES-th time: see dying.py."""

from __future__ import annotations

import itertools
import os
import posix
import signal
import sys
from typing import Any


def main() -> None:
    """See the module's words."""
    from mwan_hook import plainos
    from mwan_hook.__main__ import main as program

    last, when, real = int(os.environ["RENAMES"]), os.environ["WHEN"], posix.rename
    calls = itertools.count(1)

    def rename(*paths: Any) -> None:
        now = next(calls) == last
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real(*paths)
        if now and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    for module in (os, posix, plainos):
        module.rename = rename  # type: ignore[attr-defined]
    sys.exit(program())


if __name__ == "__main__":
    main()
