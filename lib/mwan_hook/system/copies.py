"""What an uplink's table lacks of main's routes, and what it has too many of.

Both sides are read raw and become canonical bytes (:mod:`canonical`); as sets they cancel each other, and only what is
left is looked into.
"""

from __future__ import annotations

from mwan_hook.core.priorities import DISGUISED
from mwan_hook.light import partial, tally
from mwan_hook.model import MAIN_TABLE, Copies, CopyRoutes, Family, Op, Route
from mwan_hook.system import canonical, shapes, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mwan_hook.system.look import Reader
    from mwan_hook.system.shapes import Found

_ADD = wire.NLM_F_CREATE | wire.NLM_F_EXCL
_APPEND = wire.NLM_F_CREATE | wire.NLM_F_APPEND
_REPLACE = wire.NLM_F_CREATE | wire.NLM_F_REPLACE
_IPV6_GATEWAY = b"\x14\0\x05\0"  # header of RTA_GATEWAY
_METRICS = {
    2: "mtu",
    3: "window",
    4: "rtt",
    5: "rttvar",
    6: "ssthresh",
    7: "cwnd",
    8: "advmss",
    9: "reordering",
    10: "hoplimit",
    11: "initcwnd",
    13: "rto_min",
    14: "initrwnd",
    15: "quickack",
    17: "fastopen_no_cookie",
}
_UNITS = {4: (8, "ms"), 5: (4, "ms"), 13: (1, "ms")}  # what the kernel counts in, and how it is written
_PREFERENCES = {1: "high", 3: "low"}
_LOCK, _FEATURES, _ALGORITHM = 1, 12, 16  # RTAX_*
_LOCKABLE = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14))  # the word rto_min locks by itself
_ECN = 1
_FLOW = 11  # RTA_FLOW
_ENCAPSULATIONS = {1: "mpls", 2: "ip", 3: "ila", 4: "ip6", 5: "seg6", 6: "bpf", 7: "seg6local", 8: "rpl", 9: "ioam6"}


class Copier:
    """Compares uplinks' tables with main; main is read once where all uplinks copy all of it."""

    def __init__(self, reader: Reader, mode: CopyRoutes) -> None:
        self._reader = reader
        self._mode = mode
        self._main: dict[Family, Found] = {}

    def compare(self, family: Family, table: int, index: int, homes: Iterable[int] = ()) -> Copies:
        """The difference for one family and table of the uplink with interface ``index``.

        ``homes``: tables of others that its default was found in; what else leads through it there is copied, too,
        because the uplink's rules come before those that lead there.  A route whose nexthops are all dead is not
        copied, but a copy that is there already stays: it comes to life together with the original.
        """
        source = self._source(family, index)
        for home in homes:
            source = self._with_home(source, family, home, index)
        have = self._reader.routes(family, table, partial(shapes.collect, protocol=self._reader.protocol))
        wanted, there = set(source.others), set(have.ours)
        missing = wanted - there
        if missing and family is Family.IPV6:
            source = source._replace(others=_joined(source.others))
            wanted = set(source.others)
            missing = wanted - there
        kept = len(wanted) - len(missing)
        extra = there - wanted - set(source.dead)
        return self._difference(
            Copies(family, table, kept=kept),
            [route for route in dict.fromkeys(source.others) if route in missing] if missing else [],
            sorted(extra),
            have,
        )

    def _source(self, family: Family, index: int) -> Found:
        collect = partial(shapes.collect, protocol=self._reader.protocol, defaults=False)
        if self._mode is CopyRoutes.OWN:
            own = partial(collect, oif=index)
            return self._reader.unicast(family, MAIN_TABLE, index, own)
        if family not in self._main:
            own = partial(collect, disguised=DISGUISED[family])
            self._main[family] = self._reader.routes(family, MAIN_TABLE, own)
        return self._main[family]

    def _with_home(self, source: Found, family: Family, home: int, index: int) -> Found:
        """Main's routes come before those of another table."""
        collect = partial(shapes.collect, protocol=self._reader.protocol, defaults=False, oif=index)
        more = self._reader.unicast(family, home, index, collect)
        known = set(map(canonical.key, (*source.others, *source.dead)))
        others = [route for route in more.others if canonical.key(route) not in known]
        return source._replace(others=[*source.others, *others], dead=[*source.dead, *more.dead])

    def _difference(self, copies: Copies, missing: list[bytes], extra: list[bytes], have: Found) -> Copies:
        if have.others and copies.family is Family.IPV6:
            # A foreign route there would become one multipath route with ours.
            taken = set(map(canonical.key, (*have.others, *have.dead)))
            missing = [route for route in missing if canonical.key(route) not in taken]
        replace: list[bytes] = []
        if missing and any(map(canonical.length, extra)):
            missing, extra, replace = _replaceable(missing, extra, have)
        missing.sort(key=_connected_first(copies.family))
        protocol = self._reader.protocol
        decoded = [_decoded(route, copies.table, protocol) for route in extra]
        return copies._replace(
            add=_added(missing, have, copies.table, protocol),
            replace=tuple(map(canonical.writer(copies.table, protocol, _REPLACE), replace)),
            extra=tuple(decoded),
        )


def _added(missing: list[bytes], have: Found, table: int, protocol: int) -> tuple[bytes, ...]:
    """Main may hold several routes of one destination (two modems with one subnet): these are appended."""
    destination = canonical.destination
    counted = tally(map(destination, (*missing, *have.ours, *have.others, *have.dead)))
    add, append = canonical.writer(table, protocol, _ADD), canonical.writer(table, protocol, _APPEND)
    return tuple([add(route) if counted[destination(route)] == 1 else append(route) for route in missing])


def _joined(routes: list[bytes]) -> list[bytes]:
    """IPv6: routes with a gateway and one key are one multipath route, as soon as a program puts them in."""
    counted = tally(map(canonical.destination, routes))
    if len(counted) == len(routes):
        return routes
    joined = [route for route in routes if counted[canonical.destination(route)] == 1]
    by_key: dict[object, list[bytes]] = {}
    for route in routes:
        if counted[canonical.destination(route)] > 1:
            by_key.setdefault(canonical.key(route), []).append(route)
    for same in by_key.values():
        with_gateway = [route for route in same if canonical.has_gateway(route)]
        joined += [route for route in same if route not in with_gateway]
        joined += [canonical.join(with_gateway)] if len(with_gateway) > 1 else with_gateway
    return joined


def _replaceable(missing: list[bytes], extra: list[bytes], have: Found) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """(still missing, still extra, to replace).

    The kernel replaces what comes first at a key: only where one route is there, one is wanted and both are ours.
    """
    there = tally(map(canonical.key, (*have.ours, *have.others, *have.dead)))
    wanted = tally(map(canonical.key, missing))
    alone = {canonical.key(route): route for route in extra}
    alone = {key: route for key, route in alone.items() if there[key] == wanted[key] == 1 and route[1]}
    replace = [route for route in missing if canonical.key(route) in alone]
    replaced = set(alone.values())
    return (
        [route for route in missing if canonical.key(route) not in alone],
        [route for route in extra if route not in replaced],
        replace,
    )


def _connected_first(family: Family) -> Callable[[bytes], int]:
    """A gateway must be reachable before a route leads there."""
    if family is Family.IPV4:
        return _widest_scope_last
    return _gateways_last


def _widest_scope_last(route: bytes) -> int:
    return -route[6]


def _gateways_last(route: bytes) -> int:
    return _IPV6_GATEWAY in route


def _decoded(plain: bytes, table: int, protocol: int) -> Route:
    route = wire.route(canonical.writer(table, protocol, 0)(plain))
    assert route is not None  # nothing is left out for being dead
    return route


def describe(message: bytes) -> tuple[str, Route, str]:
    """A raw route for people: the verb, the route, and ip(8)'s words for what the type does not hold.

    What ip(8) has no short words for is named in a comment.
    """
    route = wire.route(message)
    assert route is not None
    found = wire.attributes(message, 28)
    metrics = wire.attributes(found.get(wire.RTA_METRICS, b""), 0)
    words = list(_metric_words(metrics))
    words += [f"realm {_realm(found[_FLOW])}"] if _FLOW in found else []
    preference = int.from_bytes(found.get(wire.RTA_PREF, b""), "little")
    words += [f"pref {_PREFERENCES[preference]}"] if preference in _PREFERENCES else []
    unsaid = list(_unsaid(found))
    words += [f"# with {', '.join(unsaid)}"] if unsaid else []
    flags = message[6] | message[7] << 8
    verb = Op.REPLACE if flags & wire.NLM_F_REPLACE else Op.APPEND if flags & wire.NLM_F_APPEND else Op.ADD
    return verb.value, route._replace(mtu=0), " ".join(words)


def _metric_words(metrics: dict[int, bytes]) -> Iterator[str]:
    locked = int.from_bytes(metrics.get(_LOCK, b""), "little")
    for kind, value in metrics.items():
        lock = "lock " if locked >> kind & 1 and kind in _LOCKABLE else ""
        number = int.from_bytes(value, "little")
        if kind in _METRICS:
            per, unit = _UNITS.get(kind, (1, ""))
            yield f"{_METRICS[kind]} {lock}{number // per}{unit}"
        elif kind == _ALGORITHM:
            lock = "lock " if locked >> kind & 1 else ""
            yield f"congctl {lock}{value.rstrip(bytes(1)).decode('ascii', 'replace')}"
        elif kind == _FEATURES and number & _ECN:
            yield "features ecn"


def _realm(value: bytes) -> str:
    number = int.from_bytes(value, "little")
    return f"{number >> 16}/{number & 0xFFFF}" if number >> 16 else str(number)


def _unsaid(found: dict[int, bytes]) -> Iterator[str]:
    """Of a route and its nexthops."""
    for _, _, _, rest in wire.legs(found.get(wire.RTA_MULTIPATH, b"")):
        of_leg = wire.attributes(rest, 0)
        yield from _unsaid(of_leg)
        if _FLOW in of_leg:
            yield f"realm {_realm(of_leg[_FLOW])} of a nexthop"
    if canonical.RTA_ENCAP_TYPE in found:
        number = int.from_bytes(found[canonical.RTA_ENCAP_TYPE], "little")
        yield f"encap {_ENCAPSULATIONS.get(number, number)}"
