"""A command that is killed before or after the given rename(2), by which every file of ours gets its content."""

from __future__ import annotations

import os
import signal

from tests.lab import Router, starts


def killed(router: Router, number: int, when: str, *words: str) -> bool:
    """Run `mwan-hook WORDS` to its end at that rename; whether it came so far."""
    environment = {**os.environ, **router.environment(), "RENAMES": str(number), "WHEN": when}
    command = ["--root", str(router.root), *words]
    agent = "tests.netns.dying_agent:main"
    code = starts.run(agent, command, namespace=router.ns.name, environment=environment).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0
