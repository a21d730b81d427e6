"""The machine under test: its lines to providers, its files under a root directory, and the real command."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab import starts
from tests.lab.inside import carrier, inside
from tests.lab.isp import Isp
from tests.lab.netns import Netns
from tests.lab.process import PATIENCE, Done, LabError, wait_for

PROJECT = Path(__file__).resolve().parents[2]

# uid 0 without a capability: may read and write root's files, may not touch the network
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
# an ordinary user, who may read a virtual environment under /root (the tests' own)
AS_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search"),
    *("--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search", "--"),
)


def with_mounts(script: str) -> tuple[str, ...]:
    """A wrapper that runs a command in a mount namespace of its own, after `script`."""
    return ("unshare", "--mount", "--", "sh", "-ec", f'{script}\nexec "$@"', "sh")


def up_for(seconds: int) -> tuple[str, ...]:
    """A wrapper that runs a command on a machine that was started so long ago, by CLOCK_BOOTTIME."""
    own = dict(line.split()[:2] for line in Path("/proc/self/timens_offsets").read_text().splitlines())
    offset = seconds - int(time.clock_gettime(time.CLOCK_BOOTTIME)) + int(own["boottime"])
    return ("unshare", "--time", f"--boottime={offset}", "--")


class Line(NamedTuple):
    """One line to a provider.  `metric` None: no default route in main, the gateway is found otherwise."""

    isp: Isp
    interface: str
    address: str = ""
    metric: int | None = None
    address6: str = ""
    metric6: int | None = None
    mac: str = ""

    @property
    def source(self) -> str:
        """IPv4 address without length."""
        return self.address.split("/")[0]

    @property
    def source6(self) -> str:
        """IPv6 address without length."""
        return self.address6.split("/")[0]


class Router:
    """The namespace `ns` with its files under `root`."""

    def __init__(self, ns: Netns, root: Path, register: Callable[[int], None]) -> None:
        self.ns, self.root, self.register = ns, root, register
        self.python = sys.executable
        self.wrap: tuple[str, ...] = ()  # around every command
        self.lines: dict[str, Line] = {}
        self.told_by_hand = False  # what runs store was changed, or could not be stored: the record need not fit it
        for directory in ("etc/mwan-hook", "run", "var/lib", "etc/systemd/network"):
            (root / directory).mkdir(parents=True)
        self.ns.sysctl(
            {
                "ipv6/conf/all/accept_dad": 0,
                "ipv6/conf/default/accept_dad": 0,
                "ipv4/conf/all/rp_filter": 0,
                "ipv4/conf/default/rp_filter": 0,
            }
        )

    # -- wires, and what networkd would do with them

    def plug(self, *lines: Line) -> None:
        """New interfaces with their addresses and routes."""
        for line in lines:
            line.isp.ns.batch(*self.wire(line))
            self.lines[line.interface] = line
        self.ns.batch("link set lo up", *(step for line in lines for step in self.leased(line)))

    def wire(self, line: Line) -> list[str]:
        """ip(8) commands at the provider's end that make the interface."""
        mac = f"address {line.mac}" if line.mac else ""
        return [
            f"link add p-{line.interface} type veth peer name {line.interface} {mac} netns {self.ns.name}",
            f"link set p-{line.interface} addrgenmode none master lan up",
        ]

    def unplug(self, interface: str) -> None:
        """The device is gone."""
        self.ns.ip(f"link del {interface}")

    def carrier(self, interface: str, on: bool) -> None:
        """The other end of the wire; waits until the interface has seen it."""
        self.lines[interface].isp.port(interface, on)
        wait_for(f"the carrier of {interface} to be {on}", lambda: carrier(self.ns.name, interface) == on, step=0.005)

    def lease(self, line: Line) -> None:
        """The interface is up, with addresses, and routes as DHCP and router advertisements bring them."""
        self.ns.batch(*self.leased(line))

    def leased(self, line: Line) -> list[str]:
        """ip(8) commands in the router that do it."""
        dev, gw, todo = line.interface, line.isp.gateway, [f"link set {line.interface} up"]
        if line.address:
            todo.append(f"addr replace {line.address} dev {dev}")
        if line.address and line.metric is not None:
            tail = f"proto dhcp src {line.source} metric {line.metric}"
            todo += [
                f"route replace {gw} dev {dev} {tail} scope link",
                f"route append default via {gw} dev {dev} {tail}",
            ]
        if line.address6:
            todo.append(f"addr replace {line.address6} dev {dev} nodad")
        if line.address6 and line.metric6 is not None:
            todo.append(f"route append default via {line.isp.gateway6} dev {dev} proto ra metric {line.metric6}")
        return todo

    # -- files

    def write(self, path: str, text: str) -> Path:
        """A file under the root directory."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def configure(self, text: str) -> None:
        """mwan-hook.conf."""
        self.write("etc/mwan-hook/mwan-hook.conf", text)

    @property
    def state_file(self) -> Path:
        """Hysteresis and last results."""
        return self.root / "run/mwan-hook/state.json"

    def write_state(self, text: str) -> None:
        """The state as no run has left it: what is on record need not lead to it."""
        self.state_file.write_text(text)
        self.told_by_hand = True

    def reboot_files(self) -> None:
        """/run is empty after a boot, and no process of ours is left that would write there."""
        wait_for(f"the end of what runs with {self.root}", lambda: not self._ended_own())
        for path in sorted((self.root / "run").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)

    def _ended_own(self) -> list[int]:
        """Processes of the command for this root directory that there were; they are ended."""
        own = f"--root\0{self.root}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if own in path.read_bytes():
                    found.append(int(path.parent.name))
                    os.kill(found[-1], signal.SIGKILL)
        return found

    # -- the command

    def argv(self, *words: str, wrap: Sequence[str] = ()) -> list[str]:
        """The command line of `mwan-hook WORDS` inside the namespace."""
        return self.ns.argv(*(wrap or self.wrap), self.python, "-m", "mwan_hook", "--root", str(self.root), *words)

    def environment(self) -> dict[str, str]:
        """The program from this checkout."""
        return {"PYTHONPATH": str(PROJECT / "lib")}

    def mwan(
        self,
        *words: str,
        code: int | None = 0,
        wrap: Sequence[str] = (),
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Done:
        """Run the real command; LabError unless it exits with `code` (None: any), or if it shows a traceback.

        `fresh`: a true start of the interpreter, for tests of how it starts, what it imports or how long it takes.
        """
        environment = {**os.environ, **self.environment(), **(env or {})}
        done = (
            self._truly(words, wrap, timeout, environment)
            if fresh or wrap or self.wrap
            else self._forked(words, timeout, environment)
        )
        if (code is not None and done.returncode != code) or "Traceback" in done.stderr:
            words_ = " ".join(words)
            raise LabError(f"mwan-hook {words_} -> {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done

    def _truly(self, words: Sequence[str], wrap: Sequence[str], timeout: float, env: Mapping[str, str]) -> Done:
        return subprocess.run(
            self.argv(*words, wrap=wrap),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout * PATIENCE,
            check=False,
            env=env,
        )

    def _forked(self, words: Sequence[str], timeout: float, env: Mapping[str, str]) -> Done:
        if not starts.alike(env):
            return self._truly(words, (), timeout, env)
        words = ["--root", str(self.root), *words]
        done = starts.run(starts.PROGRAM, words, namespace=self.ns.name, environment=env, timeout=timeout * PATIENCE)
        return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def retold(self) -> list[str]:
        """What is told otherwise when the record is played: nothing, unless a test has written what runs write."""
        from tests.lab import replayed  # here, because the lab's own programs start without the program under test

        return [] if self.told_by_hand else replayed.differences(self.root)

    def start(self, *words: str, wrap: Sequence[str] = ()) -> subprocess.Popen[str]:
        """The command in the background, its output in pipes."""
        process = subprocess.Popen(
            self.argv(*words, wrap=wrap),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment()},
        )
        self.register(process.pid)
        return process

    def check(self) -> Done:
        """`check --now`."""
        return self.mwan("check", "--now")

    def event(self, action: str, interface: str) -> Done:
        """What udev or networkd-dispatcher start."""
        return self.mwan("event", action, interface)

    def status(self) -> dict[str, Any]:
        """`status --json`, by this process: tests ask a thousand times, and a start costs twice as much more."""
        from mwan_hook.__main__ import main  # here, as in retold

        said = io.StringIO()
        if self.wrap:
            said.write(self.mwan("status", "--json").stdout)
        else:
            with inside(self.ns.name), contextlib.redirect_stdout(said):
                code = main(["--root", str(self.root), "status", "--json"])
            if code:
                raise LabError(f"mwan-hook status --json -> {code}\n{said.getvalue()}")
        found: dict[str, Any] = json.loads(said.getvalue())
        return found

    def family(self, uplink: str, family: str = "ipv4") -> dict[str, Any]:
        """One family of one uplink, of `status --json`."""
        found: dict[str, Any] = self.status()["uplinks"][uplink][family]
        return found

    def verdict(self, uplink: str, family: str = "ipv4") -> str:
        """online, offline or disabled."""
        word: str = self.family(uplink, family)["status"]
        return word

    def way_out(self, family: str = "ipv4") -> list[str]:
        """`default` of `status --json`: the uplinks that carry what is not bound elsewhere."""
        names: list[str] = self.status()["default"][family]
        return names

    def history(self, *words: str) -> list[dict[str, Any]]:
        """`history --json`, a list or one object a line."""
        text = self.mwan("history", "--json", *words).stdout
        if text.lstrip().startswith("["):
            found: list[dict[str, Any]] = json.loads(text)
            return found
        return [json.loads(line) for line in text.splitlines()]
