"""Sources of others that become an uplink's: what our nft table says of each.  Pure."""

from __future__ import annotations

from mwan_hook.addresses import GLOBAL, LOCAL_USE, covers, network, network_of
from mwan_hook.firewall.match import interface
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Nat6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Router, Snapshot, Uplink

_NETWORKS = (*GLOBAL, *LOCAL_USE)  # how prefixes begin that hosts have


class Translation(NamedTuple):
    """A rule that translates, and what: a family that leaves by an interface, or one IPv6 network of it."""

    rule: str
    index: int  # type: ignore[assignment]  # not tuple.index
    family: Family
    prefix: str = ""


def translations(router: Router, uplinks: Sequence[Uplink], snapshot: Snapshot) -> list[Translation]:
    """Sources of others become ours; the machine's own keep the address that they have chosen."""
    return [one for uplink in uplinks for one in _of(router, uplink, uplinks, snapshot)]


def _of(router: Router, uplink: Uplink, uplinks: Sequence[Uplink], snapshot: Snapshot) -> Iterator[Translation]:
    own, index = uplink.config, uplink.index
    families = router.masquerade if own.masquerade is None else own.masquerade
    nat6 = router.nat6 if own.nat6 is None else own.nat6
    dev, foreign = interface("oif", uplink), "fib saddr type != local"
    if Family.IPV4 in families:
        yield Translation(f"{dev} meta nfproto ipv4 {foreign} masquerade", index, Family.IPV4)
    if nat6 is Nat6.PREFIX:
        target = own.nat6_prefix or network_of(uplink.ipv6.addresses)
        for prefix in _inside(uplinks, snapshot) if target else ():
            if not covers(target, prefix):
                rule = f"{dev} ip6 saddr {prefix} {foreign} snat ip6 prefix to {target}"
                yield Translation(rule, index, Family.IPV6, prefix)
    elif nat6 is Nat6.MASQUERADE or Family.IPV6 in families:
        yield Translation(f"{dev} meta nfproto ipv6 {foreign} masquerade", index, Family.IPV6)


def _inside(uplinks: Sequence[Uplink], snapshot: Snapshot) -> list[str]:
    """IPv6 networks of interfaces that are no uplinks, and those that hosts have addresses of still."""
    outside = {uplink.index for uplink in uplinks}
    left = {lan.prefix for one in snapshot.delegated for lan in one.lans}
    return sorted(
        left
        | {
            network(address.address, address.prefixlen)
            for address in snapshot.addresses
            if address.family is Family.IPV6 and address.usable and address.index not in outside
            if address.prefixlen <= 64 and address.address.startswith(_NETWORKS)
        }
    )
