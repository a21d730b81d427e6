"""Runs in a namespace: many flows that ask and are answered, and the server of all of them.

talk.py serve ADDRESS                      answer each line (TCP) and each datagram with the sender's address
talk.py talk ADDRESS TCP UDP PAUSE         so many flows, each asks every PAUSE seconds until the input ends

`talk` prints one JSON array at the end, an object for each flow: kind, answers [time, sender's address as the server
saw it], errors [time, name].  A flow that is told an error opens another socket at once, as programs do.
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys
import time

PORT = 4242
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
# what a datagram may meet on its way; all else ends its socket
LOST = {errno.EAGAIN, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.ENOBUFS}


class Talker:
    """One flow; `sock` is another one after each error."""

    def __init__(self, kind: str, address: str, selector: selectors.BaseSelector) -> None:
        self.kind, self.address, self.selector = kind, address, selector
        self.answers: list[tuple[float, str]] = []
        self.errors: list[tuple[float, str]] = []
        self.open()

    def open(self) -> None:
        """Connect, without a word about the source."""
        self.sock = socket.socket(socket.AF_INET, KINDS[self.kind])
        self.sock.setblocking(False)
        if self.kind == "tcp":
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answered = False
        code = self.sock.connect_ex((self.address, PORT))
        self.dead = code not in (0, errno.EINPROGRESS)
        self.selector.register(self.sock, selectors.EVENT_READ, self)

    def end(self, name: str) -> None:
        """Note the error, of one that had worked, and begin anew; one that never did waits for its next turn."""
        self.selector.unregister(self.sock)
        self.sock.close()
        if self.answered:
            self.errors.append((time.monotonic(), name))
        self.open()

    def ask(self) -> None:
        """Send one line."""
        if self.dead:
            self.end("no way")
        try:
            self.sock.send(b"?\n")
        except OSError as error:
            self.failed(error)

    def failed(self, error: OSError) -> None:
        """Tell what is only lost from what ends the socket."""
        if error.errno == errno.EAGAIN or (self.kind == "udp" and error.errno in LOST):
            return
        if self.answered:
            self.end(errno.errorcode.get(error.errno or 0, "?"))
        else:
            self.dead = True

    def read(self) -> None:
        """Take what came."""
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            self.failed(error)
            return
        if data:
            self.answered = True
            self.answers.append((time.monotonic(), data.split()[-1].decode()))
        elif self.kind == "tcp":
            self.end("closed")


def talk(address: str, tcp: int, udp: int, pause: float) -> None:
    """See the module's words; flows take turns, so that not all ask at once."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    flows = [Talker(kind, address, selector) for kind in ["tcp"] * tcp + ["udp"] * udp]
    begun, asked = time.monotonic(), 0
    while True:
        due = begun + asked * pause / len(flows)
        for key, _ in selector.select(max(0.0, due - time.monotonic())):
            if key.data is None:
                print(json.dumps([{"kind": f.kind, "answers": f.answers, "errors": f.errors} for f in flows]))
                return
            key.data.read()
        while begun + asked * pause / len(flows) <= time.monotonic():
            flows[asked % len(flows)].ask()
            asked += 1


def serve(address: str) -> None:
    """Answer until killed."""
    selector = selectors.DefaultSelector()
    server = socket.create_server((address, PORT), backlog=1000)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, PORT))
    selector.register(server, selectors.EVENT_READ)
    selector.register(datagrams, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is server:
                selector.register(server.accept()[0], selectors.EVENT_READ, "connection")
            elif key.fileobj is datagrams:
                peer = datagrams.recvfrom(2048)[1]
                datagrams.sendto(peer[0].encode(), peer)
            elif isinstance(key.fileobj, socket.socket):
                answer(selector, key.fileobj)


def answer(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    """One answer for each line that has come."""
    try:
        lines = connection.recv(65536).count(b"\n")
        connection.send(f"{connection.getpeername()[0]}\n".encode() * lines)
    except OSError:
        lines = 0
    if not lines:
        selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        talk(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
