"""Rules of delegated IPv6 prefixes: hosts of the LAN with an address of one leave by the uplink that it came by."""

from __future__ import annotations

from mwan_hook.addresses import covered, network_of, preferred
from mwan_hook.model import MAIN_TABLE, Family, LastResort, Nat6, Rule
from mwan_hook.routing import priorities
from mwan_hook.routing.gateways import NO_ADDRESS, missing
from mwan_hook.routing.rules import REFUSED, best_tier
from mwan_hook.verdict.standing import is_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Config, Router, Snapshot, State, Uplink, UplinkConfig


def of(uplink: Uplink, snapshot: Snapshot) -> list[str]:
    """The prefixes that leave by an uplink."""
    wanted = uplink.config.prefixes
    if Family.IPV6 not in uplink.config.families:
        return []
    return [
        one.prefix
        for one in snapshot.delegated
        if one.interface == uplink.interface and (wanted is None or one.prefix in wanted)
    ]


def lending(uplinks: Sequence[Uplink], snapshot: Snapshot) -> tuple[Uplink, ...]:
    """The uplinks, those without an IPv6 address of their own with one of their prefix.

    Providers that delegate a prefix need not give the line itself more than a link-local address (PPPoE mostly).
    """
    return tuple([_with_lent(uplink, uplinks, snapshot) if _needs(uplink) else uplink for uplink in uplinks])


def _needs(uplink: Uplink) -> bool:
    way = uplink.ipv6
    there = uplink.link is not None and uplink.link.up and way.default is not None
    return there and not way.lent and not any(one.usable or one.tentative for one in way.addresses)


def _with_lent(uplink: Uplink, uplinks: Sequence[Uplink], snapshot: Snapshot) -> Uplink:
    outside, own = {one.index for one in uplinks}, of(uplink, snapshot)
    inside = [
        one
        for one in snapshot.addresses
        if one.family is Family.IPV6 and one.usable and one.index not in outside
        if covered(one.address, own)
    ]
    way, link = uplink.ipv6, uplink.link
    if not inside or link is None or way.default is None:
        return uplink
    lent = preferred(inside, None)[0].address
    default = way.default._replace(src=lent)
    lacks = missing(link, way.addresses, default, lent)
    return uplink._replace(ipv6=way._replace(lent=lent, default=default, missing=lacks))


def rules(
    config: Config, uplinks: Sequence[Uplink], carrying: Sequence[Uplink], state: State, snapshot: Snapshot
) -> Iterator[Rule]:
    """A rule for each prefix; ``carrying`` are the uplinks that are online, the best first."""
    for uplink in uplinks:
        priority = _priority(config, uplink.config)
        for prefix in of(uplink, snapshot):
            if not config.routing.main_first:  # what goes from one network of the LAN to another stays inside
                widest = priorities.DISGUISED[Family.IPV6]
                yield Rule(Family.IPV6, priority - 1, MAIN_TABLE, src=prefix, suppress_prefixlength=widest)
            rule = Rule(Family.IPV6, priority, uplink.table, src=prefix)
            if dead(uplink, state) or _is_left(uplink, config, carrying):
                yield from _instead(rule, config, uplink, carrying)
            else:
                yield rule
                yield from _guard(rule, config, uplink, carrying)


def _priority(config: Config, uplink: UplinkConfig) -> int:
    """That of the uplink's addresses; with ``pin`` behind the marks.

    A connection that failed over is translated to the other uplink's address, and has to stay there.
    """
    own = priorities.sources(config.routing, uplink)
    return max(own, config.routing.rule_priority + priorities.SHARED_ADDRESSES) if config.router.pin else own


def _guard(rule: Rule, config: Config, uplink: Uplink, carrying: Sequence[Uplink]) -> Iterator[Rule]:
    """Rules that keep a prefix without its uplink's link from leaving by another, unless that translates."""
    others = [one for one in carrying if one != uplink]
    if others and all(translates(one, config.router) for one in others):
        return
    base = config.routing.rule_priority
    priority = priorities.guards(config.routing, uplink.config)
    if config.router.pin:
        priority = max(priority, base + priorities.SHARED_GUARDS)
    yield rule._replace(priority=priority, table=0, action=REFUSED)


def _instead(rule: Rule, config: Config, uplink: Uplink, carrying: Sequence[Uplink]) -> Iterator[Rule]:
    """Where a dead uplink's prefix goes: by another one that translates, or nowhere, so that hosts hear at once."""
    able = [one for one in carrying if translates(one, config.router)]
    if able and all(one in able for one in best_tier(carrying, Family.IPV6)):
        return
    if able:
        yield rule._replace(table=able[0].table)
        yield from _guard(rule, config, uplink, carrying)
    elif not carrying and uplink.enabled and not uplink.ipv6.missing and _hopes(config):
        yield rule
        yield from _guard(rule, config, uplink, carrying)
    else:
        yield rule._replace(table=0, action=REFUSED)


def _is_left(uplink: Uplink, config: Config, carrying: Sequence[Uplink]) -> bool:
    """Whether new connections of a drained uplink's prefix go by another one; those that it has go by their mark."""
    others = bool(carrying) and not any(one.draining for one in carrying)
    return uplink.draining and config.router.pin and others and any(translates(one, config.router) for one in carrying)


def _hopes(config: Config) -> bool:
    return config.routing.last_resort in (LastResort.MAIN, LastResort.KEEP)


def translates(uplink: Uplink, router: Router) -> bool:
    """Whether sources of others become the uplink's own there."""
    own = uplink.config
    mode = router.nat6 if own.nat6 is None else own.nat6
    if mode is Nat6.PREFIX:
        return bool(own.nat6_prefix or network_of(uplink.ipv6.addresses))
    families = router.masquerade if own.masquerade is None else own.masquerade
    return mode is Nat6.MASQUERADE or Family.IPV6 in families


def dead(uplink: Uplink, state: State) -> bool:
    """Nothing from its prefix may be sent by it: it was found so, switched off, or lacks what it needs.

    What lacks an address only still forwards: a router behind this one may have all of the prefix.
    """
    way = uplink.ipv6
    if way.missing == NO_ADDRESS and way.default and way.addresses:
        return not uplink.enabled
    judged = state.memory(uplink.name).ipv6.judged
    return not uplink.enabled or bool(way.missing) or (judged and not is_online(uplink, Family.IPV6, state))


def to_deprecate(uplinks: Sequence[Uplink], state: State, snapshot: Snapshot) -> tuple[str, ...]:
    """Prefixes that hosts shall not use for what is new: of dead and drained uplinks, while another one is online."""
    if not any(is_online(u, Family.IPV6, state) and not u.draining for u in uplinks):
        return ()
    return tuple(sorted(prefix for u in uplinks if u.draining or dead(u, state) for prefix in of(u, snapshot)))
