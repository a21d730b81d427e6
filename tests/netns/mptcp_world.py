"""A server that both providers reach, and a transfer to it over MPTCP that tells how long it stood still.

mptcp_world.py serve                    on every address, port 5000: count what comes, say the number
mptcp_world.py send ADDRESS PORT        send numbered words until a line is typed, and hear how many arrived
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import threading
import time

IPPROTO_MPTCP = 262
PORT = 5000
WORD = 8
PACE = 0.01  # seconds between two pieces of the transfer
PIECE = 400  # words
LONGEST = 60.0  # seconds that a transfer goes on at most


def serve(protocol: int = IPPROTO_MPTCP, port: int = PORT) -> None:
    """Answer each piece with how many bytes came in their order so far."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM, protocol) as listening:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("::", port))
        listening.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_served, args=(connection,), daemon=True).start()


def _served(connection: socket.socket) -> None:
    """End the connection at the first byte that is not what comes next."""
    expected, rest = 0, b""
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            rest += data
            while len(rest) >= WORD:
                if int.from_bytes(rest[:WORD], "big") != expected:
                    return
                expected, rest = expected + 1, rest[WORD:]
            connection.sendall(expected.to_bytes(WORD, "big"))


def send(address: str, port: int) -> None:
    """Send at a steady pace; a line of JSON at the end: words sent and counted, the longest pause, in seconds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP) as sock:
        sock.settimeout(LONGEST)
        sock.connect((address, port))
        print("connected", flush=True)
        seen, sent, last = _Seen(sock), 0, time.monotonic() + LONGEST
        while not select.select([sys.stdin], [], [], PACE)[0] and time.monotonic() < last:
            sock.sendall(b"".join(number.to_bytes(WORD, "big") for number in range(sent, sent + PIECE)))
            sent += PIECE
        while seen.count < sent and time.monotonic() < last and seen.alive:
            time.sleep(PACE)
    print(json.dumps({"sent": sent, "counted": seen.count, "pause": seen.pause}), flush=True)


class _Seen:
    """What the server has said, and the longest time between two of its answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.count, self.pause, self.alive = 0, 0.0, True
        threading.Thread(target=self._listen, args=(sock,), daemon=True).start()

    def _listen(self, sock: socket.socket) -> None:
        before, rest = time.monotonic(), b""
        with contextlib.suppress(OSError):
            while data := sock.recv(65536):
                now = time.monotonic()
                self.pause, before = max(self.pause, now - before), now
                rest += data
                whole = len(rest) // WORD * WORD
                if whole:
                    self.count, rest = int.from_bytes(rest[whole - WORD : whole], "big"), rest[whole:]
        self.alive = False


def main() -> None:
    """See the module's words."""
    if sys.argv[1] == "serve":
        serve()
    else:
        send(sys.argv[2], int(sys.argv[3]))


if __name__ == "__main__":
    main()
