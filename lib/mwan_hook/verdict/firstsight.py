"""What was dead when it was first seen: its verdict is known when it can be, and told then as any other.  Pure.

Until then offline means no more than not known yet: an address may come with a lease, a first probe may get lost.
"""

from __future__ import annotations

from mwan_hook.model import FAMILIES, Family, FamilyState, Status, UplinkState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mwan_hook.model import Uplink

PATIENCE = 60.0  # seconds that a link without address or gateway is given, from when it was first seen


def known(memories: Mapping[str, UplinkState], uplinks: Iterable[Uplink], now: float) -> dict[str, UplinkState]:
    """The memories, with those families marked whose verdict is known from now on in this boot."""
    found = {**memories}
    for uplink in uplinks:
        for family in FAMILIES:
            state, came = found[uplink.name].family(family), found[uplink.name].came
            if not state.known and (state.status is Status.ONLINE or _is_dead(state, uplink, family, now, came)):
                found[uplink.name] = found[uplink.name].with_family(family, state._replace(known=True))
    return found


def _is_dead(state: FamilyState, uplink: Uplink, family: Family, now: float, came: float) -> bool:
    """Whether it failed as often as an online one may, or its link has nothing to be probed by for long.

    A family that a line does not have is not dead; one without any is told once, by the family that is expected;
    one that is dialled stands by.
    """
    if state.status is not Status.OFFLINE:
        return False
    if state.way:
        return state.bad >= uplink.config.probe.fall
    if not uplink.present or uplink.config.dial or now - max(state.since, came) < PATIENCE:
        return False
    expected = Family.IPV4 if Family.IPV4 in uplink.config.families else Family.IPV6
    return family is expected and all(uplink.way(other).missing for other in FAMILIES)
