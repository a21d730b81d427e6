"""Doctor: what starts runs, and whether it is all there.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Finding, Fix
from mwan_hook.machine.values import DISPATCHER, STATES, Installed, Unit
from mwan_hook.phrases import listed

INSTALL = "./install.sh, from a checkout, puts it back"
TIMER, BOOT, MAIL = "mwan-hook-check.timer", "mwan-hook-boot.service", "mwan-hook-mail.timer"
WEBHOOK, RECORD = "mwan-hook-webhook.timer", "mwan-hook-record.timer"
EARLY = "mwan-hook-early.service"
# unit: what does not happen without it
UNITS = {
    TIMER: "no uplink is probed: a line that is dead behind its gateway keeps its traffic for ever",
    "mwan-hook-netlink.socket": "links, addresses and routes that change are followed up to ten seconds later",
    "mwan-hook-event.path": "a stick that is plugged in, and a line that comes up, are probed up to ten seconds later",
    "mwan-hook-notify.path": "no hook, mail, metric or bus is told of anything",
    "mwan-hook-hooks.path": "no hook and no bus is told of anything",
    "mwan-hook-chores.path": "what only root may do waits: names for ip(8), a textfile, configuration that is closed",
    EARLY: "with masquerade or nat6, what the LAN sends before the first run of a boot leaves with the LAN's addresses",
    BOOT: "routes come up to ten seconds later at boot",
    WEBHOOK: "posts that the webhook did not take at once are never sent",
    MAIL: "mails that could not be sent at once are never sent",
    RECORD: "why, replay and report know only what fits into memory, and nothing from before a boot",
}


def check(found: Installed) -> Iterator[Finding]:
    """Whether anything starts a run."""
    if not found.systemd:
        what = "systemd does not run here"
        words = (
            "something else that runs `mwan-hook check` every ten seconds, and `mwan-hook event` when a link changes"
        )
        yield Finding("no-systemd", NOTE, "", what, "nothing starts a run by itself", Fix(words))
        return
    if not any(unit.path for unit in found.units):
        what = "no unit of mwan-hook is installed"
        yield Finding("not-installed", WARNING, "", what, "nothing starts a run", Fix(commands=("./install.sh",)))
        return
    for unit in found.units:
        if unit.name not in (MAIL, WEBHOOK, RECORD) or unit.name in found.channels:
            yield from _unit(unit)
    yield from _user(found)
    yield from _udev(found)
    if found.networkd and found.spooler:
        yield from _dispatcher(found)


def _unit(unit: Unit) -> Iterator[Finding]:
    breaks = UNITS[unit.name]
    severity = PROBLEM if unit.name == TIMER else WARNING
    if unit.masked:
        fix = Fix(commands=(f"systemctl unmask {unit.name}", f"systemctl enable --now {unit.name}"))
        yield Finding("unit-masked", severity, unit.name, f"{unit.path} is a link to /dev/null", breaks, fix)
    elif not unit.path:
        fix = Fix(INSTALL)
        yield Finding(
            "unit-missing", severity, unit.name, "there is no such unit below /etc, /run and /usr", breaks, fix
        )
    elif not unit.enabled:
        fix = Fix(commands=(f"systemctl enable --now {unit.name}",))
        yield Finding("unit-disabled", severity, unit.name, f"{unit.path} is not enabled", breaks, fix)
    elif unit.active is False and unit.name not in (BOOT, EARLY):
        fix = Fix(commands=(f"systemctl start {unit.name}",), words=f"systemctl status {unit.name} says why")
        yield Finding("unit-stopped", severity, unit.name, "it is enabled, but not active", breaks, fix)


def _user(found: Installed) -> Iterator[Finding]:
    if not found.user:
        what = "there is no user mwan-hook, which the services run as"
        fix = Fix(commands=("systemctl restart mwan-hook-user.service",), words="where /etc is read-only, add it there")
        yield Finding("user-missing", PROBLEM, "mwan-hook-user.service", what, "no service starts a run", fix)


def _udev(found: Installed) -> Iterator[Finding]:
    if not found.udev_rule:
        what = "90-mwan-hook.rules is in none of udev's directories, or masked"
        breaks = "a new stick waits for the kernel's news or the timer, and match = path: or id: may find nothing"
        yield Finding("udev-rule", WARNING, "90-mwan-hook.rules", what, breaks, Fix(INSTALL))


def _dispatcher(found: Installed) -> Iterator[Finding]:
    unit = found.dispatcher
    breaks = "what networkd makes of a link is heard a little later, by its files, the kernel's news or the timer"
    if not unit.path or unit.masked or not unit.enabled:
        state = "not installed" if not unit.path else "masked" if unit.masked else "not enabled"
        command = "apt install networkd-dispatcher" if not unit.path else f"systemctl enable --now {DISPATCHER}"
        fix = Fix(commands=(f"systemctl unmask {DISPATCHER}",) if unit.masked else (command,))
        yield Finding("dispatcher", NOTE, DISPATCHER, f"networkd-dispatcher is {state}", breaks, fix)
        return
    missing = [state for state in STATES if state not in found.linked]
    if missing:
        what = f"no link to {found.spooler} in {found.dispatcher_links}/ for {listed(missing)}"
        links = tuple(
            (f"{found.dispatcher_links}/{state}.d/50-mwan-hook".lstrip("/"), found.spooler) for state in missing
        )
        fix = Fix(links=links, commands=(f"systemctl start {DISPATCHER}",) if len(missing) == len(STATES) else ())
        yield Finding("hook-missing", WARNING, DISPATCHER, what, breaks, fix)
