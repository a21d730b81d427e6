"""A process that takes the state lock: lock_worker.py ROOT WAIT add|hold|overdue|stop|die

add: reads a number from ROOT/number, sleeps a little, and writes it back plus one, all under the lock.
hold: takes it, says so, and sleeps until it is killed.  overdue: the same, but should have let it go by now.
stop: the terminal asks it to stop while it has the lock; it says so, lets the lock go a little later, and sleeps.
die: is killed in the midst of replacing the state.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from mwan_hook.model import MwanError, State
from mwan_hook.store import files, lock, state


def add(root: Path) -> None:
    """A lost update shows if two hold the lock."""
    number = root / "number"
    before = int(number.read_text())
    time.sleep(0.002)
    number.write_text(str(before + 1))


def die(root: Path) -> None:
    """Between the write of the new file and its rename."""

    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    files.os.rename = killed  # type: ignore[attr-defined]
    state.save(str(root), State(config="never seen"))


def main(root: str, wait: str, what: str) -> int:
    """0, or the error's exit status."""
    taken = lock.look(root, float(wait))
    if what == "overdue":
        taken.longest = -1.0
    try:
        with taken:
            if what == "add":
                add(Path(root))
            elif what == "die":
                die(Path(root))
            elif what == "stop":
                os.kill(os.getpid(), signal.SIGTSTP)
                print("held", flush=True)
                time.sleep(0.5)
            else:
                print("held", flush=True)
                time.sleep(60)
        if what == "stop":
            time.sleep(60)
    except MwanError as error:
        print(error, file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
