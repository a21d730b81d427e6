"""What is asked of what dials, in words that an operator could have typed."""

from __future__ import annotations

from mwan_hook.dial import modemkeys
from mwan_hook.dial.values import COMMAND, NETWORKD, Verb

SUFFIXES = (".service", ".target", ".socket", ".mount", ".device", ".timer", ".path", ".slice", ".scope")


def unit(start: str, interface: str) -> str:
    """The unit that dials, as systemctl(1) takes it."""
    if start.startswith(modemkeys.KIND):
        return modemkeys.unit(interface)
    return whole(start.partition(":")[2].strip())


def whole(name: str) -> str:
    """A unit's name with its suffix: a service where it has none."""
    return name if name.endswith(SUFFIXES) else f"{name}.service"


def line(start: str, stop: str, verb: Verb, interface: str) -> str:
    """The request as a line.  A reset stands in ``stop``."""
    kind, _, rest = start.partition(":")
    if verb is Verb.RESET:
        return stop.partition(":")[2].strip()
    if kind == NETWORKD:
        return f"networkctl {'up' if verb is Verb.DIAL else 'down'} {interface}"
    if kind == COMMAND:
        return (rest if verb is Verb.DIAL else stop.partition(":")[2]).strip()
    return f"systemctl {'start' if verb is Verb.DIAL else 'stop'} --no-block {unit(start, interface)}"
