"""The preference of degraded uplinks.  Imported only where one is degraded."""

from __future__ import annotations

from mwan_hook.model import DEMOTE, FAMILIES, OFFLINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import Uplink, UplinkState


def demoted(uplinks: Sequence[Uplink], memories: Mapping[str, UplinkState]) -> tuple[Uplink, ...]:
    """The uplinks, degraded ones behind all others of the family; among themselves they keep their order.

    One that is to be offline while it is degraded is behind them as long as it is the only way.
    """
    return tuple([_demoted(uplink, memories[uplink.name]) for uplink in uplinks])


def _demoted(uplink: Uplink, memory: UplinkState) -> Uplink:
    if (uplink.config.probe.degraded or DEMOTE) not in (DEMOTE, OFFLINE):
        return uplink
    behind = tuple(family for family in FAMILIES if memory.family(family).degraded)
    return uplink._replace(behind=behind) if behind else uplink
