"""Connections of HTTP and HTTPS that are made as a call says, for urllib3 1.26 and 2."""

from __future__ import annotations

import http
import http.client
import io
import os
import socket
import ssl

import urllib3

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity
from mwan_hook.probes.bound import ProbeAnswer

if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.probes.http import HttpCall

INTERIM = 16  # replies before the final one
MOST = 192 * 1024  # bytes of a reply, headers included: thrice what is read of a body
READ = {"content-length", "content-encoding", "transfer-encoding", "connection"}  # headers that are looked at


class Bounded(io.RawIOBase):
    """What a peer sends, to the end that we set: no parser gets more, though it is told to read more."""

    def __init__(self, stream: io.RawIOBase) -> None:
        super().__init__()
        self._stream = stream
        self._left = MOST

    def readable(self) -> bool:
        """True: it is for reading alone."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read as from any stream.  Raises HTTPException beyond the end."""
        count: int | None = self._stream.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise http.client.HTTPException(f"more than {MOST >> 10} KiB")
        return count

    def close(self) -> None:
        """Close this and the stream below."""
        self._stream.close()
        super().close()


class WholeLines(io.BufferedReader):
    """A reader that takes no half line for a whole one while the headers are read.

    http.client ends the headers where the stream ends: of a reply that was cut off it would make an empty one.
    """

    headers = True
    begun = False

    def readline(self, size: int | None = -1, /) -> bytes:
        """One line."""
        line = super().readline(size)
        if self.headers and (line or self.begun) and not line.endswith(b"\n") and len(line) != size:
            raise http.client.IncompleteRead(line)
        self.begun = True
        return line


class HttpReply(http.client.HTTPResponse):
    """The final reply, whose headers have an end."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._lines = WholeLines(Bounded(self.fp.detach()))
        self.fp = self._lines

    def begin(self) -> None:
        """Read the headers, past interim replies (RFC 9110, 15.2), of which http.client knows 100 alone."""
        super().begin()
        interim = 0
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            interim += 1
            if interim > INTERIM:
                raise http.client.HTTPException("no end of interim replies")
            self.headers = None  # type: ignore[assignment]  # not begun, for the superclass
            super().begin()
        self._lines.headers = False
        for name in {*self.headers}:  # cookies, for one, would be parsed by regular expressions
            if name.lower() not in READ:
                del self.headers[name]

    def _read_next_chunk_size(self) -> int:
        """Refuse a negative size, which the superclass takes for all that comes (CPython 3.11)."""
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError("a chunk of negative size")
        return size


class Plain(urllib3.connection.HTTPConnection):
    """A connection that the call makes."""

    response_class = HttpReply

    def __init__(self, *args: Any, call: HttpCall, **kw: Any) -> None:
        self.call = call
        super().__init__(*args, **kw)

    def _new_conn(self) -> socket.socket:
        return self.call.connect(self.port)


class Secure(Plain, urllib3.connection.HTTPSConnection):
    """A TLS connection that tells a certificate that does not hold from other failures."""

    def connect(self) -> None:
        """TCP, then TLS."""
        try:
            super().connect()
        except ssl.SSLCertVerificationError as error:
            words = f"certificate not accepted: {error.verify_message or error.reason}"
            self.call.broken = ProbeAnswer(Connectivity.PORTAL, None, words)
            raise
        except ssl.SSLError as error:
            self.call.broken = ProbeAnswer(Connectivity.LIMITED, None, f"TLS failed: {error.reason or error}")
            raise


class PlainPool(urllib3.HTTPConnectionPool):
    """A pool of plain connections."""

    ConnectionCls = Plain


class SecurePool(urllib3.HTTPSConnectionPool):
    """A pool of TLS connections."""

    ConnectionCls = Secure


class Trust(ssl.SSLContext):
    """Trust in the system's authorities (OpenSSL heeds SSL_CERT_FILE and SSL_CERT_DIR); without any, those given."""

    host = ""

    @classmethod
    def of(cls, host: str, otherwise: str) -> Trust:
        """The context for a connection to a host; it verifies the chain and that the certificate is the host's.

        ``otherwise``: path of a bundle of authorities.
        """
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.host = host
        context.load_default_certs()
        paths = ssl.get_default_verify_paths()
        if not paths.cafile and not (paths.capath and os.listdir(paths.capath)):
            context.load_verify_locations(otherwise)
        return context

    def wrap_socket(self, *args: Any, **kw: Any) -> ssl.SSLSocket:
        """urllib3 1.26 leaves the host out where it is an address; there would be nothing to check then."""
        kw["server_hostname"] = kw.get("server_hostname") or self.host
        return super().wrap_socket(*args, **kw)
