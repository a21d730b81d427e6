"""Asking and changing the kernel of a namespace by the program's own code."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from mwan_hook.model import Change, CopyRoutes, Family, Nexthop, Op, Route, Rule
from tests.lab import Netns, starts, wait_for
from tests.lab.inside import inside
from tests.netns import kernel_agent

AGENT = "tests.netns.kernel_agent:main"
HERE = Path(__file__).resolve().parent
LIB = HERE.parent.parent / "lib"


class Kernel:
    """A namespace with two or three uplinks made of veth pairs; the peers are inside, too."""

    python = sys.executable

    def __init__(self, ns: Netns) -> None:
        self.ns = ns
        ns.ip("link set lo up")
        ns.sysctl({"ipv6/conf/default/accept_dad": 0})  # or the kernel has news of addresses for seconds

    def call(self, name: str, *words: Any, prefix: tuple[str, ...] = ()) -> Any:
        """One call of kernel_agent.py inside; by this process, where it leaves no trace."""
        environment, text = {**os.environ, "PYTHONPATH": str(LIB)}, pickle.dumps((name, words))
        if prefix:
            argv = self.ns.argv(*prefix, self.python, str(HERE / "kernel_agent.py"))
            done = subprocess.run(argv, input=text, capture_output=True, env=environment, check=False, timeout=120)
        elif name not in kernel_agent.PATCHING:
            with inside(self.ns.name):
                return kernel_agent.CALLS[name](*words)
        else:
            done = starts.run(AGENT, [], namespace=self.ns.name, environment=environment, text=text, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return pickle.loads(done.stdout)

    def link(self, name: str, *addresses: str) -> int:
        """An interface that is up and has a carrier; its index."""
        self.ns.ip(f"link add {name} type veth peer name {name}-p")
        given = (f"address add {address} dev {name}" + (" nodad" if ":" in address else "") for address in addresses)
        self.ns.batch(f"link set {name}-p up", f"link set {name} up", *given)
        index = self.ns.index(name)
        wait_for("link-local routes", lambda: {name, f"{name}-p"} <= self._link_local())
        return index

    def _link_local(self) -> set[str]:
        """The devices with such a route; see proc(5): network, length, ..., device."""
        with inside(self.ns.name):
            routes = map(str.split, Path("/proc/thread-self/net/ipv6_route").read_text().splitlines())
        return {route[-1] for route in routes if route[:2] == ["fe80".ljust(32, "0"), "40"]}

    def apply(self, *changes: Change) -> list[str]:
        """Make changes; what failed."""
        failed: list[str] = self.call("apply", changes)
        return failed

    def add(self, *objects: Route | Rule) -> list[str]:
        """Add objects; what failed."""
        return self.apply(*changes(Op.ADD, *objects))

    def delete(self, *objects: Route | Rule) -> list[str]:
        """Delete objects; what failed."""
        return self.apply(*changes(Op.DELETE, *objects))

    def routes(self, family: Family, table: int) -> tuple[Route, ...]:
        """All routes of a table."""
        found: tuple[Route, ...] = self.call("read", "table", family, table)
        return found

    def rules(self, family: Family) -> tuple[Rule, ...]:
        """Our rules."""
        found: tuple[Rule, ...] = self.call("read", "rules", family)
        return found

    def defaults(self, family: Family) -> tuple[Route, ...]:
        """Defaults of main."""
        found: tuple[Route, ...] = self.call("read", "defaults_of_main", family)
        return found

    def settle(self, table: int, index: int, family: Family = Family.IPV4, mode: CopyRoutes = CopyRoutes.OWN) -> Any:
        """Copy until the table is right; (errors, what is still to do)."""
        return self.call("settle", mode, family, table, index)


def changes(op: Op, *objects: Route | Rule) -> list[Change]:
    """The same done to several objects."""
    return [Change(op, what, what.table, what.family) for what in objects]


def hop(index: int, gateway: str | None = None, weight: int = 1, onlink: bool = False) -> Nexthop:
    """A nexthop."""
    return Nexthop(index, gateway, weight, onlink)
