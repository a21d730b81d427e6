"""What dialling says of an uplink: why it is not up, or why it is.  Pure."""

from __future__ import annotations

from mwan_hook.explain.online import quota
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.model import BY_US, FAMILIES, Activation, Dial, Phase, Status, Uplink
from mwan_hook.phrases import many
from mwan_hook.routing.words import quote

FAR = 1e8  # CLOCK_BOOTTIME seconds that no machine sees: until it is told otherwise
ABSENT = "its interface is not there"  # of `dial.course`: the facts say that better
LOST = "the link was lost"  # of `dial.course`: why it is down, and not why it is not dialled
OVER_QUOTA = "beyond its quota"  # of `dial.decide`
PHASES = {Phase.STOPPING: "stopping", Phase.EXERCISING: "exercising", Phase.DIALLING: "dialling"}


def not_up(view: Situation, uplink: Uplink) -> Reason | None:
    """Why it is not up although it is dialled; None where that is not what keeps it out."""
    record, dial = view.state.dials.get(uplink.name), uplink.config.dial
    if dial is None or record is None:
        return _hung_up(view, uplink)
    if record.phase.is_up or record.reason == ABSENT or any(not uplink.way(family).missing for family in FAMILIES):
        return None
    if record.phase in PHASES:
        return Reason(
            PHASES[record.phase], uplink.name, None, _words(uplink, record), _fails(record, dial), record.asked_at
        )
    return _resting(view, uplink, record, dial)


def _hung_up(view: Situation, uplink: Uplink) -> Reason | None:
    """The same where only its verdict tells of it."""
    reasons = [view.memory(uplink, family).reason for family in FAMILIES]
    said = next((words for words in reasons if words.startswith(BY_US)), "")
    if not said or any(not uplink.way(family).missing for family in FAMILIES):
        return None
    return Reason("idle", uplink.name, None, {"reason": said.removeprefix(BY_US)})


def _resting(view: Situation, uplink: Uplink, record: Activation, dial: Dial) -> Reason:
    """Why it is not dialled just now."""
    words = _words(uplink, record)
    if record.final:
        return Reason("given_up", uplink.name, None, {**words, "reason": record.final})
    if record.phase is Phase.WAITING:
        wanted = record.wanted_since + dial.activate_delay if record.wanted_since and not record.hand_until else 0.0
        return Reason("waiting", uplink.name, None, words, max(record.next_at, wanted))
    if record.hung:
        return Reason("hung", uplink.name, None, words)
    if record.reason == OVER_QUOTA:
        used, until = quota(view, uplink)
        return Reason("refused", uplink.name, None, {**words, "used": used}, until)
    if record.wanted_since:
        return Reason("soon", uplink.name, None, words, max(view.now, record.wanted_since + dial.activate_delay))
    better = [] if record.reason != LOST else _online(view, uplink)
    return Reason("idle", uplink.name, None, words | ({"reason": f"{better[0]} is online"} if better else {}))


def _online(view: Situation, uplink: Uplink) -> list[str]:
    """Names of others that are online."""
    memories = {name: memory for name, memory in view.memories().items() if name != uplink.name}
    return [name for name, one in memories.items() if Status.ONLINE in (one.ipv4.status, one.ipv6.status)]


def _fails(record: Activation, dial: Dial) -> float | None:
    """When a dial under way has failed."""
    return record.asked_at + dial.ready_timeout if record.phase is not Phase.STOPPING else None


def _words(uplink: Uplink, record: Activation) -> dict[str, str]:
    count = record.tries
    if record.phase is Phase.DIALLING:
        tries = f" (try {count})" if count > 1 else ""
    else:
        tries = f"{many(count, 'dial')} failed"
    return {
        "reason": record.reason.partition("; dialled in ")[0] or "no better uplink is online",
        "uplink": quote(uplink.name),
        "tries": tries,
    }


def notes(view: Situation, uplink: Uplink) -> list[Reason]:
    """Why it is up, of one that is dialled."""
    record = view.state.dials.get(uplink.name)
    if uplink.config.dial is None or record is None or not record.phase.is_up:
        return []
    words = _words(uplink, record)
    if not record.ours:
        return [Reason("not_ours", uplink.name)]
    if record.phase is Phase.LINGERING:
        return [Reason("lingers", uplink.name, None, words, record.linger_until)]
    found = [Reason("dialled", uplink.name, None, words)]
    if record.hand_until > view.now:
        found.append(Reason("by_hand", uplink.name, None, {}, record.hand_until if record.hand_until < FAR else None))
    return found
