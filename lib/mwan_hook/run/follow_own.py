"""Sockets of this machine when their uplink is offline, or is left for a better one (:mod:`connections.own`)."""

from __future__ import annotations

from mwan_hook.connections import own
from mwan_hook.run.scene import Followed, stands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.connections.own import Left
    from mwan_hook.model import State
    from mwan_hook.run.scene import Judged


def due(judged: Judged) -> float | None:
    """When there may be sockets to end."""
    return own.due(judged.scene.uplinks, judged.state, judged.scene.config.router, judged.desired.online)


def lines(judged: Judged) -> list[str]:
    """What would be ended now."""
    from mwan_hook.connections import spared
    from mwan_hook.run import own_sockets

    chosen = own_sockets.chosen(judged, _left(judged), planned=bool(judged.changes))
    return [spared.line(*one) for one in chosen if one.sockets]


def do(judged: Judged, until: float) -> Followed:
    """End them; what the time does not suffice for is due again at once."""
    left = [one for one in _left(judged) if stands(judged, one.family)]
    state = _seen(judged)
    if not left:
        return Followed(state)
    from mwan_hook.connections import spared
    from mwan_hook.kernel import sockets
    from mwan_hook.run import own_sockets

    said: list[str] = []
    failures: list[str] = []
    chosen = own_sockets.chosen(judged, left, planned=False)
    until = max(until, sockets.soon())  # where so many are looked at that the time is up, some are ended all the same
    for one in chosen:
        ended = sockets.destroy(one.sockets, until)
        if ended.sockets:
            said.append(spared.line(one.left, ended.sockets, one.spared))
        if ended.unable:  # remembered for this boot
            note = f"{ended.unable}: {own.STAY}"
            return Followed(state._replace(unable=ended.unable, followed={}), tuple(said), tuple(failures), (note,))
        failures += [ended.failed] if ended.failed else []
        state = _remembered(state, one.left, len(ended.sockets), bool(ended.left or ended.failed), judged)
    return Followed(state, tuple(said), tuple(failures))


def _left(judged: Judged) -> list[Left]:
    seen, state, router = judged.scene, judged.state, judged.scene.config.router
    found = own.offline(seen.uplinks, state, router, seen.now)
    return found + own.taken_over(seen.uplinks, seen.bound.policies, state, router, judged.desired.online)


def _seen(judged: Judged) -> State:
    """The state with who is online now, in families whose routes stand; without, where nothing is ended."""
    state = judged.state
    if judged.scene.config.router.own == own.KEEP or state.unable:
        return state._replace(followed={})
    now = {family: names for family, names in judged.desired.online.items() if stands(judged, family)}
    return state._replace(followed={**state.followed, **now})


def _remembered(state: State, left: Left, ended: int, again: bool, judged: Judged) -> State:
    name, family = left.uplink.name, left.family
    memory = state.uplinks[name].family(family)
    memory = memory._replace(aborted=memory.aborted + ended)
    if left.better and again:  # not done yet: the same has taken over, as far as the next run knows
        state = state._replace(followed={**state.followed, family: judged.state.followed.get(family, ())})
    elif not left.better and not again:
        memory = memory._replace(ended_at=judged.scene.now)
    return state._replace(uplinks={**state.uplinks, name: state.uplinks[name].with_family(family, memory)})
