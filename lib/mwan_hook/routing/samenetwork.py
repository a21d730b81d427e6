"""Uplinks in one network, as two lines of one provider are: main knows one way into it, the first line's.

What has the second line's address, or is pinned to it, goes by its own table there too, before main.
"""

from __future__ import annotations

from _socket import inet_ntop, inet_pton

from mwan_hook.model import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.model import Family, Routing, Uplink

AHEAD = -1  # offset: behind the kernel's rule for local addresses, before that of main


def shared(uplinks: Iterable[Uplink], family: Family) -> dict[tuple[int, int], list[Uplink]]:
    """Networks (their bits and length) that more than one uplink has an address in."""
    found: dict[tuple[int, int], list[Uplink]] = {}
    for uplink in uplinks:
        for key in dict.fromkeys(_networks(uplink, family)):
            found.setdefault(key, []).append(uplink)
    return {key: holders for key, holders in found.items() if len(holders) > 1}


def spelled(family: Family, key: tuple[int, int]) -> str:
    """``100.64.0.0/10``."""
    bits, length = key
    width = _width(family)
    return f"{inet_ntop(family.af, (bits << width - length).to_bytes(width // 8, 'big'))}/{length}"


def rules(
    family: Family, routing: Routing, used: Sequence[Uplink], carrying: Sequence[Uplink], twins: Iterable[str]
) -> Iterator[Rule]:
    """Before main, as far as main comes first; an address of several uplinks tells none of them."""
    if not routing.main_first:
        return
    priority, common = routing.rule_priority + AHEAD, set(twins)
    for key, holders in shared(used, family).items():
        network = spelled(family, key)
        for uplink in holders:
            own = dict.fromkeys(a.address for a in uplink.way(family).addresses if a.usable)
            for source in own:
                if source not in common:
                    yield Rule(family, priority, uplink.table, src=source, dst=network)
        for uplink in carrying:
            if uplink.mark and uplink in holders:
                yield Rule(family, priority, uplink.table, mark=uplink.mark, mask=uplink.mask, dst=network)


def _networks(uplink: Uplink, family: Family) -> Iterator[tuple[int, int]]:
    width = _width(family)
    for one in uplink.way(family).addresses:
        if one.usable and one.prefixlen < width:
            yield int.from_bytes(inet_pton(family.af, one.address), "big") >> width - one.prefixlen, one.prefixlen


def _width(family: Family) -> int:
    return 32 if family.af == 2 else 128
