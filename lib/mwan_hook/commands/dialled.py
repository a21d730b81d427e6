"""What status shows of uplinks that are dialled."""

from __future__ import annotations

from mwan_hook import dates
from mwan_hook.dial.words import described
from mwan_hook.model import Activation, Phase, Uplink
from mwan_hook.run.scene import Judged, Scene

_WANTED = (Phase.DIALLING, Phase.UP, Phase.WAITING)


def words(seen: Scene, record: Activation) -> str:
    """How far one is, for people; empty while its verdict says it all."""

    def clock(moment: float) -> str:
        return dates.local(seen.wall - seen.now + moment, dates.CLOCK)

    return described(record, seen.now, clock)


def document(judged: Judged, uplink: Uplink) -> dict[str, object]:
    """The same for programs."""
    seen = judged.scene
    record, dial = judged.state.dials.get(uplink.name, Activation()), uplink.config.dial

    def when(moment: float) -> str | None:
        return dates.utc(seen.wall - seen.now + moment) if 0 < moment < 1e9 else None

    return {
        "state": record.phase.value,
        "wanted": record.phase in _WANTED or bool(record.wanted_since),
        "reason": record.reason,
        "tries": record.tries,
        "asked_at": when(record.asked_at),
        "next_at": when(record.next_at),
        "linger_until": when(record.linger_until),
        "exercised_at": dates.utc(record.exercised_at) if record.exercised_at else None,
        "exercise": dial.exercise.value if dial else None,
        "ours": record.ours,
    }
