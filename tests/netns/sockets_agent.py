"""Run inside a namespace: sockets of all kinds, what the kernel tells of them, and what ending them does; as JSON."""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from mwan_hook.kernel import sockets
from mwan_hook.model import TCP, UDP, Socket

SO_MARK, IPV6_TCLASS, IP_TOS = 36, 67, 1
DSCP = 0x68
MARK, DEVICE = {(socket.SOL_SOCKET, SO_MARK): 77}, {(socket.SOL_SOCKET, socket.SO_BINDTODEVICE): b"lo"}
Options = Mapping[tuple[int, int], Any]


def connected(af: int, kind: int, to: tuple[str, int], options: Options | None = None) -> socket.socket:
    """A socket that has a peer."""
    one = socket.socket(af, kind)
    for (level, name), value in (options or {}).items():
        one.setsockopt(level, name, value)
    one.connect(to)
    return one


def server(af: int, where: tuple[str, int], only6: int = 0) -> socket.socket:
    """One that waits."""
    one = socket.socket(af)
    if af == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only6)
    one.bind(where)
    one.listen(4096)
    return one


def told(one: Socket) -> list[Any]:
    """What the kernel tells of one, but for its numbers."""
    return [one.af, one.protocol, one.state, one.local, one.peer, bool(one.device), one.mark, one.dscp, bool(one.inode)]


def seconds(number: float) -> float:
    """A time from now."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) + number


def failed(one: socket.socket) -> str:
    """The name of the error that its program gets."""
    one.settimeout(10)
    try:
        one.recv(1)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return ""


def main(many: int) -> Iterator[tuple[str, Any]]:
    """Each fact with its name."""
    four, both = server(socket.AF_INET, ("192.0.2.1", 0)), server(socket.AF_INET6, ("::", 0))
    six = server(socket.AF_INET6, ("2001:db8::1", 0), 1)
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    mine = {
        "four": connected(socket.AF_INET, tcp, four.getsockname()),
        "mapped": connected(socket.AF_INET6, tcp, ("::ffff:192.0.2.1", both.getsockname()[1])),
        "six": connected(socket.AF_INET6, tcp, six.getsockname()[:2]),
        "bound": connected(socket.AF_INET, tcp, four.getsockname(), DEVICE),
        "udp": connected(socket.AF_INET, udp, ("192.0.2.1", 9), {**MARK, (socket.IPPROTO_IP, IP_TOS): DSCP}),
        "udp6": connected(socket.AF_INET6, udp, ("2001:db8::1", 9), {(socket.IPPROTO_IPV6, IPV6_TCLASS): DSCP}),
    }
    crowd = [connected(socket.AF_INET, tcp, four.getsockname()) for _ in range(many)]
    protocol = {tcp: TCP, udp: UDP}
    ports = {
        (protocol[one.type], one.getsockname()[1], one.getpeername()[1]): name for name, one in mine.items()
    }  # of two protocols, or to two destinations, sockets may have one port
    everything = list(sockets.everything((TCP, UDP)))
    seen = [one for one in everything if (one.protocol, one.sport, one.dport) in ports]
    concerning = sockets.concerning(["192.0.2.1", "2001:db8::1"])
    yield "seen", {ports[one.protocol, one.sport, one.dport]: told(one) for one in seen}
    yield "same", sorted(map(repr, concerning)) == sorted(map(repr, everything))
    yield "waiting", sorted([one.local, one.only6] for one in concerning if one.state == 10)
    yield "alone", sorted([one.local, one.state] for one in sockets.concerning(["198.51.100.1"]))
    yield "networks", sorted(one.prefix for one in sockets.networks())
    yield "unable", sockets.unable()
    late = sockets.destroy(seen, seconds(-1))
    yield "late", [len(late.sockets), late.left]
    yield (
        "ended",
        sorted(ports[one.protocol, one.sport, one.dport] for one in sockets.destroy(seen, seconds(30)).sockets),
    )
    yield "again", len(sockets.destroy(seen, seconds(30)).sockets)
    yield "errors", {name: failed(one) for name, one in mine.items()}
    yield "crowd", len([one for one in sockets.everything((TCP,)) if one.state == 1 and one.inode]) - len(crowd)


if __name__ == "__main__":
    print(json.dumps(dict(main(int(sys.argv[1])))))
