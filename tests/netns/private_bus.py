"""A dbus-daemon of its own with a system bus's configuration, our installed policy, and a directory as the root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jeepney import HeaderFields, MessageType, message_bus, new_method_call
from jeepney.io.blocking import open_dbus_connection

from mwan_hook import config
from mwan_hook.model import Connectivity, FamilyState, Notice, State, UplinkState
from mwan_hook.notify.bus import announce, files, names
from mwan_hook.store import state as states
from tests.lab.process import Done, run, spawn, wait_for

POLICY = Path(__file__).resolve().parents[2] / "dbus/mwan-hook.conf"
NOBODY = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--")
CONFIGURATION = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={root}/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <includedir>{root}/etc/dbus-1/system.d</includedir>
</busconfig>
"""


class PrivateBus:
    """The bus, and what its clients do."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.log = root / "log"
        self.daemon: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        self._listeners: list[Listener] = []

    def start(self) -> None:
        """Run the daemon and wait until it listens."""
        self.daemon = spawn(["dbus-daemon", "--nofork", f"--config-file={self.root}/bus.conf"], self.log)
        wait_for("the bus", self._listens)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.address.removeprefix("unix:path=")) == 0

    def stop(self) -> None:
        """Kill the daemon; what it has started goes with it."""
        for process in [*self._started, *([self.daemon] if self.daemon else [])]:
            process.kill()
            process.wait()
        for listener in self._listeners:
            listener.connection.close()
        self._started, self._listeners, self.daemon = [], [], None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"unix:path={self.root}/run/dbus/system_bus_socket"

    # ------------------------------------------------------------ our side

    def save(self, **connectivity: int) -> None:
        """A state file in which these interfaces (two underscores: a dot) have that connectivity."""
        self.save_all({name.replace("__", "."): number for name, number in connectivity.items()})

    def save_all(self, connectivity: dict[str, int]) -> None:
        """The same by mapping."""
        uplinks = {
            name: UplinkState(name, index, FamilyState(connectivity=Connectivity(number)))
            for index, (name, number) in enumerate(connectivity.items(), 2)
        }
        states.save(self.root, State(uplinks=uplinks))

    def poke(self, **connectivity: int) -> None:
        """What a delivering run does about these transitions."""
        loaded = config.load(self.root)
        if files.installed(self.root):
            announce.deliver(self.root, loaded, [notice(name, number) for name, number in connectivity.items()])

    def serve(self, *options: str) -> subprocess.Popen[bytes]:
        """``mwan-hook bus``, started by hand."""
        started = spawn([sys.executable, "-m", "mwan_hook", "--root", self.root, "bus", *options], self.log)
        self._started.append(started)
        return started

    # ------------------------------------------------------------ clients

    def client(self, *argv: str, check: bool = True) -> Done:
        """A command that finds this system bus, as an ordinary user."""
        return run([*NOBODY, *argv], check=check, env={"DBUS_SYSTEM_BUS_ADDRESS": self.address})

    def connectivity(self, word: str) -> int:
        """What busctl reads; LabError if the call fails."""
        done = self.client(
            "busctl", "get-property", names.bus_name(word), names.path(word), names.DEVICE, "Connectivity"
        )
        kind, number = done.stdout.split()
        assert kind == "u"
        return int(number)

    def owner(self, word: str) -> str:
        """Who has the name; empty if it has no owner."""
        done = self.client(
            *("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s"),
            names.bus_name(word),
            check=False,
        )
        return done.stdout.strip()

    def client_named(self, name: str) -> bool:
        """Whether a program has that name."""
        words = ("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s", name)
        return self.client(*words).stdout.strip() == "b true"

    def owned(self) -> None:
        """Wait until a process of ours has every name."""
        words = names.published(states.load(self.root, writes=True)[0])
        wait_for("an owner of every name", lambda: all(self.owner(word) for word in words))

    def activatable(self) -> set[str]:
        """Last elements of the names that the bus would start us for."""
        done = self.client(
            "busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListActivatableNames"
        )
        return {
            word.strip('"').removeprefix(f"{names.BASE}.")
            for word in done.stdout.split()
            if word.startswith(f'"{names.BASE}.')
        }

    def listen(self, word: str) -> Listener:
        """A client that hears the signals of a name and calls nothing."""
        made = Listener(self.address, word)
        self._listeners.append(made)
        return made


class Listener:
    """A program that waits for PropertiesChanged from the owner of a name."""

    def __init__(self, address: str, word: str) -> None:
        self.connection = open_dbus_connection(address)
        self._values: list[int] = []
        rule = f"type='signal',sender='{names.bus_name(word)}',path='{names.path(word)}'"
        reply = self.connection.send_and_get_reply(new_method_call(message_bus, "AddMatch", "s", (rule,)), timeout=5)
        assert reply.header.message_type is MessageType.method_return

    def values(self) -> list[int]:
        """The values in the signals so far, in order."""
        while True:
            try:
                message = self.connection.receive(timeout=0)
            except TimeoutError:
                return self._values
            if message.header.fields.get(HeaderFields.member) == "PropertiesChanged":
                interface, changed, invalidated = message.body
                assert (interface, list(changed), invalidated) == (names.DEVICE, ["Connectivity"], [])
                assert changed["Connectivity"][0] == "u"
                self._values.append(changed["Connectivity"][1])


def notice(interface: str, number: int) -> Notice:
    """A transition to that connectivity."""
    connectivity = Connectivity(number)
    return Notice("1", connectivity.word, interface, interface, state=connectivity)


@contextmanager
def private_bus(more_policy: str = "") -> Iterator[PrivateBus]:
    """A running bus; its root may be read by every user."""
    root = Path(tempfile.mkdtemp(prefix="mwan-hook-bus-"))
    made = PrivateBus(root)
    try:
        root.chmod(0o755)
        for directory in ("run/dbus", "etc/dbus-1/system.d"):
            os.makedirs(root / directory)
        policy = POLICY.read_text().replace("/run/mwan-hook", f"{root}/run/mwan-hook")
        (root / "etc/dbus-1/system.d/mwan-hook.conf").write_text(policy)
        if more_policy:
            (root / "etc/dbus-1/system.d/more.conf").write_text(more_policy.lstrip())
        (root / "bus.conf").write_text(CONFIGURATION.lstrip().format(root=root))
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root)
