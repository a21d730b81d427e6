"""What a look reads once it is known which interface is which uplink: rules, tables, settings."""

from __future__ import annotations

from mwan_hook.kernel import sysctl
from mwan_hook.kernel.copies import Copier
from mwan_hook.kernel.maintable import LOOPBACK
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import (
    DEFAULT,
    LATENCY,
    LOCAL_TABLE,
    MAIN_TABLE,
    Config,
    Copies,
    Family,
    Firewall,
    Route,
    Rule,
    Sharing,
    Snapshot,
    State,
    Sysctl,
    Uplink,
)
from mwan_hook.routing import former
from mwan_hook.routing.desired import leftover_sysctls, wanted_sysctls
from mwan_hook.routing.priorities import CLAIMED
from mwan_hook.verdict.standing import is_online, uses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Paths, Pool
    from mwan_hook.routing.uplinks import Bound


def details(reader: Reader, loaded: Loaded, bound: Bound, state: State, outlines: Snapshot) -> Snapshot:
    """Rules, tables and sysctls, as far as they are ours or stand for an uplink."""
    uplinks = bound.uplinks
    families, shared = outlines.families, loaded.config.routing.default_table
    earlier = former.earlier_protocols(state, outlines)
    routes, rules = _former(earlier, families)
    rulebooks = [reader.all_rules(family) for family in families]
    pool = _pool(reader, loaded, bound, state, outlines)
    aside = _aside(loaded.config, bound, pool, outlines)
    foreign = tuple(rule for _, others in rulebooks for rule in others if rule.protocol not in earlier)
    return former.without_former(outlines, state)._replace(
        shared=() if shared == MAIN_TABLE else tuple(r for family in families for r in reader.ours(family, shared)),
        rules=tuple(rule for ours, _ in rulebooks for rule in ours),
        foreign_rules=foreign,
        foreign_wide=_wide(reader, foreign),
        short=tuple(_short(reader, outlines)),
        inside=tuple(_inside(reader, uplinks, outlines)),
        aside=aside,
        hosts=tuple(_hosts(reader, uplinks, state, outlines)),
        vrfs=reader.vrfs(),
        copies=tuple(_copies(reader, loaded.config, uplinks, state, families)),
        sysctls=tuple(_current(uplinks, state, outlines)),
        orphans=_orphans(reader, loaded, bound, state, families, (*_own_table(pool), aside)),
        former_routes=routes,
        former_rules=rules,
        firewall=_firewall(loaded, state),
        mtu6=_mtu6(loaded.config, uplinks) if Family.IPV6 in families else {},
        policies=tuple(_beside(reader, bound, families, pool, aside)),
        pool=pool,
        paths=_paths(loaded.config, state),
    )


def _beside(reader: Reader, bound: Bound, families: Sequence[Family], pool: Pool | None, aside: int) -> Iterator[Route]:
    """Our routes in the tables of policies, of what stands beside claims, and of own packets which go by no group."""
    for table in (*bound.policy_tables, *((aside,) if aside else ())):
        for family in families:
            yield from reader.ours(family, table)
    if pool and pool.own and Family.IPV6 in families:
        yield from reader.ours(Family.IPV6, pool.own)


def _wide(reader: Reader, rules: Sequence[Rule]) -> tuple[Route, ...]:
    """Where rules of other programs for all packets lead: most machines have none."""
    if not any(rule.table != LOCAL_TABLE for rule in rules):
        return ()
    from mwan_hook.others import foreign

    return tuple(route for family, table in foreign.tables(rules) for route in reader.wide(family, table))


def _aside(config: Config, bound: Bound, pool: Pool | None, outlines: Snapshot) -> int:
    if not outlines.claims:
        return 0
    from mwan_hook.others import claims

    return claims.table(config.routing.default_table, {*bound.tables, *_own_table(pool)})


def _own_table(pool: Pool | None) -> tuple[int, ...]:
    return (pool.own,) if pool else ()


def _short(reader: Reader, outlines: Snapshot) -> Iterator[Route]:
    """Routes of main as wide as claims: a tunnel's default in pieces, a route of multicast."""
    for family in dict.fromkeys(route.family for route in outlines.claims):
        for route in reader.wide(family, MAIN_TABLE, CLAIMED[family]):
            if route.dst != DEFAULT and route.protocol != reader.protocol and route not in outlines.claims:
                yield route


def _inside(reader: Reader, uplinks: Sequence[Uplink], outlines: Snapshot) -> Iterator[Route]:
    """What leases and advertisements bring, where there are other networks than the uplinks' that it may lie in."""
    outside = {uplink.index for uplink in uplinks}
    usable = [one for one in outlines.addresses if one.usable and one.index != LOOPBACK]
    lans = [one for one in usable if one.index not in outside]
    brought = [route for family in dict.fromkeys(one.family for one in lans) for route in reader.brought(family)]
    if brought:
        from mwan_hook.others import claims

        yield from claims.inside(brought, lans, [one for one in usable if one.index in outside])


def _hosts(reader: Reader, uplinks: Sequence[Uplink], state: State, outlines: Snapshot) -> Iterator[Route]:
    """Host routes through uplinks: beside a default in pieces all, else of uplinks that are offline beside others."""
    present = [uplink for uplink in uplinks if uplink.present]
    for family in outlines.families:
        tunnel = any(route.family is family for route in outlines.pieces)
        on = [is_online(uplink, family, state) for uplink in present]
        if not (tunnel or (any(on) and not all(on))):
            continue
        for uplink, online in zip(present, on, strict=True):
            if (tunnel or not online) and family in uplink.config.families:
                yield from reader.hosts_of_main(family, uplink.index)


def _pool(reader: Reader, loaded: Loaded, bound: Bound, state: State, outlines: Snapshot) -> Pool | None:
    """Nexthop objects: where several uplinks could share one default through them, and where ours may be left."""
    routing, anew = loaded.config.routing, state.config != loaded.fingerprint
    metrics = [uplink.metric for uplink in bound.uplinks]
    shared = len(set(metrics)) < len(metrics) and routing.prefer != LATENCY
    wanted = routing.nexthops is not Sharing.ROUTES and shared
    if wanted and routing.nexthops is Sharing.AUTO:
        wanted = anew or state.sharing != Sharing.ROUTES.value
    if not (wanted or anew or state.objects):
        return None
    from mwan_hook.kernel import nexthops
    from mwan_hook.model import Pool
    from mwan_hook.routing.nexthops import own_table
    from mwan_hook.run import sharing

    ours, taken = nexthops.decoded(reader.objects(), {routing.protocol, *former.earlier_protocols(state, outlines)})
    known = "" if anew else state.sharing
    pool = sharing.pool(loaded.root, routing, known, ours, taken) if wanted else Pool(ours=ours, taken=taken)
    return pool._replace(own=own_table(routing.default_table, {*bound.tables}))


def _firewall(loaded: Loaded, state: State) -> Firewall | None:
    """Our nft table: where one is wanted or known, and after the configuration or the memory changed."""
    if not loaded.config.firewall and not state.firewall.commands and state.config == loaded.fingerprint:
        return None
    from mwan_hook.kernel import nft

    return nft.look(state.firewall)


def _mtu6(config: Config, uplinks: Sequence[Uplink]) -> dict[int, int]:
    """What routers advertise may be less than the link takes."""
    if not config.firewall or config.router.mss == 0:
        return {}
    found = {one.index: sysctl.read(f"net/ipv6/conf/{one.interface}/mtu") for one in uplinks if one.present}
    return {index: int(value) for index, value in found.items() if value and value.isdigit()}


def _paths(config: Config, state: State) -> Paths | None:
    """MPTCP's endpoints: where some are wanted, or some of ours may be left."""
    if not config.routing.mptcp and state.mptcp is None:
        return None
    from mwan_hook.kernel import endpoints

    return endpoints.look() if endpoints.usable() or state.mptcp else None


def _former(protocols: Sequence[int], families: Sequence[Family]) -> tuple[tuple[Route, ...], tuple[Rule, ...]]:
    """All that carries an earlier protocol number of ours."""
    routes: list[Route] = []
    rules: list[Rule] = []
    for number in protocols:
        with Reader(number) as reader:
            for family in families:
                routes += reader.ours_anywhere(family)
                rules += reader.rules(family)
    return tuple(routes), tuple(rules)


def _copies(
    reader: Reader, config: Config, uplinks: Sequence[Uplink], state: State, families: Sequence[Family]
) -> Iterator[Copies]:
    """Each uplink's table against main; one without an interface may still hold a guard."""
    copier = Copier(reader, config.routing.copy_routes)
    for family in families:
        for uplink in uplinks:
            if uplink.present and uses(uplink, family, state):
                homes = [home for home in uplink.way(family).homes[:1] if home != uplink.table]
                yield copier.compare(family, uplink.table, uplink.index, homes)
            else:
                yield Copies(family, uplink.table, extra=reader.ours(family, uplink.table))


def _orphans(
    reader: Reader,
    loaded: Loaded,
    bound: Bound,
    state: State,
    families: Sequence[Family],
    others: Sequence[int],
) -> tuple[Route, ...]:
    """Our routes in tables not in use: all are searched only after the configuration or the memory changed."""
    known = {loaded.config.routing.default_table, MAIN_TABLE, *bound.policy_tables}
    known |= {uplink.table for uplink in bound.uplinks} | {*others}
    if state.config != loaded.fingerprint:
        found = [route for family in families for route in reader.ours_anywhere(family, but=known)]
    else:
        found = [r for table in state.tables if table not in known for f in families for r in reader.ours(f, table)]
    return tuple(route for route in found if route.table not in known)


def _current(uplinks: Sequence[Uplink], state: State, outlines: Snapshot) -> Iterator[Sysctl]:
    wanted = wanted_sysctls(uplinks, outlines)
    for one in (*wanted, *leftover_sysctls(wanted, state, outlines)):
        value = sysctl.read(one.key)
        if value is not None:
            yield one._replace(value=value)
