"""networkd-connectivity's names on D-Bus, and which of them there are."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Connectivity
from mwan_hook.verdict.events import best_connectivity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import State

BASE = "io.github.russdill.networkd_connectivity"
BASE_PATH = "/" + BASE.replace(".", "/")
DEVICE = BASE + "1.Device"


class BusDevice(NamedTuple):
    """One interface of an uplink."""

    interface: str
    connectivity: Connectivity


def element(interface: str) -> str:
    """The interface's part of names and paths: what is neither letter nor digit (ASCII) is an underscore.

    No element of a bus name may begin with a digit: such an interface gets an underscore in front.
    """
    word = "".join(c if c.isascii() and c.isalnum() else "_" for c in interface)
    return f"_{word}" if word[:1].isdigit() else word


def bus_name(word: str) -> str:
    """The bus name with this last element."""
    return f"{BASE}.{word}"


def path(word: str) -> str:
    """The object's path with this last element."""
    return f"{BASE_PATH}/{word}"


def devices(state: State) -> tuple[BusDevice, ...]:
    """The uplinks' interfaces that exist, in the order of the state file."""
    found: dict[str, BusDevice] = {}
    for uplink in state.uplinks.values():
        if uplink.interface and uplink.index:
            found.setdefault(uplink.interface, BusDevice(uplink.interface, best_connectivity(uplink)))
    return tuple(found.values())


def published(state: State) -> dict[str, BusDevice]:
    """Devices by element.  Of two interfaces with one element (``a.1``, ``a-1``) the one spelt so, else the first."""
    found: dict[str, BusDevice] = {}
    for device in sorted(devices(state), key=lambda device: element(device.interface) != device.interface):
        found.setdefault(element(device.interface), device)
    return found
