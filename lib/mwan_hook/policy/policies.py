"""Policies: which of their uplinks carries the packets that they choose, by rules that the kernel has words for.

A policy that lists one uplink leads to that uplink's table.  One that lists more has a table of its own: the first
entry of the list that has any online, all of those by weight, and below them a plain default for each uplink, so that
the kernel has the next way when a device vanishes.  Nothing else is in it: what it cannot carry goes on to the next
rule.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import RESERVED_TABLES, Config, Fallback, Family, Policy, Route, Routing, Rule, Snapshot, State
from mwan_hook.policy.selectors import families, selected
from mwan_hook.routing import priorities
from mwan_hook.routing.allotting import free_table
from mwan_hook.routing.desired import stacked
from mwan_hook.routing.rules import LOOPBACK, main_first, tagged
from mwan_hook.verdict.standing import is_online, only_drained, recovering, taking, unjudged, uses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mwan_hook.model import Allotment, Uplink
    from mwan_hook.routing.desired import Desired
    from mwan_hook.routing.uplinks import Bound

MOST = (priorities.POLICIES_END - priorities.POLICIES + 1) // priorities.EACH_POLICY


class BoundPolicy(NamedTuple):
    """A policy bound to what is plugged in.  ``table`` 0: it never needed one."""

    policy: Policy
    priority: int
    tiers: tuple[tuple[Uplink, ...], ...]  # by preference, those that share in one
    table: int = 0
    mark: int = 0  # of what nft chose for it; 0: it needs none
    held: tuple[tuple[str, int], ...] = ()  # uplinks, and the mark of what keeps to one

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        """All that it lists and that there are, by preference."""
        return tuple([uplink for tier in self.tiers for uplink in tier])

    @property
    def marks(self) -> tuple[int, ...]:
        """All that packets of it may have."""
        return (self.mark, *(mark for _, mark in self.held))

    @property
    def shared(self) -> bool:
        """Whether there is anything to choose from."""
        return len(self.uplinks) > 1

    def carrying(self, online: Sequence[Uplink]) -> tuple[Uplink, ...]:
        """Uplinks of the best tier that are among ``online``, where any are."""
        names = {uplink.name for uplink in online}
        return next(filter(None, (tuple(u for u in tier if u.name in names) for tier in self.tiers)), ())

    def better(self, than: Uplink) -> tuple[Uplink, ...]:
        """All of the tiers before the one of an uplink."""
        place = next(number for number, tier in enumerate(self.tiers) if any(one.name == than.name for one in tier))
        return tuple(uplink for tier in self.tiers[:place] for uplink in tier)


def bound(config: Config, uplinks: Bound) -> Bound:
    """The bound uplinks with the policies, their tables and marks."""
    courses, allotment = bind(config, uplinks.uplinks, uplinks.allotment)
    short = tuple(filter(None, (*uplinks.short, without_mark(courses))))
    return uplinks._replace(allotment=allotment, policies=courses, short=short)


def bind(config: Config, uplinks: Sequence[Uplink], allotment: Allotment) -> tuple[tuple[BoundPolicy, ...], Allotment]:
    """Every policy with its uplinks, and the allotment with tables for those that newly need one."""
    base = config.routing.rule_priority + priorities.POLICIES
    taken = {entry.table for entry in config.uplinks} | {config.routing.default_table, *RESERVED_TABLES}
    taken |= set(allotment.tables.values())
    tables = {name: number for name, number in allotment.policies.items() if number not in taken}
    courses = []
    for place, policy in enumerate(config.policies):
        course = BoundPolicy(policy, base + priorities.EACH_POLICY * place, _listed(policy, uplinks))
        if course.shared and policy.name not in tables:
            tables[policy.name] = free_table(config.routing.first_table, taken | set(tables.values()))
        courses.append(course._replace(table=tables.get(policy.name, 0)))
    allotment = allotment._replace(policies=tables)
    if not allotment.policy_marks and not any(policy.marked for policy in config.policies):
        return tuple(courses), allotment
    from mwan_hook.policy import marks as policymarks

    return policymarks.allot(config, courses, allotment)


def without_mark(courses: Sequence[BoundPolicy]) -> str:
    """What marks are short for, in words."""
    names = [course.policy.name for course in courses if course.policy.marked and not course.mark]
    if not names:
        return ""
    return f"[routing] mark_mask has no mark left for policies {', '.join(names)}: what needs nft is not done for them"


def _listed(policy: Policy, uplinks: Sequence[Uplink]) -> tuple[tuple[Uplink, ...], ...]:
    """A template's name stands for all of its uplinks, which share; what has none plugged in is no tier."""
    tiers = (tuple(u for name in entry for u in uplinks if name in (u.name, u.config.name)) for entry in policy.order)
    return tuple(tier for tier in tiers if tier)


def reordered(
    courses: Sequence[BoundPolicy], before: Sequence[Uplink], now: Sequence[Uplink]
) -> tuple[BoundPolicy, ...]:
    """The policies with the uplinks' preferences of now; uplinks that came to be preferred less are listed last."""
    later = {new.name for old, new in zip(before, now, strict=True) if new != old}
    known = {uplink.name: uplink for uplink in now}
    found = []
    for course in courses:
        tiers = tuple([tuple([known[uplink.name] for uplink in tier]) for tier in course.tiers])
        found.append(_with_last(course._replace(tiers=tiers), lambda uplink: uplink.name in later))
    return tuple(found)


def in_family(course: BoundPolicy, family: Family) -> BoundPolicy:
    """The policy with those last in its list that come after all others in a family."""
    if not any(uplink.behind for uplink in course.uplinks):
        return course
    return _with_last(course, lambda uplink: family in uplink.behind)


def _with_last(course: BoundPolicy, is_last: Callable[[Uplink], bool]) -> BoundPolicy:
    parts = (tuple(u for u in tier if is_last(u) is last) for last in (False, True) for tier in course.tiers)
    return course._replace(tiers=tuple(part for part in parts if part))


def with_policies(
    desired: Desired, courses: Sequence[BoundPolicy], routing: Routing, state: State, snapshot: Snapshot
) -> Desired:
    """What should be in the kernel, with the policies' rules and tables."""
    rules: list[Rule] = []
    routes: list[Route] = []
    for family in snapshot.families:
        own: list[Rule] = []
        for course in courses:
            ways, leading = _routes_and_rules(course, family, routing, state, snapshot)
            routes += ways
            refused = _fallback(course, family, routing)
            early = course.policy.marks_own or (family is Family.IPV6 and not leading)
            own += [*leading, *refused, *(_early(refused, routing) if early else ())]
        if own:  # also where no uplink knows the family
            own += main_first(family, routing, snapshot)
        rules += [rule._replace(protocol=routing.protocol) for rule in own]
    wanted = dict.fromkeys((*desired.rules, *rules))
    return desired._replace(
        rules=tuple(sorted(wanted, key=lambda rule: rule.priority)), policies=tagged(routes, routing)
    )


def _routes_and_rules(
    course: BoundPolicy, family: Family, routing: Routing, state: State, snapshot: Snapshot
) -> tuple[Sequence[Route], list[Rule]]:
    """Routes of its own table and the rules that lead to them; without verdicts those that an earlier run left."""
    course = in_family(course, family)
    selectors = [rule._replace(priority=course.priority) for rule in _chosen(course, family, routing)]
    carrying = online(course, family, state)
    drained = [uplink for uplink in _online(course, family, state) if uplink not in carrying]
    if carrying:
        table = course.table if course.shared else carrying[0].table
        ways = stacked(family, course.table, carrying, course.carrying(carrying)) if course.shared else []
        leading = [chosen._replace(table=table) for chosen in selectors]
        return ways, [*leading, *(_held(course, family, routing, [*carrying, *drained], leading) if leading else ())]
    if drained:
        return [], [*_held(course, family, routing, drained, _of_pairs(course, drained, selectors))]
    if not any(unjudged(uplink, family, state) for uplink in course.uplinks):
        return [], []
    there = {rule._replace(table=0, protocol=0): rule for rule in snapshot.rules}
    rules = [there[bare] for chosen in selectors if (bare := chosen._replace(protocol=0)) in there]
    if course.mark:
        from mwan_hook.policy import marks as policymarks

        rules += policymarks.left(course, family, snapshot)
    led = {rule.table for rule in rules}
    return [route for route in snapshot.policies if route.family is family and route.table in led], rules


def _held(
    course: BoundPolicy, family: Family, routing: Routing, keeping: Sequence[Uplink], leading: Sequence[Rule]
) -> Sequence[Rule]:
    """Rules of pairs with uplinks that are online; a drained one keeps what it has."""
    if not course.mark or family not in families(course.policy):
        return ()
    from mwan_hook.policy import marks as policymarks

    return policymarks.held(course, family, routing, keeping, leading)


def _of_pairs(course: BoundPolicy, uplinks: Sequence[Uplink], selectors: Sequence[Rule]) -> list[Rule]:
    """Rules among these that choose what is held to one of the uplinks."""
    if not course.policy.by_marks:
        return []
    names = {uplink.name for uplink in uplinks}
    marks = {mark for name, mark in course.held if name in names}
    return [rule for rule in selectors if rule.mark in marks]


def _fallback(course: BoundPolicy, family: Family, routing: Routing) -> list[Rule]:
    """The fallback's rule, at all times: what the policy's table loses inside the kernel must not leak either."""
    if course.policy.fallback is Fallback.DEFAULT:
        return []
    kind, priority = course.policy.fallback.value, course.priority + 1
    return [one._replace(priority=priority, action=kind) for one in _chosen(course, family, routing)]


def _chosen(course: BoundPolicy, family: Family, routing: Routing) -> Iterator[Rule]:
    """What the policy chooses as rules, without priority and table; what nft chose for it is told by its marks."""
    if not course.policy.by_marks:
        return selected(course.policy, family, routing)
    marks = course.marks if course.mark and family in families(course.policy) else ()
    return (Rule(family, 0, 0, mark=mark, mask=routing.mark_mask) for mark in marks)


def _early(refused: Sequence[Rule], routing: Routing) -> list[Rule]:
    """The refusal before the rules of uplinks' addresses, too: a refused IPv6 lookup is repeated with such a source."""
    priority = routing.rule_priority + priorities.REFUSE_EARLY
    return [rule._replace(priority=priority, iif=LOOPBACK) for rule in refused if rule.iif in (None, LOOPBACK)]


def via(course: BoundPolicy, family: Family, state: State) -> tuple[str, ...]:
    """Names of the uplinks that carry it."""
    return tuple(uplink.name for uplink in in_family(course, family).carrying(online(course, family, state)))


def online(course: BoundPolicy, family: Family, state: State) -> list[Uplink]:
    """The uplinks of its list that can carry it, by preference.

    Where its packets have no other way, no hold keeps out the first one whose last round was good.  What is drained
    carries only while nothing else is online at all.
    """
    found = _online(course, family, state)
    if any(uplink.draining for uplink in found) and not only_drained(family, state):
        found = [uplink for uplink in found if not uplink.draining]
    if found or course.policy.fallback is Fallback.DEFAULT:
        return found
    return taking(uplink for uplink in _able(course, family, state) if recovering(uplink, family, state))[:1]


def _able(course: BoundPolicy, family: Family, state: State) -> list[Uplink]:
    return [uplink for uplink in in_family(course, family).uplinks if uplink.present and uses(uplink, family, state)]


def _online(course: BoundPolicy, family: Family, state: State) -> list[Uplink]:
    return [uplink for uplink in _able(course, family, state) if is_online(uplink, family, state)]
