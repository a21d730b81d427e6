"""``mwan-hook why --at``: how it was, by the record."""

from __future__ import annotations

import time

from mwan_hook import dates
from mwan_hook.commands import screen
from mwan_hook.commands.asked import destinations, moment_of
from mwan_hook.explain import document, moments, why, words
from mwan_hook.explain.clock import exact
from mwan_hook.explain.frames import frames
from mwan_hook.explain.values import Reason
from mwan_hook.light import partial
from mwan_hook.model import Family, MwanError
from mwan_hook.say import say
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.explain.frame import Frame
    from mwan_hook.explain.moments import Recorded
    from mwan_hook.explain.values import Situation
    from mwan_hook.model import Uplink


def run(root: str, word: str | None, at: str, as_json: bool) -> int:
    """Explain how it was.  Raises MwanError where nothing was recorded then."""
    now = time.time()
    moment = moment_of("--at", at, now)
    found = moments.recorded(partial(frames, root), moment, states.boot_id())
    if found.frame is None:
        raise MwanError(_unknown(found, moment, now))
    view = _then(found.frame, moment)
    uplinks = why.named(view, word) if word else []
    family = _family(word, view) if word and not uplinks else None
    if as_json:
        made = document.document(view, uplinks or view.uplinks, {}, (), "")
        screen.document({**made, "recorded": dates.utc(found.frame.wall)})
    else:
        recorded = exact(found.frame.wall, now)
        say([f"As it was at {exact(moment, now)}, by what was recorded at {recorded}:", ""])
        say(_text(view, uplinks, family))
    return 0


def _then(frame: Frame, moment: float) -> Situation:
    """How things stood at a moment at which the frame held."""
    view = why.view_of(frame, readable=True)
    return view._replace(now=view.now + moment - frame.wall, wall=moment)


def _text(view: Situation, uplinks: Sequence[Uplink], family: Family | None) -> list[str]:
    if uplinks:
        return why.story_lines(view, uplinks, screen.width())
    if family is None:
        return words.wrapped(why.overview(view), screen.width())
    unrecorded = words.sentences([Reason("unrecorded", "", family)], view, "It")
    return words.wrapped([unrecorded, *why.overview(view._replace(families=(family,)))], screen.width())


def _family(word: str, view: Situation) -> Family:
    """The family of a destination, as it is written or found by a name server now."""
    return Family.of(destinations(word, view)[0])


def _unknown(found: Recorded, moment: float, now: float) -> str:
    """Where the record has something, if not of this moment."""
    times = [f"{word} {exact(at, now)}" for word, at in (("before it", found.before), ("after it", found.after)) if at]
    there = f"the nearest that is: {' and '.join(times)}" if times else "nothing is recorded at all"
    return f"what was at {exact(moment, now)} is not recorded; {there}"
