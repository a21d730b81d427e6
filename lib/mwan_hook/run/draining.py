"""Drained uplinks in a run: counting their connections, and disabling them when it is time.

Imported only while an uplink is drained.
"""

from __future__ import annotations

import os

from mwan_hook.addresses import covers, network
from mwan_hook.connections import drain
from mwan_hook.durations import duration
from mwan_hook.kernel import sockets, tracked
from mwan_hook.model import FAMILIES, MwanError, Transition
from mwan_hook.verdict import switches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mwan_hook.model import Allotment, Config, Snapshot, Socket, State, Uplink
    from mwan_hook.routing.uplinks import Bound
    from mwan_hook.run.scene import Judged

# TCP_ESTABLISHED, _FIN_WAIT1, _CLOSE_WAIT, _LAST_ACK and _CLOSING; a connected UDP socket is in the first.
_OPEN = (1, 4, 8, 9, 11)
_FIN_WAIT2 = 5
DRAINING, DRAINED = "draining", "drained"  # events


def looked(
    config: Config, bound: Bound, state: State, snapshot: Snapshot, now: float, wall: float, counts: bool
) -> Bound:
    """The bound uplinks with what is known of those that are drained; disabled where that is over.

    Without ``counts`` connections are as a run has counted them.
    """
    drained = [uplink for uplink in bound.uplinks if uplink.draining]
    unread: tuple[str, ...] = ()
    counted: Mapping[str, int | None] = {}
    if counts and drained:
        counted, unread = _counted(config, bound, drained, snapshot)
    known = drain.records(drained, bound.allotment, state.drains, counted, now, wall)
    bound = bound._replace(drains=known, warnings=(*bound.warnings, *unread))
    over = drain.over(bound.uplinks, bound.allotment, known, state, now, wall)
    if not over:
        return bound
    entries = config.uplinks or [uplink.config for uplink in bound.uplinks]
    whose = {uplink.name: switches.drain(bound.allotment, uplink.name) for uplink in drained}
    why = {name: over[what] for name, what in whose.items() if what in over}
    allotment = switches.ended(bound.allotment, entries, over)
    uplinks = tuple(_disabled(one, allotment) if one.name in why else one for one in bound.uplinks)
    left = {name: one for name, one in known.items() if name not in why}
    return bound._replace(allotment=allotment, uplinks=uplinks, drains=left, drained=why)


def _disabled(uplink: Uplink, allotment: Allotment) -> Uplink:
    word = switches.word(allotment, uplink.name)
    on = uplink.config.enabled if word is None else word
    return uplink._replace(enabled=on, switched=word, draining=False)


def _counted(
    config: Config, bound: Bound, drained: list[Uplink], snapshot: Snapshot
) -> tuple[dict[str, int | None], tuple[str, ...]]:
    """Connections of each drained uplink, and why they could not be counted: then only the time ends a drain."""
    try:
        mine = list(_own(drained))
        local = frozenset(address.address for address in snapshot.addresses)
        found: dict[str, int | None] = {}
        for uplink in drained:
            sources = {address for family in FAMILIES for address in uplink.way(family).sources}
            lent = {uplink.way(family).lent for family in FAMILIES} - {""}
            own = sum(one.local in sources and not (one.local in lent and _is_near(one, snapshot)) for one in mine)
            marks = _marks(config, bound, uplink)
            found[uplink.name] = own + (tracked.forwarded(marks, config.routing.mark_mask, local) if marks else 0)
        return found, ()
    except (MwanError, OSError) as error:
        return dict.fromkeys([uplink.name for uplink in drained]), (f"connections cannot be counted: {error}",)


def _is_near(one: Socket, snapshot: Snapshot) -> bool:
    """Whether the other end is a neighbour: of an address that a LAN lends, most are."""
    nets = [network(address.address, address.prefixlen) for address in snapshot.addresses]
    return any(covers(net, one.peer) for net in nets if (":" in net) is (":" in one.peer))


def _marks(config: Config, bound: Bound, uplink: Uplink) -> list[int]:
    """What conntrack marks say of connections that are pinned to an uplink: none without ``pin``."""
    if not config.router.pin:
        return []
    own = [] if uplink.mark & ~config.routing.mark_mask else [uplink.mark]
    pairs = bound.allotment.policy_marks.items()
    return [mark for mark in (*own, *(number for key, number in pairs if key.endswith(f"/{uplink.name}"))) if mark]


def _own(drained: list[Uplink]) -> Iterator[Socket]:
    """Sockets of this machine that are connected with an address of these uplinks, but our probes."""
    sources = {address for uplink in drained for family in FAMILIES for address in uplink.way(family).sources}
    probes = _inodes()
    for one in sockets.concerning(sources) if sources else ():
        if one.inode not in probes and (one.state in _OPEN or (one.state == _FIN_WAIT2 and one.inode)):
            yield one


def _inodes() -> set[int]:
    """Sockets of this process: a run may still wait for late answers."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.stat(f"/proc/self/fd/{name}").st_ino)
        except OSError:
            continue  # that of the listing itself
    return found


def transitions(judged: Judged, before: State, after: State, over: Mapping[str, str]) -> Iterator[Transition]:
    """What hooks and people hear of draining.  ``over``: drains that this run has ended, and why."""
    seen = judged.scene
    for uplink in seen.uplinks:
        old, new = before.drains.get(uplink.name), after.drains.get(uplink.name)
        if new and (old is None or old.until != new.until):
            why = f"`mwan-hook drain`, for at most {duration(new.ends - seen.now)}"
            yield Transition(DRAINING, uplink.name, uplink.interface, None, "on", DRAINING, why, seen.wall)
        elif old and not new:
            now = "on" if uplink.enabled else "disabled"
            why = over.get(uplink.name, "`mwan-hook enable`" if uplink.enabled else "`mwan-hook disable`")
            yield Transition(DRAINED, uplink.name, uplink.interface, None, DRAINING, now, why, seen.wall)
