"""Uplinks in one network, as two lines of one provider are: main knows one way into it, the first line's.

What has the second line's address, or is pinned to it, goes by its own table there too, before main.
"""

from __future__ import annotations

from mwan_hook.addresses import network, width
from mwan_hook.model import Rule
from mwan_hook.routing import priorities
from mwan_hook.routing.rules import addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.model import Family, Routing, Uplink


def shared(uplinks: Iterable[Uplink], family: Family) -> dict[str, list[Uplink]]:
    """Networks that more than one uplink has an address in."""
    found: dict[str, list[Uplink]] = {}
    for uplink in uplinks:
        for prefix in dict.fromkeys(_networks(uplink, family)):
            found.setdefault(prefix, []).append(uplink)
    return {prefix: holders for prefix, holders in found.items() if len(holders) > 1}


def rules(
    family: Family, routing: Routing, used: Sequence[Uplink], carrying: Sequence[Uplink], twins: Iterable[str]
) -> Iterator[Rule]:
    """Before main, as far as main comes first; an address of several uplinks tells none of them."""
    if not routing.main_first:
        return
    priority, common = routing.rule_priority + priorities.AHEAD, set(twins)
    for shared_one, holders in shared(used, family).items():
        for uplink in holders:
            for source in addresses(uplink, family):
                if source not in common:
                    yield Rule(family, priority, uplink.table, src=source, dst=shared_one)
        for uplink in carrying:
            if uplink.mark and uplink in holders:
                yield Rule(family, priority, uplink.table, mark=uplink.mark, mask=uplink.mask, dst=shared_one)


def _networks(uplink: Uplink, family: Family) -> Iterator[str]:
    for one in uplink.way(family).addresses:
        if one.usable and one.prefixlen < width(one.address):
            yield network(one.address, one.prefixlen)
