"""A bed: Debian in a systemd-nspawn container with systemd, udevd, networkd, resolved and networkd-dispatcher."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.lab import LabError, wait_for
from tests.lab.process import Done, run, started
from tests.system.beds import files as put
from tests.system.beds import nspawn, rootfs
from tests.system.beds.files import Files, content
from tests.system.beds.world import ISPS, World, feed

UPLINK = """\
[Match]
Name=wan* enp* ens* usb* ww*

[Network]
DHCP=yes

[DHCPv4]
ClientIdentifier=mac
UseHostname=no
"""
LAN = "[Match]\nName=lan0\n\n[Network]\nAddress=192.168.2.1/24\nConfigureWithoutCarrier=yes\n"
USB_PORTS = range(1, 9)
USB_NAME = re.compile(r"enp0s20u([1-8])")
USB_LINK = "[Match]\nOriginalName=usb*\nMACAddress={}\n\n[Link]\nName=enp0s20u{}\n"
# the host's devices are in /sys too: take up only what is the container's
COLDPLUG = "[Service]\nExecStart=\nExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=net\n"


def usb_address(n: int, port: int) -> str:
    """The hardware address of the stick of provider n in a port."""
    return f"02:00:5e:20:{n:02x}:{port:02x}"


FILES: Files = {
    "etc/systemd/network/20-uplink.network": UPLINK,
    "etc/systemd/network/20-lan0.network": LAN,
    "etc/systemd/system/systemd-udev-trigger.service.d/bed.conf": COLDPLUG,
    **{
        f"etc/systemd/network/70-usb{port}.link": USB_LINK.format(
            " ".join(usb_address(n, port) for n in range(1, 10)), port
        )
        for port in USB_PORTS
    },
}


class Container(World):
    """The container; it is booted when its `with` block begins."""

    def __init__(
        self,
        uplinks: Mapping[int, str] | None = None,
        files: Files | None = None,
        binds: Mapping[str, str] | None = None,
        isps: Sequence[int] = ISPS,
        networks: Mapping[int, str] | None = None,
        removed: Sequence[str] = (),
        client: bool = True,
        suite: str = "",
        image: Callable[[str], Path] = rootfs.image,
    ) -> None:
        """`uplinks`: the interface for a provider, there at boot.  `files`: put over the image's.
        `binds`: directories of the host, read-only, and where they are inside.  `removed`: paths of the image.
        `suite`: a Debian other than that of this run.  `image`: makes the root directory of a suite."""
        super().__init__(isps, networks)
        self.suite, self.image = suite or rootfs.suite(), image
        self.files = {**FILES, **(files or {})}
        self.uplinks = {1: "wan1", 2: "wan2"} if uplinks is None else dict(uplinks)
        self.binds, self.removed, self.with_client = dict(binds or {}), list(removed), client
        self.ports: dict[str, int] = {}  # interface -> provider
        self.boots = self.pid = 0
        self.state = ""

    def __enter__(self) -> Container:
        super().__enter__()
        try:
            self._build()
        except BaseException:
            self.destroy()
            self._closing.close()
            raise
        return self

    def _build(self) -> None:
        image = self.image(self.suite)
        self.build_world()
        self._keep_files(image)
        self.hut = self.netns("hut")
        if self.with_client:
            self.lan = self.netns("client")
        self._wire(self.uplinks.items())
        self._boot()

    def _keep_files(self, image: Path) -> None:
        changes, top, ready = self.dir / "changes", self.dir / "top", self.dir / "ready"
        top.mkdir()
        put.write(changes, self.files)
        log = self.spawn(nspawn.keeper(image, changes, top, ready, self.removed), "keeper")
        self.keeper = self.children[-1].pid
        wait_for(f"the file system: {log}", ready.exists)

    def _wire(self, uplinks: Iterable[tuple[int, str]]) -> None:
        self.hut.ip("link set lo up")
        # duplicate address detection takes a second of every plug
        self.hut.sysctl({"ipv6/conf/default/accept_dad": 0})
        if self.with_client:
            self.lan.batch(
                "link set lo up",
                f"link add eth0 type veth peer name lan0 netns {self.hut.name}",
                "link set eth0 up",
                "addr add 192.168.2.10/24 dev eth0",
                "route add default via 192.168.2.1",
            )
        for n, interface in uplinks:
            self.plug(n, interface)

    # -- life

    def _boot(self) -> None:
        self.boots += 1
        places = nspawn.groups(self.ledger.tag, self.boots)
        for place in places:
            self.ledger.add_cgroup(place)
            place.mkdir()
        words = nspawn.container(self.ledger.tag, self.dir / "top", self.binds, places, self.keeper, self.hut.name)
        log = self.spawn(words, f"boot{self.boots}")
        self.nspawn = self.children[-1]

        def first() -> int:
            if self.nspawn.poll() is not None:
                raise LabError(f"systemd-nspawn ended: {log.read_text()}")
            return nspawn.first_process(self.nspawn.pid)

        self.pid = wait_for("the container's systemd", first, 60)
        self.ledger.add_pid(self.pid)
        self.state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()

    def reboot(self, crash: bool = False) -> None:
        """Shut down, or pull the power cord, and boot again: the files stay; kernel objects, /run, processes do not.

        Interfaces that are plugged in at that time are there at boot, under the names they are born with.
        """
        if crash:
            run(["kill", "-KILL", str(self.pid)])
        else:
            self.run("systemctl", "poweroff", check=False)
        wait_for("the container's end", lambda: self.nspawn.poll() is not None, 60)
        ports = dict(self.ports)
        for interface in list(ports):
            self.unplug(interface)
        if self.with_client:
            self.lan.ip("link del eth0")
        run(["ip", "netns", "del", self.hut.name])
        run(["ip", "netns", "add", self.hut.name])
        self._wire([(n, interface) for interface, n in ports.items()])
        self._boot()

    def run(self, *words: str, check: bool = True, timeout: float = 60, data: str | bytes = b"") -> Done:
        """Run a command in the container."""
        assert started(self.pid), "the container does not run"
        return feed(nspawn.enter(self.pid, words), content(data), check, timeout)

    # -- wires

    def plug(self, n: int, interface: str) -> None:
        """A NIC appears, wired to provider n.  enp0s20u1 to enp0s20u8 are born as usb0 and renamed by udev."""
        usb = USB_NAME.fullmatch(interface)
        last = zlib.crc32(interface.encode()) & 255
        address = usb_address(n, int(usb[1])) if usb else f"02:00:5e:10:{n:02x}:{last:02x}"
        name = "usb%d" if usb else interface
        self.provider[n].ns.batch(
            f"link add p-{interface} type veth peer name {name} netns {self.hut.name} address {address}",
            f"link set p-{interface} addrgenmode none master lan up",
        )
        self.ports[interface] = n

    def unplug(self, interface: str) -> None:
        """The NIC is gone, as when a stick is pulled."""
        self.provider[self.ports.pop(interface)].ns.ip(f"link del p-{interface}")

    def interfaces(self, n: int) -> list[str]:
        """Interfaces that are wired to provider n."""
        return [interface for interface, provider in self.ports.items() if provider == n]

    def carrier(self, interface: str, on: bool) -> None:
        """The link is there or not."""
        self.provider[self.ports[interface]].port(interface, on)
