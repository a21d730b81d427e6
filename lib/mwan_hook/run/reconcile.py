"""Make the kernel as it should be, and remember.  Only here and in :mod:`change` is written outside of probing."""

from __future__ import annotations

import time

from mwan_hook.kernel import netlink
from mwan_hook.model import UNREAD, CopyRoutes, MwanError, Ruleset, State
from mwan_hook.run import judge, look, save
from mwan_hook.run.scene import Judged, ProbedRound, Scene, dialling_rests
from mwan_hook.say import attempted, complain
from mwan_hook.store import files, lock
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from mwan_hook.config import Loaded
    from mwan_hook.dial.values import DialRequest
    from mwan_hook.kernel.reader import Reader

    T = TypeVar("T")


class Run:
    """One run: it looks, judges, changes and remembers, as often as its probes ask for it."""

    def __init__(self, root: str, loaded: Loaded, told: Iterable[socket] = ()) -> None:
        """``told``: sockets of others whose news a look makes old, too."""
        self.root = root
        self.loaded = loaded
        # What they do not hear of need not be looked at again.
        self._listeners = (netlink.connect(netlink.EVERYTHING), *told)
        self.last: Scene | None = None
        self.reader: Reader | None = None  # one that knows tables from the last look
        self._judged: Judged | None = None
        self.memory: State | None = None  # what the last look led to; the disk has it too unless it was full
        self.stamp = (0, 0)
        self.asked: frozenset[str] = frozenset()
        self._asked_gateways = False
        self.finishing = False
        self.failed = False  # nft(8) has: errors of the state do not hold that
        self.moved = False  # something was changed, or has happened
        self.request: DialRequest | None = None  # what is asked of what dials once the state is stored
        self.sent = False  # one was: a run asks one thing
        self.ring_full = False  # a file of the record's ring is, and the disk has not all of it yet
        self.drained: dict[str, str] = {}  # uplinks that this run has disabled, and why
        self.started = time.clock_gettime(time.CLOCK_BOOTTIME)

    def reconcile(self, rounds: Sequence[ProbedRound] = ()) -> Judged:
        """Look, judge, and change what differs."""
        return self._locked(rounds, take_events=False)

    def take_events(self, asked: Iterable[str]) -> Judged:
        """Take what is spooled, and reconcile.  ``asked``: interfaces that are to be probed, with those of events."""
        self.asked |= {*asked}
        return self._locked((), take_events=True)

    def _locked(self, rounds: Sequence[ProbedRound], take_events: bool) -> Judged:
        held = lock.look(self.root)
        with held:
            if take_events:
                self.asked |= {*_spooled(self.root)}
            judged = self._reconciled(held, rounds)
        if self.request:
            self._send(self.request, judged)
        return judged

    def _reconciled(self, held: lock.Flock, rounds: Sequence[ProbedRound]) -> Judged:
        judged = self.judged(rounds)
        seen = judged.scene
        warnings = self.loaded.warnings if seen.state.config != seen.fingerprint else ()
        complain((*held.messages, *seen.messages, *warnings))
        if judged.changes or self.table_due(judged) or seen.bound.allotment != seen.allotment or seen.state.errors:
            from mwan_hook.run import change

            before, self.moved = seen.state, True
            judged, errors = change.settle(self, judged, rounds)
            judged = save.saved(self, judged, before, errors, rounds)
        else:
            judged = save.saved(self, judged, seen.state, (), rounds)
        due = judged.state.follow_at
        if due is None or due > judged.scene.now:
            return judged
        from mwan_hook.run import follow

        return follow.follow(self, judged)

    def judged(self, rounds: Sequence[ProbedRound]) -> Judged:
        """Look and judge; without nft's changes as long as it is not to be asked."""
        judged = self._judged = judge.judge(self._look(), rounds, self.asked, self._judged)
        self.request = None
        if (self.loaded.config.dials or judged.state.dials) and not dialling_rests(judged):
            from mwan_hook.run import activation

            judged, self.request = activation.judged(judged, free=not self.sent, writes=True)
        if self._table_waits(judged.scene):
            return judged._replace(changes=tuple(one for one in judged.changes if not isinstance(one.what, Ruleset)))
        return judged

    def _send(self, request: DialRequest, judged: Judged) -> None:
        """Ask what dials, after all that others wait for; what it was not asked is asked by the next run."""
        from mwan_hook.run import activation

        self.sent = True
        complain(attempted(lambda: activation.send(self.root, self.loaded, request, judged)))

    def _table_waits(self, seen: Scene) -> bool:
        """True while nft(8) is not to be asked: it has failed in this run, or has before and its turn comes last."""
        return self.failed or bool(seen.state.firewall.failed and not self.finishing)

    def table_due(self, judged: Judged) -> bool:
        """True if nft(8) is to be asked now."""
        there = judged.scene.snapshot.firewall
        if there is None or self._table_waits(judged.scene):
            return False
        return there.listing == UNREAD or any(isinstance(one.what, Ruleset) for one in judged.changes)

    def finish(self, judged: Judged) -> Judged:
        """Do what comes last: ask an nft(8) that has failed before, or was slow, and end what is drained."""
        if judged.state.drains:
            judged = self._with_ends(judged)
        if self.failed or not judged.state.firewall.failed:
            return judged
        self.finishing = True
        return self.reconcile()

    def _with_ends(self, judged: Judged) -> Judged:
        """Disable what is drained, when all that is probed was probed."""
        from mwan_hook.run import draining

        ended: dict[str, str] = {}
        complain(attempted(lambda: ended.update(draining.end(self.root, self.loaded, judged))))
        if not ended:
            return judged
        self.drained, self.last = ended, None
        return self.reconcile()

    def _look(self) -> Scene:
        """Everything anew, unless neither the kernel nor another run said that anything changed."""
        changed = netlink.any_change(self._listeners)
        same = states.stamp(self.root) == self.stamp
        if self.last and self.memory and same and not changed and not self.last.bound.turns:
            now, wall = round(time.clock_gettime(time.CLOCK_BOOTTIME), 6), round(time.time(), 3)
            self.last = self.last._replace(state=self.memory, now=now, wall=wall, messages=())
        else:
            self.last = self._anew(same)
            if self.last.bound.turns and self._asks_gateways():
                self.last = self._anew(same)
        if self.loaded.config.router.evidence != "no":
            from mwan_hook.run import evidence

            self.last = evidence.looked(self.last)
        return self.last

    def _anew(self, same: bool) -> Scene:
        """Everything but, where all of main is copied, large tables that have not changed since the last look."""
        memory = self.memory if same else None
        if self.loaded.config.routing.copy_routes is not CopyRoutes.MAIN:
            return look.to_write(self.root, self.loaded, memory)
        self.reader = (same and self.reader) or look.rereader(self.loaded)
        return look.again(self.reader, self.root, self.loaded, memory)

    def unheard(self, make: Callable[[], T]) -> T:
        """Make changes that are looked at anew: the kernel need not tell this run of each of thousands."""
        own, *others = self._listeners
        self.last = None  # also where it fails half-way
        own.close()
        try:
            return make()
        finally:
            self._listeners = (netlink.connect(netlink.EVERYTHING), *others)

    def _asks_gateways(self) -> bool:
        """Have the kernel ask, once in a run, the gateways that are waiting for their turn."""
        if self._asked_gateways or self.last is None:
            return False
        from mwan_hook.kernel import neighbours

        self._asked_gateways = True
        return neighbours.ask(self.last.uplinks, self.last.bound.turns)

    def remember(self, state: State) -> None:
        """A full disk loses nothing for the rest of this run."""
        self.memory = state if state.boot_id else state._replace(boot_id=states.boot_id())
        self.stamp = states.stamp(self.root)


def _spooled(root: str) -> frozenset[str]:
    """The interfaces that spooled events name; they are out of the spool then.

    A spool that cannot be read tells of none: the facts are looked at all the same.
    """
    if files.is_empty(files.under(root, files.EVENTS)):
        return frozenset()
    from mwan_hook.store import spool

    try:
        interfaces, messages = spool.take(root)
    except MwanError as error:
        complain((str(error),))
        return frozenset()
    complain(messages)
    return frozenset(interfaces)
