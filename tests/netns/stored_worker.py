"""Runs mwan-hook on one stored state after the other, each in a process of its own that is forked ready to run.

A line of JSON in: the state file's content, and the words of the command.  A line out: exit code, what it said, and the
values of all sysctls of interfaces but the one that is ours to set.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from mwan_hook.__main__ import main

OURS = "ignore_routes_with_linkdown"
CRASHED = 99


def run(root: Path, content: str, words: list[str]) -> dict[str, object]:
    """One command on one state."""
    (root / "run/mwan-hook/state.json").write_text(content)
    said = root / "said"
    child = os.fork()
    if not child:
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        _leave(["--root", str(root), *words])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, "said": said.read_text(errors="replace"), "sysctls": sysctls()}


def _leave(words: list[str]) -> None:
    code = CRASHED
    try:
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the test is told of anything
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def sysctls() -> dict[str, str]:
    """Of all interfaces, both families."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for path in Path(f"/proc/sys/net/{family}/conf").glob("*/*"):
            if path.is_file() and path.name != OURS and os.access(path, os.R_OK):
                try:
                    found[str(path)] = path.read_text()
                except OSError as error:  # stable_secret where none is set
                    found[str(path)] = str(error)
    return found


if __name__ == "__main__":
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps(run(Path(sys.argv[1]), given["content"], given["words"])), flush=True)
