"""What the kernel must be asked before our rules: local addresses, and the tables of VRFs.

Machines with VRFs move `from all lookup local` behind 1000 (the kernel's documentation of VRFs says so), and the kernel
puts the rule of VRFs behind all that stands at 1000 when the first VRF is made.  Rules of ours that answer everything
must not come before them; so where they stand behind our first rule, a copy of ours stands right in front of it.
"""

from __future__ import annotations

from mwan_hook.model import Family, Rule
from mwan_hook.routing import priorities
from mwan_hook.routing.rules import comes_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Routing, Snapshot
    from mwan_hook.routing.desired import Desired


def with_copies(desired: Desired, routing: Routing, snapshot: Snapshot) -> Desired:
    """What should be in the kernel, with what has to stand before it."""
    rules = list(desired.rules)
    for family in snapshot.families:
        ours = [rule.priority for rule in desired.rules if rule.family is family]
        if ours:
            copies = _copies(_foreign(family, snapshot), routing.rule_priority, min(ours))
            rules += [rule._replace(protocol=routing.protocol) for rule in copies]
    return desired._replace(rules=tuple(rules))


def _foreign(family: Family, snapshot: Snapshot) -> list[Rule]:
    """The first of VRFs and the first of local addresses, in their order; of VRFs also the one that is to come."""
    found = [rule for rule in snapshot.foreign_rules if rule.family is family and comes_first(rule)]
    if snapshot.vrfs:
        found.append(Rule(family, priorities.KERNEL_VRFS, 0, l3mdev=True))
    found.sort(key=lambda rule: rule.priority)
    return list({rule.l3mdev: rule for rule in reversed(found)}.values())[::-1]


def _copies(foreign: Sequence[Rule], base: int, ours: int) -> list[Rule]:
    """Copies of what stands behind ``ours``, our first priority: right before the base, or behind what precedes.

    A copy of the look-up of local addresses stays behind the rule of VRFs where that comes first.
    """
    late = [rule for rule in foreign if rule.priority >= ours]
    early = max((rule.priority for rule in foreign if rule.priority < ours), default=-1)
    place = min(base, ours) - len(late)
    if place <= early:
        place = ours - len(late)
    return [rule._replace(priority=max(place + step, 0)) for step, rule in enumerate(late)]
