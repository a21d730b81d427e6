"""A command that is killed before or after the given rename(2), by which every file of ours gets its content."""

from __future__ import annotations

import signal

from tests.lab import Router
from tests.lab.process import run

DYING = """
import os, posix, signal, sys
left, real, when = int(os.environ["RENAMES"]), os.rename, os.environ["WHEN"]
def rename(*paths):
    global left
    left -= 1
    if not left and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
    if not left and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
os.rename = posix.rename = rename
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""


def killed(router: Router, number: int, when: str, *words: str) -> bool:
    """Run `mwan-hook WORDS` to its end at that rename; whether it came so far."""
    argv = router.ns.argv(router.python, "-c", DYING, "--root", str(router.root), *words)
    env = {"RENAMES": str(number), "WHEN": when, **router.environment()}
    code = run(argv, check=False, env=env).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0
