"""One tick: look, judge the facts, change what differs, probe what is due, judge again.  Here the parts meet.

Every trigger does the same.  The kernel is changed only under the state lock; probing holds another lock, so
that an unplug is served while a slow server is waited for.
"""

from __future__ import annotations

import time

from mwan_hook import config
from mwan_hook import plainos as os
from mwan_hook.kernel import netlink
from mwan_hook.model import FAMILIES, Busy, ConfigError, Connectivity, Family, Status
from mwan_hook.run.rating import settled, verdicts
from mwan_hook.run.reconcile import Run
from mwan_hook.run.scene import Judged, Key, ProbedRound, memory_of
from mwan_hook.run.wish import (
    Request,
    clock,
    in_doubt,
    keys,
    left_to_probe,
    longest,
    pause,
    refuse_strangers,
    what_is_due,
)
from mwan_hook.say import attempted, complain
from mwan_hook.store import files, lock
from mwan_hook.store import state as states
from mwan_hook.verdict.decide import has_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.probes.loop import Late


def check(root: str, names: Sequence[str] = (), now: bool = False, remember: bool = False) -> int:
    """``mwan-hook check``: what the timer runs.  Raises MwanError.

    ``remember``: leave what it saw to the next ones, if that is nothing new.
    """
    wish = Request(tuple(names), since=clock() if now else None, remember=remember)
    return tick(root, config.load(root), wish)


def event(root: str, given: tuple[str, str] | None = None) -> int:
    """``mwan-hook event``: the facts first, then probes of what changed.  Raises MwanError.

    A bad configuration takes the events all the same: a spool that never empties would start run after run.
    """
    try:
        loaded = config.load(root)
    except ConfigError:
        from mwan_hook.store import spool

        spool.take(root)
        raise
    return tick(root, loaded, Request(interfaces=given[1:] if given else (), wait=0))


def facts(root: str) -> int:
    """``mwan-hook event --facts``: no probe, so that the next news is not waited for.  Raises MwanError.

    What the facts put in doubt is left in the spool for a run that probes.  The kernel's news that systemd listened to
    are over once they were looked at, this run's own changes with them; a bad configuration must not leave them there
    either, or systemd would start run after run.
    """
    told = netlink.inherited_sockets()
    if told:
        from mwan_hook.run import listening

        listening.begin(root)
    try:
        loaded = config.load(root)
    except ConfigError:
        netlink.any_change(told)
        raise
    run = Run(root, loaded, told)
    judged = run.reconcile()
    for interface in left_to_probe(judged, clock()):
        from mwan_hook.store import spool

        spool.put(root, "probe", interface)
    code = _said(run.finish(judged), run.failed)
    if told and not code:
        complain(attempted(lambda: listening.over(root, told)))
    _flush(run, judged)
    return code


def at_once(root: str, loaded: Loaded) -> int:
    """Look and change what differs; no probe, so that a command need not wait for one.  Raises MwanError."""
    run = Run(root, loaded)
    judged = run.finish(run.reconcile())
    _flush(run, judged)
    return _said(judged, run.failed)


def tick(root: str, loaded: Loaded, wish: Request) -> int:
    """The whole story; 0, or 1 if something could not be done.

    A run that finds another one probing leaves its wish in the state and need not wait: the other one looks again
    after it has let the lock go.
    """
    from mwan_hook.probes.loop import Late  # here, because what tells facts alone needs no probes

    started, run, late = clock(), Run(root, loaded), Late()
    judged = run.take_events(wish.interfaces)
    refuse_strangers(judged, wish.names)
    _say_again(judged)
    while what_is_due(judged, wish, clock()):
        prober = lock.prober(root, wish.wait, longest(judged))
        acquired = prober.acquire()
        complain(prober.messages)
        if not acquired:
            if wish.names or wish.since:
                raise Busy("another run is probing; what was asked for was not probed")
            break
        try:
            if prober.waited:
                judged = run.reconcile()
            judged = _probe(run, judged, wish, started, late)
        finally:
            prober.release()
        if states.stamp(root) == judged.stamp:
            break
        judged = run.reconcile()
    judged = run.finish(judged)
    _look_after(root, loaded, judged)
    code = _said(judged, run.failed)
    if wish.remember and not (code or run.moved):
        from mwan_hook.run import remember

        complain(attempted(lambda: remember.keep(root, loaded)))
    _flush(run, judged)
    return code


def _say_again(judged: Judged) -> None:
    """Repeat on a terminal, where nothing else is said, that there are no uplinks; the journal has it once."""
    seen = judged.scene
    if not any(uplink.present for uplink in seen.uplinks) and not os.variable("JOURNAL_STREAM"):
        complain(line for line in seen.bound.told if line in seen.state.warnings)


def _said(judged: Judged, failed: bool) -> int:
    complain(judged.state.errors)
    return 1 if judged.state.errors or failed else 0


def _flush(run: Run, judged: Judged) -> None:
    """Have a ring that is half full written: last and without a lock, since that waits for the service manager."""
    if run.ring_full:
        from mwan_hook.run import recordlines

        complain(attempted(lambda: recordlines.flush(judged.scene)))


def _look_after(root: str, loaded: Loaded, judged: Judged) -> None:
    """What grows old without a transition, and what could not be told."""
    if loaded.config.prometheus.textfile:
        from mwan_hook.run import prometheus

        complain(prometheus.refresh(root, loaded))
    if loaded.config.mail.to or loaded.config.webhook.url:
        from mwan_hook.store import wake

        wake.remind(root)
    if any(uplink.repair for uplink in loaded.config.uplinks):
        from mwan_hook.run import ladders

        ladders.attend(root, judged)
    if os.path.exists(files.under(root, files.AGAIN)):
        from mwan_hook.run import tell

        tell.remind(root, judged)


def _probe(run: Run, judged: Judged, wish: Request, started: float, late: Late) -> Judged:
    """Rounds until nothing is due or in doubt.

    What is online is asked first and alone: it must not wait for a dead one's time-out.  Only where its answers would
    take the last way out are the others that are due asked before any of them is judged.  A burst ends by itself, and
    is cut short where it would keep others from probing; what comes due while it lasts is asked, too.
    """
    from mwan_hook.run.ask import ask

    asked: dict[tuple[str, Family], float] = {}
    measured: set[tuple[object, ...]] = set()
    turned: set[tuple[str, Family]] = set()
    answered: set[str] = set()
    while True:
        now = clock()
        doubtful = [key for key in keys(judged, wish.names) if in_doubt(judged, key, now - started)]
        due = [key for key in what_is_due(judged, wish, now) if doubtful or key.name not in asked]
        wanted = {key.name: key for key in (*due, *doubtful)}
        ready = [key for name, key in wanted.items() if now - asked.get(name, 0.0) >= pause(key)]
        online = [key for key in ready if memory_of(judged, key).status is Status.ONLINE]
        if ready:
            seen = _beside_witnesses(judged, ask(judged, online or ready, late), late, answered)
            then, others = _without_way(judged, online, seen, wish)
            asked.update((key.name, now) for key in (*(online or ready), *others))
            more = _beside_witnesses(judged, ask(then, others, late), late, answered)
            judged = run.reconcile([*seen, *more])
            if judged.scene.bound.turns:
                judged, moved = _with_turns(run, judged)
                for name in moved - turned:  # each once, or a run might never end
                    asked.pop(name, None)
                turned |= moved
        elif doubtful:
            time.sleep(max(0.01, min(asked.get(key.name, 0.0) + pause(key) - now for key in doubtful)))
        elif found := _measured(judged, wish, measured):
            judged = run.reconcile(found)
        else:
            return judged


def _beside_witnesses(judged: Judged, seen: list[ProbedRound], late: Late, answered: set[str]) -> list[ProbedRound]:
    """These rounds; where a target failed, with what other uplinks answer of it before a verdict follows from that."""
    if all(one.connectivity is Connectivity.FULL for asked in seen for one in asked.round.targets):
        return seen
    from mwan_hook.run import common

    return [*seen, *common.asked(judged, seen, late, answered)]


def _measured(judged: Judged, wish: Request, done: set[tuple[object, ...]]) -> list[ProbedRound]:
    """What is measured when all that was due or in doubt has been asked; ``done``: series of this run."""
    if not any(uplink.config.probe.measured for uplink in judged.scene.uplinks):
        return []
    from mwan_hook.run import measure

    return measure.made(judged, keys(judged, wish.names), done)


def _without_way(
    judged: Judged, online: Sequence[Key], seen: Sequence[ProbedRound], wish: Request
) -> tuple[Judged, list[Key]]:
    """What these rounds would lead to, and what is due then in the families whose last way out they would take."""
    if not any(memory_of(judged, key).bad + 1 >= key.uplink.config.probe.fall for key in online):
        return judged, []
    scene = judged.scene._replace(state=judged.state)
    after = verdicts(scene, settled(scene, seen)[1], frozenset())
    lost = [family for family in FAMILIES if has_way(judged.state.uplinks, family) and not has_way(after, family)]
    if not lost:
        return judged, []
    then = judged._replace(state=judged.state._replace(uplinks=after))
    had = {(one.job.uplink, one.job.family) for one in seen if not one.witness}
    due = what_is_due(then, Request() if wish.names else wish, clock())
    return then, [key for key in due if key.family in lost and key.name not in had]


def _with_turns(run: Run, judged: Judged) -> tuple[Judged, set[tuple[str, Family]]]:
    """A round may have ended a gateway's turn: the next one is taken at once, and asked in this run."""
    before = {key.name: key.uplink.way(key.family).gateway for key in keys(judged)}
    judged = run.reconcile()
    after = {key.name: key.uplink.way(key.family).gateway for key in keys(judged)}
    return judged, {name for name, gateway in after.items() if before.get(name, gateway) != gateway}
