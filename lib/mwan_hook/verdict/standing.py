"""How an uplink stands in a family: online or not, whether it carries, gets new connections, or is unjudged.  Pure."""

from __future__ import annotations

from mwan_hook.model import Family, FamilyState, Status, UplinkState, WayOut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from mwan_hook.model import State, Uplink


def uses(uplink: Uplink, family: Family, state: State) -> bool:
    """Whether an uplink has anything to do with a family: an address or gateway now, or earlier in this boot."""
    way = uplink.way(family)
    if family not in uplink.config.families:
        return False
    found = any(a.usable or a.tentative for a in way.addresses) or way.gateway is not None or way.lent != ""
    return found or was_judged(uplink, family, state)


def was_judged(uplink: Uplink, family: Family, state: State) -> bool:
    """Whether it had a verdict in this boot; what is plugged in anew begins anew."""
    memory = state.memory(uplink.name)
    return memory.index == uplink.index and memory.family(family).judged


def is_online(uplink: Uplink, family: Family, state: State) -> bool:
    """The verdict, as far as the facts still allow it."""
    return carries(uplink, family, state.memory(uplink.name))


def carries(uplink: Uplink, family: Family, memory: UplinkState) -> bool:
    """Whether it is online by what is remembered, as far as the facts still allow it."""
    online = memory.family(family).status is Status.ONLINE
    return online and uplink.enabled and not uplink.way(family).missing


def by_preference(uplinks: Iterable[Uplink], family: Family) -> list[Uplink]:
    """Lower metric first, what is degraded last; among equals the order of the configuration."""
    return sorted(uplinks, key=lambda uplink: uplink.preference(family))


def used_in(family: Family, uplinks: Iterable[Uplink], state: State) -> list[Uplink]:
    """The uplinks whose interface is there and that have anything to do with a family."""
    return [uplink for uplink in uplinks if uplink.present and uses(uplink, family, state)]


def online_of(family: Family, used: Iterable[Uplink], state: State) -> list[Uplink]:
    """The online ones of those that are used in a family, by preference."""
    return by_preference((uplink for uplink in used if is_online(uplink, family, state)), family)


def open_to_new(families: Iterable[Family], uplinks: Sequence[Uplink], state: State) -> dict[Family, tuple[str, ...]]:
    """Names of those that get new connections in each family, by preference."""
    found = {family: taking(online_of(family, used_in(family, uplinks, state), state)) for family in families}
    return {family: tuple([uplink.name for uplink in there]) for family, there in found.items()}


def with_ways_out(state: State, uplinks: Sequence[Uplink], online: Mapping[Family, tuple[str, ...]]) -> State:
    """The state with the best way out of each family, and those online last; ``online``: names by preference."""
    return state._replace(
        last_online={**state.last_online, **{family: names for family, names in online.items() if names}},
        best={family: _way_out(uplinks, family, names) for family, names in online.items()},
    )


def _way_out(uplinks: Sequence[Uplink], family: Family, names: Sequence[str]) -> WayOut:
    for uplink in uplinks:
        if names and uplink.name == names[0]:
            way = uplink.way(family)
            return WayOut(uplink.name, uplink.interface, way.source, way.gateway or "")
    return WayOut()


def taking(online: Iterable[Uplink]) -> list[Uplink]:
    """Uplinks that get new connections, of those that are online: none that is drained, if there is another."""
    found = [*online]
    return [uplink for uplink in found if not uplink.draining] or found


def only_drained(family: Family, state: State) -> bool:
    """Whether nothing is online in a family but what is drained, if anything: that goes on as long as it has to."""
    known = state.uplinks.items()
    return not any(one.family(family).status is Status.ONLINE for name, one in known if name not in state.drains)


def recovering(uplink: Uplink, family: Family, state: State) -> bool:
    """True of an offline one whose last round was good: only its rise or a hold keeps it out."""
    memory = state.memory(uplink.name).family(family)
    return memory.status is Status.OFFLINE and memory.good > 0 and uplink.enabled and not uplink.way(family).missing


def unjudged(uplink: Uplink, family: Family, state: State) -> bool:
    """True if it can be used and has no verdict yet."""
    memory = state.memory(uplink.name).family(family)
    return uplink.enabled and not uplink.way(family).missing and not memory.judged


def another_online(memories: Mapping[str, UplinkState], name: str, drained: Container[str]) -> bool:
    """Whether an uplink other than ``name`` carries traffic before it, and is not ``drained``.

    What is degraded is behind it, unless it is degraded itself.
    """
    for other, memory in memories.items():
        if other != name and other not in drained:
            for one, own in ((memory.ipv4, memories[name].ipv4), (memory.ipv6, memories[name].ipv6)):
                if one.status is Status.ONLINE and (not one.degraded or own.degraded or _is_kept(one)):
                    return True
    return False


def _is_kept(memory: FamilyState) -> bool:
    return memory.quality is not None and memory.quality.kept
