"""What ``trace`` says of policies whose packets nft marks: which mark to ask for.

The walk knows neither the sender's MAC address nor what the sets of nft have learned, so it can only say what may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mwan_hook.kernel.question import Question
from mwan_hook.model import Policy, Routing, Rule
from mwan_hook.policy.policies import BoundPolicy
from mwan_hook.policy.selectors import selected
from mwan_hook.trace.match import matches
from mwan_hook.trace.values import AnyRule, Device, Span


def notes(
    asked: Question, courses: Iterable[BoundPolicy], routing: Routing, devices: Mapping[int, Device], outside: set[int]
) -> Iterator[str]:
    """One line for each policy that may mark the packet.  ``outside``: interfaces that are uplinks."""
    if asked.mark & routing.mark_mask or asked.iif in outside:
        return
    for course in courses:
        policy = course.policy
        able = policy.forwards if asked.iif else policy.marks_own
        if course.mark and able and may_be(policy, asked, routing, devices):
            if policy.by_marks:
                keys = " and ".join(key for key, given in (("mac", policy.macs), ("dscp", policy.dscp)) if given)
                yield f"policy {policy.name} chooses by {keys}, in nft; what it chose: --mark {course.mark:#x}"
            if policy.sticky and asked.iif:
                held = ", ".join(f"--mark {mark:#x} by {name}" for name, mark in course.held)
                words = f"a source that nft has learned in the last {policy.sticky} s keeps its uplink"
                yield f"policy {policy.name} is sticky: {words}: {held}"


def may_be(policy: Policy, asked: Question, routing: Routing, devices: Mapping[int, Device]) -> bool:
    """Whether a policy chooses the packet, as far as the kernel's rules have words for it."""
    rules = selected(policy, asked.family, routing)
    return any(matches(_any_rule(rule), asked, devices)[0] for rule in rules)


def _any_rule(rule: Rule) -> AnyRule:
    return AnyRule(
        rule.family,
        rule.priority,
        src=rule.src,
        dst=rule.dst,
        iif=rule.iif,
        mark=rule.mark or 0,
        mask=rule.mask or 0,
        ipproto=rule.ipproto or 0,
        sport=Span(*rule.sport) if rule.sport else None,
        dport=Span(*rule.dport) if rule.dport else None,
        uids=Span(*rule.uids) if rule.uids else None,
    )
