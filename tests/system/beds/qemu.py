"""How the virtual machine is started by qemu."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import threading
from pathlib import Path

from tests.lab.inside import enter
from tests.system.beds.cache import CACHE
from tests.system.beds.kernel import Kernel, kernel

QEMU = "qemu-system-x86_64"
MEMORY, PROCESSORS = "512", "2"
VIRTIO = {1: "enp0s6", 2: "enp0s7"}  # provider -> the NIC that is built in
USB_PORTS = range(1, 9)
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
CMDLINE = (
    "console=ttyS0 root=/dev/vda rw quiet loglevel=4 panic=-1 mitigations=off nokaslr audit=0 apparmor=0 "
    "random.trust_cpu=on cryptomgr.notests no_timer_check tsc=reliable rcupdate.rcu_expedited=1 "
    "systemd.show_status=0"
)
TRIAL = ("-m", "256", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio")
ALIVE = b"Freeing unused kernel"


def accelerator() -> str:
    """kvm where it runs an unmodified kernel at once, which some virtual hosts' does not; else tcg.

    Tried once for each boot of the host.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    known = CACHE / f"accelerator-{boot}"
    if not known.exists():
        image = kernel().image
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = known.with_suffix(f".{os.getpid()}")
        fresh.write_text("kvm" if ALIVE in _trial(image) else "tcg")
        fresh.rename(known)
    return known.read_text()


def _trial(image: Path) -> bytes:
    """What a kernel without a disk says with KVM in three seconds."""
    words = [QEMU, "-accel", "kvm", "-cpu", "host", *TRIAL, "-kernel", str(image)]
    words += ["-append", "console=ttyS0 earlyprintk=serial panic=-1"]
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=3, check=False).stdout
    except subprocess.TimeoutExpired as slow:
        return slow.stdout or b""


def machine(accel: str, of: Kernel) -> list[str]:
    """The hardware; a snapshot fits only the same."""
    fast = ["-accel", "kvm", "-cpu", "host"]
    slow = ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]
    return [
        *(QEMU, "-nodefaults", "-no-user-config", "-machine", "pc,usb=off,vmport=off,hpet=off"),
        # without ACPI's slot names the NICs are enp0s6 and enp0s20u1, as on real machines, not ens6 and ens20u1i1
        *("-global", "PIIX4_PM.acpi-root-pci-hotplug=off"),
        *(fast if accel == "kvm" else slow),
        *("-m", MEMORY, "-smp", PROCESSORS, "-display", "none", "-no-reboot"),
        *("-kernel", str(of.image), "-append", CMDLINE),
        *("-device", "virtio-blk-pci,drive=disk,addr=0x3", "-device", "virtio-serial-pci,addr=0x4"),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        *("-device", "virtio-rng-pci,addr=0x5", "-device", "qemu-xhci,id=xhci,addr=0x14,p2=8,p3=8"),
        *(word for n in VIRTIO for word in ("-device", _virtio(n))),
    ]


def _virtio(n: int) -> str:
    return f"virtio-net-pci,id=wan{n},netdev=isp{n},mac=52:54:00:00:{n:02x}:02,addr={5 + n:#x},romfile="


def connections(directory: Path, disk: Path) -> list[str]:
    """Where the hardware's ends are on the host."""
    return [
        *("-initrd", str(directory / "initrd"), "-drive", f"file={disk},if=none,id=disk,cache=unsafe"),
        *("-chardev", f"socket,id=agent,path={directory}/agent,server=on,wait=off"),
        *("-serial", f"file:{directory}/console", "-qmp", f"unix:{directory}/monitor,server=on,wait=off"),
    ]


def tap(namespace: str, name: str) -> int:
    """A new tap device in a namespace, for `-netdev tap,fd=`; its file descriptor.

    A thread enters the namespace and ends there, so that this one stays where it is.
    """
    opened: list[int] = []

    def make() -> None:
        enter(namespace)
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        opened.append(fd)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return opened[0]


def obstacle() -> str:
    """Why there can be no virtual machine here; empty if there can."""
    if os.uname().machine != "x86_64":
        return f"the virtual machine is a PC, this is {os.uname().machine}"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun to wire the virtual machine with"
    return ""  # a missing package is no reason: tests/run installs it
