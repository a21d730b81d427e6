"""Sockets of this machine when their uplink is offline, or is left for a better one (:mod:`connections.own`)."""

from __future__ import annotations

from mwan_hook.connections import own
from mwan_hook.kernel import lookup, sockets
from mwan_hook.kernel.question import Question
from mwan_hook.light import NamedTuple
from mwan_hook.policy.policies import via
from mwan_hook.run.followed import Followed, stands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.connections.own import Kept, Left
    from mwan_hook.model import Family, Socket, State
    from mwan_hook.policy.policies import BoundPolicy
    from mwan_hook.run.scene import Judged


class Chosen(NamedTuple):
    """Sockets of one family of an uplink that are to be ended, and why others with its addresses are not."""

    left: Left
    sockets: tuple[Socket, ...]
    spared: tuple[Kept, ...]


def due(judged: Judged) -> float | None:
    """When there may be sockets to end."""
    return own.due(judged.scene.uplinks, judged.state, judged.scene.config.router, judged.desired.online)


def lines(judged: Judged) -> list[str]:
    """What would be ended now."""
    chosen = _chosen(judged, _left(judged), planned=bool(judged.changes))
    return [own.line(*one) for one in chosen if one.sockets]


def do(judged: Judged, until: float) -> Followed:
    """End them; what the time does not suffice for is due again at once."""
    left = [one for one in _left(judged) if stands(judged, one.family)]
    state = _seen(judged)
    said: list[str] = []
    failures: list[str] = []
    for one in _chosen(judged, left, planned=False):
        ended = sockets.destroy(one.sockets, until)
        if ended.sockets:
            said.append(own.line(one.left, ended.sockets, one.spared))
        if ended.unable:  # remembered for this boot
            note = f"{ended.unable}: {own.STAY}"
            return Followed(state._replace(unable=ended.unable, followed={}), tuple(said), tuple(failures), (note,))
        failures += [ended.failed] if ended.failed else []
        state = _remembered(state, one.left, len(ended.sockets), bool(ended.left), judged)
    return Followed(state, tuple(said), tuple(failures))


def _left(judged: Judged) -> list[Left]:
    seen, state, router = judged.scene, judged.state, judged.scene.config.router
    found = own.offline(seen.uplinks, state, router, seen.now)
    return found + own.taken_over(seen.uplinks, seen.bound.policies, state, router, judged.desired.online)


def _seen(judged: Judged) -> State:
    """The state with who is online now, in families whose routes stand; without, where nothing is ended."""
    state = judged.state
    if judged.scene.config.router.own == own.KEEP or state.unable:
        return state._replace(followed={})
    now = {family: names for family, names in judged.desired.online.items() if stands(judged, family)}
    return state._replace(followed={**state.followed, **now})


def _remembered(state: State, left: Left, ended: int, again: bool, judged: Judged) -> State:
    name, family = left.uplink.name, left.family
    memory = state.uplinks[name].family(family)
    memory = memory._replace(aborted=memory.aborted + ended)
    if left.better and again:  # not done yet: the same has taken over, as far as the next run knows
        state = state._replace(followed={**state.followed, family: judged.state.followed.get(family, ())})
    elif not left.better and not again:
        memory = memory._replace(ended_at=judged.scene.now)
    return state._replace(uplinks={**state.uplinks, name: state.uplinks[name].with_family(family, memory)})


# ---------------------------------------------------------------- which


def _chosen(judged: Judged, left: list[Left], planned: bool) -> list[Chosen]:
    """One dump a family and protocol for all that are left, and none for none.  ``planned``: routes stand as before."""
    sources = {source for one in left for source in one.sources}
    if not sources:
        return [Chosen(one, (), ()) for one in left]
    found = sockets.concerning(sources)
    names = {link.index: link.name for link in judged.scene.snapshot.links}
    around = Around(judged, own.Surroundings(found, sockets.networks(), names), planned)
    return [around.of(one, found) for one in left]


class Around:
    """What decides about a socket beside itself."""

    def __init__(self, judged: Judged, surroundings: own.Surroundings, planned: bool) -> None:
        seen = judged.scene
        self.surroundings, self.planned = surroundings, planned
        self.uplinks = {uplink.index for uplink in seen.uplinks if uplink.present}
        self.courses = seen.bound.policies
        self.by_port = any(course.policy.sport for course in self.courses)
        self.state = judged.state
        self._ways: dict[Question, int] = {}

    def of(self, left: Left, found: list[Socket]) -> Chosen:
        """Sockets of one family of an uplink."""
        chosen: list[Socket] = []
        spared: list[Kept] = []
        for one in found:
            if one.local in left.sources and own.has_peer(one):
                why = self.kept(one, left)
                if why:
                    spared.append(why)
                else:
                    chosen.append(one)
        return Chosen(left, tuple(chosen), tuple(spared))

    def kept(self, one: Socket, left: Left) -> Kept | None:
        """Why a socket is left alone; None: it is to be ended."""
        why = self.surroundings.kept(one)
        if why or (left.better and self.planned):
            return why
        right = self._still_leads(one, left) if left.better else self._leads_elsewhere(one, left)
        return own.Kept(f"{one.peer} is still reached so", f"dst {own.filtered(one.peer)}") if right else None

    def _leads_elsewhere(self, one: Socket, left: Left) -> bool:
        """Whether its packets go by an interface that is no uplink: a tunnel that has no address of its own.

        An address of another interface (the loopback, a LAN), that the uplink only borrows, may go by another uplink.
        """
        way = self._way(one, left.family, one.local)
        borrowed = one.local == left.uplink.way(left.family).lent
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
