"""Peers that answer anything: DNS, HTTP, SMTP, systemd-resolved's socket, snmpd's pipe."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import dns.message
import dns.name
import pytest
from dns.exception import DNSException

from mwan_hook.commands import snmp
from mwan_hook.config import targets
from mwan_hook.model import Connectivity, Family, Job, Mail, Security
from mwan_hook.notify import oids
from mwan_hook.notify.child import Delivery
from mwan_hook.notify.mail import smtp
from mwan_hook.notify.webhook import send
from mwan_hook.probes import dns as question
from mwan_hook.probes import http, ntp, resolve
from mwan_hook.probes.bound import Exchange, ProbeAnswer, guarded
from mwan_hook.probes.loop import Loop, Task
from tests.fuzz.rules import accepted, bent, bounded, chances, modest, printable

QUERY = dns.message.make_query("a.test.", "A")


def job(target: str, family: Family = Family.IPV4) -> Job:
    """A job of the loopback."""
    return Job("attic", family, targets.parse(target), "lo", 1, "127.0.0.1", timeout=1.0)


def record(owner: bytes, kind: int, value: bytes) -> bytes:
    """A resource record."""
    return owner + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(value).to_bytes(2, "big") + value


def packets() -> list[bytes]:
    """Answers to QUERY: addresses, aliases in a row and in a ring, names that point to themselves."""
    wire = QUERY.to_wire()
    pointer = b"\xc0\x0c"
    address = record(pointer, 1, b"\1\2\3\4")
    alias = record(pointer, 5, b"\1b\xc0\x0e") + record(b"\1b\xc0\x0e", 1, b"\1\2\3\5")
    ring = record(pointer, 5, pointer) * 40
    answers = ((address * 3, 3), (alias, 2), (ring, 40), (record(b"\xc0\x17", 1, b"\1\2\3\4"), 1), (b"", 9))
    return [
        wire[:2] + b"\x81\x80\0\1" + count.to_bytes(2, "big") + bytes(4) + wire[12:] + records
        for records, count in answers
    ]


def test_a_dns_answer_gives_addresses_or_none() -> None:
    good = packets()
    name = dns.name.from_text("a.test.")
    assert question.found_in(good[0], name, Family.IPV4) == ("1.2.3.4",) * 3
    assert question.found_in(good[1], name, Family.IPV4) == ("1.2.3.5",)
    with modest():
        for chance in chances("dns", 4000):
            packet = bent(chance, *good)
            with bounded():
                question._parse(packet, QUERY)
            if len(packet) >= question.HEADER:
                for family in Family:
                    found = accepted(partial(question.found_in, packet, name, family), ValueError, DNSException)
                    assert found is None or len(found) <= question.MOST_RECORDS


TIMES = [
    b"\x24\3\6\xec" + bytes(20) + b"questionreceivedanswered",
    b"\xe4\0\6\xec" + bytes(8) + b"RATE" + bytes(8) + b"question" + bytes(16),
]


def test_an_ntp_packet_answers_or_does_not() -> None:
    assert [ntp.answers(good, b"question") for good in TIMES] == [True, True]
    for chance in chances("ntp", 4000):
        packet = bent(chance, *TIMES)
        if ntp.answers(packet, b"question"):
            assert printable(words := ntp.complaint(packet)) and len(words) < 100


REPLIES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: u\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://x.test/\r\nSet-Cookie: a=b; path=/; expires=x\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0",
    b"HTTP/1.1 511 Log in\r\nContent-Type: text/html; charset=x\r\n\r\n<html>",
]


@pytest.mark.parametrize("target", ["http://127.0.0.1/", "http://127.0.0.1/=ok", "http://127.0.0.1/=...k"])
def test_an_http_reply_is_an_answer(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    reply = b""

    def connect(self: http.HttpCall, port: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(reply[:60_000])
            ours.settimeout(2)
        return ours

    monkeypatch.setattr(http.HttpCall, "connect", connect)
    with modest():
        for chance in chances(target, 120):
            reply = bent(chance, *REPLIES)
            call = http.HttpCall(job(target), (), Exchange())
            with bounded():
                answer = guarded(http._get, call)
            call.abandon()
            assert answer.connectivity in (Connectivity.FULL, Connectivity.PORTAL, Connectivity.LIMITED)
            assert printable(answer.error or "") and len(answer.error or "") < 1000
            assert "the probe failed" not in (answer.error or ""), (reply, answer.error)


ANSWERS = [
    b"429|Retry-After: 120",
    b"302|Location: http://u:p@[::1/",
    b"503|Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",
]


def test_a_webhook_s_answer_means_something() -> None:
    for chance in chances("webhook", 2000):
        number, _, line = bent(chance, *ANSWERS).decode("latin-1").partition("|")
        name, _, value = line.partition(":")
        status = int(number) % 1000 if number.isascii() and number.isdigit() else 500
        found = send.judged(status, {name: value.strip()}, "https://h/***")
        assert printable(found.words) and len(found.words) < 200 and found.after >= 0
        assert found.accepted is (200 <= status < 300)


class Loopback(socket.socket):
    """One end of a pair that says it is of the Internet."""

    def getsockname(self) -> tuple[str, int]:
        """An address."""
        return "127.0.0.1", 4711


TALK = [
    b"220 mail.test\r\n250-mail.test\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n334 Zm9v\r\n235 in\r\n"
    b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n221 bye\r\n",
    b"220-\r\n220 x\r\n502 no\r\n250 ok\r\n550 \x1b[2J\r\n",
    b"220 x\r\n250-STARTTLS\r\n250 x\r\n220 go\r\n",
]


@pytest.mark.parametrize("security", [Security.NONE, Security.STARTTLS, Security.TLS])
def test_a_talk_with_a_mail_server_ends_in_words(monkeypatch: pytest.MonkeyPatch, security: Security) -> None:
    mail = Mail(smtp_host="127.0.0.1", smtp_port=25, security=security, user="me", timeout=2.0)
    message = "From: a@b.test\nTo: c@d.test\nSubject: x\n\nbody\n"
    talk = b""

    def connection(*_: object, **__: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(talk[:60_000])
        theirs.shutdown(socket.SHUT_WR)
        held.append(theirs)
        ours.settimeout(0.5)
        return Loopback(fileno=ours.detach())

    held: list[socket.socket] = []
    monkeypatch.setattr(socket, "create_connection", connection)
    context = ssl.create_default_context()  # once: it reads all of the machine's authorities
    monkeypatch.setattr(ssl, "create_default_context", lambda: context)
    with modest():
        for chance in chances(security.value, 150):
            talk = bent(chance, *TALK)
            heard: list[tuple[str, str, Delivery | None]] = []
            with bounded():
                smtp.converse(mail, "secret", message, heard.append)
            outcome = heard[-1][2]
            assert outcome is not None and outcome.words and len(outcome.words) < 3000
            while held:
                held.pop().close()


@pytest.fixture
def short_root() -> Iterator[Path]:
    """A root whose sockets have names that fit into 108 bytes (unix(7))."""
    with TemporaryDirectory(prefix="mwan-") as directory:
        yield Path(directory)


@pytest.fixture
def resolved(short_root: Path) -> Iterator[list[bytes]]:
    """systemd-resolved below a root, which says what stands last in the list."""
    path = short_root / resolve.RESOLVED
    path.parent.mkdir(parents=True)
    says = [b""]
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with closing(connection):
                connection.recv(4096)
                connection.sendall(says[-1][:60_000])

    threading.Thread(target=serve, daemon=True).start()
    yield says
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_an_answer_of_resolved_gives_addresses_or_words(short_root: Path, resolved: list[bytes]) -> None:
    entry = {"ifindex": 1, "family": 2, "address": [1, 2, 3, 4]}
    replies = [
        json.dumps({"parameters": {"addresses": [entry, entry], "name": "a.test", "flags": 1 << 23}}).encode() + b"\0",
        json.dumps({"error": "io.systemd.Resolve.DNSError", "parameters": {"rcode": 3}}).encode() + b"\0",
        b'{"parameters":{"addresses":[{"family":2,"address":[1,2,3,"x"]}]}}\0',
        b'{"parameters":[]}\0' + b"[" * 30_000,
    ]
    asked = job("http://a.test/")
    with modest():
        for chance in chances("varlink", 250):
            resolved.append(bent(chance, *replies))
            found: list[resolve.Resolved | ProbeAnswer | None] = []
            loop, exchange = Loop(), Exchange()
            steps = resolve.NameLookups(str(short_root)).find(asked, exchange, 2.0)
            with bounded():
                loop.start(Task(steps, exchange), found.append)
                loop.drain()
            assert found[0] is not None
            assert isinstance(found[0], resolve.Resolved), found[0]
            assert all(socket.inet_pton(socket.AF_INET, address) for address in found[0].addresses)


def test_every_request_of_snmpd_is_answered(tmp_path: Path) -> None:
    base = oids.parse(".1.3.6.1.4.1.99999")
    assert base
    requests = [b"PING\n", b"get\n.1.3.6.1.4.1.99999.1.1.0\n", b"getnext\n.1.3\n", b"set\n.1.3\nstring x\n"]
    with modest():
        for chance in chances("snmp", 300):
            reading, writing = os.pipe()
            answers, sink = os.pipe()
            os.write(writing, bent(chance, *requests)[:60_000])
            os.close(writing)
            os.set_blocking(sink, False)
            try:
                with bounded():
                    snmp.serve(str(tmp_path), base, reading, sink)
            except BlockingIOError:
                pass  # that many answers are not read here
            finally:
                os.close(sink)
                said = os.read(answers, 1 << 16)
                os.close(reading)
                os.close(answers)
            assert printable(said.decode())
