"""Runs in a namespace: one packet of each of many flows, from a port of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

ESTABLISHED_PORT, ESTABLISHED_PORT6, NEW_PORT, DESTINATION_PORT = 20000, 25000, 30000, 5000  # the first of each
DESTINATIONS = 50
AT_ONCE, PAUSE = (
    50,
    0.001,
)  # a busy machine holds so many for a neighbour, and a thousand of all namespaces, and no more


def flows(family: str, count: int, destinations: int, first: int) -> Iterator[tuple[int, str, int]]:
    """Source port, destination and its port of each; always the same."""
    base = "2600:1:{:x}:{:x}::1" if family == "ipv6" else "93.{}.{}.34"
    for n in range(count):
        yield first + n, base.format(1 + n % destinations % 200, n % destinations // 200), DESTINATION_PORT + n % 7


def begin(family: str, kind: str, count: int, destinations: int, first: int) -> None:
    """A datagram, or a SYN, of each flow; of kind "asked" the program wants to know its address first, and any port."""
    for port, address, to in flows(family, count, destinations, first):
        time.sleep(PAUSE if port % AT_ONCE == 0 else 0)
        with socket(AF_INET6 if family == "ipv6" else AF_INET, SOCK_STREAM if kind == "tcp" else SOCK_DGRAM) as one:
            one.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            one.setblocking(False)
            if kind == "asked":
                one.connect((address, to))
                one.send(one.getsockname()[0].encode())
                continue
            one.bind(("", port))
            if kind == "udp":
                one.sendto(b"x", (address, to))
            else:
                one.connect_ex((address, to))


if __name__ == "__main__":
    begin(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
