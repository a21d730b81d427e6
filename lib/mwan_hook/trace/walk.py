"""The walk through the rules, as fib_rules_lookup does it.  Pure: rules, routes and a question to steps."""

from __future__ import annotations

from mwan_hook.kernel.question import Question
from mwan_hook.model import LOCAL_TABLE, Family
from mwan_hook.trace.match import domain, matches
from mwan_hook.trace.table import lookup
from mwan_hook.trace.values import (
    EHOSTUNREACH,
    EINVAL,
    ENETUNREACH,
    EXDEV,
    ROUTE_ERRORS,
    RULE_ERRORS,
    Leg,
    Outcome,
    Step,
    Trace,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.trace.values import AnyRule, Device, KernelState, TableAnswer

NO_ANSWER = "no rule leads to a route"


def trace(asked: Question, ground: KernelState) -> Trace:
    """All steps and the outcome."""
    walked = walk(asked, ground)
    refused = _refused(walked, ground)
    return walked._replace(outcome=refused) if refused else walked


def walk(asked: Question, ground: KernelState) -> Trace:
    """The rules alone, without what may refuse the packet besides."""
    steps: list[Step] = []
    at = 0
    rules = ground.rules
    while at < len(rules):
        step = _step(rules[at], asked, ground)
        following = at + 1
        if step.matched and step.rule.action == "goto" and not step.rule.unresolved:
            following = next((i for i, rule in enumerate(rules) if rule.priority == step.rule.target), following)
        steps.append(step)
        steps += [Step(rule, False, f"jumped over by {step.rule.priority}") for rule in rules[at + 1 : following]]
        at = following
        if step.decided:
            break
    outcome = _outcome(steps[-1]) if steps and steps[-1].decided else Outcome(ENETUNREACH, NO_ANSWER)
    for step in reversed(steps):
        if step.kept:
            outcome = _outcome(step)._replace(legs=step.kept, otherwise=outcome)  # IPv6: it has no rivals
    return Trace(asked, tuple(steps), outcome, rules[at:])


def _step(rule: AnyRule, asked: Question, ground: KernelState) -> Step:
    matched, why = matches(rule, asked, ground.devices)
    if not matched or rule.action == "nop":
        return Step(rule, matched, why)
    if rule.action == "goto":
        target = "but there is no such rule" if rule.unresolved else f"on to {rule.target}"
        return Step(rule, matched, f"{why}; {target}")
    if rule.action != "lookup":
        return Step(rule, matched, why, decided=True)
    table = table_of(rule, asked, ground)
    found = lookup(ground.tables.get(table, ()), asked, ground)
    suppressed, kept = _suppressed(rule, found, ground)
    answered = found.entry is not None and found.entry.route.kind != "throw" and not suppressed
    return Step(rule, matched, why, table, found, suppressed, kept, answered)


def table_of(rule: AnyRule, asked: Question, ground: KernelState) -> int:
    """The table; a rule for VRFs has that of the packet's."""
    return ground.devices[domain(asked, ground.devices)].vrf if rule.l3mdev else rule.table


def _suppressed(rule: AnyRule, found: TableAnswer, ground: KernelState) -> tuple[str, tuple[Leg, ...]]:
    """Why a rule does not take what its table found, and the legs that it takes all the same.

    A route that refuses is never suppressed.  Of a group's interfaces IPv4 asks the first leg, IPv6 the one picked.
    """
    entry = found.entry
    if entry is None or entry.route.kind in ROUTE_ERRORS or entry.route.kind == "throw":
        return "", ()
    if rule.suppress_prefixlength is not None and entry.length <= rule.suppress_prefixlength:
        return f"passed over by suppress_prefixlength {rule.suppress_prefixlength}", ()
    if rule.suppress_group is None:
        return "", ()
    asked = entry.legs[:1] if rule.family is Family.IPV4 else found.legs
    kept = tuple(leg for leg in asked if _group(leg, ground) != rule.suppress_group)
    if len(kept) == len(asked):
        return "", ()
    return f"{'partly ' if kept else ''}passed over by suppress_ifgroup {rule.suppress_group}", kept


def _group(leg: Leg, ground: KernelState) -> int | None:
    device = ground.devices.get(leg.index)
    return device.group if device else None


def _outcome(step: Step) -> Outcome:
    rule, found = step.rule, step.found
    if found is None or found.entry is None:
        return Outcome(RULE_ERRORS.get(rule.action, EINVAL), f"rule {rule.priority} says {rule.action}")
    kind = found.entry.route.kind
    error = ROUTE_ERRORS.get(kind, 0)
    rival = None
    for one in reversed(found.rivals):
        rival = Outcome(table=step.table, entry=one, legs=one.legs[:1], otherwise=rival)
    why = f"the route is {kind}" if error else ""
    return Outcome(error, why, step.table, found.entry, found.legs, otherwise=rival)


def _refused(walked: Trace, ground: KernelState) -> Outcome | None:
    """IPv4 only: what happens to a packet besides its rules."""
    asked = walked.question
    if asked.family is Family.IPV6:
        return None
    return _refused_forwarding(walked, ground) if asked.iif else _refused_sending(walked, ground)


def _refused_sending(walked: Trace, ground: KernelState) -> Outcome | None:
    asked, outcome = walked.question, walked.outcome
    if asked.source and not is_local(asked.source, ground):
        return outcome._replace(error=ENETUNREACH, why=f"{asked.source} is no address of this machine")
    device = ground.devices.get(asked.oif)
    if asked.source and asked.source.startswith("127.") and outcome.entry and outcome.entry.route.kind == "unicast":
        return outcome._replace(error=EINVAL, why="a loopback address never leaves the machine")
    if device and not device.up:
        return outcome._replace(error=ENETUNREACH, why=f"{device.name} is down")
    if outcome.error and device and not domain(asked, ground.devices):
        return Outcome(why="taken to be on the link: IPv4 believes an oif", legs=(Leg(asked.oif),))
    return None


def is_local(address: str, ground: KernelState) -> bool:
    """Whether an IPv4 address is this machine's, in a VRF or outside."""
    asked = Question(Family.IPV4, address)
    found = (lookup(ground.tables.get(table, ()), asked, ground).entry for table in local_tables(ground))
    return any(one is not None and one.route.kind == "local" for one in found)


def local_tables(ground: KernelState) -> set[int]:
    """Where the routes to this machine's own addresses are: a VRF has those of its interfaces in its own table."""
    return {LOCAL_TABLE, *(device.vrf for device in ground.devices.values() if device.vrf)}


def _refused_forwarding(walked: Trace, ground: KernelState) -> Outcome | None:
    asked, outcome = walked.question, walked.outcome
    device = ground.devices[asked.iif]
    kind = outcome.entry.route.kind if outcome.entry else ""
    loopback = [text for text in (asked.source, asked.destination) if text and text.startswith("127.")]
    if loopback and not device.route_localnet:
        return outcome._replace(error=EINVAL, why=f"dropped as a martian: {loopback[0]} never comes from outside")
    if kind not in ("local", "broadcast") and not device.forwarding:
        return outcome._replace(error=EHOSTUNREACH, why=f"{device.name} does not forward (ip_forward is off)")
    if outcome.error:
        return None
    ways = outcome.legs if kind == "unicast" else (Leg(0),)
    checks = [(leg, *_source_check(asked, ground, device, leg.index)) for leg in ways]
    bad = next(((error, why) for _, error, why in checks if error), None)
    if bad is None:
        return None
    dropped = outcome._replace(error=bad[0], why=bad[1])
    good = tuple(leg for leg, error, _ in checks if not error)
    return outcome._replace(legs=good, otherwise=dropped) if good else dropped


def back(asked: Question, outgoing: int) -> Question:
    """The question about the way back that rp_filter asks."""
    return Question(
        asked.family, asked.source or "", asked.destination, outgoing, 0, 0, asked.proto, asked.dport, asked.sport
    )


def _source_check(asked: Question, ground: KernelState, device: Device, outgoing: int) -> tuple[int, str]:
    """fib_validate_source."""
    question = back(asked, outgoing)._replace(mark=asked.mark if device.src_valid_mark else 0)
    answer = walk(question, ground).outcome
    dropped = EXDEV, f"dropped by rp_filter: the way back to {asked.source} is not through {device.name}"
    if answer.error or answer.entry is None:
        return dropped if device.rp_filter else (0, "")
    kind = answer.entry.route.kind
    if kind != "unicast" and not (kind == "local" and device.accept_local):
        return EINVAL, f"dropped as a martian: {asked.source} is this machine's own"
    if any(leg.index == asked.iif for leg in answer.entry.legs):
        return 0, ""
    strict = device.rp_filter == 1 or (device.rp_filter and not device.addressed)
    return dropped if strict else (0, "")


def tables_needed(questions: Iterable[Question], rules: Iterable[AnyRule], ground: KernelState) -> set[int]:
    """Tables that any of the questions may look in."""
    asked = tuple(questions)
    return {
        table_of(rule, one, ground)
        for rule in rules
        for one in asked
        if rule.action == "lookup" and matches(rule, one, ground.devices)[0]
    }
