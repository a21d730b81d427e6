"""``mwan-hook track``: is a way out online?  For keepalived's ``vrrp_script``, every second or two, for ever.

So it is the cheapest command: it reads the state file, asks the kernel about the devices of uplinks that are said to
be online, and imports neither the model nor ``json`` (which brings ``re``): each costs half as much as Python itself.
What it knows of the state file is held against the store by a test.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import sys
import time

from mwan_hook import plainjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

STATE = "run/mwan-hook/state.json"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
VERSION = 1
FAMILIES: tuple[str, ...] = ("ipv4", "ipv6")
LATE = 180.0  # seconds after a probe was due: probing has ended, and the verdict is old news
_SIOCGIFNAME, _SIOCGIFFLAGS = 0x8910, 0x8913
_IFF_UP, _IFF_RUNNING = 0x1, 0x40


def quick(root: str, words: Sequence[str]) -> int | None:
    """``[UPLINK...] [--family FAMILY]`` without argparse; None for what that should see."""
    rest, families = list(words), FAMILIES
    if "--family" in rest[:-1]:
        at = rest.index("--family")
        families = tuple(one for one in families if one == rest[at + 1])
        del rest[at : at + 2]
    if not families or any(word.startswith("-") for word in rest):
        return None
    return run(root, rest, families)


def run(root: str, names: Sequence[str], families: Sequence[str]) -> int:
    """0 while any of the uplinks named, or any at all, is online in one of the families; else 1, and why on stderr."""
    path = os.path.join(root or "/", STATE)
    try:
        state = _state(path)
        uplinks: dict[str, Any] = state.get("uplinks", {})
        strangers = [name for name in names if not any(_means([name], *known) for known in uplinks.items())]
        meant = {name: uplink for name, uplink in uplinks.items() if not names or _means(names, name, uplink)}
        doubts = _doubts(meant, families, state.get("saved_at", 0.0))
    except FileNotFoundError:
        return _offline([f"there is no {path}: no run of mwan-hook in this boot"])
    except (OSError, AttributeError, OverflowError, TypeError, ValueError, RecursionError) as error:
        return _offline([f"{path} cannot be used: {error}"])
    if strangers:
        _refuse(root, strangers)
    if doubts is None:
        return 0
    return _offline(doubts or [f"not online: {', '.join(names)}" if names else "nothing is online"])


def _offline(reasons: Iterable[str]) -> int:
    from mwan_hook.say import complain

    complain(reasons)
    return 1


def _state(path: str) -> dict[str, Any]:
    """The state file of this boot.  It is only looked at: a bad one is for the next run to set aside."""
    with open(path, "rb") as file:
        state: dict[str, Any] = plainjson.loads(file.read())
    if state.get("version") != VERSION:
        raise ValueError(f"it is of version {state.get('version')}, this program knows {VERSION}")
    with open(BOOT_ID, "rb") as file:
        if state.get("boot_id") != file.read().decode().strip():
            raise ValueError("it is of another boot")
    return state


def _means(names: Sequence[str], name: str, uplink: Mapping[str, Any]) -> bool:
    """Whether an uplink goes by one of these: its name, its template's or its interface's."""
    return name in names or name.partition("@")[0] in names or uplink.get("interface") in names


def _doubts(uplinks: Mapping[str, Any], families: Sequence[str], saved_at: float) -> list[str] | None:
    """None if an uplink is online; else what speaks against those that the last run found online."""
    found: list[str] = []
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    for name, uplink in uplinks.items():
        for family in families:
            memory: Mapping[str, Any] = uplink.get(family, {})
            if memory.get("status") == "online":
                doubt = _overdue(memory, saved_at, now) or _fault(uplink.get("index", 0))
                if not doubt:
                    return None
                found.append(f"{name} was online by {family}, but {doubt}")
    return found


def _overdue(memory: Mapping[str, Any], saved_at: float, now: float) -> str:
    """Words if no run has probed it for long; what the facts alone judge is never probed."""
    due = memory.get("next_probe_at", saved_at)
    late = now - (saved_at if due is None else due)
    if late <= LATE or memory.get("by_facts"):
        return ""
    return f"was to be probed {late:.0f} s ago: does the timer run?"


def _fault(index: int) -> str:
    """What has happened to the device since the last run.  Asked of the kernel, not of /sys, which may show another
    network namespace's."""
    kernel = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    request = bytearray(40)  # struct ifreq
    request[16:20] = index.to_bytes(4, sys.byteorder)
    try:
        fcntl.ioctl(kernel, _SIOCGIFNAME, request)
        request[16:] = bytes(24)
        fcntl.ioctl(kernel, _SIOCGIFFLAGS, request)
    except OSError:
        return "its interface is gone"
    finally:
        kernel.close()
    flags = int.from_bytes(request[16:18], sys.byteorder)
    return "" if flags & _IFF_UP and flags & _IFF_RUNNING else "its interface is down or without carrier"


def _refuse(root: str, strangers: Sequence[str]) -> None:
    """Raise UsageError for names that the configuration does not know either.

    One that it knows is a template's that nothing was plugged in for.  A bad configuration changes nothing: it must
    not make a router give up its address.
    """
    from mwan_hook import config
    from mwan_hook.model import MwanError, UsageError
    from mwan_hook.say import complain

    try:
        known = [entry.name for entry in config.look(root).config.uplinks]
    except MwanError as error:
        complain(str(error).splitlines())
        return
    for name in strangers:
        if name not in known:
            raise UsageError(f"no uplink is called {name}; configured are: {', '.join(known) or 'none'}")
