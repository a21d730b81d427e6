"""The least that a Python program can do with a large table: one dump received and split, and one table sent.

raw.py FAMILY ROOT REPETITIONS     times, in turns: a dump of main; a reconcile that finds nothing to change
raw.py send FAMILY TABLE           reads a table, waits for a line, sends it all back to the kernel, tells the time
"""

from __future__ import annotations

import socket
import statistics
import struct
import sys
import time

RTM_NEWROUTE, RTM_GETROUTE, NLMSG_DONE = 24, 26, 3
REQUEST, ACK, DUMP, CREATE, APPEND = 1, 4, 0x300, 0x400, 0x800
SOL_NETLINK, STRICT_CHECK = 270, 12
RTA_TABLE, RTA_CACHEINFO = 15, 12
MAIN = 254
CHUNK = 8192
FAMILIES = {"ipv4": 2, "ipv6": 10}


def connect() -> socket.socket:
    """A route socket whose dumps are filtered by the kernel."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_NETLINK, STRICT_CHECK, 1)
    sock.bind((0, 0))
    return sock


def dump(sock: socket.socket, family: str, table: int) -> list[bytes]:
    """All routes of a table: every message in full, nothing decoded."""
    body = struct.pack("=BBBBBBBBIHHI", FAMILIES[family], 0, 0, 0, 0, 0, 0, 0, 0, 8, RTA_TABLE, table)
    sock.send(struct.pack("=IHHII", 16 + len(body), RTM_GETROUTE, REQUEST | DUMP, 1, 0) + body)
    found: list[bytes] = []
    while True:
        buffer = sock.recv(65536)
        at = 0
        while at < len(buffer):
            length, kind = struct.unpack_from("=IH", buffer, at)
            if kind == NLMSG_DONE:
                return found
            found.append(buffer[at : at + length])
            at += length + 3 & ~3


def again(message: bytes) -> bytes:
    """A dumped route as a request to add it."""
    attributes, at = [], 28
    while at < len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind != RTA_CACHEINFO:
            attributes.append(message[at : at + (length + 3 & ~3)])
        at += length + 3 & ~3
    body = message[16:24] + bytes(4) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), RTM_NEWROUTE, REQUEST | CREATE | APPEND, 1, 0) + body


def send(sock: socket.socket, messages: list[bytes]) -> None:
    """Buffers of about 8 KiB, the last message of each acknowledged."""
    per = max(1, CHUNK // max(map(len, messages)))
    for start in range(0, len(messages), per):
        chunk = messages[start : start + per]
        last = bytearray(chunk[-1])
        last[6] |= ACK
        sock.send(b"".join(chunk[:-1]) + last)
        answer = sock.recv(65536)
        code = struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise OSError(-code, "adding a route")


def send_back(family: str, table: int) -> None:
    """The kernel's floor: the messages are ready, only adding them is timed."""
    with connect() as sock:
        messages = [again(message) for message in dump(sock, family, table)]
        print(len(messages), flush=True)
        sys.stdin.readline()
        begun = time.monotonic()
        send(sock, messages)
        print((time.monotonic() - begun) * 1000, flush=True)


def compare(family: str, root: str, repetitions: int) -> None:
    """Prints the medians in milliseconds: the dump, the reconcile; and how many routes the dump had."""
    from mwan_hook import config
    from mwan_hook.run import reconcile

    loaded = config.load(root)
    times: tuple[list[float], list[float]] = ([], [])
    count = 0
    with connect() as sock:
        for _ in range(repetitions):
            begun = time.monotonic()
            count = len(dump(sock, family, MAIN))
            between = time.monotonic()
            judged = reconcile.Run(root, loaded).reconcile()
            times[0].append(between - begun)
            times[1].append(time.monotonic() - between)
            assert not judged.changes
    print(*(statistics.median(taken) * 1000 for taken in times), count)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send_back(sys.argv[2], int(sys.argv[3]))
    else:
        compare(sys.argv[1], sys.argv[2], int(sys.argv[3]))
