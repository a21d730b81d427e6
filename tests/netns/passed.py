"""Starts a command as a systemd socket unit does, and tells whether the kernel's news are over when it has ended.

    passed.py GROUPS[,GROUPS...] COMMAND...

Before the command starts, and after it, the interface `noise` is made and taken away, so that there is news.
The last line printed is `CODE BEFORE AFTER`: its exit code, and whether a socket was readable before and after it.
"""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
from pathlib import Path

FIRST = 3  # SD_LISTEN_FDS_START
NETLINK_ROUTE = 0
UNIT = Path(__file__).parents[2] / "systemd/mwan-hook-netlink.socket"
GROUPS = tuple(map(int, re.findall(r"^ListenNetlink=route (\d+)$", UNIT.read_text(), re.MULTILINE)))


def listen(groups: int) -> socket.socket:
    """A socket of a `ListenNetlink=route GROUPS`."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    sock.bind((0, groups))
    return sock


def readable(sockets: list[socket.socket]) -> bool:
    """Whether systemd would start the service."""
    return bool(select.select(sockets, [], [], 0)[0])


def start(sockets: list[socket.socket], command: list[str]) -> int:
    """The command with the sockets as sd_listen_fds(3) says; its exit code."""
    pid = os.fork()
    if not pid:
        for place, high in enumerate([os.dup(sock.fileno()) for sock in sockets]):
            os.dup2(high, FIRST + place)
            os.set_inheritable(FIRST + place, True)  # dup2() onto itself changes nothing
        os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))}
        os.execvp(command[0], command)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(groups: str, *command: str) -> None:
    """See above."""
    sockets = [listen(int(number)) for number in groups.split(",")]
    subprocess.run(["ip", "link", "add", "noise", "type", "veth", "peer", "name", "noise2"], check=True)
    subprocess.run(["ip", "link", "del", "noise"], check=True)
    before = readable(sockets)
    code = start(sockets, list(command))
    print(code, before, readable(sockets), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
