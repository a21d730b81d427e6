"""WireGuard's peers follow the best uplink: a step of :mod:`follow`."""

from __future__ import annotations

from mwan_hook.connections import peers as decide
from mwan_hook.connections.peers import Carriers
from mwan_hook.kernel import peers as kernel
from mwan_hook.model import FAMILIES, MwanError, PeerWay
from mwan_hook.routing.rules import best_tier
from mwan_hook.run.scene import Followed, stands
from mwan_hook.verdict.standing import is_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.connections.peers import Following
    from mwan_hook.model import Peer
    from mwan_hook.run.scene import Judged

SECOND = 3.0  # seconds until peers that leave a line which works are set a second time


def due(judged: Judged) -> float | None:
    """When what ways depend on has changed, or a second time is due."""
    if judged.state.led != _basis(judged):
        return judged.scene.now
    return judged.state.lead_again


def _basis(judged: Judged) -> str:
    return decide.basis(judged.state, judged.scene.config.router.wireguard == "follow")


def lines(judged: Judged) -> list[str]:
    """The endpoints that would be set again, as lines of wg(8); none for who may not see peers."""
    try:
        found = _found(judged, True)
    except MwanError:
        return []
    return _words(judged, found.again)


def do(judged: Judged, until: float) -> Followed:
    """Set them again, and remember the ways.  Where routes do not stand yet, that waits for the next run."""
    basis = _basis(judged)
    if not basis:
        return Followed(judged.state._replace(led="", lead_again=None, peers={}))
    found = _found(judged, False)
    failed = kernel.set_again(found.again, found.moving, until)
    known = {**found.known, **{peer.identity: judged.state.peers.get(peer.identity, "") for peer, _ in failed}}
    waits = bool(failed) or not all(stands(judged, family) for family in FAMILIES)
    state = judged.state._replace(
        peers={identity: way for identity, way in known.items() if way},
        led=judged.state.led if waits else basis,
        lead_again=judged.scene.now + SECOND if found.unfinished else None,
    )
    wrong = {peer for peer, _ in failed}
    done = _words(judged, [peer for peer in found.again if peer not in wrong])
    return Followed(state, tuple(done), tuple(f"{_words(judged, [peer])[0]}: {why}" for peer, why in failed))


def _found(judged: Judged, planned: bool) -> Following:
    """What is to be done.  In a family whose routes do not stand, peers go as ``planned``, or are left alone."""
    names = judged.scene.snapshot.names
    ways = [(peer, _way(judged, peer, names, planned)) for peer in kernel.peers()]
    return decide.follow(ways, judged.state.peers, _around(judged))


def _way(judged: Judged, peer: Peer, names: dict[int, str], planned: bool) -> PeerWay:
    stand = stands(judged, peer.family)
    if not (stand or planned):
        return PeerWay()
    way = kernel.way(peer, names, judged.scene.config.routing.default_table)
    best = judged.state.best.get(peer.family)
    return way if stand or not way.shared or best is None else PeerWay(best.interface, True)


def _around(judged: Judged) -> Carriers:
    uplinks = {uplink.name: uplink for uplink in judged.scene.uplinks}
    online, equals = {}, {}
    for family, names in judged.desired.online.items():
        carrying = [uplinks[name] for name in names if name in uplinks]
        drained = [one for one in uplinks.values() if one.draining and is_online(one, family, judged.state)]
        online[family] = {uplink.interface for uplink in (*carrying, *drained)}
        equals[family] = {uplink.interface for uplink in best_tier(carrying, family)}
    return Carriers({uplink.interface for uplink in uplinks.values()}, online, equals)


def _words(judged: Judged, peers: Sequence[Peer]) -> list[str]:
    names = judged.scene.snapshot.names
    return [decide.line(peer, names) for peer in peers]
