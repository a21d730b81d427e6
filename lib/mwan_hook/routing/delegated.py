"""Which IPv6 prefixes are delegated, and by which uplink each came.

The kernel's routes tell which prefixes there are, but not whose they are; that is found out once, when one comes, and
stays in the state.  One that vanishes while its uplink is down is remembered: hosts have its addresses still.
"""

from __future__ import annotations

from mwan_hook.addresses import covered, covers, is_global, network, split
from mwan_hook.model import Delegated, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import Claims, OnLink, Snapshot, Uplink

PATIENCE = 60.0  # seconds that a prefix is asked for again, at growing intervals, where its origin is not known


def seen(snapshot: Snapshot, uplinks: Sequence[Uplink], old: Sequence[Delegated]) -> tuple[str, ...]:
    """Prefixes that are delegated, or may be, as far as routes and addresses show.

    A DHCP client makes a prefix unreachable as a whole, so that what no network has does not go back to the provider;
    not one of 64 bits, which a network has all of.  networkd 257 takes that route away when another uplink's prefix
    comes: of a prefix that is known to be leased an address in it is enough.
    """
    outside = {uplink.index for uplink in uplinks}
    inside = [
        network(address.address, 64)
        for address in snapshot.addresses
        if address.family is Family.IPV6 and address.usable and address.prefixlen == 64
        if address.index not in outside and is_global(address.address)
    ]
    configured = [prefix for uplink in uplinks for prefix in uplink.config.prefixes or ()]
    leased = [one.prefix for one in old if one.leased and any(covers(one.prefix, lan) for lan in inside)]
    known = tuple(dict.fromkeys([*configured, *snapshot.blocked, *leased]))
    return tuple(dict.fromkeys([*known, *(one for one in inside if not covered(one, known))]))


def followed(
    old: Sequence[Delegated], shown: Sequence[str], uplinks: Sequence[Uplink], now: float
) -> tuple[Delegated, ...]:
    """What is known of those that are shown or leased, and of those whose uplink has nothing in their place.

    With anything new, or back, all that could not be named is asked for anew.
    """
    known = {one.prefix: one for one in old}
    fresh = any(prefix not in known or known[prefix].gone for prefix in shown)
    current = [_current(known.get(prefix, Delegated(prefix)), fresh, uplinks, now) for prefix in shown]
    alive = {uplink.interface for uplink in uplinks if uplink.link and uplink.link.up and uplink.link.carrier}
    current += [_hidden(one, now) for one in old if one.leased and one.prefix not in shown and one.interface in alive]
    there = {one.prefix for one in current}
    served = {one.interface for one in current}
    ours = {uplink.interface for uplink in uplinks}
    gone = [one for one in old if one.prefix not in there and one.interface in ours - served]
    return (*current, *(one._replace(gone=True, leased=False, hidden=False) for one in gone))


def _hidden(one: Delegated, now: float) -> Delegated:
    return one if one.hidden else one._replace(hidden=True, since=now, asked=0.0)


def _current(one: Delegated, fresh: bool, uplinks: Sequence[Uplink], now: float) -> Delegated:
    holder = next((uplink for uplink in uplinks if one.prefix in (uplink.config.prefixes or ())), None)
    if holder:
        return one._replace(interface=holder.interface, since=0.0, asked=0.0, gone=False, hidden=False)
    if one.gone or one.hidden or not one.since or (fresh and not one.interface):
        return one._replace(since=now, asked=0.0, gone=False, hidden=False)
    return one


def due(one: Delegated, now: float) -> bool:
    """Whether to ask where it came from: when it came, and while it is not known, at growing intervals for a while."""
    if one.gone or not one.since:
        return False
    waited = one.asked - one.since
    return waited < 0 or (not one.interface and waited < PATIENCE and now - one.asked >= waited)


def answered(
    known: Sequence[Delegated], claims: Mapping[str, Sequence[str]], uplinks: Sequence[Uplink], now: float
) -> tuple[Delegated, ...]:
    """The prefixes with what was said of those that were asked for: prefix to interfaces, the first to say so first."""
    return tuple(
        one._replace(interface=_holder(one, claims, uplinks), asked=now) if due(one, now) else one for one in known
    )


def _holder(one: Delegated, claims: Mapping[str, Sequence[str]], uplinks: Sequence[Uplink]) -> str:
    able = _claimants(one.prefix, claims, uplinks)
    return one.interface if one.interface in able or not able else able[0]


def _claimants(prefix: str, claims: Mapping[str, Sequence[str]], uplinks: Sequence[Uplink]) -> list[str]:
    """Interfaces of uplinks alone, and of those the ones that are there: with an interface its lease ends."""
    said = claims.get(prefix, ())
    for able in ([one.interface for one in uplinks if one.present], [one.interface for one in uplinks]):
        found = [interface for interface in said if interface in able]
        if found:
            return found
    return []


def confirmed(known: Sequence[Delegated], said: Claims, uplinks: Sequence[Uplink], now: float) -> tuple[Delegated, ...]:
    """The prefixes, each as wide as its lease where only networks of it are shown, and what networkd alone knows."""
    found = [one._replace(leased=not one.gone and said.current(one.prefix, one.interface)) for one in known]
    holders = said.holders()
    for prefix in sorted({*said.leases, *said.written}, key=split, reverse=True):
        able = _claimants(prefix, holders, uplinks)
        if not able or any(one.prefix == prefix and not one.gone for one in found):
            continue
        parts = [one for one in found if not one.interface and covers(prefix, one.prefix)]
        if parts or prefix in said.leases:
            left = [one for one in found if one not in parts and one.prefix != prefix]
            found = [*left, Delegated(prefix, able[0], now, now, leased=True, hidden=not parts)]
    return tuple(found)


def clashes(
    known: Sequence[Delegated], claims: Mapping[str, Sequence[str]], uplinks: Sequence[Uplink], now: float
) -> list[str]:
    """What to say of prefixes that were asked for and that several uplinks claim."""
    names = {uplink.interface: uplink.name for uplink in uplinks}
    said = []
    for one in known:
        others = [names[found] for found in _claimants(one.prefix, claims, uplinks) if found != one.interface]
        if one.asked == now and one.interface in names and others:
            kept = names[one.interface]
            said.append(f"{one.prefix} was delegated to {kept}, and {', '.join(others)} claims it too: {kept} keeps it")
    return said


def located(known: Sequence[Delegated], networks: Sequence[OnLink], uplinks: Sequence[Uplink]) -> tuple[Delegated, ...]:
    """The prefixes with the LAN's networks in each; those of a prefix that is gone stay as they were."""
    outside = {uplink.index for uplink in uplinks}
    lans = [one for one in networks if one.index not in outside]
    found = []
    for one in known:
        inside = tuple(sorted(lan for lan in lans if one.interface and covers(one.prefix, lan.prefix)))
        found.append(one if one.gone and not inside else one._replace(lans=inside))
    return tuple(found)


def nameless(known: Sequence[Delegated], snapshot: Snapshot, now: float) -> list[str]:
    """What to say, once, of prefixes that certainly are delegated, by an uplink that cannot be named."""
    return [
        f"{one.prefix} was delegated, and no uplink is known to have got it: name it there (prefixes = {one.prefix})"
        for one in known
        if not one.interface and one.prefix in snapshot.blocked and one.asked == now and now - one.since >= PATIENCE
    ]
