"""One network namespace, by ip(8) and nft(8)."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.inside import inside
from tests.lab.process import Done, run

Object = dict[str, Any]
FLAG = {"ipv4": "-4", "ipv6": "-6"}


class Netns:
    """A network namespace that exists."""

    def __init__(self, name: str) -> None:
        self.name = name

    def argv(self, *words: str) -> list[str]:
        """The command line that runs `words` inside."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(
        self,
        *words: str,
        check: bool = True,
        timeout: float = 60,
        text: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command inside."""
        return run(self.argv(*words), check=check, timeout=timeout, text=text, env=env)

    def _tool(self, *words: str, check: bool = True, text: str | None = None) -> Done:
        """Run a tool that needs only the network inside, not its /sys: `ip netns exec` costs more than most of them."""
        with inside(self.name):
            return run(words, check=check, text=text)

    def ip(self, line: str, check: bool = True) -> str:
        """Run `ip LINE` inside; its output."""
        return self._tool("ip", *line.split(), check=check).stdout

    def batch(self, *lines: str) -> None:
        """Run several ip(8) commands at once; the first that fails ends it."""
        self._tool("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def objects(self, line: str) -> list[Object]:
        """`ip LINE` as JSON, all numbers as numbers; empty where the kernel knows no such table."""
        done = self._tool("ip", "-N", "-j", "-d", *line.split(), check=False)
        if done.returncode and "FIB table does not exist" not in done.stderr:
            raise AssertionError(f"ip {line}: {done.stderr}")
        found: list[Object] = json.loads(done.stdout or "[]")
        return found

    def routes(self, table: int | str = "main", family: str = "ipv4") -> list[Object]:
        """Routes of a table as iproute2 gives them; `type` is left out where it is unicast."""
        found = self.objects(f"{FLAG[family]} route show table {table}")
        for route in found:
            if route.get("type") == "1":
                del route["type"]
        return found

    def rules(self, family: str = "ipv4") -> list[Object]:
        """All policy rules."""
        return self.objects(f"{FLAG[family]} rule show")

    def route_get(self, line: str, family: str = "ipv4") -> Object | None:
        """What `ip route get LINE` finds; None if there is no way (a prohibited one too)."""
        done = self._tool("ip", "-N", "-j", FLAG[family], "route", "get", *line.split(), check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 and done.stdout else None

    def sysctl(self, values: Mapping[str, str | int]) -> None:
        """Write values: the keys are paths under /proc/sys/net/."""
        with inside(self.name):
            for key, value in values.items():
                Path("/proc/sys/net", key).write_text(f"{value}\n")

    def read_sysctl(self, key: str) -> str:
        """One value under /proc/sys/net/."""
        with inside(self.name):
            return Path("/proc/sys/net", key).read_text().strip()

    def nft(self, text: str) -> str:
        """Run nft(8) commands in one transaction; the output."""
        return self._tool("nft", "-f", "-", text=text).stdout

    def listed(self, name: str) -> str:
        """A set of the lab's own table, as JSON."""
        return self._tool("nft", "-j", "list", "set", "inet", "lab", name).stdout

    def index(self, interface: str) -> int:
        """Interface index."""
        with inside(self.name):
            return socket.if_nametoindex(interface)
