"""Marks of policies: what nft chose for one is led by its mark, and kept on an uplink by a mark of the pair.

The mark of a pair leads to the uplink's table while it is online, and otherwise where the policy's own mark leads, so
that a connection which loses its uplink stays with its policy.  They are taken from the top of ``mark_mask``, where the
marks of uplinks, from its bottom, come last.
"""

from __future__ import annotations

from mwan_hook.model import LOOKUP, Rule
from mwan_hook.routing import priorities
from mwan_hook.routing.allotting import keys
from mwan_hook.routing.rules import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Allotment, Config, Family, Routing, Snapshot, Uplink
    from mwan_hook.policy.policies import BoundPolicy


def allot(
    config: Config, courses: Sequence[BoundPolicy], allotment: Allotment
) -> tuple[tuple[BoundPolicy, ...], Allotment]:
    """The courses with their marks, those of an earlier run where there are any.

    Where marks are short, pairs with uplinks that are gone give theirs up.
    """
    mask = config.routing.mark_mask
    taken = set(allotment.marks.values())
    wanted = [key for course in courses for key in keys(config, course.policy, course.uplinks)]
    gone = {f"{course.policy.name}/{uplink.name}" for course in courses for uplink in course.uplinks if not uplink.link}
    old = allotment.policy_marks
    marks = {key: old[key] for key in wanted if _is_free(old.get(key, 0), mask, config, taken)}
    taken |= set(marks.values())
    for key in sorted(wanted, key=lambda key: ("/" in key, key in gone)):  # without a pair's mark only the pair is lost
        mark = 0 if key in marks else _highest_free(mask, config, taken) or _given_up(marks, gone - {key})
        if mark:
            marks[key] = mark
            taken.add(mark)
    return tuple(_marked(course, marks) for course in courses), allotment._replace(policy_marks=marks)


def _given_up(marks: dict[str, int], gone: set[str]) -> int:
    """A mark of one that is gone; 0 where there is none."""
    return next((marks.pop(key) for key in list(marks) if key in gone), 0)


def _marked(course: BoundPolicy, marks: dict[str, int]) -> BoundPolicy:
    name = course.policy.name
    mark = marks.get(name, 0) if course.policy.marked else 0
    held = ((uplink.name, marks.get(f"{name}/{uplink.name}", 0)) for uplink in course.uplinks) if mark else ()
    return course._replace(mark=mark, held=tuple((uplink, number) for uplink, number in held if number))


def _is_free(mark: int, mask: int, config: Config, taken: set[int]) -> bool:
    """Inside the mask, free, and not what a fixed mark of an uplink means too."""
    if mark == 0 or mark & ~mask or mark in taken:
        return False
    fixed = [(one.mark, mask if one.mask is None else one.mask) for one in config.uplinks if one.mark is not None]
    return not any((mark ^ number) & bits == 0 for number, bits in fixed)


def _highest_free(mask: int, config: Config, taken: set[int]) -> int:
    """0 when there is none."""
    mark = mask
    while mark and not _is_free(mark, mask, config, taken):
        mark = (mark - 1) & mask  # the next lower value inside the mask
    return mark


def held(
    course: BoundPolicy, family: Family, routing: Routing, carrying: Sequence[Uplink], leading: Sequence[Rule]
) -> list[Rule]:
    """Rules that keep sources and connections on their uplinks, and lead own packets before their addresses do."""
    base = routing.rule_priority
    tables = {uplink.name: uplink.table for uplink in carrying}
    kept = {mark: tables[name] for name, mark in course.held if name in tables}
    rules = [
        Rule(family, base + priorities.MARKS, table, mark=mark, mask=routing.mark_mask) for mark, table in kept.items()
    ]
    if course.policy.marks_own:
        own = [rule._replace(priority=base + priorities.OWN_MARKS, iif=LOOPBACK) for rule in leading]
        rules += [rule._replace(table=kept.get(rule.mark or 0, rule.table)) for rule in own]
    return rules


def left(course: BoundPolicy, family: Family, snapshot: Snapshot) -> list[Rule]:
    """Rules of an earlier run, for a family that has no verdicts yet."""
    other = (course.priority, course.priority + 1)
    ours = [rule for rule in snapshot.rules if rule.family is family and rule.mark in course.marks]
    return [rule for rule in ours if rule.priority not in other and rule.action == LOOKUP]
