"""D-Bus: files for the bus, and the signal that something changed.  A process of ours is there only for that moment.

A name has one owner at a time, and who owns it has read the state after it got it: so the last signal that a
client hears is never older than the one before.  If the process for calls owns the name, it is asked to speak.
"""

from __future__ import annotations

import time

from mwan_hook import plainos as os
from mwan_hook.model import Connectivity, MwanError
from mwan_hook.notify.bus import files
from mwan_hook.notify.bus.names import BusDevice, bus_name, element, published
from mwan_hook.store import state as states
from mwan_hook.store.files import under
from mwan_hook.store.foreign import BUS
from mwan_hook.verdict.notices import AGAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice
    from mwan_hook.notify.bus.link import BusLink

EVENTS = frozenset(one.word for one in Connectivity)
TRIES = 20  # times that a name may change hands while we try to get it
PAUSE = 0.05  # seconds between them
QUIET = 0.3  # seconds that we wait for a call of who saw a name appear: without us the bus would start a process for it
LONGEST = 2.0  # seconds that we stay for calls


def deliver(root: str, _loaded: Loaded, notices: Sequence[Notice]) -> bool:
    """Have the bus know the names of now, and its clients what changed.

    Raises MwanError; what could be said was said then.  On ``again`` all of it is said, changed or not.
    """
    there_now = published(states.load(root, writes=False)[0])
    anew = any(one.event == AGAIN for one in notices)
    changed = files.sync(root, there_now) or anew
    told = dict(there_now) if anew else {}
    told |= {
        element(one.interface): BusDevice(one.interface, one.state)
        for one in notices
        if one.interface and one.event in EVENTS
    }
    if not (changed or told) or not there(root):
        return True
    errors: list[str] = []
    with connect(root) as link:
        if changed:
            link.ask("ReloadConfig")
        for word, device in told.items():
            try:
                _announce(link, word, device)
            except MwanError as error:
                errors.append(f"{bus_name(word)}: {error}")
        if link.names:
            link.linger(QUIET, LONGEST)
    if errors:
        raise MwanError("\n".join(errors))
    return True


def remove(root: str) -> None:
    """Take our files from the bus: no name of ours can be called any more.  Raises MwanError."""
    if files.remove(root) and files.installed(root) and there(root):
        with connect(root) as link:
            link.ask("ReloadConfig")


def serve(root: str, idle: float) -> int:
    """``mwan-hook bus``.  Raises MwanError."""
    _need_jeepney()
    from mwan_hook.notify.bus import server

    return server.serve(root, idle)


def there(root: str) -> bool:
    """False on a machine without a system bus."""
    return bool(os.variable("DBUS_SYSTEM_BUS_ADDRESS")) or os.path.exists(under(root, BUS))


def connect(root: str) -> BusLink:
    """Raises MwanError."""
    _need_jeepney()
    from mwan_hook.notify.bus.link import BusLink

    return BusLink(root)


def _need_jeepney() -> None:
    from importlib.util import find_spec

    if find_spec("jeepney") is None:
        raise MwanError("D-Bus needs the Python package jeepney (Debian: python3-jeepney)")


def _announce(link: BusLink, word: str, last: BusDevice) -> None:
    """Say an interface's value as the name's owner, or have the owner say it.  ``last``: for one that is gone."""
    from mwan_hook.notify.bus.link import DO_NOT_QUEUE, EXISTS, MOVED, RefusedError

    for _ in range(TRIES):
        if link.own(word, DO_NOT_QUEUE) != EXISTS:
            link.refresh()
            link.say(word, link.devices.get(word, last))
            return
        try:
            link.have_announced(word)
            return
        except RefusedError as refusal:
            if refusal.name not in MOVED:
                raise MwanError(f"the name belongs to another program ({refusal})") from refusal
        time.sleep(PAUSE)
    raise MwanError("the name's owner neither speaks nor leaves")
