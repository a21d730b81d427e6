"""The ordered difference between what should be in the kernel and what is (make before break)."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import MAIN_TABLE, Change, Family, Op, Route, Routing, Rule, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.routing.desired import Desired


class _Diff(NamedTuple):
    put: list[Change]
    drop: list[Change]


def plan(routing: Routing, desired: Desired, snapshot: Snapshot) -> tuple[Change, ...]:
    """Changes in the order to make them.

    First what carries nothing yet (sysctls, tables), then the shared default, replaced in place, then the rules that
    lead there; only then what is no longer wanted goes.  Nothing to do gives an empty tuple.
    """
    tables = _tables(desired, snapshot)
    shared = _routes(desired.shared, _present_shared(routing, desired, snapshot), _Foreign.of(routing, snapshot))
    policies = _routes(desired.policies, snapshot.policies)
    rules = _rules(desired.rules, snapshot.rules)
    main = _own_defaults(routing, desired, snapshot)
    objects = _objects(desired, snapshot)
    routes = _with_room(
        [*tables.put, *objects.put, *shared.put, *policies.put, *rules.put, *main.put], snapshot.former_routes
    )
    return (
        *_sysctls(desired, snapshot),
        *routes.put,
        *rules.drop,
        *deletions(snapshot.former_rules),
        *shared.drop,
        *policies.drop,
        *main.drop,
        *tables.drop,
        *routes.drop,
        *(_change(Op.DELETE, route) for route in snapshot.orphans),
        *objects.drop,
    )


def _objects(desired: Desired, snapshot: Snapshot) -> _Diff:
    """Nexthop objects come before the routes through them, and go after them: with an object the kernel takes them."""
    if not desired.objects and not (snapshot.pool and snapshot.pool.ours):
        return _Diff([], [])
    from mwan_hook.routing import nexthops

    return _Diff(*nexthops.difference(desired.objects, snapshot.pool))


def _with_room(put: Iterable[Change], former: Iterable[Route]) -> _Diff:
    """Delete our routes of an earlier protocol number where one of today's is to stand.

    The kernel has one route at a key.  They change one key after the other, so that of the shared default either the
    best or its fallback stands at any time.
    """
    there: dict[object, list[Route]] = {}
    for route in former:
        there.setdefault(_key(route), []).append(route)
    if not there:
        return _Diff(list(put), [])
    changes: list[Change] = []
    for change in put:
        if isinstance(change.what, Route):
            changes += [_change(Op.DELETE, route) for route in there.pop(_key(change.what), ())]
        changes.append(change)
    return _Diff(changes, [_change(Op.DELETE, route) for routes in there.values() for route in routes])


def _change(op: Op, what: Route | Rule) -> Change:
    return Change(op, what, what.table, what.family)


def _sysctls(desired: Desired, snapshot: Snapshot) -> list[Change]:
    """Changes of sysctls that exist: an interface that is gone, or a kernel without IPv6, has none."""
    current = {sysctl.key: sysctl.value for sysctl in snapshot.sysctls}
    wanted = (*desired.sysctls, *desired.originals)
    return [Change(Op.REPLACE, want) for want in wanted if current.get(want.key, want.value) != want.value]


def _tables(desired: Desired, snapshot: Snapshot) -> _Diff:
    """Copies first: the default needs the subnet of its gateway."""
    wanted: dict[tuple[Family, int], list[Route]] = {}
    for route in desired.tables:
        wanted.setdefault((route.family, route.table), []).append(route)
    all_of_them = _Diff([], [])
    for copies in snapshot.copies:
        fixed = _routes(wanted.pop((copies.family, copies.table), ()), copies.extra)
        for op, raws in ((Op.ADD, copies.add), (Op.REPLACE, copies.replace)):
            if raws:  # thousands, so by columns
                number = len(raws)
                values = zip([op] * number, raws, [copies.table] * number, [copies.family] * number, strict=True)
                all_of_them.put.extend(map(Change._make, values))
        all_of_them.put.extend(fixed.put)
        all_of_them.drop.extend(fixed.drop)
    for routes in wanted.values():
        all_of_them.put.extend(_routes(routes, ()).put)
    return all_of_them


class _Foreign(NamedTuple):
    """Foreign IPv4 defaults where the shared default stands; IPv6 keeps out of their way."""

    keys: frozenset[object] = frozenset()
    preceded: frozenset[Route] = frozenset()  # ours that one of the same metric stands in front of

    @classmethod
    def of(cls, routing: Routing, snapshot: Snapshot) -> _Foreign:
        """Defaults of main; in a table of our own all are ours."""
        if routing.default_table != MAIN_TABLE:
            return cls()
        keys, preceded = set(), set()
        for route in snapshot.defaults:
            if route.family is Family.IPV4 and route.protocol != snapshot.protocol:
                keys.add(_key(route))
            elif _key(route) in keys:
                preceded.add(route)
        return cls(frozenset(keys), frozenset(preceded))


_NOBODY = _Foreign()


def _routes(wanted: Iterable[Route], present: Iterable[Route], foreign: _Foreign = _NOBODY) -> _Diff:
    """Difference by the kernel's key (destination, type of service, metric).

    In front of a foreign one of the same key ours is put; what replaces would take the foreign one's place.
    """
    have: dict[object, list[Route]] = {}
    for route in present:
        have.setdefault(_key(route), []).append(route)
    put: list[Change] = []
    for route in wanted:
        twins = have.pop(_key(route), [])
        if route in twins:
            twins.remove(route)
            if route in foreign.preceded:
                put += [_change(Op.DELETE, route), _change(Op.PREPEND, route)]
        elif _key(route) in foreign.keys:
            put.append(_change(Op.PREPEND, route))
        elif twins and _replaceable(twins[0], route):
            put.append(_change(Op.REPLACE, route))
            twins.pop(0)
        else:
            put.append(_change(Op.ADD, route))
        if twins:
            have[_key(route)] = twins
    drop = [_change(Op.DELETE, route) for twins in have.values() for route in twins]
    return _Diff(put, drop)


def _key(route: Route) -> tuple[Family, int, str, int, int]:
    return route.family, route.table, route.dst, route.tos, route.metric


def _replaceable(old: Route, new: Route) -> bool:
    """IPv6 replaces like by like only: a route by device is no sibling of one with a gateway."""
    if old.family is Family.IPV4 or old.nhid or new.nhid:
        return True
    return bool(old.nexthops and old.nexthops[0].gateway) == bool(new.nexthops and new.nexthops[0].gateway)


def _present_shared(routing: Routing, desired: Desired, snapshot: Snapshot) -> Sequence[Route]:
    """Our routes in the shared default's table; in main without uplinks' own defaults, which their metric tells."""
    if routing.default_table != MAIN_TABLE:
        return snapshot.shared
    own = {(route.family, route.metric) for route in desired.main}
    return [
        route
        for route in snapshot.defaults
        if route.protocol == snapshot.protocol and (route.family, route.metric) not in own
    ]


def _rules(wanted: Sequence[Rule], present: Sequence[Rule]) -> _Diff:
    """Rules are equal or not; a rule that stands twice loses its second copy.

    The first comes first and goes last, so that what others must stay behind (the look-up of local addresses, the
    rules of addresses before their guards) is there at any time.
    """
    if len(wanted) == len(present) and set(wanted) == set(present):
        return _Diff([], [])
    have, want = list(present), list(dict.fromkeys(wanted))
    put = []
    for rule in sorted(want, key=_priority):
        if rule in have:
            have.remove(rule)
        else:
            put.append(_change(Op.ADD, rule))
    return _Diff(put, deletions(have))


def deletions(rules: Iterable[Rule]) -> list[Change]:
    """Rules to take out, the last one first: what it leaves is never more than what an earlier one takes."""
    return [_change(Op.DELETE, rule) for rule in sorted(rules, key=_priority, reverse=True)]


def _priority(rule: Rule) -> int:
    return rule.priority


def _own_defaults(routing: Routing, desired: Desired, snapshot: Snapshot) -> _Diff:
    """Uplinks' own defaults in main, leg by leg: two of them may share metric and gateway."""
    wanted = set(desired.main)
    keep = wanted if routing.default_table != MAIN_TABLE else wanted | set(desired.shared)
    ours = [
        leg
        for route in snapshot.defaults
        if route.protocol == snapshot.protocol
        if routing.default_table != MAIN_TABLE or (route.family, route.metric) in {(r.family, r.metric) for r in wanted}
        for leg in ([route._replace(nexthops=(hop,)) for hop in route.nexthops] or ([route] if route.nhid else []))
    ]
    put = [_change(Op.APPEND, route) for route in desired.main if route not in ours]
    put += [_change(Op.APPEND, route) for route in desired.restored]
    drop = [_change(Op.DELETE, route) for route in [*desired.displaced, *(r for r in ours if r not in keep)]]
    return _Diff(put, drop)
