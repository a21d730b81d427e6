"""Draining: what is known of drained uplinks in this boot, and when they are disabled.  Pure.

The command's words outlive a boot with a date; within one boot the boot's clock counts, so that a date which was set
meanwhile makes no drain longer or shorter.
"""

from __future__ import annotations

from mwan_hook.model import FAMILIES, Draining
from mwan_hook.phrases import many
from mwan_hook.verdict import switches
from mwan_hook.verdict.standing import is_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mwan_hook.model import Allotment, Drain, State, Uplink

NO_OTHER = "nothing else is online"


def records(
    drained: Iterable[Uplink],
    allotment: Allotment,
    stored: Mapping[str, Draining],
    counts: Mapping[str, int | None],
    now: float,
    wall: float,
) -> dict[str, Draining]:
    """What is known of each drained uplink; ``counts``: connections, as far as they were counted now."""
    found = {}
    for uplink in drained:
        what, old = switches.drain(allotment, uplink.name), stored.get(uplink.name)
        if what is None:
            continue
        same = old if old and old.until == what.until else None
        ends = now + min(max(what.until - wall, 0.0), what.wait)
        if same:
            ends = min(same.ends, now + what.wait)
        connections = counts.get(uplink.name, same.connections if same else None)
        found[uplink.name] = Draining(what.until, ends, connections)
    return found


def over(
    uplinks: Sequence[Uplink],
    allotment: Allotment,
    state: State,
    stored: Mapping[str, Draining],
    now: float,
    wall: float,
) -> dict[Drain, str]:
    """Drains that are over, and why: all uplinks of one command together.  ``stored``: as an earlier run has left it.

    The first run only counts: new connections went by the uplink until it had changed the routes.  As long as nothing
    else is online in a family of theirs, uplinks are not taken out by themselves.
    """
    known = state.drains
    drained = {family for one in uplinks for family in FAMILIES if one.draining and is_online(one, family, state)}
    others = {family for one in uplinks for family in FAMILIES if not one.draining and is_online(one, family, state)}
    if not others or drained - others:
        return {}
    names: dict[Drain, list[str]] = {what: [] for what in allotment.draining.values()}
    for name in known:
        what = switches.drain(allotment, name)
        if what:
            names[what].append(name)
    found = {what: _why(what, [known[name] for name in own], wall, now) for what, own in names.items()}
    return {what: why for what, why in found.items() if why and _seen_before(what, names[what], stored)}


def _seen_before(what: Drain, names: Collection[str], stored: Mapping[str, Draining]) -> bool:
    return all(name in stored and stored[name].until == what.until for name in names)


def _why(what: Drain, known: Sequence[Draining], wall: float, now: float) -> str:
    """Why a drain is over; empty as long as it is not.  Of uplinks that are not there the date alone tells."""
    if not known:
        return "the time is up" if wall >= what.until else ""
    counts = [one.connections for one in known]
    if all(count == 0 for count in counts):
        return "no connection is left"
    if all(now >= one.ends for one in known):
        left = sum(filter(None, counts))
        return f"the time is up, with {many(left, 'connection')}" if left else "the time is up"
    return ""


def words(one: Draining, until: str, now: float) -> str:
    """What ``status`` says of a drained uplink: ``draining (37 connections) until 12:04``."""
    counted = "draining" if one.connections is None else f"draining ({many(one.connections, 'connection')})"
    return f"{counted} until {until}" if now < one.ends else f"{counted}, {NO_OTHER}"
