"""A bed: Debian in a virtual machine with Debian's kernel, two virtio NICs, and USB sticks to plug and pull."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab import LabError, wait_for
from tests.lab.process import Done, run
from tests.system.beds import qemu
from tests.system.beds.cache import cached, one_at_a_time
from tests.system.beds.files import Files, content
from tests.system.beds.initrd import INIT, initrd
from tests.system.beds.kernel import disk, kernel
from tests.system.beds.talk import Agent, Monitor
from tests.system.beds.world import ISPS, World

SETTLE = "systemctl is-system-running --wait; udevadm settle; sync; echo 3 >/proc/sys/vm/drop_caches"
EMULATED = 4
# what an emulated processor does beside others takes longer than the five seconds that the image gives a unit to stop
PATIENT: Files = {"etc/systemd/system.conf.d/patient.conf": "[Manager]\nDefaultTimeoutStopSec=90s\n"}
TAKE_UP = "systemctl daemon-reload; udevadm control --reload; networkctl reload"


class Machine(World):
    """The machine; it is booted, or resumed where it had booted before, when its `with` block begins."""

    def __init__(
        self,
        files: Files | None = None,
        cold: bool = False,
        isps: Sequence[int] = ISPS,
        networks: Mapping[int, str] | None = None,
    ) -> None:
        """`files`: put over the disk's.  `cold`: boot it, with the files there, instead of resuming."""
        super().__init__(isps, networks)
        self.files, self.cold = {**PATIENT, **(files or {})}, cold
        self.nics = dict(qemu.VIRTIO)  # provider -> interface
        self.sticks: dict[str, int] = {}  # interface -> provider

    def __enter__(self) -> Machine:
        super().__enter__()
        try:
            self._up()
        except BaseException:
            self.destroy()
            self._closing.close()
            raise
        return self

    def _up(self) -> None:
        self.kernel, self.accel = kernel(), qemu.accelerator()
        self.disk = disk(self.kernel)
        snapshot = None if self.cold else self._snapshot()
        self._closing.enter_context(one_at_a_time())
        self.build_world()
        if snapshot:
            self._resume(snapshot)
        else:
            self._start(self.disk, "raw", self.files)
            self._wait_agent()
            self.run("systemctl", "is-system-running", "--wait", check=False, timeout=300)

    # -- qemu

    def _start(self, below: Path, form: str, files: Files, *options: str) -> None:
        run_disk = self.dir / "disk.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", str(below), str(run_disk)])
        (self.dir / "initrd").write_bytes(initrd(self.kernel, files))
        words = [*qemu.machine(self.accel, self.kernel), *qemu.connections(self.dir, run_disk), *options]
        taps = {n: qemu.tap(isp.ns.name, f"tap{n}") for n, isp in self.provider.items()}
        try:
            for n, fd in taps.items():
                self.provider[n].ns.ip(f"link set tap{n} addrgenmode none master lan up")
                words += ["-netdev", f"tap,id=isp{n},fd={fd}"]
            self.log = self.spawn(words, "qemu", list(taps.values()))
        finally:
            for fd in taps.values():
                os.close(fd)
        self.qemu = self.children[-1]
        self.qmp = Monitor(self.dir / "monitor")
        self.agent = Agent(self.dir / "agent")

    def _wait_agent(self) -> None:
        def there() -> bool:
            if self.qemu.poll() is not None:
                raise LabError(f"qemu ended: {self.log.read_text()}")
            return self.agent.answers()

        wait_for(f"the guest agent; see {self.dir}/console", there, 300)

    def _resume(self, snapshot: Path) -> None:
        """Go on where the snapshot was taken: links are off, and then it is told what has changed."""
        source = f"exec:cat {shlex.quote(str(snapshot / 'state'))}"
        self._start(snapshot / "disk.qcow2", "qcow2", {}, "-incoming", source, "-S")
        ready = ("paused", "prelaunch")
        wait_for("the snapshot", lambda: self.qmp.call("query-status")["status"] in ready, 60)
        self.qmp.call("cont")
        self._wait_agent()
        self.agent.call("guest-set-time", time=time.time_ns())
        self.write(self.files)
        self.sh(TAKE_UP)
        for interface in self.nics.values():
            self.carrier(interface, on=True)

    def _snapshot(self) -> Path:
        """The booted machine with its links off, made once."""
        version = run([qemu.QEMU, "--version"]).stdout
        hardware = qemu.machine(self.accel, self.kernel)
        key = [hardware, self.disk.parent.name, self.kernel.directory.name, INIT, version]
        return cached("snapshot", key, _Booting.build)

    # -- the booted system

    def run(self, *words: str, check: bool = True, timeout: float = 60, data: str | bytes = b"") -> Done:
        """Run a command in the machine; an emulated one has more time."""
        return self.agent.execute(words, content(data), check, timeout * (EMULATED if self.accel == "tcg" else 1))

    def copy(self, directory: Path, target: str) -> None:
        """Copy a directory of the host into the machine, without its repository."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
            tar.add(directory, ".", filter=lambda entry: None if entry.name == "./.git" else entry)
        self.run("mkdir", "-p", target)
        self.run("tar", "-xz", "--no-same-owner", "-C", target, data=buffer.getvalue())

    # -- wires

    def interfaces(self, n: int) -> list[str]:
        """Interfaces that are wired to provider n."""
        wired = [(provider, interface) for interface, provider in self.sticks.items()]
        return [interface for provider, interface in [*self.nics.items(), *wired] if provider == n]

    def carrier(self, interface: str, on: bool) -> None:
        """The link of a built-in NIC.  Of a stick the machine is not told, as of many real ones."""
        n = next(provider for provider, name in self.nics.items() if name == interface)
        self.qmp.call("set_link", name=f"wan{n}", up=on)

    def plug(self, n: int, port: int = 1, driver: str = "usb-net") -> str:
        """Plug a USB network stick of provider n; the name that its interface will have."""
        address = f"52:54:00:00:{n:02x}:{0x80 + port:02x}"
        where = {"bus": "xhci.0", "port": str(port)}
        self.qmp.call("device_add", driver=driver, id=f"usb{port}", netdev=f"isp{n}", mac=address, **where)
        interface = f"enp0s20u{port}"
        self.sticks[interface] = n
        return interface

    def unplug(self, interface: str) -> None:
        """Pull the stick."""
        del self.sticks[interface]
        self.qmp.call("device_del", id=f"usb{interface[-1]}")


class _Booting(Machine):
    """The machine that a snapshot is taken of."""

    @classmethod
    def build(cls, target: Path) -> None:
        """Boot without links, wait until all is quiet, and keep memory and disk."""
        target.mkdir()
        with cls(cold=True) as made:
            made.sh(SETTLE, check=False, timeout=300)
            made.agent.close()
            made.qmp.call("stop")
            made.qmp.call("migrate-set-parameters", max_bandwidth=1 << 33)
            made.qmp.call("migrate", uri=f"exec:cat >{shlex.quote(str(target / 'state'))}")
            status = "query-migrate"
            wait_for("the snapshot", lambda: made.qmp.call(status).get("status") == "completed", 120)
            made.qmp.call("quit")
            made.qemu.wait(20)
            shutil.move(made.dir / "disk.qcow2", target / "disk.qcow2")

    def _start(self, below: Path, form: str, files: Files, *options: str) -> None:
        super()._start(below, form, files, *options, "-S")
        for interface in self.nics.values():
            self.carrier(interface, on=False)
        self.qmp.call("cont")
