"""How the repair ladders of lines stand.  Imported only where an uplink has one.

A run that probes looks whether a step is due, and has another process do it (:mod:`mending`): mwan-hook-repair.service
under systemd, else a child that nothing waits for.  That one looks again, alone under its lock.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Activation, MwanError
from mwan_hook.repair import ladder
from mwan_hook.say import complain
from mwan_hook.store import chores, lock, repairs, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.model import State, Uplink
    from mwan_hook.repair.ladder import Climb, Clocks, Due, Line
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
                line, climb = line_of(judged.state, uplink), known.uplinks.get(uplink.name, ladder.Climb())
                fresh = ladder.current(climb, line, now)
                if climb.since and not fresh.since:
                    _rest(root, line, now)
                found = ladder.due(line, fresh, now)
                wanted |= climb.unfinished or bool(found and found.at <= now.now)
        if wanted and not chores.ask(root, chores.REPAIR, {}):
            wake.repair(root)
    except MwanError as error:
        complain((f"repair: {error}",))


def _rest(root: str, online: Line, now: Clocks) -> None:
    with lock.look(root):
        repairs.change(root, online.uplink.name, lambda climb: ladder.current(climb, online, now))


def line_of(state: State, uplink: Uplink) -> Line:
    """An uplink with what is stored of it."""
    name = uplink.name
    return ladder.Line(uplink, state.memory(name), state.dials.get(name, Activation()))


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
            line = line_of(judged.state, uplink)
            climb = ladder.current(known.uplinks.get(uplink.name, ladder.Climb()), line, now)
            yield LadderStanding(uplink, climb, ladder.due(line, climb, now))
