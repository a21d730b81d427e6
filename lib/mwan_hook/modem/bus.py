"""Calls of other programs' methods on the system bus.  Of this room the only importer of jeepney.

Secrets go through here, and nowhere else: never into a command line, a message or a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jeepney import DBusAddress, HeaderFields, MessageFlag, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

from mwan_hook.addresses import packed
from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.model import Family, MwanError
from mwan_hook.store import foreign

BUS = "org.freedesktop.DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"
TIMEOUT = 10.0  # seconds for what a program answers from what it knows
SILENT = "mwan_hook.NoReply"  # a name as those of errors, for no answer in time
ABSENT = ("ServiceUnknown", "NameHasNoOwner", "SpawnChildExited", "ServiceNotFound")
RESOLVED = ("org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager")
NETWORKD = ("org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager")
MANAGED = "LinkBusy"  # systemd-resolved's word for a link of systemd-networkd's


class AnsweredError(MwanError):
    """The program, or the bus, answered with an error; ``name`` is its full name."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name.rpartition('.')[2]}: {words}" if words else name.rpartition(".")[2])
        self.name, self.words = name, words

    @property
    def absent(self) -> bool:
        """Whether the program is not there at all."""
        return self.name.rpartition(".")[2] in ABSENT


class Caller:
    """One connection to the system bus.  A context manager."""

    def __init__(self, root: str) -> None:
        try:
            self._connection = open_dbus_connection(foreign.system_bus(root), auth_timeout=TIMEOUT)
        except (OSError, RuntimeError, ValueError) as error:
            words = f"cannot reach the system bus at {foreign.system_bus(root)}: {error}"
            raise DialError(causes.NO_MODEM, words) from error

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(
        self, program: str, path: str, method: str, signature: str, body: tuple[Any, ...], timeout: float, start: bool
    ) -> tuple[Any, ...]:
        """What ``method`` (with its interface in front) answers.  Raises AnsweredError.

        ``start``: the bus may start the program for it.
        """
        interface, _, member = method.rpartition(".")
        message = new_method_call(DBusAddress(path, program, interface), member, signature or None, body)
        if not start:
            message.header.flags |= MessageFlag.no_auto_start
        try:
            reply = self._connection.send_and_get_reply(message, timeout=max(0.0, timeout))
        except TimeoutError:
            raise AnsweredError(SILENT, f"{member} got no answer within {timeout:.0f} s") from None
        except (OSError, RuntimeError) as error:
            raise AnsweredError(f"{BUS}.Error.Disconnected", f"the system bus is gone: {error}") from error
        if reply.header.message_type is MessageType.error:
            said = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise AnsweredError(reply.header.fields[HeaderFields.error_name], said)
        return tuple(reply.body)

    def properties(self, program: str, path: str, interface: str) -> dict[str, object]:
        """All properties of an object's interface.  Raises AnsweredError."""
        (told,) = self.call(program, path, f"{PROPERTIES}.GetAll", "s", (interface,), TIMEOUT, False)
        return {key: plain(value) for key, value in told.items()}

    def owner(self, program: str) -> str:
        """The connection that has a name: another one after each of its starts.  Empty if there is none."""
        try:
            (name,) = self.call(BUS, "/org/freedesktop/DBus", f"{BUS}.GetNameOwner", "s", (program,), TIMEOUT, False)
        except AnsweredError:
            return ""
        return str(name)


def plain(variant: tuple[str, Any]) -> Any:
    """What a variant holds, and the variants in a dictionary in it."""
    signature, value = variant
    return {key: plain(inner) for key, inner in value.items()} if signature == "a{sv}" else value


def tell_servers(bus: Caller, index: int, servers: Sequence[str]) -> str:
    """Have systemd-resolved ask these servers through the link; with none, forget them.  What went wrong, in words."""
    told = [(Family.of(server).af, packed(server)) for server in servers]
    try:
        if told:
            _call(bus, "SetLinkDNS", "ia(iay)", (index, told))
        else:
            _call(bus, "RevertLinkDNS", "i", (index,))
    except AnsweredError as error:
        if error.absent:
            return "systemd-resolved does not run: the name servers are told to no one" if told else ""
        return f"the name servers could not be told to systemd-resolved: {error}" if told else ""
    return ""


def _call(bus: Caller, method: str, signature: str, body: tuple[object, ...]) -> None:
    """Ask systemd-resolved, or systemd-networkd where that has the link."""
    program, path, interface = RESOLVED
    try:
        word = "RevertLink" if method == "RevertLinkDNS" else method
        bus.call(program, path, f"{interface}.{word}", signature, body, TIMEOUT, False)
    except AnsweredError as error:
        if error.name.rpartition(".")[2] != MANAGED:
            raise
        program, path, interface = NETWORKD
        bus.call(program, path, f"{interface}.{method}", signature, body, TIMEOUT, False)
