"""Dialled uplinks in a run: what is seen of them, what follows, and asking for it after the state is stored.

Imported only where an uplink is dialled and something of what the last decision rested on has changed.
"""

from __future__ import annotations

import time

from mwan_hook.dial.decide import Clock, decide, key_of, verb_of
from mwan_hook.dial.values import COMMAND, NETWORKD, DialRequest, Sight, Verb
from mwan_hook.dial.wanted import Field
from mwan_hook.machine import dialler
from mwan_hook.model import BY_US, FAMILIES, Activation, Busy, Family, FamilyState, Phase, Stage, Status, UplinkState
from mwan_hook.run.scene import dialling_basis
from mwan_hook.say import complain, say
from mwan_hook.store import chores, dials
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config import Loaded
    from mwan_hook.model import Config, Dial, State, Uplink
    from mwan_hook.run.scene import Judged


def judged(found: Judged, free: bool, writes: bool) -> tuple[Judged, DialRequest | None]:
    """What follows for dialled uplinks, with the request that the caller sends once the state is stored.

    Without ``free`` this run has asked something already; without ``writes`` nothing is set aside on the disk.
    """
    seen, state = found.scene, _begun(found, writes)
    records = _mended(found, state)
    sights = {name: _sight(found, name, record) for name, record in records.items()}
    field = Field(seen.uplinks, state.uplinks, seen.config.policies, state.begun, seen.now)
    exceeded = frozenset(name for name, usage in state.usage.items() if usage.stage is Stage.EXCEEDED)
    hour, minute = time.localtime(seen.wall)[3:5]
    clock = Clock(seen.wall, 60 * hour + minute)
    taken = decide(field, records, sights, exceeded, clock, free)
    memories = {**state.uplinks}
    for name, record in taken.records.items():
        memories[name] = _remembered(memories.get(name, UplinkState()), seen.state.uplinks.get(name), record)
    state = state._replace(dials=dict(taken.records), uplinks=memories, rest_until=taken.due_at)
    found = found._replace(state=state)
    return found._replace(state=state._replace(rest=dialling_basis(found))), taken.request


def _begun(found: Judged, writes: bool) -> State:
    """The state, with what outlives a boot if this is its first look."""
    state = found.state
    if state.begun:
        return state
    kept, messages = dials.load(found.scene.root, writes)
    complain(messages)
    mine = {uplink.name for uplink in found.scene.uplinks if uplink.config.dial}
    records = {name: record for name, record in kept.items() if name in mine}
    return state._replace(begun=found.scene.now, dials={**records, **state.dials})


def _mended(found: Judged, state: State) -> dict[str, Activation]:
    """The records; a changed configuration is something that the operator did."""
    records = {uplink.name: Activation() for uplink in found.scene.uplinks if uplink.config.dial} | state.dials
    if found.scene.state.config == found.scene.fingerprint:
        return records
    now = found.scene.now
    return {name: one._replace(final="", next_at=now) if one.final else one for name, one in records.items()}


def _sight(found: Judged, name: str, record: Activation) -> Sight:
    uplink = next((one for one in found.scene.uplinks if one.name == name), None)
    if not uplink or not uplink.config.dial:
        return _left_over(found, name, record)
    memory = found.state.memory(name)
    families = tuple(f for f in FAMILIES if f in uplink.config.families and not uplink.way(f).missing)
    fall = uplink.config.probe.fall
    silent = bool(families) and all(_is_silent(memory.family(family), fall) for family in families)
    life = Sight()
    if verb_of(record) or (record.phase.is_up and record.ours and (silent or not families)):
        life = _life(found, name, record, bool(uplink.link and uplink.link.up))
    return life._replace(
        families=families,
        online=any(memory.family(family).status is Status.ONLINE for family in families),
        silent=silent,
        carried=_is_carried(found, uplink),
        device=uplink.present or uplink.config.dial.brings_interface,
    )


def _left_over(found: Judged, name: str, record: Activation) -> Sight:
    """One that the configuration does not dial any more."""
    up = any(link.up for link in found.scene.snapshot.links if link.name == record.interface)
    online = {family: [one for one in names if one != name] for family, names in found.desired.online.items()}
    carried = bool(online.get(Family.IPV4) or online.get(Family.IPV6))
    return _life(found, name, record, up)._replace(carried=carried)


def _life(found: Judged, name: str, record: Activation, up: bool) -> Sight:
    order = _order(found, name, record)
    return dialler.look(found.scene.root, order, up)


def _order(found: Judged, name: str, record: Activation) -> dialler.Order:
    config = next((u.config.dial for u in found.scene.uplinks if u.name == name), None)
    verb = verb_of(record) or Verb.DIAL
    return _ordered(name, record, *(_words(config, verb) if config else (record.by, "")), verb)


def _words(config: Dial, verb: Verb) -> tuple[str, str]:
    """What dials, and what hangs up; a reset is a program with any of them."""
    return (f"{COMMAND}:", config.reset) if verb is Verb.RESET else (config.start, config.stop)


def _ordered(name: str, record: Activation, start: str, stop: str, verb: Verb) -> dialler.Order:
    return dialler.Order(name, record.interface, verb, dialler.key(key_of(record)), start, stop, record.tries > 1)


def _is_silent(memory: FamilyState, fall: int) -> bool:
    return memory.judged and memory.status is Status.OFFLINE and memory.bad >= fall


def _is_carried(found: Judged, uplink: Uplink) -> bool:
    """Whether another uplink is online where this one is, and the kernel has a way by it."""
    family = Family.IPV4 if Family.IPV4 in uplink.config.families else Family.IPV6
    others = {one.index for one in found.scene.uplinks if one.name in found.desired.online.get(family, ())}
    snapshot = found.scene.snapshot
    routes = [r for r in (*snapshot.shared, *snapshot.defaults) if r.family is family]
    return any(hop.index in others - {uplink.index} for route in routes for hop in route.nexthops)


def _remembered(memory: UplinkState, before: UplinkState | None, record: Activation) -> UplinkState:
    """What is remembered of verdicts; one that went because it was hung up says so."""
    if not before or record.phase not in (Phase.STOPPING, Phase.IDLE, Phase.WAITING):
        return memory
    for family in FAMILIES:
        one = memory.family(family)
        if one.status is Status.OFFLINE and before.family(family).status is Status.ONLINE and record.stop_at:
            memory = memory.with_family(family, one._replace(reason=f"{BY_US}{record.reason}"))
    return memory


def line(found: Judged, request: DialRequest) -> str:
    """A request as an operator could have typed it."""
    record = found.state.dials[request.uplink]
    return _order(found, request.uplink, record).line


def send(root: str, loaded: Loaded, request: DialRequest, found: Judged) -> None:
    """Ask for it, or have root ask.  Raises MwanError."""
    order = _order(found, request.uplink, found.state.dials[request.uplink])
    if order.kind == NETWORKD:
        _tell(root, order)
    elif not chores.ask(root, chores.DIALS, {}):
        serve(root, loaded)


def serve(root: str, loaded: Loaded) -> None:
    """Ask units and programs for what the records say now, each thing once.  Raises MwanError."""
    entries = {uplink.name: uplink.dial for uplink in loaded.config.uplinks}
    try:
        with dialler.serving(root):
            state, messages = states.load(root, writes=False)
            complain(messages)
            for name, record in state.dials.items():
                order = _served(root, name, record, entries.get(name) or entries.get(name.partition("@")[0]))
                if order and not dialler.is_served(root, order):
                    _tell(root, order)
    except Busy:
        return  # another run asks for the same


def dismiss(root: str, config: Config, name: str, record: Activation) -> None:
    """Hang up what nothing will look after any more.  Raises MwanError."""
    entries = {uplink.name: uplink.dial for uplink in config.uplinks}
    last = record._replace(
        phase=Phase.STOPPING, stop_at=time.clock_gettime(time.CLOCK_BOOTTIME), stop_verb=Verb.ABORT.value
    )
    if record.by.startswith(NETWORKD):
        _tell(root, _ordered(name, last, NETWORKD, "", Verb.HANG_UP))
        return
    with dialler.serving(root):
        order = _served(root, name, last, entries.get(name) or entries.get(name.partition("@")[0]))
        if order:
            _tell(root, order)


def _tell(root: str, order: dialler.Order) -> None:
    say((f"[#] {order.line}",))
    done = dialler.serve(root, order)
    complain((f"{order.line}: {done.said}",) if done.code else ())


def _served(root: str, name: str, record: Activation, config: Dial | None) -> dialler.Order | None:
    """What one record asks of a unit or a program.  How the uplink is dialled is what root says, not the state."""
    verb, known = verb_of(record), None if config else dialler.remembered(root, name)
    if not verb or not (config or known):
        return None
    start, stop = _words(config, verb) if config else known or ("", "")
    order = _ordered(name, record, start, stop, verb)
    return None if order.kind == NETWORKD else order
