"""One tick: look, judge the facts, change what differs, probe what is due, judge again.  Here the parts meet.

Every trigger does the same.  The kernel is changed only under the state lock; probing holds another lock, so
that an unplug is served while a slow server is waited for.
"""

from __future__ import annotations

import sys
import time

from mwan_hook import act, config
from mwan_hook.core import rounds, schedule
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Family, Job, Result, Uplink
from mwan_hook.probes import runner
from mwan_hook.scene import Judged, Seen, another_online
from mwan_hook.store import lock, spool
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import FamilyState

LONGEST_BURST = 20.0  # seconds; what takes longer goes on in the next run
WAIT_FOR_PROBER = 10.0


class Wish(NamedTuple):
    """What this run was asked to probe."""

    names: tuple[str, ...] = ()  # uplinks; empty: all
    interfaces: frozenset[str] = frozenset()  # named by events: due, whatever the schedule says
    since: float | None = None  # --now: whatever was not probed since then is due
    wait: float = WAIT_FOR_PROBER  # for another run that is probing


def check(root: str, names: Sequence[str] = (), now: bool = False) -> int:
    """``mwan-hook check``: what the timer runs.  Raises MwanError."""
    started = time.clock_gettime(time.CLOCK_BOOTTIME)
    loaded = config.load(root)
    return tick(root, loaded, Wish(tuple(names), _named(root), started if now else None))


def event(root: str, given: tuple[str, str] | None = None) -> int:
    """``mwan-hook event``: the facts first, then probes of what changed.  Raises MwanError."""
    loaded = config.load(root)
    return tick(root, loaded, Wish(interfaces=frozenset(given[1:]) if given else _named(root), wait=0))


def _named(root: str) -> frozenset[str]:
    """The interfaces that spooled events name; they are out of the spool then."""
    taken = spool.take(root)
    for line in taken.messages:
        print(f"mwan-hook: {line}", file=sys.stderr)
    return frozenset(one.interface for one in taken.events)


def tick(root: str, loaded: Loaded, wish: Wish) -> int:
    """The whole story; 0, or 1 if something could not be done.

    A run that finds another one probing leaves its wish in the state and need not wait: the other one looks again
    after it has let the lock go.
    """
    started = time.clock_gettime(time.CLOCK_BOOTTIME)
    judged = act.reconcile(root, loaded)
    _refuse_strangers(judged, wish.names)
    while _due(judged, wish, started):
        prober = lock.prober(root, wish.wait)
        if not prober.acquire():
            break
        try:
            if prober.waited:
                judged = act.reconcile(root, loaded)
            judged = _probe(root, loaded, judged, _due(judged, wish, started))
        finally:
            prober.release()
        if states.stamp(root) == judged.stamp:
            break
        wish = wish._replace(interfaces=frozenset())
        judged = act.reconcile(root, loaded)
    return 1 if judged.state.errors else 0


def _probe(root: str, loaded: Loaded, judged: Judged, asked: Sequence[Key]) -> Judged:
    """One round of what is due, then as many as it takes until nothing is in doubt."""
    until = judged.scene.now + LONGEST_BURST
    while asked:
        judged = act.reconcile(root, loaded, _ask(judged, asked))
        asked = [key for key, state in _memories(judged) if schedule.in_doubt(state, key.uplink.config.probe)]
        if judged.scene.now > until:
            break
        if asked:
            _wait_for(judged, asked)
    return judged


class Key(NamedTuple):
    """One family of one uplink."""

    uplink: Uplink
    family: Family


def _memories(judged: Judged) -> list[tuple[Key, FamilyState]]:
    return [
        (Key(uplink, family), judged.state.uplinks[uplink.name].family(family))
        for uplink in judged.scene.uplinks
        for family in FAMILIES
    ]


def _due(judged: Judged, wish: Wish, started: float) -> list[Key]:
    """What a round shall be made of now."""
    found = []
    for key, state in _memories(judged):
        config, named = key.uplink.config, key.uplink.interface in wish.interfaces
        if wish.names and not _means(wish.names, key.uplink):
            continue
        another = another_online(judged.state.uplinks, key.uplink.name)
        since = started if named else wish.since
        if schedule.due(state, config, judged.scene.now, another, since):
            found.append(key)
    return found


def _ask(judged: Judged, asked: Sequence[Key]) -> list[Seen]:
    """One round of each, all at once, and what each says."""
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    jobs: list[Job] = []
    for uplink, family in asked:
        state, probe = judged.state.uplinks[uplink.name].family(family), uplink.config.probe
        timeout = schedule.burst_timeout(state, probe) if state.burst else probe.timeout
        with_portal = schedule.portal_due(state, probe, family, judged.scene.now)
        jobs += rounds.jobs_for(uplink, family, probe, with_portal=with_portal, timeout=timeout)
    answers: dict[tuple[str, Family], list[Result]] = {}
    for result in runner.run(jobs, root=judged.scene.root):
        answers.setdefault((result.job.uplink, result.job.family), []).append(result)
    return [
        Seen(results[0].job, rounds.summarise(results, uplink.config.probe.required), begun)
        for uplink, family in asked
        if (results := answers.get((uplink.name, family)))
    ]


def _wait_for(judged: Judged, asked: Sequence[Key]) -> None:
    """Sleep until the first of them is due."""
    memories = judged.state.uplinks
    due = min(memories[uplink.name].family(family).next_probe_at or 0.0 for uplink, family in asked)
    time.sleep(max(0.0, due - time.clock_gettime(time.CLOCK_BOOTTIME)))


def _means(names: Sequence[str], uplink: Uplink) -> bool:
    return bool({uplink.name, uplink.config.name, uplink.interface} & set(names))


def _refuse_strangers(judged: Judged, names: Sequence[str]) -> None:
    """A name that is no uplink's is a usage error."""
    if names:
        from mwan_hook.commands.naming import chosen

        chosen(judged.scene, names)
