"""Why an uplink is not online in a family: a fact that is missing, a word of the operator's, or its rounds.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mwan_hook.durations import duration
from mwan_hook.explain.earliest import Comeback, comeback, good_again
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.model import OFFLINE, Connectivity, Family, FamilyState, Probe, Status, Uplink
from mwan_hook.routing.words import quote

FACTS = {
    "interface is gone": "gone",
    "no interface": "gone",
    "administratively down": "down",
    "no carrier": "no_carrier",
    "no address": "no_address",
    "address is tentative": "tentative",
    "no gateway": "no_gateway",
}
"""Kinds of reasons by the words that :mod:`routing.gateways` has for what is missing."""


def by_facts(view: Situation, uplink: Uplink, family: Family) -> Reason | None:
    """Why the facts or the operator take it out; None where they do not."""
    words = {"interface": uplink.interface or uplink.name, "uplink": quote(uplink.name)}
    if not uplink.enabled:
        kind = "disabled" if uplink.switched is None else "switched_off"
        return Reason(kind, uplink.name, None, words)
    missing = uplink.way(family).missing
    if not missing:
        return None
    if missing == f"{family.value} is not used":
        kind = "not_meant" if family not in uplink.config.families else "no_family"
        return Reason(kind, uplink.name, family, words)
    if missing in FACTS:
        return Reason(FACTS[missing], uplink.name, family, words)
    return Reason("lacks", uplink.name, family, {**words, "reason": missing})


def by_verdict(view: Situation, uplink: Uplink, family: Family) -> Reason:
    """Why its probes keep it out."""
    state, probe = view.memory(uplink, family), uplink.config.probe
    found = comeback(view, uplink, family)
    words = {**_rounds(found, probe), **_figures(uplink, state, probe)}
    kind = _kind(state, probe, view.now)
    until = found.at if found else state.held_until
    if kind == "aside":
        until = good_again(view, uplink, family)
    if kind == "held" and not view.readable:
        kind = "held_back"
    return Reason(kind, uplink.name, family, words, until)


def will_be_held(view: Situation, uplink: Uplink, family: Family) -> bool:
    """Whether its next good round begins a hold; one that has begun already is played no more."""
    if view.memory(uplink, family).held_until is not None:
        return False
    found = comeback(view, uplink, family)
    return found is not None and found.held


def _kind(state: FamilyState, probe: Probe, now: float) -> str:
    """Which of the kinds of offline it is, the one that weighs most first."""
    if state.status is not Status.OFFLINE:
        return "offline"
    usable = state.connectivity is Connectivity.FULL
    slow = probe.latency_high > 0 and not probe.measured and state.latency_ms is not None
    kinds = (
        ("aside", state.degraded and probe.degraded == OFFLINE),
        ("portal", state.connectivity is Connectivity.PORTAL and not probe.portal_is_online),
        ("held", state.held_until is not None and state.held_until > now and state.good > 0),
        ("rising", state.good > 0),
        ("unprobed", state.probed_at is None or state.next_probe_at is None),
        ("slow", usable and slow and (state.latency_ms or 0.0) <= probe.latency_high),
        ("bad", state.bad > 0),
    )
    return next((kind for kind, is_so in kinds if is_so), "offline")


def _rounds(found: Comeback | None, probe: Probe) -> Mapping[str, str]:
    """How many good rounds it takes, with their verb."""
    if found is None:
        return {"rounds": "Good rounds make", "then": "good rounds make"}
    if found.held:
        words = f"{duration(probe.hysteresis_delay)} of good rounds make"
        return {"rounds": words, "then": words}
    if not found.rounds:
        return {"rounds": "The next run makes", "then": "the next run makes"}
    if found.rounds == 1:
        return {"rounds": "One good round makes", "then": "one good round makes"}
    words = f"{found.rounds} good rounds in a row make"
    return {"rounds": words, "then": words}


def _figures(uplink: Uplink, state: FamilyState, probe: Probe) -> Mapping[str, str]:
    why = state.quality.reason if state.degraded and state.quality and state.quality.reason else state.reason
    return {
        "interface": uplink.interface or uplink.name,
        "reason": why or "no probe has got through",
        "good": str(min(state.good, probe.rise)),
        "rise": str(probe.rise),
        "backoff": duration(probe.hysteresis_backoff),
        "delay": duration(probe.hysteresis_delay),
        "latency": f"{state.latency_ms or 0:.0f}",
        "low": f"{probe.latency_low:g}",
        "window": f"{probe.window:g}",
    }
