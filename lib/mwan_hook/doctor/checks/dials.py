"""Doctor: links that are dialled, and what else would dial them, keep them up, or take their address.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Finding, Fix
from mwan_hook.light import NamedTuple
from mwan_hook.machine.values import DialUnit, LinkSetup

TEMPLATE = "89-mwan-hook-usb.network"
KEEPS = ("yes", "static")  # of KeepConfiguration=: what a dialler has put there stays


class DialSetup(NamedTuple):
    """One uplink that is dialled, with what is set up for it."""

    name: str
    interface: str
    on_demand: bool
    ready_timeout: float
    point_to_point: bool
    link: LinkSetup | None = None  # None: networkd leaves it alone
    unit: DialUnit | None = None  # None: it is dialled otherwise
    lacks: tuple[str, ...] = ()  # packages for ModemManager's sessions
    others: tuple[str, ...] = ()  # connections that NetworkManager makes by itself


def check(setups: Iterable[DialSetup]) -> Iterator[Finding]:
    """Everything that dials beside us, or against us."""
    for one in setups:
        if one.link:
            yield from _link(one, one.link)
        if one.unit:
            yield from _unit(one, one.unit)
        for name in one.others:
            what = f"NetworkManager connects {one.interface} by itself: its connection {name!r}"
            quoted = "'" + name.replace("'", "'\\''") + "'"
            fix = Fix(commands=(f"nmcli connection modify {quoted} connection.autoconnect no",))
            breaks = "it connects again each time that mwan-hook has hung up, and hangs up what mwan-hook has dialled"
            yield Finding("dial-twice", PROBLEM, one.name, what, breaks, fix)
        for package in one.lacks:
            what = f"{one.name} is dialled by ModemManager, and {package} is not installed"
            fix = Fix(commands=(f"apt install {package.lower()}",))
            yield Finding("dial-program", PROBLEM, one.name, what, "no session can be had", fix)


def _link(one: DialSetup, link: LinkSetup) -> Iterator[Finding]:
    if one.on_demand and (link.policy != "manual" or link.path.endswith(f"/{TEMPLATE}")):
        ours = link.path.endswith(f"/{TEMPLATE}")
        why = "mwan-hook-plugged@.service brings up what is plugged in" if ours else f"ActivationPolicy={link.policy}"
        what = f"{one.interface} is configured by {link.path}: {why}"
        words = f"a .network file for {one.interface} that sorts before it, with [Link] ActivationPolicy=manual"
        breaks = "the link is up though it should stand by; at its next start networkd may undo a dial or a hang-up"
        yield Finding("dial-policy", WARNING, one.name, what, breaks, Fix(words))
    if link.apn:
        what = f"networkd connects {one.interface} by itself: [MobileNetwork] APN= in {link.apn}"
        breaks = "it connects again each time that mwan-hook has hung up"
        words = "take the section out, and name the access point in start = modem:... or in the dialler"
        yield Finding("dial-twice", PROBLEM, one.name, what, breaks, Fix(words))
    if one.unit and one.point_to_point and link.keep not in KEEPS:
        what = f"{link.path} configures {one.interface}, with KeepConfiguration={link.keep}"
        breaks = "networkd takes the address away that the dialler has put there"
        words = f"KeepConfiguration=yes in it, or no .network file that matches {one.interface}"
        yield Finding("dial-address", PROBLEM, one.name, what, breaks, Fix(words))


def _unit(one: DialSetup, unit: DialUnit) -> Iterator[Finding]:
    if not unit.path:
        words = "write the unit, or name another one in start"
        what = f"there is no unit {unit.name}, which dials {one.name}"
        yield Finding("dial-unit", PROBLEM, one.name, what, "it cannot be dialled", Fix(words))
        return
    if unit.enabled and one.on_demand:
        what = f"{unit.name}, which dials {one.name} on demand, starts at boot"
        fix = Fix(commands=(f"systemctl disable {unit.name}",))
        breaks = "a link that mwan-hook did not dial is used, and never hung up"
        yield Finding("dial-boot", WARNING, one.name, what, breaks, fix)
    if unit.restart != "no":
        what = f"Restart={unit.restart} in {unit.name}, which dials {one.name}"
        breaks = "two dial: pauses between failed dials are not kept, and providers lock out who dials too often"
        yield Finding("dial-twice", WARNING, one.name, what, breaks, Fix("Restart=no"))
    if unit.holds_on:
        what = f"pppd dials again by itself: persist or demand in {unit.holds_on}"
        breaks = "two dial: a failed dial is never seen as one, and demand makes an interface without a session"
        words = "take it out, and put maxfail 1 there"
        yield Finding("dial-twice", WARNING, one.name, what, breaks, Fix(words))
    if unit.timeout == 0 or unit.timeout > one.ready_timeout:
        last = f"{unit.timeout:g} s" if unit.timeout else "for ever"
        what = f"{unit.name} may try for {last}, and ready_timeout of {one.name} is {one.ready_timeout:g} s"
        breaks = "a dial that would come about is stopped before"
        words = f"ready_timeout = {unit.timeout:g} or more in {one.name}, or a shorter TimeoutStartSec= of the unit"
        yield Finding("dial-patience", NOTE, one.name, what, breaks, Fix(words))
