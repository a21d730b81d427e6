"""A walk through the rules as reasons: by whose order a packet of this machine takes its way.  Pure."""

from __future__ import annotations

from mwan_hook.explain.families import REFUSED
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.explain.words import called
from mwan_hook.light import NamedTuple
from mwan_hook.model import DEFAULT, LOOKUP, MAIN_TABLE, Family
from mwan_hook.phrases import either
from mwan_hook.policy import order
from mwan_hook.policy.policies import via
from mwan_hook.policy.selectors import families
from mwan_hook.routing.priorities import DISGUISED
from mwan_hook.routing.words import quote
from mwan_hook.trace import marks, words
from mwan_hook.trace.compare import agree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.kernel.question import Question
    from mwan_hook.trace.values import AnyRule, KernelAnswer, Leg, Outcome, Step, Trace
    from mwan_hook.trace.words import Names

KERNEL = 2  # protocol number of the rules that the kernel makes


class Packet(NamedTuple):
    """Which way a packet takes, and by whose order."""

    family: Family
    address: str
    reasons: tuple[Reason, ...]
    interfaces: tuple[str, ...] = ()
    uplinks: tuple[str, ...] = ()


def explained(done: Trace, answer: KernelAnswer | None, names: Names, view: Situation) -> Packet:
    """The walk's end in reasons."""
    asked, outcome, family = done.question, done.outcome, done.question.family
    step = _deciding(done)
    kinds, facts = _kinds(step, outcome, view, names), _facts(step, done, names, view)
    reasons = [Reason(kind, "", family, facts) for kind in kinds]
    if "by_default" in kinds or "main_default" in kinds:
        reasons += _passed(asked, view, names)
    if answer is not None and not agree(outcome, answer):
        reasons.append(Reason("differs", "", family, {**facts, "kernel": words.kernel(answer, names)}))
    if kinds[0] == "leaves":
        outside = [names.device(leg.index) for leg in outcome.legs if leg.index not in names.uplinks]
        reasons += [Reason("outside", "", family, {"interface": name}) for name in dict.fromkeys(outside)]
    reasons += [Reason("marked", "", family, {"note": note}) for note in names.notes]
    interfaces = dict.fromkeys(names.device(leg.index) for leg in outcome.legs)
    uplinks = dict.fromkeys(names.uplinks[leg.index][0] for leg in outcome.legs if leg.index in names.uplinks)
    return Packet(family, asked.destination, tuple(reasons), tuple(interfaces), tuple(uplinks))


def _facts(step: Step | None, done: Trace, names: Names, view: Situation) -> dict[str, str]:
    """What the sentences name."""
    outcome, resort = done.outcome, view.config.routing.last_resort
    policy = _policy_of(step.rule, view) if step else ""
    return {
        "destination": quote(done.question.destination),
        "rule": f"{step.rule.priority}: {words.rule(step.rule, names)}" if step else "",
        "why": outcome.why or "no route is found",
        "route": _route(outcome, names),
        "table": names.table(outcome.table) if outcome.table else "",
        "resort": resort.value,
        "refused": REFUSED.get(resort, resort.value),
        "policy": policy,
        "order": next((order.text(c.policy) for c in view.policies if c.policy.name == policy), ""),
        "ways": _ways(outcome.legs, names, view),
    }


def _passed(asked: Question, view: Situation, names: Names) -> list[Reason]:
    """Policies that choose it, and have no uplink for it."""
    routing, found = view.config.routing, list[Reason]()
    for course in view.policies:
        policy = course.policy
        if policy.by_marks or asked.family not in families(policy) or via(course, asked.family, view.state):
            continue
        if marks.may_be(policy, asked, routing, names.devices):
            facts = {"policy": policy.name, "order": order.text(policy)}
            found.append(Reason("policy_passed", "", asked.family, facts))
    return found


def ahead(done: Trace, names: Names, view: Situation) -> tuple[Reason, ...]:
    """What takes any packet before the default does, if anything."""
    step, outcome, asked = _deciding(done), done.outcome, done.question
    kinds = _kinds(step, outcome, view, names)
    if "foreign_refusal" in kinds:
        why = f"a rule of another program refuses them ({words.rule(step.rule, names)})" if step else outcome.why
        return (Reason("ahead_refused", "", asked.family, {"why": why, "destination": asked.destination}),)
    if step is None or not {"foreign_rule", "vrf", "pieces"} & set(kinds) or kinds[0] != "leaves":
        return ()
    kind = "ahead_in_pieces" if "pieces" in kinds else "ahead"
    return (Reason(kind, "", asked.family, _facts(step, done, names, view)),)


def _deciding(done: Trace) -> Step | None:
    """The rule whose table answered, or that refused."""
    return next((step for step in reversed(done.steps) if step.decided or step.kept), None)


def _kinds(step: Step | None, outcome: Outcome, view: Situation, names: Names) -> Sequence[str]:
    """What happens to the packet, and by whose order."""
    if outcome.entry is not None and not outcome.error and outcome.entry.route.kind == "local":
        return ("here",)
    by = _order(step, outcome, view)
    if outcome.error:
        if by == "refused_by_policy":
            return (by,)
        kinds = {"foreign_rule": "foreign_refusal", "by_default": "refused_by_resort"}
        return (kinds.get(by, "no_way"),)
    return ("leaves", by, "first_of_policy") if by == "by_policy" else ("leaves", by)


def _order(step: Step | None, outcome: Outcome, view: Situation) -> str:
    """The kind that tells whose rule decided: a policy's, the shared default's, the kernel's or another program's."""
    if step is None:
        return "by_rule"
    rule, routing = step.rule, view.config.routing
    if rule.l3mdev:
        return "vrf"
    ours = rule.protocol == routing.protocol
    if ours and _policy_of(rule, view):
        return "by_policy" if rule.action == LOOKUP else "refused_by_policy"
    route = outcome.entry.route if outcome.entry else None
    default = route is not None and route.dst == DEFAULT
    if default and route and route.table == routing.default_table and route.protocol == routing.protocol:
        return "by_default"
    return _in_main(step, outcome, default=default) if ours or rule.protocol == KERNEL else "foreign_rule"


def _in_main(step: Step, outcome: Outcome, *, default: bool) -> str:
    """The kind of a route of the main table, or of another one that a rule of ours or the kernel's leads to."""
    if step.table != MAIN_TABLE:
        return "by_rule"
    if default:
        return "main_default"
    entry = outcome.entry
    as_wide_as_halves = entry is not None and entry.length <= DISGUISED[entry.route.family]  # which VPNs lay
    return "pieces" if as_wide_as_halves else "specific"


def _policy_of(rule: AnyRule, view: Situation) -> str:
    """The name of the policy that a rule is of."""
    if rule.protocol != view.config.routing.protocol:
        return ""
    return next((c.policy.name for c in view.policies if rule.priority in (c.priority, c.priority + 1)), "")


def _route(outcome: Outcome, names: Names) -> str:
    return words.entry(outcome.entry, names) if outcome.entry else ""


def _ways(legs: Sequence[Leg], names: Names, view: Situation) -> str:
    """``fiber (eth1)``, or what is no uplink by its interface."""
    found = []
    for leg in legs:
        name = names.uplinks.get(leg.index, ("", ""))[0]
        found.append(called(view, name) if name else names.device(leg.index))
    return either(dict.fromkeys(found)) if found else "nothing"
