"""A laboratory: providers, one router, clients behind it.  Nothing of it is left after its `with` block."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from tests.lab import inside, ledger, starts
from tests.lab.isp import INTERNET4, INTERNET6, Isp
from tests.lab.monitor import Monitor
from tests.lab.netns import Netns
from tests.lab.process import LabError, run, spawn, wait_for
from tests.lab.router import Line, Router

ENDS = (signal.SIGTERM, signal.SIGHUP)
TUNNEL_SERVER, TUNNEL_PORT = "93.184.216.34", 1999


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@functools.cache
def _certificate() -> str:
    """For the internet's first addresses and a few names; no one has reason to trust it.  One for all labs."""
    names = f"subjectAltName=IP:{INTERNET4[0]},IP:{INTERNET6[-1]},DNS:*.test"
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    with tempfile.NamedTemporaryFile("r") as file:
        made = run([*key, "-subj", "/CN=lab", "-addext", names, "-days", "30", "-keyout", file.name, "-out", "-"])
        return file.read() + made.stdout


class Flow:
    """A client's traffic that goes on in the background; see flow.py."""

    def __init__(self, process: starts.Process, log: Path) -> None:
        self.process, self.log = process, log

    def answers(self) -> list[dict[str, Any]]:
        """Each answer so far: at (seconds), isp, number."""
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def carried_by(self) -> str:
        """The provider of the next answer from now."""
        before = len(self.answers())
        wait_for("an answer to the client", lambda: len(self.answers()) > before, 10)
        isp: str = self.answers()[-1]["isp"]
        return isp

    def stop(self) -> list[dict[str, Any]]:
        """End it; all answers."""
        self.process.kill()
        self.process.wait()
        return self.answers()


class Lab:
    """Everything that one test, or the demo, has made."""

    def __init__(self, keep: bool = False) -> None:
        ledger.gc()
        self.keep = keep
        self.ledger = ledger.Ledger(keep)
        self.dir = self.ledger.dir
        self.isps: dict[str, Isp] = {}
        self.routers: list[Router] = []
        self.children: list[starts.Process] = []
        self._closing = contextlib.ExitStack()

    # -- life

    def __enter__(self) -> Lab:
        if threading.current_thread() is threading.main_thread():
            for number in ENDS:
                self._closing.callback(signal.signal, number, signal.signal(number, _end))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if threading.current_thread() is threading.main_thread():
            self._closing.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        retold = [] if kind else [line for router in self.routers for line in router.retold()]
        if not self.keep or kind is not None:
            self.destroy()
        self._closing.close()
        if retold:
            raise LabError("the record, played, is not what happened:\n" + "\n".join(retold[:20]))

    def destroy(self) -> None:
        """Take all of it away."""
        ledger.destroy(self.dir)
        for child in self.children:
            child.wait()

    # -- parts

    def netns(self, name: str) -> Netns:
        """A new namespace."""
        full = f"{self.ledger.tag}-{name}"
        self.ledger.add_netns(full)
        inside.add(full)
        return Netns(full)

    def spawn(self, argv: list[str], name: str, descriptors: Sequence[int] = ()) -> Path:
        """A process that lives as long as the lab; the file of its output."""
        log = self.dir / f"{name}.log"
        return self._have(spawn(argv, log, outlive=self.keep, descriptors=descriptors), log)

    def own(self, module: str, *words: str, name: str, ns: Netns | None = None) -> Path:
        """The same with one of the lab's own programs."""
        log = self.dir / f"{name}.log"
        with log.open("ab") as out, open(os.devnull) as nothing:
            streams = (nothing.fileno(), out.fileno(), out.fileno())
            place = ns.name if ns else ""
            child = starts.start(f"tests.lab.{module}:main", words, streams, place, session=True, dies=not self.keep)
        return self._have(child, log)

    def _have(self, child: starts.Process, log: Path) -> Path:
        self.children.append(child)
        self.ledger.add_pid(child.pid)
        return log

    def isp(self, name: str, network: str, network6: str = "", gateway6: str = "fe80::1") -> Isp:
        """A provider; its gateway is the first address of `network`."""
        number = len(self.isps) + 1
        made = Isp(name, self.netns(name), network, network6 or f"2001:db8:{number}:1::/64", gateway6)
        self.isps[name] = made
        return made

    def router(self, *lines: Line, name: str = "router") -> Router:
        """The machine under test."""
        made = Router(self.netns(name), self.dir / f"{name}-root", self.ledger.add_pid)
        self.routers.append(made)
        made.plug(*lines)
        return made

    def serve(self, tls: bool = True) -> None:
        """Start the servers of the internet in every provider made so far."""
        places = [f"{isp.ns.name}={isp.name}" for isp in self.isps.values()]
        words = [str(self.dir / "requests"), str(self.certificate()) if tls else "", *places]
        log = self.own("serve", *words, name="serve")
        wait_for(f"the servers: {log.read_text()}", (self.dir / "requests").exists)
        wait_for(f"the servers: {log.read_text()}", lambda: self._requests()[:1])

    def certificate(self) -> Path:
        """The servers' certificate, with its key."""
        file = self.dir / "certificate.pem"
        file.write_text(_certificate())
        return file

    def _requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.dir / "requests").read_text().splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """What the servers were asked over HTTP: isp, client, port, path."""
        return self._requests()[1:]

    def client(self, router: Router, address: str, gateway: str, bridge: str, name: str = "client") -> Netns:
        """A machine behind the router's bridge, IPv4; `address` with length."""
        ns = self.netns(name)
        router.ns.batch(
            f"link add c-{name} type veth peer name eth0 netns {ns.name}",
            f"link set c-{name} addrgenmode none master {bridge} up",
        )
        ns.batch(
            "link set lo up", "link set eth0 up", f"addr add {address} dev eth0", f"route add default via {gateway}"
        )
        return ns

    def flow(self, ns: Netns, address: str = INTERNET4[0], pause: float = 0.05) -> Flow:
        """One flow of datagrams that goes on until it is stopped."""
        log = self.own("flow", "udp", address, str(pause), name=f"flow{len(self.children)}", ns=ns)
        return Flow(self.children[-1], log)

    def connect(self, ns: Netns, count: int, address: str = INTERNET4[0]) -> list[str]:
        """Open `count` connections one after the other; which provider carried each, empty for a failure."""
        done = starts.run("tests.lab.flow:main", ["tcp", address, str(count)], namespace=ns.name)
        return [json.loads(line)["isp"] for line in done.stdout.splitlines()]

    def monitor(self, ns: Netns) -> Monitor:
        """Listen to what is written in a namespace from now on."""
        made = Monitor(ns, self.dir)
        self.children.append(made.process)
        self.ledger.add_pid(made.process.pid)
        return made

    def ppp(self, router: Router, isp: Isp, device: str, local: str, peer: str) -> None:
        """A point-to-point line: no gateway, no neighbours, `peer` is the provider's end."""
        words = ["ppp", router.ns.name, device, isp.ns.name, f"p-{device}"]
        log = self.own("relay", *words, name=f"ppp-{device}")
        for ns in (router.ns, isp.ns):
            end = device if ns is router.ns else f"p-{device}"
            wait_for(f"{end}: {log.read_text()}", lambda ns=ns, end=end: ns.ip(f"-br link show {end}", check=False))  # type: ignore[misc]
        isp.ns.batch(f"link set p-{device} up", f"addr add {peer} peer {local} dev p-{device}")
        router.ns.batch(f"link set {device} up", f"addr add {local} peer {peer} dev {device}")

    def tunnel(
        self, router: Router, device: str, mark: int = 0, inside: str = "10.98.0.{}", inside6: str = "fd98::{}"
    ) -> None:
        """A tunnel as VPNs make them, to a server that every provider's internet has (TUNNEL_SERVER).

        `inside` with 2 is the router's own address in it, with 1 the server's.
        """
        others = [isp.ns for isp in self.isps.values()]
        for ns in others:
            ns.ip(f"addr replace {TUNNEL_SERVER}/32 dev lo")
        words = ["tunnel", hex(mark), TUNNEL_SERVER, str(TUNNEL_PORT), router.ns.name, device]
        log = self.own("relay", *words, *(ns.name for ns in others), name=f"tunnel-{device}")
        for ns, end in ((router.ns, device), *((ns, "inside") for ns in others)):
            wait_for(f"{end}: {log.read_text()}", lambda ns=ns, end=end: ns.ip(f"-br link show {end}", check=False))  # type: ignore[misc]
            own, peer = (2, 1) if ns is router.ns else (1, 2)
            ns.batch(
                f"link set {end} up mtu 1400",
                f"addr add {inside.format(own)}/32 dev {end}",
                f"addr add {inside6.format(own)}/128 dev {end} nodad",
                *([f"route add {inside.format(peer)} dev {end}"] if ns is not router.ns else ()),
                *([f"route add {inside6.format(peer)} dev {end}"] if ns is not router.ns else ()),
            )

    def delay(self, isp: Isp, milliseconds: float) -> None:
        """IPv4 packets of the customers reach the internet that much later."""
        log = self.own("relay", "late", isp.ns.name, "late0", str(milliseconds), name=f"late-{isp.name}")
        wait_for(f"late0: {log.read_text()}", lambda: isp.ns.ip("-br link show late0", check=False))
        isp.ns.batch(
            "link set late0 up",
            "route add default dev late0 table 100",
            f"rule add pref 5 to {isp.gateway} lookup local",  # or it would not answer ARP
            "rule add pref 10 iif late0 lookup local",
            "rule add pref 20 iif lan lookup 100",
            "rule add pref 30 lookup local",
            "rule del pref 0",
        )
        isp.ns.sysctl({"ipv4/ip_forward": 1, "ipv4/conf/late0/accept_local": 1})


__all__ = ["Flow", "Lab", "LabError", "Line", "Router"]
