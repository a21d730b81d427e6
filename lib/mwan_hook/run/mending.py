"""Doing steps of repair ladders, one at a time, each stored before it is done."""

from __future__ import annotations

from mwan_hook.durations import duration
from mwan_hook.model import FAMILIES, Connectivity, MwanError, Phase, Transition
from mwan_hook.repair import ladder
from mwan_hook.run import judge, look
from mwan_hook.run.ladders import line_of, standing
from mwan_hook.run.operators import operators_way
from mwan_hook.run.steps import STEPS, Work, typed
from mwan_hook.say import complain, say
from mwan_hook.store import history, lock, repairs
from mwan_hook.store import state as states
from mwan_hook.verdict import dark, notices, rounds
from mwan_hook.verdict.common import GATEWAY
from mwan_hook.verdict.standing import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Job, State, Uplink
    from mwan_hook.repair.ladder import Climb, Clocks
    from mwan_hook.run.ladders import LadderStanding
    from mwan_hook.run.scene import Judged

EVENT = "repair-step"
DONE = "done"  # outcome of a step that did not fail
BEYOND = "all uplinks are out together and their gateways answer: the fault is beyond them"


class Mender:
    """A process that does what is due, one step after the other, while it holds the lock of repairs."""

    def __init__(self, root: str, loaded: Loaded) -> None:
        self._root, self._loaded = root, loaded

    def work(self) -> int:
        """Each uplink gets one step at most; 0, or 1 if one failed.  Raises MwanError."""
        code, had = self._mend(), set[str]()
        while True:
            judged = self._look()
            now = repairs.moment()
            waiting = [one for one in standing(self._root, judged) if one.uplink.name not in had]
            due = [(one.due.at, one) for one in waiting if one.due and one.due.at <= now.now]
            if not due:
                return code
            _, first = min(due, key=lambda pair: pair[0])
            had.add(first.uplink.name)
            code |= self._climb(judged, first)

    def _look(self) -> Judged:
        return judge.judge(look.to_read(self._root, self._loaded))

    def _climb(self, judged: Judged, one: LadderStanding) -> int:
        uplink, due = one.uplink, one.due
        if due is None:
            return 0
        why = _kept_back(judged, uplink)
        if why:
            if why != one.climb.held:
                complain((f"{uplink.name}: repair waits: {why}",))
            self._stored(uplink, lambda climb, now: ladder.kept_back(climb, why, now))
            return 0
        now, step = repairs.moment(), STEPS[due.rung.step]
        reason = f"out for {duration(now.now - one.climb.since)}, step {due.number} of {len(uplink.config.repair)}"
        work = Work(self._root, self._loaded, uplink, reason)
        refusal = step.refusal(work)
        if refusal:
            complain((f"{uplink.name}: repair step {due.rung.step} is left out: {refusal}",))
            self._stored(uplink, lambda climb, now: ladder.passed(uplink.config.repair, climb, now))
            return 0

        def begun(climb: Climb, now: Clocks) -> Climb:
            behind = ladder.passed(uplink.config.repair, climb, now)
            return ladder.begun(behind, due.rung.step, now)

        if not self._stored(uplink, begun):
            return 0
        return self._done(work, due.rung.step)

    def _stored(self, uplink: Uplink, action: Callable[[Climb, Clocks], Climb]) -> bool:
        """Store what becomes of the climb, if its step is due now that nothing can change; whether it was."""
        with lock.look(self._root):
            state, _ = states.load(self._root, writes=False)
            now, line = repairs.moment(), line_of(state, uplink)
            known, _ = repairs.load(self._root, writes=True)
            climb = ladder.current(known.uplinks.get(uplink.name, ladder.Climb()), line, now)
            due = ladder.due(line, climb, now)
            if due is None or due.at > now.now:
                return False
            repairs.change(self._root, uplink.name, lambda _: action(climb, now))
            return True

    def by_hand(self, work: Work, step: str) -> int:
        """Do a step that the operator asks for; the ladder does not move, and the day's steps are not counted."""
        uplink = work.uplink
        with lock.look(self._root):
            state, _ = states.load(self._root, writes=False)
            now = repairs.moment()

            def begun(climb: Climb) -> Climb:
                fresh = ladder.current(climb, line_of(state, uplink), now)
                return ladder.begun(fresh, step, now)._replace(done=fresh.done)

            repairs.change(self._root, uplink.name, begun)
        return self._done(work, step)

    def _done(self, work: Work, step: str) -> int:
        """Do a step that is stored as begun; 0, or 1 if it failed."""
        say((f"{work.uplink.name}: repair {step} ({work.reason})", f"[#] {typed(work, step)}"), at_once=True)
        outcome = DONE
        try:
            STEPS[step].act(work)
        except MwanError as error:
            outcome = f"failed: {error}"
            complain((f"{work.uplink.name}: repair {step} {outcome}",))
        self._ended(work.uplink.name, work.uplink.interface, outcome, f"{work.reason}: {outcome}")
        return int(outcome != DONE)

    def _mend(self) -> int:
        """End steps that no process is doing any more; 0, or 1 if something could not be put right."""
        known, _ = repairs.load(self._root, writes=False)
        boot, code = states.boot_id(), 0
        for name, climb in known.uplinks.items():
            if climb.unfinished:
                outcome = ladder.HURT if climb.boot_id == boot else ladder.REBOOTED
                try:
                    STEPS[climb.step].mend(self._root)
                except (MwanError, KeyError) as error:
                    complain((f"{name}: repair {climb.step}: {error}",))
                    code = 1
                complain((f"{name}: repair {climb.step} was not ended: {outcome}; it counts as done",))
                self._ended(name, "", outcome, outcome)
        return code

    def _ended(self, name: str, interface: str, outcome: str, reason: str) -> None:
        """Tell of a step, once, and store its end: killed in between, the next process finds it told."""
        with lock.look(self._root):
            known, _ = repairs.load(self._root, writes=False)
            climb = known.uplinks.get(name, ladder.Climb())
            state, _ = states.load(self._root, writes=True)
            interface = interface or state.memory(name).interface
            one = Transition(EVENT, name, interface, None, "offline", climb.step, reason, climb.wall)
            if not _is_told(self._root, state, one):
                self._tell(state, one)
            repairs.change(self._root, name, lambda climb: ladder.ended(climb, outcome))

    def _tell(self, state: State, one: Transition) -> None:
        from mwan_hook.run import tell

        seen = look.to_read(self._root, self._loaded)
        clock = round(seen.now * 1e9)
        fresh = notices.notices((one,), state, state, seen.uplinks, seen.now, clock)
        before, state = state.outbox, _dialled_soon(state, one.uplink, seen.now)
        state = state._replace(outbox=notices.pending(state.outbox, fresh))
        states.save(self._root, state)
        tell.write_down(self._root, (one,), before)
        tell.handed_over(self._root, self._loaded, state)


def _dialled_soon(state: State, name: str, now: float) -> State:
    """What waits for its next dial need not wait for it any more: a step may have mended what it failed for."""
    record = state.dials.get(name)
    if not record or record.phase is not Phase.WAITING:
        return state
    return state._replace(dials={**state.dials, name: record._replace(next_at=now)}, rest="")


def _is_told(root: str, state: State, one: Transition) -> bool:
    def key(other: Transition) -> tuple[object, ...]:
        return other.event, other.uplink, other.new, other.at

    pending = [Transition(*(getattr(other, field) for field in Transition._fields)) for other in state.outbox]
    return key(one) in map(key, (*pending, *history.read(root)))


def _kept_back(judged: Judged, uplink: Uplink) -> str:
    """Why a step that is due must not be done now; empty if it may."""
    lines = [line_of(judged.state, other) for other in judged.scene.uplinks if other.present]
    out = [line.uplink for line in lines if ladder.dead_since(line) is not None]
    others_online = another_online(judged.state.uplinks, uplink.name, judged.state.drains)
    if not others_online and len(out) > 1:
        names = [other.name for other in out]
        if ladder.beyond(names, others_online, _answering(judged.scene.root, out)):
            return BEYOND
    if dark.keeps_back(judged.state, judged.scene.now):
        return dark.WORDS
    return operators_way(uplink)


def _answering(root: str, uplinks: Sequence[Uplink]) -> Mapping[str, bool]:
    """Uplinks whose gateway answers now, in any family."""
    from mwan_hook.probes import runner

    jobs: list[Job] = []
    for uplink in uplinks:
        probe = uplink.config.probe._replace(targets=(GATEWAY,))
        for family in FAMILIES:
            jobs += rounds.jobs_for(uplink, family, probe, with_portal=False)
    found = runner.run(jobs, root=root) if jobs else []
    return {one.job.uplink: True for one in found if one.connectivity is Connectivity.FULL}
