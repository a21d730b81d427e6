"""What died when an uplink left: one word for each kind of outage.  Pure."""

from __future__ import annotations

from mwan_hook.addresses import holds, is_address
from mwan_hook.model import DEGRADED, NO_NEXTHOP, Connectivity, Family, Method, Status, UplinkState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.model import FamilyState, Target, Uplink, Way

CARRIER = "carrier"
INTERFACE = "interface"
ADDRESS = "address"
GATEWAY = "gateway"
BEYOND = "beyond the gateway"
SILENT = "no answer"
NAMES = "names only"
PORTAL = "portal"
LOSS = "loss"
LATENCY = "latency"
JITTER = "jitter"
DIAL = "not dialled"
BY_HAND = "by hand"

MEANINGS = {
    CARRIER: "the link had no carrier, or was switched off",
    INTERFACE: "the interface was gone",
    ADDRESS: "the link was up without address or gateway",
    GATEWAY: "the gateway did not answer",
    BEYOND: "the gateway answered, what is behind it did not",
    SILENT: "no target answered, and nothing told whether the gateway did (`gateway` among the targets does at once)",
    NAMES: "addresses answered, names were not resolved",
    PORTAL: "a captive portal stood in the way",
    LOSS: "more loss than its limit",
    LATENCY: "longer round trips than the limit",
    JITTER: "round trips that differ more than the limit allows",
    DIAL: "wanted, and not dialled or not up yet",
    BY_HAND: "taken out by a command or the configuration",
}
"""Every word, and what it stands for."""

_MEASURED = (LOSS, LATENCY, JITTER)  # what a broken limit's words begin with


def cause(uplink: Uplink, family: Family, memory: UplinkState, word: str) -> str:
    """What died; empty while nothing is wrong."""
    one = memory.family(family)
    if word == DEGRADED:
        return _measured(one)
    if word == Status.DISABLED.value:
        return BY_HAND
    if word != Status.OFFLINE.value:
        return ""
    if missing := uplink.way(family).missing:
        return _of_fact(uplink, missing)
    return _of_round(uplink, uplink.way(family), one)


def _measured(one: FamilyState) -> str:
    why = one.quality.reason if one.quality else one.reason
    return next((word for word in _MEASURED if why.startswith(word)), LOSS)


def _of_fact(uplink: Uplink, missing: str) -> str:
    link = uplink.link
    if uplink.config.dial and (link is None or not link.carrier or not link.up):
        return DIAL
    if link is None or missing == "interface is gone":
        return INTERFACE
    return ADDRESS if link.up and link.carrier else CARRIER


def _of_round(uplink: Uplink, way: Way, one: FamilyState) -> str:
    if one.connectivity is Connectivity.PORTAL:
        return PORTAL
    if one.reason.startswith("latency of"):
        return LATENCY
    if one.degraded:
        return _measured(one)
    if one.good or not (one.bad or one.targets):
        return ""  # it answers again and is not trusted yet, or was not asked since it is back
    return _by_answers(uplink, way, one)


def _by_answers(uplink: Uplink, way: Way, one: FamilyState) -> str:
    """How far its probes went."""
    answers = {answer.target: answer.connectivity for answer in one.targets}
    asked = [(target, answers[target.name]) for target in uplink.config.probe.targets if target.name in answers]
    good = [target for target, seen in asked if seen is Connectivity.FULL]
    bad = [target for target, seen in asked if seen is not Connectivity.FULL]
    if any(target.method is Method.GATEWAY for target in bad):
        return GATEWAY
    if not good and _is_nexthop_dead(way, one, bad):
        return GATEWAY
    beyond = [target for target in good if target.method is not Method.GATEWAY]
    if beyond:
        return NAMES if bad and all(map(_by_name, bad)) and not any(map(_by_name, beyond)) else BEYOND
    return BEYOND if good else SILENT


def _is_nexthop_dead(way: Way, one: FamilyState, bad: Iterable[Target]) -> bool:
    """Whether the kernel has found that the gateway does not answer, when it was to send a probe by it."""
    given_up = {answer.target for answer in one.targets if answer.error == NO_NEXTHOP}
    return any(target.name in given_up and not _is_on_link(target, way) for target in bad)


def _is_on_link(target: Target, way: Way) -> bool:
    return is_address(target.host) and any(holds(own, target.host) for own in way.addresses)


def _by_name(target: Target) -> bool:
    """Whether it needs a name server, or is one."""
    literal = ":" in target.host or target.host.replace(".", "").isdigit()
    return target.method is Method.DNS or not literal


def stands_by(uplink: Uplink, family: Family, others_online: bool) -> bool:
    """Whether it is dialled on demand and nothing demands it: no outage."""
    dial = uplink.config.dial
    return bool(dial and dial.on_demand and others_online and uplink.way(family).missing)
