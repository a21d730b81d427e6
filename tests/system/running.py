"""A bed with mwan-hook in it, as after a reboot of a machine where it was installed; and what tests ask of it."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import time
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from tests.lab.process import run
from tests.lab.router import PROJECT
from tests.system.beds import Container, Files, Link, rootfs
from tests.system.beds.cache import alone
from tests.system.beds.nspawn import script
from tests.system.beds.world import World

PROGRAM = "/usr/lib/mwan-hook"
SHARED = "MWAN_TEST_LAID_OUT"  # of the environment: a directory of all workers of a run
TRIGGERS = {
    "mwan-hook-check.timer": "timers",
    "mwan-hook-event.path": "paths",
    "mwan-hook-netlink.socket": "sockets",
    "mwan-hook-chores.path": "paths",
    "mwan-hook-boot.service": "multi-user",
}
TELLERS = dict.fromkeys(("mwan-hook-hooks.path", "mwan-hook-notify.path"), "paths")  # which start no run
SERVICES = ("mwan-hook-check", "mwan-hook-event", "mwan-hook-netlink", "mwan-hook-boot")
# systemd's own words on starts, which the services' LogLevelMax= keeps out of the journal
TOLD: Files = {"etc/systemd/system/mwan-hook-.service.d/90-told.conf": "[Service]\nLogLevelMax=info\n"}
# who is renumbered, pulled or cut again and again would be held offline for three minutes
NO_HOLD: Files = {"etc/mwan-hook/mwan-hook.conf": "[probe]\nhysteresis_delay = 0\n"}
STARTING = "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"
ROUTER = (
    "sysctl -qw net.ipv4.ip_forward=1; nft add table ip nat; "
    "nft add chain ip nat out '{ type nat hook postrouting priority srcnat; }'; "
    "nft add rule ip nat out oifname != lan0 masquerade"
)


# $1 where it is, $2 root directory of the Debian that will run it
COMPILE = f"""
mount --bind "$1{PROGRAM}" "$2/mnt"
exec chroot "$2" /usr/bin/python3 -I -m compileall -q -s /mnt -p {PROGRAM} /mnt
"""


@functools.cache
def laid_out(debian: str) -> Path:
    """Where install.sh with DESTDIR has put everything, compiled by the Python of a Debian.

    A bed cannot write to it: without bytecode of its own Python each start of the program would compile all of it.
    """
    image = rootfs.image(debian)
    place = Path(os.environ[SHARED]) / image.name
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            work = place.with_suffix(".new")
            run([str(PROJECT / "install.sh"), "--no-start"], env={"DESTDIR": str(work)}, timeout=300)
            alone(script(COMPILE, str(work), str(image)))
            work.rename(place)
    return place


def program() -> dict[str, str]:
    """The program for a bed's `binds`: with the times of its files, so that the compiled ones are believed."""
    return {str(laid_out(rootfs.suite())) + PROGRAM: PROGRAM}


def units() -> Files:
    """Everything but the program for a bed's `files`, and what is enabled."""
    root = laid_out(rootfs.suite())
    paths = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    outside = [path for path in paths if not path.is_relative_to(f"{root}{PROGRAM}")]
    files = {str(path.relative_to(root)): _content(path) for path in outside}
    wanted = {f"etc/systemd/system/{by}.target.wants/{unit}": unit for unit, by in {**TRIGGERS, **TELLERS}.items()}
    return {**files, **TOLD, **{path: Link(f"/lib/systemd/system/{unit}") for path, unit in wanted.items()}}


def _content(path: Path) -> bytes | Link:
    return Link(str(path.readlink())) if path.is_symlink() else path.read_bytes()


# ---------------------------------------------------------------- asking


def clock() -> float:
    """The journal's time in a container."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def starts(bed: World, since: float = 0.0) -> dict[str, list[float]]:
    """When each service of ours was started since then, by its name without suffix."""
    words = ["journalctl", "-b", "-q", "--no-pager", "-o", "json", STARTING]
    found: dict[str, list[float]] = {name: [] for name in SERVICES}
    for entry in map(json.loads, bed.run(*words).stdout.splitlines()):
        name, at = entry.get("UNIT", "").removesuffix(".service"), int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
        if name in found and at > since:
            found[name].append(at)
    return found


def told(bed: World) -> list[dict[str, Any]]:
    """Each uplink of `mwan-hook status` by hand."""
    return list(json.loads(bed.run("mwan-hook", "status", "--json").stdout)["uplinks"].values())


class Answer(NamedTuple):
    """What the program said of a state, and how long that is believed."""

    saved: tuple[int, int]
    until: float
    uplinks: list[dict[str, Any]]


_ANSWERS: WeakKeyDictionary[Container, Answer] = WeakKeyDictionary()


def _saved(bed: Container) -> tuple[int, int]:
    """Which state is there, seen from outside: it costs no process."""
    try:
        found = Path(f"/proc/{bed.pid}/root/run/mwan-hook/state.json").stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def verdicts(bed: World, family: str = "ipv4") -> dict[str, str]:
    """Interface -> online, offline or disabled."""
    return {uplink["interface"]: uplink[family]["status"] for uplink in told(bed)}


def online(bed: Container, *interfaces: str) -> bool:
    """These and no others are online in both families.

    It is asked again and again: the program is started once for both, and while no run saves anything once a second.
    """
    saved, now = _saved(bed), time.monotonic()
    if (known := _ANSWERS.get(bed)) and known.saved == saved and now < known.until:
        uplinks = known.uplinks
    else:
        uplinks = told(bed)
        _ANSWERS[bed] = Answer(saved, now + 1, uplinks)
    return all(
        {uplink["interface"] for uplink in uplinks if uplink[family]["status"] == "online"} == set(interfaces)
        for family in ("ipv4", "ipv6")
    )


def ours(bed: World) -> list[str]:
    """Every rule and route of ours, one a line, but IPv6 expiry times."""
    script = "for f in 4 6; do ip -N -$f rule show; ip -N -o -$f route show table all; done"
    lines = [re.sub(r" expires \S+", "", line) for line in bed.sh(script).splitlines()]
    return sorted(" ".join(line.split()) for line in lines if " proto 172" in line)


def settled(bed: World) -> bool:
    """A run would change nothing."""
    done = bed.run("mwan-hook", "plan", check=False)
    return done.returncode == 0 and not done.stdout


def shared(bed: World, family: int = 4) -> str:
    """The shared default's routes."""
    return bed.sh(f"ip -N -{family} route show table 1000", check=False)


def stop_ours(bed: World) -> None:
    """Stop all that starts runs, and wait for the last one."""
    bed.run("systemctl", "stop", *TRIGGERS, *(f"{name}.service" for name in SERVICES))


def start_ours(bed: World) -> None:
    """Start it all again."""
    bed.run("systemctl", "start", *TRIGGERS)


def unwell(bed: World) -> list[str]:
    """What a healthy bed has none of: failed units, triggers that do not wait, warnings of ours in the journal."""
    failed = bed.sh("systemctl list-units --failed --plain --no-legend").splitlines()
    states = zip(TRIGGERS, bed.run("systemctl", "is-active", *TRIGGERS, check=False).stdout.split(), strict=True)
    idle = [f"{unit} is {state}" for unit, state in states if state != "active"]
    return [*failed, *idle, *bed.journal("-p", "warning", "-u", "mwan-hook*")]
