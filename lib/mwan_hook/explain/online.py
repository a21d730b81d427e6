"""Why an uplink that is online carries the default of a family, or stands by.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mwan_hook.explain import clock
from mwan_hook.explain.carriage import following, is_over_quota, metric_of
from mwan_hook.explain.earliest import good_again, leads_from
from mwan_hook.explain.values import Carriage, Reason, Situation
from mwan_hook.model import Family, LastResort, Uplink
from mwan_hook.phrases import listed, many

RESORTS = {
    LastResort.MAIN: "packets take what the main table has (last_resort = main)",
    LastResort.KEEP: "the default stays with it (last_resort = keep)",
    LastResort.UNREACHABLE: "packets are refused (last_resort = unreachable)",
    LastResort.BLACKHOLE: "packets are dropped (last_resort = blackhole)",
}


def has(names: Sequence[str]) -> str:
    """The verb of these names."""
    return "have" if len(names) > 1 else "has"


def carrying(view: Situation, uplink: Uplink, found: Carriage) -> Reason:
    """Why it is one of those that carry the default."""
    family = found.family
    if not view.readable:
        return carries(view, uplink, family)
    if len(found.members) > 1:
        return _sharing(uplink, found)
    led = [one.name for one in found.online if family in one.second and one.name != uplink.name]
    if view.memory(uplink, family).leads is not None and led:
        words = {"others": listed(led), "has": has(led), "metric": str(metric_of(uplink))}
        return Reason("leads", uplink.name, family, words, leads_from(view, uplink, family))
    after = following(found)
    if after is None:
        return Reason("only", uplink.name, family, {"else": _without(view, uplink)})
    passed = _passed(view, uplink, found)
    if passed:
        return Reason("preferred", uplink.name, family, {"why": passed, "next": after.name})
    return Reason("best", uplink.name, family, {"metric": str(metric_of(uplink)), "next": after.name})


def carries(view: Situation, uplink: Uplink, family: Family) -> Reason:
    """That it does, without a reason."""
    state = view.memory(uplink, family)
    return Reason("carries", uplink.name, family, {"status": state.word}, None, state.since or view.now)


def _sharing(uplink: Uplink, found: Carriage) -> Reason:
    weights = dict(zip(found.names, found.weights, strict=True))
    words = {
        "others": listed([name for name in found.names if name != uplink.name]),
        "metric": str(metric_of(uplink)),
        "weight": str(weights[uplink.name]),
        "percent": percent(weights[uplink.name], found),
    }
    return Reason("shares", uplink.name, found.family, words)


def percent(weight: int, found: Carriage) -> str:
    """The part of the new connections that a weight gets."""
    return f"{100 * weight / (sum(found.weights) or 1):.0f}"


def _passed(view: Situation, uplink: Uplink, found: Carriage) -> str:
    """Which online uplinks of no worse metric do not carry, and why; mostly there are none."""
    words = []
    for other in found.online:
        if other.name not in found.names and metric_of(other) <= metric_of(uplink):
            hindrance = _hindrance(view, other, found.family)
            words += [f"{other.name} {hindrance}"] if hindrance else []
    return listed(words) if words else ""


def _hindrance(view: Situation, uplink: Uplink, family: Family) -> str:
    if uplink.draining:
        return "is drained"
    if is_over_quota(view, uplink):
        return "has used up its quota"
    return "is degraded" if family in uplink.behind else ""


def _without(view: Situation, uplink: Uplink) -> str:
    """What happens when the only uplink fails."""
    spare = [one.name for one in view.uplinks if one.config.dial and one.enabled and one.name != uplink.name]
    return (
        f"{listed(spare)} {'are' if len(spare) > 1 else 'is'} dialled"
        if spare
        else RESORTS[view.config.routing.last_resort]
    )


def standing_by(view: Situation, uplink: Uplink, found: Carriage) -> Reason:
    """Why it is online and does not carry."""
    family = found.family
    if not found.members:
        return Reason("online", uplink.name, family)
    if uplink.draining:
        return drained(view, uplink, found)
    lead = found.members[0]
    words = {**named(found), "better_metric": str(metric_of(lead)), "metric": str(metric_of(uplink))}
    if family in uplink.behind and family not in lead.behind:
        return Reason(
            "degraded",
            uplink.name,
            family,
            {**words, **quality(view, uplink, family)},
            good_again(view, uplink, family),
        )
    if is_over_quota(view, uplink) and uplink.metric > lead.metric:
        used, until = quota(view, uplink)
        return Reason("over_quota", uplink.name, family, {**words, "used": used}, until)
    until = leads_from(view, lead, family) if family in uplink.second else None
    return Reason(_place(uplink, lead, family), uplink.name, family, {**words, "leader": words["better"]}, until)


def named(found: Carriage) -> dict[str, str]:
    """The uplinks that carry, with what they do and what becomes of one that waits for all of them."""
    several = len(found.members) > 1
    better = listed(found.names)
    gone = f"none of {better} is online any more" if several else f"{better} is no longer online"
    return {"better": better, "carries": "carry" if several else "carries", "gone": gone}


def _place(uplink: Uplink, lead: Uplink, family: Family) -> str:
    if family in uplink.second:
        return "follows"
    if uplink.preference(family) == lead.preference(family):
        return "unshared"
    return "behind" if uplink.preference(family) > lead.preference(family) else "online"


def quality(view: Situation, uplink: Uplink, family: Family) -> dict[str, str]:
    """Which limit it is beyond, and how long it has to keep to it."""
    state = view.memory(uplink, family)
    why = state.quality.reason if state.quality and state.quality.reason else state.reason
    return {"reason": why, "window": f"{uplink.config.probe.window:g}"}


def drained(view: Situation, uplink: Uplink, found: Carriage) -> Reason:
    """What it waits for until it is disabled."""
    known = view.state.drains.get(uplink.name)
    count = known.connections if known else None
    what = many(count, "connection") if count else "connections"
    words = {"better": listed(found.names), "connections": f"the {what} that it has"}
    return Reason("drained", uplink.name, found.family, words, known.ends if known else None)


def quota(view: Situation, uplink: Uplink) -> tuple[str, float | None]:
    """What was used of the quota, in words, and when a new period begins."""
    from mwan_hook.quota import usage as quotas
    from mwan_hook.quota import words

    usage = view.state.usage.get(uplink.name)
    if usage is None or not uplink.config.quota:
        return f"all of {words.shown(uplink.config.quota)}" if uplink.config.quota else "all of it", None
    ends = quotas.next_day(usage.period, usage.reset_day) if usage.period else ""
    return words.words(uplink, usage), clock.day(view, ends) if ends else None
