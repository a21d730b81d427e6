"""What becomes of connections that exist: after the routes stand and the state is stored, and only when it is due.

``follow_at`` of the state says when.  It is stored at one stroke with the verdicts that lead to it, and put off only
when all is done: a run that is killed in between leaves it to the next one, and what was done already is done again,
which changes nothing.  All of it is done under the state lock, so that two runs never do it at once, and within BUDGET.

Each feature is a step: a module with ``due`` (when it has work; None: not before something turns), ``lines`` (what it
would do, as an operator could have typed it) and ``do``.
"""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.run.scene import Followed
from mwan_hook.say import brief, complain, say
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from mwan_hook.run.reconcile import Run
    from mwan_hook.run.scene import Judged

    class Follower(Protocol):
        """What a step's module has."""

        def due(self, judged: Judged) -> float | None:
            """When it has work, CLOCK_BOOTTIME seconds; None: not before something turns."""

        def lines(self, judged: Judged) -> Sequence[str]:
            """What it would do now."""

        def do(self, judged: Judged, until: float) -> Followed:
            """Do it, or as much of it as can be done by ``until``.  May raise MwanError or OSError."""


BUDGET = 2.0  # seconds for all steps: other runs wait for the lock meanwhile
WIREGUARD = "/sys/module/wireguard"  # there with the first interface, also where it is no module but built in
RETRY = 10.0  # seconds until what failed is tried again


def steps(judged: Judged) -> Iterator[Follower]:
    """Steps that may have work, in their order: endpoints are quick and urgent."""
    if judged.scene.snapshot.paths is not None:
        from mwan_hook.run import follow_endpoints

        yield follow_endpoints
    from mwan_hook.run import follow_own

    yield follow_own
    if judged.state.led or os.path.exists(WIREGUARD):
        from mwan_hook.run import follow_peers

        yield follow_peers


def follow(run: Run, judged: Judged) -> Judged:
    """Do what is due, say it, and store what was done and when the next is due."""
    until, failures = judged.scene.now + BUDGET, list[str]()
    for step in steps(judged):
        done = _done(step, judged, until)
        say(brief(f"[#] {line}" for line in done.lines))
        complain(done.notes)
        failures += done.failures
        judged = judged._replace(state=done.state)
        run.last = None if done.lines else run.last  # the next look sees what this has changed
    complain(failures)
    state = judged.state._replace(follow_at=_again(judged, bool(failures)))
    state = state._replace(errors=tuple(brief((*state.errors, *failures))))
    try:
        states.save(run.root, state)
    except MwanError as error:
        complain((str(error),))
        state = state._replace(errors=(*state.errors, str(error)))
    run.remember(state)
    return judged._replace(state=state, stamp=run.stamp)


def _done(step: Follower, judged: Judged, until: float) -> Followed:
    """What a step did.  Even where it fails, the probes of this run must not be lost."""
    due = step.due(judged)
    if due is None or due > judged.scene.now:
        return Followed(judged.state)
    try:
        return step.do(judged, until)
    except Exception as error:  # noqa: BLE001 - routes stand already, and the next failover depends on this run's probes
        words = str(error) if isinstance(error, (MwanError, OSError)) else repr(error)
        return Followed(judged.state, failures=(f"connections: {words}",))


def _again(judged: Judged, failed: bool) -> float | None:
    """When the next is due.  What failed is tried again, and not at once."""
    times = [due for step in steps(judged) if (due := step.due(judged)) is not None]
    if failed:
        times = [max(judged.scene.now + RETRY, due) for due in times]
    return min(times, default=None)


def planned(judged: Judged) -> list[str]:
    """What would be done now."""
    now = judged.scene.now
    due = [(step, step.due(judged)) for step in steps(judged)]
    return [line for step, at in due if at is not None and at <= now for line in _lines(step, judged)]


def _lines(step: Follower, judged: Judged) -> list[str]:
    """What a step would do; a comment says why that cannot be told."""
    try:
        return [*step.lines(judged)]
    except (MwanError, OSError) as error:
        return [f"# connections: {error}"]
