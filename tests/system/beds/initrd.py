"""The initial RAM disk of the virtual machine: mounts the disk, adds files to it, starts systemd."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tests.system.beds.files import Files, Link, content, mode
from tests.system.beds.kernel import Kernel

MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
DIRECTORY, REGULAR, SYMLINK = 0o40000, 0o100000, 0o120000
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /modules/$module; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /root
/bin/busybox cp -a /add/. /root/
/bin/busybox mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /lib/systemd/systemd
"""


class Entry(NamedTuple):
    """One member of the archive."""

    name: str
    mode: int
    data: bytes = b""


def cpio(entries: Iterable[Entry]) -> bytes:
    """A `newc` archive, as the kernel unpacks it."""
    out = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], 1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name
        out += b"\0" * (-len(out) % 4) + entry.data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def needed(modules: Path, wanted: Sequence[str]) -> list[Path]:
    """Files of kernel modules, each after those that it depends on.  What is built into the kernel has none."""
    files = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    ordered: list[Path] = []

    def add(name: str) -> None:
        if name not in files or files[name] in ordered:
            return
        found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for other in found[1].decode().split(",") if found else []:
            add(other.replace("-", "_"))
        ordered.append(files[name])

    for name in wanted:
        add(name)
    return ordered


def initrd(kernel: Kernel, files: Files) -> bytes:
    """The archive; `files` are put over what the disk has."""
    modules = needed(kernel.modules, MODULES)
    start = INIT.format(modules=" ".join(path.name for path in modules))
    return cpio(
        [
            *(Entry(name, DIRECTORY | 0o755) for name in ("bin", "dev", "modules", "root", "add")),
            Entry("bin/busybox", REGULAR | 0o755, (kernel.directory / "busybox").read_bytes()),
            Entry("init", REGULAR | 0o755, start.encode()),
            *(Entry(f"modules/{path.name}", REGULAR | 0o644, path.read_bytes()) for path in modules),
            *_added(files),
        ]
    )


def _added(files: Files) -> Iterable[Entry]:
    above = {str(path) for name in files for path in PurePosixPath(name.lstrip("/")).parents if path.name}
    for name in sorted(above):
        yield Entry(f"add/{name}", DIRECTORY | 0o755)
    for name, value in files.items():
        path = f"add/{name.lstrip('/')}"
        if isinstance(value, Link):
            yield Entry(path, SYMLINK | 0o777, value.target.encode())
        else:
            data = content(value)
            yield Entry(path, REGULAR | mode(data), data)
