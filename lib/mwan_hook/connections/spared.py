"""Which sockets with an uplink's address are ended and which are left alone, and the line that says so.  Pure."""

from __future__ import annotations

from mwan_hook.addresses import covered
from mwan_hook.light import NamedTuple
from mwan_hook.model import TCP
from mwan_hook.phrases import many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.connections.own import Left
    from mwan_hook.model import Neighbourhood, Socket

ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 1, 2, 4, 5, 8, 9, 10, 11
CLOSE = 7
WITH_PEER = (ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING)
# Link-local, multicast and broadcast: what is spoken to by it is on a link.
NEARBY = ("169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")


class Kept(NamedTuple):
    """The reason to leave a socket alone: in words, and as the part of a filter of ss(8) that leaves it out."""

    why: str
    filter: str


def has_peer(one: Socket) -> bool:
    """Whether a program has it open and speaks by it to another machine, or wants to."""
    return one.state in WITH_PEER and bool(one.inode)


def by_port(why: Kept, one: Socket) -> Kept:
    """The reason for one socket alone, where others with its destination are ended."""
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
    number = many(len(chosen), "socket")
    return f"ss -K -tu '{words}{f' and not ( {but} )' if but else ''}'  # {number}: {left.why}"
