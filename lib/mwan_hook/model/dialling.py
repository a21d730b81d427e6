"""Uplinks that are dialled and repaired: what the configuration says, and what is remembered."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple

BY_US = "hung up: "  # begins the reason why an uplink is offline that was hung up


class Activate(str, Enum):
    """When an uplink is up."""

    ALWAYS = "always"
    ON_DEMAND = "on-demand"


class Exercise(str, Enum):
    """How often an uplink that stands by is dialled to see that it works."""

    NEVER = "never"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Phase(str, Enum):
    """How far a dialled uplink has come."""

    IDLE = "idle"
    DIALLING = "dialling"
    UP = "up"
    LINGERING = "lingering"
    STOPPING = "stopping"
    WAITING = "waiting"
    EXERCISING = "exercising"

    @property
    def is_up(self) -> bool:
        """Whether it has an address and a way."""
        return self in (Phase.UP, Phase.LINGERING)


class Dial(NamedTuple):
    """How an uplink is dialled and hung up: ``start`` and what goes with it."""

    start: str = ""  # networkd, unit:NAME, modem:KEY=VALUE,... or command:PROGRAM ARGS
    stop: str = ""  # of a command: the one that hangs up
    reset: str = ""  # command:PROGRAM ARGS that is run after a failed dial
    activate: Activate = Activate.ALWAYS
    activate_delay: float = 0  # seconds without a better uplink before it is dialled
    ready_timeout: float = 60  # seconds from the request to address and default
    linger: float = 180  # seconds that it is kept up after a better uplink is back
    retry_min: float = 30  # pause after a failed dial; the next one is twice as long ...
    retry_max: float = 3600  # ... and at most this
    exercise: Exercise = Exercise.NEVER
    exercise_at: tuple[int, int] = (180, 300)  # minutes of the day
    dial_over_quota: bool = True  # dialled beyond its quota, too
    behind: bool = False  # without a metric of its own: all others are better

    @property
    def on_demand(self) -> bool:
        """Whether it stands by; else it is kept up."""
        return self.activate is Activate.ON_DEMAND

    @property
    def kind(self) -> str:
        """What dials: the word before the colon."""
        return self.start.partition(":")[0]

    @property
    def brings_interface(self) -> bool:
        """Whether the interface may be there only while it is dialled."""
        return self.kind in ("unit", "command")

    @property
    def by(self) -> str:
        """The same, with a unit's name; what follows other words may be secret."""
        return self.start if self.kind == "unit" else f"{self.kind}:"


class Rung(NamedTuple):
    """One step of a repair ladder, and the seconds after which a line that is out gets it."""

    step: str
    after: float


class Activation(NamedTuple):
    """What is remembered of a dialled uplink; it is stored before a request goes out."""

    phase: Phase = Phase.IDLE
    since: float = 0.0  # of the phase
    asked_at: float = 0.0  # when the last dial was asked for; names that request
    stop_at: float = 0.0  # the same of a hang-up
    stop_verb: str = ""  # how it is hung up
    tries: int = 0  # failed dials, and the one under way
    next_at: float = 0.0  # of a pause: when it is dialled again
    linger_until: float = 0.0
    wanted_since: float = 0.0
    ready_at: float = 0.0  # when it had address and way
    ours: bool = False  # dialled by us in this boot: only that is hung up
    spent: bool = False  # the redial that costs nothing was taken
    mendable: bool = False  # the last dial failed for what a reset or a repair step may mend
    reset_at: float = 0.0  # when the last reset was asked for; names that request
    hand_until: float = 0.0  # dialled by a command
    hung: bool = False  # by a command: not dialled before the next outage
    final: str = ""  # why it is not dialled any more until the operator does something
    reason: str = ""
    invocation: str = ""  # of the unit
    by: str = ""  # what dialled it
    interface: str = ""
    exercise_now: bool = False  # by a command
    exercised_at: float = 0.0  # seconds since the epoch
    dialled: int = 0  # in this boot
    failed: int = 0
    hung_up: int = 0
    exercise_failed: int = 0
    seconds: float = 0.0  # up by our dialling, but for now


class Dials(NamedTuple):
    """What outlives a boot: failed dials and exercises by uplink."""

    tries: dict[str, int] = {}
    exercised_at: dict[str, float] = {}  # seconds since the epoch
