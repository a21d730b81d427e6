"""HTTP and HTTPS targets: one GET by requests, in a thread, over a connection of our own making.

The connection is bound to device and source and goes to the address that was found through the uplink; Host, SNI and
the certificate's check keep the name.  No proxy, no environment, no redirect is followed.  A request that is given up
has its connection shut under the thread, be it waiting for handshake, headers or body.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import socket
import threading
import time

import requests
import requests.adapters
import requests.utils

from mwan_hook import __version__
from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity, Method
from mwan_hook.probes import plain
from mwan_hook.probes.bound import (
    IP_HEADER,
    NEVER,
    BoundSocket,
    ProbeAnswer,
    endpoint,
    failed,
    guarded,
    not_sent,
    timed_out,
)
from mwan_hook.probes.connection import PlainPool, SecurePool, Trust
from mwan_hook.probes.reply import BROKEN, chain, judge, why
from mwan_hook.probes.tcp import TRIES
from mwan_hook.verdict.rounds import PORTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

WINDOW = 16 * 1024  # of a long reply no more than this is under way when we stop reading
HEADERS = {
    "User-Agent": f"mwan-hook/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def probe(job: Job, addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Fetch the target and compare what comes with what it expects."""
    try:
        call = HttpCall(job, addresses, exchange)
    except OSError as error:  # no descriptor left
        return not_sent(error)
    exchange.meter, exchange.busy = call.spent, call.unread
    try:
        threading.Thread(target=call.run, name=f"probe {job.target.name}", daemon=True).start()
        yield call.event, select.POLLIN, NEVER
        return call.result()
    except RuntimeError as error:  # no thread left
        return ProbeAnswer(Connectivity.LIMITED, None, str(error))
    finally:
        call.abandon()


class HttpCall:
    """One request.  The runner's thread and the request's share it; the lock guards what both touch."""

    def __init__(self, job: Job, addresses: Sequence[str], exchange: Exchange) -> None:
        self.job = job
        self.began = 0.0  # when the first packet left
        self.event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.broken: ProbeAnswer | None = None  # what became of the connection, in better words than requests'
        self._addresses = addresses[:TRIES]
        self._exchange = exchange
        self._connecting = True
        self._lock = threading.Lock()
        self._answer: ProbeAnswer | None = None
        self._abandoned = False
        self._handles: list[socket.socket] = []  # duplicates: they reach the connection after TLS has taken it over

    def run(self) -> None:
        """The request's thread."""
        answer = guarded(_get, self)
        with self._lock:
            if not self._abandoned:  # else the descriptor may be another file's by now
                self._answer = answer
                os.eventfd_write(self.event, 1)

    def result(self) -> ProbeAnswer:
        """The answer, with the bytes of every connection."""
        spent = self._exchange.settle()
        with self._lock:
            answer = self._answer or timed_out(self.job)
        closing = 2 * (IP_HEADER[self.job.family] + 32) if answer.rtt_ms is not None else 0
        return answer._replace(wire_bytes=spent + closing)

    def spent(self) -> int:
        """Bytes of every connection so far."""
        with self._lock:
            return sum(plain.tcp_bytes(handle, self.job.family.af) for handle in self._handles)

    def unread(self) -> bool:
        """True if something has arrived that the request's thread has not yet had the time to read."""
        with self._lock:
            if self._answer or not self._handles:
                return bool(self._answer)
            waiting = select.poll()
            waiting.register(self._handles[-1].fileno(), select.POLLOUT if self._connecting else select.POLLIN)
            return bool(waiting.poll(0))

    def abandon(self) -> None:
        """Shut every connection: a thread that still waits on one wakes up and ends."""
        with self._lock:
            self._abandoned = True
            for handle in self._handles:
                if self._answer is None:
                    _shut(handle)
                handle.close()
            os.close(self.event)

    def connect(self, port: int) -> socket.socket:
        """A connection to the first address that takes it.  Raises OSError, its words in ``broken``."""
        for address in self._addresses:
            try:
                sock = BoundSocket(self.job, _socket.SOCK_STREAM)
            except OSError as error:
                self.broken = not_sent(error)
                raise
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, WINDOW)
            began = time.monotonic()
            number = self._finish(sock, sock.connect_ex(endpoint(self.job, address, port)))
            self.began = self.began or began
            if not number:
                connection = socket.socket(fileno=sock.detach())
                connection.settimeout(None)  # it is shut when its time is over
                return connection
            sock.close()
            if number == errno.ETIMEDOUT:
                break
        raise OSError("no connection")

    def _finish(self, sock: BoundSocket, number: int) -> int:
        """Wait for a connection that is under way; an errno, 0 for success."""
        if number not in (0, errno.EINPROGRESS):
            self.broken = not_sent(OSError(number, ""))
            return number
        self._exchange.begin()
        with self._lock:
            if self._abandoned:
                return errno.ETIMEDOUT
            self._handles.append(socket.socket(fileno=os.dup(sock.fileno())))
            self._connecting = True
        waiting = select.poll()
        waiting.register(sock.fileno(), select.POLLOUT)
        waiting.poll()
        if self._abandoned:
            return errno.ETIMEDOUT
        self._connecting = False
        number = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        self.broken = failed(number) if number else None
        return number


def _shut(handle: socket.socket) -> None:
    """Shut a connection down both ways, though others hold it, too."""
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


class _Adapter(requests.adapters.HTTPAdapter):
    """The adapter that gives requests the call's connection, in every way that its versions ask for one."""

    def __init__(self, call: HttpCall) -> None:
        super().__init__(max_retries=0)
        target = call.job.target
        port = target.port or PORTS[target.method]
        self._pool: Any
        if target.method is Method.HTTPS:
            self._pool = SecurePool(
                target.host, port, call=call, ssl_context=Trust.of(target.host, requests.utils.DEFAULT_CA_BUNDLE_PATH)
            )
        else:
            self._pool = PlainPool(target.host, port, call=call)

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """The pool, for requests up to 2.31."""
        return self._pool

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        """The pool, for requests from 2.32 on."""
        return self._pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The connection's context verifies."""

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()
        super().close()


class _Session(requests.Session):
    """A session that looks at no redirect: requests reads and unpacks such a reply whole, followed or not."""

    def get_redirect_target(self, _: Any) -> None:
        """None: no redirect is followed."""


def _get(call: HttpCall) -> ProbeAnswer:
    """One request and what its answer says."""
    target = call.job.target
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = target.port or PORTS[target.method]
    where = host if port == PORTS[target.method] else f"{host}:{port}"
    with _Session() as session:
        session.trust_env = False
        session.headers.clear()
        session.headers.update(HEADERS)
        session.mount(f"{target.method.value}://", _Adapter(call))
        try:
            with session.get(
                f"{target.method.value}://{where}{target.path or '/'}", allow_redirects=False, stream=True, timeout=None
            ) as response:
                connectivity, words = judge(target, response)
        except BROKEN as error:
            return _broken(call, error)
    return ProbeAnswer(connectivity, (time.monotonic() - call.began) * 1000, words)


def _broken(call: HttpCall, error: BaseException) -> ProbeAnswer:
    """No answer: the words of the layer that knows best."""
    if call.broken:
        return call.broken
    errors = chain(error)
    for cause in reversed(errors):
        if isinstance(cause, OSError) and cause.errno:
            return failed(cause.errno)
    return ProbeAnswer(Connectivity.LIMITED, None, why(errors))
