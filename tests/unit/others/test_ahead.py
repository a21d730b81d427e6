"""Look-ups of local addresses and VRFs stay in front of our rules, wherever others put them."""

from __future__ import annotations

import pytest

from mwan_hook.model import LOCAL_TABLE, MAIN_TABLE, Config, Family, Op, Rule, Snapshot, Status
from mwan_hook.others import ahead
from mwan_hook.routing.plan import plan
from mwan_hook.routing.rules import needs_copies
from tests.unit import builders as b
from tests.unit.routing.test_desired import desired

V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)
STATE = b.state(fiber=Status.ONLINE)


def local(priority: int, family: Family = V4) -> Rule:
    return Rule(family, priority, LOCAL_TABLE, protocol=2)


def vrfs(priority: int, family: Family = V4) -> Rule:
    return Rule(family, priority, 0, protocol=2, l3mdev=True)


def configured(base: int = 1000, own: int | None = None, first: bool = True) -> Config:
    return b.config(b.uplink("fiber", rule_priority=own), rule_priority=base, main_first=first)


def rules(config: Config, *foreign: Rule, loaded: bool = False) -> tuple[Rule, ...]:
    """All rules of ours in the order in which they are asked."""
    there = b.snapshot("fiber", families=BOTH)._replace(foreign_rules=foreign, vrfs=loaded)
    made = desired(config, there, STATE)
    if needs_copies(there):
        made = ahead.with_copies(made, config.routing, there)
    return tuple(sorted(made.rules, key=lambda rule: rule.priority))


def told(made: tuple[Rule, ...], family: Family = V4) -> list[tuple[int, str]]:
    """The copies, and the first of the others."""
    names = {LOCAL_TABLE: "local", MAIN_TABLE: "main"}
    found = [(r.priority, "vrfs" if r.l3mdev else names.get(r.table, "other")) for r in made if r.family is family]
    first = next(at for at, (_, what) in enumerate(found) if what not in ("vrfs", "local"))
    return found[: first + 1]


def test_where_local_addresses_are_asked_for_first_nothing_is_laid() -> None:
    assert not needs_copies(Snapshot(foreign_rules=(local(0), local(0, V6))))
    assert told(rules(configured(), local(0))) == [(1000, "main")]
    assert told(rules(configured(), local(100))) == [(1000, "main")]
    assert told(rules(configured(), local(0), local(32765))) == [(1000, "main")], "moved by halves"


@pytest.mark.parametrize("place", [1000, 1003, 31000, 32765])
def test_what_stands_behind_ours_has_a_copy_in_front(place: int) -> None:
    made = rules(configured(), local(place), local(0, V6))
    assert told(made) == [(999, "local"), (1000, "main")]
    assert told(made, V6) == [(1000, "main")], "each family on its own"
    assert {rule.protocol for rule in made} == {172}


def test_in_front_of_ours_means_of_the_first_one() -> None:
    assert told(rules(configured(own=640), local(700))) == [(639, "local"), (640, "other")]
    assert told(rules(configured(own=5000), local(4000))) == [(999, "local"), (1000, "main")]
    assert told(rules(configured(own=640, first=False), local(32765))) == [(639, "local"), (640, "other")]
    assert told(rules(configured(first=False), local(32765))) == [(999, "local"), (1100, "other")]
    assert told(rules(configured(base=1), local(32765))) == [(0, "local"), (1, "main")]


def test_one_with_a_selector_is_another_matter() -> None:
    for narrow in ({"iif": "lo"}, {"mark": 1, "mask": 1}, {"inverted": True}, {"narrowed": True}):
        assert told(rules(configured(), local(32765)._replace(**narrow))) == [(1000, "main")]


def test_ours_make_way_for_a_rule_of_vrfs_at_their_base() -> None:
    assert told(rules(configured(), local(0), vrfs(1000))) == [(1001, "main")]
    assert told(rules(configured(), local(0), vrfs(1000)), V6) == [(1000, "main")]
    assert told(rules(configured(base=2000), local(0), vrfs(1000))) == [(2000, "main")]
    assert told(rules(configured(base=1000), local(0), vrfs(1500))) == [(999, "vrfs"), (1000, "main")]
    assert told(rules(configured(own=640), local(0), vrfs(1000)))[:2] == [(639, "vrfs"), (640, "other")]


def test_where_vrfs_can_come_their_rule_is_there_before_them() -> None:
    """The kernel puts its own behind ours at 1000, when the first is made."""
    assert told(rules(configured(), local(0), loaded=True)) == [(999, "vrfs"), (1000, "main")]
    assert told(rules(configured(base=1001), local(0), loaded=True)) == [(1001, "main")]
    assert told(rules(configured(), local(0), vrfs(1000), loaded=True)) == [(1001, "main")]


def test_vrfs_and_local_addresses_keep_their_order() -> None:
    assert told(rules(configured(), vrfs(1000), local(32765))) == [(1000, "local"), (1001, "main")]
    assert told(rules(configured(first=False), vrfs(1000), local(32765)))[0] == (1099, "local")
    assert told(rules(configured(base=50), local(100), vrfs(1000))) == [(48, "local"), (49, "vrfs"), (50, "main")]
    assert told(rules(configured(base=50), vrfs(60), local(100))) == [(48, "vrfs"), (49, "local"), (50, "main")]
    assert told(rules(configured(), vrfs(1000), local(1001))) == [(1000, "local"), (1001, "main")]


def test_the_copy_comes_before_all_others_and_goes_after_them() -> None:
    config, moved = configured(), (local(32765),)
    there = b.snapshot("fiber")._replace(foreign_rules=moved)
    wanted = ahead.with_copies(desired(config, there, STATE), config.routing, there)
    put = [one.what for one in plan(config.routing, wanted, there) if isinstance(one.what, Rule)]
    assert put[0] == Rule(V4, 999, LOCAL_TABLE)
    assert [rule.priority for rule in put] == sorted(rule.priority for rule in put)
    nothing = wanted._replace(rules=())
    gone = plan(config.routing, nothing, there._replace(rules=wanted.rules))
    out = [one.what for one in gone if isinstance(one.what, Rule) and one.op is Op.DELETE]
    assert out[-1] == Rule(V4, 999, LOCAL_TABLE)
    assert out == list(reversed(put))


def test_another_base_never_leaves_a_moment_without_it() -> None:
    there = b.snapshot("fiber")._replace(foreign_rules=(local(32765),))
    old, new = (
        ahead.with_copies(desired(config, there, STATE), config.routing, there)
        for config in (configured(), configured(500))
    )
    standing = list(old.rules)
    for change in plan(configured(500).routing, new, there._replace(rules=old.rules)):
        if isinstance(change.what, Rule):
            (standing.append if change.op is Op.ADD else standing.remove)(change.what)
            assert min(standing, key=lambda rule: rule.priority).table == LOCAL_TABLE
    assert set(standing) == set(new.rules)
