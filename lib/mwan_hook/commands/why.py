"""``mwan-hook why``: whether an uplink is used, by whose order, and what would change it.  Needs no root."""

from __future__ import annotations

import time

from mwan_hook import dates
from mwan_hook.commands import screen
from mwan_hook.commands.asked import destinations, moment_of
from mwan_hook.commands.looking import MISSING, from_state, stored
from mwan_hook.config import look as configured
from mwan_hook.explain import document, moments, why, words
from mwan_hook.explain.clock import exact
from mwan_hook.explain.frames import frames
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.light import NamedTuple, partial
from mwan_hook.model import ConfigError, Family, MwanError, Uplink
from mwan_hook.phrases import listed
from mwan_hook.run import judge, look
from mwan_hook.say import complain, say
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.explain.frame import Frame
    from mwan_hook.explain.moments import Recorded
    from mwan_hook.explain.packets import Packet
    from mwan_hook.run.scene import Judged

SAMPLES = {Family.IPV4: "1.0.0.1", Family.IPV6: "2600::1"}  # addresses that only a default leads to


class Live(NamedTuple):
    """How things stand."""

    judged: Judged
    view: Situation
    messages: tuple[str, ...]


def run(root: str, word: str | None, at: str | None, as_json: bool) -> int:
    """Explain how it is, or how it was."""
    if at is not None:
        return _run_then(root, word, at, as_json)
    found = _live(root)
    uplinks = why.named(found.view, word) if word else []
    packets: Sequence[Packet] = ()
    if word and not uplinks:
        packets = _packets(word, found)
    ahead = {} if word else _ahead(found)
    carrying = {name for packet in packets for name in packet.uplinks}
    told = uplinks or [one for one in found.view.uplinks if not packets or one.name in carrying]
    if as_json:
        made = document.document(found.view, told, ahead, packets, word or "")
        screen.document(made)
    else:
        say(_text(found.view, uplinks, packets, ahead, word or ""))
    complain(found.messages)
    return 0


def _live(root: str) -> Live:
    try:
        loaded = configured(root)
    except ConfigError as error:
        seen = look.to_read(root, from_state(root, error))
        judged = stored(seen)
        return Live(judged, why.view_of(judged, readable=False), (MISSING, *seen.messages))
    judged = judge.judge(look.to_read(root, loaded))
    return Live(judged, why.view_of(judged, readable=True), (*judged.scene.messages, *loaded.warnings))


def _text(
    view: Situation,
    uplinks: Sequence[Uplink],
    packets: Sequence[Packet],
    ahead: dict[Family, Sequence[Reason]],
    word: str,
) -> list[str]:
    if uplinks:
        return why.story_lines(view, uplinks, screen.width())
    if not packets:
        return words.wrapped(why.overview(view, ahead), screen.width())
    paragraphs = [text for packet in packets for text in why.packet(view, packet)]
    addresses = [packet.address for packet in packets]
    heading = [f"{word} is {listed(addresses)}."] if not _is_address(word) else []
    return words.wrapped([*heading, *paragraphs], screen.width())


def _is_address(word: str) -> bool:
    return ":" in word or word.replace(".", "").isdigit()


def _packets(word: str, found: Live) -> list[Packet]:
    """Which way packets to a destination take, by the walk of ``trace``: one of each family that it has."""
    from mwan_hook.commands import trace
    from mwan_hook.explain import packets

    addresses = destinations(word, found.view)
    return [packets.explained(*trace.plain(found.judged, address), found.view) for address in addresses]


def _ahead(found: Live) -> dict[Family, Sequence[Reason]]:
    """What takes packets before the defaults that there are."""
    from mwan_hook.commands import trace
    from mwan_hook.explain import packets
    from mwan_hook.explain.carriage import carriage

    taken: dict[Family, Sequence[Reason]] = {}
    for family in found.view.families:
        if found.view.uplinks and carriage(found.view, family).members:
            done, _, names = trace.plain(found.judged, SAMPLES[family])
            taken[family] = packets.ahead(done, names, found.view)
    return taken


# ---------------------------------------------------------------- how it was, by the record


def _run_then(root: str, word: str | None, at: str, as_json: bool) -> int:
    """Explain how it was.  Raises MwanError where nothing was recorded then."""
    now = time.time()
    moment = moment_of("--at", at, now)
    found = moments.recorded(partial(frames, root), moment, states.boot_id())
    if found.frame is None:
        raise MwanError(_unknown(found, moment, now))
    view = _then(found.frame, moment)
    uplinks = why.named(view, word) if word else []
    family = Family.of(destinations(word, view)[0]) if word and not uplinks else None  # a name's by its server now
    if as_json:
        made = document.document(view, uplinks or view.uplinks, {}, (), "")
        screen.document({**made, "recorded": dates.utc(found.frame.wall)})
    else:
        recorded = exact(found.frame.wall, now)
        say([f"As it was at {exact(moment, now)}, by what was recorded at {recorded}:", ""])
        say(_text_then(view, uplinks, family))
    return 0


def _then(frame: Frame, moment: float) -> Situation:
    """How things stood at a moment at which the frame held."""
    view = why.view_of(frame, readable=True)
    return view._replace(now=view.now + moment - frame.wall, wall=moment)


def _text_then(view: Situation, uplinks: Sequence[Uplink], family: Family | None) -> list[str]:
    if uplinks:
        return why.story_lines(view, uplinks, screen.width())
    if family is None:
        return words.wrapped(why.overview(view), screen.width())
    unrecorded = words.sentences([Reason("unrecorded", "", family)], view, "It")
    return words.wrapped([unrecorded, *why.overview(view._replace(families=(family,)))], screen.width())


def _unknown(found: Recorded, moment: float, now: float) -> str:
    """Where the record has something, if not of this moment."""
    times = [f"{word} {exact(at, now)}" for word, at in (("before it", found.before), ("after it", found.after)) if at]
    there = f"the nearest that is: {' and '.join(times)}" if times else "nothing is recorded at all"
    return f"what was at {exact(moment, now)} is not recorded; {there}"
