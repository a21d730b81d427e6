"""What is to be sent for routes of main that an uplink's table lacks; imported only where one does.

How the kernel joins and replaces routes of one key is shown by tests/netns/test_kernel_routes.py and
test_kernel_copies.py, the order of its attributes by test_kernel_messages.py there.
"""

from __future__ import annotations

from _socket import AF_INET6
from _struct import unpack_from

from mwan_hook.kernel import canonical, frames, wire
from mwan_hook.light import defaultdict, tally
from mwan_hook.model import Copies, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.kernel.copies import CanonicalRoutes

_ADD = wire.NLM_F_CREATE | wire.NLM_F_EXCL
_APPEND = wire.NLM_F_CREATE | wire.NLM_F_APPEND
_REPLACE = wire.NLM_F_CREATE | wire.NLM_F_REPLACE
_PLACED = (20, 21, 32, 33, 34, 35)  # in a message: what a writer puts into struct rtmsg and RTA_TABLE
_AT_ONCE = 400  # messages: what is larger is fresh memory of the kernel's
_SCOPE, _ADDRESS = 6, 20  # in a canonical route
_OF_ADDRESS = slice(4, None)  # in what :func:`destinations` gives
_IPV6_GATEWAY = b"\x14\0\x05\0"  # header of RTA_GATEWAY


def difference(family: Family, table: int, source: CanonicalRoutes, have: CanonicalRoutes, protocol: int) -> Copies:
    """What to add and replace, and what of ours is too much.

    A foreign IPv6 route in the table would become one multipath route with ours, so its place is left alone.
    """
    alone, beside = _at_one_address(source.others)
    several = repeated(beside)
    if family is Family.IPV6 and several:
        beside, several = merged(beside, several)
    others, there = [*alone, *beside], set(have.ours)
    missing = [route for route in others if route not in there] if there else others
    kept, extra = len(others) - len(missing), sorted(there.difference(others, source.dead)) if there else []
    if have.others and family is Family.IPV6:
        taken = set(map(key, (*have.others, *have.dead)))
        missing = [route for route in missing if key(route) not in taken]
    replace: list[bytes] = []
    if missing and any(map(length, extra)):
        missing, extra, replace = _replaceable(missing, extra, have)
    return Copies(
        family,
        table,
        add=_added(_connected_first(family, missing), several, have, table, protocol),
        replace=tuple(map(canonical.writer(table, protocol, _REPLACE), replace)),
        extra=canonical.decoded(extra, table, protocol),
        kept=kept,
    )


def beside(source: CanonicalRoutes, more: CanonicalRoutes) -> CanonicalRoutes:
    """Main's routes, and those of another table for what main has nothing for."""
    known = set(map(key, (*source.others, *source.dead)))
    others = [route for route in more.others if key(route) not in known]
    return source._replace(others=[*source.others, *others], dead=[*source.dead, *more.dead])


def _added(
    missing: list[bytes], several: set[bytes], have: CanonicalRoutes, table: int, protocol: int
) -> tuple[bytes, ...]:
    """Main may hold several routes of one destination (two modems with one subnet): these are appended."""
    made = messages(missing, table, protocol, _ADD)
    beside = several.union(destinations((*have.ours, *have.others, *have.dead)))
    if beside:
        append = canonical.writer(table, protocol, _APPEND)
        addresses = {place[_OF_ADDRESS] for place in beside}
        for number, address in enumerate(_addresses(missing)):
            if address in addresses and destinations(missing[number : number + 1])[0] in beside:
                made[number] = append(missing[number])
    return tuple(made)


def messages(routes: Sequence[bytes], table: int, protocol: int, flags: int) -> list[bytes]:
    """What :func:`canonical.writer` makes of each of many, by columns of those that have one length."""
    head, lengths = canonical.writer(table, protocol, flags), {*map(len, routes)}
    if len(lengths) == 1:
        return _columns(routes, head(routes[0]))
    by_length: dict[int, list[bytes]] = defaultdict(list)
    for route in routes:
        by_length[len(route)].append(route)
    made = {length: iter(_columns(same, head(same[0]))) for length, same in by_length.items()}
    return [next(made[len(route)]) for route in routes]


def _columns(routes: Sequence[bytes], first: bytes) -> list[bytes]:
    """Messages for routes of one length, as the first of them has it: its header, table and protocol are theirs."""
    size, header = len(first), first[: wire.HEADER]
    found: list[bytes] = []
    for at in range(0, len(routes), _AT_ONCE):
        some = routes[at : at + _AT_ONCE]
        made = bytearray(header + header.join(some))
        for place in _PLACED:
            made[place::size] = first[place : place + 1] * len(some)
        ready = bytes(made)
        found += [ready[start : start + size] for start in range(0, len(ready), size)]
    return found


def merged(routes: Sequence[bytes], several: set[bytes]) -> tuple[list[bytes], set[bytes]]:
    """IPv6: routes with a gateway and one key are one multipath route, as soon as a program puts them in.

    ``several``: destinations that are there more than once, which are given back as well.
    """
    places = destinations(routes)
    by_key: dict[object, list[bytes]] = {}
    for route in [route for route, place in zip(routes, places, strict=True) if place in several]:
        by_key.setdefault(key(route), []).append(route)
    joined: list[bytes] = []
    for same in by_key.values():
        with_gateway = [route for route in same if has_gateway(route)]
        joined += [route for route in same if route not in with_gateway]
        joined += [join(with_gateway)] if len(with_gateway) > 1 else with_gateway
    alone = [route for route, place in zip(routes, places, strict=True) if place not in several]
    return [*alone, *joined], repeated(joined)


def _replaceable(
    missing: list[bytes], extra: list[bytes], have: CanonicalRoutes
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """(still missing, still extra, to replace).

    The kernel replaces what comes first at a key: only where one route is there, one is wanted and both are ours.
    """
    there = tally(map(key, (*have.ours, *have.others, *have.dead)))
    wanted = tally(map(key, missing))
    alone = {key(route): route for route in extra}
    alone = {key: route for key, route in alone.items() if there[key] == wanted[key] == 1 and route[1]}
    replace = [route for route in missing if key(route) in alone]
    replaced = set(alone.values())
    return (
        [route for route in missing if key(route) not in alone],
        [route for route in extra if route not in replaced],
        replace,
    )


def _connected_first(family: Family, routes: list[bytes]) -> list[bytes]:
    """A gateway must be reachable before a route leads there: IPv4's widest scopes last, IPv6's gateways."""
    if family is Family.IPV4:
        scopes = sorted({route[_SCOPE] for route in routes}, reverse=True)
        one = len(scopes) == 1
        return routes if one else [route for scope in scopes for route in routes if route[_SCOPE] == scope]
    return sorted(routes, key=_has_gateway_header) if _any_gateway(routes) else routes


def _any_gateway(routes: Sequence[bytes]) -> bool:
    """Whether one may have a gateway: the header stands where an attribute may begin, at a multiple of four."""
    for at in range(0, len(routes), _AT_ONCE):
        some = b"".join(routes[at : at + _AT_ONCE])
        place = some.find(_IPV6_GATEWAY)
        while place & 3 and place > 0:
            place = some.find(_IPV6_GATEWAY, place + 1)
        if place >= 0:
            return True
    return False


def _has_gateway_header(route: bytes) -> bool:
    return _IPV6_GATEWAY in route


def destinations(routes: Sequence[bytes]) -> list[bytes]:
    """Family, prefix lengths, tos and destination of each: the kernel puts that right behind the table."""
    end = _end_of_address(routes)
    return [route[:4] + route[_ADDRESS:end] for route in routes]


def repeated(routes: Sequence[bytes]) -> set[bytes]:
    """Destinations that are there more than once."""
    return {place for place, number in tally(destinations(routes)).items() if number > 1}


def _at_one_address(routes: Sequence[bytes]) -> tuple[Sequence[bytes], list[bytes]]:
    """Routes whose address no other has, so that they need no closer look, and each of the others once."""
    addresses = _addresses(routes)
    if len({*addresses}) == len(routes):
        return routes, []
    shared = {address for address, number in tally(addresses).items() if number > 1}
    alone = [route for route, address in zip(routes, addresses, strict=True) if address not in shared]
    beside = [route for route, address in zip(routes, addresses, strict=True) if address in shared]
    return alone, [*dict.fromkeys(beside)]


def _addresses(routes: Sequence[bytes]) -> list[bytes]:
    """The address of each destination, without its length."""
    place = slice(_ADDRESS, _end_of_address(routes))
    return [route[place] for route in routes]


def _end_of_address(routes: Sequence[bytes]) -> int:
    return 40 if routes and routes[0][0] == AF_INET6 else 28


def key(route: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """What the kernel tells routes of one table apart by: prefix lengths and tos, destination, source, metric."""
    found = wire.attributes(route, canonical.ATTRIBUTES)
    parts = (found.get(kind, b"") for kind in (wire.RTA_DST, wire.RTA_SRC, wire.RTA_PRIORITY))
    destination, source, metric = parts
    return route[:4], destination, source, metric


def length(route: bytes) -> int:
    """The destination's prefix length; 0 is the default route."""
    return route[1]


def has_gateway(route: bytes) -> bool:
    """IPv6: whether the kernel would join it with another such route of its key into one multipath route."""
    found = wire.attributes(route, canonical.ATTRIBUTES)
    if wire.RTA_MULTIPATH in found:
        return True
    return route[7] == wire.UNICAST and wire.RTA_GATEWAY in found


def join(routes: list[bytes]) -> bytes:
    """IPv6: the one multipath route that the kernel makes of routes of one key."""
    legs: dict[bytes, None] = {}
    for route in routes:
        for kind, value in wire.each_attribute(route, canonical.ATTRIBUTES):
            if kind == wire.RTA_MULTIPATH:
                legs.update((frames.leg(*way), None) for way in wire.legs(value))
        legs.update((plain, None) for plain in _plain(route))
    first, body = routes[0], b""
    for kind, value in wire.each_attribute(first, 20):
        body += b"" if kind in canonical.OF_A_HOP else frames.attribute(kind, value)
    ways = frames.attribute(wire.RTA_MULTIPATH, b"".join(sorted(legs)))
    pref = frames.attribute(wire.RTA_PREF, b"\0")
    at = len(body) - len(pref)  # the kernel names the nexthops before the preference
    return first[:8] + bytes(4) + canonical.TABLE + body[:at] + ways + body[at:]


def _plain(route: bytes) -> list[bytes]:
    found = wire.attributes(route, canonical.ATTRIBUTES)
    if wire.RTA_MULTIPATH in found or wire.RTA_OIF not in found:
        return []
    rest = frames.attribute(wire.RTA_GATEWAY, found[wire.RTA_GATEWAY])
    index: int = unpack_from("=i", found[wire.RTA_OIF])[0]
    return [frames.leg(route[8], 1, index, rest)]
