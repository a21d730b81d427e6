"""What a run tells of what has happened: hosts of the LAN, the history and journal, the outbox and spool of notices.

Imported only when there is something to tell.
"""

from __future__ import annotations

import time

from mwan_hook.model import MwanError, Notice, State, Transition
from mwan_hook.say import brief, complain, say
from mwan_hook.store import history
from mwan_hook.store import state as states
from mwan_hook.verdict import notices
from mwan_hook.verdict.notices import DEFAULT_ROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.run.scene import Judged


def advertised(judged: Judged, state: State) -> State:
    """Hosts of the LAN hear which prefixes are bad now, or good again, and once more after a while.

    Multicast gets lost, and radvd sends nothing within three seconds of its last word.  A run that is killed here
    leaves all of it to the next one.
    """
    from mwan_hook.kernel import advertise

    wanted, now = judged.deprecated, judged.scene.now
    changed = {*wanted} ^ {*state.deprecated}
    lans = {one.prefix: one.lans for one in state.delegated if one.prefix in changed or one.prefix in state.to_repeat}
    advertise.deprecate(lan for prefix, there in lans.items() if prefix in wanted for lan in there)
    advertise.solicit(lan for prefix, there in lans.items() if prefix not in wanted for lan in there)
    return state._replace(deprecated=wanted, to_repeat=tuple(sorted(changed)), said_at=now if changed else 0.0)


def with_notices(judged: Judged, before: State, state: State, happened: Sequence[Transition]) -> State:
    """What hooks and the like shall hear is stored with what they hear of, so that no kill comes between."""
    ids = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    fresh = notices.notices(happened, before, state, judged.scene.uplinks, judged.scene.now, ids)
    return state._replace(outbox=notices.pending(state.outbox, fresh))


def handed_over(root: str, loaded: Loaded, state: State) -> State:
    """Move notices from the stored state into the spool; what fails stays for the next run."""
    from mwan_hook.run import channels

    try:
        if channels.needed(root, loaded.config):
            from mwan_hook.store import outbox, wake

            lost = outbox.hand_over(root, state.outbox)
            wake.wake(root)
            if lost and not state.unheard:
                complain(
                    (f"notices are not delivered below {root}; dropping the oldest (is mwan-hook-notify.path on?)",)
                )
            state = state._replace(unheard=state.unheard + lost if lost else 0)
        told = state._replace(outbox=())
        states.save(root, told)
    except MwanError as error:
        complain((str(error),))
        return state
    return told


def remind(root: str, judged: Judged) -> None:
    """Have those who could not be told before hear how things stand, if that is due."""
    from mwan_hook.store import again, outbox, wake

    try:
        if again.due(root):
            clock = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            now = notices.again(judged.state, judged.scene.uplinks, time.time(), clock / 1e9, clock)
            outbox.hand_over(root, (now,))
            wake.wake(root)
    except MwanError as error:
        complain((str(error),))


def _unwritten(root: str, pending: Sequence[Notice]) -> list[Transition]:
    """Transitions that a killed run has left to be told and has not written into the history either."""
    if not pending:
        return []
    try:
        written = set(history.read(root))
    except MwanError:
        return []  # appending will say so
    known = [Transition(*(getattr(one, field) for field in Transition._fields)) for one in pending]
    return [one for one in known if one not in written]


def write_down(root: str, happened: Sequence[Transition], pending: Sequence[Notice]) -> None:
    """Add transitions to the history and the journal, with those of ``pending`` that a killed run has not written."""
    all_of_them = (*_unwritten(root, pending), *happened)
    if all_of_them:
        complain(history.append(root, all_of_them))
        say(brief(words(one) for one in all_of_them))  # the history has all


def words(one: Transition) -> str:
    """A transition as the journal has it."""
    what = one.uplink if one.uplink and one.event != DEFAULT_ROUTE else one.event
    kind = next((word for word in ("quota", "repair") if one.event.startswith(f"{word}-")), "")
    where = f"{one.family.value} " if one.family else f"{kind} " if kind else ""
    return f"{what}: {where}{one.old} -> {one.new} ({one.reason})"
