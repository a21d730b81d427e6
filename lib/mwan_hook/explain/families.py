"""Why the default of a family goes where it goes.  Pure."""

from __future__ import annotations

from mwan_hook.explain.carriage import metric_of
from mwan_hook.explain.online import carrying, percent
from mwan_hook.explain.values import Carriage, Reason, Situation
from mwan_hook.model import MAIN_TABLE, Family, LastResort
from mwan_hook.phrases import listed
from mwan_hook.verdict import dark
from mwan_hook.verdict.standing import unjudged

REFUSED = {LastResort.UNREACHABLE: "refused", LastResort.BLACKHOLE: "dropped"}


def default(view: Situation, found: Carriage) -> list[Reason]:
    """The default of one family, and what else there is to say of the family."""
    reasons = [*_carriers(view, found)]
    if found.members and view.readable and view.config.routing.default_table == MAIN_TABLE:
        reasons.append(Reason("in_main", "", found.family))
    return reasons + _ignored(view, found.family)


def _carriers(view: Situation, found: Carriage) -> list[Reason]:
    family = found.family
    if len(found.members) > 1:
        return [_shared(found)]
    if found.members:
        return [carrying(view, found.members[0], found)]
    if not found.used:
        return [Reason("unused", "", family)]
    if any(unjudged(uplink, family, view.state) for uplink in found.used):
        return [Reason("unjudged", "", family)]
    if found.kept:
        return [Reason("kept", uplink.name, family) for uplink in found.kept]
    return [Reason("none", "", family), *_resort(view, family)]


def _shared(found: Carriage) -> Reason:
    parts = [f"{name} {percent(weight, found)} %" for name, weight in zip(found.names, found.weights, strict=True)]
    metric = str(metric_of(found.members[0]))
    return Reason(
        "shared", "", found.family, {"uplinks": listed(found.names), "metric": metric, "parts": ", ".join(parts)}
    )


def _resort(view: Situation, family: Family) -> list[Reason]:
    resort = view.config.routing.last_resort
    if not view.readable or resort is LastResort.KEEP:
        return []
    if resort in REFUSED:
        return [Reason("resort_refused", "", family, {"refused": REFUSED[resort], "resort": resort.value})]
    return [Reason("resort_main", "", family)]


def _ignored(view: Situation, family: Family) -> list[Reason]:
    found = []
    for key, at in view.state.ignored.items():
        word, _, target = key.partition(" ")
        if word == family.value:
            found.append(Reason("ignored", "", family, {"target": target}, None, at))
    return found


def in_common(view: Situation) -> list[Reason]:
    """What is the fault of no uplink."""
    if not view.state.dark_since:
        return []
    words = {"uplinks": ", ".join(view.state.dark)}
    found = [Reason("dark", "", None, words, None, view.state.dark_since)]
    if dark.keeps_back(view.state, view.now) and any(uplink.config.repair for uplink in view.uplinks):
        found.append(Reason("rests", "", None, {}, view.state.dark_since + dark.PATIENCE))
    return found
