"""What was dialled on an interface in this boot, and which PINs were sent to which SIMs in any.

Both are written before what they tell of is done, and belong to root alone: who could take a PIN's record away could
have a SIM locked.
"""

from __future__ import annotations

import hashlib
import os

from mwan_hook.light import NamedTuple
from mwan_hook.modem.decide import PinTry
from mwan_hook.store import codec, files
from mwan_hook.store.filelocked import FileLocked

PLACE = files.ROOTS + "/modem"
PINS = files.ROOTS_LIB + "/pins.json"
WAIT = 10.0  # seconds for another process at the same interface


class Dialled(NamedTuple):
    """What is ours on an interface: a bearer, and what was set."""

    owner: str  # the start of ModemManager that its paths are of
    modem: str
    before: tuple[str, ...] = ()  # bearers that were there already
    bearer: str = ""  # none yet: ModemManager was asked to connect
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    addresses: tuple[str, ...] = ()  # ADDRESS/LENGTH
    metrics: tuple[str, ...] = ()  # of the defaults, as FAMILY METRIC


class PinTries(NamedTuple):
    """The last PIN that each SIM got."""

    sims: dict[str, PinTry] = {}


codec.teach(Dialled, PinTry, PinTries)


def one_at_a_time(root: str, interface: str) -> FileLocked:
    """The lock of an interface: only one process dials on it or hangs up."""
    return FileLocked(files.under(root, f"{PLACE}/{interface}.lock"), WAIT)


def dialled(root: str, interface: str) -> Dialled | None:
    """What was dialled; None if nothing was."""
    path = files.under(root, f"{PLACE}/{interface}.json")
    found: Dialled | None = codec.load(path, Dialled.__name__, None, None, writes=True)[0]
    return found


def remember(root: str, interface: str, what: Dialled | None) -> None:
    """Store it, or forget it.  Raises MwanError."""
    path = files.under(root, f"{PLACE}/{interface}.json")
    if what:
        files.replace(path, codec.encode(what), durable=False)
    else:
        files.discard(path)


def digest(sim: str, pin: str) -> str:
    """What a PIN on a SIM is remembered by."""
    return hashlib.sha256(f"{sim}\n{pin}".encode()).hexdigest()


def pin_try(root: str, sim: str) -> PinTry | None:
    """The last PIN that a SIM got."""
    return _pins(root).sims.get(sim)


def remember_pin(root: str, sim: str, what: PinTry) -> None:
    """Store it, for root's eyes only and across a power cut.  Raises MwanError."""
    path = files.under(root, PINS)
    files.make_directory(os.path.dirname(path))
    files.replace(path, codec.encode(PinTries({**_pins(root).sims, sim: what})), durable=True, mode=0o600)


def _pins(root: str) -> PinTries:
    found: PinTries = codec.load(files.under(root, PINS), PinTries.__name__, PinTries(), None, writes=True)[0]
    return found
