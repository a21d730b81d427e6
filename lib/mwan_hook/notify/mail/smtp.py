"""The conversation with an SMTP server, step by step, and each failure in words."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from email import message_from_string, policy

from mwan_hook.model import Security
from mwan_hook.notify.child import Delivery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import EmailMessage
    from typing import BinaryIO

    from mwan_hook.model import Mail
    from mwan_hook.notify.child import Hear


RESOLVE, CONNECT, TLS, AUTH, RECIPIENTS, CONTENT = "resolve", "connect", "tls", "auth", "recipients", "content"
_HINTS: dict[type[Exception], str] = {
    ConnectionRefusedError: "connection refused: no server there, or the wrong port",
    TimeoutError: "no answer: no such host, or something on the way swallows it",
}
QUIT = 1.0  # seconds; the mail is taken by then
MOST = 64 * 1024  # bytes of replies on one connection, before and after STARTTLS


class Endless(OSError):  # noqa: N818 - smtplib takes it for the end of the connection
    """A server that goes on talking."""


class BoundedReplies:
    """A server's replies, to an end that we set: smtplib gathers the lines of one without any."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = MOST

    def readline(self, size: int) -> bytes:
        """One line, or the beginning of one.  Raises Endless."""
        line = self._stream.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise Endless(f"more than {MOST >> 10} KiB of replies")
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


class Client(smtplib.SMTP):
    """An SMTP client that reads replies of bounded size."""

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply as the superclass does, which opens the stream where there is none."""
        if self.file is None and self.sock is not None:
            self.file = BoundedReplies(self.sock.makefile("rb"))
        return super().getreply()


class SecureClient(Client, smtplib.SMTP_SSL):
    """An SMTP client that speaks TLS from the first byte."""


def converse(mail: Mail, password: str, message: str, hear: Hear) -> None:
    """All of it; the last thing heard is the outcome."""
    steps = _Steps(hear)
    try:
        unreached = _conversation(mail, password, message, steps)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        # A server's words are an answer at any step; silence may hide one only after the content has begun.
        answered = isinstance(error, smtplib.SMTPRecipientsRefused) or getattr(error, "smtp_code", -1) > 0
        refused = answered and steps.now in (RECIPIENTS, CONTENT)
        certain = answered or steps.now != CONTENT
        hear((steps.now, "", Delivery(False, certain, f"{steps.words}: {_why(error)}", refused=refused)))
        return
    hear((steps.now, "", Delivery(True, True, f"{mail.smtp_host} port {mail.port} took it", unreached)))
    steps.goodbye()


class _Steps:
    """Where the conversation is."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self.now = self.words = ""
        self.client: smtplib.SMTP | None = None

    def begin(self, step: str, words: str) -> None:
        """The next step."""
        self.now, self.words = step, words
        self._hear((step, words, None))

    def goodbye(self) -> None:
        """Send QUIT, and wait for the answer QUIT seconds at most."""
        if self.client is None or self.client.sock is None:
            return
        self.client.sock.settimeout(QUIT)
        with suppress(OSError, smtplib.SMTPException):
            self.client.quit()


def _conversation(mail: Mail, password: str, message: str, steps: _Steps) -> str:
    """Words about refused recipients, if others were not."""
    parsed: EmailMessage = message_from_string(message, policy=policy.SMTP)
    steps.begin(RESOLVE, f"looking up {mail.smtp_host}")
    found = socket.getaddrinfo(mail.smtp_host, mail.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    steps.begin(CONNECT, f"connecting to {mail.smtp_host} port {mail.port} ({', '.join(addresses)})")
    client = steps.client = _connected(mail, mail.timeout / len(addresses), steps)
    assert client.sock is not None
    client.sock.settimeout(mail.timeout)
    here = client.sock.getsockname()[0]
    client.local_hostname = f"[IPv6:{here}]" if ":" in here else f"[{here}]"  # the machine's name may be no domain
    if mail.security is Security.STARTTLS:
        steps.begin(TLS, f"encrypting (STARTTLS) with {mail.smtp_host}")
        client.starttls(context=ssl.create_default_context())
    if mail.user:
        steps.begin(AUTH, f"logging in as {mail.user}")
        client.login(mail.user, password)
    recipients = [address.addr_spec for address in parsed["To"].addresses]
    steps.begin(RECIPIENTS, f"handing over to {', '.join(recipients)}")
    refused = client.send_message(parsed, to_addrs=recipients)
    return _refusals(refused)


def _connected(mail: Mail, timeout: float, steps: _Steps) -> smtplib.SMTP:
    """After the server's greeting; its name, not an address of it, must be in the certificate."""
    client: smtplib.SMTP
    if mail.security is Security.TLS:
        context = ssl.create_default_context()
        client = SecureClient(mail.smtp_host, mail.port, "localhost", timeout=timeout, context=context)
    else:
        client = Client(mail.smtp_host, mail.port, "localhost", timeout)
    send = client.data

    def data(message: str | bytes) -> tuple[int, bytes]:
        steps.begin(CONTENT, f"sending the text to {mail.smtp_host}")
        return send(message)

    client.data = data  # type: ignore[method-assign,assignment]
    return client


def _why(error: Exception) -> str:
    """A failure for people."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"every recipient was refused: {_refusals(error.recipients)}"
    if isinstance(error, smtplib.SMTPResponseException):
        who = "user or password refused: " if isinstance(error, smtplib.SMTPAuthenticationError) else "the server said "
        return who + _reply(error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"the server cannot do that: {error}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        if isinstance(error.__context__, Endless):  # smtplib hangs up itself then
            return f"the server does not stop talking: {error.__context__}"
        silent = isinstance(error.__context__, TimeoutError)
        return "the server does not answer" if silent else f"the server hung up: {error}"
    return _network(error)


def _network(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS there: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"the name has no address: {error.strerror}"
    if isinstance(error, UnicodeError):
        return f"user, password or an address has letters that the server cannot be told: {error}"
    return _HINTS.get(type(error)) or str(getattr(error, "strerror", None) or error)


def _refusals(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address}: {_reply(*answer)}" for address, answer in refused.items())


def _reply(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    kind = " (for good)" if 500 <= code < 600 else " (for now)" if 400 <= code < 500 else ""
    return f"{code} {' '.join(text.split())[:300]}{kind}"
