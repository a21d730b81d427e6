"""The shared default through nexthop objects: a resilient group, whose buckets keep their flows when weights change.

What one uplink alone can ever carry, and the fallbacks below, stay plain routes.

IPv6 takes the source address of a packet that has none from the group's first way, also if it takes another.  So
a group of several is for forwarded IPv6 packets only, and this machine's own are led to a multipath route beside it, of
which every nexthop has its own source (test_own_connections.py).  IPv4 asks the way that it has chosen.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, HEAVIEST_TYPED, MAIN_TABLE, Change, Family, Nexthop, NexthopObject, Op, Pool
from mwan_hook.routing.allotting import free_below
from mwan_hook.routing.rules import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from mwan_hook.model import Route, Rule, Snapshot, State, Uplink
    from mwan_hook.routing.desired import Desired

# Ids are FIRST_ID + 10 x interface index + 4 or 6 (a twin's + 5); a group's has index 0.  Who counts up from 1 never
# comes here.
FIRST_ID = 1720000000
LAST_ID = 0xFFFFFFFF
BUCKETS = 1024  # so many that in a house most hold no flow, and can move as soon as weights change
IDLE = 120  # seconds: NAT forgets a silent UDP flow then, too


class _Own(NamedTuple):
    """How this machine's own IPv6 packets pass a group by."""

    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


def own_table(default_table: int, taken: Container[int]) -> int:
    """The table of own IPv6 packets: the first free one below the shared default's.

    0 where there is none, or where the shared default is in main: its rule is not ours.
    """
    return 0 if default_table == MAIN_TABLE else free_below(default_table, taken)


def with_groups(desired: Desired, uplinks: Sequence[Uplink], snapshot: Snapshot) -> Desired:
    """What is desired, with the best shared route of each family through a group where several could carry it."""
    pool = snapshot.pool or Pool()
    there = {*snapshot.shared, *snapshot.defaults}
    shared: list[Route] = []
    objects: list[NexthopObject] = []
    own = _Own()
    for family in FAMILIES:
        routes = [route for route in desired.shared if route.family is family]
        if routes and routes[0] in there and not desired.online.get(family):
            own = _standing(pool, snapshot) if family is Family.IPV6 else own
        elif routes and pool.use and (tier := _tier(family, routes[0], uplinks)):
            beside = _beside(routes[0], desired.rules, pool, snapshot)
            if beside is not None:
                own = beside if family is Family.IPV6 else own
                group, ways = _group(routes[0], tier, pool, snapshot)
                routes[0] = routes[0]._replace(nexthops=(), nhid=group.id, src=None, scope=0)
                objects += [*ways, group]
        shared += routes
    kept = {route.nhid for route in shared} - {one.id for one in objects}
    return desired._replace(
        shared=tuple(shared),
        objects=(*objects, *_closure(kept, pool)),
        policies=(*desired.policies, *own.routes),
        rules=(*own.rules, *desired.rules),
    )


def _beside(best: Route, rules: Iterable[Rule], pool: Pool, snapshot: Snapshot) -> _Own | None:
    """What keeps own packets off the group of ``best``: a rule right before that of the shared default.

    None where there is no place for it, because of main's networks or a rule of another program, or where a tunnel's
    own packets are led to the shared default by rules of their own: then there is no group either.
    """
    if best.family is Family.IPV4:
        return _Own()
    mine = [rule for rule in rules if rule.family is best.family]
    leading = [rule for rule in mine if rule.table == best.table and not rule.src]
    if len(leading) != 1 or not pool.own:
        return None
    last = leading[0]
    others = [rule for rule in snapshot.foreign_rules if rule.family is best.family]
    if any(rule.priority in (last.priority - 1, last.priority) for rule in (*mine, *others) if rule is not last):
        return None
    if len(best.nexthops) == 1:  # one source is right
        return _Own()
    rule = last._replace(priority=last.priority - 1, table=pool.own, iif=LOOPBACK)
    return _Own((best._replace(table=pool.own),), (rule,))


def _standing(pool: Pool, snapshot: Snapshot) -> _Own:
    """What an earlier run left for own packets."""
    rules = tuple(rule for rule in snapshot.rules if pool.own and rule.table == pool.own)
    return _Own(tuple(route for route in snapshot.policies if rules and route.table == pool.own), rules)


def remembered(state: State, pool: Pool, objects: Sequence[NexthopObject]) -> State:
    """Whether anything of ours is or will be there, and what `auto` found."""
    return state._replace(objects=bool(objects or pool.ours), sharing=pool.answer or state.sharing)


def difference(wanted: Sequence[NexthopObject], pool: Pool | None) -> tuple[list[Change], list[Change]]:
    """What to put (ways, then groups) and what to drop (groups, then ways)."""
    have = {one.id: one for one in pool.ours} if pool else {}
    put = []
    for one in sorted(wanted, key=_is_group):
        if one.id not in have or _typed(have[one.id]) != _typed(one):
            put.append(_change(Op.REPLACE if one.id in have else Op.ADD, one))
    ids = {one.id for one in wanted}
    drop = [one for one in have.values() if one.id not in ids]
    return put, [_change(Op.DELETE, one) for one in sorted(drop, key=_is_group, reverse=True)]


def _typed(one: NexthopObject) -> NexthopObject:
    return one._replace(members=tuple((number, min(weight, HEAVIEST_TYPED)) for number, weight in one.members))


def _change(op: Op, one: NexthopObject) -> Change:
    return Change(op, one, 0, one.family)


def _is_group(one: NexthopObject) -> bool:
    return one.hop is None


def _tier(family: Family, best: Route, uplinks: Sequence[Uplink]) -> list[tuple[Nexthop, int]]:
    """The nexthops of the best route with their weights; none where no group is to carry it.

    A group stands, with one way if need be, as long as others could join it: who comes back must not move the flows
    of those that were there.
    """
    by_index = {uplink.index: uplink for uplink in uplinks if uplink.present}
    carrying = [by_index[hop.index] for hop in best.nexthops if hop.index in by_index]
    if len(carrying) != len(best.nexthops) or not carrying or best.nhid:
        return []
    mine = carrying[0].metric, family in carrying[0].second
    able = [u for u in uplinks if u.enabled and (u.metric, family in u.second) == mine and family in u.config.families]
    if len(able) < 2 or any(_is_odd(family, hop.gateway) for hop in best.nexthops):
        return []
    return [(hop._replace(weight=1), uplink.config.weight) for hop, uplink in zip(best.nexthops, carrying, strict=True)]


def _is_odd(family: Family, gateway: str | None) -> bool:
    """IPv6 shares only among gateways; IPv4's of the other family are left to routes."""
    return gateway is None if family is Family.IPV6 else gateway is not None and " " in gateway


def _group(
    best: Route, tier: Sequence[tuple[Nexthop, int]], pool: Pool, snapshot: Snapshot
) -> tuple[NexthopObject, list[NexthopObject]]:
    """The group and its ways; what is there already keeps its id, and so its buckets.

    IPv4 does not note which buckets are used while a group has one member.  So a lone one has a twin, which weighs so
    little that it gets next to no bucket, or none.
    """
    family, protocol = best.family, best.protocol
    numbers = _Numbers(family, [one for one in pool.ours if one.protocol == protocol], pool)
    members = [(NexthopObject(numbers.of_way(hop), family, hop, protocol=protocol), weight) for hop, weight in tier]
    if len(members) == 1 and family is Family.IPV4:
        way = members[0][0]
        members = [(way, pool.heaviest), (way._replace(id=numbers.of_twin(way)), 1)]
    standing = {route.nhid for route in (*snapshot.shared, *snapshot.defaults)}
    pairs = tuple(sorted((way.id, weight) for way, weight in members))
    group = NexthopObject(numbers.of_group(standing), family, None, pairs, BUCKETS, IDLE, protocol)
    return group, [way for way, _ in members]


class _Numbers:
    """Ids: those that ours have, and those that are given out."""

    def __init__(self, family: Family, ours: Sequence[NexthopObject], pool: Pool) -> None:
        self._digit = 4 if family is Family.IPV4 else 6
        self._used = {*pool.taken, *(one.id for one in pool.ours)}
        self._groups = [one for one in ours if one.family is family and one.buckets == BUCKETS]
        weights = {number: weight for one in self._groups for number, weight in one.members}
        self._ways: dict[int, list[int]] = {}  # by interface, a twin last
        for one in sorted(ours, key=lambda one: (-weights.get(one.id, 0), one.id)):
            if one.hop and one.family is family:
                self._ways.setdefault(one.hop.index, []).append(one.id)

    def of_way(self, hop: Nexthop) -> int:
        return self._ways.get(hop.index, [0])[0] or self._free(hop.index, self._digit)

    def of_twin(self, way: NexthopObject) -> int:
        index = way.hop.index if way.hop else 0
        others = [number for number in self._ways.get(index, ()) if number != way.id]
        return others[0] if others else self._free(index, self._digit + 1)

    def of_group(self, standing: set[int]) -> int:
        """The id in the standing route, if that is ours."""
        ids = sorted((one.id not in standing, one.id) for one in self._groups)
        return ids[0][1] if ids else self._free(0, self._digit)

    def _free(self, index: int, digit: int) -> int:
        """The id that tells its interface and family, or the next one that is free; it is used from now on."""
        number = FIRST_ID + 10 * index + digit
        while number in self._used or number > LAST_ID:
            number = number + 10 if number <= LAST_ID - 10 else FIRST_ID + digit
        self._used.add(number)
        return number


def _closure(ids: Iterable[int], pool: Pool) -> list[NexthopObject]:
    """Objects that standing routes go through, with the ways of groups."""
    wanted = set(ids)
    groups = [one for one in pool.ours if one.id in wanted]
    wanted |= {number for one in groups for number, _ in one.members}
    return [one for one in pool.ours if one.id in wanted]
