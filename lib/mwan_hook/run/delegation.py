"""Delegated prefixes with what is known of each; whose they are is asked for when one comes or goes."""

from __future__ import annotations

from mwan_hook.addresses import network
from mwan_hook.model import Family, Nat6, OnLink
from mwan_hook.routing import delegated
from mwan_hook.say import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.kernel.reader import Reader
    from mwan_hook.model import Config, Delegated, Snapshot, State, Uplink


def known(
    root: str,
    reader: Reader,
    config: Config,
    uplinks: Sequence[Uplink],
    state: State,
    snapshot: Snapshot,
    now: float,
) -> tuple[Delegated, ...]:
    """Every prefix with what is known of it; who is new is asked for."""
    shown = delegated.seen(snapshot, uplinks, state.delegated)
    found = delegated.followed(state.delegated, shown, uplinks, now)
    if any(delegated.due(one, now) for one in found):
        from mwan_hook.machine import claims

        said = claims.read(root, [uplink.interface for uplink in uplinks if uplink.present])
        holders = said.holders()
        found = delegated.answered(found, holders, uplinks, now)
        complain(delegated.nameless(found, snapshot, now))
        complain(delegated.clashes(found, holders, uplinks, now))
        found = delegated.confirmed(found, said, uplinks, now)
        shown = delegated.seen(snapshot, uplinks, found)
        found = delegated.followed(found, shown, uplinks, now)  # what has come in an old one's place ends that
    if _located(config) and found:
        networks = (*reader.networks(), *_networks(snapshot))
        found = delegated.located(found, tuple(dict.fromkeys(networks)), uplinks)
    return found


def _located(config: Config) -> bool:
    """Whether it matters where in the LAN a prefix is used."""
    modes = (config.router.nat6, *(uplink.nat6 for uplink in config.uplinks))
    return config.router.deprecate_prefixes or Nat6.PREFIX in modes


def _networks(snapshot: Snapshot) -> Iterator[OnLink]:
    """Networks of addresses; their routes may have been made by hand."""
    for one in snapshot.addresses:
        if one.family is Family.IPV6 and one.usable and one.prefixlen == 64:
            yield OnLink(one.index, network(one.address, 64))
