"""What counts connections and answers, from values alone."""

from __future__ import annotations

from mwan_hook.firewall import evidence, table
from mwan_hook.model import Allotment, Config, Family, Router, Snapshot, Status, Uplink
from mwan_hook.routing.uplinks import Inputs
from tests.unit import builders as b

BOTH = (Family.IPV4, Family.IPV6)
ALL = b.state(fiber=Status.ONLINE, lte=Status.ONLINE)


def config(word: str = "traffic", pin: bool = False) -> Config:
    entries = b.uplink("fiber", metric=100), b.uplink("lte", metric=200)
    return b.config(*entries)._replace(router=Router(pin=pin, evidence=word))


def uplinks(made: Config, snapshot: Snapshot) -> tuple[Uplink, ...]:
    return b.bound(made, Inputs(snapshot, ALL, Allotment())).uplinks


def commands(made: Config, snapshot: Snapshot, known: tuple[str, ...] = ()) -> tuple[str, ...]:
    state = ALL._replace(firewall=ALL.firewall._replace(commands=known))
    return table.wanted(made, uplinks(made, snapshot), state, snapshot, ())


def test_each_family_of_each_uplink_has_its_counters_which_are_there_before_the_rules() -> None:
    snapshot = b.snapshot("fiber", "lte", families=BOTH)
    lines = commands(config(), snapshot)
    made = [line.split()[-1] for line in lines if line.startswith("add counter")]
    used = [line.split()[-1] for line in lines if " counter name " in line]
    assert sorted(made) == sorted(used) and len({*made}) == 8
    assert made == evidence.counters(uplinks(config(), snapshot))
    assert max(n for n, line in enumerate(lines) if line.startswith("add counter")) < min(
        n for n, line in enumerate(lines) if line.startswith("add chain")
    )
    for line in lines:
        assert (" oifname " in line) is ("counter name begun" in line)
        assert (" iifname " in line) is ("counter name answered" in line)


def test_it_makes_the_table_by_itself_and_stands_beside_what_else_is_wanted() -> None:
    snapshot = b.snapshot("fiber", "lte", families=BOTH)
    assert commands(config("no"), snapshot) == () and config().firewall and not config("no").firewall
    alone, both, pinned = (commands(made, snapshot) for made in (config(), config(pin=True), config("no", pin=True)))
    assert {*alone, *pinned} == {*both}


def test_the_uplinks_own_networks_do_not_count_and_are_remembered_while_it_is_away() -> None:
    snapshot = b.snapshot("fiber", "lte", families=BOTH)
    known = commands(config(), snapshot)
    near = [line for line in known if "addr != { " in line]
    assert len(near) == 8
    assert all("fe80::/10" in line for line in near if " ip6 " in line)
    gone = snapshot._replace(addresses=())
    assert commands(config(), gone, known) == known
    bare = commands(config(), gone)
    assert not any("addr != { " in line for line in bare) and len(bare) == len(known)


def test_counting_alone_marks_nothing() -> None:
    assert config().firewall and not config().steers
    assert config(pin=True).steers and config("no", pin=True).steers
    assert not any(" set " in line for line in commands(config(), b.snapshot("fiber", "lte", families=BOTH)))
