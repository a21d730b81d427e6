"""Dials that are killed before their first, second, third ... effect, each followed by a hang-up or another dial.

    python -m tests.netns.modem_killed ROOT BUS MODEM      in the namespace; prints a list, a point each

Runs are forks of this process, which has all of the program already.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from mwan_hook import config
from mwan_hook.__main__ import guarded
from mwan_hook.commands import modem
from mwan_hook.kernel import bulk
from mwan_hook.modem import connect, interface, memory
from mwan_hook.modem.bus import Caller
from mwan_hook.store import files
from tests.lab.modems import Modems

MOST = 100
effects = 0


def killed_before(number: int) -> None:
    """Have this process killed before that effect: a call on the bus, a message to the kernel, a file."""

    def counted(action: Callable[..., Any]) -> Callable[..., Any]:
        def effect(*words: Any, **named: Any) -> Any:
            global effects  # noqa: PLW0603 - of this fork
            effects += 1
            if effects == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return action(*words, **named)

        return effect

    Caller.call = counted(Caller.call)  # type: ignore[method-assign]
    bulk.send = counted(bulk.send)
    files.replace = counted(files.replace)


def forked(root: str, hang_up: bool, number: int = 0) -> int:
    """The exit status of a run; -9 if it was killed."""
    pid = os.fork()
    if not pid:
        os.dup2(2, 1)
        killed_before(number)
        os._exit(guarded(lambda: modem.run(root, "wwan0", hang_up)))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def seen(modems: Modems, code: int) -> dict[str, Any]:
    """What a run has left."""
    link = interface.link("wwan0")
    addresses, defaults = interface.standing(link.index if link else 0)
    return {
        "addresses": sorted(one for one in addresses if not one.startswith("fe80")),
        "defaults": [interface.entry(one) for one in defaults],
        "bearers": list(modems.modem["bearers"].values()),
        "code": code,
    }


def main() -> None:
    """All points, until one is beyond the end of a dial."""
    root, address, told = sys.argv[1:]
    modems, points = Modems(address), []
    connect.LOOK = 0.02
    config.look(root)  # each fork would import the parser
    for number in range(1, MOST):
        modems.plug(json.loads(told))
        files.discard(files.under(root, memory.PINS))
        if forked(root, False, number) != -signal.SIGKILL:
            break
        point: dict[str, Any] = {"number": number, "hung_up": seen(modems, forked(root, True))}
        forked(root, False, number)
        point["dialled"] = seen(modems, forked(root, False))
        point["pins"] = modems.count("SendPin")
        points.append(point)
        forked(root, True)
    print(json.dumps(points))


if __name__ == "__main__":
    main()
