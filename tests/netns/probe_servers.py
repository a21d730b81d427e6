"""What the internet of T-PROBE serves: HTTP by path, TLS by port, DNS by name."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import time
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from tests.netns.probe_lab import ALIVE, BLACK_HOLE, UNREACHABLE, Handler, Provider, command, drip

HTTPS, SELF_SIGNED, EXPIRED, NO_TLS, SLOW_TLS, SILENT, RESET = 443, 444, 445, 446, 447, 448, 449
OPEN, CLOSED = 7000, 7001
KIB64 = 64 * 1024
NAMES = {
    "ok.test.": tuple(ALIVE.values()),
    "other.test.": tuple(ALIVE.values()),
    "dead.test.": tuple(BLACK_HOLE.values()),
    "two.test.": (*UNREACHABLE.values(), *ALIVE.values()),
    "only4.test.": (ALIVE[next(iter(ALIVE))],),
    "big.test.": tuple(ALIVE.values()),
    "slow.test.": tuple(ALIVE.values()),
    "odd.test.": tuple(ALIVE.values()),
}


def plain(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole reply with its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


BOMB = gzip.compress(b"x" * 90_000_000)
FLOODS = {
    "/chunk-negative": b"F" * 65536,
    "/chunk-huge": b"F" * 65536,
    "/chunk-trailers": b"T: t\r\n" * 9000,
    "/headers-endless": b"T: t\r\n" * 9000,
    "/header-endless": b"T" * 65536,
    "/status-endless": b"2" * 65536,
    "/endless-unsized": b"F" * 65536,
    "/endless-length": b"F" * 65536,
}
REPLIES = {
    "/204": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "/204-length": plain("204 No Content"),
    "/empty": plain("200 OK"),
    "/empty-unsized": b"HTTP/1.1 200 OK\r\n\r\n",
    "/text": plain("200 OK", b"NetworkManager is online\n"),
    "/bare": plain("200 OK", b"NetworkManager is online"),
    "/plus": plain("200 OK", b"a+b=c %"),
    "/query?a=b": plain("200 OK", b"queried"),
    "/utf8": plain("200 OK", "größer".encode()),
    "/created": plain("201 Created", b"made"),
    "/not-modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "/300": plain("300 Multiple Choices", b"x"),
    "/301": plain("301 Moved", b"", "Location: http://9.9.9.9/204"),
    "/302": plain("302 Found", b"", "Location: /204"),
    "/307": plain("307 Temporary Redirect", b"", "Location: /204"),
    "/308": plain("308 Permanent Redirect", b"", "Location: /204"),
    "/400": plain("400 Bad Request"),
    "/403": plain("403 Forbidden"),
    "/404": plain("404 Not Found"),
    "/407": plain("407 Proxy Authentication Required"),
    "/500": plain("500 Oops"),
    "/503": plain("503 Later"),
    "/511": plain("511 Network Authentication Required", b"log in"),
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nNetw\r\n5\r\nork M\r\n0\r\n\r\n",
    "/chunked-cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nNetw\r\n5\r\nork",
    "/chunked-broken": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nNetw\r\n",
    "/gzip": plain("200 OK", gzip.compress(b"packed"), "Content-Encoding: gzip"),
    "/gzip-broken": plain("200 OK", b"no such thing", "Content-Encoding: gzip"),
    "/bomb": plain("200 OK", gzip.compress(b"x" * 50_000_000), "Content-Encoding: gzip"),
    "/chunk-negative": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-7\r\n",
    "/chunk-huge": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"e" * 300 + b"\r\n",
    "/chunk-trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n",
    "/moved-bomb": plain("302 Found", BOMB, "Location: /204", "Content-Encoding: gzip"),
    "/cookies": b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: a=b; expires=%b\r\n" % (b" " * 60_000),
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nNetwork",
    "/cut-empty": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "/limit": plain("200 OK", b"y" * (KIB64 - 1) + b"z"),
    "/large": plain("200 OK", b"a" + b"y" * KIB64 + b"z"),
    "/endless": b"HTTP/1.1 200 OK\r\n\r\na" + b"y" * (8 * KIB64) + b"z",
    "/continue": b"HTTP/1.1 100 Continue\r\n\r\n" + plain("200 OK"),
    "/early-hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + plain("200 OK"),
    "/interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n" + plain("200 OK", b"final"),
    "/interim-redirect": b"HTTP/1.1 103 Early Hints\r\n\r\n" + plain("302 Found", b"", "Location: /204"),
    "/interim-endless": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10000,
    "/interim-only": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "/101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "/garbage": b"\0\1\2 what is this\r\n\r\n",
    "/closed": b"",
    "/half": b"HTTP/1.1 200 O",
    "/half-headers": b"HTTP/1.1 200 OK\r\nX: y\r\n",
    "/no-trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    "/headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    "/long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "/headers-endless": b"HTTP/1.1 200 OK\r\n",
    "/header-endless": b"HTTP/1.1 200 OK\r\nX: ",
    "/status-endless": b"HTTP/1.1 ",
    "/endless-unsized": b"HTTP/1.1 200 OK\r\n\r\n",
    "/endless-length": b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n" % (b"9" * 18),
    "/lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
}


def read_request(connection: socket.socket) -> tuple[str, dict[str, str]]:
    """Path and headers (lower case) of a request."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65536)
        if not part:
            raise ValueError("no request")
        got += part
    first, *lines = got.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first.split()[1], headers


class Internet:
    """The servers of one provider, and what they were asked."""

    def __init__(self, provider: Provider, keys: Path) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.questions: list[str] = []
        provider.listen(80, self.http)
        provider.listen(8080, self.http)
        provider.listen(HTTPS, self._tls(keys / "server.pem"))
        provider.listen(SELF_SIGNED, self._tls(keys / "self.pem"))
        provider.listen(EXPIRED, self._tls(keys / "expired.pem"))
        provider.listen(NO_TLS, lambda connection: connection.sendall(b"hello, this is no TLS\r\n"))
        provider.listen(SLOW_TLS, lambda connection: drip(connection, b"\x16\x03\x03\x00\x7a\x02" + bytes(100)))
        provider.listen(SILENT, lambda connection: time.sleep(5))
        provider.listen(RESET, reset)
        provider.listen(OPEN, lambda connection: connection.close() if connection.recv(1) else None)
        provider.listen(53, self._dns_stream)
        provider.datagrams(53, self._dns)

    def http(self, connection: socket.socket) -> None:
        """One request."""
        path, headers = read_request(connection)
        self.requests.append((path, headers))
        if path == "/drip-body":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            drip(connection, b"N" * 100)
        elif path == "/drip-headers":
            drip(connection, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        elif path == "/drip-continue":
            for _ in range(50):
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.1)
        elif path == "/hang":
            time.sleep(5)
        elif path == "/reset":
            reset(connection)
        else:
            connection.sendall(REPLIES[path])
            while path in FLOODS:  # until the other side has enough
                connection.sendall(FLOODS[path])

    def _tls(self, certificate: Path) -> Handler:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

        def handler(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                self.http(secure)

        return handler

    def _dns(self, packet: bytes) -> list[bytes]:
        """Answers to a question by UDP."""
        try:
            query = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return []
        name = query.question[0].name.to_text().lower()
        self.questions.append(name)
        reply = answer(query)
        if name in ("silent.test.",):
            return []
        if name in ("big.test.", "slow.test."):
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.TC
        if name == "odd.test.":
            right = reply.to_wire()
            # Of dnspython 2.3.0 an unassigned opcode raises ValueError, of others DNSException.
            odd = [right[:2] + bytes((0x80 | opcode << 3,)) + right[3:] for opcode in range(1, 16)]
            return [*odd, right[:4] + b"\0\2" + right[6:], right[:13], right[:11], b"", right]
        if name == "maze.test.":
            reply.flags |= dns.flags.TC
            return [reply.to_wire()]
        if name == "forged.test.":
            wrong = dns.message.make_query("ok.test.", "A")
            wrong.id = query.id
            other = answer(query)
            other.id ^= 1
            return [answer(wrong).to_wire(), other.to_wire(), b"no message", packet]
        return [reply.to_wire()]

    def _dns_stream(self, connection: socket.socket) -> None:
        """One question by TCP."""
        (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
        packet = connection.recv(length, socket.MSG_WAITALL)
        query = dns.message.from_wire(packet)
        wire = maze(packet) if query.question[0].name.to_text() == "maze.test." else answer(query).to_wire()
        data = struct.pack("!H", len(wire)) + wire
        if query.question[0].name.to_text() == "slow.test.":
            drip(connection, data)
        connection.sendall(data)


def answer(query: dns.message.Message) -> dns.message.Message:
    """The right answer, or the failure that the name asks for."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    question = query.question[0]
    name = question.name.to_text().lower()
    codes = {"servfail.test.": dns.rcode.SERVFAIL, "refused.test.": dns.rcode.REFUSED}
    if name == "alias.test.":
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "ok.test."))
        name = "ok.test."
    if name not in NAMES:
        reply.set_rcode(codes.get(name, dns.rcode.NXDOMAIN))
        return reply
    wanted = dns.rdatatype.to_text(question.rdtype)
    for address in NAMES[name]:
        if wanted == ("AAAA" if ":" in address else "A"):
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", wanted, address))
    return reply


def maze(query: bytes) -> bytes:
    """60 KB of aliases of one name, each to a name of a hundred labels."""
    name = b"".join(b"\1" + bytes((97 + number % 26,)) for number in range(100))
    first = name + b"\0" + struct.pack("!HHIH", 5, 1, 9, 2) + b"\xc0\x0c"
    pointer = struct.pack("!H", 0xC000 | len(query))
    more = (60_000 - len(query) - len(first)) // 14
    records = first + (pointer + struct.pack("!HHIH", 5, 1, 9, 2) + pointer) * more
    return query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1 + more, 0, 0) + query[12:] + records


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def make_keys(place: Path) -> Path:
    """An authority ``ca.pem``, and certificates: one of its own, one that has expired, one that signs itself."""
    subject = ["-subj", "/CN=ok.test"]
    names = f"subjectAltName=DNS:ok.test,{','.join(f'IP:{address}' for address in ALIVE.values())}"
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    ca_key, ca = str(place / "ca.key"), str(place / "ca.pem")
    command(*new, "-x509", "-subj", "/CN=authority", "-days", "30", "-keyout", ca_key, "-out", ca)
    own = str(place / "self.crt")
    command(*new, "-x509", *subject, "-addext", names, "-days", "30", "-keyout", f"{own}.key", "-out", own)
    _join(place / "self.pem", own, f"{own}.key")
    (place / "names").write_text(names)
    for name, days in (("server", "30"), ("expired", "-1")):
        file = str(place / name)
        command(*new, *subject, "-keyout", f"{file}.key", "-out", f"{file}.csr")
        sign = ["openssl", "x509", "-req", "-in", f"{file}.csr", "-CA", ca, "-CAkey", ca_key, "-CAcreateserial"]
        command(*sign, "-days", days, "-extfile", str(place / "names"), "-out", f"{file}.crt")
        _join(place / f"{name}.pem", f"{file}.crt", f"{file}.key")
    return place


def _join(target: Path, *parts: str) -> None:
    target.write_text("".join(Path(part).read_text() for part in parts))
