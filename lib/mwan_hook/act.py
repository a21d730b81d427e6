"""Make the kernel as it should be, and remember.  The only place that writes outside of probing."""

from __future__ import annotations

import time

from mwan_hook import scene
from mwan_hook.core.transitions import transitions
from mwan_hook.model import Busy, Family, MwanError, State, Transition, WayOut
from mwan_hook.say import complain, say
from mwan_hook.scene import Judged, Scene, Seen
from mwan_hook.store import lock, spool
from mwan_hook.store import state as states
from mwan_hook.system import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable, Sequence

    from mwan_hook.config import Loaded

DEFAULT_ROUTE = "default-route"  # the event
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

    def reconcile(self, rounds: Sequence[Seen] = (), asked: Iterable[str] = (), take_events: bool = False) -> Judged:
        """Look, judge, and change what differs.  ``asked``: interfaces that are to be probed, with those of events.

        A run that finds nothing to change never imports what changing takes; one that does takes the lock again, with
        filelock, and looks again, because another run may have been between.
        """
        with lock.look(self.root):
            self._asked |= {*asked, *(_spooled(self.root) if take_events else ())}
            judged = self._judged(rounds)
            seen = judged.scene
            complain((*seen.messages, *(self.loaded.warnings if seen.state.config != seen.fingerprint else ())))
            if not judged.changes and seen.bound.allotment == seen.allotment and not seen.state.errors:
                return self._saved(judged, seen.state, ())
        try:
            with lock.write(self.root):
                return self._settle(rounds)
        except Busy:
            for interface in self._asked:  # taken, and nothing came of it: the next run shall know
                spool.put(self.root, "again", interface)
            raise

    def _judged(self, rounds: Sequence[Seen]) -> Judged:
        return scene.judge(self._look(), rounds, self._asked)

    def _look(self) -> Scene:
        """Everything anew, unless neither the kernel nor another run said that anything changed."""
        changed = netlink.heard(self._ears)
        same = states.stamp(self.root) == self._stamp
        if self._last and self._memory and same and not changed:
            now, wall = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
            self._last = self._last._replace(state=self._memory, now=now, wall=wall, messages=())
        else:
            self._last = scene.look(self.root, self.loaded, self._memory if same else None)
        return self._last

    def _settle(self, rounds: Sequence[Seen]) -> Judged:
        """Change and look again, until nothing is left to change or nothing helps."""
        judged = self._judged(rounds)
        before = judged.scene.state
        complaints = self._prepare(judged)
        errors: tuple[str, ...] = ()
        for _ in range(PASSES):
            if not judged.changes:
                errors = ()
                break
            errors = _applied(judged)
            self._last = None
            tried, judged = judged.changes, self._judged(rounds)
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
            complaints += _attempted(lambda: allotment.save(self.root, seen.bound.allotment))
        if record != seen.state:
            complaints += _attempted(lambda: states.save(self.root, record))
            self._remember(record)
        routing = seen.config.routing
        named = names.of_tables((uplink.name, uplink.table) for uplink in seen.uplinks)
        # A read-only /etc is no failure.
        complain(names.write(self.root, routing.protocol, routing.default_table, named))
        return tuple(complaints)

    def _saved(self, judged: Judged, before: State, errors: tuple[str, ...]) -> Judged:
        """Store the state if it says anything new, then the history of what it changed."""
        state = judged.state._replace(errors=errors)
        if state != judged.scene.state or not before.boot_id:
            state = state._replace(saved_at=judged.scene.now, saved_wall=judged.scene.wall)
            failed = _attempted(lambda: states.save(self.root, state))
            state = state._replace(errors=(*errors, *failed))
        self._remember(state)
        self._asked = frozenset()
        _tell(judged, before, state)
        return judged._replace(state=state, stamp=self._stamp)

    def _remember(self, state: State) -> None:
        """A full disk loses nothing for the rest of this run."""
        self._memory = state if state.boot_id else state._replace(boot_id=states.boot_id())
        self._stamp = states.stamp(self.root)


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
    return stored._replace(tables=tables, sysctls=judged.sysctls, foreign=tuple(foreign.values()), protocols=protocols)


def _attempted(action: Callable[[], None]) -> list[str]:
    """The words of what failed, if it did."""
    try:
        action()
    except MwanError as error:
        return [str(error)]
    return []


def _applied(judged: Judged) -> tuple[str, ...]:
    """Make the changes, and print each as the line that an operator could have typed."""
    from mwan_hook.lines import shortened
    from mwan_hook.system import rtnl

    lines = list(shortened(judged.scene.snapshot.links, judged.changes))
    errors = rtnl.apply(judged.changes)
    say(f"[#] {line}" for line in lines)
    return tuple(errors)


def _tell(judged: Judged, before: State, state: State) -> None:
    """History and the journal."""
    wall = judged.scene.wall
    happened = (*transitions(before, state, wall), *_ways_out(before, state, wall))
    if happened:
        from mwan_hook.store import history

        complain(history.append(judged.scene.root, happened))
        say(_words(one) for one in happened)
    complain(line for line in state.warnings if line not in before.warnings)


def _words(one: Transition) -> str:
    what = one.event if one.event == DEFAULT_ROUTE else one.uplink
    where = f"{one.family.value} " if one.family else ""
    return f"{what}: {where}{one.old} -> {one.new} ({one.reason})"


def _ways_out(before: State, state: State, wall: float) -> list[Transition]:
    """``default-route`` events: the best way out has another interface, address or gateway."""
    found = []
    for family in Family:
        old, new = before.best.get(family, WayOut()), state.best.get(family, WayOut())
        if (old.interface, old.address, old.gateway) != (new.interface, new.address, new.gateway):
            reason = f"the best uplink is {new.uplink}" if new.uplink else "no uplink is online"
            was, now = _described(old), _described(new)
            found.append(Transition(DEFAULT_ROUTE, new.uplink, new.interface, family, was, now, reason, wall))
    return found


def _described(way: WayOut) -> str:
    return " ".join(word for word in (way.interface, way.address, way.gateway) if word) or "none"
