"""How much memory a command takes, at most."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST = 64 << 10  # KiB, for a run that probes, tells or mails, with any answer of its peers
# Linux passes the peak of a parent on to its child, so the one that measures is small.
_SCRIPT = """
import os, sys
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_maxrss, flush=True)
os._exit(os.waitstatus_to_exitcode(status))
"""


class Measured(NamedTuple):
    """A command that has ended."""

    code: int
    said: str
    errors: str
    peak: int  # KiB


def measured(argv: Sequence[str], env: Mapping[str, str], within: Sequence[str] = (), timeout: float = 60) -> Measured:
    """Run a command, started by the wrapper `within`, to its end."""
    done = subprocess.run(
        [*within, sys.executable, "-IS", "-c", _SCRIPT, *argv],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    said, _, peak = done.stdout.rstrip("\n").rpartition("\n")
    return Measured(done.returncode, said, done.stderr, int(peak))
