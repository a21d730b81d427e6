"""Drained uplinks in a run: counting their connections, and disabling them when it is time.

Imported only while an uplink is drained.
"""

from __future__ import annotations

import os
import struct

from mwan_hook.addresses import covers, network
from mwan_hook.connections import drain
from mwan_hook.durations import duration
from mwan_hook.kernel import conntrack, sockets
from mwan_hook.kernel.frames import InterruptedDumpError
from mwan_hook.model import FAMILIES, MwanError, Transition
from mwan_hook.run.naming import entries
from mwan_hook.say import say
from mwan_hook.store import lock
from mwan_hook.store import state as states
from mwan_hook.verdict import switches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Config, Drain, Snapshot, Socket, State, Uplink
    from mwan_hook.routing.uplinks import Bound
    from mwan_hook.run.scene import Judged

# TCP_ESTABLISHED, _FIN_WAIT1, _CLOSE_WAIT, _LAST_ACK and _CLOSING; a connected UDP socket is in the first.
_OPEN = (1, 4, 8, 9, 11)
_FIN_WAIT2 = 5
DRAINING, DRAINED = "draining", "drained"  # events


def looked(
    config: Config, bound: Bound, state: State, snapshot: Snapshot, now: float, wall: float, counts: bool
) -> Bound:
    """The bound uplinks with what is known of those that are drained.

    Without ``counts`` connections are as a run has counted them.
    """
    drained = [uplink for uplink in bound.uplinks if uplink.draining]
    unread: tuple[str, ...] = ()
    counted: Mapping[str, int | None] = {}
    if counts and drained:
        counted, unread = _counted(config, bound, drained, state, snapshot)
    known = drain.records(drained, bound.allotment, state.drains, counted, now, wall)
    return bound._replace(drains=known, warnings=(*bound.warnings, *unread))


def end(root: str, loaded: Loaded, judged: Judged) -> dict[str, str]:
    """Disable what has been drained, and say so; the uplinks, and why it is over.  Raises MwanError.

    The caller looks again.  A run that is killed before leaves that to the next one.
    """
    over = _over(judged)
    if not over:
        return {}
    with lock.look(root):
        there, _ = states.load_allotment(root, writes=True)
        over = {what: why for what, why in over.items() if what in there.draining.values()}  # and no command since
        states.save_allotment(root, switches.ended(there, entries(loaded, judged.scene), over))
    say(f"[#] {line}" for line in _lines(judged, over))
    whose = {name: switches.drain(there, name) for name in judged.state.drains}
    return {name: over[what] for name, what in whose.items() if what in over}


def planned(judged: Judged) -> list[str]:
    """What a run would type now."""
    return _lines(judged, _over(judged))


def _over(judged: Judged) -> dict[Drain, str]:
    seen = judged.scene
    return drain.over(seen.uplinks, seen.bound.allotment, judged.state, seen.state.drains, seen.now, seen.wall)


def _lines(judged: Judged, over: Collection[Drain]) -> list[str]:
    meant = [name for name, what in judged.scene.bound.allotment.draining.items() if what in over]
    return [f"mwan-hook disable {name}" for name in meant]


def _counted(
    config: Config, bound: Bound, drained: Sequence[Uplink], state: State, snapshot: Snapshot
) -> tuple[dict[str, int | None], tuple[str, ...]]:
    """Connections of each drained uplink, and why they could not be counted: then only the time ends a drain."""
    try:
        addresses = {uplink.name: _addresses(uplink, state) for uplink in drained}
        mine = list(_own({one for own in addresses.values() for one in own}))
        local = frozenset(address.address for address in snapshot.addresses)
        found: dict[str, int | None] = {}
        for uplink in drained:
            sources = addresses[uplink.name]
            lent = {one.address for one in snapshot.addresses if one.index != uplink.index}
            own = sum(one.local in sources and not (one.local in lent and _is_near(one, snapshot)) for one in mine)
            marks = _marks(config, bound, uplink)
            found[uplink.name] = own + (conntrack.forwarded(marks, config.routing.mark_mask, local) if marks else 0)
        return found, ()
    except (MwanError, OSError, InterruptedDumpError, LookupError, struct.error) as error:
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


def _addresses(uplink: Uplink, state: State) -> set[str]:
    """Addresses that it has, and that it had when it was online last."""
    memory = state.memory(uplink.name)
    return {one for family in FAMILIES for one in (*uplink.way(family).sources, *memory.family(family).sources)}


def _own(sources: Collection[str]) -> Iterator[Socket]:
    """Sockets of this machine that are connected with one of these addresses, but our probes."""
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
