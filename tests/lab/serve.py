"""The servers of the internet: HTTP and HTTPS that tell who came, and echo, in many namespaces by one process.

    serve.py LOG CERTIFICATE NAMESPACE=NAME...      (an empty CERTIFICATE: no HTTPS)

Ports: 80 and 443 answer well; 8080 is a captive portal, 8081 sends one byte a second, 8082 fails; 7 echoes
lines (TCP) and datagrams (UDP) with the name of the provider in front.  Each request is a line of JSON in LOG.
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
from typing import TextIO
from urllib.parse import unquote

from tests.lab.inside import enter

NETWORK_MANAGER = "NetworkManager is online\n"  # as nmcheck.gnome.org sends it, line feed included
PORTAL, SLOW, BROKEN, ECHO = 8080, 8081, 8082, 7
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
        for port in (80, 443, PORTAL, SLOW, BROKEN, ECHO):
            server = socket.create_server(("::", port), family=socket.AF_INET6, backlog=64, dualstack_ipv6=True)
            self.waiting.register(server, selectors.EVENT_READ, (isp, port))
        for family, anywhere, level, option in DATAGRAM:
            echo = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            echo.setsockopt(level, option, 1)
            echo.bind((anywhere, ECHO))
            self.waiting.register(echo, selectors.EVENT_READ, (isp, 0))

    def forever(self) -> None:
        """Serve until killed."""
        while True:
            for key, _ in self.waiting.select():
                isp, port = key.data
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if port == 0:
                    echo_datagram(sock, isp)
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


def echo_datagram(sock: socket.socket, isp: str) -> None:
    """UDP: the same; the answer leaves from the address that was asked."""
    with contextlib.suppress(OSError):
        data, asked, _, peer = sock.recvmsg(2048, 256)
        sock.sendmsg([f"{isp} ".encode() + data], asked, 0, peer)


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
