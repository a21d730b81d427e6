"""Wires that the kernel of a small machine has no module for, by tun devices and a process.

relay.py ppp NAMESPACE DEVICE NAMESPACE DEVICE    a point-to-point line without addresses of a second layer
relay.py late NAMESPACE DEVICE MS                 what is routed into DEVICE comes back MS later
relay.py tunnel MARK SERVER PORT NAMESPACE DEVICE NAMESPACE...
    what is routed into DEVICE goes to SERVER in datagrams that carry MARK, and comes out of the device `inside` of
    any of the other namespaces that they reach; answers take the same way back
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import time

from tests.lab.inside import enter

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET = 65536


def tun(namespace: str, device: str) -> int:
    """A new tun device in a namespace; its file descriptor."""
    enter(namespace)
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def pass_on(packet: bytes, to: int) -> None:
    """Write a packet; a device that is down loses it, as a wire does."""
    with contextlib.suppress(OSError):
        os.write(to, packet)


def ppp(one: int, other: int) -> None:
    """Carry packets between two devices until one is gone."""
    opposite = {one: other, other: one}
    while True:
        for fd in select.select([one, other], [], [])[0]:
            pass_on(os.read(fd, PACKET), opposite[fd])


def late(fd: int, delay: float) -> None:
    """Give each packet back after `delay` seconds."""
    queue: list[tuple[float, bytes]] = []
    while True:
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            pass_on(queue.pop(0)[1], fd)
        rest = max(0.0, queue[0][0] - now) if queue else None
        if select.select([fd], [], [], rest)[0]:
            queue.append((time.monotonic() + delay, os.read(fd, PACKET)))


class End:
    """One end of a tunnel: a device, and a socket that speaks to the peer that spoke last."""

    def __init__(self, device: int, sock: socket.socket, peer: tuple[str, int] | None) -> None:
        self.device, self.sock, self.peer, self.fixed = device, sock, peer, peer is not None

    def out(self) -> None:
        """From the device into a datagram; the other end may not be reached just now."""
        packet = os.read(self.device, PACKET)
        with contextlib.suppress(OSError):
            if self.peer:
                self.sock.sendto(packet, self.peer)

    def back(self) -> None:
        """From a datagram into the device."""
        with contextlib.suppress(OSError):
            packet, sender = self.sock.recvfrom(PACKET)
            self.peer = self.peer if self.fixed else sender
            pass_on(packet, self.device)


def tunnel(mark: int, server: tuple[str, int], near: tuple[str, str], far: list[str]) -> None:
    """Make both ends and carry packets for ever."""
    device, sock = tun(*near), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    ends = [End(device, sock, server)]
    for namespace in far:
        device, sock = tun(namespace, "inside"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(server)
        ends.append(End(device, sock, None))
    ways = {end.device: end.out for end in ends} | {end.sock.fileno(): end.back for end in ends}
    while True:
        for fd in select.select(list(ways), [], [])[0]:
            ways[fd]()


def main() -> None:
    """See the module's words."""
    kind, *words = sys.argv[1:]
    if kind == "ppp":
        ppp(tun(words[0], words[1]), tun(words[2], words[3]))
    elif kind == "tunnel":
        tunnel(int(words[0], 0), (words[1], int(words[2])), (words[3], words[4]), words[5:])
    else:
        late(tun(words[0], words[1]), float(words[2]) / 1000)


if __name__ == "__main__":
    main()
