"""Dial: from any state of modem and interface to a connection with address and default."""

from __future__ import annotations

import time

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.dial.modemkeys import ModemSettings
from mwan_hook.light import NamedTuple
from mwan_hook.modem import decide, memory
from mwan_hook.modem.bus import SILENT, AnsweredError, Caller
from mwan_hook.modem.decide import ADVICE, PinTry
from mwan_hook.modem.hangup import abort, purge
from mwan_hook.modem.interface import Connected, place
from mwan_hook.modem.manager import Manager
from mwan_hook.modem.memory import Dialled
from mwan_hook.modem.values import CONNECTING, DISCONNECTING, LOCKED_STATE, ON_ITS_WAY, UNKNOWN, BearerSeen, ModemSeen

APPEARS = 30.0  # seconds for ModemManager to have a modem that is plugged in
LOOK = 0.25  # seconds between two looks at a modem that is on its way
LEAST = 5.0  # seconds for a connect, however late it is


class Attempt(NamedTuple):
    """One attempt to dial: what, below which root, until when (CLOCK_MONOTONIC)."""

    root: str
    interface: str
    settings: ModemSettings
    metric: int
    password: str
    pin: str
    until: float

    @property
    def left(self) -> float:
        """Seconds until then."""
        return self.until - time.monotonic()


def dial(one: Attempt, bus: Caller, manager: Manager) -> Connected:
    """Connect, and set the interface.  Raises DialError.

    A second one with the same settings finds the connection, and what was set, and changes nothing.
    """
    modem = _ready(one, manager, _found(one, manager))
    asked = decide.request(one.settings, one.password)
    before = memory.dialled(one.root, one.interface)
    owner, here = manager.owner(), manager.bearers(modem)
    mine = next((b for b in here if b.connected and b.interface == one.interface and decide.alike(b, asked)), None)
    known = before or Dialled(owner, modem.path)
    if mine:
        known = _keep(one, known._replace(owner=owner, modem=modem.path, bearer=mine.path), before)
        return place(one.root, one.interface, bus, known, mine, one.metric)
    _make_way(one, manager, modem, here, asked)
    modem = _ready(one, manager, _again(manager, modem))
    known = known._replace(owner=owner, modem=modem.path, before=modem.bearers, bearer="")
    known = _keep(one, known, before)
    path = _connected(one, manager, modem, asked)
    known = _keep(one, known._replace(bearer=path), known)
    return place(one.root, one.interface, bus, known, manager.bearer(path), one.metric)


def _keep(one: Attempt, what: Dialled, before: Dialled | None) -> Dialled:
    if what != before:
        memory.remember(one.root, one.interface, what)
    return what


def _found(one: Attempt, manager: Manager) -> ModemSeen:
    """The modem of the interface; a moment after it was plugged in, ModemManager does not have it yet."""
    until = min(one.until, time.monotonic() + APPEARS)
    while True:
        try:
            modem = decide.with_interface(manager.modems(start=True), one.interface)
        except AnsweredError as error:
            if error.absent:
                words = "ModemManager does not run, and cannot be started: apt install modemmanager"
                raise DialError(causes.NO_MODEM, words) from None
            raise
        if modem:
            return modem
        if time.monotonic() >= until:
            raise DialError(causes.NO_MODEM, f"no modem of ModemManager has the interface {one.interface}: mmcli -L")
        time.sleep(LOOK)


def _again(manager: Manager, modem: ModemSeen) -> ModemSeen:
    """The same modem, looked at anew."""
    found = next((other for other in manager.modems(start=False) if other.path == modem.path), None)
    if not found:
        raise DialError(causes.NO_MODEM, "the modem went away")
    return found


def _ready(one: Attempt, manager: Manager, modem: ModemSeen) -> ModemSeen:
    """Wait until the modem is in a state to be dialled in, unlocked.  Raises DialError."""
    while True:
        if trouble := decide.failure(modem):
            raise trouble
        if modem.state == LOCKED_STATE:
            _unlock(one, manager, modem)
        elif modem.state not in ON_ITS_WAY:
            return modem
        elif modem.state == CONNECTING and memory.dialled(one.root, one.interface):
            abort(manager, modem)  # a dial of ours that was killed
        if one.left <= 0:
            raise _late(modem)
        time.sleep(LOOK)
        modem = _again(manager, modem)


def _late(modem: ModemSeen) -> DialError:
    if modem.state == DISCONNECTING:
        words = "the modem has not come out of the state disconnecting: its firmware is stuck, plug it in again"
        return DialError(causes.STUCK, words)
    if modem.state == UNKNOWN:
        return DialError(causes.STUCK, "ModemManager gets no answer of the modem: plug it in again")
    return DialError(causes.NO_NETWORK, f"the modem is {modem.state_word}, and did not get ready in time")


def _unlock(one: Attempt, manager: Manager, modem: ModemSeen) -> None:
    """Send the PIN; that it was sent is on the disk before.  Raises DialError."""
    sim = manager.sim_id(modem)
    digest = memory.digest(sim, one.pin)
    if trouble := decide.pin_obstacle(modem, one.settings.pin_file, digest, memory.pin_try(one.root, sim)):
        raise trouble
    sent = PinTry(digest, modem.tries or 0)
    memory.remember_pin(one.root, sim, sent)
    try:
        manager.send_pin(modem, one.pin, max(LEAST, one.left))
    except AnsweredError as error:
        if error.name.endswith((".IncorrectPassword", ".SimPuk")):
            memory.remember_pin(one.root, sim, sent._replace(refused=True))
            words = f"the SIM refused the PIN in {one.settings.pin_file}: it is not sent again"
            raise DialError(causes.PIN_REFUSED, words) from None
        raise
    while (now := _again(manager, modem)).state == LOCKED_STATE and one.left > 0:
        time.sleep(LOOK)
    if now.state == LOCKED_STATE:
        raise DialError(causes.NO_NETWORK, "the SIM took the PIN, and the modem stays locked")


def _make_way(
    one: Attempt, manager: Manager, modem: ModemSeen, here: list[BearerSeen], asked: dict[str, tuple[str, object]]
) -> None:
    """Take away other connections of this interface, and what dials of ours have left: one bearer is the most."""
    for bearer in here:
        if bearer.connected and bearer.interface == one.interface:
            purge(manager, modem, bearer.path, connected=True)
        elif not bearer.connected and decide.alike(bearer, asked):
            purge(manager, modem, bearer.path, connected=False)


def _connected(one: Attempt, manager: Manager, modem: ModemSeen, asked: dict[str, tuple[str, object]]) -> str:
    """The path of the bearer that is connected.  Raises DialError."""
    try:
        return manager.connect(modem, asked, max(LEAST, one.left))
    except AnsweredError as error:
        said = str(error).replace(one.password, "***") if one.password else str(error)
        if error.name == SILENT:
            raise DialError(causes.NO_NETWORK, f"no connection in time: {said}") from None
        code = decide.meaning(error.name, error.words)
        apn = f" (APN {one.settings.apn})" if one.settings.apn and code == causes.WRONG_APN else ""
        advice = f"; {ADVICE[code]}" if code in ADVICE else ""
        raise DialError(code, f"{causes.CAUSES[code].words}{apn}: {said}{advice}") from None
