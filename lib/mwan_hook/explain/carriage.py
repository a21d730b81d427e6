"""The uplinks that carry the default of a family, found as routing finds them.  Pure."""

from __future__ import annotations

from mwan_hook.explain.values import Carriage, Situation
from mwan_hook.model import FAMILIES, Family, LastResort, Stage, Status, Uplink, WayOut
from mwan_hook.routing.desired import last_known, stacked
from mwan_hook.routing.rules import best_tier
from mwan_hook.verdict.standing import online_of, taking, used_in


def carriages(view: Situation) -> dict[Family, Carriage]:
    """The same of each family."""
    return {family: carriage(view, family) for family in FAMILIES}


def carriage(view: Situation, family: Family) -> Carriage:
    """The uplinks that carry the default of one family, and those that could."""
    if not view.readable:
        return _stored(view, family)
    used = tuple(used_in(family, view.uplinks, view.state))
    online = online_of(family, used, view.state)
    open_to_new = taking(online)
    if not open_to_new:
        kept = last_known(family, used, view.state) if view.config.routing.last_resort is LastResort.KEEP else []
        return Carriage(family, used=used, kept=tuple(best_tier(kept, family)) if kept else ())
    tier = best_tier(open_to_new, family)
    weights = {hop.index: hop.weight for hop in stacked(family, 0, open_to_new, tier)[0].nexthops}
    members = tuple([uplink for uplink in tier if uplink.index in weights])
    return Carriage(family, members, tuple(weights[one.index] for one in members), tuple(online), used)


def _stored(view: Situation, family: Family) -> Carriage:
    """What the last run has left: the best way out, and the verdicts."""
    used = tuple([uplink for uplink in view.uplinks if view.memory(uplink, family).way])
    online = tuple([uplink for uplink in used if view.memory(uplink, family).status is Status.ONLINE])
    best = view.state.best.get(family, WayOut()).uplink
    return Carriage(family, tuple(uplink for uplink in view.uplinks if uplink.name == best), (1,), online, used)


def following(found: Carriage) -> Uplink | None:
    """The uplink that takes over when those fail that carry; none that is drained, if there is another."""
    rest = [uplink for uplink in found.online if uplink.name not in found.names]
    return taking(rest)[0] if rest else None


def metric_of(uplink: Uplink) -> int:
    """The metric that an uplink has by its configuration, before its quota makes another of it."""
    return uplink.metric if uplink.config.metric is None else uplink.config.metric


def is_over_quota(view: Situation, uplink: Uplink) -> bool:
    """Whether it comes after all others because of its quota."""
    if not uplink.config.quota:
        return False
    usage = view.state.usage.get(uplink.name)
    return bool(usage and usage.stage is Stage.EXCEEDED) or uplink.metric > metric_of(uplink)
