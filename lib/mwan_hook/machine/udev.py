"""What sysfs and udev's database know of an interface: for ``match`` and ``[Match]``."""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

DATABASE = "run/udev/data"
CLASS = "/sys/class/net"  # the kernel's: --root does not move it


def attributes(root: str, name: str, index: int) -> dict[str, str]:
    """``driver``, ``path``, ``id`` (``VVVV:PPPP``) and ``property:KEY`` of an interface, as far as they are known.

    The driver is ``ID_NET_DRIVER``, else the one that sysfs links to; the USB id is udev's, else sysfs's.
    """
    known = {f"property:{key}": value for key, value in _properties(under(root, f"{DATABASE}/n{index}"))}
    device = f"{CLASS}/{name}/device"
    found = {
        "driver": known.get("property:ID_NET_DRIVER") or _link(f"{device}/driver"),
        "path": known.get("property:ID_PATH", ""),
        "id": _usb_id(known, device),
    }
    return {**known, **{key: value for key, value in found.items() if value}}


def _usb_id(known: dict[str, str], device: str) -> str:
    vendor, product = known.get("property:ID_VENDOR_ID"), known.get("property:ID_MODEL_ID")
    if not (vendor and product):  # the network interface hangs below the USB device's interface
        parent = os.path.dirname(os.path.realpath(device))
        vendor, product = contents(f"{parent}/idVendor").strip(), contents(f"{parent}/idProduct").strip()
    return f"{vendor}:{product}".lower() if vendor and product else ""


def _properties(path: str) -> list[tuple[str, str]]:
    """The ``E:KEY=VALUE`` lines of a device's record in udev's database."""
    pairs = (line[2:].partition("=") for line in contents(path).strip().split("\n") if line.startswith("E:"))
    return [(key, value) for key, equals, value in pairs if equals]


def _link(path: str) -> str:
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return ""
