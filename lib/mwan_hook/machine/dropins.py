"""Settings of systemd's programs: a main file and drop-ins, found and ordered as they do it (systemd.syntax(7))."""

from __future__ import annotations

import os
import re

from mwan_hook.light import glob
from mwan_hook.machine.unitfile import parse_file
from mwan_hook.machine.values import KEYS, Setting, WaitOnline
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.machine.unitfile import Assignment

TOPS = ("etc", "run", "usr/local/lib", "usr/lib", "lib")  # a name in an earlier one masks it in the later ones
MAIN_ANYWHERE = 256  # before this systemd read its main file in /etc only
WAIT = "systemd-networkd-wait-online.service"
NIXOS = "run/current-system/systemd"  # where it has systemd
GENERATED = "run/systemd/generator"


def ordered(root: str, directory: str, suffix: str = ".conf", extra: str = "") -> list[str]:
    """Paths of drop-ins in the order in which they are read: the last one counts.

    ``extra``: a place behind the first two.
    """
    found: dict[str, str] = {}
    places = [f"{top}/{directory}" for top in TOPS]
    for place in (*places[:2], *([extra] if extra else []), *places[2:]):
        path = under(root, place)
        for name in _names(path):
            if name.endswith(suffix):
                found.setdefault(name, f"{path}/{name}")
    return [found[name] for name in sorted(found)]


def first(root: str, path: str, tops: Sequence[str] = TOPS) -> str:
    """The file of a name that counts; empty if there is none."""
    return next((under(root, f"{top}/{path}") for top in tops if os.path.lexists(under(root, f"{top}/{path}"))), "")


def masked(path: str) -> bool:
    """Empty, or a link to nothing."""
    try:
        return os.path.realpath(path) == "/dev/null" or os.stat(path).st_size == 0
    except OSError:
        return True


def entries(paths: Iterable[str]) -> Iterator[Assignment]:
    """All assignments in order.  What may not be read is as if it were not there: networkd cannot read it either."""
    for path in paths:
        try:
            yield from parse_file(path)[0]
        except OSError:
            continue


def networkd_settings(root: str, version: int) -> dict[str, tuple[Setting, ...]]:
    """Each ``ManageForeign*=``, in the order that networkd reads them."""
    tops = TOPS[:1] if version and version < MAIN_ANYWHERE else TOPS
    main = first(root, "systemd/networkd.conf", tops)
    found: dict[str, tuple[Setting, ...]] = {}
    known = {key for key, *_ in KEYS}
    for entry in entries([*([main] if main else []), *ordered(root, "systemd/networkd.conf.d")]):
        if entry.section == "Network" and entry.key in known:
            path = entry.place.rpartition(":")[0]
            one = Setting(entry.value, entry.place, _came(path))
            found[entry.key] = (*found.get(entry.key, ()), one)
    return found


def _came(path: str) -> float:
    """When it came to be what it is; a package keeps the time of its making, so its own time says nothing."""
    try:
        seen = os.stat(path)
    except OSError:
        return 0.0
    return max(seen.st_mtime, seen.st_ctime)


def systemd_version(root: str) -> int:
    """The version in the name of systemd's library, which every version has; 0 if there is none."""
    for directory in ("usr/lib/systemd", "lib/systemd", "usr/lib", "usr/lib64/systemd", f"{NIXOS}/lib/systemd"):
        top = under(root, directory)
        for place in (top, *(f"{top}/{name}/systemd" for name in _names(top) if "-linux-" in name)):
            for name in _names(place):
                version = re.fullmatch(r"libsystemd-shared-(\d+)\S*\.so", name)
                if version:
                    return int(version[1])
    return 0


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def wait_online(root: str, required: tuple[str, ...]) -> WaitOnline | None:
    """What a boot starts to wait for the network; None if it does not."""
    unit = first(root, f"systemd/system/{WAIT}")
    if not unit or masked(unit) or not wanted(root, WAIT):
        return None
    commands: list[tuple[str, ...]] = []
    place = unit
    for entry in entries([unit, *ordered(root, f"systemd/system/{WAIT}.d", extra=f"{GENERATED}/{WAIT}.d")]):
        if (entry.section, entry.key) == ("Service", "ExecStart"):
            command, place = tuple(entry.value.lstrip("-+!:@").split()), entry.place
            commands = [*commands, command] if command else []  # an empty one takes all before it back
    return WaitOnline(tuple(commands), place, required)


def wanted(root: str, unit: str) -> bool:
    """Whether another unit pulls it in."""
    for top in TOPS:
        base = under(root, f"{top}/systemd/system")
        for name in _names(base):
            if name.endswith((".wants", ".requires", ".upholds")) and os.path.lexists(f"{base}/{name}/{unit}"):
                return True
    return False


def sysctl_places(root: str, keys: Iterable[str]) -> dict[str, str]:
    """``FILE:LINE`` of the last line that sets a key; sysctl.d(5) knows globs, too, which exact names precede."""
    exact: dict[str, str] = {}
    globs: list[tuple[str, str]] = []
    for path in ordered(root, "sysctl.d"):
        for number, key in _sysctl_keys(path):
            if set(key) & set("*?["):
                globs.append((key, f"{path}:{number}"))
            else:
                exact[key] = f"{path}:{number}"
    found = {}
    for key in keys:
        place = next((place for pattern, place in reversed(globs) if glob(pattern, key)), "")
        if exact.get(key) or place:
            found[key] = exact.get(key) or place
    return found


def _sysctl_keys(path: str) -> Iterator[tuple[int, str]]:
    """Keys with slashes.  The first separator tells which of the two it is; the other one is a letter then."""
    for number, line in enumerate(contents(path).splitlines(), 1):
        key, equals, _ = line.strip().partition("=")
        key = key.strip().removeprefix("-")
        if not equals or line.lstrip().startswith(("#", ";")):
            continue
        dots = "." in key and ("/" not in key or key.index(".") < key.index("/"))
        yield number, key.translate(str.maketrans("./", "/.")) if dots else key
