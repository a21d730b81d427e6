"""What may become of a look-up by us."""

from __future__ import annotations

from errno import EACCES, EHOSTUNREACH, EINVAL
from typing import NamedTuple

from tests.netns.harm_agent import Question, Reply
from tests.netns.harm_world import LINES, MAIN, PLANS, Case

HALF = 1  # prefixes that long are a default in disguise
REFUSALS = (EACCES, EHOSTUNREACH, EINVAL)  # prohibit, unreachable, blackhole; no route at all is another one


class Standing(NamedTuple):
    """The machine, and which of its lines are online."""

    case: Case
    online: frozenset[tuple[str, int]]

    def carriers(self, family: int) -> set[str]:
        """Interfaces that are online."""
        return {device for device, of in self.online if of == family}

    def dead(self, family: int) -> set[str]:
        """Interfaces of uplinks that are not online."""
        return set(self.case.uplinks) - self.carriers(family)


def faults(standing: Standing, asked: Question, was: Reply, now: Reply) -> str:
    """Why `now` is a harm, or nothing."""
    if now == was:
        return ""
    own = _by_own_line(standing, asked, now) or _network_first(was, now) or _null_first(standing, asked, was, now)
    if was.error:
        return "" if own else _opened(was, now) or _leak(standing, asked, now)
    if was.kind != "unicast":
        return "" if (now.kind, now.error) == (was.kind, 0) else f"was {was.kind}"
    if asked.oif:
        return _bound(asked, was, now)
    return "" if own else _moved(standing, asked, was, now) or _leak(standing, asked, now)


def _moved(standing: Standing, asked: Question, was: Reply, now: Reply) -> str:
    """What could be routed, by what matched it."""
    if was.length == PLANS[asked.family].host and was.dev in standing.dead(asked.family) and not now.error:
        return ""  # a tunnel's server
    if was.length > HALF:
        return "" if now.dev in was.devs and now.via == was.via else "a specific route is not taken any more"
    if was.dev in LINES and was.dev not in standing.case.uplinks:
        return _spare(standing, asked, was, now)
    if was.dev not in standing.case.uplinks:
        plan = PLANS[asked.family]
        policed = standing.case.policed and asked.src in (plan.lan, plan.lan_host)
        return "" if now.dev == was.dev or policed else f"what went by {was.dev} goes elsewhere"
    return _out(standing, asked, now)


def _spare(standing: Standing, asked: Question, was: Reply, now: Reply) -> str:
    """By a line that is none of ours: what has its address keeps it, the rest is led as the configuration says."""
    if was.dev in standing.case.owner.get(asked.src, frozenset()) and not asked.iif:
        return "" if now.dev == was.dev else f"{asked.src} does not leave by {was.dev} any more"
    return _out(standing, asked, now)


def _able(standing: Standing, asked: Question) -> set[str]:
    """The lines that a source belongs to and that have a way out."""
    owners = standing.case.owner.get(asked.src, frozenset()) if not asked.iif else frozenset()
    return {device for device in owners if (device, asked.family) in standing.case.known}


def _by_own_line(standing: Standing, asked: Question, now: Reply) -> bool:
    """A line's address leaves by its line, against all others."""
    return now.error == 0 and now.dev in _able(standing, asked)


def _network_first(was: Reply, now: Reply) -> bool:
    """Networks that main has, or a table that is asked for everything, come before the one that takes all."""
    return now.error == 0 and now.length > HALF and (now.table == MAIN or was.length <= HALF)


def _null_first(standing: Standing, asked: Question, was: Reply, now: Reply) -> bool:
    """So do null routes that main has: no rule can leave them out and keep the other networks."""
    plan = PLANS[asked.family]
    null = any(f"{plan.null} table {MAIN}" in line for line in standing.case.foreign)
    return null and asked.dst == plan.null_host and now.error in REFUSALS and was.length <= HALF


def _opened(was: Reply, now: Reply) -> str:
    """What was refused on purpose stays so."""
    return "what was refused is let through" if was.error in REFUSALS and not now.error else ""


def _bound(asked: Question, was: Reply, now: Reply) -> str:
    """A socket that is bound to a device."""
    if now.error or now.dev != asked.oif:
        return "the device that it is bound to is not used"
    return "its gateway is lost" if was.via and not now.via and now.length <= HALF else ""


def _out(standing: Standing, asked: Question, now: Reply) -> str:
    """What left by a line, to wherever."""
    carriers, able = standing.carriers(asked.family), _able(standing, asked)
    if able:
        return "an address of a line that works is refused" if now.error and able & carriers else _elsewhere(now)
    if now.error:
        return "unreachable"
    if now.dev not in standing.case.uplinks:
        return "what left by a line goes inside"
    return "leaves by a line that is offline" if carriers and now.dev not in carriers else ""


def _elsewhere(now: Reply) -> str:
    return "" if now.error else "an address of a line leaves by another"


def _leak(standing: Standing, asked: Question, now: Reply) -> str:
    """An own packet without a source takes one of another line."""
    if now.error or asked.iif or asked.src or now.dev not in standing.case.uplinks:
        return ""
    owner = standing.case.owner.get(now.src, frozenset())
    wrong = owner & set(standing.case.uplinks) and now.dev not in owner
    return f"{now.src} leaves by {now.dev}" if wrong else ""
