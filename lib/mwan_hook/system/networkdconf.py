"""Whether systemd-networkd would take out nexthop objects that it has not made."""

from __future__ import annotations

import os

from mwan_hook.store.files import under
from mwan_hook.system.unitfile import parse_file

_PLACES = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd", "lib/systemd")  # the first counts
_RUNS = "run/systemd/netif/state"  # only the daemon itself writes it
_UNITS = "etc/systemd/system"
_STARTED_BY = ("multi-user.target.wants/systemd-networkd.service", "dbus-org.freedesktop.network1.service")
_SINCE = 256  # of systemd: before, there is no such setting
_NO = ("no", "n", "false", "f", "off", "0")


def spares_nexthops(root: str) -> bool:
    """True where networkd neither runs nor is enabled, or is told to leave foreign ones alone and knows how."""
    if not any(os.path.lexists(under(root, path)) for path in (_RUNS, *(f"{_UNITS}/{unit}" for unit in _STARTED_BY))):
        return True
    return setting(root, "ManageForeignNextHops").lower() in _NO and version() >= _SINCE


def setting(root: str, key: str) -> str:
    """The last word of networkd.conf and its drop-ins on a key of ``[Network]``; empty where none says any."""
    said = ""
    for path in _files(root):
        try:
            entries, _ = parse_file(path)
        except OSError:
            continue
        said = next((e.value for e in reversed(entries) if (e.section, e.key) == ("Network", key)), said)
    return said


def _files(root: str) -> list[str]:
    """networkd.conf, then the drop-ins by name; of one name the first place counts."""
    places = [under(root, place) for place in _PLACES]
    main = [path for path in (f"{place}/networkd.conf" for place in places) if os.path.exists(path)]
    found: dict[str, str] = {}
    for place in places:
        try:
            names = os.listdir(f"{place}/networkd.conf.d")
        except OSError:
            continue
        for name in names:
            if name.endswith(".conf"):
                found.setdefault(name, f"{place}/networkd.conf.d/{name}")
    return [*main[:1], *(found[name] for name in sorted(found))]


def version() -> int:
    """systemd's; 0 where it cannot be told."""
    import subprocess

    try:
        words = subprocess.run(
            ("systemctl", "--version"), stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        ).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = words[1].decode(errors="replace") if len(words) > 1 else ""
    digits = number[: next((at for at, sign in enumerate(number) if not sign.isdigit()), len(number))]
    return int(digits) if digits else 0
