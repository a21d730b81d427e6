"""Doctor: look-ups of local addresses and of VRFs that others have put behind our rules.  Pure."""

from __future__ import annotations

from mwan_hook.doctor.finding import Finding, Fix, Severity
from mwan_hook.routing.rules import comes_first, numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.doctor.finding import Case
    from mwan_hook.model import Rule

_RUN = Fix(commands=("mwan-hook check",), words="a run lays a copy of it in front of our rules")
_BACK = Fix(words="nothing, if VRFs are why it was moved; else put it back to priority 0")


def check(case: Case) -> Iterator[Finding]:
    """The first rule of each kind, where our first stands at its place or before it."""
    for family in case.snapshot.families:
        copies = {one.l3mdev: one for one in case.snapshot.rules if one.family is family and comes_first(one)}
        ours = [r.priority for r in case.snapshot.rules if r.family is family and not comes_first(r)]
        kinds: dict[bool, Rule] = {}
        for rule in case.snapshot.foreign_rules:
            if rule.family is family and comes_first(rule):
                kinds.setdefault(rule.l3mdev, rule)
        for rule in kinds.values():
            if ours and rule.priority >= min(ours):
                yield from _behind(rule, min(ours), copies.get(rule.l3mdev))


def _behind(rule: Rule, first: int, copy: Rule | None) -> Iterator[Finding]:
    name = numbered(rule.family, rule.priority)
    what = f"{name}: from all {'l3mdev' if rule.l3mdev else 'lookup local'} stands behind ours"
    what = f"{what} (from {first} on)"
    about = f"{rule.family.value} {rule.priority}"
    if copy is None and rule.l3mdev:
        breaks = "what is in a VRF is looked up in our tables first, and leaves by an uplink"
        yield Finding("vrf-behind", Severity.PROBLEM, about, what, breaks, _RUN)
    elif copy is None:
        breaks = "packets for addresses of this machine are led out of it: none of them answers"
        yield Finding("local-behind", Severity.PROBLEM, about, what, breaks, _RUN)
    elif not rule.l3mdev:
        breaks = f"ours has a copy at {copy.priority}; rules of others that come before both lead such packets away"
        yield Finding("local-behind", Severity.WARNING, about, what, breaks, _BACK)
