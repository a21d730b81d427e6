"""Doctor: targets that are dead behind every uplink, and uplinks that die together.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from mwan_hook.doctor.finding import WARNING, Case, Finding, Fix
from mwan_hook.durations import duration
from mwan_hook.model import Transition
from mwan_hook.phrases import listed

MINUTE = 60.0  # seconds between two outages that count as one
LEAST = 3  # outages of each that say something
BUT_ONE = 5  # and of so many one may be alone


def check(case: Case, happened: Iterable[Transition]) -> Iterator[Finding]:
    """``happened``: the history, the oldest first."""
    yield from (_ignored(case, name) for name in case.state.ignored)
    yield from _together(case, happened)


def _ignored(case: Case, key: str) -> Finding:
    family, _, target = key.partition(" ")
    since = duration(max(0.0, case.now - case.state.ignored[key]))
    what = f"{target} ({family}) has been dead behind every uplink for {since}, and is ignored"
    breaks = "no verdict follows from it: an uplink that asks no other target is judged by its link and gateway alone"
    fix = Fix("if it is gone for good, another one in `targets`; two of different operators are better than one")
    return Finding("target-ignored", WARNING, target, what, breaks, fix)


def _together(case: Case, happened: Iterable[Transition]) -> Iterator[Finding]:
    configured = {uplink.name for uplink in case.uplinks}
    outages: dict[str, list[float]] = {}
    for one in happened:
        died = (one.event, one.new) == ("offline", "offline") and one.old in ("online", "degraded")
        if died and one.uplink in configured:
            at = outages.setdefault(one.uplink, [])
            if not at or one.at - at[-1] > MINUTE:  # of both families one
                at.append(one.at)
    for one_name, other in combinations(sorted(outages), 2):
        shared = _shared(outages[one_name], outages[other])
        if shared:
            both = listed((one_name, other))
            what = f"{both} went offline in the same minute {shared} times, and hardly ever alone"
            breaks = "they share something: a duct, a power supply, a switch, a provider; one is no backup of the other"
            fix = Fix("find what they share (or what restarts this machine's network), and part them")
            yield Finding("one-duct", WARNING, f"{one_name}, {other}", what, breaks, fix)


def _shared(ones: Sequence[float], others: Sequence[float]) -> int:
    """How often both died together; 0 where that is seldom, or one of them dies alone as well."""
    together = sum(any(abs(at - other) <= MINUTE for other in others) for at in ones)
    alone = max(len(ones), len(others)) - together
    return together if together >= LEAST and alone <= together // BUT_ONE else 0
