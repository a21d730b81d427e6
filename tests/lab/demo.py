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
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.lab import ledger, playground, topologies
from tests.lab.lab import Flow, Lab
from tests.lab.process import PATIENCE, LabError, wait_for
from tests.lab.topologies import Network

CONFIG = """\
[probe]
  interval = 1               # everything quicker than in real life
  timeout = 0.5
  burst_interval = 0.3
  hysteresis_delay = {hold}
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
STANDBY = """\
[probe]
  interval = 1
  timeout = 0.5
  burst_interval = 0.3
  hysteresis_delay = 0
[uplinks]
  [[fiber]]
    match = enp1s0
    metric = 100
  [[cable]]
    match = enp2s0
    metric = 100
  [[lte]]
    match = {dongle}
    metric = 200
    activate = on-demand
    start = command:{program} up
    stop = command:{program} down
    linger = 2               # seconds that it stays after a better one is back
"""
DIALLER = """#!/bin/sh
case $1 in
up)
  {up}
  ;;
down)
  ip addr flush dev {dongle}
  ip link set {dongle} down
  ;;
esac
"""
TERMINAL = sys.stdout.isatty()
BOLD, DIM, END = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if TERMINAL else ("", "", "")
DONGLE = "enp0s20u1"
CHANGES_SHOWN = 7
PAUSE = 1.5 if TERMINAL else 0.0  # seconds to read a chapter
SILENCE = 10.0  # seconds without a word, after which there is one
FAILURES = (LabError, AssertionError, subprocess.SubprocessError, OSError)


class Screen:
    """What is printed; a word of life where a slow machine needs long for the next."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = self.begun = time.monotonic()

    def watch(self) -> None:
        """Break every long silence."""
        threading.Thread(target=self._tell, daemon=True).start()

    def put(self, text: str) -> None:
        """Print lines."""
        with self.lock:
            print(text, flush=True)
            self.last = time.monotonic()

    def _tell(self) -> None:
        while True:
            time.sleep(1)
            if time.monotonic() - self.last >= SILENCE:
                self.put(f"{DIM}  ... still at it, {time.monotonic() - self.begun:.0f} s since the start{END}")


SCREEN = Screen()


def title(text: str) -> None:
    """A new chapter."""
    time.sleep(PAUSE)
    SCREEN.put(f"\n{BOLD}== {text}{END}")


def say(text: str) -> None:
    """Words between the facts."""
    SCREEN.put(text)


def shown(command: str, output: str) -> None:
    """A command as typed, and what it printed."""
    SCREEN.put("\n".join([f"{DIM}${END} {command}", *(f"  {line}" for line in output.rstrip().splitlines())]))


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

    def __init__(self, lab: Lab, net: Network, config: str) -> None:
        assert net.client
        self.config = config
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
            if time.monotonic() - begun > limit * PATIENCE:
                raise LabError(f"waited {limit * PATIENCE:.0f} s for {what}")
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

    def held(self, isp: str) -> dict[str, Any]:
        """How a provider's uplink stands, and keep it: it may be another thing a moment later."""
        self.state = self.router.family(isp)
        return self.state

    # -- chapters

    def begin(self) -> None:
        """The first run."""
        title("A router with three uplinks: fiber, cable and a USB LTE dongle; a client behind it")
        say("Each provider has an internet of its own (9.9.9.9 and friends, HTTP, DNS), in a network namespace.")
        shown("cat /etc/mwan-hook/mwan-hook.conf", self.config)
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
        self.timer("the hold", lambda: bool(self.held(first)["held_until"]))
        state = self.state
        say(f"Held: {state['connectivity']}, yet {state['status']} until {state['held_until']}: {state['reason']}.")
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
        self.mwan("history", first)

    def dial(self) -> None:
        """The backup that costs money."""
        title("A backup on demand: lte is dialled only while nothing better is online")
        line, program = self.net.lines[DONGLE], self.lab.dir / "dial"
        commands = "\n  ".join(f"ip {command}" for command in self.router.leased(line))
        program.write_text(DIALLER.format(up=commands, dongle=DONGLE))
        program.chmod(0o755)
        self.router.ns.run(str(program), "down")
        self.router.configure(config := STANDBY.format(dongle=DONGLE, program=program))
        shown("cat /etc/mwan-hook/mwan-hook.conf", config[config.index("  [[lte]]") :])
        others = [one.isp for one in self.net.lines.values() if one.interface != DONGLE]
        self.timer("peace", lambda: all(self.online(isp.name) for isp in others))
        self.mwan("status")
        say("Now fiber and cable die at once.")
        begun = time.monotonic()
        for isp in others:
            isp.fault("blackhole")
        self.timer("lte to be online", lambda: self.online("lte"))
        say(f"lte was dialled, and carries everything {time.monotonic() - begun:.1f} s after the others had died.")
        self.mwan("status")
        for isp in others:
            isp.heal()
        self.timer("lte to be hung up", lambda: self.router.status()["uplinks"]["lte"]["activation"]["state"] == "idle")
        say("They are back, so it is hung up.")
        self.mwan("status")
        self.mwan("history", "lte")
        self.router.lease(line)
        self.router.configure(self.config)
        self.router.check()

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
        self.dial()


def build(lab: Lab) -> tuple[Network, str]:
    """The topology with its configuration and the commands for playing."""
    say("Three providers, a router and a client are made ...")
    net = topologies.demo(lab)
    begun = time.monotonic()
    net.router.mwan("plan")
    # A hold that is over before it can be looked at shows nothing: on a slow machine it is longer.
    config = CONFIG.format(hold=max(6, round(6 * (time.monotonic() - begun))))
    net.router.configure(config)
    playground.write(lab, net)
    return net, config


def show(keep: bool) -> int:
    """The whole demonstration."""
    begun = time.monotonic()
    SCREEN.watch()
    with Lab(keep=keep) as lab:
        demo = Demo(lab, *build(lab))
        demo.tell()
        if keep:
            title("It is left for playing: ./install.sh demo shell enters it, ./install.sh demo clean takes it away")
        else:
            demo.end()
    if not keep:
        say(f"\nAll of it is gone again ({time.monotonic() - begun:.0f} s). {remains()}")
    return 0


def remains() -> str:
    """What the demonstration leaves on the system."""
    place = Path(sys.pycache_prefix or "").parent
    words = f"The system's network was not touched; {place} is left (compiled modules)"
    installed = os.environ.get("MWAN_DEMO_INSTALLED", "").split()
    return f"{words}, and the Debian packages {', '.join(installed)} stay installed." if installed else f"{words}."


def advice() -> str:
    """What a newcomer can do after a failure."""
    return f"""
Its network namespaces are gone again. {remains()}
What you can do:
  * Try again: ./install.sh demo. Everything is compiled by now, so it needs less time.
  * Is the machine busy? Its load is {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors: end what else runs.
  * "Operation not permitted": a container needs the right to make network namespaces (docker run --privileged).
  * "not supported", "Unknown device type": the kernel lacks a part; modprobe veth bridge nf_tables.
  * Else it is a fault of ours: please report it with these lines and the kernel's release, {os.uname().release}."""


def enter(directory: Path) -> int:
    """A shell in the router of a lab."""
    tag = directory.name
    shell = os.environ.get("SHELL", "/bin/sh")
    shell = shell if shutil.which(shell) else "/bin/sh"
    say((directory / "help").read_text())
    environment = {**os.environ, "PATH": f"{directory}/bin:{os.environ['PATH']}", "PS1": f"{tag} router# "}
    environment["MWAN_HOOK_ROOT"] = str(directory / "router-root")
    signal.signal(signal.SIGINT, lambda _number, _frame: None)  # Ctrl-C is the shell's; SIG_IGN it would inherit
    return subprocess.run(["ip", "netns", "exec", f"{tag}-router", shell], env=environment, check=False).returncode


def play() -> int:
    """`demo shell`."""
    kept = ledger.kept()
    if kept:
        return enter(kept[-1])
    with Lab() as lab:
        net, _ = build(lab)
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
    # In the background of a shell SIGINT is ignored from the start, and would be in all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return actions[tuple(words)]()
    except KeyboardInterrupt:
        print("\ninterrupted; everything is cleaned up", file=sys.stderr)
        return 130
    except FAILURES as error:
        print(f"\nthe demonstration failed: {error or type(error).__name__}\n{advice()}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
