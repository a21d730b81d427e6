"""Addresses of names, asked through the uplink that is probed and never through another.

systemd-resolved where its varlink socket is there and answers for the link; else the servers of the uplink's lease,
networkd's or another manager's; else those of resolv.conf, over sockets bound to the uplink's device and address.  A
loopback server (127.0.0.53) cannot be asked so and is left out.
"""

from __future__ import annotations

import _socket
import json
import os
import select
import time

import dns.exception
import dns.message
import dns.rcode

from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.machine import leases
from mwan_hook.machine.resolvconf import nameservers
from mwan_hook.model import Connectivity, Family
from mwan_hook.probes import dns as question
from mwan_hook.probes.bound import NEVER, ProbeAnswer, literal
from mwan_hook.probes.datagram import Server

if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, Steps

RESOLVED = "run/systemd/resolve/io.systemd.Resolve"
RESOLV_CONF = "etc/resolv.conf"
MAX_SERVERS = 3  # as in resolv.conf(5)
MAX_REPLY = 65536
RRTYPE = {Family.IPV4: "A", Family.IPV6: "AAAA"}
FROM_NETWORK = 1 << 23  # SD_RESOLVED_FROM_NETWORK
EXCHANGE = 138  # bytes of a usual question and its answer, where resolved made them


class Resolved(NamedTuple):
    """Addresses of a name; none: ``answer`` is that of every job that needed them."""

    addresses: tuple[str, ...]
    answer: ProbeAnswer


class NameLookups:
    """Look-ups of names; ``root`` is where systemd-resolved's socket and resolv.conf are."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find(self, job: Job, exchange: Exchange, seconds: float) -> Steps[Resolved]:
        """Addresses of the job's host in the job's family; ``seconds`` are shared by all that can be asked."""
        deadline = time.monotonic() + seconds
        found = yield from _by_resolved(job, os.path.join(self._root, RESOLVED), exchange, seconds / 2)
        if not _settled(found):
            found = yield from self._by_servers(job, exchange, deadline, found)
        connectivity = min(found.answer.connectivity, Connectivity.LIMITED)
        return found._replace(answer=found.answer._replace(connectivity=connectivity, wire_bytes=exchange.total()))

    def _servers(self, job: Job) -> list[tuple[Job, str]]:
        """Servers to ask, each with a job of its own family: an IPv4 server knows IPv6 addresses, too."""
        ways, usable = {job.family: job}, []
        if job.other_source:
            other = Family.IPV6 if job.family is Family.IPV4 else Family.IPV4
            ways[other] = job._replace(family=other, source=job.other_source)
        leased = [*job.servers, *job.other_servers] or self._leased(job, ways)
        for text in leased or nameservers(os.path.join(self._root, RESOLV_CONF)):
            server = text.partition("#")[0].partition("%")[0]
            way = ways.get(Family.of(server))
            if way and literal(server, way.family) and not server.startswith("127.") and server != "::1":
                usable.append((way, server))
        return usable[:MAX_SERVERS]

    def _leased(self, job: Job, ways: dict[Family, Job]) -> tuple[str, ...]:
        """Servers that another manager than networkd has for the link."""
        own = ways.get(Family.IPV4)
        return leases.lease(self._root, job.index, job.interface, [own.source]).servers if own else ()

    def _by_servers(self, job: Job, exchange: Exchange, deadline: float, found: Resolved) -> Steps[Resolved]:
        """One server after the other, with time left for the next; ``found`` where there is none."""
        name = job.target.host
        try:
            query = dns.message.make_query(name, RRTYPE[job.family])
        except (dns.exception.DNSException, ValueError) as error:
            return _failed(f"not a name: {name}: {error}")
        servers = self._servers(job)
        for place, (way, server) in enumerate(servers):
            left = len(servers) - place
            now = time.monotonic()
            until = NEVER if left == 1 else now + (deadline - now) / (left + 1)
            exchange.about = _about(job, server)
            asked = Server(server, question.PORT, until=until, repeat=question.REPEAT)
            reply = yield from question.ask(way, asked, query, exchange)
            found = _found(job, server, query, reply)
            if _settled(found):
                break
        return found


def _failed(words: str) -> Resolved:
    """No address yet."""
    return Resolved((), ProbeAnswer(Connectivity.LIMITED, None, words))


def _settled(found: Resolved) -> bool:
    """True if no other server need be asked: there are addresses, or it is sure that there are none."""
    return bool(found.addresses) or found.answer.connectivity is Connectivity.FULL


def _found(job: Job, server: str, query: dns.message.Message, reply: question.DnsReply) -> Resolved:
    """Addresses out of a reply; ``full`` without any: it is sure that there are none."""
    name = job.target.host
    if reply.message is None:
        return Resolved((), reply.answer._replace(error=f"{_about(job, server)}{reply.answer.error}"))
    rcode = reply.message.rcode()
    if rcode == dns.rcode.NXDOMAIN:
        return Resolved((), reply.answer._replace(error=f"no such name: {name}"))
    if rcode != dns.rcode.NOERROR:
        return _failed(f"{_about(job, server)}answered {dns.rcode.to_text(rcode)}")
    try:
        addresses = question.found_in(reply.packet, query.question[0].name, job.family)
    except (dns.exception.DNSException, ValueError) as error:
        return _failed(f"{_about(job, server)}broken answer: {error}")
    return Resolved(addresses, reply.answer._replace(error=None if addresses else _none(job)))


def _about(job: Job, server: str) -> str:
    return f"DNS server {server} for {job.target.host}: "


def _none(job: Job) -> str:
    return f"{job.target.host} has no {'IPv4' if job.family is Family.IPV4 else 'IPv6'} address"


def _by_resolved(job: Job, path: str, exchange: Exchange, seconds: float) -> Steps[Resolved]:
    """Ask systemd-resolved for the link.

    Varlink (varlink.org): one JSON object each way, ended by a zero byte; the method is the one that nss-resolve calls.
    """
    name = job.target.host
    parameters = {"ifindex": job.index, "name": name, "family": job.family.af}
    call = json.dumps({"method": "io.systemd.Resolve.ResolveHostname", "parameters": parameters}).encode() + b"\0"
    exchange.about = f"systemd-resolved for {name}: "
    got = b""
    try:
        with _Local() as sock:
            sock.connect(path)
            sock.send(call)
            exchange.begin()
            until = time.monotonic() + seconds
            while b"\0" not in got and len(got) < MAX_REPLY:
                if not (yield sock.fileno(), select.POLLIN, until):
                    return _failed(f"systemd-resolved for {name}: no answer")
                if not (part := sock.recv(MAX_REPLY)):
                    break
                got += part
    except OSError:
        return _failed(f"no DNS server of this uplink is known to ask for {name}")
    try:
        return _resolved(job, json.loads(got.partition(b"\0")[0]), exchange)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # not of the shape that it should have
        return _failed(f"systemd-resolved for {name}: broken answer")


def _resolved(job: Job, reply: dict[str, Any], exchange: Exchange) -> Resolved:
    """Addresses out of resolved's reply."""
    parameters = reply.get("parameters") or {}
    name = job.target.host
    if error := reply.get("error"):
        kind = str(error).rpartition(".")[2]
        if kind == "NoNameServers":
            return _failed(f"no DNS server of this uplink is known to ask for {name}")
        exchange.spent = EXCHANGE
        if kind == "NoSuchResourceRecord":
            return Resolved((), ProbeAnswer(Connectivity.FULL, None, _none(job)))
        if kind == "DNSError" and parameters.get("rcode") == dns.rcode.NXDOMAIN:
            return Resolved((), ProbeAnswer(Connectivity.FULL, None, f"no such name: {name}"))
        return _failed(f"systemd-resolved for {name}: {kind}")
    addresses = tuple(
        _socket.inet_ntop(job.family.af, bytes(entry["address"]))
        for entry in parameters["addresses"]
        if entry["family"] == job.family.af
    )
    exchange.spent = EXCHANGE if parameters.get("flags", 0) & FROM_NETWORK else 0
    return Resolved(addresses, ProbeAnswer(Connectivity.FULL, None, None if addresses else _none(job)))


class _Local(_socket.socket):
    """A non-blocking stream to a service of this machine."""

    def __init__(self) -> None:
        super().__init__(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)

    def __enter__(self) -> _Local:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
