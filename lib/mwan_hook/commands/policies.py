"""Policies in ``mwan-hook status``."""

from __future__ import annotations

from mwan_hook import columns
from mwan_hook.columns import Table
from mwan_hook.model import FAMILIES, Family, State
from mwan_hook.policy import order
from mwan_hook.policy.policies import BoundPolicy, via
from mwan_hook.policy.selectors import families, size
from mwan_hook.run.scene import Judged

HEADER = ("POLICY", "UPLINKS", "IPV4", "IPV6", "FALLBACK")


def table(judged: Judged) -> Table:
    """A table below that of the uplinks."""
    return columns.plain(HEADER, [_row(course, judged.state) for course in judged.scene.bound.policies])


def _row(course: BoundPolicy, state: State) -> tuple[str, ...]:
    policy = course.policy
    cells = (_cell(course, family, state) for family in FAMILIES)
    return (policy.name, order.text(policy), *cells, policy.fallback.value)


def _cell(course: BoundPolicy, family: Family, state: State) -> str:
    if family not in families(course.policy):
        return "-"
    return order.SHARING.join(via(course, family, state)) or f"({course.policy.fallback.value})"


def document(judged: Judged) -> dict[str, object]:
    """``policies`` of ``status --json``."""
    return {course.policy.name: _policy(course, judged.state) for course in judged.scene.bound.policies}


def _policy(course: BoundPolicy, state: State) -> dict[str, object]:
    carrying = {family: list(via(course, family, state)) for family in families(course.policy)}
    return {
        "uplinks": list(course.policy.uplinks),
        "order": [list(entry) for entry in course.policy.order],
        "via": list(dict.fromkeys(name for names in carrying.values() for name in names)),
        **{family.value: _family(course, family, carrying) for family in FAMILIES},
        "sticky": course.policy.sticky,
        "mark": course.mark or None,
        "fallback": course.policy.fallback.value,
        "priority": course.priority,
        "table": course.table if course.shared else None,
    }


def _family(course: BoundPolicy, family: Family, carrying: dict[Family, list[str]]) -> dict[str, object] | None:
    """What becomes of the packets of a family; None where the policy chooses none of it."""
    if family not in carrying:
        return None
    rules = len(course.marks) if course.policy.by_marks else size(course.policy, family)
    return {"via": carrying[family], "rules": rules}
