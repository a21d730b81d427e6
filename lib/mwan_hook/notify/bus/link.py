"""Our end of the system bus: owns names, answers calls while it waits for the bus itself.  Only here jeepney."""

from __future__ import annotations

import time

from jeepney import (
    DBusAddress,
    HeaderFields,
    MessageFlag,
    MessageType,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import open_dbus_connection

from mwan_hook.light import NamedTuple
from mwan_hook.model import MwanError
from mwan_hook.notify.bus import objects
from mwan_hook.notify.bus.names import BusDevice, bus_name, path, published
from mwan_hook.store import foreign
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BUS = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
OURS = "mwan_hook.Device1"  # one method, Announce: say the value once more unless this process has said it
TIMEOUT = 5.0  # seconds that the bus or another process of ours may take to answer
EXISTS = 3  # what RequestName answers if another has the name and we do not queue for it
DO_NOT_QUEUE = 4
MOVED = ("ServiceUnknown", "NameHasNoOwner", "NoReply", "UnknownObject", "Disconnected")


class RefusedError(MwanError):
    """The bus, or who owns a name, answered with an error; ``name`` is its last word."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = name


class LastSaid(NamedTuple):
    """What a value was when last looked at, and whether this process has said so in a signal."""

    device: BusDevice
    said: bool


class BusLink:
    """One connection.  A context manager that leaves by giving its names up and answering what came before that."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.names: set[str] = set()
        self.devices: dict[str, BusDevice] = {}
        self._stamp: tuple[int, int] | None = None
        self._last: dict[str, LastSaid] = {}
        try:
            self.connection = open_dbus_connection(foreign.system_bus(root), auth_timeout=TIMEOUT)
        except (OSError, RuntimeError, ValueError) as error:
            raise MwanError(f"cannot reach the system bus at {foreign.system_bus(root)}: {error}") from error
        self.refresh()

    def __enter__(self) -> BusLink:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self.give_up(*self.names)
        finally:
            self.connection.close()

    def refresh(self) -> bool:
        """Read the state file if it was saved since; True if so."""
        stamp = states.stamp(self.root)
        if stamp == self._stamp:
            return False
        self._stamp = stamp  # taken before reading: what is saved in between is read again
        self.devices = published(states.load(self.root, writes=False)[0])
        return True

    # ------------------------------------------------------------ names

    def own(self, word: str, flags: int = 0) -> int:
        """Ask for a name.  Raises MwanError."""
        (code,) = self.ask("RequestName", "su", (bus_name(word), flags))
        if code != EXISTS:
            self.names.add(word)
        return int(code)

    def give_up(self, *words: str) -> None:
        """Release names; calls that were sent to them before are answered on the way."""
        for word in words:
            self.ask("ReleaseName", "s", (bus_name(word),))
            self.names.discard(word)

    def ask(self, member: str, signature: str = "", body: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """A method of the bus itself."""
        return self._call(new_method_call(BUS, member, signature or None, body))

    # ------------------------------------------------------------ signals

    def say(self, word: str, device: BusDevice) -> None:
        """Emit PropertiesChanged."""
        place = DBusAddress(path(word), interface=objects.PROPERTIES)
        self.send(new_signal(place, "PropertiesChanged", "sa{sv}as", objects.changed(device)))
        self._last[word] = LastSaid(device, True)

    def look(self) -> None:
        """Emit PropertiesChanged for what differs from the last look; what is seen first is only noted."""
        for word, device in self.devices.items():
            seen = self._last.get(word)
            if seen is None:
                self._last[word] = LastSaid(device, False)
            elif seen.device.connectivity is not device.connectivity:
                self.say(word, device)
        for word in self._last.keys() - self.devices.keys():
            del self._last[word]

    def announce(self, word: str) -> None:
        """Emit PropertiesChanged unless this process has said the value already."""
        self.look()
        if word in self._last and not self._last[word].said:
            self.say(word, self.devices[word])

    def have_announced(self, word: str) -> None:
        """Let the owner of a name announce.  Raises RefusedError."""
        place = DBusAddress(path(word), bus_name(word), OURS)
        message = new_method_call(place, "Announce")
        message.header.flags |= MessageFlag.no_auto_start
        self._call(message)

    # ------------------------------------------------------------ messages

    def send(self, message: Any, serial: int | None = None) -> None:
        """Raises MwanError if the bus is gone."""
        try:
            self.connection.send(message, serial=serial)
        except OSError as error:
            raise MwanError(f"the system bus is gone: {error}") from error

    def receive(self, timeout: float) -> Any:
        """The next message; None if none came in time.  Raises MwanError if the bus is gone."""
        try:
            return self.connection.receive(timeout=max(0.0, timeout))
        except TimeoutError:
            return None
        except OSError as error:
            raise MwanError(f"the system bus is gone: {error}") from error

    def handle(self, message: Any) -> bool:
        """Answer a method call; False if it is something else."""
        if message.header.message_type is not MessageType.method_call:
            return False
        self.refresh()
        reply = self._answer(message)
        if not message.header.flags & MessageFlag.no_reply_expected:
            made = (
                new_error(message, reply.error, reply.signature, reply.body)
                if reply.error
                else new_method_return(message, reply.signature or None, reply.body)
            )
            self.send(made)
        return True

    def linger(self, quiet: float, most: float) -> None:
        """Answer until ``quiet`` seconds went by without a call, at most ``most`` seconds.  Raises MwanError."""
        last = time.monotonic() + most
        end = min(time.monotonic() + quiet, last)
        while (now := time.monotonic()) < end:
            message = self.receive(end - now)
            if message is not None and self.handle(message):
                end = min(time.monotonic() + quiet, last)

    def _answer(self, message: Any) -> objects.BusReply:
        fields = message.header.fields
        call = objects.BusCall(
            fields[HeaderFields.path],
            fields.get(HeaderFields.interface, ""),
            fields[HeaderFields.member],
            tuple(message.body),
        )
        word = call.path.rpartition("/")[2]
        if (call.interface, call.member) == (OURS, "Announce") and path(word) == call.path and word in self.devices:
            self.announce(word)
            return objects.BusReply()
        return objects.answer(call, self.devices)

    def _call(self, message: Any) -> tuple[Any, ...]:
        """Send and wait for the reply, answering others meanwhile."""
        serial = next(self.connection.outgoing_serial)
        self.send(message, serial)
        end = time.monotonic() + TIMEOUT
        while (reply := self.receive(end - time.monotonic())) is not None:
            if reply.header.fields.get(HeaderFields.reply_serial) != serial:
                self.handle(reply)
                continue
            if reply.header.message_type is MessageType.error:
                name = reply.header.fields[HeaderFields.error_name].rpartition(".")[2]
                raise RefusedError(name, f"{name}: {reply.body[0] if reply.body else 'no words'}")
            return tuple(reply.body)
        raise MwanError(f"the system bus did not answer within {TIMEOUT:g} s")
