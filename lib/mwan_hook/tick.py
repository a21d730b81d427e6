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
from mwan_hook.model import FAMILIES, Family, Job, Result, Status, Uplink
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
    """Rounds until nothing is in doubt.  What is online comes first: it must not wait for a dead one's time-out."""
    until = judged.scene.now + LONGEST_BURST
    online = [key for key in asked if _memory(judged, key).status is Status.ONLINE]
    for group in (online, [key for key in asked if key not in online]):
        left = group
        while left:
            judged = act.reconcile(root, loaded, _ask(judged, left))
            left = [key for key in _keys(judged) if schedule.in_doubt(_memory(judged, key), key.uplink.config.probe)]
            if judged.scene.now > until:
                break
            _wait_for(judged, left)
    return judged


class Key(NamedTuple):
    """One family of one uplink."""

    uplink: Uplink
    family: Family


def _keys(judged: Judged) -> list[Key]:
    return [Key(uplink, family) for uplink in judged.scene.uplinks for family in FAMILIES]


def _memory(judged: Judged, key: Key) -> FamilyState:
    return judged.state.uplinks[key.uplink.name].family(key.family)


def _due(judged: Judged, wish: Wish, started: float) -> list[Key]:
    """What a round shall be made of now."""
    found = []
    for key in _keys(judged):
        if wish.names and not _means(wish.names, key.uplink):
            continue
        another = another_online(judged.state.uplinks, key.uplink.name)
        since = started if key.uplink.interface in wish.interfaces else wish.since
        if schedule.due(_memory(judged, key), key.uplink.config, judged.scene.now, another, since):
            found.append(key)
    return found


def _ask(judged: Judged, asked: Sequence[Key]) -> list[Seen]:
    """One round of each, all at once, and what each says.

    While all is well a round asks only as many targets as must answer; where one of those does not, it asks all.
    """
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    first = {key: _jobs(judged, key) for key in asked}
    answers = _answers(judged.scene.root, [job for spared, jobs in first.values() for job in spared or jobs])
    unsure = [key for key, (spared, _) in first.items() if spared and not rounds.suffices(answers[_name(key)])]
    more = _answers(judged.scene.root, [job for key in unsure for job in first[key][1]])
    seen = []
    for key, (spared, _) in first.items():
        results = answers.get(_name(key))
        if results:
            spent = sum(result.wire_bytes for result in results) if key in unsure else 0
            one = rounds.summarise(more.get(_name(key), results), key.uplink.config.probe.required)
            partial = bool(spared) and key not in unsure
            one = one._replace(wire_bytes=one.wire_bytes + spent, partial=partial)
            seen.append(Seen(results[0].job, one, begun))
    return seen


def _jobs(judged: Judged, key: Key) -> tuple[Sequence[Job], Sequence[Job]]:
    """The spared round (empty: none) and the whole one."""
    state, probe = _memory(judged, key), key.uplink.config.probe
    in_peace = state.status is Status.ONLINE and state.bad == 0 and state.good > 0
    hurried = state.burst or in_peace
    timeout = schedule.burst_timeout(state, probe) if hurried else probe.timeout
    with_portal = schedule.portal_due(state, probe, key.family, judged.scene.now)
    jobs = rounds.jobs_for(key.uplink, key.family, probe, with_portal=with_portal, timeout=timeout)
    jobs = tuple(job._replace(timeout=probe.timeout) if job.portal else job for job in jobs)  # names, TCP, a web server
    return rounds.sparing(jobs, probe.required, state.good) if in_peace else (), jobs


def _answers(root: str, jobs: Sequence[Job]) -> dict[tuple[str, Family], list[Result]]:
    found: dict[tuple[str, Family], list[Result]] = {}
    for result in runner.run(jobs, root=root) if jobs else ():
        found.setdefault((result.job.uplink, result.job.family), []).append(result)
    return found


def _name(key: Key) -> tuple[str, Family]:
    return key.uplink.name, key.family


def _wait_for(judged: Judged, asked: Sequence[Key]) -> None:
    """Sleep until the first of them is due; a link that came, or changed, while it was probed waits as long."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    waits = [(_memory(judged, key).next_probe_at, key.uplink.config.probe.burst_interval) for key in asked]
    left = min((interval if due is None else due - now for due, interval in waits), default=0.0)
    if left > 0:
        time.sleep(left)


def _means(names: Sequence[str], uplink: Uplink) -> bool:
    return bool({uplink.name, uplink.config.name, uplink.interface} & set(names))


def _refuse_strangers(judged: Judged, names: Sequence[str]) -> None:
    """A name that is no uplink's is a usage error."""
    if names:
        from mwan_hook.commands.naming import chosen

        chosen(judged.scene, names)
