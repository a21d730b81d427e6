"""The steps of a repair ladder by name: as the configuration writes them, and as an operator would type them."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Rung

LONGEST = 7 * 86400.0  # seconds of an outage that a ladder plans for
SUGGESTED = ("renew@60", "reconfigure@180", "replug@600")  # of what doctor writes; without what takes from others
SUGGESTED_DIALLED = ("replug@600",)  # the link itself is down between dials


class StepWords(NamedTuple):
    """One step."""

    name: str
    line: str  # that an operator would type; {} is the interface
    about: str


STEPS = (
    StepWords("renew", "networkctl renew {}", "ask the DHCP server for the lease again"),
    StepWords("reconfigure", "networkctl reconfigure {}", "have systemd-networkd set the link up anew"),
    StepWords("bounce", "ip link set {0} down; ip link set {0} up", "take the link down and up"),
    StepWords("replug", "echo 0, then 1 >/sys/class/net/{}/device/../authorized", "unplug and plug the USB device"),
    StepWords("modem-reset", "mmcli --modem=(that of {}) --reset", "have ModemManager reset the modem"),
    StepWords("hook", "repair.d/* ({})", "run the programs in repair.d"),
)
NAMES = tuple(step.name for step in STEPS)


def line(name: str, interface: str) -> str:
    """What an operator would type for a step."""
    return next(step.line for step in STEPS if step.name == name).format(interface)


def rung(text: str) -> Rung:
    """``renew@60``; ValueError says what was expected."""
    name, sign, seconds = text.partition("@")
    try:
        after = float(seconds) if "_" not in seconds else -1.0
    except ValueError:
        after = -1.0
    if name not in NAMES or not sign or not 0 < after <= LONGEST:
        raise ValueError(f"expected STEP@SECONDS, as in renew@60, of the steps {', '.join(NAMES)}")
    return Rung(name, after)
