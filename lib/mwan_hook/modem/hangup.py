"""Hang up: the interface is cleared first, then the connection ends and its bearer goes.

What there is to do was stored before it was done, so this follows a dial that was killed at any point.
"""

from __future__ import annotations

from contextlib import suppress

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.modem import decide, interface, memory
from mwan_hook.modem.bus import AnsweredError, Caller, tell_servers
from mwan_hook.modem.manager import Manager
from mwan_hook.modem.memory import Dialled
from mwan_hook.modem.values import CONNECTING, DISCONNECTING, NO_OBJECT, ModemSeen


def clear(root: str, name: str, known: Dialled) -> Dialled:
    """Take from the interface what was set on it; needs no bus.  Raises DialError."""
    link = interface.link(name)
    if link and known.index == link.index:
        interface.clear(link.index, known.addresses, known.metrics)
        interface.down(link.index)
    known = known._replace(addresses=(), metrics=())
    memory.remember(root, name, known)
    return known


def end(root: str, name: str, known: Dialled, bus: Caller) -> None:
    """End the connection and forget it; a modem that is gone has none.  Raises DialError for one that does not."""
    if known.index:
        tell_servers(bus, known.index, ())
    manager = Manager(bus)
    try:
        modem = decide.with_interface(manager.modems(start=False), name)
    except AnsweredError as error:
        if not error.absent:
            raise
        modem = None
    if modem:
        _end(name, known, manager, modem)
    memory.remember(root, name, None)


def _end(name: str, known: Dialled, manager: Manager, modem: ModemSeen) -> None:
    same = manager.owner() == known.owner and modem.path == known.modem
    if same and not known.bearer:
        abort(manager, modem)
        modem = decide.with_interface(manager.modems(start=False), name) or modem
    for bearer in manager.bearers(modem):
        ours = same and (bearer.path == known.bearer or (not known.bearer and bearer.path not in known.before))
        if bearer.connected and bearer.interface == name:
            purge(manager, modem, bearer.path, connected=True)
        elif ours and (not bearer.connected or not bearer.interface):
            under_way = bearer.connected or modem.state in (CONNECTING, DISCONNECTING)
            purge(manager, modem, bearer.path, connected=under_way)


def abort(manager: Manager, modem: ModemSeen) -> None:
    """End a connect that is under way although the one who asked for it is gone: ModemManager goes on by itself.

    Only a disconnect of all bearers gives it up.
    """
    with suppress(AnsweredError):  # what is left of it is seen in the modem's state
        manager.disconnect(modem, NO_OBJECT)


def purge(manager: Manager, modem: ModemSeen, path: str, connected: bool) -> None:
    """Disconnect a bearer, and take it away.  Raises DialError for a modem that does not let go of it."""
    try:
        if connected:
            manager.disconnect(modem, path)
    except AnsweredError as error:
        if not _gone(error):
            words = f"the modem does not disconnect ({error}): its firmware may be stuck, plug it in again"
            raise DialError(causes.STUCK, words) from None
    try:
        manager.delete(modem, path)
    except AnsweredError as error:
        if not _gone(error):
            raise


def _gone(error: AnsweredError) -> bool:
    """Whether the bearer, or the modem, is there no more."""
    return error.absent or error.name.rpartition(".")[2] in ("NotFound", "UnknownObject", "UnknownMethod")
