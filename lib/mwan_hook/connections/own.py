"""Which sockets of this machine are ended when the uplink whose address they have is no way out any more.  Pure.

A socket keeps its address for life, and packets with an uplink's address never leave by another one: its program would
wait for 13 to 30 minutes.  Once it is ended the program gets an error, and connects again by the way of now.
"""

from __future__ import annotations

from mwan_hook.addresses import covered
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, TCP, Failback, Family, FamilyState, Status, UplinkState, WayOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import Neighbourhood, Router, Socket, State, Uplink
    from mwan_hook.policy.policies import BoundPolicy

    Online = Mapping[Family, Sequence[str]]

ABORT, KEEP = "abort", "keep"  # [router] own
STAY = "connections of this machine by an uplink that has failed stay until they time out, in 13 to 30 minutes"
AGAIN = 10.0  # seconds, at least, until sockets of an uplink that stays offline are looked through once more
ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 1, 2, 4, 5, 8, 9, 10, 11
CLOSE = 7
WITH_PEER = (ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING)
# Link-local, multicast and broadcast: what is spoken to by it is on a link.
NEARBY = ("169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")


class Left(NamedTuple):
    """One family of an uplink whose sockets are to be ended."""

    uplink: Uplink
    family: Family
    sources: tuple[str, ...]  # addresses that are its own alone
    better: tuple[str, ...] = ()  # uplinks that have taken over from one that is online; none: it is offline

    @property
    def why(self) -> str:
        """The reason in words."""
        if self.better:
            return f"{self.uplink.name} has `failback = hard` and {self.better[0]} is back"
        return f"{self.uplink.name} is offline"


class Kept(NamedTuple):
    """The reason to leave a socket alone: in words, and as the part of a filter of ss(8) that leaves it out."""

    why: str
    filter: str


def due(uplinks: Sequence[Uplink], state: State, router: Router, online: Online) -> float | None:
    """When there may be sockets to end, CLOCK_BOOTTIME seconds; 0: now.  None: not before something turns.

    ``online``: uplinks by preference, as the kernel has them.
    """
    if router.own == KEEP or state.unable:
        return 0.0 if any(state.followed.values()) else None
    if any(tuple(names) != state.followed.get(family, ()) for family, names in online.items()):
        return 0.0
    times = [at for one in uplinks for family in FAMILIES if (at := _due(one, family, state, router)) is not None]
    return min(times, default=None)


def _due(uplink: Uplink, family: Family, state: State, router: Router) -> float | None:
    """When sockets of one family of an uplink are to be looked through."""
    memory = _memory(state, uplink, family)
    if memory.status is not Status.OFFLINE or not memory.sources or not state.best.get(family, WayOut()).uplink:
        return None
    if memory.ended_at is not None and memory.ended_at >= memory.since:
        return memory.ended_at + max(AGAIN, router.own_after)
    return memory.since + router.own_after


def _memory(state: State, uplink: Uplink, family: Family) -> FamilyState:
    return state.uplinks.get(uplink.name, UplinkState()).family(family)


def offline(uplinks: Sequence[Uplink], state: State, router: Router, now: float) -> list[Left]:
    """Families of uplinks that have been offline for long enough while another one is online."""
    if router.own == KEEP or state.unable:
        return []
    found = []
    for uplink in uplinks:
        for family in FAMILIES:
            at = _due(uplink, family, state, router)
            if at is not None and at <= now:
                found.append(Left(uplink, family, _alone(uplink, family, uplinks, state)))
    return found


def taken_over(
    uplinks: Sequence[Uplink],
    courses: Sequence[BoundPolicy],
    state: State,
    router: Router,
    online: Online,
) -> list[Left]:
    """Online ones with a hard failback that a better one has taken over from since the last time."""
    if router.own == KEEP or state.unable:
        return []
    found = []
    for family, names in online.items():
        before = state.followed.get(family, ())
        for uplink in uplinks:
            if uplink.config.failback is Failback.HARD and uplink.name in names and uplink.name in before:
                better = _ahead(uplink, uplinks, courses, before, names)
                if better:
                    found.append(Left(uplink, family, _alone(uplink, family, uplinks, state), better))
    return found


def _ahead(
    left: Uplink,
    uplinks: Sequence[Uplink],
    courses: Sequence[BoundPolicy],
    before: Sequence[str],
    now: Sequence[str],
) -> tuple[str, ...]:
    """Uplinks that one has to give way to, by metric or by a policy, and had not at the last time."""
    preferred = {one.name for one in uplinks if one.metric < left.metric}
    listing = [course for course in courses if any(one.name == left.name for one in course.uplinks)]
    listed = {one.name for course in listing for one in course.better(left)}
    behind = before[before.index(left.name) :]
    new = [name for name in now if name not in before or (name in behind and name in preferred)]
    return tuple([name for name in new if name in preferred or name in listed])


def _alone(uplink: Uplink, family: Family, uplinks: Sequence[Uplink], state: State) -> tuple[str, ...]:
    """Addresses that an uplink has, or had when it was online last, and that no other one has that is not offline."""
    others = {
        address
        for other in uplinks
        if other.name != uplink.name and _memory(state, other, family).status is not Status.OFFLINE
        for address in other.way(family).sources
    }
    return tuple([one for one in _memory(state, uplink, family).sources if one not in others])


class Fate(NamedTuple):
    """What becomes of a socket; ``left``: whose it is, where it is to be ended."""

    kept: bool
    why: str
    left: Left | None = None


def foretold(one: Socket, uplinks: Sequence[Uplink], state: State, router: Router, now: float) -> Fate:
    """Whether a socket that nothing of its own spares stays as things stand, and why; for ``trace``."""
    family = Family.of(one.local)
    for uplink in uplinks:
        memory = _memory(state, uplink, family)
        if one.local not in (*memory.sources, *uplink.way(family).sources):
            continue
        if router.own == KEEP or state.unable:
            return Fate(True, state.unable or "`own = keep`")
        if memory.status is Status.OFFLINE:
            return _foretold_offline(uplink, one, uplinks, state, router, now)
        if memory.status is Status.DISABLED:
            return Fate(True, f"{uplink.name} is disabled, and that is not offline")
        hard = uplink.config.failback is Failback.HARD
        left = ", or once a better uplink takes over (`failback = hard`)" if hard else ""
        return Fate(True, f"{uplink.name} is online; ended {router.own_after:g} s after it goes offline{left}")
    return Fate(True, f"{one.local} is no address of an uplink")


def _foretold_offline(
    uplink: Uplink, one: Socket, uplinks: Sequence[Uplink], state: State, router: Router, now: float
) -> Fate:
    family = Family.of(one.local)
    at = _due(uplink, family, state, router)
    if at is None:
        return Fate(True, f"{uplink.name} is offline, and so is every other uplink: ended when one is online")
    if one.local not in _alone(uplink, family, uplinks, state):
        return Fate(True, f"{uplink.name} is offline, and an uplink that is not has the address, too")
    when = f"in {at - now:.0f} s" if at - now >= 1 else "by the next run"
    left = Left(uplink, family, (one.local,))
    return Fate(False, f"{when}: {left.why}", left)


# ---------------------------------------------------------------- one socket


def has_peer(one: Socket) -> bool:
    """Whether a program has it open and speaks by it to another machine, or wants to."""
    return one.state in WITH_PEER and bool(one.inode)


def by_port(why: Kept, one: Socket) -> Kept:
    """The same of one socket alone, where others with its destination are ended."""
    return why._replace(filter=f"( {why.filter} and sport = :{one.sport} )") if "dst " in why.filter else why


class Surroundings:
    """What decides about every socket beside itself: who listens, and who is a neighbour."""

    def __init__(self, found: Iterable[Socket], networks: Iterable[Neighbourhood], names: Mapping[int, str]) -> None:
        """``names``: of interfaces."""
        self._names, self._near = names, (*NEARBY, *dict.fromkeys(network.prefix for network in networks))
        self._listening: dict[tuple[int, int], list[Socket]] = {}
        self._prefixes: dict[str, str] = {}
        for one in found:
            if is_listening(one):
                self._listening.setdefault((one.protocol, one.sport), []).append(one)

    def kept(self, one: Socket) -> Kept | None:
        """The reason to leave a socket alone wherever its uplink is; None: there is none."""
        if one.device:
            name = self._names.get(one.device, str(one.device))
            return Kept(f"it is bound to {name}", f"dev = {name}")
        if any(is_from(one, other) for other in self._listening.get((one.protocol, one.sport), ())):
            return Kept(f"it came in, or may have: port {one.sport} is listened on", f"sport = :{one.sport}")
        prefix = self.near(one.peer)
        return Kept(f"{one.peer} is a neighbour, in {prefix}", f"dst {filtered(prefix)}") if prefix else None

    def near(self, peer: str) -> str:
        """The network of an interface that an address is in; empty: none."""
        if peer not in self._prefixes:
            self._prefixes[peer] = next((one for one in self._near if covered(peer, (one,))), "")
        return self._prefixes[peer]


def is_listening(one: Socket) -> bool:
    """Whether others come to it: TCP that listens, UDP without a peer."""
    return one.state == (LISTEN if one.protocol == TCP else CLOSE) and one.sport != 0


def is_from(one: Socket, listening: Socket) -> bool:
    """Whether a socket can have come in by this one, or shares its port."""
    if (one.protocol, one.sport) != (listening.protocol, listening.sport):
        return False
    if listening.local == one.local:
        return True
    if listening.local == "::":
        return ":" in one.local or not listening.only6
    return listening.local == "0.0.0.0" and ":" not in one.local


def filtered(prefix: str) -> str:
    """An address or a prefix as ss(8) reads it."""
    return f"[{prefix}]" if ":" in prefix else prefix


def line(left: Left, chosen: Sequence[Socket], spared: Iterable[Kept]) -> str:
    """What ends these sockets, as an operator could have typed it."""
    sources = dict.fromkeys(one.local for one in chosen)
    words = " or ".join(f"src {filtered(one)}" for one in sources)
    words = f"( {words} )" if len(sources) > 1 else words
    but = " or ".join(dict.fromkeys(one.filter for one in spared))
    number = f"{len(chosen)} socket{'s' * (len(chosen) > 1)}"
    return f"ss -K -tu '{words}{f' and not ( {but} )' if but else ''}'  # {number}: {left.why}"
