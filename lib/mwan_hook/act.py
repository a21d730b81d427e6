"""Make the kernel as it should be, and remember.  The only place that writes outside of probing."""

from __future__ import annotations

import sys

from mwan_hook import scene
from mwan_hook.core.transitions import transitions
from mwan_hook.model import Family, MwanError, State, Transition, WayOut
from mwan_hook.scene import Judged, Seen
from mwan_hook.store import lock
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded

DEFAULT_ROUTE = "default-route"  # the event
PASSES = 4  # looks after changes, until nothing is left to do


def reconcile(root: str, loaded: Loaded, rounds: Sequence[Seen] = ()) -> Judged:
    """Look, judge, and change what differs.

    A run that finds nothing to change never imports what changing takes; one that does takes the lock again, with
    filelock, and looks again, because another run may have been between.
    """
    with lock.look(root):
        judged = scene.judge(scene.look(root, loaded), rounds)
        seen = judged.scene
        _complain((*seen.messages, *(loaded.warnings if seen.state.config != loaded.fingerprint else ())))
        if not judged.changes and seen.bound.allotment == seen.allotment and not seen.state.errors:
            return _saved(judged, seen.state, ())
    with lock.write(root):
        return _settle(root, loaded, rounds)


def _settle(root: str, loaded: Loaded, rounds: Sequence[Seen]) -> Judged:
    """Change and look again, until nothing is left to change or nothing helps."""
    judged = scene.judge(scene.look(root, loaded), rounds)
    before = judged.scene.state
    complaints = _prepared(judged)
    errors: tuple[str, ...] = ()
    for _ in range(PASSES):
        if not judged.changes:
            errors = ()
            break
        from mwan_hook.system import rtnl

        _print(judged)
        errors = tuple(rtnl.apply(judged.changes))
        tried, judged = judged.changes, scene.judge(scene.look(root, loaded), rounds)
        if judged.changes == tried:
            break
    return _saved(judged, before, (*errors, *complaints))


def _prepared(judged: Judged) -> tuple[str, ...]:
    """What must be on record before the kernel is touched, so that a run killed in the midst loses nothing.

    The verdicts are not: they are judged again from what is stored, as often as the kernel is looked at.
    """
    from mwan_hook.store import allotment
    from mwan_hook.system import names

    seen, state = judged.scene, judged.state
    complaints: list[str] = []
    if seen.bound.allotment != seen.allotment:
        try:
            allotment.save(seen.root, seen.bound.allotment)
        except MwanError as error:  # without /var the same numbers are given out again, as long as nothing changes
            complaints.append(str(error))
    tables = tuple(sorted({*seen.state.tables, *state.tables}))
    foreign = tuple(dict.fromkeys((*seen.state.foreign, *state.foreign)))
    record = seen.state._replace(tables=tables, sysctls=state.sysctls, foreign=foreign)
    if record != seen.state:
        states.save(seen.root, record)
    routing = seen.config.routing
    named = names.of_tables((uplink.name, uplink.table) for uplink in seen.uplinks)
    _complain(names.write(seen.root, routing.protocol, routing.default_table, named))  # a read-only /etc is no failure
    return tuple(complaints)


def _saved(judged: Judged, before: State, errors: tuple[str, ...]) -> Judged:
    """Store the state if it says anything new, then the history of what it changed."""
    state = judged.state._replace(errors=errors)
    root = judged.scene.root
    if state != judged.scene.state or not before.boot_id:
        states.save(root, state._replace(saved_at=judged.scene.now, saved_wall=judged.scene.wall))
    _tell(judged, before, state)
    return judged._replace(state=state, stamp=states.stamp(root))


def _tell(judged: Judged, before: State, state: State) -> None:
    """History, the journal, and what could not be done, each once."""
    wall = judged.scene.wall
    happened = (*transitions(before, state, wall), *_ways_out(before, state, wall))
    if happened:
        from mwan_hook.store import history

        for one in happened:
            what = one.event if one.event == DEFAULT_ROUTE else one.uplink
            print(f"{what}: {_where(one)}{one.old} -> {one.new} ({one.reason})")
        _complain(history.append(judged.scene.root, happened))
    _complain([line for line in state.errors if line not in before.errors])
    _complain([line for line in state.warnings if line not in before.warnings])


def _complain(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"mwan-hook: {line}", file=sys.stderr)


def _where(one: Transition) -> str:
    return f"{one.family.value} " if one.family else ""


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


def _print(judged: Judged) -> None:
    """Each change as the line that an operator could have typed."""
    from mwan_hook.lines import shortened

    for line in shortened(judged.scene.snapshot.links, judged.changes):
        print(f"[#] {line}")
