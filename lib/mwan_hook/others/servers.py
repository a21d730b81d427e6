"""Host routes that other programs keep in main through an uplink: ways to the servers of tunnels.  Pure.

A program that takes all traffic by a default in pieces puts one there, by the line that was best when it connected.
While that line is offline, what goes there is led by one that works; without such a tunnel the route may be meant, and
is only named.
"""

from __future__ import annotations

from mwan_hook.addresses import covered, is_global, split, width
from mwan_hook.model import MAIN_TABLE, Rule
from mwan_hook.routing.priorities import AHEAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Route, Uplink
    from mwan_hook.others.foreign import Here

# networks that are reached by one line only, if at all
_PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    *("169.254.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "224.0.0.0/3"),
)


def led(here: Here, online: Sequence[str]) -> tuple[list[Rule], list[str]]:
    """Rules for servers behind an uplink that is offline, and what is said of each route; ``online``: by preference."""
    rules: list[Rule] = []
    said: list[str] = []
    if not online:
        return rules, said
    routing = here.config.routing
    table = routing.default_table
    if table == MAIN_TABLE:
        table = next(uplink.table for uplink in here.uplinks if uplink.name == online[0])
    for route, uplink in lost(here, online):
        if not is_host(route):
            continue
        if here.pieces and here.base + AHEAD > 0:
            rules.append(Rule(here.family, here.base + AHEAD, table, dst=host(route), protocol=routing.protocol))
            said.append(f"{_words(route, uplink)}: as a tunnel's server it is reached by {online[0]} meanwhile")
        else:
            said.append(f"{_words(route, uplink)}: what goes there is lost; `mwan-hook doctor` tells what to do")
    return rules, said


def lost(here: Here, online: Sequence[str]) -> Iterator[tuple[Route, Uplink]]:
    """Routes to the internet by an uplink that is not online."""
    dead = {uplink.index: uplink for uplink in here.uplinks if uplink.present and uplink.name not in online}
    for route in here.snapshot.hosts:
        if route.family is here.family and len(route.nexthops) == 1 and is_public(route.dst):
            uplink = dead.get(route.nexthops[0].index)
            if uplink and uplink.way(here.family).gateway in (route.nexthops[0].gateway, None):
                yield route, uplink


def is_host(route: Route) -> bool:
    """Whether a route is to one address."""
    return split(route.dst)[1] == width(route.dst)


def host(route: Route) -> str:
    """The destination as rules spell a host."""
    return split(route.dst)[0]


def is_public(prefix: str) -> bool:
    """Whether it can be reached by any line."""
    address = split(prefix)[0]
    return is_global(address) and not covered(address, _PRIVATE)


def _words(route: Route, uplink: Uplink) -> str:
    via = f" via {route.nexthops[0].gateway}" if route.nexthops[0].gateway else ""
    return f"main has {host(route)}{via} dev {uplink.interface}, and {uplink.name} is offline"
