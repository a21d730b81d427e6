"""The rules that lead to uplinks' tables and to the shared default (section 6 of the contract)."""

from __future__ import annotations

from mwan_hook.addresses import holds
from mwan_hook.light import NamedTuple
from mwan_hook.model import LOCAL_TABLE, MAIN_TABLE, Config, Family, Route, Routing, Rule, Snapshot, Uplink
from mwan_hook.routing import priorities
from mwan_hook.verdict.standing import by_preference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeVar

    Thing = TypeVar("Thing", Route, Rule)

REFUSED = "unreachable"
LOOPBACK = "lo"  # what the rules of packets of our own programs name as iif


class Standing(NamedTuple):
    """The uplinks of one family by what they can do, and the shared default that follows from it."""

    used: Sequence[Uplink]  # present, with an address or gateway now or earlier in this boot
    leading: Sequence[Uplink]  # of them those with a way out, now or earlier in this boot
    carrying: Sequence[Uplink]  # online, by preference
    open_to_new: Sequence[Uplink]  # of them those that get new connections
    ways_out: Sequence[Route]


def wanted_rules(family: Family, config: Config, standing: Standing, snapshot: Snapshot) -> list[Rule]:
    """All rules of a family but those of policies and delegated prefixes."""
    used, leading, carrying, taking, ways_out = standing
    if not used:
        return []
    return [
        *main_first(family, config.routing, snapshot),
        *_of_devices_and_marks(family, config.routing, used, carrying),
        *_of_addresses(family, config.routing, leading),
        *_of_shared_addresses(family, config.routing, leading, taking),
        *(_of_default(family, config) if ways_out else ()),
        *_refused_early(family, config.routing, ways_out),
    ]


def needs_copies(snapshot: Snapshot) -> bool:
    """Whether a foreign rule may have to come before ours (:mod:`ahead`): mostly there is only that of priority 0."""
    return snapshot.vrfs or any(rule.priority and comes_first(rule) for rule in snapshot.foreign_rules)


def comes_first(rule: Rule) -> bool:
    """Whether it looks up local addresses, or the tables of VRFs, for all packets."""
    bare = Rule(rule.family, rule.priority, rule.table, protocol=rule.protocol, l3mdev=rule.l3mdev)
    return rule == bare and (rule.l3mdev or rule.table == LOCAL_TABLE)


def main_first(family: Family, routing: Routing, snapshot: Snapshot) -> list[Rule]:
    """Main without its defaults comes first; only the tables of VRFs come before it."""
    if not routing.main_first:
        return []
    base = routing.rule_priority
    vrfs = any(rule.l3mdev and rule.priority == base and rule.family is family for rule in snapshot.foreign_rules)
    offset = priorities.MAIN_BEHIND_VRFS if vrfs else priorities.MAIN
    return [Rule(family, base + offset, MAIN_TABLE, suppress_prefixlength=0)]


def _of_devices_and_marks(
    family: Family, routing: Routing, used: Sequence[Uplink], carrying: Sequence[Uplink]
) -> list[Rule]:
    base = routing.rule_priority
    rules = [Rule(family, base + priorities.DEVICES, uplink.table, oif=uplink.interface) for uplink in used]
    return rules + [
        Rule(family, base + priorities.MARKS, uplink.table, mark=uplink.mark, mask=uplink.mask)
        for uplink in carrying
        if uplink.mark
    ]


def _of_addresses(family: Family, routing: Routing, leading: Sequence[Uplink]) -> list[Rule]:
    """Rules to the uplink's table, and behind that the guard: what has a dead uplink's address leaves by no other."""
    twins = shared_addresses(leading, family)
    rules = []
    for uplink in leading:
        priority, guard = priorities.sources(routing, uplink.config), priorities.guards(routing, uplink.config)
        sources = [source for source in addresses(uplink, family) if source not in twins]
        rules += [Rule(family, priority, uplink.table, src=source) for source in sources]
        rules += [Rule(family, guard, 0, src=source, action=REFUSED) for source in sources]
    return rules


def _of_default(family: Family, config: Config) -> list[Rule]:
    """The shared default, where it has a table; without ``main_first`` main's networks are reached right before it."""
    routing, priority = config.routing, priorities.default(config)
    if routing.default_table == MAIN_TABLE:
        return []
    rules = [Rule(family, priority, routing.default_table)]
    if not routing.main_first:
        widest = priorities.DISGUISED[family]
        rules.append(Rule(family, priority - priorities.BEFORE_DEFAULT, MAIN_TABLE, suppress_prefixlength=widest))
    return rules


def _of_shared_addresses(
    family: Family, routing: Routing, leading: Sequence[Uplink], taking: Sequence[Uplink]
) -> list[Rule]:
    """Rules of an address that several uplinks have: after the marks, which tell them apart, and by what works.

    Where all of the best tier have it, the shared default serves it; else the best one that has it.
    """
    base, rules = routing.rule_priority, []
    tier = best_tier(taking, family)
    for source, holders in _holders(leading, family).items():
        if len(holders) == 1:
            continue
        best = [uplink for uplink in taking if uplink in holders]
        able = [uplink for uplink in by_preference(holders, family) if not uplink.way(family).missing]
        table = (best or able or holders)[0].table
        if tier and all(uplink in holders for uplink in tier):
            table = routing.default_table
        rules.append(Rule(family, base + priorities.SHARED_ADDRESSES, table, src=source))
        rules.append(Rule(family, base + priorities.SHARED_GUARDS, 0, src=source, action=REFUSED))
    return rules


def _refused_early(family: Family, routing: Routing, ways_out: Sequence[Route]) -> list[Rule]:
    """A last resort that refuses, for IPv6: a packet of our own that was refused without a source address is asked for
    again with one, and the rules of uplinks' addresses would take it."""
    refusing = [route.kind for route in ways_out if route.kind != "unicast"]
    if family is Family.IPV4 or not refusing:
        return []
    return [Rule(family, routing.rule_priority + priorities.REFUSE_EARLY, 0, iif=LOOPBACK, action=refusing[0])]


def best_tier(carrying: Sequence[Uplink], family: Family) -> list[Uplink]:
    """The uplinks that share, of what carries by preference."""
    return [uplink for uplink in carrying if uplink.preference(family) == carrying[0].preference(family)]


def shared_addresses(uplinks: Iterable[Uplink], family: Family) -> dict[str, None]:
    """Addresses that more than one uplink has, as identical USB modems give them, in order."""
    return dict.fromkeys(source for source, holders in _holders(uplinks, family).items() if len(holders) > 1)


def share_a_network(uplinks: Sequence[Uplink], family: Family) -> bool:
    """Whether any address of one is in a network of another."""
    own = [[one for one in uplink.way(family).addresses if one.usable] for uplink in uplinks]
    pairs = ((left, right) for place, left in enumerate(own) for right in own[place + 1 :])
    return any(holds(one, other.address) for left, right in pairs for one in left for other in right)


def _holders(uplinks: Iterable[Uplink], family: Family) -> dict[str, list[Uplink]]:
    """The uplinks that have each address."""
    found: dict[str, list[Uplink]] = {}
    for uplink in uplinks:
        for source in addresses(uplink, family):
            found.setdefault(source, []).append(uplink)
    return found


def addresses(uplink: Uplink, family: Family) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address.address for address in uplink.way(family).addresses if address.usable))


def tagged(things: Iterable[Thing], routing: Routing) -> tuple[Thing, ...]:
    """Routes or rules with the protocol that marks them as ours."""
    number = routing.protocol
    return tuple([one if one.protocol == number else one._replace(protocol=number) for one in things])


def numbered(family: Family, priority: int) -> str:
    """``ip -6 rule 1200``: a rule in a message."""
    return f"{'ip' if family is Family.IPV4 else 'ip -6'} rule {priority}"
