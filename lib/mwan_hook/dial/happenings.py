"""What is told of dialled uplinks: from one stored state to the next."""

from __future__ import annotations

from mwan_hook.durations import duration
from mwan_hook.model import Activation, Phase, Transition
from mwan_hook.verdict.notices import DIALLED as EVENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIALLING, DIALLED, DIAL_FAILED, HUNG_UP, EXERCISE_FAILED = EVENTS


def transitions(
    before: Mapping[str, Activation], after: Mapping[str, Activation], wall: float
) -> tuple[Transition, ...]:
    """Events of all uplinks; ``wall`` is seconds since the epoch."""
    found: list[Transition] = []
    for name, now in after.items():
        was = before.get(name, Activation())
        if was is not now:
            found += [
                Transition(event, name, now.interface, None, was.phase.value, now.phase.value, reason, wall)
                for event, reason in _of(was, now)
            ]
    found += [
        Transition(HUNG_UP, name, was.interface, None, was.phase.value, Phase.IDLE.value, was.reason, wall)
        for name, was in before.items()
        if name not in after and was.ready_at
    ]
    return tuple(found)


def _of(was: Activation, now: Activation) -> Iterator[tuple[str, str]]:
    """Events in the order in which they happened."""
    if now.failed != was.failed:
        yield DIAL_FAILED, now.reason
    if now.exercise_failed != was.exercise_failed:
        yield EXERCISE_FAILED, now.reason
    if now.dialled != was.dialled:
        yield DIALLED, f"it has an address and a way, {duration(now.ready_at - now.asked_at)} after it was asked"
    if now.hung_up != was.hung_up:
        yield HUNG_UP, now.reason
    if now.asked_at != was.asked_at and now.phase in (Phase.DIALLING, Phase.EXERCISING):
        yield DIALLING, now.reason
