"""One network namespace, by ip(8) and nft(8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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

    def ip(self, line: str, check: bool = True) -> str:
        """Run `ip LINE` inside; its output."""
        return run(["ip", "-n", self.name, *line.split()], check=check).stdout

    def batch(self, *lines: str) -> None:
        """Run several ip(8) commands at once; the first that fails ends it."""
        run(["ip", "-n", self.name, "-batch", "-"], text="\n".join(lines) + "\n")

    def objects(self, line: str) -> list[Object]:
        """`ip LINE` as JSON, all numbers as numbers; empty where the kernel knows no such table."""
        done = run(["ip", "-n", self.name, "-N", "-j", "-d", *line.split()], check=False)
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
        done = run(["ip", "-n", self.name, "-N", "-j", FLAG[family], "route", "get", *line.split()], check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 and done.stdout else None

    def sysctl(self, values: Mapping[str, str | int]) -> None:
        """Write values: the keys are paths under /proc/sys/net/."""
        script = "".join(f"echo {value} > /proc/sys/net/{key}\n" for key, value in values.items())
        self.run("sh", "-ec", script)

    def read_sysctl(self, key: str) -> str:
        """One value under /proc/sys/net/."""
        return self.run("cat", f"/proc/sys/net/{key}").stdout.strip()

    def nft(self, text: str) -> str:
        """Run nft(8) commands in one transaction; the output."""
        return self.run("nft", "-f", "-", text=text).stdout

    def index(self, interface: str) -> int:
        """Interface index."""
        number: int = self.objects(f"link show dev {interface}")[0]["ifindex"]
        return number
