"""Which open sockets of this machine are ended, and what else has their addresses and is not.

Imported only when an uplink's sockets are looked through, and by ``trace``.
"""

from __future__ import annotations

from mwan_hook.connections import spared
from mwan_hook.kernel import lookup, sockets
from mwan_hook.kernel.question import Question
from mwan_hook.light import NamedTuple
from mwan_hook.policy.policies import via

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.connections.own import Left
    from mwan_hook.connections.spared import Kept
    from mwan_hook.model import Family, Socket
    from mwan_hook.policy.policies import BoundPolicy
    from mwan_hook.run.scene import Judged


class Chosen(NamedTuple):
    """Sockets of one family of an uplink that are to be ended, and why others with its addresses are not."""

    left: Left
    sockets: tuple[Socket, ...]
    spared: tuple[Kept, ...]


def chosen(judged: Judged, left: Sequence[Left], planned: bool) -> list[Chosen]:
    """One dump a family and protocol for all that are left, and none for none.  ``planned``: routes stand as before."""
    sources = {source for one in left for source in one.sources}
    if not sources:
        return [Chosen(one, (), ()) for one in left]
    found = sockets.concerning(sources)
    surroundings = spared.Surroundings(found, sockets.networks(), judged.scene.snapshot.names)
    around = Around(judged, surroundings, planned)
    return [around.of(one, found) for one in left]


class Around:
    """What decides about a socket beside itself."""

    def __init__(self, judged: Judged, surroundings: spared.Surroundings, planned: bool) -> None:
        seen = judged.scene
        self.surroundings, self.planned = surroundings, planned
        self.uplinks = {uplink.index for uplink in seen.uplinks if uplink.present}
        self.courses = seen.bound.policies
        self.by_port = any(course.policy.sport for course in self.courses)
        self.state = judged.state
        self.addresses = seen.snapshot.addresses
        self._ways: dict[Question, int] = {}

    def of(self, left: Left, found: list[Socket]) -> Chosen:
        """Sockets of one family of an uplink."""
        mine = [(one, self.kept(one, left)) for one in found if one.local in left.sources and spared.has_peer(one)]
        ended = tuple([one for one, why in mine if not why])
        peers = {one.peer for one in ended}
        others = [spared.by_port(why, one) if one.peer in peers else why for one, why in mine if why]
        return Chosen(left, ended, tuple(others))

    def kept(self, one: Socket, left: Left) -> Kept | None:
        """Why a socket is left alone; None: it is to be ended."""
        why = self.surroundings.kept(one)
        if why or (left.better and self.planned):
            return why
        right = self._still_leads(one, left) if left.better else self._leads_elsewhere(one, left)
        words = (
            f"a new one to {one.peer} would go the same way" if left.better else f"{one.peer} is reached all the same"
        )
        return spared.Kept(words, f"dst {spared.filtered(one.peer)}") if right else None

    def _leads_elsewhere(self, one: Socket, left: Left) -> bool:
        """Whether its packets go by an interface that is no uplink: a tunnel that has no address of its own.

        An address of another interface (the loopback, a LAN), that the uplink only borrows, may go by another uplink.
        """
        way = self._way(one, left.family, one.local)
        others = [there.address for there in self.addresses if there.index != left.uplink.index]
        borrowed = one.local in (left.uplink.way(left.family).lent, *others)
        return way not in (0, left.uplink.index) if borrowed else way not in (0, *self.uplinks)

    def _still_leads(self, one: Socket, left: Left) -> bool:
        """Whether a new one to the same destination would take the uplink, too: by a policy, a route or its mark."""
        if any(left.uplink.name in via(course, left.family, self.state) for course in self._by_class(one)):
            return True
        way = self._way(one, left.family, "")
        return way == left.uplink.index or way not in self.uplinks

    def _by_class(self, one: Socket) -> list[BoundPolicy]:
        """Policies that nft chooses it for by its class of service, which no look-up knows."""
        return [course for course in self.courses if one.dscp in course.policy.dscp]

    def _way(self, one: Socket, family: Family, source: str) -> int:
        """The interface by which the kernel would send a packet of it, or of a new one like it; 0: none."""
        asked = Question(family, one.peer, source or None, mark=one.mark, proto=one.protocol, dport=one.dport)
        asked = asked._replace(uid=one.uid, sport=one.sport if self.by_port else 0)
        if asked not in self._ways:
            self._ways[asked] = lookup.out(asked)
        return self._ways[asked]
