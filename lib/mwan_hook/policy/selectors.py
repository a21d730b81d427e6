"""What a policy chooses, as rules: one for every combination of its lists."""

from __future__ import annotations

from math import prod

from mwan_hook.model import Family, Policy, Routing, Rule
from mwan_hook.routing import priorities, protocols
from mwan_hook.routing.rules import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANYWHERE = ("0.0.0.0/0", "::/0")


def families(policy: Policy) -> tuple[Family, ...]:
    """The families of which it can choose anything."""
    return tuple(
        family
        for family in Family
        if prefixes(policy.sources, family) and prefixes(policy.destinations, family) and protocols_of(policy, family)
    )


def size(policy: Policy, family: Family) -> int:
    """How many rules its selectors make."""
    return prod(
        map(
            len,
            (
                prefixes(policy.sources, family),
                prefixes(policy.destinations, family),
                protocols_of(policy, family),
                *(one or (None,) for one in (policy.sport, policy.dport, policy.iif, policy.marks, policy.uids)),
            ),
        )
    )


def selected(policy: Policy, family: Family, routing: Routing) -> Iterator[Rule]:
    """A rule for every combination of its selectors, without priority and table."""
    return (
        _for_users(Rule(family, 0, 0, src, dst, iif, ipproto=proto, sport=sport, dport=dport), mark, uids, routing)
        for src in prefixes(policy.sources, family)
        for dst in prefixes(policy.destinations, family)
        for iif in policy.iif or (None,)
        for proto in protocols_of(policy, family)
        for sport in policy.sport or (None,)
        for dport in policy.dport or (None,)
        for mark in policy.marks or (None,)
        for uids in policy.uids or (None,)
    )


def _for_users(
    rule: Rule, marked: tuple[int, int | None] | None, uids: tuple[int, int] | None, routing: Routing
) -> Rule:
    """The rule with mark and users.  Forwarded packets count as root's in the kernel: of root's only own are meant."""
    if marked:
        mark, mask = marked
        rule = rule._replace(mark=mark, mask=priorities.ALL_BITS & ~routing.mark_mask if mask is None else mask)
    if uids and uids[0] == 0 and rule.iif is None:
        rule = rule._replace(iif=LOOPBACK)
    return rule._replace(uids=uids)


def prefixes(wanted: Sequence[str], family: Family) -> Sequence[str | None]:
    """Prefixes of this family; None stands for any address."""
    if not wanted:
        return (None,)
    own = [prefix for prefix in wanted if Family.of(prefix) is family]
    return (None,) if set(own) & set(ANYWHERE) else own


def protocols_of(policy: Policy, family: Family) -> Sequence[int | None]:
    """Protocols that the family has: not the other one's icmp."""
    other = protocols.IPV6_ONLY if family is Family.IPV4 else protocols.IPV4_ONLY
    return [number for number in policy.protocols if number != other] if policy.protocols else (None,)
