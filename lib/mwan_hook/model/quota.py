"""What an uplink with a quota has carried."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple


class Stage(str, Enum):
    """How far an uplink has come with its quota."""

    BELOW = "below"
    WARNING = "warning"
    EXCEEDED = "exceeded"


class Usage(NamedTuple):
    """What an uplink with a quota has carried, and the reading that it is counted on from."""

    boot_id: str = ""
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    counter: int = 0  # bytes, by the kernel
    at: float = 0.0  # CLOCK_BOOTTIME seconds of that boot
    period: str = ""  # in force, by its first day, YYYY-MM-DD; empty: the date is not known
    periods: dict[str, int] = {}  # bytes in each
    reset_day: int = 1
    stage: Stage = Stage.BELOW
    first: str = ""  # day on which counting began


class Usages(NamedTuple):
    """What outlives a boot: usage by uplink."""

    uplinks: dict[str, Usage] = {}
