"""Traffic of a client: one flow of datagrams, or a new connection each time; a line of JSON for each answer.

flow.py udp ADDRESS SECONDS-BETWEEN       one flow (one pair of ports), for ever
flow.py tcp ADDRESS COUNT                 COUNT connections, one after the other
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time


def tell(**fields: object) -> None:
    """One line of JSON with the time."""
    print(json.dumps({"at": time.monotonic(), **fields}), flush=True)


def family(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 of a literal."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(address: str, pause: float) -> None:
    """Ask and listen; an answer that comes late still counts for its question."""
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.connect((address, 7))
    number = 0
    while True:
        number += 1
        # a datagram with no way out, or one that was refused, is a lost one
        with contextlib.suppress(OSError):
            sock.send(str(number).encode())
        end = time.monotonic() + pause
        while (rest := end - time.monotonic()) > 0:
            sock.settimeout(rest)
            with contextlib.suppress(OSError):
                isp, asked = sock.recv(200).decode().split()
                tell(isp=isp, number=int(asked))


def tcp(address: str, count: int) -> None:
    """Each connection is a flow of its own."""
    for number in range(count):
        try:
            with socket.create_connection((address, 7), timeout=2) as sock:
                sock.sendall(b"hello\n")
                tell(isp=sock.recv(200).decode().split()[0], number=number)
        except OSError as error:
            tell(isp="", number=number, error=str(error))


def main() -> None:
    """See the module's words."""
    if sys.argv[1] == "udp":
        udp(sys.argv[2], float(sys.argv[3]))
    else:
        tcp(sys.argv[2], int(sys.argv[3]))


if __name__ == "__main__":
    main()
