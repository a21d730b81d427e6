"""Doctor: what systemd-networkd does to routes and rules of others, and what its wait-online waits for.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mwan_hook.doctor.finding import NAME, NETWORKD, NOTE, PROBLEM, WAIT_ONLINE, WARNING, Finding, Fix
from mwan_hook.machine.values import KEYS, Networkd, Setting, WaitOnline, effective
from mwan_hook.phrases import listed

RESTART = "systemctl restart systemd-networkd"


def check(networkd: Networkd, own_nexthops: bool) -> Iterator[Finding]:
    """Whether it leaves what is ours alone.  ``own_nexthops``: the kernel holds nexthop objects of ours."""
    waiting: dict[str, Setting] = {}
    for key, code, things, since in KEYS:
        if networkd.version and networkd.version < since:
            if key != "ManageForeignNextHops":
                yield _too_old(networkd.version, key, code, things, since)
            continue
        if not networkd.version and key == "ManageForeignNextHops":
            continue
        value, by, ignored = effective(networkd.settings.get(key, ()))
        if value:
            severity = PROBLEM
            if key == "ManageForeignNextHops":
                severity = WARNING if own_nexthops else NOTE
            yield Finding(code, severity, "systemd-networkd", _seen(key, by, ignored), _breaks(things), _fix(key, by))
        elif by and networkd.since is not None and by.changed > networkd.since:
            waiting[key] = by
    if waiting:
        yield _restart(waiting)


def _seen(key: str, by: Setting | None, ignored: Setting | None) -> str:
    words = f"{key}={by.value} in {by.place}" if by else f"{key}=yes: the default, no file sets it"
    return words + (f" ({ignored.place} says {ignored.value or 'nothing'!r}, which is ignored)" if ignored else "")


def _breaks(things: str) -> str:
    return (
        f"when networkd is restarted, or a file of its changes, it takes out {things} that it did not make, ours too; "
        "uplinks stand still until the next run puts them back"
    )


def _fix(key: str, by: Setting | None) -> Fix:
    name = by.place.rpartition(":")[0].rpartition("/")[2] if by else ""
    if name > NAME:
        return Fix(commands=(RESTART,), words=f"write {key}=no in {by.place if by else ''}: no drop-in comes after it")
    return Fix(path=NETWORKD, section="[Network]", lines=(f"{key}=no",), commands=(RESTART,))


def _too_old(version: int, key: str, code: str, things: str, since: int) -> Finding:
    what = f"systemd {version} has no {key}= (it came with {since})"
    return Finding(code, WARNING, "systemd-networkd", what, _breaks(things), Fix("update systemd"))


def _restart(waiting: Mapping[str, Setting]) -> Finding:
    files = listed(dict.fromkeys(one.place.rpartition(":")[0] for one in waiting.values()))
    what = f"{files} with {listed(f'{key}={one.value}' for key, one in waiting.items())} came after networkd's start"
    breaks = "it is read only at a start: until then networkd takes out what is ours when it reloads or reconfigures"
    return Finding("networkd-restart", WARNING, "systemd-networkd", what, breaks, Fix(commands=(RESTART,)))


def check_wait(unit: WaitOnline) -> Iterator[Finding]:
    """Whether a boot waits for an uplink that need not be there."""
    for command in unit.commands:
        if not command[0].endswith("/systemd-networkd-wait-online"):
            continue
        anyone, only, ignored = _options(command)
        waits = [name for name in unit.required if name not in ignored and (not only or name in only)]
        if anyone or not waits:
            continue
        what = f"{' '.join(command)} in {unit.place} waits for {listed(waits)}"
        breaks = "a boot hangs for two minutes when a cable is out, and what comes after network-online.target with it"
        fix = _wait_fix(command[0], unit.place)
        yield Finding("wait-online", WARNING, "systemd-networkd-wait-online.service", what, breaks, fix)


def _wait_fix(program: str, place: str) -> Fix:
    """A drop-in where the command is systemd's own; another one may be meant."""
    reload = ("systemctl daemon-reload",)
    if "/lib/systemd/system/" not in place or place.rpartition(":")[0].endswith(".conf"):
        return Fix(f"nothing, if that is meant; else add --any in {place}", commands=reload)
    lines = ("ExecStart=", f"ExecStart={program} --any", "ExecStart=-/usr/sbin/mwan-hook wait-online --timeout 60")
    return Fix(path=WAIT_ONLINE, section="[Service]", lines=lines, commands=reload)


def _options(command: Sequence[str]) -> tuple[bool, set[str], set[str]]:
    """Any is enough; these interfaces only; not these."""
    anyone, only, ignored = False, set[str](), set[str]()
    words = list(command[1:])
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        following = words[place + 1] if place + 1 < len(words) else ""
        if option == "--any":
            anyone = True
        elif option in ("--interface", "-i") or (word.startswith("-i") and not word.startswith("--")):
            given = value if equals else word[2:] if option not in ("--interface", "-i") else following
            only.add(given.partition(":")[0])
        elif option == "--ignore":
            ignored.add(value if equals else following)
    return anyone, only, ignored
