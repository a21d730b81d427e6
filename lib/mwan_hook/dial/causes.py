"""Why a dial failed, by exit status: the one table for what dials and for what waits before dialling again.

``mwan-hook modem`` ends with these; units and commands of the operator's may do the same.  69 to 78 mean what
sysexits.h says, 19 is pppd's.
"""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple
from mwan_hook.model import MwanError


class Remedy(str, Enum):
    """What makes another dial sensible."""

    OPERATOR = "operator"  # none before the operator has acted: it would cost tries of a PIN, or is known to fail
    HOURLY = "hourly"  # a mistake that may be mended elsewhere, or a carrier that locks out those who ask too often
    PAUSE = "pause"  # the usual pause


class Cause(NamedTuple):
    """A row of the table; with ``repair`` the modem itself is at fault, and only a reset or new power helps."""

    words: str
    remedy: Remedy
    repair: bool = False


WRONG_PASSWORD_PPP = 19
NO_MODEM, NO_NETWORK, ROAMING, CONFIGURATION = 69, 75, 77, 78
NO_SIM, LOCKED, PIN_REFUSED, PUK = 80, 81, 82, 83
WRONG_APN, WRONG_PASSWORD, REFUSED = 84, 85, 86
STUCK, FAILED = 87, 88

CAUSES: dict[int, Cause] = {
    WRONG_PASSWORD_PPP: Cause("wrong user or password", Remedy.HOURLY),
    NO_MODEM: Cause("no modem", Remedy.PAUSE),
    NO_NETWORK: Cause("no network, or no answer in time", Remedy.PAUSE),
    ROAMING: Cause("roaming is not allowed", Remedy.HOURLY),
    CONFIGURATION: Cause("mistake in the configuration", Remedy.HOURLY),
    NO_SIM: Cause("no SIM", Remedy.OPERATOR),
    LOCKED: Cause("SIM is locked", Remedy.OPERATOR),
    PIN_REFUSED: Cause("PIN was refused", Remedy.OPERATOR),
    PUK: Cause("SIM wants its PUK", Remedy.OPERATOR),
    WRONG_APN: Cause("wrong APN", Remedy.HOURLY),
    WRONG_PASSWORD: Cause("wrong user or password", Remedy.HOURLY),
    REFUSED: Cause("refused by the network", Remedy.HOURLY),
    STUCK: Cause("modem is stuck", Remedy.PAUSE, repair=True),
    FAILED: Cause("modem has failed", Remedy.PAUSE, repair=True),
}


def cause(status: int) -> Cause:
    """The row of an exit status; any other failure is worth another dial after the usual pause."""
    return CAUSES.get(status) or Cause(f"exit code {status}", Remedy.PAUSE)


class DialError(MwanError):
    """A dial failed; ``code`` is a key of CAUSES."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
