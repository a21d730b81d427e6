"""What is set up for a link that is dialled: networkd's file for it, the unit that dials, pppd's peer, ModemManager."""

from __future__ import annotations

import os

from mwan_hook.dial import requests
from mwan_hook.machine import dropins, networkd, units
from mwan_hook.machine.unitfile import timespan
from mwan_hook.machine.values import DialUnit, LinkSetup
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HOLDS_ON, HOLDS_OFF = ("persist", "demand"), "nopersist"  # whether pppd dials again by itself
DEFAULT_TIMEOUT = 90.0  # systemd's, of a start
MODEM_TYPES = ("gsm", "cdma")  # NetworkManager's
PROXIES = ("usr/libexec/mbim-proxy", "usr/lib/mbim-proxy", "usr/libexec/libmbim/mbim-proxy")


def link(root: str, index: int) -> LinkSetup | None:
    """What networkd does with a link; None where it leaves it alone."""
    facts = networkd.link_facts(root, index)
    path = facts.get("NETWORK_FILE", "")
    if not path:
        return None
    base = os.path.basename(path)
    read = [under(root, path.lstrip("/")), *dropins.ordered(root, f"systemd/network/{base}.d")]
    found = {(one.section, one.key): one for one in dropins.entries(read)}
    keep, apn = found.get(("Network", "KeepConfiguration")), found.get(("MobileNetwork", "APN"))
    policy = facts.get("ACTIVATION_POLICY", "up")
    return LinkSetup(path, policy, keep.value if keep else "no", apn.place if apn and apn.value else "")


def unit(root: str, name: str) -> DialUnit:
    """The unit that dials, an instance of a template too."""
    name = requests.whole(name)
    stem, at, instance = name.removesuffix(".service").partition("@")
    template = f"{stem}@.service" if at else name
    found = units.unit(root, name, {})
    path = found.path or dropins.first(root, f"systemd/system/{template}")
    names = dict.fromkeys((template, name))
    read = [path, *(one for own in names for one in dropins.ordered(root, f"systemd/system/{own}.d"))] if path else []
    last: dict[str, str] = {}
    for one in dropins.entries(read):
        if one.section == "Service":
            last[one.key] = one.value
    command = last.get("ExecStart", "").replace("%i", instance).replace("%I", instance).split()
    return DialUnit(name, path, found.enabled, last.get("Restart", "no"), _timeout(last), _holds_on(root, command))


def _timeout(settings: dict[str, str]) -> float:
    """Seconds that a start may take; 0: for ever."""
    text = settings.get("TimeoutStartSec", settings.get("TimeoutSec", ""))
    try:
        return 0.0 if text == "infinity" else timespan(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        return DEFAULT_TIMEOUT


def _holds_on(root: str, command: Sequence[str]) -> str:
    """Where pppd is told to dial again by itself; empty where it is not.  What it reads last counts."""
    if not command or os.path.basename(command[0]) != "pppd":
        return ""
    peers = [f"peers/{command[at + 1]}" for at, word in enumerate(command[:-1]) if word == "call"]
    said = []
    for path in (under(root, f"etc/ppp/{name}") for name in ("options", *peers)):
        for number, line in enumerate(contents(path).splitlines(), 1):
            said += [(word, f"{path}:{number}") for word in line.partition("#")[0].split()]
    found = ""
    for word, place in (*said, *((word, "ExecStart=") for word in command)):
        if word in HOLDS_ON:
            found = place
        elif word == HOLDS_OFF:
            found = ""
    return found


def network_manager(root: str, interface: str, modem: bool) -> tuple[str, ...]:
    """Connections that NetworkManager makes by itself on an interface, or with any modem; none where it is not there.

    A modem's connection names the modem's control port, if anything.
    """
    if not dropins.first(root, "systemd/system/NetworkManager.service"):
        return ()
    found = []
    for path in dropins.ordered(root, "NetworkManager/system-connections", ".nmconnection"):
        keys = {one.key: one.value for one in dropins.entries([path]) if one.section == "connection"}
        mine = modem if keys.get("type") in MODEM_TYPES else keys.get("interface-name") == interface
        if mine and keys.get("autoconnect", "true").lower() not in ("false", "no", "0"):
            found.append(keys.get("id") or os.path.basename(path))
    return tuple(found)


def lacks(root: str) -> tuple[str, ...]:
    """What a mobile session by ModemManager wants and is not there."""
    there = bool(dropins.first(root, "systemd/system/ModemManager.service"))
    proxy = any(os.path.exists(under(root, path)) for path in PROXIES)
    return (*(() if there else ("ModemManager",)), *(() if proxy else ("libmbim-proxy",)))
