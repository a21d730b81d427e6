"""MPTCP's endpoints follow the verdicts: a step of :mod:`mwan_hook.run.follow`."""

from __future__ import annotations

from mwan_hook.connections import endpoints
from mwan_hook.model import Family, PathManager, State
from mwan_hook.run.scene import Followed, stands
from mwan_hook.say import brief, complain, say
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from mwan_hook.connections.endpoints import EndpointWork
    from mwan_hook.model import Endpoint
    from mwan_hook.run.scene import Judged


def due(judged: Judged) -> float | None:
    """Now, if anything differs from what the verdicts want, but only once for each look."""
    known = judged.state.mptcp
    done = known is not None and known.looked == judged.scene.now
    return judged.scene.now if not done and is_due(judged) else None


def at_once(judged: Judged) -> Judged:
    """Due at once, if anything is not as it should be, also after another program's change; what failed waits."""
    waits = judged.scene.state.follow_at
    if judged.scene.state.errors and waits is not None and waits > judged.scene.now:
        return judged
    return judged._replace(state=judged.state._replace(follow_at=judged.scene.now)) if is_due(judged) else judged


def is_due(judged: Judged) -> bool:
    """Whether there is anything to do or to forget."""
    work, known = _work(judged), judged.state.mptcp
    if work is None:
        return False
    if not judged.scene.config.routing.mptcp:
        return known is not None
    return not work.idle or work.left_out != (known.said if known else ())


def lines(judged: Judged) -> list[str]:
    """What would be done now, as an operator could have typed it."""
    work = _work(judged)
    return endpoints.lines(work, judged.scene.snapshot.names) if work else []


def do(judged: Judged, until: float) -> Followed:
    """Do it.  What will be ours is stored before, so that a run killed in between leaves nothing unknown."""
    del until  # a few messages to the kernel, which answers at once
    work, on = _work(judged), judged.scene.config.routing.mptcp
    if work is None:
        return Followed(judged.state)
    state = judged.state._replace(mptcp=work.memory._replace(said=work.left_out, looked=judged.scene.now))
    if work.add or work.limit is not None:
        states.save(judged.scene.root, state)
    failures = _done(work)
    if work.left_out != (judged.state.mptcp or PathManager()).said:
        complain(f"MPTCP: {one} is no endpoint: the kernel has {endpoints.MOST} at most" for one in work.left_out)
    if not on and not failures:
        state = state._replace(mptcp=None)
    return Followed(state, tuple(endpoints.lines(work, judged.scene.snapshot.names)), tuple(failures))


def take_out(state: State) -> list[str]:
    """Take all of ours out, and put the limit back, saying so; what was refused."""
    from mwan_hook.kernel import endpoints as kernel

    paths = kernel.look()
    if paths is None:
        return []
    work = endpoints.left(paths.endpoints, paths.limit, state.mptcp or PathManager())
    say(brief(f"[#] {line}" for line in endpoints.lines(work, {})))
    return _done(work)


def _work(judged: Judged) -> EndpointWork | None:
    """What differs.  Routes come first: where those of a family do not stand yet no endpoint is made."""
    seen, paths = judged.scene, judged.scene.snapshot.paths
    if paths is None:
        return None
    memory = judged.state.mptcp or PathManager()
    if not seen.config.routing.mptcp:
        return endpoints.left(paths.endpoints, paths.limit, memory)
    wanted = endpoints.wanted(seen.uplinks, judged.state)
    waiting = {family for family in Family if not stands(judged, family)}
    made = tuple([one for one in wanted.made if Family.of(one.address) not in waiting])
    held = tuple([one for one in wanted.made if one not in made])
    wanted = wanted._replace(made=made, kept=(*wanted.kept, *held))
    return endpoints.difference(wanted, paths.endpoints, paths.limit, memory, on=True)


def _done(work: EndpointWork) -> list[str]:
    """Do all of it; what was refused, in words.  A refusal does not stop the rest."""
    if work.idle:
        return []
    from mwan_hook.kernel import endpoints as kernel
    from mwan_hook.kernel import generic

    failed = []
    try:
        with kernel.PathManagerSocket() as paths:
            if work.limit is not None:
                failed += _tried("limit", paths.set_limit, (work.limit,))
            failed += _tried("delete", paths.delete, work.delete if work.crowded else ())
            failed += _tried("add", paths.add, work.add)
            failed += _tried("change", paths.set_backup, work.change)
            failed += _tried("delete", paths.delete, () if work.crowded else work.delete)
    except (generic.Refused, OSError) as error:
        failed.append(f"MPTCP: {error}")
    return failed


def _tried(verb: str, change: Callable[[Any], None], things: Sequence[Endpoint | int]) -> list[str]:
    from mwan_hook.kernel import generic

    failed = []
    for one in things:
        try:
            change(one)
        except generic.Refused as refused:
            failed.append(f"MPTCP: {verb} {one if isinstance(one, int) else one.address}: {refused}")
    return failed
