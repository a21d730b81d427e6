"""Tells what a program finds at its start, and ends as it is told: `found.py MODULE exit|raise|die|print`."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

LIBRARIES = ("mwan_hook", "pyroute2", "configobj", "filelock", "dns", "jeepney")


def found() -> dict[str, object]:
    """All that a start hands to a program."""
    handlers = {number: str(signal.getsignal(number)).partition(" at ")[0] for number in signal.valid_signals()}
    return {
        "words": sys.argv,
        "flags": str(sys.flags),
        "path": sys.path,
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "open": sorted(os.listdir("/proc/self/fd"))[:-1],
        "network": os.stat("/proc/self/ns/net").st_ino,
        "devices": sorted(os.listdir("/sys/class/net")),
        "signals": {int(number): name for number, name in handlers.items()},
        "limits": [resource.getrlimit(number) for number in range(16)],
        "umask": os.umask(0o22),
        "groups": [os.getuid(), os.getgid(), os.getgroups()],
        "input": sys.stdin.read(),
        "streams": [
            (stream.encoding, stream.errors, stream.line_buffering, stream.seekable())
            for stream in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "threads": len(os.listdir("/proc/self/task")),
    }


def main() -> None:
    """See the module's words."""
    module = __import__(sys.argv[1])
    imported = sorted(name for name in sys.modules if name.partition(".")[0] in LIBRARIES)
    drawn = module.random() if sys.argv[1] == "random" else 0
    print(json.dumps({**found(), "imported": imported, "drawn": drawn}))
    if sys.argv[2] == "raise":
        raise ValueError("as it was told")
    if sys.argv[2] == "die":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGTERM)
    if sys.argv[2] == "exit":
        sys.exit(3)


if __name__ == "__main__":
    main()
