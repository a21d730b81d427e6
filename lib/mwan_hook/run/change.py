"""Change what differs, and look again; imported only by a run that has something to change."""

from __future__ import annotations

from mwan_hook.kernel import write
from mwan_hook.kernel.lines import shortened
from mwan_hook.light import partial
from mwan_hook.machine import names
from mwan_hook.model import Ruleset, State, Sysctl
from mwan_hook.run import judge
from mwan_hook.say import attempted, brief, complain, say
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Change
    from mwan_hook.run.reconcile import Run
    from mwan_hook.run.scene import Judged, ProbedRound

IMPATIENCE = 2.0  # seconds that nft(8) gets while probes wait ...
PATIENCE = 8.0  # ... and at the end of the run: both together are as long as other runs wait for the lock
MANY = 500  # changes that this run had better not hear of itself
PASSES = 4  # looks after changes, until nothing is left to do


def settle(run: Run, judged: Judged, rounds: Sequence[ProbedRound]) -> tuple[Judged, tuple[str, ...]]:
    """Change and look again, until nothing is left to change or nothing helps."""
    complaints = list(_prepare(run, judged))
    errors: tuple[str, ...] = ()
    for _ in range(PASSES):
        if not (judged.changes or run.table_due(judged)):
            break
        errors = run.unheard(partial(_applied, judged)) if len(judged.changes) > MANY else _applied(judged)
        complaints += _rule_set(run, judged, rounds) if run.table_due(judged) else []
        run.last, run.reader = None, None if _moves_the_dead(judged) else run.reader
        tried, judged = judged.changes, run.judged(rounds)
        if errors and not {*tried} & {*judged.changes}:
            errors = ()  # what could not be done is not wanted any more: its interface went under it
        if judged.changes == tried:
            break
    return judged, (*errors, *complaints)


def _moves_the_dead(judged: Judged) -> bool:
    """Whether settings may change, without a word, which routes the kernel calls dead: those without a carrier."""
    without = any(link.up and not link.carrier for link in judged.scene.snapshot.links)
    return without and any(isinstance(change.what, Sysctl) for change in judged.changes)


def _prepare(run: Run, judged: Judged) -> tuple[str, ...]:
    """What must be on record before the kernel is touched, so that a run killed in the midst loses nothing.

    The verdicts are not: they are judged again from what is stored, as often as the kernel is looked at.
    """
    seen = judged.scene
    record = _on_record(seen.state, judged.state)
    complaints: list[str] = []
    if seen.bound.allotment != seen.allotment:
        if seen.allotment.enabled or seen.allotment.draining:
            from mwan_hook.verdict import switches

            complain(switches.overruled(seen.allotment, seen.uplinks))
        complaints += attempted(lambda: states.save_allotment(run.root, seen.bound.allotment))
    if record != seen.state:
        complaints += attempted(lambda: states.save(run.root, record))
    if record != seen.state or seen.state.boot_id:
        run.remember(record)  # and the next look need not read it
    routing = seen.config.routing
    if routing.write_etc:  # a read-only /etc is no failure
        complain(names.write(run.root, routing.protocol, routing.default_table, seen.named_tables))
    return tuple(complaints)


def _rule_set(run: Run, judged: Judged, rounds: Sequence[ProbedRound]) -> list[str]:
    """Our nft table after the routes: an nft(8) that hangs holds up no failover, and probes for a moment.

    What was read of it now is what it is compared with from now on.  A run that is killed before makes it again,
    and forgets again what is not translated.
    """
    from mwan_hook.kernel import nft
    from mwan_hook.run import ruleset

    patience = PATIENCE if run.finishing else IMPATIENCE
    there, complaints = ruleset.settle(judged, lambda seen: judge.judge(seen, rounds, run.asked), patience)
    same = states.stamp(run.root) == run.stamp
    record = (run.memory if run.memory and same else judged.scene.state)._replace(firewall=there)
    unsaved = attempted(lambda: states.save(run.root, record))
    run.remember(record)
    complain(complaints)  # status names it, too
    run.failed = bool(there.failed) and (run.finishing or there.failed != nft.NO_ANSWER)
    return unsaved


def _on_record(stored: State, judged: State) -> State:
    """Displaced defaults, old sysctls, tables in use: of one and the same default the newest."""
    foreign = {(r.family, r.metric, r.nexthops[:1]): r for r in (*stored.foreign, *judged.foreign)}
    tables = tuple(sorted({*stored.tables, *judged.tables}))
    protocols = tuple(sorted({*stored.protocols, *judged.protocols}))
    record = stored._replace(objects=stored.objects or judged.objects, sharing=judged.sharing)
    return record._replace(tables=tables, sysctls=judged.sysctls, foreign=tuple(foreign.values()), protocols=protocols)


def _applied(judged: Judged) -> tuple[str, ...]:
    """Make the changes of routes and the like, and print each as the line that an operator could have typed."""
    changes: Sequence[Change] = judged.changes
    if judged.scene.snapshot.firewall:
        changes = [change for change in changes if not isinstance(change.what, Ruleset)]
    lines = list(brief(f"[#] {line}" for line in shortened(judged.scene.snapshot.links, changes)))
    errors = write.apply(changes)
    say(lines)
    return tuple(errors)
