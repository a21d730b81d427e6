"""``mwan-hook why``: whether an uplink is used, by whose order, and what would change it.  Needs no root."""

from __future__ import annotations

from mwan_hook.commands import screen
from mwan_hook.commands.asked import destinations
from mwan_hook.config import look as configured
from mwan_hook.explain import why, words
from mwan_hook.explain.values import Situation
from mwan_hook.light import NamedTuple
from mwan_hook.model import ConfigError, Family
from mwan_hook.phrases import listed
from mwan_hook.run import judge, look
from mwan_hook.say import complain, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.explain.packets import Packet
    from mwan_hook.explain.values import Reason
    from mwan_hook.model import Uplink
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
        from mwan_hook.commands import whythen

        return whythen.run(root, word, at, as_json)
    found = _live(root)
    uplinks = why.named(found.view, word) if word else []
    packets: Sequence[Packet] = ()
    if word and not uplinks:
        packets = _packets(word, found)
    ahead = {} if word else _ahead(found)
    carrying = {name for packet in packets for name in packet.uplinks}
    told = uplinks or [one for one in found.view.uplinks if not packets or one.name in carrying]
    if as_json:
        from mwan_hook.explain import document

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
        from mwan_hook.commands import from_state

        seen = look.to_read(root, from_state.loaded(root, error))
        judged = from_state.judged(seen)
        return Live(judged, why.view_of(judged, readable=False), (from_state.MISSING, *seen.messages))
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
