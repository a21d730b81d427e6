"""Store what a run has seen and done, if it says anything new, and tell of it.  In this order, so that nothing is lost.

What cannot be stored is an error of the state, and is tried again by the next run.
"""

from __future__ import annotations

import time

from mwan_hook.run.rating import turned
from mwan_hook.say import attempted, brief, complain
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import State, Transition
    from mwan_hook.run.reconcile import Run
    from mwan_hook.run.scene import Judged, ProbedRound

SAID_TWICE = 4.0  # seconds after which hosts hear again what has changed


def saved(run: Run, judged: Judged, before: State, errors: Sequence[str], rounds: Sequence[ProbedRound]) -> Judged:
    """Store the state, then tell.  ``before``: the state that this run found; ``errors``: of its changes."""
    state = _advertised(judged, _unless_quiet(judged, judged.state._replace(errors=tuple(brief(errors)))))
    happened = _happened(run, judged, before, state)
    run.moved = run.moved or bool(happened)
    if happened:
        from mwan_hook.run import tell

        state = tell.with_notices(judged, before, state, happened)
    fresh, failed = state != judged.scene.state, False
    if fresh:
        state, failed = _stored(run, judged, before, state)
    if happened or state.outbox:
        from mwan_hook.run import tell

        tell.write_down(run.root, happened, judged.state.outbox)
        if state.outbox and not failed:  # only now: what is in the outbox still can be written down again
            state = tell.handed_over(run.root, run.loaded, state)
    complain(line for line in state.warnings if line not in before.warnings)
    run.remember(state)
    if fresh and not failed and run.loaded.config.record.keep and run.memory:
        from mwan_hook.run import record

        run.ring_full |= record.keep(judged._replace(state=run.memory), rounds, run.asked, happened)
    run.asked = frozenset()
    return judged._replace(state=state, stamp=run.stamp)


def _unless_quiet(judged: Judged, state: State) -> State:
    """Counters that moved a little are no reason to save."""
    if not state.usage:
        return state
    from mwan_hook.quota import usage

    return usage.quiet(state, judged.scene.state, judged.scene.uplinks)


def _advertised(judged: Judged, state: State) -> State:
    """The state with what hosts behind this machine were told of prefixes, and are told again a little later."""
    again = state.to_repeat and judged.scene.now >= state.said_at + SAID_TWICE
    if state.deprecated == judged.deprecated and not again:
        return state
    from mwan_hook.run import tell

    return tell.advertised(judged, state)


def _happened(run: Run, judged: Judged, before: State, state: State) -> tuple[Transition, ...]:
    """The transitions of uplinks, quotas, dials and drains."""
    happened = turned(before, state, judged.scene.wall)
    if state.usage:
        from mwan_hook.run import metering

        happened += metering.transitions(judged, before, state)
    if state.dials != before.dials:
        from mwan_hook.dial import happenings

        happened += happenings.transitions(before.dials, state.dials, judged.scene.wall)
    if state.drains != before.drains:
        from mwan_hook.run import draining

        happened += tuple(draining.transitions(judged, before, state, run.drained))
    return happened


def _stored(run: Run, judged: Judged, before: State, state: State) -> tuple[State, bool]:
    """The state as it was stored, with what stood against it, and whether that was the disk's or the lock's fault."""
    took = round(time.clock_gettime(time.CLOCK_BOOTTIME) - run.started, 6)
    state = state._replace(saved_at=judged.scene.now, saved_wall=judged.scene.wall, run_seconds=took)
    failed = attempted(lambda: states.save(run.root, state))
    unkept: list[str] = []  # a failed write below /var must not stop notifications
    if state.usage:
        from mwan_hook.run import metering

        unkept += attempted(lambda: complain(metering.keep(judged, state, now=False)))
    if state.dials != before.dials:
        from mwan_hook.store import dials

        unkept += attempted(lambda: dials.keep(run.root, before.dials, state.dials))
    if failed:
        run.request = None  # nothing is asked that is not on record
    return state._replace(errors=(*state.errors, *failed, *unkept)), bool(failed)
