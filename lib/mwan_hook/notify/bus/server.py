"""``mwan-hook bus``: the process that the bus starts for a call.  It leaves when no call has come for a while."""

from __future__ import annotations

import gc
import os
import socket
import time

from mwan_hook.model import MwanError
from mwan_hook.notify.bus import files
from mwan_hook.notify.bus.link import BusLink

LOOK = 1.0  # seconds between two looks at the state file while no call comes
BARRIER = 2.0  # seconds that systemd gets to read what it was told


def serve(root: str, idle: float) -> int:
    """Answer for every interface until ``idle`` seconds went by without a call.  Raises MwanError."""
    gc.enable()  # callers may keep us for long
    with BusLink(root) as link:
        link.look()
        _names(link)
        if not link.names:
            raise MwanError("no run has seen an uplink's interface yet: there is nothing to tell")
        tell_systemd("READY=1")
        end = time.monotonic() + idle
        while (now := time.monotonic()) < end:
            message = link.receive(min(LOOK, end - now))
            if message is not None and link.handle(message):
                end = time.monotonic() + idle
            link.refresh()
            link.look()
            _names(link)
        tell_systemd("STOPPING=1")  # before the names go: a call after that starts us anew
    return 0


def _names(link: BusLink) -> None:
    """Take exactly the names of what there is; behind another owner, wait for it to leave.

    Those too that only the bus still knows, so that a call of them gets an error at once and not a time-out.
    """
    wanted = link.devices.keys() | files.words(link.root)
    for word in wanted - link.names:
        link.own(word)
    link.give_up(*(link.names - wanted))


def tell_systemd(words: str) -> None:
    """sd_notify(3), and wait until it is read; nothing where systemd does not ask for it."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return
    where = "\0" + name[1:] if name.startswith("@") else name
    ours, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(where)
            sender.send(words.encode())
            socket.send_fds(sender, [b"BARRIER=1"], [theirs])
        finally:
            os.close(theirs)
    _closed(ours)


def _closed(descriptor: int) -> None:
    """Wait until the other end of the pipe is closed."""
    import select

    try:
        select.select([descriptor], [], [], BARRIER)
    finally:
        os.close(descriptor)
