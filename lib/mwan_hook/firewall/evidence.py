"""Rules of our nft table that count new TCP connections by each uplink, and the first answers to them.

A connection counts once, with its first SYN: before that has left conntrack has not confirmed it, and a SYN that is
sent again belongs to one that is.  An answer is a SYN-ACK of a connection that began here or behind this machine.
What the uplink's own network answers tells nothing of the line, so that is left out, both ways.

UDP is not counted: it may go one way only, and a router's own name server answers much of it.
"""

from __future__ import annotations

from mwan_hook.addresses import network
from mwan_hook.firewall.match import interface, outermost
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Uplink

BEGUN, ANSWERED = "begun", "answered"  # chains, and how the names of their counters begin
_COUNTED = "tcp flags & (fin | syn | rst | ack) !="
_FIRST = {
    BEGUN: ("meta l4proto != tcp return", f"{_COUNTED} syn return", "ct status confirmed return"),
    ANSWERED: ("meta l4proto != tcp return", f"{_COUNTED} syn | ack return", "ct direction != reply return"),
}
_ENDS = {BEGUN: ("oif", "daddr"), ANSWERED: ("iif", "saddr")}
_WORDS = {Family.IPV4: ("ip", "4"), Family.IPV6: ("ip6", "6")}
_LINK_LOCAL = "fe80::/10"


def counter(chain: str, family: Family, table: int) -> str:
    """The name of a counter of an uplink, of which ``table`` is the number."""
    return f"{chain}{_WORDS[family][1]}_{table}"


def counters(uplinks: Sequence[Uplink]) -> list[str]:
    """Names of all of them."""
    return [counter(chain, family, one.table) for one in uplinks for family in one.config.families for chain in _FIRST]


def rules(uplinks: Sequence[Uplink], known: Sequence[str]) -> dict[str, list[str]]:
    """The chains.  ``known`` made the table until now: an uplink without an address keeps what it had there."""
    return {
        chain: [*first, *(line for one in uplinks for line in _counting(chain, one, known))]
        for chain, first in _FIRST.items()
    }


def _counting(chain: str, uplink: Uplink, known: Sequence[str]) -> Iterator[str]:
    direction, end = _ENDS[chain]
    for family in uplink.config.families:
        head = f"{interface(direction, uplink)} meta nfproto {family.value}"
        last = f"counter name {counter(chain, family, uplink.table)}"
        near = _near(uplink, family)
        stood = next((line.partition(f" {chain} ")[2] for line in known if line.endswith(last)), "")
        if not near and stood.startswith(head):
            yield stood
            continue
        beside = f" {_WORDS[family][0]} {end} != {{ {', '.join(near)} }}" if near else ""
        yield f"{head}{beside} {last}"


def _near(uplink: Uplink, family: Family) -> list[str]:
    """Networks that the uplink's interface is in."""
    own = [one for one in uplink.way(family).addresses if one.index == uplink.index]
    found = sorted({network(one.address, one.prefixlen) for one in own})
    return outermost([_LINK_LOCAL, *found] if found and family is Family.IPV6 else found)
