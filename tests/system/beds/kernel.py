"""Debian's kernel for the virtual machine, and the disk with its modules."""

from __future__ import annotations

import lzma
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from tests.system.beds.cache import alone, cached
from tests.system.beds.files import Files, Link, write
from tests.system.beds.nspawn import script
from tests.system.beds.rootfs import debootstrap, image

SUITE = "bookworm"  # in every turn
SIZE = "1500M"  # sparse
UPLINK = "[Match]\nName=en* eth* usb* ww*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\n"
# hardware that is not needed here, each costs time under emulation; cdc_subset would take the stick before cdc_ether
UNWANTED = (
    *("psmouse", "i2c_piix4", "pcspkr", "floppy", "bochs", "cirrus", "parport_pc", "evdev", "serio_raw", "joydev"),
    *("sg", "kvm", "kvm_amd", "kvm_intel", "ccp", "powernow_k8", "button", "qemu_fw_cfg", "configfs", "autofs4"),
    *("loop", "dm_mod", "cdc_subset"),
)
MASKED = (
    *("sys-kernel-config.mount", "dev-mqueue.mount", "systemd-pcrphase.service"),
    *("systemd-pcrphase-sysinit.service", "systemd-repart.service"),
)
FILES: Files = {
    "etc/systemd/network/20-uplink.network": UPLINK,
    # Debian names USB NICs by their hardware address; this gives enp0s20u1
    "etc/systemd/network/73-usb-net-by-mac.link": Link("/dev/null"),
    "etc/modprobe.d/bed.conf": "".join(f"blacklist {module}\n" for module in UNWANTED),
    # duplicate address detection takes a second of every plug
    "etc/sysctl.d/bed.conf": "net.ipv6.conf.default.accept_dad = 0\nnet.ipv6.conf.*.accept_dad = 0\n",
    # the dispatcher does not start without a script; with this it runs already when the machine is resumed
    "usr/lib/networkd-dispatcher/off.d/00-bed": "#!/bin/sh\n",
    **{f"etc/systemd/system/{unit}": Link("/dev/null") for unit in MASKED},
}
# directories of modules for hardware that a virtual machine never shows; mac80211_hwsim is Wi-Fi without a radio
LEFT_OUT = (
    *("sound", "drivers/gpu", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless/*/", "drivers/scsi"),
    *("drivers/infiniband", "drivers/iio", "drivers/hwmon", "drivers/staging", "drivers/hid", "drivers/md"),
    *("drivers/platform", "drivers/input", "drivers/ata", "drivers/comedi", "drivers/mtd", "drivers/video"),
    *("drivers/target", "drivers/mmc", "drivers/nvme", "drivers/bluetooth", "drivers/isdn", "drivers/net/can"),
    *("drivers/edac", "drivers/message", "drivers/ufs", "drivers/nvdimm", "drivers/firewire", "drivers/net/fddi"),
    *("drivers/net/arcnet", "drivers/pinctrl", "drivers/power", "drivers/leds", "drivers/mfd", "drivers/regulator"),
    *("fs/ocfs2", "fs/xfs", "fs/btrfs", "fs/nfs", "fs/nfsd", "fs/smbfs_common", "fs/cifs", "fs/ceph", "fs/gfs2"),
    *("fs/jfs", "fs/f2fs", "fs/ubifs", "fs/reiserfs", "fs/dlm", "net/bluetooth", "net/ceph", "net/sunrpc"),
    *("net/tipc", "net/rds", "net/sctp", "net/dccp", "net/batman-adv", "net/atm", "net/ax25"),
)
# $1 root directory, $2 modules of a version, $3 changes, $4 a directory to work in, $5 the disk to make, $6 its size
DISK = """
mount -t tmpfs bed "$4"
mkdir "$4/upper" "$4/work" "$4/root"
cp -a "$3/." "$4/upper"
chown -R 0:0 "$4/upper"
mount -t overlay -o "lowerdir=$1,upperdir=$4/upper,workdir=$4/work" bed "$4/root"
mkdir -p "$4/root/lib/modules"
cp -a "$2" "$4/root/lib/modules/"
chroot "$4/root" depmod "${2##*/}"
mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -m 0 -d "$4/root" "$5" "$6"
"""


class Kernel(NamedTuple):
    """A directory with `vmlinux`, `busybox` and `modules/VERSION`."""

    directory: Path

    @property
    def image(self) -> Path:
        """What qemu is given."""
        return self.directory / "vmlinux"

    @property
    def modules(self) -> Path:
        """The directory of the version's modules."""
        return next((self.directory / "modules").iterdir())


def kernel() -> Kernel:
    """The kernel, made if it is not there."""
    return Kernel(cached("kernel", [SUITE, LEFT_OUT], _build_kernel))


def _build_kernel(target: Path) -> None:
    unpacked = target / "unpacked"
    target.mkdir()
    debootstrap(SUITE, unpacked, "extract", ("linux-image-amd64", "busybox-static"))
    compressed = next(unpacked.glob("boot/vmlinuz-*")).read_bytes()
    (target / "vmlinux").write_bytes(_inside(compressed))
    shutil.copy(unpacked / "bin/busybox", target / "busybox")
    modules = next(unpacked.glob("lib/modules/*"))
    for path in [found for name in LEFT_OUT for found in (modules / "kernel").glob(name)]:
        shutil.rmtree(path)
    (target / "modules").mkdir()
    modules.rename(target / "modules" / modules.name)
    shutil.rmtree(unpacked)


def _inside(compressed: bytes) -> bytes:
    """The ELF file in a bzImage: qemu starts it by PVH, and nothing is unpacked under emulation."""
    for found in re.finditer(b"\xfd7zXZ\0", compressed):
        try:
            elf = lzma.LZMADecompressor().decompress(compressed[found.start() :])
        except lzma.LZMAError:
            continue
        if elf.startswith(b"\x7fELF"):
            return elf
    return compressed


def disk(of: Kernel) -> Path:
    """A raw ext4 image of the root directory with the kernel's modules."""
    root = image(SUITE)

    def build(target: Path) -> None:
        work, changes = target / "work", target / "changes"
        work.mkdir(parents=True)
        write(changes, FILES)
        paths = (root, of.modules, changes, work, target / "disk")
        alone(script(DISK, *map(str, paths), SIZE))
        shutil.rmtree(changes)
        work.rmdir()

    return cached("disk", [root.name, of.directory.name, FILES, DISK, SIZE], build) / "disk"
