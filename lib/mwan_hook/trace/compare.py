"""Comparison of our answer with the kernel's own.  Pure."""

from __future__ import annotations

from mwan_hook.kernel.question import Question
from mwan_hook.model import Family
from mwan_hook.trace.values import EINVAL, EXDEV, KernelAnswer, Outcome, RouteEntry

ASKABLE = {Family.IPV4: (1, 6, 17), Family.IPV6: (6, 17, 58)}  # protocols that RTM_GETROUTE takes


def askable(asked: Question) -> bool:
    """Whether the kernel can be asked at all."""
    return asked.proto in ASKABLE[asked.family]


def agree(outcome: Outcome, answer: KernelAnswer) -> bool:
    """Whether the kernel does what we say; of several legs it takes one, by hash."""
    return _agree(outcome, answer) or (outcome.otherwise is not None and agree(outcome.otherwise, answer))


def _agree(outcome: Outcome, answer: KernelAnswer) -> bool:
    if outcome.error or answer.error:
        # Since Linux 6.14 RTM_GETROUTE says EINVAL for all that is wrong with a source.
        return answer.error in (outcome.error, EINVAL if outcome.error == EXDEV else outcome.error)
    if outcome.entry is None:
        return answer.entry is None and _takes(outcome, answer)
    if answer.entry is None or not _same(outcome.entry, answer.entry):
        return False
    return outcome.entry.route.kind != "unicast" or _takes(outcome, answer)


def _takes(outcome: Outcome, answer: KernelAnswer) -> bool:
    leg = answer.leg
    return leg is not None and (leg.index, leg.gateway) in {(one.index, one.gateway) for one in outcome.legs}


def _same(ours: RouteEntry, other: RouteEntry) -> bool:
    """IPv6 keeps a ready answer with each nexthop object, and then names any route that has used it."""
    shared = ours.route.family is Family.IPV6 and ours.nhid and other.nhid
    return bool(shared) or _place(ours) == _place(other)


def _place(entry: RouteEntry) -> tuple[object, ...]:
    route = entry.route
    return route.table, route.dst, route.metric, route.kind, route.from_, route.tos


def merge_twins(outcome: Outcome) -> Outcome:
    """Twins as one leg: a group's lone member has another one beside it through the same gateway."""
    weights: dict[tuple[int, str | None], int] = {}
    for leg in outcome.legs:
        weights[leg.index, leg.gateway] = weights.get((leg.index, leg.gateway), 0) + leg.weight
    first = {(leg.index, leg.gateway): leg for leg in reversed(outcome.legs)}
    legs = tuple(first[way]._replace(weight=weight) for way, weight in weights.items())
    return outcome if len(legs) == len(outcome.legs) else outcome._replace(legs=legs)


def shares(outcome: Outcome) -> tuple[float, ...]:
    """The part of the flows that each leg takes, by weight."""
    total = sum(leg.weight for leg in outcome.legs)
    return tuple(leg.weight / total for leg in outcome.legs)
