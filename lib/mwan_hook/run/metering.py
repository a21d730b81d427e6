"""Quotas in a look and in what follows from it.  Imported only where an uplink has one."""

from __future__ import annotations

import time

from mwan_hook.kernel import counters
from mwan_hook.model import MwanError, Traffic, Usage
from mwan_hook.quota import usage as quota
from mwan_hook.store import state as states
from mwan_hook.store import usage as usages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import State, Transition
    from mwan_hook.run.scene import Judged, Scene


def looked(seen: Scene, writes: bool) -> Scene:
    """The scene with the counters of uplinks that have a quota, and what earlier boots have left of them."""
    limited = [uplink for uplink in seen.uplinks if uplink.config.quota]
    carried, unread = _carried([uplink.index for uplink in limited if uplink.present])
    traffic = Traffic(seen.state.boot_id or states.boot_id(), carried)
    messages = (*seen.messages, *unread)
    seen = seen._replace(snapshot=seen.snapshot._replace(traffic=traffic), messages=messages)
    if all(uplink.name in seen.state.usage for uplink in limited):
        return seen
    kept, messages = usages.load(seen.root, writes)
    mine = {uplink.name: kept.uplinks[uplink.name] for uplink in limited if uplink.name in kept.uplinks}
    state = seen.state._replace(usage={**mine, **seen.state.usage})
    return seen._replace(state=state, messages=(*seen.messages, *messages))


def _carried(indexes: Sequence[int]) -> tuple[dict[int, int], tuple[str, ...]]:
    """What the kernel says, or why it does not: routing does not wait for that, and the next reading has it all."""
    try:
        return counters.read(indexes), ()
    except MwanError as error:
        return {}, (str(error),)


def counted(seen: Scene) -> tuple[Scene, dict[str, Usage]]:
    """The scene with the preferences that quotas leave, and what was carried."""
    year, month, day = time.localtime(seen.wall)[:3]
    state, traffic = seen.state, seen.snapshot.traffic
    then = state.saved_wall - state.saved_at
    stepped = state.saved_at > 0 and abs(seen.wall - seen.now - then) > quota.STEP
    usage = quota.advanced(seen.uplinks, state.usage, traffic, quota.Moment(year, month, day, seen.now, stepped))
    uplinks = quota.demoted(seen.uplinks, usage)
    if uplinks == seen.uplinks:
        return seen, usage
    bound = seen.bound._replace(uplinks=uplinks)
    if bound.policies:
        from mwan_hook.policy import policies

        bound = bound._replace(policies=policies.reordered(bound.policies, seen.uplinks, uplinks))
    return seen._replace(bound=bound), usage


def transitions(judged: Judged, before: State, after: State) -> tuple[Transition, ...]:
    """What a threshold or a new period has to tell."""
    if all(before.usage.get(name, Usage()).stage is one.stage for name, one in after.usage.items()):
        return ()
    from mwan_hook.quota import words

    return words.transitions(before, after, judged.scene.uplinks, judged.scene.wall)


def keep(judged: Judged, state: State, now: bool) -> tuple[str, ...]:
    """Write usage to the disk if it has moved enough; messages.  Raises MwanError."""
    quotas = {uplink.name: uplink.config.quota for uplink in judged.scene.uplinks}
    return usages.keep(judged.scene.root, state.usage, quotas, now)
