"""What an explanation is made from, and what it is made of."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Config, Family, FamilyState, State, Uplink, UplinkState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mwan_hook.policy.policies import BoundPolicy
    from mwan_hook.repair.ladder import Due

EARLIEST, LATEST, WHEN = "earliest", "latest", "when"  # what a reason's time is


class Situation(NamedTuple):
    """How things stood at one moment: now, or as it was recorded."""

    config: Config
    uplinks: tuple[Uplink, ...]  # as they were judged
    state: State
    now: float  # CLOCK_BOOTTIME seconds
    wall: float  # seconds since the epoch
    policies: tuple[BoundPolicy, ...] = ()
    repairs: Mapping[str, Due] = {}  # the next step of each uplink that has one
    families: tuple[Family, ...] = FAMILIES  # that the kernel knows
    readable: bool = True  # False: the configuration is not known, and only the state speaks

    def uplink(self, name: str) -> Uplink:
        """The uplink that is called so."""
        return next(uplink for uplink in self.uplinks if uplink.name == name)

    def memory(self, uplink: Uplink, family: Family) -> FamilyState:
        """What is remembered of one family of an uplink."""
        return self.state.memory(uplink.name).family(family)

    def memories(self) -> dict[str, UplinkState]:
        """What is remembered of every uplink."""
        return {uplink.name: self.state.memory(uplink.name) for uplink in self.uplinks}


class Reason(NamedTuple):
    """One thing that stands for or against an uplink, or of a family as a whole."""

    kind: str  # a row of :data:`reasons.ROWS`
    uplink: str = ""  # empty: of a family, or of all
    family: Family | None = None  # None: of both
    words: Mapping[str, str] = {}  # what the row's sentences name
    until: float | None = None  # CLOCK_BOOTTIME seconds of what would change it; None: no clock tells
    at: float | None = None  # since when it is so, which `{since}` and `{ago}` spell


class ReasonRow(NamedTuple):
    """One kind of reason in words: what it says, what would change it, and what its time is."""

    says: str
    change: str = ""
    bound: str = EARLIEST


class Carriage(NamedTuple):
    """The uplinks that carry the default of a family, and those that could."""

    family: Family
    members: tuple[Uplink, ...] = ()  # carry it now
    weights: tuple[int, ...] = ()  # of these
    online: tuple[Uplink, ...] = ()  # by preference, drained ones too
    used: tuple[Uplink, ...] = ()  # have anything to do with the family
    kept: tuple[Uplink, ...] = ()  # carry it although nothing is online

    @property
    def names(self) -> tuple[str, ...]:
        """Names of those that carry it."""
        return tuple([uplink.name for uplink in self.members])
