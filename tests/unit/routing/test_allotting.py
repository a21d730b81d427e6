"""Tables and marks where names come and go: who keeps them, who gives way, and what is said when they are short."""

from __future__ import annotations

import pytest

from mwan_hook.doctor.checks import marks as doctormarks
from mwan_hook.doctor.finding import Case, Severity
from mwan_hook.model import (
    MAIN_TABLE,
    Allotment,
    Config,
    Family,
    Link,
    Match,
    Nexthop,
    Route,
    Router,
    Routing,
    Snapshot,
    State,
    UplinkConfig,
    UplinkState,
)
from mwan_hook.routing import allotting
from mwan_hook.routing.allotting import GONE, REMEMBERED
from mwan_hook.routing.uplinks import Bound, Inputs, bind

PHONE = UplinkConfig("phone", (Match("name", "enx*"),))
CABLE = UplinkConfig("cable", (Match("name", "eth7"),))
MASK = 0x500  # room for 3


def there(*names: str) -> Snapshot:
    return Snapshot(links=tuple(Link(10 + place, name, True, True) for place, name in enumerate(names)))


def plugged(name: str, before: Bound | None = None, uplinks: tuple[UplinkConfig, ...] = (CABLE, PHONE)) -> Bound:
    """The cable and one phone, in the boot and with the memory of what was before."""
    config = Config(Routing(mark_mask=MASK), uplinks=uplinks, router=Router(pin=True))
    known = {u.name: UplinkState(u.interface, u.index) for u in before.uplinks} if before else {}
    around = Inputs(there("eth7", name), State(uplinks=known), before.allotment if before else Allotment())
    return bind(config, around)


def marks(found: Bound) -> dict[str, int]:
    return {uplink.name: uplink.mark for uplink in found.uplinks if uplink.present}


@pytest.mark.parametrize("uplinks", [(CABLE, PHONE), (PHONE, CABLE)])
def test_the_hundredth_name_gets_a_mark_and_the_cable_keeps_its_own(uplinks: tuple[UplinkConfig, ...]) -> None:
    found = plugged("enx0", uplinks=uplinks)
    cable = marks(found)["cable"]
    for place in range(1, 100):
        found = plugged(f"enx{place}", found, uplinks)
        assert marks(found)["cable"] == cable
        assert marks(found)[f"phone@enx{place}"] not in (0, cable)
        assert found.short == ()
        assert len(set(found.allotment.marks.values())) == len(found.allotment.marks) <= 3


def test_who_was_there_longest_ago_gives_its_mark() -> None:
    found = plugged("enx1")
    kept = marks(found)["phone@enx1"]
    found = plugged("enx1", plugged("enx2", found))  # back again, so 2 is older
    assert set(plugged("enx3", found).allotment.marks) == {"cable", "phone@enx1", "phone@enx3"}
    assert marks(plugged("enx1", plugged("enx3", found)))["phone@enx1"] == kept


def test_a_cable_that_is_not_there_keeps_its_mark() -> None:
    config = Config(Routing(mark_mask=0x100), uplinks=(CABLE, PHONE))
    found = bind(config, Inputs(there("enx1"), State(), Allotment()))
    assert {uplink.name: uplink.mark for uplink in found.uplinks} == {"cable": 0x100, "phone@enx1": 0}
    assert "none for uplinks phone@enx1" in found.short[0]


def test_without_a_configuration_names_come_and_go_too() -> None:
    found = Bound((), Allotment())
    for place in range(40):
        known = {u.name: UplinkState(u.interface, u.index) for u in found.uplinks}
        snapshot = there("eth7", f"usb{place}")
        defaults = tuple(
            Route(Family.IPV4, MAIN_TABLE, nexthops=(Nexthop(link.index, "10.0.0.1"),), protocol=16)
            for link in snapshot.links
        )
        state = State(uplinks=known)
        config = Config(Routing(mark_mask=MASK))
        found = bind(config, Inputs(snapshot._replace(defaults=defaults), state, found.allotment))
        assert all(uplink.mark for uplink in found.uplinks if uplink.present)
    assert len(found.uplinks) == 2 + GONE


def test_what_is_gone_is_known_for_a_while_and_not_for_ever() -> None:
    found = plugged("enx0")
    for place in range(1, 3 * GONE):
        found = plugged(f"enx{place}", found)
    names = [uplink.name for uplink in found.uplinks if not uplink.present]
    assert len(names) == GONE
    assert names == sorted(f"phone@enx{place}" for place in range(2 * GONE - 1, 3 * GONE - 1))


def test_the_same_names_again_leave_the_allotment_as_it_is() -> None:
    found = plugged("enx2", plugged("enx1"))
    again = plugged("enx2", found)
    assert again.allotment == found.allotment
    assert again.allotment.seen[-1] == "phone@enx2"


def test_numbers_of_names_that_are_gone_are_bounded() -> None:
    names = [f"phone@enx{place}" for place in range(REMEMBERED + 50)]
    old = Allotment({name: 2000 + place for place, name in enumerate(names)}, seen=tuple(names))
    config = Config(Routing(mark_mask=MASK), uplinks=(CABLE, PHONE))
    kept = bind(config, Inputs(there("eth7", "enx0"), State(), old)).allotment
    assert {"cable", "phone@enx0"} < set(kept.tables)
    assert len(kept.tables) == REMEMBERED + 2
    assert set(kept.seen) <= {*kept.tables}
    assert "phone@enx1" not in kept.tables


def test_more_uplinks_than_marks_have_tables_and_the_rest_is_said() -> None:
    uplinks = tuple(UplinkConfig(f"w{n}", (Match("name", f"w{n}"),)) for n in range(70))
    found = bind(Config(uplinks=uplinks), Inputs(there(*(f"w{n}" for n in range(70))), State(), Allotment()))
    assert sum(bool(uplink.mark) for uplink in found.uplinks) == allotting.room(0x3F00) == 63
    assert len({uplink.table for uplink in found.uplinks}) == 70
    assert found.short == (
        "[routing] mark_mask = 0x3f00 has room for 63 marks and none for uplinks w63, w64, w65 and 4 more: "
        "nothing can lead packets there by a mark",
    )
    (finding,) = doctormarks.check_room(Case(Config(uplinks=uplinks, router=Router(pin=True)), found.uplinks))
    assert (finding.code, finding.severity) == ("marks-short", Severity.WARNING)
    assert "w63, w64" in finding.what
    assert "0xff00" in finding.fix.words
