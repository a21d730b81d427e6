"""Routes in main that a DHCP lease or a router advertisement brought and that would take the traffic of others.  Pure.

One that is wider than any network (0.0.0.0/1, 2000::/3) is a default in all but name, and is judged as one: main's
networks are asked for without it, then come the shared default's rules.  Routes as wide that others have made (a VPN's
halves, a network of multicast) stand beside in a table of their own, so that no claim can lie in front of them.
"""

from __future__ import annotations

from mwan_hook.addresses import holds, split
from mwan_hook.model import DEFAULT, MAIN_TABLE, Route, Routing, Rule
from mwan_hook.others import foreign
from mwan_hook.others.foreign import Here
from mwan_hook.routing import priorities
from mwan_hook.routing.allotting import free_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from mwan_hook.model import Address, Config, Snapshot, Uplink
    from mwan_hook.routing.desired import Desired

BEHIND = 1  # the rule of what stands beside claims: as many behind that of main's networks
BY = {9: "router advertisement", 16: "DHCP"}
MOST = 8  # routes of a kind that are named


def table(default_table: int, taken: Container[int]) -> int:
    """The table for what stands beside claims: a free one below the shared default's."""
    return free_below(Routing().default_table if default_table == MAIN_TABLE else default_table, taken)


def beside_claims(desired: Desired, config: Config, uplinks: Sequence[Uplink], snapshot: Snapshot) -> Desired:
    """What should be in the kernel, with traffic led around claims; ``notes`` say what they are."""
    claimed = {route.family for route in snapshot.claims}
    rules = [rule for rule in desired.rules if rule.family not in claimed]
    routes: list[Route] = []
    for family in (family for family in snapshot.families if family in claimed):
        here = Here(family, config, uplinks, snapshot, foreign.of_family(family, snapshot))
        own = [rule for rule in desired.rules if rule.family is family]
        beside = _beside(here, desired) if snapshot.aside else []
        rules += [*_around(own, here, beside), *_instead_of_main(here, own, beside)]
        routes += beside
    tagged = [route._replace(protocol=config.routing.protocol) for route in routes]
    return desired._replace(
        rules=tuple(sorted(rules, key=lambda rule: rule.priority)),
        policies=(*desired.policies, *tagged),
        notes=(*desired.notes, *notes(uplinks, snapshot)),
    )


def _beside(here: Here, desired: Desired) -> list[Route]:
    """What the table holds: routes of others as wide as claims, and the shared default where that is in main."""
    wide = [route for route in here.snapshot.short if route.family is here.family]
    in_main = here.config.routing.default_table == MAIN_TABLE
    shared = [route for route in desired.shared if route.family is here.family and in_main]
    return [route._replace(table=here.snapshot.aside, nhid=0) for route in (*wide, *shared)]


def _around(own: Sequence[Rule], here: Here, beside: Sequence[Route]) -> Iterator[Rule]:
    """Our rules; those for main's networks pass by all that is as wide as a claim.

    What of it others have made is asked for where it was met before: last, if main is asked more than once.
    """
    longest = priorities.CLAIMED[here.family]
    networks = [rule for rule in own if rule.table == MAIN_TABLE and rule.suppress_prefixlength is not None]
    open_ = [rule for rule in networks if (rule.suppress_prefixlength or 0) < longest]
    plain = sorted((rule for rule in open_ if not foreign.selects(rule)), key=lambda rule: rule.priority)
    wide = any(route.dst != DEFAULT for route in beside)
    for rule in own:
        again = wide and len(plain) > 1 and rule == plain[-1]
        if again:
            yield rule._replace(table=here.snapshot.aside)
            continue
        yield rule._replace(suppress_prefixlength=longest) if rule in open_ else rule
        if wide and plain == [rule]:
            after = rule.priority + BEHIND
            yield rule._replace(priority=after, table=here.snapshot.aside)


def _instead_of_main(here: Here, own: Sequence[Rule], beside: Sequence[Route]) -> Iterator[Rule]:
    """The shared default for all, in front of main, where it stands in main and a claim would come before it."""
    if own and any(route.dst == DEFAULT for route in beside):
        place = foreign.place(here, priorities.default(here.config))
        yield Rule(here.family, place, here.snapshot.aside, protocol=here.config.routing.protocol)


def inside(brought: Iterable[Route], lans: Sequence[Address], own: Sequence[Address]) -> Iterator[Route]:
    """The routes inside a network of the LAN that are narrower: the kernel finds them before it.

    ``own``: addresses of uplinks.  Into its own network, to its gateway above all, an uplink may have any route.
    """
    for route in brought:
        ways = {hop.index for hop in route.nexthops}
        if ways & {lan.index for lan in lans} or _around_it(route, [one for one in own if one.index in ways]):
            continue
        if _around_it(route, lans):
            yield route


def _around_it(route: Route, lans: Sequence[Address]) -> list[Address]:
    address, length = split(route.dst)
    return [one for one in lans if one.prefixlen < length and holds(one, address)]


def notes(uplinks: Sequence[Uplink], snapshot: Snapshot) -> list[str]:
    """What is said of them, once."""
    said = []
    for route in snapshot.claims[:MOST]:
        said.append(f"{words(route, uplinks, snapshot)}: it is judged a default, and others are led around it")
    for route in snapshot.inside[:MOST]:
        where = network(route, snapshot)
        said.append(f"{words(route, uplinks, snapshot)}, inside {where}: what goes there leaves the LAN")
    return said


def network(route: Route, snapshot: Snapshot) -> str:
    """The network that a route lies in, with its interface."""
    names = snapshot.names
    ways = {hop.index for hop in route.nexthops}
    around = _around_it(route, [one for one in snapshot.addresses if one.index not in ways and one.usable])
    one = max(around, key=lambda address: address.prefixlen)
    return f"the network of {one.address}/{one.prefixlen} on {names.get(one.index, one.index)}"


def words(route: Route, uplinks: Sequence[Uplink], snapshot: Snapshot) -> str:
    """``uplink lte: DHCP has put 0.0.0.0/1 via 192.168.8.1 dev enp0s20u1 into main``."""
    hop = route.nexthops[0]
    names = snapshot.names
    via = f"via {hop.gateway} " if hop.gateway else ""
    who = next((f"uplink {one.name}: " for one in uplinks if one.present and one.index == hop.index), "")
    by = BY.get(route.protocol, f"protocol {route.protocol}")
    return f"{who}{by} has put {route.dst} {via}dev {names.get(hop.index, hop.index)} into main"
