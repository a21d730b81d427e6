"""Which dialled uplinks are wanted: those for which, in a family, nothing better is online.

Unknown is not offline: before the first round of what is better nothing is dialled, nor hung up.
"""

from __future__ import annotations

from mwan_hook.dial.values import Need, Outlook
from mwan_hook.light import NamedTuple
from mwan_hook.model import OFFLINE, Activation, Family, Phase, UplinkState
from mwan_hook.verdict.standing import carries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import Policy, Uplink

PATIENCE = 60.0  # seconds after the first run of a boot in which what was never seen may still come
BEHIND_ALL = 1 << 32  # the place of what is dialled on demand and has no metric


class Field(NamedTuple):
    """All uplinks at one moment."""

    uplinks: Sequence[Uplink]  # in order of the configuration
    memories: Mapping[str, UplinkState]
    policies: Sequence[Policy]
    begun: float  # the first run of this boot
    now: float


def preference(uplinks: Sequence[Uplink]) -> list[Uplink]:
    """The best first.  Of equals what is dialled on demand comes last: it stands by for the others."""

    def place(uplink: Uplink) -> tuple[int, bool]:
        dial = uplink.config.dial
        if not dial or not dial.on_demand:
            return uplink.metric, False
        return BEHIND_ALL if dial.behind else uplink.metric, True

    return sorted(uplinks, key=place)


def need(uplink: Uplink, field: Field, records: Mapping[str, Activation]) -> Need:
    """Whether one is wanted.  ``records``: those of better uplinks are as this run leaves them."""
    record = records.get(uplink.name, Activation())
    found = _by_verdicts(uplink, field, records)
    if (
        uplink.draining and found.standing is not Outlook.WANTED
    ):  # kept up as long as it has connections, and not dialled
        return Need(Outlook.WANTED if record.phase.is_up else Outlook.PEACE, "it is drained")
    if record.hand_until > field.now:
        return Need(Outlook.WANTED, "dialled by a command")
    dial = uplink.config.dial
    if dial and not dial.on_demand:
        return Need(Outlook.WANTED, "it is kept up")
    alone = next((one for one in field.policies if _lists_alone(one, uplink)), None)
    if alone:
        return Need(Outlook.WANTED, f"policy {alone.name} has no other")
    return found


def _lists_alone(policy: Policy, uplink: Uplink) -> bool:
    return bool(policy.uplinks) and all(name in (uplink.name, uplink.config.name) for name in policy.uplinks)


def _by_verdicts(uplink: Uplink, field: Field, records: Mapping[str, Activation]) -> Need:
    ranked = preference(field.uplinks)
    better = [one for one in ranked[: ranked.index(uplink)] if one.enabled and not one.draining]
    lacking: list[Family] = []
    unsure, online = "", ""
    for family in _counting(uplink, better, field):
        others = [one for one in better if family in one.config.families]
        there = next((one.name for one in others if _stands(one, family, memory_of(one, field))), "")
        pending = next((words for one in others if (words := _pending(one, family, field, records))), "")
        if there:
            online = online or f"{there} is online"
        elif pending:
            unsure = unsure or pending
        else:
            lacking.append(family)
    if lacking:
        words = "no better uplink is online" if better else "there is no better uplink"
        return Need(Outlook.WANTED, words if Family.IPV4 in lacking else f"{words} in IPv6", tuple(lacking))
    return Need(Outlook.UNSURE, unsure) if unsure else Need(Outlook.PEACE, online)


def _stands(uplink: Uplink, family: Family, memory: UplinkState) -> bool:
    """Whether it carries, and is not offline as soon as another one is online."""
    aside = uplink.config.probe.degraded == OFFLINE and memory.family(family).degraded
    return carries(uplink, family, memory) and not aside


def _counting(uplink: Uplink, better: Sequence[Uplink], field: Field) -> list[Family]:
    """Families that make it wanted: IPv6 only where a better one had it in this boot."""
    served = [family for family in Family if family in uplink.config.families]
    had = any(memory_of(one, field).ipv6.transitions for one in better)
    return [family for family in served if family is Family.IPV4 or had or len(served) == 1]


def memory_of(uplink: Uplink, field: Field) -> UplinkState:
    """What is remembered of an uplink's verdicts."""
    return field.memories.get(uplink.name, UplinkState())


def _pending(uplink: Uplink, family: Family, field: Field, records: Mapping[str, Activation]) -> str:
    """Why it may soon be online; empty if there is no reason to think so."""
    dial, record = uplink.config.dial, records.get(uplink.name, Activation())
    if dial and record.phase is Phase.DIALLING and field.now < record.asked_at + dial.ready_timeout:
        return f"{uplink.name} is being dialled"
    memory = memory_of(uplink, field).family(family)
    fresh = memory.dialled and memory.bad < uplink.config.probe.fall
    if memory.known and not fresh:
        return ""
    usable = not uplink.way(family).missing
    if usable or (not dial and field.now < field.begun + PATIENCE):
        return f"{uplink.name} was not probed yet"
    return ""
