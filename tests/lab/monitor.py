"""Listen to the kernel: which objects were written, by any program, while something ran."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.lab.netns import Netns
from tests.lab.process import spawn, wait_for

OBJECTS = ("link", "address", "route", "rule", "nexthop", "netconf")


class Monitor:
    """`ip monitor` in a namespace.  A rule that nothing else has marks the ends of what it heard: no sleeping."""

    def __init__(self, ns: Netns, directory: Path) -> None:
        self.ns = ns
        self.log = directory / f"monitor-{secrets.token_hex(4)}"
        self.process = spawn(["ip", "-n", ns.name, "-o", "monitor", *OBJECTS], self.log)
        self.seen = 0
        wait_for("ip monitor to listen", self._heard_a_mark, step=0)

    def _heard_a_mark(self) -> bool:
        try:
            self._mark(timeout=0.1)
        except TimeoutError:
            return False
        return True

    def _mark(self, timeout: float = 5) -> list[str]:
        """Lines since the last mark."""
        mark = secrets.randbelow(2**31)
        for op in ("add", "del"):
            self.ns.ip(f"rule {op} pref 32760 fwmark {mark} lookup 77")

        def done() -> list[str]:
            lines = self.log.read_text().splitlines()[self.seen :]
            return lines if any("Deleted" in line and hex(mark) in line for line in lines) else []

        try:
            lines = wait_for("the mark", done, timeout, step=0.005)
        except Exception as error:
            raise TimeoutError from error
        self.seen += len(lines)
        return [line for line in lines if hex(mark) not in line]

    def written(self) -> list[str]:
        """What was written since the last call (the first: since the start)."""
        return self._mark()

    def close(self) -> None:
        """Stop listening."""
        self.process.kill()
        self.process.wait()
