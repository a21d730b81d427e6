"""Make the kernel as it should be, and remember.  The only place that writes outside of probing."""

from __future__ import annotations

import time

from mwan_hook import scene
from mwan_hook.core.transitions import transitions
from mwan_hook.model import UNREAD, MwanError, Ruleset, State, Transition
from mwan_hook.say import brief, complain, say
from mwan_hook.scene import Judged, Scene, Seen
from mwan_hook.store import lock, spool
from mwan_hook.store import state as states
from mwan_hook.system import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable, Sequence

    from mwan_hook.config import Loaded

SAID_TWICE = 4.0  # seconds after which hosts hear again what has changed
IMPATIENCE = 2.0  # seconds that nft(8) gets while probes wait ...
PATIENCE = 8.0  # ... and at the end of the run: both together are as long as other runs wait for the lock
PASSES = 4  # looks after changes, until nothing is left to do


class Run:
    """One run: it looks, judges, changes and remembers, as often as its probes ask for it."""

    def __init__(self, root: str, loaded: Loaded, told: Iterable[socket] = ()) -> None:
        """``told``: sockets of others whose news a look makes old, too."""
        self.root = root
        self.loaded = loaded
        # What they do not hear of need not be looked at again.
        self._ears = (netlink.connect(netlink.EVERYTHING), *told)
        self._last: Scene | None = None
        self._memory: State | None = None  # what the last look led to; the disk has it too unless it was full
        self._stamp = (0, 0)
        self._asked: frozenset[str] = frozenset()
        self._asked_gateways = False
        self._finishing = False
        self.failed = False  # nft(8) has: errors of the state do not hold that
        self._started = time.clock_gettime(time.CLOCK_BOOTTIME)

    def reconcile(self, rounds: Sequence[Seen] = (), asked: Iterable[str] = (), take_events: bool = False) -> Judged:
        """Look, judge, and change what differs.  ``asked``: interfaces that are to be probed, with those of events."""
        held = lock.look(self.root)
        with held:
            self._asked |= {*asked, *(_spooled(self.root) if take_events else ())}
            judged = self._judged(rounds)
            seen = judged.scene
            warnings = self.loaded.warnings if seen.state.config != seen.fingerprint else ()
            complain((*held.messages, *seen.messages, *warnings))
            if judged.changes or self._table_due(judged) or seen.bound.allotment != seen.allotment or seen.state.errors:
                return self._settle(judged, rounds)
            return self._saved(judged, seen.state, ())

    def _judged(self, rounds: Sequence[Seen]) -> Judged:
        judged = scene.judge(self._look(), rounds, self._asked)
        if self._table_waits(judged.scene):
            return judged._replace(changes=tuple(one for one in judged.changes if not isinstance(one.what, Ruleset)))
        return judged

    def _table_waits(self, seen: Scene) -> bool:
        """True while nft(8) is not to be asked: it has failed in this run, or has before and its turn comes last."""
        return self.failed or bool(seen.state.firewall.failed and not self._finishing)

    def _table_due(self, judged: Judged) -> bool:
        """True if nft(8) is to be asked now."""
        there = judged.scene.snapshot.firewall
        if there is None or self._table_waits(judged.scene):
            return False
        return there.listing == UNREAD or any(isinstance(one.what, Ruleset) for one in judged.changes)

    def finish(self, judged: Judged) -> Judged:
        """Ask an nft(8) that has failed before, or was slow, when all that others wait for is done."""
        if self.failed or not judged.state.firewall.failed:
            return judged
        self._finishing = True
        return self.reconcile()

    def _look(self) -> Scene:
        """Everything anew, unless neither the kernel nor another run said that anything changed."""
        changed = netlink.heard(self._ears)
        same = states.stamp(self.root) == self._stamp
        if self._last and self._memory and same and not changed and not self._last.bound.turns:
            now, wall = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
            self._last = self._last._replace(state=self._memory, now=now, wall=wall, messages=())
        else:
            self._last = scene.look_to_write(self.root, self.loaded, self._memory if same else None)
            if self._last.bound.turns and self._asks_gateways():
                self._last = scene.look_to_write(self.root, self.loaded, self._memory if same else None)
        return self._last

    def _asks_gateways(self) -> bool:
        """Once in a run the kernel is made to ask gateways that are waiting for their turn."""
        if self._asked_gateways or self._last is None:
            return False
        from mwan_hook.system import neighbours

        self._asked_gateways = True
        return neighbours.ask(self._last.uplinks, self._last.bound.turns)

    def _settle(self, judged: Judged, rounds: Sequence[Seen]) -> Judged:
        """Change and look again, until nothing is left to change or nothing helps."""
        before = judged.scene.state
        complaints = list(self._prepare(judged))
        errors: tuple[str, ...] = ()
        for _ in range(PASSES):
            if not (judged.changes or self._table_due(judged)):
                break
            errors = _applied(judged)
            complaints += self._rule_set(judged, rounds) if self._table_due(judged) else []
            self._last = None
            tried, judged = judged.changes, self._judged(rounds)
            if not {*tried} & {*judged.changes}:
                errors = ()  # what could not be done is not wanted any more: its interface went under it
            if judged.changes == tried:
                break
        return self._saved(judged, before, (*errors, *complaints))

    def _prepare(self, judged: Judged) -> tuple[str, ...]:
        """What must be on record before the kernel is touched, so that a run killed in the midst loses nothing.

        The verdicts are not: they are judged again from what is stored, as often as the kernel is looked at.
        """
        from mwan_hook.store import allotment
        from mwan_hook.system import names

        seen = judged.scene
        record = _on_record(seen.state, judged.state)
        complaints: list[str] = []
        if seen.bound.allotment != seen.allotment:
            if seen.allotment.enabled:
                from mwan_hook.core import switches

                complain(switches.overruled(seen.allotment, seen.uplinks))
            complaints += _attempted(lambda: allotment.save(self.root, seen.bound.allotment))
        if record != seen.state:
            complaints += _attempted(lambda: states.save(self.root, record))
            self._remember(record)
        routing = seen.config.routing
        # A read-only /etc is no failure.
        complain(names.write(self.root, routing.protocol, routing.default_table, seen.named_tables))
        return tuple(complaints)

    def _rule_set(self, judged: Judged, rounds: Sequence[Seen]) -> list[str]:
        """Our nft table after the routes: an nft(8) that hangs holds up no failover, and probes for a moment.

        What was read of it now is what it is compared with from now on.  A run that is killed before makes it again,
        and forgets again what is not translated.
        """
        from mwan_hook import ruleset
        from mwan_hook.system import nft

        patience = PATIENCE if self._finishing else IMPATIENCE
        there, complaints = ruleset.settle(judged, lambda seen: scene.judge(seen, rounds, self._asked), patience)
        same = states.stamp(self.root) == self._stamp
        record = (self._memory if self._memory and same else judged.scene.state)._replace(firewall=there)
        unsaved = _attempted(lambda: states.save(self.root, record))
        self._remember(record)
        complain(complaints)  # status names it, too
        self.failed = bool(there.failed) and (self._finishing or there.failed != nft.NO_ANSWER)
        return unsaved

    def _saved(self, judged: Judged, before: State, errors: tuple[str, ...]) -> Judged:
        """Store the state, and what to tell of it, if it says anything new; then tell."""
        errors = tuple(brief(errors))
        state = _unless_quiet(judged, judged.state._replace(errors=errors))
        again = state.to_repeat and judged.scene.now >= state.said_at + SAID_TWICE
        if state.deprecated != judged.deprecated or again:
            from mwan_hook import telling

            state = telling.advertised(judged, state)
        happened = (*transitions(before, state, judged.scene.wall), *_ways_out(before, state, judged.scene.wall))
        if state.usage:
            from mwan_hook import metering

            happened += metering.transitions(judged, before, state)
        if happened:
            from mwan_hook import telling

            state = telling.with_notices(judged, before, state, happened)
        failed: list[str] = []
        if state != judged.scene.state or not before.boot_id:
            took = round(time.clock_gettime(time.CLOCK_BOOTTIME) - self._started, 6)
            state = state._replace(saved_at=judged.scene.now, saved_wall=judged.scene.wall, run_seconds=took)
            failed = _attempted(lambda: states.save(self.root, state))
            # What /var does not take keeps nobody from being told.
            unkept = _attempted(lambda: complain(metering.keep(judged, state))) if state.usage else []
            state = state._replace(errors=(*errors, *failed, *unkept))
        if happened or state.outbox:
            from mwan_hook import telling

            telling.write_down(self.root, happened, judged.state.outbox)
            if state.outbox and not failed:  # only now: what is in the outbox still can be written down again
                state = telling.handed_over(self.root, self.loaded, state)
        complain(line for line in state.warnings if line not in before.warnings)
        self._remember(state)
        self._asked = frozenset()
        return judged._replace(state=state, stamp=self._stamp)

    def _remember(self, state: State) -> None:
        """A full disk loses nothing for the rest of this run."""
        self._memory = state if state.boot_id else state._replace(boot_id=states.boot_id())
        self._stamp = states.stamp(self.root)


def _ways_out(before: State, after: State, wall: float) -> tuple[Transition, ...]:
    if before.best == after.best:
        return ()
    from mwan_hook.core.notices import ways_out

    return ways_out(before, after, wall)


def _unless_quiet(judged: Judged, state: State) -> State:
    """Counters that moved a little are no reason to save."""
    if not state.usage:
        return state
    from mwan_hook.core import quota

    return quota.quiet(state, judged.scene.state, judged.scene.uplinks)


def _spooled(root: str) -> frozenset[str]:
    """The interfaces that spooled events name; they are out of the spool then."""
    taken = spool.take(root)
    complain(taken.messages)
    return frozenset(one.interface for one in taken.events)


def _on_record(stored: State, judged: State) -> State:
    """Displaced defaults, old sysctls, tables in use: of one and the same default the newest."""
    foreign = {(r.family, r.metric, r.nexthops[:1]): r for r in (*stored.foreign, *judged.foreign)}
    tables = tuple(sorted({*stored.tables, *judged.tables}))
    protocols = tuple(sorted({*stored.protocols, *judged.protocols}))
    record = stored._replace(objects=stored.objects or judged.objects, sharing=judged.sharing)
    return record._replace(tables=tables, sysctls=judged.sysctls, foreign=tuple(foreign.values()), protocols=protocols)


def _attempted(action: Callable[[], None]) -> list[str]:
    """The words of what failed, if it did."""
    try:
        action()
    except MwanError as error:
        return [str(error)]
    return []


def _applied(judged: Judged) -> tuple[str, ...]:
    """Make the changes of routes and the like, and print each as the line that an operator could have typed."""
    from mwan_hook.lines import shortened
    from mwan_hook.system import write

    changes = [change for change in judged.changes if not isinstance(change.what, Ruleset)]
    lines = list(brief(f"[#] {line}" for line in shortened(judged.scene.snapshot.links, changes)))
    errors = write.apply(changes)
    say(lines)
    return tuple(errors)
