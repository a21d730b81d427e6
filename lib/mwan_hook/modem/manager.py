"""ModemManager: its modems, SIMs and bearers."""

from __future__ import annotations

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.modem.bus import TIMEOUT, AnsweredError, Caller, plain
from mwan_hook.modem.values import MODEM, NO_OBJECT, BearerSeen, ModemSeen, bearer, modems

NAME = "org.freedesktop.ModemManager1"
PATH = "/org/freedesktop/ModemManager1"
OBJECTS = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
HANG_UP = 35.0  # seconds; ModemManager itself gives a modem 30 to disconnect


class Manager:
    """ModemManager as this program uses it.  Every method raises AnsweredError."""

    def __init__(self, bus: Caller) -> None:
        self._bus = bus

    def owner(self) -> str:
        """Which start of ModemManager this is: the paths of its objects are of that start only."""
        return self._bus.owner(NAME)

    def modems(self, start: bool) -> tuple[ModemSeen, ...]:
        """All modems; ``start``: the bus may start ModemManager."""
        (objects,) = self._bus.call(NAME, PATH, OBJECTS, "", (), TIMEOUT * 2 if start else TIMEOUT, start)
        told = {
            path: {kind: {key: plain(value) for key, value in values.items()} for kind, values in kinds.items()}
            for path, kinds in objects.items()
        }
        return modems(told)

    def bearer(self, path: str) -> BearerSeen:
        """What ModemManager tells of a bearer now."""
        return bearer(path, self._bus.properties(NAME, path, f"{NAME}.Bearer"))

    def bearers(self, modem: ModemSeen) -> list[BearerSeen]:
        """A modem's bearers; one that goes meanwhile is left out."""
        found = []
        for path in modem.bearers:
            try:
                found.append(self.bearer(path))
            except AnsweredError:
                continue
        return found

    def sim_id(self, modem: ModemSeen) -> str:
        """What tells this SIM from others: its number, or while that cannot be read the modem's."""
        if modem.sim and modem.sim != NO_OBJECT:
            number = self._bus.properties(NAME, modem.sim, f"{NAME}.Sim").get("SimIdentifier")
            if isinstance(number, str) and number:
                return number
        return f"modem {modem.equipment}"

    def send_pin(self, modem: ModemSeen, pin: str, timeout: float) -> None:
        """Unlock the SIM.  It costs a try if the PIN is wrong."""
        if not modem.sim or modem.sim == NO_OBJECT:
            raise DialError(causes.FAILED, "the modem wants a PIN and shows no SIM")
        self._bus.call(NAME, modem.sim, f"{NAME}.Sim.SendPin", "s", (pin,), timeout, False)

    def connect(self, modem: ModemSeen, asked: dict[str, tuple[str, object]], timeout: float) -> str:
        """Enable, register, connect; the bearer's path."""
        (path,) = self._bus.call(NAME, modem.path, f"{MODEM}.Simple.Connect", "a{sv}", (asked,), timeout, False)
        return str(path)

    def disconnect(self, modem: ModemSeen, path: str) -> None:
        """Disconnect one bearer; with NO_OBJECT all of them, and a connect under way is given up."""
        self._bus.call(NAME, modem.path, f"{MODEM}.Simple.Disconnect", "o", (path,), HANG_UP, False)

    def delete(self, modem: ModemSeen, path: str) -> None:
        """Take a bearer away: ModemManager itself keeps each."""
        self._bus.call(NAME, modem.path, f"{MODEM}.DeleteBearer", "o", (path,), TIMEOUT, False)
