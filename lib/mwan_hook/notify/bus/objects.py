"""The objects as callers see them: what is answered to which call.  Knows values, no connection."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.notify.bus.names import BASE_PATH, DEVICE, path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mwan_hook.notify.bus.names import BusDevice

PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
PROPERTY = "Connectivity"
MACHINE_ID = "/etc/machine-id"

_HEAD = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_STANDARD = f"""\
 <interface name="{INTROSPECTABLE}">
  <method name="Introspect"><arg name="data" type="s" direction="out"/></method>
 </interface>
 <interface name="{PEER}">
  <method name="Ping"/>
  <method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method>
 </interface>
"""
_DEVICE = f"""\
 <interface name="{PROPERTIES}">
  <method name="Get">
   <arg name="interface_name" type="s" direction="in"/>
   <arg name="property_name" type="s" direction="in"/>
   <arg name="value" type="v" direction="out"/>
  </method>
  <method name="GetAll">
   <arg name="interface_name" type="s" direction="in"/>
   <arg name="properties" type="a{{sv}}" direction="out"/>
  </method>
  <method name="Set">
   <arg name="interface_name" type="s" direction="in"/>
   <arg name="property_name" type="s" direction="in"/>
   <arg name="value" type="v" direction="in"/>
  </method>
  <signal name="PropertiesChanged">
   <arg name="interface_name" type="s"/>
   <arg name="changed_properties" type="a{{sv}}"/>
   <arg name="invalidated_properties" type="as"/>
  </signal>
 </interface>
 <interface name="{DEVICE}">
  <property name="{PROPERTY}" type="u" access="read">
   <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="true"/>
  </property>
 </interface>
"""


class BusCall(NamedTuple):
    """A method call, as far as it matters; ``interface`` may be left out by the caller."""

    path: str
    interface: str
    member: str
    body: tuple[Any, ...] = ()


class BusReply(NamedTuple):
    """A reply, or an error if ``error`` is a name."""

    signature: str = ""
    body: tuple[Any, ...] = ()
    error: str = ""


def answer(call: BusCall, devices: Mapping[str, BusDevice]) -> BusReply:
    """The answer to anything but what we ask of ourselves."""
    found = {path(word): device for word, device in devices.items()}
    if call.path not in found and not _above(call.path):
        return _error("UnknownObject", f"there is no object {call.path}")
    method = (call.interface or _only_interface(call.member), call.member)
    if method == (INTROSPECTABLE, "Introspect"):
        return BusReply("s", (introspection(call.path, devices),))
    if method == (PEER, "Ping"):
        return BusReply()
    if method == (PEER, "GetMachineId"):
        return _machine_id()
    if method[0] == PROPERTIES and call.path in found:
        return _property(call, found[call.path])
    return _error("UnknownMethod", f"{call.path} has no method {call.interface}.{call.member}".replace(" .", " "))


def introspection(place: str, devices: Mapping[str, BusDevice]) -> str:
    """The XML of an object, or of a node on the way to them."""
    if place == BASE_PATH:
        children = sorted(devices)
    elif _above(place):
        children = [BASE_PATH[len(place.rstrip("/")) + 1 :].partition("/")[0]]
    else:
        children = []
    inner = "".join(f' <node name="{child}"/>\n' for child in children) if children or _above(place) else _DEVICE
    return f"{_HEAD}<node>\n{_STANDARD}{inner}</node>\n"


def changed(device: BusDevice) -> tuple[Any, ...]:
    """The body of PropertiesChanged."""
    return (DEVICE, {PROPERTY: ("u", int(device.connectivity))}, [])


def _above(place: str) -> bool:
    return (BASE_PATH + "/").startswith(place.rstrip("/") + "/")


def _only_interface(member: str) -> str:
    """Where a call without an interface goes: no two of ours have a method of one name."""
    if member == "Introspect":
        return INTROSPECTABLE
    return PEER if member in ("Ping", "GetMachineId") else PROPERTIES


def _property(call: BusCall, device: BusDevice) -> BusReply:
    """org.freedesktop.DBus.Properties; an empty interface name means any."""
    arguments = {"Get": 2, "GetAll": 1, "Set": 3}.get(call.member)
    if arguments is None:
        return _error("UnknownMethod", f"{PROPERTIES} has no method {call.member}")
    if len(call.body) != arguments or not all(isinstance(word, str) for word in call.body[:2]):
        return _error("InvalidArgs", f"{call.member} takes {arguments} arguments")
    values = {PROPERTY: ("u", int(device.connectivity))}
    if call.member == "GetAll":
        return BusReply("a{sv}", (values if call.body[0] in (DEVICE, "") else {},))
    if call.body[0] not in (DEVICE, "") or call.body[1] not in values:
        return _error("UnknownProperty", f"{call.path} has no property {call.body[1]} of {call.body[0]}")
    if call.member == "Set":
        return _error("PropertyReadOnly", f"{call.body[1]} can only be read")
    return BusReply("v", (values[call.body[1]],))


def _machine_id() -> BusReply:
    try:
        with open(MACHINE_ID, encoding="ascii") as file:
            return BusReply("s", (file.read().strip(),))
    except (OSError, UnicodeDecodeError) as error:
        return _error("Failed", f"{MACHINE_ID}: {error}")


def _error(name: str, words: str) -> BusReply:
    return BusReply("s", (words,), f"org.freedesktop.DBus.Error.{name}")
