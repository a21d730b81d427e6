"""``.network`` files as systemd-networkd finds and reads them (systemd.network(5), systemd.syntax(7)).

From them we take ``[Match]``, ``[ConnectivityMonitord]`` and ``[ConnectivityMetric]``, the sections of
networkd-connectivity.  Names are case-sensitive, as all of systemd's.  A bad value is a warning.
"""

from __future__ import annotations

import os
import re
import shlex
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISREG

from mwan_hook.config.targets import parse
from mwan_hook.config.values import metric
from mwan_hook.machine.networkd import Network
from mwan_hook.machine.unitfile import Assignment, parse_file, timespan
from mwan_hook.store.files import under
from mwan_hook.verdict.rounds import METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

DIRECTORIES = tuple(f"{base}/systemd/network" for base in ("etc", "run", "usr/local/lib", "usr/lib", "lib"))
MONITOR = "ConnectivityMonitord"
METRIC = "ConnectivityMetric"
SUFFIX = ".network"

_MONITOR_KEYS = {"ProbeURL": "targets", "Interval": "interval", "Timeout": "timeout"}
_HYSTERESIS = {
    "hysteresisdelay": "hysteresis_delay",
    "hysteresisbackoff": "hysteresis_backoff",
    "HysteresisDelay": "hysteresis_delay",  # both spellings stand in networkd-connectivity's manual
    "HysteresisBackoff": "hysteresis_backoff",
}
_STATES = ("full", "portal", "limited", "none")


def read(root: str, look: Callable[[str], None]) -> tuple[list[Network], list[str]]:
    """Networks in networkd's order, up to the last one that concerns us, and warnings.

    ``look`` is told every path before it is read, so that a cache knows what it depends on.
    """
    warnings: list[str] = []
    found: list[Network] = []
    files, drop_ins = _search(root, look)
    for name in sorted(files):
        if _masked(files[name]):
            continue
        entries = [entry for path in (files[name], *drop_ins.get(name, ())) for entry in _entries(path, warnings)]
        found.append(_network(name, files[name], entries, warnings))
    while found and not found[-1].values:
        found.pop()
    return found, warnings


def _search(root: str, look: Callable[[str], None]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Paths of the files by name, the first directory's counts, and of the drop-ins in their order."""
    files: dict[str, str] = {}
    extra: dict[str, dict[str, str]] = {}
    known: set[tuple[int, int]] = set()
    for directory in DIRECTORIES:
        path = under(root, directory)
        for name in _list(path, look, known):
            inner = f"{path}/{name}"
            if name.endswith(SUFFIX):
                look(inner)
                files.setdefault(name, inner)
            elif name.endswith(SUFFIX + ".d"):
                for part in _list(inner, look, known):
                    if part.endswith(".conf"):
                        look(f"{inner}/{part}")
                        extra.setdefault(name[:-2], {}).setdefault(part, f"{inner}/{part}")
    ordered = {
        name: [parts[part] for part in sorted(parts) if not _masked(parts[part])] for name, parts in extra.items()
    }
    return files, ordered


def _list(path: str, look: Callable[[str], None], known: set[tuple[int, int]]) -> list[str]:
    """Sorted names in a directory; nothing where it is none, or one seen before (/lib is often /usr/lib)."""
    look(path)
    try:
        seen = os.stat(path)
        if not S_ISDIR(seen.st_mode) or (seen.st_dev, seen.st_ino) in known:
            return []
        known.add((seen.st_dev, seen.st_ino))
        return sorted(os.listdir(path))
    except OSError:
        return []


def _masked(path: str) -> bool:
    """Empty, a link to /dev/null, or nothing that can be read as a file."""
    try:
        seen = os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # said when it is read
    device = S_ISCHR(seen.st_mode) or S_ISBLK(seen.st_mode)
    return device or not S_ISREG(seen.st_mode) or seen.st_size == 0


def _entries(path: str, warnings: list[str]) -> list[Assignment]:
    """The assignments of a file; what concerns us and is mistyped is a warning."""
    try:
        entries, odd = parse_file(path)
    except OSError as error:
        warnings.append(f"{path}: cannot be read: {error.strerror}")
        return []
    for entry in odd:
        if entry.section in (MONITOR, METRIC):
            warnings.append(f"{entry.place}: [{entry.section}] {entry.value}: expected KEY=VALUE")
    for entry in entries:
        for ours in (MONITOR, METRIC):
            if entry.section != ours and entry.section.lower() == ours.lower():
                warnings.append(f"{entry.place}: ignored: the section is spelled [{ours}], not [{entry.section}]")
    return entries


def _network(name: str, path: str, entries: Sequence[Assignment], warnings: list[str]) -> Network:
    match: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for entry in entries:
        if entry.section == "Match":
            _add_match(match, entry)
        elif entry.section in (MONITOR, METRIC):
            try:
                for key, value in _values(entry, values).items():
                    values[key] = value
                    places[f"metrics.{entry.key}" if key == "metrics" else key] = entry.place
            except ValueError as error:
                warnings.append(f"{entry.place}: [{entry.section}] {entry.key}={entry.value}: ignored: {error}")
    kept = {key: value for key, value in values.items() if value is not None}
    if "targets" in kept:
        kept.update(portal_targets=[], required=1)
        places.update(portal_targets=places["targets"], required=places["targets"])
    return Network(name, path, {key: words for key, words in match.items() if words}, kept, places)


def _values(entry: Assignment, before: dict[str, Any]) -> dict[str, Any]:
    """What one assignment sets, in the words of mwan-hook.conf; None is back to nothing.  ValueError."""
    key, text = entry.key, entry.value
    if entry.section == MONITOR and key in _MONITOR_KEYS:
        if key == "ProbeURL":
            return {"targets": [*(before.get("targets") or ()), _web(text)] if text else None}
        return {_MONITOR_KEYS[key]: _positive(text) if text else None}
    if entry.section == METRIC and key in _HYSTERESIS:
        return {_HYSTERESIS[key]: timespan(text) if text else None}
    if entry.section == METRIC and key in _STATES:
        metrics = dict(before.get("metrics") or {})
        metrics.pop(key, None)
        return {"metrics": metrics | {key: metric(text)} if text else metrics or None}
    known = _MONITOR_KEYS if entry.section == MONITOR else (*_STATES, *_HYSTERESIS)
    raise ValueError(f"expected one of {', '.join(known)} (upper and lower case count)")


def _web(text: str) -> str:
    if not METHODS[parse(text).method].portal:
        raise ValueError("expected an http:// or https:// URL")
    return text


def _positive(text: str) -> float:
    found = timespan(text)
    if found <= 0:
        raise ValueError("expected a time span of more than 0")
    return found


def _add_match(match: dict[str, list[str]], entry: Assignment) -> None:
    """An empty assignment clears; a leading ``!`` inverts every word of its list; MAC addresses in one form."""
    if not entry.value:
        match.pop(entry.key, None)
        return
    invert = "!" if entry.value.startswith("!") else ""
    try:
        words = shlex.split(entry.value.removeprefix("!"))
    except ValueError:
        words = entry.value.removeprefix("!").split()
    if entry.key.endswith("MACAddress"):
        words = [_mac(word) for word in words]
    match.setdefault(entry.key, []).extend(invert + word for word in words)


def _mac(text: str) -> str:
    digits = re.sub("[^0-9a-f]", "", text.lower())
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
