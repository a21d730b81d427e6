"""Which units are there, enabled and active; where our files and links are.  systemctl(1) is asked about the live
system only; below another root the files tell."""

from __future__ import annotations

import os
import re

from mwan_hook.machine import dropins, programs
from mwan_hook.machine.unitfile import parse_file
from mwan_hook.machine.values import DISPATCHER, STATES, Installed, Networkd, Unit
from mwan_hook.store.files import under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORKD = "systemd-networkd.service"
USER = "mwan-hook"
RULE = "udev/rules.d/90-mwan-hook.rules"
LINKS = ("etc/networkd-dispatcher", "usr/lib/networkd-dispatcher")
TIMEOUT = 10


def live(root: str) -> bool:
    """Whether systemd of this machine is what is looked at."""
    return os.path.realpath(root) == "/" and os.path.isdir("/run/systemd/system")


def active(root: str, names: Sequence[str]) -> dict[str, bool]:
    """Whether each unit is active, as far as systemd says so."""
    if not live(root):
        return {}
    listing = programs.run(("systemctl", "show", "--property=Id,ActiveState", *names), TIMEOUT).output
    return {name: one for name, one in states(listing).items() if name in names}


def states(listing: str) -> dict[str, bool]:
    """States in what ``systemctl show`` prints: a block of properties for each unit, a blank line between two."""
    blocks = (dict(line.partition("=")[::2] for line in block.splitlines()) for block in listing.split("\n\n"))
    found = {block.get("Id", ""): block.get("ActiveState", "") for block in blocks}
    return {name: state in ("active", "activating", "reloading") for name, state in found.items() if name and state}


def unit(root: str, name: str, running: dict[str, bool]) -> Unit:
    """One unit."""
    path = dropins.first(root, f"systemd/system/{name}")
    gone = bool(path) and dropins.masked(path)
    return Unit(name, path, dropins.wanted(root, name), gone, running.get(name))


def installed(root: str, channels: frozenset[str], names: Sequence[str]) -> Installed:
    """Units of these names, and all else that starts a run."""
    running = active(root, (*names, NETWORKD, DISPATCHER))
    spooler = _spooler(root)
    links = "usr/lib/networkd-dispatcher" if spooler.startswith("/usr/lib/") else "etc/networkd-dispatcher"
    rule = dropins.first(root, RULE)
    return Installed(
        systemd=runs(root),
        units=tuple(unit(root, name, running) for name in names),
        channels=channels,
        spooler=spooler,
        udev_rule="" if not rule or dropins.masked(rule) else rule,
        networkd=networkd_used(root, running),
        dispatcher=unit(root, DISPATCHER, running),
        dispatcher_links=f"/{links}",
        linked=_linked(root),
        user=_user(root),
    )


def _user(root: str) -> bool:
    """Whether the services' user is known; one of a system that does not run is made at its boot."""
    import pwd

    try:
        return not live(root) or bool(pwd.getpwnam(USER))
    except KeyError:
        return False


def runs(root: str) -> bool:
    """Whether systemd runs here, or will in the system below another root."""
    if os.path.realpath(root) == "/":
        return live(root)
    tops = ("usr/lib", "lib", f"{dropins.NIXOS}/lib")
    places = ("run/systemd/system", "usr/lib/systemd/system", *(f"{top}/systemd/systemd" for top in tops))
    return any(os.path.exists(under(root, place)) for place in places)


def _spooler(root: str) -> str:
    """Where the installer has put it: beside the program that the units start."""
    service = dropins.first(root, "systemd/system/mwan-hook-check.service")
    try:
        entries = parse_file(service)[0] if service else []
    except OSError:
        entries = []
    for entry in entries:
        program = entry.value.split()[0].lstrip("-+!:@") if entry.key == "ExecStart" and entry.value else ""
        if program.endswith("/sbin/mwan-hook"):
            return f"{program.removesuffix('/sbin/mwan-hook')}/lib/mwan-hook/spool-event"
    return ""


def _linked(root: str) -> frozenset[str]:
    """States of which networkd-dispatcher tells us.

    Where its unit names a directory of scripts (NixOS), that one was made whole: one link of ours is as good as all.
    """
    own = frozenset(state for state in STATES if any(_has_link(under(root, place), state) for place in LINKS))
    named = any(_has_link(place, state) for place in _script_directories(root) for state in STATES)
    return frozenset(STATES) if named else own


def _has_link(directory: str, state: str) -> bool:
    return os.path.lexists(f"{directory}/{state}.d/50-mwan-hook")


def _script_directories(root: str) -> list[str]:
    """What follows ``--script-dir`` in the dispatcher's unit and in the drop-ins of it."""
    path = f"systemd/system/{DISPATCHER}"
    places = [place for place in (dropins.first(root, path), *dropins.ordered(root, f"{path}.d")) if place]
    said = " ".join(entry.value for entry in dropins.entries(places))
    return re.findall(r"--script-dir[=\s'\"]+([^\s'\"]+)", said)


def networkd_used(root: str, running: dict[str, bool]) -> bool:
    """Whether it runs, has run in this boot (its files are kept), or will at the next one."""
    ran = any(os.path.exists(under(root, f"run/systemd/netif/{name}")) for name in ("state", "links/1"))
    if running.get(NETWORKD) or ran or os.path.lexists(_invocation(root)):
        return True
    return dropins.wanted(root, NETWORKD) and not dropins.masked(dropins.first(root, f"systemd/system/{NETWORKD}"))


def networkd(root: str) -> Networkd | None:
    """How networkd is set up; None where it is not used."""
    if not networkd_used(root, active(root, (NETWORKD,))):
        return None
    version = dropins.systemd_version(root)
    try:
        since = os.lstat(_invocation(root)).st_mtime
    except OSError:
        since = None
    return Networkd(version, dropins.networkd_settings(root, version), since)


def _invocation(root: str) -> str:
    """A link that systemd makes anew whenever it starts a service, and takes away when that has ended."""
    return under(root, f"run/systemd/units/invocation:{NETWORKD}")
