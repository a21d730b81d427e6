"""Posts to a webhook: a real HTTP server that takes, refuses, hangs, redirects and dies, over kills and boots."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mwan_hook.model import Config, Webhook
from mwan_hook.notify import unsent
from mwan_hook.notify.webhook import book, deliver
from mwan_hook.notify.webhook.book import Queue
from mwan_hook.notify.webhook.send import retry_after
from tests.lab.process import wait_for
from tests.netns import mail_servers as servers
from tests.netns.mail_machine import SLACK, Machine

SECRET = "SECRET"  # in the path, the query and a header; never said
PATH = f"/services/{SECRET}?key={SECRET}"


class Request(NamedTuple):
    """What the server was asked."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """By which it knows a post again."""
        return self.headers["idempotency-key"]


class Server:
    """Answers each post with the next of ``answers``, or 204; some answers are behaviours."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[int, dict[str, str]] | Callable[[BaseHTTPRequestHandler], None]] = []
        self.port = 0


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    """What http.server wants."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Request(self.path, headers, json.loads(body)))
            answer = server.answers.pop(0) if server.answers else (204, {})
            if callable(answer):
                answer(self)
                return
            self.send_response(answer[0])
            for name, value in {"Content-Length": "0", **answer[1]}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *values: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server on loopback."""
    made = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(made)) as http:
        http.daemon_threads = True
        if context:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        made.port = http.server_address[1]
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        http.shutdown()


def hanging(request: BaseHTTPRequestHandler) -> None:
    """No answer for long."""
    with contextlib.suppress(OSError):
        request.connection.recv(1)


def dropping(request: BaseHTTPRequestHandler) -> None:
    """The end in place of an answer."""
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


def endless(request: BaseHTTPRequestHandler) -> None:
    """An answer without end."""
    with contextlib.suppress(OSError):
        request.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            request.connection.sendall(b"x" * 65536)


def endless_elsewhere(request: BaseHTTPRequestHandler) -> None:
    """A redirection without end."""
    with contextlib.suppress(OSError):
        request.connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n")
        while True:
            request.connection.sendall(b"x" * 65536)


def babbling(request: BaseHTTPRequestHandler) -> None:
    """Headers without end, one at a time."""
    with contextlib.suppress(OSError):
        request.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            request.connection.sendall(b"X: y\r\n")
            time.sleep(0.3)


class Hut(Machine):
    """A machine that posts."""

    def hook(self, server: Server, **keys: object) -> Webhook:
        """``[webhook]``."""
        values = {"url": f'"http://127.0.0.1:{server.port}{PATH}"', "timeout": 10, "backoff_min": 60, **keys}
        text = "[webhook]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        self.write("etc/mwan-hook/mwan-hook.conf", text)
        url = str(values["url"]).strip('"')
        return Webhook(url, timeout=10, backoff_min=60)

    def happened(self, *events: str) -> None:
        """Notices on record, and something is online."""
        notices = [self.notice(event, "fiber", 9, "cable") for event in events]
        deliver.record(str(self.root), Webhook("http://x/"), notices)
        self.online("cable")

    def words(self, *words: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "mwan_hook", "webhook", *words]

    def command(self, *words: str, code: int = 0, **environment: str) -> str:
        """As for mail; no secret is ever said."""
        said = super().command(*words, code=code, **environment)
        assert SECRET not in said
        return said

    @property
    def queue(self) -> Queue:
        """What waits."""
        found: Queue = unsent.WEBHOOK.load(str(self.root), writes=False)
        assert (self.root / unsent.WEBHOOK.mark).exists() is found.waits
        return found

    def impatient(self) -> None:
        """The next try is due."""
        unsent.WEBHOOK.change(str(self.root), lambda queue: queue._replace(retry=0.0))


@pytest.fixture
def hut(tmp_path: Path) -> Hut:
    """One without a configuration yet."""
    return Hut(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    """One that takes everything, at first."""
    with serving() as made:
        yield made


def test_events_are_posted_in_order_each_with_its_key_and_once(hut: Hut, server: Server) -> None:
    hut.hook(server)
    hut.happened("offline", "online")
    said = hut.command("--send")
    place = f"http://127.0.0.1:{server.port}/***"
    assert said == f"webhook: offline: {place} took it\nwebhook: online: {place} took it\n"
    assert hut.command("--send") == "" and hut.command() == "nothing waits to be posted\n"
    assert [one.body["event"] for one in server.requests] == ["offline", "online"]
    first = server.requests[0]
    assert first.path == PATH and first.headers["content-type"] == "application/json"
    assert (first.body["uplink"], first.body["online"]) == ("fiber", ["cable"]) and first.body["host"]
    assert len({one.key for one in server.requests}) == 2 and first.key.endswith(first.body["id"])


def test_only_the_events_that_are_named_are_posted_and_what_was_told_is_not_recorded_again(hut: Hut) -> None:
    hook = Webhook("http://x/", events=("online",))
    notices = [hut.notice(event, "fiber", 9) for event in ("offline", "online", "online")]
    for _ in range(2):
        deliver.record(str(hut.root), hook, notices)
    assert [post.event for post in hut.queue.posts] == ["online", "online"]


def test_nothing_is_posted_while_nothing_is_online(hut: Hut, server: Server) -> None:
    hut.hook(server)
    hut.happened("offline")
    hut.online()
    assert hut.command("--send") == "" and not server.requests and hut.queue.waits


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, {}), "answered 500"),
        ((503, {"Retry-After": "1"}), "answered 503"),
        ((401, {}), "answered 401"),
        ((403, {}), "answered 403"),
        ((404, {}), "answered 404"),
        ((410, {}), "answered 410"),
        ((408, {}), "answered 408"),
        ((429, {}), "answered 429"),
        ((302, {"Location": "http://portal.test/login"}), "302, to portal.test: redirections are not followed"),
        (dropping, "closed without an answer"),
    ],
)
def test_what_may_change_is_kept_and_posted_again_with_the_same_key_before_others(
    hut: Hut, server: Server, answer: Any, words: str
) -> None:
    hut.hook(server)
    hut.happened("offline", "online")
    server.answers = [answer]
    said = hut.command("--send", code=1)
    assert words in said and "kept, tried again in 1 min" in said
    assert hut.command("--send") == "" and len(server.requests) == 1, "not due yet"
    assert words in hut.command().split("last try: ")[1]
    hut.impatient()
    hut.command("--send")
    assert [one.body["event"] for one in server.requests] == ["offline", "offline", "online"]
    assert server.requests[0].key == server.requests[1].key and server.requests[0].body == server.requests[1].body
    assert not hut.queue.waits


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refusal_for_good_is_said_once_and_the_next_post_goes(hut: Hut, server: Server, status: int) -> None:
    hut.hook(server)
    hut.happened("offline", "online")
    server.answers = [(status, {})]
    said = hut.command("--send")
    assert said.count(f"answered {status}; it is not posted again") == 1
    assert [one.body["event"] for one in server.requests] == ["offline", "online"] and not hut.queue.waits
    assert hut.command("--send") == ""


@pytest.mark.parametrize(("asked", "pause"), [("600", 600), ("999999999", 3600), ("5", 60), ("soon", 60)])
def test_a_server_s_pause_is_kept_within_bounds(hut: Hut, server: Server, asked: str, pause: float) -> None:
    hut.hook(server)
    hut.happened("offline")
    server.answers = [(429, {"Retry-After": asked})]
    hut.command("--send", code=1)
    assert hut.queue.retry - time.clock_gettime(time.CLOCK_BOOTTIME) == pytest.approx(pause, abs=SLACK)


def test_a_pause_may_be_a_date() -> None:
    assert retry_after("Thu, 01 Jan 1970 00:16:40 GMT", 400.0) == 600.0
    assert retry_after("Thu, 01 Jan 1970 00:16:40 GMT", 4000.0) == 0.0


@pytest.mark.parametrize("behaviour", [hanging, babbling])
def test_a_server_that_hangs_holds_a_run_no_longer_than_the_timeout(
    hut: Hut, server: Server, behaviour: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    hut.hook(server, timeout=1)
    hut.happened("offline")
    server.answers = [behaviour]
    began = time.monotonic()
    said = hut.command("--send", code=1)
    assert time.monotonic() - began < 1 + SLACK and "kept, tried again" in said
    assert hut.queue.failures == 1


def test_an_answer_without_end_is_not_read(hut: Hut, server: Server) -> None:
    hut.hook(server)
    hut.happened("offline")
    server.answers = [endless]
    assert "took it" in hut.command("--send")


def test_a_redirection_without_end_is_not_read_either(hut: Hut, server: Server) -> None:
    hut.hook(server, timeout=4)
    hut.happened("offline")
    server.answers = [endless_elsewhere]
    assert "answered 302, to portal.test: redirections are not followed" in hut.command("--send", code=1)


def test_a_redirection_takes_the_token_nowhere(hut: Hut, server: Server) -> None:
    hut.hook(server, header_file="/token")
    hut.write("token", f"Authorization: Bearer {SECRET}\nX-Other: 1\n").chmod(0o600)
    hut.happened("offline")
    with serving() as other:
        server.answers = [(307, {"Location": f"http://127.0.0.1:{other.port}/"})]
        hut.command("--send", code=1)
        assert not other.requests
    (asked,) = server.requests
    assert (asked.headers["authorization"], asked.headers["x-other"]) == (f"Bearer {SECRET}", "1")


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("Authorization: x", 0o644, "can be read by others and is not used; chmod 600"),
        (f"Bearer {SECRET}", 0o600, "token:1: expected NAME: VALUE"),
        (f"A: b\nEvil\x7f: {SECRET}\n", 0o600, "token:2: expected NAME: VALUE"),
        (None, 0, "cannot read"),
    ],
)
def test_a_header_file_that_cannot_be_used_is_named_and_nothing_is_lost(
    hut: Hut, server: Server, text: str | None, mode: int, words: str
) -> None:
    hut.hook(server, header_file="/token")
    if text is not None:
        hut.write("token", text).chmod(mode)
    hut.happened("offline")
    assert words in hut.command("--send", code=1)
    assert not server.requests and hut.queue.waits


def test_a_certificate_is_checked_by_the_system_or_the_file_or_not_at_all(hut: Hut, tmp_path: Path) -> None:
    made = servers.certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    with serving(context) as server:
        url = f"https://localhost:{server.port}/"
        hut.hook(server, url=url)
        assert "the certificate is not accepted" in hut.command("--test", code=1) and not server.requests
        hut.hook(server, url=url, ca_file=f"/{made.name}.crt")
        hut.command("--test")
        hut.hook(server, url=url, verify="no")
        hut.command("--test")
        assert [one.body["event"] for one in server.requests] == ["test", "test"]


def test_no_server_no_name_and_no_url_are_said_in_words(hut: Hut, server: Server) -> None:
    assert "[webhook] url is not set" in hut.command("--test", code=2)
    hut.happened("offline")
    assert hut.command("--send") == "" and not (hut.root / unsent.WEBHOOK.mark).exists()
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = held.getsockname()[1]
    hut.hook(server, url=f"http://127.0.0.1:{closed}/{SECRET}")
    assert "connection refused" in hut.command("--test", code=1)
    hut.hook(server, url=f"http://no-such-name.invalid/{SECRET}")
    assert "http://no-such-name.invalid/***: the name is not known" in hut.command("--test", code=1)


def test_kill_9_between_post_and_record_repeats_the_same_one(hut: Hut, server: Server) -> None:
    hut.hook(server)
    hut.happened("offline")
    server.answers = [hanging]
    run = subprocess.Popen(hut.words("--send"), env=hut.environment, start_new_session=True)
    wait_for("the server to have it", lambda: bool(server.requests))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert hut.queue.waits
    hut.command("--send")
    first, again = server.requests
    assert first.key == again.key and first.body == again.body and not hut.queue.waits


def test_what_waits_outlives_a_boot_and_keys_of_boots_differ(hut: Hut, server: Server) -> None:
    hut.hook(server)
    hut.happened("offline")
    path = hut.root / unsent.WEBHOOK.path
    paused = hut.queue._replace(failures=3, retry=9e9)
    unsent.WEBHOOK.change(str(hut.root), lambda _: paused)
    path.write_text(path.read_text().replace(hut.queue.boot_id, "another"))
    hut.happened("online")
    hut.command("--send")
    keys = [one.key for one in server.requests]
    assert len(keys) == 2 and keys[0].startswith("another-") and not keys[1].startswith("another-")


@pytest.mark.parametrize("unit", [False, True])
def test_by_hand_a_delivery_posts_at_once_and_under_systemd_it_leaves_that_to_the_unit(
    unit: bool, hut: Hut, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unit:
        monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
    hook = hut.hook(server)
    hut.online("cable")
    deliver.deliver(str(hut.root), hut.loaded(Config(webhook=hook)), [hut.notice("offline", "fiber", 1)])
    assert hut.queue.waits is unit and len(server.requests) == (not unit)


def test_too_many_that_wait_push_out_the_oldest(hut: Hut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MOST", 3)
    hut.happened(*["offline"] * 4, "online")
    assert [post.event for post in hut.queue.posts] == ["offline", "offline", "online"] and hut.queue.omitted == 2
