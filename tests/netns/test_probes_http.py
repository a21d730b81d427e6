"""HTTP and HTTPS targets: the mapping of status, body and failure to connectivity."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mwan_hook.model import Connectivity, Family
from tests.lab.measured import MOST, measured
from tests.lab.process import wait_for
from tests.netns.probe_lab import ALIVE, ProbeLab, Provider, inside
from tests.netns.probe_servers import EXPIRED, FLOODS, NO_TLS, RESET, SELF_SIGNED, SILENT, SLOW_TLS, Internet, make_keys

FULL, PORTAL, LIMITED = Connectivity.FULL, Connectivity.PORTAL, Connectivity.LIMITED
both = pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)


class Bed(NamedTuple):
    """What the tests use."""

    lab: ProbeLab
    uplink: Provider
    internet: Internet


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates and their authority."""
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Bed]:
    """One uplink with all servers."""
    with ProbeLab(tmp_path_factory.mktemp("root")) as lab:
        uplink = lab.provider()
        yield Bed(lab, uplink, Internet(uplink, keys))


@pytest.fixture
def bed(made: Bed, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """The bed, with OpenSSL trusting the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / "ca.pem"))
    return made


def host(family: Family) -> str:
    """The internet's address as in a URL."""
    return f"[{ALIVE[family]}]" if family is Family.IPV6 else ALIVE[family]


MAPPING = [
    ("/204", FULL),
    ("/204-length", FULL),
    ("/empty", FULL),
    ("/empty-unsized", FULL),
    ("/continue", FULL),
    ("/text", PORTAL),
    ("/text=NetworkManager%20is%20online", FULL),
    ("/bare=NetworkManager%20is%20online", FULL),
    ("/text=NetworkManager%20is%20onlin", PORTAL),
    ("/text=etworkManager%20is%20online", PORTAL),
    ("/text=networkmanager%20is%20online", PORTAL),
    ("/text=...Manager%20is...", FULL),
    ("/text=...manager%20is...", PORTAL),
    ("/text=NetworkM...", FULL),
    ("/text=etworkM...", PORTAL),
    ("/text=...is%20online", FULL),
    ("/text=...is%20onlin", PORTAL),
    ("/204=text", PORTAL),
    ("/empty=text", PORTAL),
    ("/plus=a+b%3Dc%20%25", FULL),
    ("/utf8=gr%C3%B6%C3%9Fer", FULL),
    ("/utf8=größer", FULL),
    ("/query?a=b=queried", FULL),
    ("/query?a=b", PORTAL),
    ("/created=made", FULL),
    ("/300", PORTAL),
    ("/301", PORTAL),
    ("/302", PORTAL),
    ("/302=text", PORTAL),
    ("/not-modified", PORTAL),
    ("/307", PORTAL),
    ("/308", PORTAL),
    ("/511", PORTAL),
    ("/400", LIMITED),
    ("/403", LIMITED),
    ("/404", LIMITED),
    ("/407", LIMITED),
    ("/500", LIMITED),
    ("/503", LIMITED),
    ("/chunked=Network%20M", FULL),
    ("/chunked=Netwo...", FULL),
    ("/chunked=Networks", PORTAL),
    ("/lengths=abc", LIMITED),
    ("/chunked-cut=Netw...", LIMITED),
    ("/chunked-broken=Netw...", LIMITED),
    ("/gzip=packed", FULL),
    ("/gzip=other", PORTAL),
    ("/gzip-broken=packed", LIMITED),
    ("/bomb=x...", FULL),
    ("/bomb=...y...", PORTAL),
    ("/chunk-negative=F...", LIMITED),
    ("/chunk-huge=F...", FULL),
    ("/chunk-huge=G...", PORTAL),
    ("/chunk-trailers=z", LIMITED),
    ("/moved-bomb=x...", PORTAL),
    ("/cookies", LIMITED),
    ("/cut=Network...", LIMITED),
    ("/cut-empty", LIMITED),
    ("/limit=...z", FULL),
    ("/large=a...", FULL),
    ("/large=...z", PORTAL),
    ("/large=...z...", PORTAL),
    ("/endless=a...", FULL),
    ("/endless=...z", PORTAL),
    ("/endless", PORTAL),
    ("/early-hints", FULL),
    ("/interim=final", FULL),
    ("/interim-redirect", PORTAL),
    ("/interim-endless", LIMITED),
    ("/interim-only", LIMITED),
    ("/101", LIMITED),
    ("/garbage", LIMITED),
    ("/closed", LIMITED),
    ("/half", LIMITED),
    ("/half-headers", LIMITED),
    ("/no-trailer=ok", FULL),
    ("/headers", LIMITED),
    ("/long", LIMITED),
    ("/headers-endless", LIMITED),
    ("/header-endless", LIMITED),
    ("/status-endless", LIMITED),
    ("/endless-unsized=F...", FULL),
    ("/endless-length=F...", FULL),
    ("/endless-length=...G...", PORTAL),
    ("/reset", LIMITED),
]


@both
def test_status_and_body_map_to_connectivity(bed: Bed, family: Family) -> None:
    rows = [(f"http://{host(family)}{path}", wanted) for path, wanted in MAPPING]
    jobs = [bed.uplink.job(text, family, timeout=10) for text, _ in rows]
    results = bed.lab.run(*jobs)
    assert [(r.job.target.text, r.connectivity) for r in results] == rows, [r.error for r in results]
    assert all((result.error is None) == (result.connectivity is FULL) for result in results)


WORDS = {
    "/closed": "closed without an answer",
    "/reset": "connection reset",
    "/garbage": "no HTTP reply",
    "/half": "broken reply: it ends too early",
    "/half-headers": "broken reply: it ends too early",
    "/cut=Network...": "broken reply: the body ends too early",
    "/chunked-cut=Netw...": "broken reply: it ends too early",
    "/gzip-broken=packed": "broken reply: the body cannot be unpacked",
    "/chunk-negative=F...": "broken reply: it ends too early",
    "/chunk-trailers=z": "broken reply: more than 192 KiB",
    "/headers": "broken reply: got more than 100 headers",
    "/long": "broken reply: a header line without end",
    "/interim-endless": "broken reply: no end of interim replies",
    "/interim-only": "broken reply: it ends too early",
    "/101": "HTTP status 101",
    "/404": "HTTP status 404",
}


def test_a_failure_says_what_happened_on_the_wire(bed: Bed) -> None:
    results = bed.lab.run(*(bed.uplink.job(f"http://9.9.9.9{path}") for path in WORDS))
    assert {r.job.target.text.removeprefix("http://9.9.9.9"): r.error for r in results} == WORDS


@both
@pytest.mark.parametrize("path", ["/drip-body", "/drip-body=N...", "/drip-headers", "/drip-continue", "/hang"])
def test_a_server_that_drips_does_not_stretch_the_deadline(bed: Bed, family: Family, path: str) -> None:
    job = bed.uplink.job(f"http://{host(family)}{path}", family, timeout=0.9)
    began = time.monotonic()
    result = bed.lab.one(job)
    assert time.monotonic() - began < 1.9
    # A first byte of a body where none is expected is answer enough.
    wanted = (PORTAL, "another body than expected") if path == "/drip-body" else (LIMITED, "timed out after 0.9 s")
    assert (result.connectivity, result.error) == wanted
    assert result.wire_bytes > 200
    for thread in threading.enumerate():
        if thread.name.startswith("probe "):
            thread.join(2)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("port", "wanted", "error"),
    [
        (443, FULL, None),
        (SELF_SIGNED, PORTAL, "certificate not accepted"),
        (EXPIRED, PORTAL, "certificate not accepted"),
        (NO_TLS, LIMITED, "TLS failed"),
        (RESET, LIMITED, "connection reset"),
        (SLOW_TLS, LIMITED, "timed out after 1 s"),
        (SILENT, LIMITED, "timed out after 1 s"),
        (450, LIMITED, "connection refused"),
    ],
)
@both
def test_failures_of_tls_map_to_connectivity(
    bed: Bed, family: Family, port: int, wanted: Connectivity, error: str | None
) -> None:
    began = time.monotonic()
    result = bed.lab.one(bed.uplink.job(f"https://{host(family)}:{port}/204", family, timeout=1))
    assert time.monotonic() - began < 2
    assert (result.connectivity, (result.error or "").startswith(error or "")) == (wanted, True), result.error
    assert (result.error is None) == (error is None)


def test_a_certificate_is_checked_against_the_name_that_is_asked(bed: Bed) -> None:
    servers = (f"{bed.uplink.subnet}.1",)
    jobs = [bed.uplink.job(f"https://{name}/204", servers=servers) for name in ("ok.test", "other.test")]
    right, wrong = bed.lab.run(*jobs)
    assert (right.connectivity, right.error) == (FULL, None)
    assert wrong.connectivity is PORTAL
    assert wrong.error is not None and "ostname mismatch" in wrong.error


def test_an_authority_that_is_not_trusted_is_a_certificate_error(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert bed.lab.one(bed.uplink.job("https://9.9.9.9/204")).connectivity is PORTAL


def test_the_request_keeps_the_name_and_asks_for_no_packing(bed: Bed) -> None:
    bed.internet.requests.clear()
    servers = (f"{bed.uplink.subnet}.1",)
    texts = ("http://ok.test/204", "http://ok.test:8080/204", "http://9.9.9.9/204")
    bed.lab.run(*(bed.uplink.job(text, servers=servers) for text in texts))
    bed.lab.one(bed.uplink.job(f"http://{host(Family.IPV6)}/204", Family.IPV6))
    hosts = {headers["host"] for _, headers in bed.internet.requests}
    assert hosts == {"ok.test", "ok.test:8080", "9.9.9.9", host(Family.IPV6)}
    for _, headers in bed.internet.requests:
        assert headers["accept-encoding"] == "identity" and headers["connection"] == "close"
        assert headers["user-agent"].startswith("mwan-hook/")


def test_proxies_and_credentials_of_the_environment_are_not_used(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 9.9.9.9 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    bed.internet.requests.clear()
    results = bed.lab.run(bed.uplink.job("http://9.9.9.9/204"), bed.uplink.job("https://9.9.9.9/204"))
    assert [result.connectivity for result in results] == [FULL, FULL]
    assert not [headers for _, headers in bed.internet.requests if "authorization" in headers]


def test_a_redirect_is_not_followed(bed: Bed) -> None:
    bed.internet.requests.clear()
    bed.lab.one(bed.uplink.job("http://9.9.9.9/301"))
    assert [path for path, _ in bed.internet.requests] == ["/301"]


@both
@pytest.mark.parametrize("url", ["http://{}/204", "https://{}/204", "http://{}/text=N..."])
def test_bytes_are_counted_as_they_are_on_the_wire(bed: Bed, family: Family, url: str) -> None:
    with bed.uplink.capture() as packets:
        result = bed.lab.one(bed.uplink.job(url.format(host(family)), family))
    assert result.connectivity is FULL
    size = sum(packet.size for packet in packets if packet.protocol == socket.IPPROTO_TCP)
    # The last acknowledgements depend on who closes first.
    assert abs(result.wire_bytes - size) <= 2 * 72


@both
def test_a_body_without_end_costs_little_more_than_what_is_read(bed: Bed, family: Family) -> None:
    with bed.uplink.capture() as packets:
        bed.lab.run(*(bed.uplink.job(f"http://{host(family)}/endless{how}", family) for how in ("", "=...z...")))
    size = sum(packet.size for packet in packets if packet.protocol == socket.IPPROTO_TCP)
    assert size < 200_000


def test_no_more_than_the_limit_of_a_body_is_read(bed: Bed) -> None:
    taken: list[int] = []

    def endless(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while sum(taken) < 50_000_000:
                taken.append(connection.send(b"x" * 65536))
        except OSError:
            pass

    bed.uplink.listen(8100, endless)
    with inside(bed.lab.machine):
        Path("/proc/sys/net/ipv4/tcp_rmem").write_text("4096 8192 8192")
    assert bed.lab.one(bed.uplink.job("http://9.9.9.9:8100/=x...")).connectivity is FULL
    with inside(bed.lab.machine):
        Path("/proc/sys/net/ipv4/tcp_rmem").write_text("4096 131072 6291456")
    assert 65536 <= sum(taken) < 5_000_000


@both
def test_round_trips_of_other_targets_do_not_grow_by_what_https_costs_this_machine(bed: Bed, family: Family) -> None:
    texts = [f"icmp://{ALIVE[family]}", f"tcp://{host(family)}:7000"]
    jobs = [bed.uplink.job(text, family) for text in [*texts, *[f"https://{host(family)}/204"] * 8]]
    best = [1000.0, 1000.0]

    def another_round() -> bool:
        results = bed.lab.run(*jobs)
        assert {result.connectivity for result in results} == {FULL}
        best[:] = [min(rtt, result.rtt_ms or 1000) for rtt, result in zip(best, results, strict=False)]
        return max(best) < 1

    # The machine may have something else to do while one is sent; what https costs comes back each time.
    wait_for(f"round trips of this machine: {best}", another_round, 20)


def test_a_run_that_is_told_too_much_by_every_target_stays_small(bed: Bed) -> None:
    paths = [
        "/bomb=...y...",
        "/moved-bomb=x",
        *(f"{path}=...G..." for path in FLOODS),
        "/long",
        "/cookies",
        "/endless=z",
    ]
    targets = [f"http://9.9.9.9{path}" for path in paths] + ["http://maze.test/204", "dns://9.9.9.9/odd.test"]
    uplinks = "[uplinks]\n[[up]]\nmatch = up1\nfamilies = ipv4\ngateway = 10.77.1.1\n"
    place = bed.lab.root / "etc/mwan-hook/mwan-hook.conf"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"[probe]\ntargets = {', '.join(targets)}\nportal_interval = 0\ntimeout = 5\nrise = 1\n{uplinks}")
    place.parents[1].joinpath("resolv.conf").write_text("nameserver 9.9.9.9\n")
    command = [sys.executable, "-m", "mwan_hook", "--root", str(bed.lab.root)]
    inside = ("ip", "netns", "exec", bed.lab.machine)
    run = measured([*command, "check", "--now"], os.environ, inside)
    said = measured([*command, "status", "--json"], os.environ, inside)
    measured([*command, "flush"], os.environ, inside)
    assert (run.code, run.errors) == (0, "")
    heard = json.loads(said.said)["uplinks"]["up"]["ipv4"]["targets"]
    assert len(heard) == len(targets) and not any("timed out" in (one["error"] or "") for one in heard), heard
    assert run.peak < MOST


def test_fifty_requests_at_once_share_the_deadline(bed: Bed) -> None:
    jobs = [bed.uplink.job("http://9.9.9.9/drip-body=N...", timeout=1.5) for _ in range(25)]
    jobs += [bed.uplink.job("http://9.9.9.9/204", timeout=1.5) for _ in range(25)]
    began = time.monotonic()
    results = bed.lab.run(*jobs)
    assert time.monotonic() - began < 4
    assert [result.connectivity for result in results] == [LIMITED] * 25 + [FULL] * 25
