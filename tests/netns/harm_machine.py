"""The machine of the generated cases: devices and providers that stay, and everything else put on and taken off."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.lab import Lab, wait_for
from tests.lab.router import PROJECT
from tests.netns.harm_agent import Question, Reply
from tests.netns.harm_world import INSIDE, LINES, PLANS, TUNNELS, Case

SYSCTLS = {
    **{f"ipv4/conf/{where}/rp_filter": 0 for where in ("all", "default")},
    **{f"ipv6/conf/{where}/accept_dad": 0 for where in ("all", "default")},
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv4/icmp_ratelimit": 0,
    "ipv6/icmp/ratelimit": 0,
}
BACK = ("2001:db8:20::/64",)  # what every provider has delegated to the machine


class Machine:
    """One namespace under test, and a provider behind each line."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.ns = lab, lab.netns("machine")
        self.root = lab.dir / "root"
        self.isps = [lab.netns(f"isp{number}") for number in range(1, len(LINES) + 1)]
        self._build()
        environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'lib'}"}
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *self.ns.argv(sys.executable, "-m", "tests.netns.harm_agent")]
        self.agent = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        lab.ledger.add_pid(self.agent.pid)
        for name in TUNNELS:
            self.call("tunnel", name)
            self.ns.batch(f"link set {name} addrgenmode none", f"link set {name} up")

    def _build(self) -> None:
        self.ns.sysctl(SYSCTLS)
        self.ns.batch("link set lo up", *[f"link add {name} type veth peer name {name}-p" for name in INSIDE])
        ends = [end for name in INSIDE for end in (name, f"{name}-p")]
        self.ns.batch(*[f"link set {end} addrgenmode none" for end in ends], *[f"link set {end} up" for end in ends])
        for number, (name, isp) in enumerate(zip(LINES, self.isps, strict=True), 1):
            isp.sysctl(SYSCTLS)
            isp.batch("link set lo up", f"link add line type veth peer name {name} netns {self.ns.name}")
            isp.ip("link set line up")
            self.ns.batch(f"link set {name} up", f"addr add fe80::80/64 dev {name} nodad")
            ends = [f"{PLANS[4].gateway.format(number)}/24", f"2001:db8:{number}::1/64 nodad", "fe80::1/64 nodad"]
            ends += ["10.20.1.1/24", "2001:db8:1::1/64 nodad"] if number == 2 else []
            isp.batch(*[f"addr add {end.split()[0]} dev line {' '.join(end.split()[1:])}" for end in ends])
            isp.batch(*[f"route add {net} via fe80::80 dev line" for net in BACK])
            for flag in ("-4", "-6"):
                isp.ip(f"{flag} route add unreachable default metric 9")
            self.switch(number, True)

    def call(self, name: str, *words: Any) -> Any:
        """One call of harm_agent.py."""
        assert self.agent.stdin and self.agent.stdout
        pickle.dump((name, words), self.agent.stdin)
        self.agent.stdin.flush()
        good, answer = pickle.load(self.agent.stdout)
        assert good, answer
        return answer

    def switch(self, number: int, alive: bool) -> None:
        """The internet behind a line is there, or its gateway says that it is not."""
        worlds = [(plan.worlds[0], plan.host) for plan in PLANS.values()]
        for world, length in worlds:
            self.isps[number - 1].ip(f"addr {'replace' if alive else 'del'} {world}/{length} dev lo", check=False)

    # -- one case

    def clear(self) -> None:
        """As after a boot, before any program came."""
        lines = []
        for flag in ("-4", "-6"):
            lines += [f"{flag} rule flush", f"{flag} rule del pref 0"]
            lines += [f"{flag} rule add pref 0 lookup local proto kernel"]
            lines += [f"{flag} rule add pref 32766 lookup main proto kernel"]
            lines += [f"{flag} rule add pref 32767 lookup default proto kernel"] if flag == "-4" else []
            lines += [f"{flag} addr flush dev {name} scope global" for name in (*LINES, *INSIDE, *TUNNELS)]
        self.call("ip", lines, True)
        self.call("wipe")
        self.call("ip", ["nexthop flush"])
        self.ns.run("nft", "flush", "ruleset")
        values = {f"{v}/conf/{name}/ignore_routes_with_linkdown": 0 for name in LINES for v in ("ipv4", "ipv6")}
        self.ns.sysctl({**values, **{f"ipv4/conf/{name}/rp_filter": 0 for name in LINES}})
        shutil.rmtree(self.root, ignore_errors=True)

    def put(self, lines: Sequence[str]) -> None:
        """Run ip(8) lines; none is refused."""
        said = self.call("ip", list(lines))
        assert not said, f"{said}\n{lines}"

    def files(self, case: Case) -> None:
        """Configuration and leases."""
        for path in ("etc/mwan-hook", "run/systemd/netif/leases", "var/lib"):
            (self.root / path).mkdir(parents=True)
        (self.root / "etc/mwan-hook/mwan-hook.conf").write_text(case.conf)
        for device, text in case.leases:
            (self.root / f"run/systemd/netif/leases/{self.ns.index(device)}").write_text(text)

    def ask(self, asked: list[Question], was: Sequence[Reply] = ()) -> list[Reply]:
        """Look-ups; `was`: earlier answers."""
        replies: list[Reply] = self.call("look_ups", asked, was)
        return replies

    def mwan(self, *words: str) -> tuple[int, str]:
        """The command."""
        code, said = self.call("mwan", "--root", str(self.root), *words)
        return code, said

    def verdicts(self) -> dict[tuple[str, int], str]:
        """Of each interface and family."""
        found = json.loads(self.mwan("status", "--json")[1])["uplinks"].values()
        return {(one["interface"], family): one[f"ipv{family}"]["status"] for one in found for family in (4, 6)}

    def text(self) -> str:
        """All that the kernel has."""
        shown: str = self.call("shown")
        return shown


__all__ = ["Machine", "wait_for"]
