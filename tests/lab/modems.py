"""Modems that are not there: a ModemManager on a system bus, mocked because no machine of a test has a modem.

    python -m tests.lab.modems ADDRESS [NAME]      as ModemManager, or only as the program NAME

Without a NAME it has systemd-resolved's part of name servers, too.

What is mocked is what ModemManager answers, and that it goes on connecting when the caller is gone.  The interface, its
addresses and routes are the test's, and real.  `Modems` is the test's end: it changes how the modem behaves, and tells
what was asked of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_call, new_method_return
from jeepney.io.blocking import DBusConnection, open_dbus_connection

NAME, RESOLVED = "org.freedesktop.ModemManager1", "org.freedesktop.resolve1"
PATH = "/org/freedesktop/ModemManager1"
LAB = "lab.Modems"
POLICY = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root">
    <allow own="org.freedesktop.ModemManager1"/>
    <allow own="org.freedesktop.resolve1"/>
    <allow send_destination="org.freedesktop.ModemManager1"/>
    <allow send_destination="org.freedesktop.resolve1"/>
  </policy>
</busconfig>
"""
IP4 = {"method": 2, "address": "10.64.7.91", "prefix": 30, "gateway": "10.64.7.89", "dns1": "1.1.1.1", "mtu": 1430}
KINDS = {str: "s", int: "u", bool: "b"}
FAILED, LOCKED, DISABLED, REGISTERED, DISCONNECTING, CONNECTING, CONNECTED = -1, 2, 3, 8, 9, 10, 11
# How a modem is when it is plugged in; a test changes any of it.
PLUGGED: dict[str, Any] = {
    "interface": "wwan0",
    "state": DISABLED,
    "reason": 0,
    "lock": 1,
    "tries": {"2": 3, "4": 10},
    "sim": "89490000000000000017",
    "pin": "",
    "apn": "internet",
    "password": "",
    "roaming": False,
    "delay": 0.0,
    "stuck": False,
    "error": "",
    "ip4": IP4,
    "ip6": {},
}


class RefusedByModemError(Exception):
    """An error that is answered."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = f"{NAME}.Error.{name}"


def variant(value: Any) -> tuple[str, Any]:
    """A value with its signature."""
    if isinstance(value, dict):
        return "a{sv}", {key: variant(inner) for key, inner in value.items()}
    return KINDS[type(value)], value


class Modem:
    """One modem with its SIM and bearers."""

    def __init__(self, number: int, numbers: Iterator[int]) -> None:
        self.path, self.sim_path = f"{PATH}/Modem/{number}", f"{PATH}/SIM/{number}"
        self.is_: dict[str, Any] = {**PLUGGED, "tries": dict(PLUGGED["tries"])}
        self.bearers: dict[str, dict[str, Any]] = {}
        self.pending: list[tuple[float, Callable[[], None]]] = []
        self._numbers = numbers

    def properties(self) -> dict[str, Any]:
        """Its interface org.freedesktop.ModemManager1.Modem."""
        now = self.is_
        return {
            "State": ("i", now["state"]),
            "StateFailedReason": ("u", now["reason"]),
            "UnlockRequired": ("u", now["lock"]),
            "UnlockRetries": ("a{uu}", {int(lock): left for lock, left in now["tries"].items()}),
            "Ports": ("a(su)", [("cdc-wdm0", 7), (now["interface"], 2)]),
            "Sim": ("o", self.sim_path),
            "Bearers": ("ao", list(self.bearers)),
            "EquipmentIdentifier": ("s", "490154203237518"),
        }

    def bearer(self, path: str) -> dict[str, Any]:
        """A bearer's properties."""
        one = self.bearers[path]
        return {
            "Interface": ("s", self.is_["interface"] if one["connected"] else ""),
            "Connected": ("b", one["connected"]),
            "Properties": ("a{sv}", one["asked"]),
            "Ip4Config": variant(self.is_["ip4"] if one["connected"] else {}),
            "Ip6Config": variant(self.is_["ip6"] if one["connected"] else {}),
        }

    def send_pin(self, pin: str) -> None:
        """Unlock, or take a try."""
        if pin == self.is_["pin"]:
            self.is_ |= {"state": 1, "lock": 1}
            self.after(0.03, lambda: self.is_.update(state=DISABLED))
            return
        self.is_["tries"]["2"] -= 1
        if not self.is_["tries"]["2"]:
            self.is_["lock"] = 4
            raise RefusedByModemError("MobileEquipment.SimPuk", "SIM PUK required")
        raise RefusedByModemError("MobileEquipment.IncorrectPassword", "Incorrect password")

    def connect(self, asked: dict[str, Any], answer: Callable[[object], None]) -> None:
        """Make or find the bearer, and connect it, after a while and whether the caller still listens or not."""
        self.is_["state"] = CONNECTING

        def connected() -> None:
            alike = [path for path, one in self.bearers.items() if one["asked"] == asked]
            path = alike[0] if alike else f"{PATH}/Bearer/{next(self._numbers)}"
            self.bearers.setdefault(path, {"asked": asked, "connected": False})
            error = self._refusal(asked)
            self.is_["state"] = REGISTERED if error else CONNECTED
            self.bearers[path]["connected"] = not error
            answer(error or path)

        self.after(self.is_["delay"], connected)

    def _refusal(self, asked: dict[str, Any]) -> RefusedByModemError | None:
        now, given = self.is_, {key: value for key, (_, value) in asked.items()}
        if now["error"]:
            return RefusedByModemError(now["error"], "as the test says")
        if any(one["connected"] for one in self.bearers.values()):
            return RefusedByModemError("Core.Failed", "No valid data port found to launch connection")
        if now["roaming"] and not given.get("allow-roaming"):
            return RefusedByModemError("Core.Unauthorized", "Registered in roaming network, and roaming not allowed")
        if given.get("apn", "") != now["apn"]:
            return RefusedByModemError("MobileEquipment.MissingOrUnknownApn", "Missing or unknown APN")
        if given.get("password", "") != now["password"]:
            return RefusedByModemError("MobileEquipment.UserAuthenticationFailed", "User authentication failed")
        return None

    def disconnect(self, path: str) -> None:
        """Disconnect one bearer, or all; only the latter gives a connect up."""
        if self.is_["stuck"]:
            self.is_["state"] = DISCONNECTING
            raise RefusedByModemError("Core.Timeout", "Transaction timed out")
        if path == "/":
            self.pending.clear()
        for one in [self.bearers[path]] if path != "/" else list(self.bearers.values()):
            one["connected"] = False
        if self.is_["state"] in (CONNECTING, CONNECTED):
            self.is_["state"] = REGISTERED

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it later; at once for no time at all."""
        if seconds:
            self.pending.append((time.monotonic() + seconds, action))
        else:
            action()


class Server:
    """The bus's end of all modems."""

    def __init__(self, address: str, *names: str) -> None:
        self.bus: DBusConnection = open_dbus_connection(address)
        self.numbers = iter(range(1 << 30))
        self.modems: dict[str, Modem] = {}
        self.calls: list[str] = []
        self.servers: dict[str, list[str]] = {}
        self.plugged = 0
        for name in names or (NAME, RESOLVED):
            message = new_method_call(
                DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus"),
                *("RequestName", "su", (name, 4)),
            )
            assert self.bus.send_and_get_reply(message, timeout=10).body == (1,)

    def serve(self) -> None:
        """Answer for ever."""
        while True:
            due = [action for modem in self.modems.values() for action in modem.pending]
            left = min((at for at, _ in due), default=time.monotonic() + 60) - time.monotonic()
            try:
                message = self.bus.receive(timeout=max(0.0, left))
            except TimeoutError:
                for modem in self.modems.values():
                    ready = [entry for entry in modem.pending if entry[0] <= time.monotonic()]
                    modem.pending = [entry for entry in modem.pending if entry not in ready]
                    for _, action in ready:
                        action()
                continue
            if message.header.message_type is MessageType.method_call:
                self.handle(message)

    def handle(self, message: Any) -> None:
        """Answer a call, now or later."""
        fields = message.header.fields
        path, member = fields[HeaderFields.path], fields[HeaderFields.member]
        self.calls += [] if fields.get(HeaderFields.interface) == LAB else [member]

        def answer(result: object) -> None:
            if isinstance(result, RefusedByModemError):
                self.bus.send(new_error(message, result.name, "s", (str(result),)))
            elif member == "Connect":
                self.bus.send(new_method_return(message, "o", (result,)))

        try:
            if member == "Connect":
                self.modems[path].connect(message.body[0], answer)
                return
            signature, body = getattr(self, f"on_{member}")(path, *message.body)
            self.bus.send(new_method_return(message, signature, body))
        except RefusedByModemError as error:
            self.bus.send(new_error(message, error.name, "s", (str(error),)))
        except KeyError:
            self.bus.send(new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "s", (f"no {path}",)))

    # -- ModemManager

    def on_GetManagedObjects(self, _: str) -> tuple[str, tuple[Any, ...]]:  # noqa: N802 - D-Bus names
        """All modems."""
        told = {path: {f"{NAME}.Modem": modem.properties()} for path, modem in self.modems.items()}
        return "a{oa{sa{sv}}}", (told,)

    def on_GetAll(self, path: str, interface: str) -> tuple[str, tuple[Any, ...]]:  # noqa: N802
        """Of a SIM or a bearer."""
        for modem in self.modems.values():
            if interface.endswith(".Sim") and path == modem.sim_path:
                return "a{sv}", ({"SimIdentifier": ("s", modem.is_["sim"])},)
            if path in modem.bearers:
                return "a{sv}", (modem.bearer(path),)
        raise KeyError(path)

    def on_SendPin(self, path: str, pin: str) -> tuple[None, tuple[()]]:  # noqa: N802
        """Of a SIM."""
        next(modem for modem in self.modems.values() if modem.sim_path == path).send_pin(pin)
        return None, ()

    def on_Disconnect(self, path: str, bearer: str) -> tuple[None, tuple[()]]:  # noqa: N802
        """Of Modem.Simple."""
        self.modems[path].disconnect(bearer)
        return None, ()

    def on_DeleteBearer(self, path: str, bearer: str) -> tuple[None, tuple[()]]:  # noqa: N802
        """Of a modem."""
        del self.modems[path].bearers[bearer]
        return None, ()

    # -- systemd-resolved

    def on_SetLinkDNS(  # noqa: N802
        self, _: str, index: int, servers: list[tuple[int, list[int]]]
    ) -> tuple[None, tuple[()]]:
        """Name servers of a link."""
        self.servers[str(index)] = [bytes(packed).hex() for _, packed in servers]
        return None, ()

    def on_RevertLink(self, _: str, index: int) -> tuple[None, tuple[()]]:  # noqa: N802
        """None any more."""
        self.servers.pop(str(index), None)
        return None, ()

    # -- the test

    def on_Plug(self, _: str, text: str) -> tuple[None, tuple[()]]:  # noqa: N802
        """These modems and no others, each as told; all that was asked is forgotten."""
        self.modems, self.calls, self.servers = {}, [], {}
        for told in json.loads(text):
            modem = Modem(self.plugged, self.numbers)
            modem.is_ |= told
            self.modems[modem.path] = modem
            self.plugged += 1
        return None, ()

    def on_Change(self, _: str, text: str) -> tuple[None, tuple[()]]:  # noqa: N802
        """The first modem, from now on."""
        told = json.loads(text)
        modem = next(iter(self.modems.values()))
        if told.pop("dropped", False):
            for one in modem.bearers.values():
                one["connected"] = False
            told["state"] = REGISTERED
        modem.is_ |= told
        return None, ()

    def on_Look(self, _: str) -> tuple[str, tuple[str]]:  # noqa: N802
        """All there is to know."""
        modems = [
            {**modem.is_, "bearers": {b: one["connected"] for b, one in modem.bearers.items()}}
            | {"path": path, "pending": len(modem.pending)}
            for path, modem in self.modems.items()
        ]
        return "s", (json.dumps({"modems": modems, "calls": self.calls, "servers": self.servers}),)


class Modems:
    """The test's end."""

    def __init__(self, address: str) -> None:
        self._bus = open_dbus_connection(address)

    def close(self) -> None:
        """Give the connection back."""
        self._bus.close()

    def _call(self, member: str, *body: str) -> Any:
        message = new_method_call(DBusAddress("/lab", NAME, LAB), member, "s" * len(body) or None, body)
        reply = self._bus.send_and_get_reply(message, timeout=10)
        assert reply.header.message_type is MessageType.method_return, reply.body
        return reply.body

    def plug(self, *modems: dict[str, Any]) -> None:
        """These modems and no others."""
        self._call("Plug", json.dumps(modems or [{}]))

    def unplug(self) -> None:
        """No modem any more."""
        self._call("Plug", "[]")

    def change(self, **how: Any) -> None:
        """How the first modem behaves from now on; `dropped=True`: the network ends the session."""
        self._call("Change", json.dumps(how))

    def seen(self) -> dict[str, Any]:
        """`modems` with their `bearers`, the `calls` so far, and the name `servers` by interface index."""
        found: dict[str, Any] = json.loads(self._call("Look")[0])
        return found

    @property
    def modem(self) -> dict[str, Any]:
        """The first modem."""
        found: dict[str, Any] = self.seen()["modems"][0]
        return found

    def count(self, *methods: str) -> int:
        """How often these were called."""
        return sum(call in methods for call in self.seen()["calls"])


def main() -> None:
    """Serve the bus that is named; to begin with, one modem is plugged in."""
    server = Server(*sys.argv[1:])
    server.on_Plug("", "[{}]")
    server.serve()


if __name__ == "__main__":
    main()
