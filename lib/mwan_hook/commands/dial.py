"""``mwan-hook dial`` and ``hangup``: what the operator wants of a dialled uplink; it is remembered for this boot."""

from __future__ import annotations

import time
from collections.abc import Callable

from mwan_hook import config
from mwan_hook.config import Loaded
from mwan_hook.model import Activation, MwanError, Phase, Uplink
from mwan_hook.run import activation, judge, look, tick
from mwan_hook.run.naming import chosen
from mwan_hook.run.operators import operators_way
from mwan_hook.run.scene import Judged
from mwan_hook.run.wish import Request
from mwan_hook.say import say
from mwan_hook.store import lock
from mwan_hook.store import state as states

Word = Callable[[Judged, Uplink, Activation], Activation]

UNTIL_TOLD = 9e8  # CLOCK_BOOTTIME seconds that no machine sees: until `hangup`
POLL = 0.5  # seconds between two runs of an exercise
STOPPING = 60.0  # seconds that its hang-up is waited for
_ENDS = (Phase.IDLE, Phase.WAITING)


class NotDialledError(MwanError):
    """A wish that the uplink cannot have; a usage error."""

    code = 2


def dial(root: str, name: str, seconds: float | None) -> int:
    """Have an uplink dialled now, for so many seconds or until ``hangup``."""

    def wanted(found: Judged, _: Uplink, record: Activation) -> Activation:
        now = found.scene.now
        until = UNTIL_TOLD if seconds is None else now + seconds
        tried_again = now if record.phase is Phase.WAITING else record.next_at
        return record._replace(hand_until=until, hung=False, final="", next_at=tried_again)

    loaded = config.load(root)
    _tell(root, loaded, name, wanted)
    return tick.tick(root, loaded, Request())


def hang_up(root: str, name: str, sure: bool) -> int:
    """Have it hung up now; it is idle until the next outage."""

    def unwanted(_: Judged, uplink: Uplink, record: Activation) -> Activation:
        if not sure and (way := operators_way(uplink)):
            raise NotDialledError(f"{uplink.name}: {way}; `hangup --yes` if it shall end")
        return record._replace(hand_until=0.0, hung=True, ours=True, exercise_now=False)

    loaded = config.load(root)
    _tell(root, loaded, name, unwanted)
    return tick.tick(root, loaded, Request())


def exercise(root: str, name: str) -> int:
    """Dial, probe and hang up, and say each step; 0 if it worked."""

    def due(found: Judged, uplink: Uplink, record: Activation) -> Activation:
        if record.phase is not Phase.IDLE:
            raise NotDialledError(f"uplink {uplink.name} is {record.phase.value}: only an idle one can be exercised")
        others = [one for names in found.desired.online.values() for one in names if one != uplink.name]
        if not others:
            raise NotDialledError(f"nothing but {uplink.name} is online: `mwan-hook dial {uplink.name}` dials it")
        return record._replace(exercise_now=True)

    loaded = config.load(root)
    uplink, before = _tell(root, loaded, name, due)
    until = time.monotonic() + 2 * (uplink.config.dial.ready_timeout if uplink.config.dial else 0) + STOPPING
    record, begun = before, False
    while time.monotonic() < until:
        tick.tick(root, loaded, Request())
        state, _ = states.load(root, writes=False)
        record = state.dials.get(uplink.name, Activation())
        begun = begun or record.exercised_at != before.exercised_at
        if record.phase in _ENDS and (begun or not record.exercise_now):
            break
        time.sleep(POLL)
    good = begun and record.phase in _ENDS and record.exercise_failed == before.exercise_failed
    say((f"{uplink.name}: the exercise {'went well' if good else 'failed'}",))
    return 0 if good else 1


def _tell(root: str, loaded: Loaded, name: str, word: Word) -> tuple[Uplink, Activation]:
    """Write the operator's word into the record of one uplink, before a run obeys it.  Raises MwanError."""
    with lock.look(root):
        found = judge.judge(look.to_write(root, loaded))
        named = chosen(found.scene, [name])
        able = [uplink for uplink in named if uplink.config.dial]
        if len(able) != 1:
            words = "is not dialled: it has no `start`" if not able else f"means {', '.join(u.name for u in able)}"
            raise NotDialledError(f"uplink {name} {words}")
        found = activation.judged(found, free=False, writes=True)[0]
        record = found.state.dials[able[0].name]
        records = {**found.state.dials, able[0].name: word(found, able[0], record)}
        stored = found.scene.state._replace(dials=records, begun=found.state.begun, rest="")
        states.save(root, stored)
    return able[0], record
