"""The demonstration: a small internet, a router with three uplinks, and what mwan-hook makes of their troubles.

    demo.py [--keep]      show it; --keep leaves it for playing
    demo.py shell         a shell in the router of the one that was kept, or of a new one
    demo.py clean         take away what --keep has left

Everything stands in network namespaces of its own; needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.lab import ledger, playground, topologies
from tests.lab.lab import Flow, Lab
from tests.lab.process import LabError, wait_for
from tests.lab.topologies import Network

CONFIG = """\
[probe]
  interval = 1               # everything quicker than in real life
  timeout = 0.5
  burst_interval = 0.3
  hysteresis_delay = 6
  hysteresis_backoff = 60
[uplinks]
  [[fiber]]
    match = enp1s0
    metric = 100
    weight = 2
  [[cable]]
    match = enp2s0
    metric = 100
  [[lte]]
    match = driver:cdc_ether, enp0s20u*
    metric = 200
"""
TERMINAL = sys.stdout.isatty()
BOLD, DIM, END = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if TERMINAL else ("", "", "")
DONGLE = "enp0s20u1"
CHANGES_SHOWN = 7
PAUSE = 1.5 if TERMINAL else 0.0  # seconds to read a chapter


def title(text: str) -> None:
    """A new chapter."""
    time.sleep(PAUSE)
    print(f"\n{BOLD}== {text}{END}", flush=True)


def say(text: str) -> None:
    """Words between the facts."""
    print(text, flush=True)


def shown(command: str, output: str) -> None:
    """A command as typed, and what it printed."""
    print(f"{DIM}${END} {command}")
    print("".join(f"  {line}\n" for line in output.rstrip().splitlines()), end="", flush=True)


def abridged(output: str) -> str:
    """What the command said, with the first of its changes only."""
    lines = output.splitlines()
    changes = [line for line in lines if line.startswith("[#]")]
    shown = [line for line in changes if " -6 " not in line and "sysctl" not in line][:CHANGES_SHOWN]
    if len(changes) > len(shown):
        shown.append(f"... {len(changes) - len(shown)} more changes, those of IPv6 among them")
    return "\n".join([*shown, *(line for line in lines if not line.startswith("[#]"))])


class Demo:
    """The story, one chapter a method."""

    def __init__(self, lab: Lab, net: Network) -> None:
        assert net.client
        self.lab, self.net, self.router, self.client = lab, net, net.router, net.client
        self.interface = {line.isp.name: line.interface for line in net.lines.values()}

    # -- tools

    def mwan(self, *words: str, quiet: bool = False) -> None:
        """Run the real command and show it; `quiet`: only if it has something to say."""
        done = self.router.mwan(*words, code=None)
        if done.stdout or not quiet:
            shown(f"mwan-hook {' '.join(words)}", abridged(done.stdout))

    def ip(self, line: str) -> None:
        """Run and show `ip LINE` in the router."""
        shown(f"ip {line}", self.router.ns.ip(line))

    def timer(self, what: str, until: Callable[[], bool], limit: float = 20) -> float:
        """What the timer does: `mwan-hook check` every second, until something is so; the seconds it took."""
        begun = time.monotonic()
        while not until():
            if time.monotonic() - begun > limit:
                raise LabError(f"waited {limit:.0f} s for {what}")
            self.mwan("check", quiet=True)
            time.sleep(max(0.0, 1 - (time.monotonic() - begun) % 1))
        return time.monotonic() - begun

    def outage(self, flow: Flow, since: float) -> float:
        """The longest silence of the client's flow since a moment, in seconds."""
        times = [since, *(answer["at"] for answer in flow.answers() if answer["at"] > since)]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def online(self, isp: str) -> bool:
        """The verdict on a provider's uplink, IPv4."""
        uplinks = self.router.status()["uplinks"].values()
        return any(u["interface"] == self.interface[isp] and u["ipv4"]["status"] == "online" for u in uplinks)

    # -- chapters

    def begin(self) -> None:
        """The first run."""
        title("A router with three uplinks: fiber, cable and a USB LTE dongle; a client behind it")
        say("Each provider has an internet of its own (9.9.9.9 and friends, HTTP, DNS), in a network namespace.")
        shown("cat /etc/mwan-hook/mwan-hook.conf", CONFIG)
        self.mwan("check", "--now")
        self.mwan("status")
        self.ip("rule show")
        self.ip("route show table 1000")

    def share(self) -> None:
        """Equal metrics."""
        title("Sharing: fiber and cable have the same metric, fiber twice the weight")
        carried = self.lab.connect(self.client, 60)
        count = ", ".join(f"{carried.count(name)} by {name}" for name in ("fiber", "cable", "lte"))
        say(f"60 connections of the client to 9.9.9.9, counted by the servers that answered: {count}.")

    def black_hole(self, flow: Flow) -> tuple[str, str]:
        """The gateway lives, nothing behind it does."""
        first = flow.carried_by()
        second = "cable" if first == "fiber" else "fiber"
        title(f"A black hole behind the gateway of {first}: the link is up, the gateway answers, nothing else does")
        begun = time.monotonic()
        next(line.isp for line in self.net.lines.values() if line.isp.name == first).fault("blackhole")
        self.timer(f"{first} to be offline", lambda: not self.online(first))
        wait_for(f"the flow to move to {second}", lambda: flow.carried_by() == second)
        gap = self.outage(flow, begun)
        say(f"A flow of the client that {first} carried goes on by {second}: {gap:.1f} s without an answer.")
        self.mwan("status")
        self.ip("route show table 1000")
        return first, second

    def unplug(self, flow: Flow, second: str) -> None:
        """No run is needed to go on."""
        title(f"{second} is unplugged: its interface is gone")
        begun = time.monotonic()
        self.router.unplug(self.interface[second])
        wait_for("the flow to move to lte", lambda: flow.carried_by() == "lte")
        gap = self.outage(flow, begun)
        say(f"The kernel had the next way already: the flow goes on by lte after {gap * 1000:.0f} ms, before any run.")
        self.mwan("event", "remove", self.interface[second])
        self.mwan("status")

    def damp(self, flow: Flow, first: str) -> None:
        """Good again is not yet trusted."""
        title(f"{first} answers again, but it was down a moment ago: it has to earn its way back")
        next(line.isp for line in self.net.lines.values() if line.isp.name == first).heal()
        begun = time.monotonic()
        self.timer("the hold", lambda: bool(self.router.family(first)["held_until"]))
        state = self.router.family(first)
        say(f"Held: {state['connectivity']}, yet {state['status']} until {state['held_until']}: {state['reason']}.")
        assert flow.carried_by() == "lte"
        self.timer(f"{first} to be online", lambda: self.online(first), 40)
        wait_for(f"the flow to move to {first}", lambda: flow.carried_by() == first, 10)
        say(f"After {time.monotonic() - begun:.1f} s of good answers it is online again, and preferred to lte.")
        self.mwan("status")

    def plug(self, first: str, second: str) -> None:
        """The dongle goes and comes; so does the cable."""
        title(f"The LTE dongle is pulled out and plugged in again, {second} as well")
        self.router.unplug(DONGLE)
        self.mwan("event", "remove", DONGLE)
        for interface in (DONGLE, self.interface[second]):
            self.router.plug(self.net.lines[interface])
            begun = time.monotonic()
            self.mwan("event", "add", interface)
            isp = self.net.lines[interface].isp.name
            word = "online" if self.online(isp) else "not yet online"
            say(f"{isp}: {word} after {time.monotonic() - begun:.1f} s, in the table it had before.")
        self.mwan("status")
        self.ip("route show table 1000")
        lines = self.router.mwan("history", first).stdout.splitlines()
        shown(f"mwan-hook history {first}", "\n".join(line[:150] for line in lines))

    def end(self) -> None:
        """What is ours goes, and nothing else."""
        title("flush takes out what is ours, and nothing else")
        self.mwan("flush")
        self.ip("rule show")

    def tell(self) -> None:
        """All chapters."""
        self.begin()
        self.share()
        flow = self.lab.flow(self.client, pause=0.02)
        first, second = self.black_hole(flow)
        self.unplug(flow, second)
        self.damp(flow, first)
        flow.stop()
        self.plug(first, second)


def build(lab: Lab) -> Network:
    """The topology with its configuration and the commands for playing."""
    net = topologies.demo(lab)
    net.router.configure(CONFIG)
    playground.write(lab, net)
    return net


def show(keep: bool) -> int:
    """The whole demonstration."""
    begun = time.monotonic()
    with Lab(keep=keep) as lab:
        demo = Demo(lab, build(lab))
        demo.tell()
        if keep:
            title("It is left for playing: ./install.sh demo shell enters it, ./install.sh demo clean takes it away")
        else:
            demo.end()
    if not keep:
        say(f"\nAll of it is gone again ({time.monotonic() - begun:.0f} s). The system was not touched.")
    return 0


def enter(directory: Path) -> int:
    """A shell in the router of a lab."""
    tag = directory.name
    shell = os.environ.get("SHELL", "/bin/sh")
    shell = shell if shutil.which(shell) else "/bin/sh"
    say((directory / "help").read_text())
    environment = {**os.environ, "PATH": f"{directory}/bin:{os.environ['PATH']}", "PS1": f"{tag} router# "}
    environment["MWAN_HOOK_ROOT"] = str(directory / "router-root")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the shell's
    return subprocess.run(["ip", "netns", "exec", f"{tag}-router", shell], env=environment, check=False).returncode


def play() -> int:
    """`demo shell`."""
    kept = ledger.kept()
    if kept:
        return enter(kept[-1])
    with Lab() as lab:
        net = build(lab)
        net.router.check()
        return enter(lab.dir)


def clean() -> int:
    """`demo clean`."""
    for directory in ledger.kept():
        ledger.destroy(directory)
        say(f"{directory.name} is gone")
    ledger.gc()
    return 0


def main() -> int:
    """See the module's words."""
    words = sys.argv[1:]
    actions: dict[tuple[str, ...], Callable[[], int]] = {
        (): lambda: show(keep=False),
        ("--keep",): lambda: show(keep=True),
        ("shell",): play,
        ("clean",): clean,
    }
    if tuple(words) not in actions:
        print("usage: demo [--keep | shell | clean]", file=sys.stderr)
        return 2
    try:
        return actions[tuple(words)]()
    except KeyboardInterrupt:
        print("\ninterrupted; everything is cleaned up", file=sys.stderr)
        return 130
    except LabError as error:
        print(f"\nthe demonstration failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
