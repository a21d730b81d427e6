"""T-PROBE: a machine with uplinks, and behind each a provider with an internet of its own whose faults can be switched.

Servers run as threads of the tests' process, on sockets made inside the providers' namespaces.  Of the internet's
addresses (9.9.9.N and 2001:db8:9::N) the 9th answers, for the 8th the provider says unreachable, and the 7th is a
black hole.
"""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mwan_hook.config import targets
from mwan_hook.model import Family, Job, Result
from mwan_hook.probes import runner

CLONE_NEWNET = 0x40000000
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
ALIVE = {Family.IPV4: "9.9.9.9", Family.IPV6: "2001:db8:9::9"}
UNREACHABLE = {Family.IPV4: "9.9.9.8", Family.IPV6: "2001:db8:9::8"}
BLACK_HOLE = {Family.IPV4: "9.9.9.7", Family.IPV6: "2001:db8:9::7"}
GATEWAY6 = "fe80::1"

Handler = Callable[[socket.socket], None]


def command(*words: str) -> str:
    """Run a program; its output."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread is in another network namespace for a while; sockets and threads made there stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{namespace}", "rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


class Packet(NamedTuple):
    """A packet seen on the provider's side; ``size`` from the IP header up."""

    incoming: bool
    source: str
    destination: str
    protocol: int
    size: int


class Provider:
    """One provider's namespace; interface ``lan`` leads to the machine's ``upN``."""

    def __init__(self, lab: ProbeLab, number: int, subnet: str) -> None:
        self.lab, self.number, self.subnet = lab, number, subnet
        self.name = f"{lab.tag}-isp{number}"
        self.interface = f"up{number}"
        self.source = {Family.IPV4: f"{subnet}.2", Family.IPV6: f"2001:db8:{number}::2"}
        self.gateway = {Family.IPV4: f"{subnet}.1", Family.IPV6: GATEWAY6}
        self._capture: socket.socket | None = None
        self.servers: dict[int, socket.socket] = {}  # by port

    def ip(self, line: str) -> str:
        """Run ip(8) in the provider's namespace."""
        return command("ip", "-n", self.name, *line.split())

    def make(self) -> None:
        """The namespace, the line and the internet behind it."""
        command("ip", "netns", "add", self.name)
        self.plug()
        self.ip("link set lo up")
        for family, address in ALIVE.items():
            self.ip(f"addr add {address}/{32 if family is Family.IPV4 else 128} dev lo")
            self.ip(f"route add unreachable {UNREACHABLE[family]}")
            self.ip(f"route add blackhole {BLACK_HOLE[family]}")
        for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            command("ip", "netns", "exec", self.name, "sysctl", "-qw", f"net.{key}=1")
        # The kernel limits unreachable errors to one a second and address.
        command(
            "ip", "netns", "exec", self.name, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"
        )

    def plug(self) -> None:
        """The line, its addresses, the machine's rules and its table, as mwan-hook lays them."""
        here, n, name = self.lab.ip, self.number, self.interface
        command("ip", "-n", self.lab.machine, "link", "add", name, "type", "veth", "peer", "lan", "netns", self.name)
        for line in (f"{self.subnet}.1/24", f"2001:db8:{n}::1/64 nodad", f"{GATEWAY6}/64 nodad"):
            self.ip(f"addr add {line} dev lan")
        self.ip("link set lan up")
        for line in (f"{self.source[Family.IPV4]}/24", f"{self.source[Family.IPV6]}/64 nodad", f"fe80::{n}2/64 nodad"):
            here(f"addr add {line} dev {name}")
        here(f"link set {name} up")
        table = 1000 + n
        for family, flag in ((Family.IPV4, "-4"), (Family.IPV6, "-6")):
            here(f"{flag} route add default via {self.gateway[family]} dev {name} table {table}")
            here(f"{flag} route add unreachable default metric 4294967295 table {table}")
            here(f"{flag} rule add priority 1100 oif {name} lookup {table}")
            here(f"{flag} rule add priority 1200 from {self.source[family]} lookup {table}")

    @property
    def index(self) -> int:
        """Of the machine's interface."""
        with inside(self.lab.machine):
            return socket.if_nametoindex(self.interface)

    def job(self, target: str, family: Family = Family.IPV4, timeout: float = 3, **fields: object) -> Job:
        """A job for this uplink."""
        made = Job(
            uplink=self.interface,
            family=family,
            target=targets.parse(target),
            interface=self.interface,
            index=self.index,
            source=self.source[family],
            gateway=self.gateway[family],
            timeout=timeout,
        )
        return made._replace(**fields)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def capture(self) -> Iterator[list[Packet]]:
        """Every IP packet on the line while the block runs, complete when it ends."""
        packets: list[Packet] = []
        with inside(self.name):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        with sock:
            sock.bind(("lan", ETH_P_ALL))
            sock.setblocking(False)
            yield packets
            time.sleep(0.1)  # for what the probe set off last
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, (_, protocol, kind, *_) = sock.recvfrom(65535)
                    if protocol in (ETH_P_IP, ETH_P_IPV6):
                        packets.append(_packet(data, protocol, kind != socket.PACKET_OUTGOING))

    def listen(self, port: int, handler: Handler) -> None:
        """Serve TCP on all addresses of both families, in the place of who served there before."""
        if port in self.servers:
            _close(self.servers.pop(port))
        with inside(self.name):
            server = socket.create_server(("::", port), family=socket.AF_INET6, backlog=64, dualstack_ipv6=True)
        self.servers[port] = server
        self.lab.closing.callback(_close, server)
        threading.Thread(target=_accept, args=(server, handler), daemon=True).start()

    def datagrams(self, port: int, handler: Callable[[bytes], list[bytes]]) -> None:
        """Answer UDP on the internet's addresses and the gateway's; the handler gives the answers to a datagram."""
        for address in (*ALIVE.values(), f"{self.subnet}.1"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with inside(self.name):
                sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.bind((address, port))
            self.lab.closing.callback(_close, sock)
            threading.Thread(target=_answer, args=(sock, handler), daemon=True).start()


class ProbeLab:
    """The machine and its providers; gone when the block ends."""

    def __init__(self, root: Path) -> None:
        self.tag = f"mwp{secrets.token_hex(3)}"
        self.machine = f"{self.tag}-hut"
        self.root = root
        self.providers: list[Provider] = []
        self.closing = contextlib.ExitStack()

    def __enter__(self) -> ProbeLab:
        command("ip", "netns", "add", self.machine)
        self.ip("link set lo up")
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()
        for name in (self.machine, *(provider.name for provider in self.providers)):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def ip(self, line: str) -> str:
        """Run ip(8) on the machine."""
        return command("ip", "-n", self.machine, *line.split())

    def sysctl(self, *settings: str) -> None:
        """Set sysctls on the machine: ``net.ipv4.x=1``."""
        command("ip", "netns", "exec", self.machine, "sysctl", "-qw", *settings)

    def provider(self, subnet: str = "") -> Provider:
        """One more uplink."""
        number = len(self.providers) + 1
        made = Provider(self, number, subnet or f"10.77.{number}")
        self.providers.append(made)
        made.make()
        return made

    def run(self, *jobs: Job) -> list[Result]:
        """Probe from the machine."""
        with inside(self.machine):
            return runner.run(jobs, root=str(self.root))

    def one(self, job: Job) -> Result:
        """The result of one job."""
        return self.run(job)[0]


def _packet(data: bytes, protocol: int, incoming: bool) -> Packet:
    """The header's fields."""
    if protocol == ETH_P_IP:
        addresses = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
        return Packet(incoming, *addresses, data[9], struct.unpack_from("!H", data, 2)[0])
    addresses = socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40])
    return Packet(incoming, *addresses, data[6], 40 + struct.unpack_from("!H", data, 4)[0])


def _close(sock: socket.socket) -> None:
    """Wake what waits on a socket, and close it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _accept(server: socket.socket, handler: Handler) -> None:
    """Serve each connection in a thread of its own until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, handler), daemon=True).start()


def _serve(connection: socket.socket, handler: Handler) -> None:
    with contextlib.suppress(OSError, ValueError), connection:
        connection.settimeout(20)
        handler(connection)


def _answer(sock: socket.socket, handler: Callable[[bytes], list[bytes]]) -> None:
    """Answer datagrams until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            data, peer = sock.recvfrom(65535)
            for packet in handler(data):
                sock.sendto(packet, peer)


def drip(connection: socket.socket, data: bytes, pause: float = 0.2) -> None:
    """One byte, a pause, and so on: no single read of the other side takes long."""
    for byte in data:
        connection.sendall(bytes((byte,)))
        time.sleep(pause)
