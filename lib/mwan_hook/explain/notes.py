"""What else there is to say of an uplink.  Pure."""

from __future__ import annotations

from mwan_hook.durations import duration
from mwan_hook.explain import dialled
from mwan_hook.explain.carriage import is_over_quota, metric_of
from mwan_hook.explain.earliest import good_again
from mwan_hook.explain.offline import will_be_held
from mwan_hook.explain.online import has, quality, quota
from mwan_hook.explain.values import Carriage, Reason, Situation
from mwan_hook.model import KEEP, Connectivity, Fallback, Family, FamilyState, Status, Turn, Uplink, turn_key
from mwan_hook.phrases import either, listed
from mwan_hook.policy.policies import BoundPolicy, in_family, via
from mwan_hook.policy.selectors import families
from mwan_hook.verdict.decide import STOOD_IN
from mwan_hook.verdict.facts import BY_FACTS
from mwan_hook.verdict.standing import another_online

FALLBACKS = {
    Fallback.DEFAULT: "they go with the default",
    Fallback.UNREACHABLE: "they are refused",
    Fallback.BLACKHOLE: "they are dropped",
}


def concerns(view: Situation, uplink: Uplink, found: Carriage) -> list[Reason]:
    """What weighs on one that is online in a family."""
    family, state, reasons = found.family, view.memory(uplink, found.family), list[Reason]()
    if state.status is not Status.ONLINE or uplink.way(family).missing:
        return _hold_to_come(view, uplink, family)
    if state.bad:
        reasons.append(_doubt(uplink, family, state))
    carries = uplink.name in found.names
    if carries and state.degraded and view.readable:
        kind = "kept_degraded" if uplink.config.probe.degraded == KEEP else "only_degraded"
        until = good_again(view, uplink, family)
        reasons.append(Reason(kind, uplink.name, family, quality(view, uplink, family), until))
    if carries and is_over_quota(view, uplink):
        used, until = quota(view, uplink)
        reasons.append(Reason("only_over_quota", uplink.name, None, {"used": used}, until))
    if carries and uplink.draining:
        reasons.append(Reason("only_drained", uplink.name))
    return reasons


def _hold_to_come(view: Situation, uplink: Uplink, family: Family) -> list[Reason]:
    """Why it takes longer than its rise."""
    probe = uplink.config.probe
    aside = view.memory(uplink, family).degraded
    if aside or not uplink.enabled or not will_be_held(view, uplink, family):
        return []
    words = {"backoff": duration(probe.hysteresis_backoff), "delay": duration(probe.hysteresis_delay)}
    return [Reason("will_hold", uplink.name, family, words)]


def _doubt(uplink: Uplink, family: Family, state: FamilyState) -> Reason:
    fall = uplink.config.probe.fall
    words = {
        "bad": str(state.bad),
        "fall": str(fall),
        "left": str(max(1, fall - state.bad)),
        "reason": state.reason.rpartition("; ")[0] or state.reason,
    }
    return Reason("doubt", uplink.name, family, words)


def of_family(view: Situation, uplink: Uplink, found: Carriage) -> list[Reason]:
    """The rest of the story in one family: since when, by what, and through which gateway."""
    family, state, reasons = found.family, view.memory(uplink, found.family), list[Reason]()
    if uplink.way(family).missing and view.readable:
        return []
    if state.since:
        reasons.append(Reason("since", uplink.name, family, {"status": state.word}, None, state.since))
    online = state.status is Status.ONLINE
    flags = {
        "stood_in": online and state.reason.endswith(STOOD_IN),
        "by_facts": uplink.enabled and (state.by_facts or state.reason == BY_FACTS),
        "portal_counts": online and state.connectivity is Connectivity.PORTAL,
        "silent": bool(state.evidence and state.evidence.silent),
    }
    reasons += [Reason(kind, uplink.name, family) for kind, is_so in flags.items() if is_so]
    return [*reasons, *_rank(view, uplink, found), *_turn(view, uplink, family)]


def _rank(view: Situation, uplink: Uplink, found: Carriage) -> list[Reason]:
    """Which place an offline one will have."""
    state = view.memory(uplink, found.family)
    if not found.members or state.status is not Status.OFFLINE or not view.readable:
        return []
    lead = found.members[0]
    if uplink.preference(found.family) <= lead.preference(found.family):
        return []
    words = {"better": listed(found.names), "has": has(found.names), "better_metric": str(metric_of(lead))}
    return [Reason("standby", uplink.name, found.family, words)]


def _turn(view: Situation, uplink: Uplink, family: Family) -> list[Reason]:
    turn = view.state.turns.get(turn_key(uplink.name, family), Turn(""))
    words = {"gateway": turn.gateway}
    if turn.silent:
        words |= {"others": listed(turn.silent), "either_of": either(turn.silent)}
        until = max(turn.silent.values()) + uplink.config.probe.hysteresis_delay
        return [Reason("turn", uplink.name, family, words, max(until, view.now))]
    if turn.failed:
        return [Reason("failed_turn", uplink.name, family, words | {"others": listed(turn.failed)})]
    return []


def last_round(view: Situation, uplink: Uplink, family: Family) -> list[Reason]:
    """What the last round saw of one that is online, if it was good."""
    state = view.memory(uplink, family)
    if state.probed_at is None or state.status is not Status.ONLINE or state.bad or state.by_facts:
        return []
    return [Reason("last_round", uplink.name, family, {"reason": state.reason}, None, state.probed_at)]


def besides(view: Situation, uplink: Uplink, family: Family) -> list[Reason]:
    """What a family has besides: it differs where the rest is the same."""
    return [*last_round(view, uplink, family), *policies(view, uplink, family)]


def policies(view: Situation, uplink: Uplink, family: Family) -> list[Reason]:
    """Which policies send their packets by it, or by another one."""
    found = list[Reason]()
    if family not in uplink.config.families:
        return found
    for course in _listing(view, uplink, family):
        carriers = via(course, family, view.state)
        words = {"policy": course.policy.name, "better": listed(carriers) if carriers else ""}
        words["fallback"] = FALLBACKS[course.policy.fallback]
        kind = "policy" if uplink.name in carriers else "policy_behind" if carriers else "policy_out"
        found.append(Reason(kind, uplink.name, family, words))
    return found


def _listing(view: Situation, uplink: Uplink, family: Family) -> list[BoundPolicy]:
    there = [course for course in view.policies if family in families(course.policy)]
    return [course for course in there if any(one.name == uplink.name for one in in_family(course, family).uplinks)]


def of_both(view: Situation, uplink: Uplink) -> list[Reason]:
    """What is no family's alone: dialling, quota, probing, repair, and words of the operator's."""
    reasons = dialled.notes(view, uplink)
    if uplink.switched and view.readable:
        reasons.append(Reason("switched_on", uplink.name))
    if uplink.config.quota and uplink.name in view.state.usage and not is_over_quota(view, uplink):
        reasons.append(Reason("quota", uplink.name, None, {"used": quota(view, uplink)[0]}))
    another = another_online(view.memories(), uplink.name, view.state.drains)
    if uplink.config.metered and uplink.enabled and another:
        words = {"every": duration(max(uplink.config.metered_interval, uplink.config.probe.interval))}
        reasons.append(Reason("sparing", uplink.name, None, words))
    due = view.repairs.get(uplink.name)
    if due:
        words = {"step": due.rung.step, "held": f", which waits: {due.why}" if due.why else ""}
        reasons.append(Reason("repair", uplink.name, None, words, due.at))
    return reasons
