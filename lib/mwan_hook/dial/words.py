"""What status says of a dialled uplink."""

from __future__ import annotations

from mwan_hook.durations import duration
from mwan_hook.model import Phase
from mwan_hook.phrases import many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.model import Activation


def described(record: Activation, now: float, clock: Callable[[float], str]) -> str:
    """One line; ``clock`` spells a CLOCK_BOOTTIME moment as a time of the day.  Empty: nothing but the verdict."""
    if record.phase in (Phase.DIALLING, Phase.EXERCISING) and not record.ready_at:
        what = "exercise: " if record.phase is Phase.EXERCISING else ""
        tried = f", try {record.tries}" if record.tries else ""
        return f"{what}dialling for {duration(now - record.asked_at)}{tried}"
    if record.phase is Phase.WAITING:
        failed = f"{many(record.tries, 'failed dial')} ({record.reason})"
        return f"{failed}, not tried again" if record.final else f"{failed}, next at {clock(record.next_at)}"
    if record.phase is Phase.LINGERING:
        return f"kept until {clock(record.linger_until)}: {record.reason}"
    if record.phase is Phase.IDLE:
        return f"idle: {record.reason}"
    return f"hanging up: {record.reason}" if record.phase is Phase.STOPPING else ""
