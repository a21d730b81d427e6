"""WireGuard's peers: which get their endpoint set again, so that their packets go the way that routing says now.

A peer sends from the address at which its last packet came in, and a rule of ours leads what comes from an uplink's
address by that uplink.  So a tunnel that went by the backup in an outage would stay there after it, as long as the
backup works.  Setting the same endpoint again makes the kernel forget that address
(tests/system/test_machine_profiles.py).  The kernel does not show it, so what is remembered is the way that each
endpoint had when it was looked at last.

Whether that was enough is not shown either: an answer that was under way by the old line brings the old address back.
So peers that leave a line that works are set twice, some seconds apart; what is remembered of them begins with MOVING
until then.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mwan_hook.model import Peer, PeerWay, State

MOVING = "/"  # which no name of an interface has in it


class Carriers(NamedTuple):
    """Interfaces of uplinks: all, in each family those that are online, and of them those that share the default."""

    uplinks: Collection[str]
    online: Mapping[Family, Collection[str]]
    equals: Mapping[Family, Collection[str]]


class Following(NamedTuple):
    """What is to be done and what is to be remembered."""

    again: tuple[Peer, ...]  # whose endpoints are set again
    moving: tuple[Peer, ...]  # those of them that leave a line that works
    known: dict[str, str]  # the interface of each way, by the peer's identity
    unfinished: bool  # some are to be set a second time


def basis(state: State, follows: bool) -> str:
    """What ways depend on: the configuration, and of each family the best uplink and all that are online."""
    if not follows:
        return ""
    parts = [state.config[:12] or "-"]
    for family, best in state.best.items():
        if best.uplink:
            parts += [family.value, best.interface, *state.last_online.get(family, ())]
    return " ".join(parts)


def follow(peers: Iterable[tuple[Peer, PeerWay]], known: Mapping[str, str], around: Carriers) -> Following:
    """Which of these peers are set again, each with its way of now.

    Without a way a peer is left alone, and what was known of it stays.  One that was never seen, or whose endpoint has
    moved by itself, may have begun by any line: it is set where its way is by an uplink.
    """
    again: list[Peer] = []
    moving: list[Peer] = []
    remembered: dict[str, str] = {}
    for peer, way in peers:
        told = known.get(peer.identity, "")
        before = told.removeprefix(MOVING)
        if not way.interface or _stays(peer, way, before, around):
            remembered |= {peer.identity: told} if told else {}
            continue
        remembered[peer.identity] = way.interface
        moved = before != way.interface and (before or way.interface in around.uplinks)
        if moved and _works(peer, before, around):
            moving.append(peer)
            remembered[peer.identity] = MOVING + way.interface
        if moved or told != before:
            again.append(peer)
    unfinished = any(way.startswith(MOVING) for way in remembered.values())
    return Following(tuple(again), tuple(moving), remembered, unfinished)


def _stays(peer: Peer, way: PeerWay, before: str, around: Carriers) -> bool:
    """Whether uplinks that share are both ways: the kernel may spread flows anew, and the tunnel works where it is."""
    equals = around.equals.get(peer.family, ())
    return before != way.interface and way.shared and before in equals and way.interface in equals


def _works(peer: Peer, before: str, around: Carriers) -> bool:
    """Whether answers may still come by the way of before."""
    return not before or before not in around.uplinks or before in around.online.get(peer.family, ())


def line(peer: Peer, names: Mapping[int, str]) -> str:
    """The line of wg(8) that sets its endpoint again."""
    scope = f"%{names.get(peer.scope, peer.scope)}" if peer.scope else ""
    host = f"[{peer.address}{scope}]" if peer.family is Family.IPV6 else peer.address
    return f"wg set {peer.interface} peer {peer.key} endpoint {host}:{peer.port}"
