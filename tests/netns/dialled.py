"""A fibre line and a mobile one that a program dials: what it does stands in a file, and each call in another."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from tests.lab import Lab, LabError, Line, Router, wait_for
from tests.lab.uplinks import FIBER_LTE_IPV4

# up|down INTERFACE; modes: ok, fail, hang, noaddr, stuck (does not hang up)
DIALLER = """#!/bin/sh
here={here}
read -r mode <"$here/mode.$2"
echo "$1" >>"$here/calls.$2"
net=10.${{2#eth}}.0
if [ "$1" = up ]; then
  case $mode in
  fail) echo "NO DIALTONE" >&2; exit 7 ;;
  hang) sleep 1000 ;;
  esac
  ip link set "$2" up
  [ "$mode" = noaddr ] && exit 0
  ip addr replace $net.2/24 dev "$2"
  ip route replace default via $net.1 dev "$2" metric 701
elif [ "$mode" = stuck ]; then
  exit 4
else
  ip addr flush dev "$2"
  ip link set "$2" down
fi
"""
CONFIG = f"""
[probe]
portal_interval = 0
timeout = 0.4
burst_interval = 0.1
interval = 1
fall = 2
rise = 1
hysteresis_delay = 0
{FIBER_LTE_IPV4}activate = on-demand
start = command:{{program}} up eth2
stop = command:{{program}} down eth2
"""
SECOND = """[[gsm]]
match = eth3
metric = 300
families = ipv4
activate = on-demand
start = command:{program} up eth3
stop = command:{program} down eth3
"""
QUICK = "ready_timeout = 20\nlinger = 0\nretry_min = 1\n"


class Site:
    """The machine, its two lines, and the hand on the dialler."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.isps = [lab.isp(name, f"10.{n}.0.0/24") for n, name in enumerate(("telco", "mobile", "other"), 1)]
        self.router: Router = lab.router(Line(self.isps[0], "eth1", "10.1.0.2/24", 700))
        for number in (2, 3):
            line = Line(self.isps[number - 1], f"eth{number}", f"10.{number}.0.2/24", 701)
            line.isp.ns.batch(*self.router.wire(line))
            self.router.lines[line.interface] = line
        self.here = lab.dir / "dialler"
        self.here.mkdir()
        self.program = self.here / "dial"
        self.program.write_text(DIALLER.format(here=self.here))
        self.program.chmod(0o755)

    def fresh(self, mode: str = "ok", extra: str = QUICK, second: str = "") -> None:
        """All as after a boot, the fibre whole and the mobile lines down."""
        for isp in self.isps:
            isp.heal()
        self.end()
        self.router.mwan("flush", code=None)
        for interface in ("eth2", "eth3"):
            self.router.ns.batch(f"addr flush dev {interface}", f"link set {interface} down")
            (self.here / f"calls.{interface}").write_text("")
        self.router.carrier("eth1", True)
        self.reboot(lasting=False)
        self.mode(mode)
        self.mode(second or "ok", "eth3")
        text = CONFIG.format(program=self.program) + extra
        self.router.configure(text + (SECOND.format(program=self.program) + extra if second else ""))
        self.router.check()

    def end(self) -> None:
        """End the diallers of an earlier test."""
        for note in (self.router.root / "run/mwan-hook-root/dials").glob("*.began"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(note.read_text().split()[1]), signal.SIGKILL)

    def reboot(self, lasting: bool = True) -> None:
        """What a boot leaves of our files, and of what lasts only with ``lasting``."""
        self.router.reboot_files()
        if not lasting:
            for left in (self.router.root / "var/lib/mwan-hook").glob("*"):
                left.unlink()

    def mode(self, word: str, interface: str = "eth2") -> None:
        """What the dialler does from now on."""
        (self.here / f"mode.{interface}").write_text(f"{word}\n")

    def calls(self, interface: str = "eth2") -> list[str]:
        """What it was asked so far."""
        return (self.here / f"calls.{interface}").read_text().split()

    def cut(self) -> None:
        """Take the fibre's carrier away."""
        self.router.carrier("eth1", False)

    def mend(self) -> None:
        """Put the fibre back."""
        self.router.carrier("eth1", True)

    def activation(self, uplink: str = "lte") -> dict[str, Any]:
        """`activation` of `status --json`."""
        found: dict[str, Any] = self.router.status()["uplinks"][uplink]["activation"]
        return found

    def until(self, what: str, good: Callable[[], bool], timeout: float = 20) -> None:
        """Run after run until it is so."""

        def run() -> bool:
            self.router.mwan("check", code=None)
            return good()

        try:
            wait_for(what, run, timeout, step=0.1)
        except LabError as error:
            raise LabError(f"{error}\n{self.calls()}\n{self.router.mwan('status').stdout}\n{self.history()}") from None

    def history(self) -> str:
        """All that was told."""
        return self.router.mwan("history").stdout

    def until_state(self, state: str) -> None:
        """Run after run until the mobile line is so far."""
        self.until(f"lte {state}", lambda: self.activation()["state"] == state)

    def events(self) -> list[str]:
        """What the history has of dialling."""
        told = ("dialling", "dialled", "dial-failed", "hung-up", "exercise-failed", "repair-step")
        return [one["event"] for one in self.router.history("lte") if one["event"] in told]
