"""The world outside a booted system: providers that hand out addresses, and the internet behind each of them.

Provider n has the network NETWORKS[n] with the gateway at its first address, and 2001:db8:n:1::/64 with the
gateway fe80::1; faults, what was seen, and the internet's addresses are those of :mod:`tests.lab`.
"""

from __future__ import annotations

import ipaddress
import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from tests.lab import Isp, Lab, LabError, wait_for
from tests.lab.process import Done
from tests.lab.starts import Process
from tests.system.beds.files import Files, archive

T = TypeVar("T")
NETWORKS = {1: "192.168.1.0/24", 2: "192.168.3.0/24", 3: "192.168.4.0/24", 4: "192.168.8.0/24", 5: "10.64.5.0/24"}
ISPS = (1, 2, 3)
LEASE = "2m"  # the shortest that dnsmasq knows
READY = "sockets bound exclusively to interface lan"  # its last word before it serves
PATIENCE = 60  # seconds that only a very busy host needs


class Device(NamedTuple):
    """A line of `networkctl`."""

    operational: str
    setup: str


CONFIGURED = Device("routable", "configured")


class World(Lab):
    """Providers that serve; a subclass adds the booted system, and says how to run a command in it."""

    def __init__(self, isps: Sequence[int] = ISPS, networks: Mapping[int, str] | None = None) -> None:
        super().__init__()
        self.networks = {n: (networks or {}).get(n, NETWORKS[n]) for n in isps}
        self.provider: dict[int, Isp] = {}
        self._dhcp: dict[int, Process] = {}
        self._moves, self._slowest = 0, 0.0  # seconds that a server took to begin

    def build_world(self) -> None:
        """Make the providers and their servers."""
        for n, network in self.networks.items():
            self.provider[n] = isp = self.isp(f"isp{n}", network, f"2001:db8:{n}:1::/64")
            # it would take up its own advertisements
            isp.ns.sysctl({f"ipv6/conf/{device}/accept_ra": 0 for device in ("lan", "keep0", "keep1")})
        self.serve(tls=False)
        for n in self.networks:
            self.dhcp(n, on=True)

    # -- what a provider hands out

    def dhcp(self, n: int, on: bool, first: int = 50, rebind: int = 0) -> None:
        """Start or stop the DHCP server and router advertisements of a provider.

        Addresses begin at host `first`.  `rebind`: after so many seconds a client asks all servers, not its own.
        """
        if process := self._dhcp.pop(n, None):
            process.kill()
            process.wait()
        if not on:
            return
        # networkd 257 does not hear another server's refusal: two seconds later its lease is over
        timers = {58: rebind // 2, 59: rebind, 51: rebind + 2} if rebind else {}
        forced = [f"--dhcp-option-force={option},{seconds}" for option, seconds in timers.items()]
        log = self.spawn(
            self.provider[n].ns.argv(*self._dhcp_server(n, first), *forced), f"dhcp{n}-{len(self.children)}"
        )
        self._dhcp[n] = self.children[-1]
        # a renewal that it does not hear is not repeated for a minute
        begun = time.monotonic()
        wait_for(f"the server: {log}", lambda: READY in log.read_text(), PATIENCE)
        self._slowest = max(self._slowest, time.monotonic() - begun)

    def _dhcp_server(self, n: int, first: int) -> list[str]:
        network, gateway = ipaddress.ip_network(self.networks[n]), self.provider[n].gateway
        pool = f"{network[first]},{network[first + 49]},{network.netmask},{LEASE}"
        return [
            *("dnsmasq", "-d", "-C", "/dev/null", "-u", "root", "--port=0", "-i", "lan", "-z"),
            *("--log-facility=-", "--log-dhcp", "--no-ping", "--dhcp-authoritative", "--dhcp-rapid-commit"),
            *(f"--dhcp-leasefile={self.dir}/leases{n}", f"--dhcp-range={pool}"),
            *(f"--dhcp-option=option:router,{gateway}", f"--dhcp-option=option:dns-server,{gateway}"),
            *("--enable-ra", "--dhcp-range=::,constructor:lan,ra-only,64,5m", "--ra-param=lan,10,60"),
        ]

    def renumber(self, n: int, network: str, first: int = 50) -> None:
        """A provider moves to another network: other addresses, another gateway.

        The link stays up.  The system notices some seconds later, as its lease's second timer runs out: a refused
        renewal goes to all, and networkd listens to its own address only until then.
        """
        # the new server has to be there by then, also on a busy host; and it is not what the last move has left
        self._moves += 1
        rebind = min(58, 4 + math.ceil(4 * self._slowest)) + self._moves % 2
        second = {f"T2={rebind}", f"T2={rebind}s"}  # as networkd 252 and 257 write it
        for interface in self.interfaces(n):
            self.dhcp(n, on=True, first=first, rebind=rebind)
            self.run("networkctl", "renew", interface)
            lease = f"cat /run/systemd/netif/leases/$(cat /sys/class/net/{interface}/ifindex)"
            self.wait("the renewal", lambda lease=lease: second & set(self.sh(lease, check=False).split()))  # type: ignore[misc]
        self.dhcp(n, on=False)
        isp, old, new = self.provider[n], self.networks[n], ipaddress.ip_network(network)
        isp.ns.ip(f"addr del {isp.gateway}/{ipaddress.ip_network(old).prefixlen} dev lan")
        self.networks[n], isp.gateway = network, str(new[1])
        isp.ns.ip(f"addr add {isp.gateway}/{new.prefixlen} dev lan")
        self.dhcp(n, on=True, first=first)

    # -- the booted system

    def run(self, *words: str, check: bool = True, timeout: float = 60, data: str | bytes = b"") -> Done:
        """Run a command in the booted system, with `data` as its input; each kind of bed has its own way."""
        raise NotImplementedError

    def interfaces(self, n: int) -> list[str]:
        """The booted system's interfaces that are wired to provider n."""
        raise NotImplementedError

    def sh(self, script: str, check: bool = True, timeout: float = 60) -> str:
        """Run a shell script in the booted system; its output."""
        return self.run("sh", "-c", script, check=check, timeout=timeout).stdout

    def write(self, files: Files) -> None:
        """Put files into the running system; who reads them has to be told."""
        self.run("tar", "-x", "--no-same-owner", "-C", "/", data=archive(files))

    def devices(self) -> dict[str, Device]:
        """What networkd says, for each interface."""
        lines = self.run("networkctl", "--no-legend", "list", check=False).stdout.splitlines()
        return {words[1]: Device(words[3], words[4]) for words in map(str.split, lines) if len(words) == 5}

    def configured(self, interface: str) -> bool:
        """networkd has all that it wants on an interface, and default routes of both families."""
        # equal IPv6 routes are shown as one, so `show default dev ...` would not find them
        routes = [self.run("ip", f"-{family}", "route", "show", "default").stdout for family in (4, 6)]
        return self.devices().get(interface) == CONFIGURED and all(f" dev {interface} " in text for text in routes)

    def wait_configured(self, *interfaces: str, timeout: float = PATIENCE) -> None:
        """Until all the interfaces are so."""
        for interface in interfaces:
            self.wait(f"{interface} to be configured", lambda name=interface: self.configured(name), timeout)  # type: ignore[misc]

    def address(self, interface: str) -> str:
        """The first global IPv4 address of an interface, without length; empty if there is none."""
        words = self.sh(f"ip -4 -o address show dev {interface} scope global", check=False).split()
        return words[3].split("/")[0] if len(words) > 3 else ""

    def wait_lease(self, interface: str, network: str, timeout: float = PATIENCE) -> str:
        """Until an interface has an address of a network; the address."""
        inside = ipaddress.ip_network(network)

        def found() -> str:
            address = self.address(interface)
            return address if address and ipaddress.ip_address(address) in inside else ""

        return self.wait(f"{interface} to have an address of {network}", found, timeout)

    def journal(self, *words: str) -> list[str]:
        """Lines of the journal since this boot, for example `journal("-p", "err")`."""
        return self.run("journalctl", "-b", "-q", "--no-pager", "-o", "short-monotonic", *words).stdout.splitlines()

    @staticmethod
    def wait(what: str, probe: Callable[[], T], timeout: float = PATIENCE) -> T:
        """Wait for something in the booted system; a look that starts a program costs a tenth of a second."""
        return wait_for(what, probe, timeout, 0.2)


def feed(argv: Sequence[str], data: bytes, check: bool, timeout: float) -> Done:
    """Run a command with bytes as its input."""
    raw = subprocess.run(argv, input=data, capture_output=True, timeout=timeout, check=False)
    return finished(argv, raw.returncode, raw.stdout, raw.stderr, check)


def finished(argv: Sequence[str], code: int, out: bytes, error: bytes, check: bool) -> Done:
    """What a command in a booted system has done; LabError if `check` and it failed."""
    done = Done(list(argv), code, out.decode(errors="replace"), error.decode(errors="replace"))
    if check and code:
        raise LabError(f"{' '.join(argv)} -> {code}\n{done.stdout}{done.stderr}")
    return done
