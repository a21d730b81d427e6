"""What deciding about a dialled uplink takes and gives."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple
from mwan_hook.model import Activation, Dial, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NETWORKD, UNIT, MODEM, COMMAND = "networkd", "unit", "modem", "command"  # kinds of `start`


class Verb(str, Enum):
    """What is asked of what dials."""

    DIAL = "dial"
    HANG_UP = "hang-up"
    END = "end"  # what dials is ended, and all that it started
    ABORT = "abort"  # both, the latter first
    RESET = "reset"  # what dials is to be mended by a program of the operator's


class Outlook(str, Enum):
    """Whether something better than a dialled uplink is there."""

    WANTED = "wanted"
    UNSURE = "unsure"  # not known yet: nothing is dialled, and nothing hung up
    PEACE = "peace"  # what we dialled may go


class Need(NamedTuple):
    """Whether an uplink is wanted up, and why."""

    standing: Outlook
    why: str
    families: tuple[Family, ...] = ()  # in which there is no better one; empty: any will do


class Sight(NamedTuple):
    """What is seen of a dialled uplink and of what dials it."""

    families: tuple[Family, ...] = ()  # that have an address and a way
    alive: bool = False  # what dials runs
    sent: bool = False  # the last request has reached it
    code: int | None = None  # how it ended; None: it runs, or that is not known
    said: str = ""  # what was wrong then, in its own words
    final: bool = False  # what no other try can mend
    stopping: bool = False  # the command that hangs up runs
    stop_failed: bool = False
    online: bool = False  # by probes, in any family
    silent: bool = False  # probes get nothing, in any family that it has
    carried: bool = False  # another uplink carries what this one would, and the kernel has it
    invocation: str = ""
    device: bool = True  # the interface is there, or comes by dialling


class Occasion(NamedTuple):
    """One uplink at one moment: all that the next step depends on."""

    now: float
    dial: Dial
    need: Need
    sight: Sight
    enabled: bool = True
    refused: str = ""  # why it may not be dialled now
    exercise: bool = False  # it is time for one


class Move(NamedTuple):
    """What is remembered next, and what is asked."""

    record: Activation
    verb: Verb | None = None


class DialRequest(NamedTuple):
    """One thing to ask, named by uplink and moment."""

    uplink: str
    verb: Verb
    key: float  # when it was asked for
    again: bool = False  # it was asked before, and nothing shows that it arrived


class Decision(NamedTuple):
    """What is remembered of all dialled uplinks, and at most one request."""

    records: Mapping[str, Activation]
    request: DialRequest | None
    due_at: float  # when there may be something to decide although nothing else changes
