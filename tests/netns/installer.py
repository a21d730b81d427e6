"""What the tests of install.sh share: copies of the checkout, looks at trees, and a copy of this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from tests.lab.router import PROJECT

PARTS = (
    *("install", "lib", "hooks", "udev", "systemd", "dbus", "snmp", "docs", "completions"),
    *("install.sh", "README.md", "LICENSE", "setup.cfg"),
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/root"}
Done = subprocess.CompletedProcess[str]


class Entry(NamedTuple):
    """All that a second run must leave as it is."""

    inode: int
    mode: int
    changed: int
    content: bytes


# Every file costs install.sh two or three processes, and a module its compilation, too: some of each kind are enough.
MODULES = ("__init__.py", "__main__.py", "model.py", "say.py")
DOCUMENTS = (
    "docs/record.md",
    "docs/why.md",
    "docs/man/",
    "docs/grafana/",
    "docs/examples/mwan-hook.conf",
    "docs/examples/hooks/",
)
USED = """import contextlib, io, sys
from mwan_hook import cli
with contextlib.redirect_stdout(io.StringIO()):
    for words in sys.argv[2:]:
        cli.run(["--root", sys.argv[1], *words.split()])
print(*(module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "mwan_hook"), sep="\\n")
"""


def copy_of_checkout(target: Path, modules: Container[str] = MODULES) -> Path:
    """A checkout that a test may change, with some modules of the program and some documents."""
    target.mkdir()
    for part in PARTS:
        for path in (PROJECT / part, *(PROJECT / part).rglob("*")):
            name = str(path.relative_to(PROJECT))
            if path.is_file() and _wanted(name, modules):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target / name, follow_symlinks=False)
    return target


def _wanted(name: str, modules: Container[str]) -> bool:
    if name.startswith("lib/"):
        return name.removeprefix("lib/mwan_hook/") in modules
    return not name.startswith("docs/") or name.startswith(DOCUMENTS)


def used_by(root: Path, *commands: str) -> set[str]:
    """The modules of the program that commands import on a new machine, as paths below lib/mwan_hook."""
    (root / "etc/mwan-hook").mkdir(parents=True)
    shutil.copy2(PROJECT / "docs/examples/mwan-hook.conf", root / "etc/mwan-hook/mwan-hook.conf")
    words = [sys.executable, "-c", USED, str(root), *commands]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "lib")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return {"__main__.py", *(str(Path(line).relative_to(PROJECT / "lib/mwan_hook")) for line in done.stdout.split())}


def install(source: Path, destdir: Path, *words: str, path: str = "") -> Done:
    """install.sh with DESTDIR; `path`: a directory before all others in PATH."""
    environment = {**ENVIRONMENT, "DESTDIR": str(destdir)}
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    words = (str(source / "install.sh"), *words)
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return os.readlink(path).encode()
    return path.read_bytes() if path.is_file() else b""


def look(root: Path) -> dict[str, Entry]:
    """Every file, link and directory below `root`."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(root))] = Entry(status.st_ino, status.st_mode, status.st_ctime_ns, _content(path))
    return found


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file and link, without the time stamps that compiled files carry."""
    return {
        name: (stat.S_IMODE(entry.mode), b"" if name.endswith(".pyc") else entry.content)
        for name, entry in look(root).items()
        if not stat.S_ISDIR(entry.mode)
    }


class Machine:
    """This machine's file system with an own /run and no network; what is written to it is kept below `place`."""

    def __init__(self, place: Path, source: Path) -> None:
        self.place, self.source = place, source
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)

    def run(self, script: str, before: str = "") -> Done:
        """Run a shell script in it, in /src, `source`; `before` is run first, with the root in $root."""
        root = self.place / "root"
        layers = f"lowerdir=/,upperdir={self.place}/upper,workdir={self.place}/work"
        lines = (
            "set -e; mount --make-rprivate /",
            f"root={shlex.quote(str(root))}; mount -t overlay -o {shlex.quote(layers)} machine $root",
            "for name in proc dev; do mount --rbind /$name $root/$name; done; mount -t tmpfs run $root/run",
            f"mkdir -p $root/src; mount --bind {shlex.quote(str(self.source))} $root/src",
            before,
            f"exec chroot $root sh -c {shlex.quote('cd /src && ' + script)}",
        )
        words = ["unshare", "--mount", "--net", "sh", "-c", "\n".join(lines)]
        return subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)

    def written(self, *without: str) -> list[str]:
        """What differs from this machine; directories that are no more than passed through are left out."""
        paths = [path for path in (self.place / "upper").rglob("*") if path.is_symlink() or not path.is_dir()]
        names = (str(path.relative_to(self.place / "upper")) for path in paths)
        return sorted(name for name in names if not name.startswith(without))
