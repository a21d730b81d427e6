"""The servers of the internet: HTTP and HTTPS that tell who came, names, and echo, for many namespaces.

    serve.py LOG CERTIFICATE NAMESPACE=NAME...      (an empty CERTIFICATE: no HTTPS)

Ports: 80 and 443 answer well; 8080 is a captive portal, 8081 sends one byte a second, 8082 fails; 7 echoes
lines (TCP) and datagrams (UDP) with the name of the provider in front; 53 has an address for any name.  Each request
over HTTP is a line of JSON in LOG.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
import sys
import threading
import time
from itertools import product
from typing import TextIO
from urllib.parse import unquote

from tests.lab import names
from tests.lab.inside import enter

NETWORK_MANAGER = "NetworkManager is online\n"  # as nmcheck.gnome.org sends it, line feed included
PORTAL, SLOW, BROKEN, ECHO, NAMES = 8080, 8081, 8082, 7, 53
IP_PKTINFO = 8  # linux/in.h; Python 3.11 has no name for it
DATAGRAM = (
    (socket.AF_INET, "0.0.0.0", socket.IPPROTO_IP, IP_PKTINFO),
    (socket.AF_INET6, "::", socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
)


def answer(port: int, path: str, client: str, isp: str) -> tuple[int, str, str]:
    """Status, header lines and body for a path."""
    plain, _, query = path.partition("?")
    first, _, rest = plain.lstrip("/").partition("/")
    if port == PORTAL or first == "redirect":
        return 302, "Location: http://portal.test/login\r\n", ""
    if port == BROKEN:
        return 500, "", "broken\n"
    if first == "status":
        return int(rest), "", ""
    known = {
        "generate_204": "",
        "check_network_status.txt": NETWORK_MANAGER,
        "ip": f"{client}\n",
        "isp": f"{isp}\n",
        "body": unquote(rest),
        "query": query,
        "big": "x" * 10_000_000,
    }
    if first not in known:
        return 404, "", "not here\n"
    return (200 if known[first] else 204), "", known[first]


class World:
    """All listening sockets of all namespaces."""

    def __init__(self, log: TextIO, certificate: str) -> None:
        self.log, self.lock = log, threading.Lock()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate:
            self.tls.load_cert_chain(certificate)
        self.waiting = selectors.DefaultSelector()

    def open(self, namespace: str, isp: str) -> None:
        """Listen in one namespace."""
        enter(namespace)
        for port in (80, 443, PORTAL, SLOW, BROKEN, ECHO, NAMES):
            server = socket.create_server(("::", port), family=socket.AF_INET6, backlog=64, dualstack_ipv6=True)
            self.waiting.register(server, selectors.EVENT_READ, (isp, port))
        for port, (family, anywhere, level, option) in product((ECHO, NAMES), DATAGRAM):
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            datagrams.setsockopt(level, option, 1)
            datagrams.bind((anywhere, port))
            self.waiting.register(datagrams, selectors.EVENT_READ, (isp, port))

    def forever(self) -> None:
        """Serve until killed."""
        while True:
            for key, _ in self.waiting.select():
                isp, port = key.data
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock.type == socket.SOCK_DGRAM:
                    answer_datagram(sock, isp, port)
                else:
                    connection, peer = sock.accept()
                    client = peer[0].removeprefix("::ffff:")
                    threading.Thread(target=self.serve, args=(connection, client, isp, port), daemon=True).start()

    def serve(self, connection: socket.socket, client: str, isp: str, port: int) -> None:
        """One connection, in a thread of its own."""
        with contextlib.suppress(OSError, ValueError, IndexError), connection:
            connection.settimeout(60)
            if port == ECHO:
                echo_lines(connection, isp)
            elif port == NAMES:
                answer_questions(connection)
            elif port == 443:
                with self.tls.wrap_socket(connection, server_side=True) as secure:
                    self.http(secure, client, isp, port)
            else:
                self.http(connection, client, isp, port)

    def http(self, connection: socket.socket, client: str, isp: str, port: int) -> None:
        """One request, one answer, end."""
        request = b""
        while b"\r\n\r\n" not in request and len(request) < 65536:
            more = connection.recv(65536)
            if not more:
                return
            request += more
        path = request.split()[1].decode()
        self.write(isp=isp, client=client, port=port, path=path)
        status, headers, body = answer(port, path, client, isp)
        if path == "/hang":
            time.sleep(60)
        if path == "/garbage":
            connection.sendall(b"\x00\x01 what\r\n\r\n")
            return
        length = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
        head = f"HTTP/1.1 {status} Answer\r\n{headers}{length}Connection: close\r\n\r\n".encode()
        if port == SLOW or path.startswith("/slow"):
            for byte in head + b"never the end of it":
                connection.sendall(bytes([byte]))
                time.sleep(1)
        connection.sendall(head + body.encode())

    def write(self, **fields: str | int) -> None:
        """One line of the log."""
        with self.lock:
            self.log.write(json.dumps(fields) + "\n")
            self.log.flush()


def echo_lines(connection: socket.socket, isp: str) -> None:
    """TCP: each line comes back with the provider's name in front."""
    with connection.makefile("rwb", buffering=0) as file:
        for line in file:
            file.write(f"{isp} ".encode() + line)


def answer_questions(connection: socket.socket) -> None:
    """TCP: each question has its length in front, and so has the answer."""
    with connection.makefile("rwb", buffering=0) as file:
        while length := int.from_bytes(file.read(2) or b"", "big"):
            reply = names.answer(file.read(length) or b"")
            file.write(len(reply).to_bytes(2, "big") + reply)


def answer_datagram(sock: socket.socket, isp: str, port: int) -> None:
    """UDP: the same; the answer leaves from the address that was asked."""
    with contextlib.suppress(OSError, ValueError):
        data, asked, _, peer = sock.recvmsg(2048, 256)
        reply = names.answer(data) if port == NAMES else f"{isp} ".encode() + data
        sock.sendmsg([reply], asked, 0, peer)


def main() -> None:
    """See the module's words."""
    path, certificate, *places = sys.argv[1:]
    with open(path, "a", encoding="utf-8") as log:
        world = World(log, certificate)
        for place in places:
            namespace, isp = place.split("=")
            world.open(namespace, isp)
        world.write(ready=1)
        world.forever()


if __name__ == "__main__":
    main()
