"""How the repair ladders of lines stand.  Imported only where an uplink has one.

A run that probes looks whether a step is due, and has another process do it (:mod:`mending`): mwan-hook-repair.service
under systemd, else a child that nothing waits for.  That one looks again, alone under its lock.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import MwanError, UplinkState
from mwan_hook.repair import ladder
from mwan_hook.say import complain
from mwan_hook.store import chores, lock, repairs, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.model import State, Uplink
    from mwan_hook.repair.ladder import Climb, Clocks, Due
    from mwan_hook.run.scene import Judged


def attend(root: str, judged: Judged) -> None:
    """Have a step done that is due or was not ended, and forget the climbs of lines that are online again.

    Says what cannot be done, and raises nothing: routing does not wait for it.
    """
    try:
        known, messages = repairs.load(root, writes=False)
        complain(messages)
        now, wanted = repairs.moment(), False
        for uplink in judged.scene.uplinks:
            if uplink.config.repair:
                lasting, climb = memory(judged.state, uplink), known.uplinks.get(uplink.name, ladder.Climb())
                fresh = ladder.current(climb, uplink, lasting, now)
                if climb.since and not fresh.since:
                    _rest(root, uplink, lasting, now)
                found = ladder.due(uplink, lasting, fresh, now)
                wanted |= climb.unfinished or bool(found and found.at <= now.now)
        if wanted and not chores.ask(root, chores.REPAIR, {}):
            wake.repair(root)
    except MwanError as error:
        complain((f"repair: {error}",))


def _rest(root: str, uplink: Uplink, online: UplinkState, now: Clocks) -> None:
    with lock.look(root):
        repairs.change(root, uplink.name, lambda climb: ladder.current(climb, uplink, online, now))


def memory(state: State, uplink: Uplink) -> UplinkState:
    """What is stored of an uplink."""
    return state.uplinks.get(uplink.name, UplinkState())


class LadderStanding(NamedTuple):
    """How the ladder of one uplink stands."""

    uplink: Uplink
    climb: Climb
    due: Due | None


def standing(root: str, judged: Judged, name: str = "") -> Iterator[LadderStanding]:
    """Every uplink with a ladder, or the one of that name."""
    known, _ = repairs.load(root, writes=False)
    now = repairs.moment()
    for uplink in judged.scene.uplinks:
        if uplink.config.repair and name in ("", uplink.name):
            stored = memory(judged.state, uplink)
            climb = ladder.current(known.uplinks.get(uplink.name, ladder.Climb()), uplink, stored, now)
            yield LadderStanding(uplink, climb, ladder.due(uplink, stored, climb, now))
