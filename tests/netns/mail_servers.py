"""Servers that mail is sent to: a real one that speaks TLS and knows passwords, and sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "hut@example.org", "correct horse"
Behaviour = Callable[[socket.socket], None]


class Mailbox:
    """What a server took, and how it answers: recipients by what their name begins with, content by ``answers``."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answers: list[str] = []  # to contents, first one first; then 250
        self.private: list[bool] = []  # was it in TLS?
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Some are unknown, some have to wait."""
        if address.startswith("unknown"):
            return "550 5.1.1 no such user here"
        if address.startswith("later"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Into the box, unless it is refused."""
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("2"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.mails.append(message_from_bytes(content, policy=policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
            assert server.transport is not None
            self.private.append(server.transport.get_extra_info("ssl_object") is not None)
        return answer


def _login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, auth_data=data, handled=False)


@contextlib.contextmanager
def real(mailbox: Mailbox, starttls: Path | None = None, tls: Path | None = None) -> Iterator[int]:
    """aiosmtpd on loopback; its port.  With TLS of either kind it wants a password."""
    listening = socket.create_server(("127.0.0.1", 0))
    mailbox.port = listening.getsockname()[1]
    loop = asyncio.new_event_loop()
    options: dict[str, Any] = {"hostname": "mail.test", "loop": loop}
    if starttls or tls:
        options |= {"authenticator": _login, "auth_required": True, "auth_require_tls": tls is None}
    if starttls:
        options |= {"tls_context": _context(starttls), "require_starttls": True}
    server = loop.run_until_complete(
        loop.create_server(lambda: SMTP(mailbox, **options), sock=listening, ssl=_context(tls) if tls else None)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield mailbox.port
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def certificate(directory: Path, name: str = "localhost") -> Path:
    """A certificate of its own authority, with its key."""
    made = directory / f"{name}.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=DNS:{name}"
        f" -keyout {made} -out {made}.crt && cat {made}.crt >> {made}",
        shell=True,
        check=True,
        capture_output=True,
    )
    return made


def _context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def misbehaving(behaviour: Behaviour) -> Iterator[int]:
    """A socket on loopback; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=_serve, args=(connection, behaviour), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _serve(connection: socket.socket, behaviour: Behaviour) -> None:
    with contextlib.suppress(OSError), connection:
        behaviour(connection)


def silent(connection: socket.socket) -> None:
    """Accepts, and says nothing."""
    connection.recv(1)
    time.sleep(60)


def dripping(connection: socket.socket) -> None:
    """One byte a second: no time-out of a single read ever ends that."""
    for byte in b"220 a greeting that takes its time " * 10:
        connection.sendall(bytes([byte]))
        time.sleep(0.3)


def endless(connection: socket.socket) -> None:
    """A greeting that has always one line more."""
    while True:
        connection.sendall(b"220-and another line\r\n")
        time.sleep(0.01)


def babbling(connection: socket.socket) -> None:
    """The same as fast as it is read."""
    while True:
        connection.sendall((b"220-" + b"and so on " * 700 + b"\r\n") * 50)


def breathless(connection: socket.socket) -> None:
    """One line without an end."""
    while True:
        connection.sendall(b"220-and so on " * 5000)


def greeting_then_babbling(connection: socket.socket) -> None:
    """A good beginning."""
    connection.sendall(b"220 mail.test\r\n")
    connection.recv(100)
    while True:
        connection.sendall(b"250-AUTH\r\n" * 5000)


def rude(connection: socket.socket) -> None:
    """Its words would rename a terminal, clear it, and write from right to left."""
    connection.sendall("421 not now \x1b]0;mine\x07\x1b[2J \u202edeppots \x9b1A\r\n".encode() + b"\xff\r\n")
    connection.recv(100)


def foreign(connection: socket.socket) -> None:
    """No mail server at all."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.recv(100)


class Swallowing:
    """Takes the whole mail, and then does not answer: it waits for ever, or hangs up."""

    def __init__(self, hang: bool) -> None:
        self._hang = hang
        self.contents: list[bytes] = []

    def __call__(self, connection: socket.socket) -> None:
        """The conversation up to the final dot."""
        connection.sendall(b"220 here\r\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                if not line.upper().startswith(b"DATA"):
                    connection.sendall(b"250 yes\r\n")
                    continue
                connection.sendall(b"354 go on\r\n")
                self.contents.append(b"".join(iter(lines.readline, b".\r\n")))
                if self._hang:
                    time.sleep(60)
                return
