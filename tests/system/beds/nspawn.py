"""How a container is started by systemd-nspawn: its file system, its place, its first process.

Traps are named where they are stepped over.  They were met with systemd 252.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.system.beds.rootfs import HOST

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = (f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb")

# $1 image, $2 changes to it, $3 where to put it all, $4 told when ready, rest: paths to take away.
# The overlay stands in this process's own mount namespace: it outlives a reboot, and is gone when the process is.
# What nspawn keeps in /run/systemd/nspawn would be the host's.
KEEPER = """
image=$1 changes=$2 top=$3 ready=$4
shift 4
mkdir -p /run/systemd/nspawn
mount -t tmpfs bed /run/systemd/nspawn
mount -t tmpfs -o mode=755 bed "$top"
mkdir "$top/upper" "$top/work" "$top/root"
cp -a "$changes/." "$top/upper"
chown -R 0:0 "$top/upper"
mount -t overlay -o "lowerdir=$image,upperdir=$top/upper,workdir=$top/work" bed "$top/root"
for path in "$@"; do rm "$top/root/$path"; done
: >"$ready"
exec sleep infinity
"""

# $1 a number, that many control groups to be in, rest: command.
JOIN = """
count=$1
shift
while [ "$count" -gt 0 ]; do echo $$ >"$1/cgroup.procs"; shift; count=$((count - 1)); done
exec "$@"
"""

# Inside, before systemd.  Not nspawn --boot: systemd listens to udev (.device units, SYSTEMD_WANTS=) only if udev's
# socket is there when it starts, or /dev is a devtmpfs.  Of /proc/sys only net/ is the container's own; all else is
# the host's, and systemd-sysctl would write to it.  systemd would live on when nspawn is killed.
FIRST = """
mkdir -p /run/udev /run/net
: >/run/udev/control
mount --make-rprivate /proc
mount --bind /proc/sys/net /run/net
mount --rbind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /run/net /proc/sys/net
umount /run/net
rmdir /run/net
mount --make-rshared /proc
exec setpriv --pdeathsig KILL /lib/systemd/systemd
"""


def script(text: str, *words: str) -> list[str]:
    """The command line of one of the scripts above."""
    return ["sh", "-euc", text, "sh", *words]


def keeper(image: Path, changes: Path, top: Path, ready: Path, removed: Sequence[str]) -> list[str]:
    """The process that holds the container's file system at TOP/root.

    `slave`: a network namespace that is taken away outside must not live on here.
    """
    words = [str(path) for path in (image, changes, top, ready)]
    return ["unshare", "--mount", "--propagation", "slave", *script(KEEPER, *words, *removed)]


def groups(tag: str, number: int) -> list[Path]:
    """Control groups that the container needs made for it.

    nspawn asks systemd for them; where there is none outside, it divides those that it is in (--keep-unit), and two
    containers in one would meet.
    """
    if Path("/run/systemd/system").is_dir():
        return []
    tops = [Path("/sys/fs/cgroup", name) for name in ("systemd", "unified", "")]
    return [top / f"{tag}-{number}" for top in tops if (top / "cgroup.procs").exists()]


def container(tag: str, top: Path, binds: Mapping[str, str], places: Sequence[Path], pid: int, netns: str) -> list[str]:
    """The command line that boots: `pid` is the keeper's, `places` are the control groups.

    SYSTEMD_NSPAWN_API_VFS_WRITABLE gives udevd a /sys to write to, which shows the devices of the network namespace
    that nspawn itself is in: so it is started inside.
    """
    command = [
        *("env", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=1", "systemd-nspawn", "-q", "--register=no", "--console=pipe"),
        *(["--keep-unit"] if places else []),
        *("-M", tag, "--network-namespace-path=/proc/self/ns/net", "-D", str(top / "root"), "--capability=all"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no", f"--hostname={HOST}"),
        *(f"--bind-ro={outside}:{inside}" for outside, inside in binds.items()),
        *("/bin/sh", "-euc", FIRST),
    ]
    joined = script(JOIN, str(len(places)), *map(str, places), *command)
    return ["nsenter", f"--net=/run/netns/{netns}", f"--mount=/proc/{pid}/ns/mnt", "--", *joined]


def enter(pid: int, words: Sequence[str]) -> list[str]:
    """The command line that runs `words` beside the container's first process."""
    every = ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
    return [*every, "env", "-i", *ENVIRONMENT, *words]


def first_process(pid: int) -> int:
    """The container's systemd, once it can be talked to, below the nspawn process; 0 until then."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text().splitlines()
            numbers = next(line.split() for line in status if line.startswith("NSpid:"))
            if numbers[-1] == "1" and Path(f"/proc/{child}/root/run/systemd/private").exists():
                return int(child)
    except FileNotFoundError:
        pass
    return 0
