"""The USB device that a network interface belongs to, and taking it away and giving it back by sysfs.

``authorized`` of a device is what the kernel offers for it (Documentation/ABI/testing/sysfs-bus-usb and
Documentation/usb/authorization): 0 unbinds its drivers, as if it were pulled; 1 has it configured anew.
"""

from __future__ import annotations

import os
import time

from mwan_hook.model import MwanError
from mwan_hook.store.files import under, why

CLASS = "sys/class/net"
DEVICES = "sys/bus/usb/devices"
PAUSE = 2.0  # seconds that it stays away


def of_interface(root: str, interface: str) -> str:
    """The device's name, as in ``1-1.2``; empty where the interface belongs to none."""
    path = os.path.realpath(under(root, f"{CLASS}/{interface}/device"))
    top = os.path.realpath(under(root, "sys"))
    while path.startswith(f"{top}/"):
        path, name = os.path.split(path)
        if is_device(name):
            return name if os.path.exists(_switch(root, name)) else ""
    return ""


def is_device(name: str) -> bool:
    """Whether a name is one of the kernel's for a device behind a port: no root hub, and no interface of a device."""
    bus, dash, ports = name.partition("-")
    numbers = (bus, *ports.split("."))
    return bool(dash) and all(number.isascii() and number.isdigit() for number in numbers)


def replug(root: str, name: str) -> None:
    """Take the device away and give it back.  Raises MwanError."""
    try:
        _write(root, name, "0")
        time.sleep(PAUSE)
    finally:
        give_back(root, name)


def give_back(root: str, name: str) -> None:
    """Authorize the device, if it is there.  Raises MwanError."""
    if is_device(name) and os.path.exists(_switch(root, name)):
        _write(root, name, "1")


def _switch(root: str, name: str) -> str:
    return under(root, f"{DEVICES}/{name}/authorized")


def _write(root: str, name: str, value: str) -> None:
    path = _switch(root, name)
    try:
        with open(path, "r+", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        raise MwanError(f"cannot write {value} to {path}: {why(error)}") from error
