"""A line that is dead when it is first seen is told as offline, once, when that is certain."""

from __future__ import annotations

import pytest

from mwan_hook.model import Address, Connectivity, Family, Link, Status, Way
from mwan_hook.verdict.events import transitions
from tests.unit.verdict.test_only_way import Site
from tests.unit.verdict.verdicts import FULL, LIMITED, PORTALLED


class Told(Site):
    """A site, and each word that was said of a verdict: uplink, family, old and new."""

    def __init__(self, count: int = 1, **settings: object) -> None:
        super().__init__(count, **settings)
        self.told: list[tuple[str, str, str, str]] = []

    def run(self, at: float, **rounds: Connectivity) -> list[str]:
        before = self.state
        online = super().run(at, **rounds)
        for one in transitions(before, self.state, at):
            if one.event in ("online", "offline") and one.family:
                self.told.append((one.uplink, one.family.value, one.old, one.new))
        return online

    def switch(self, enabled: bool) -> None:
        self.uplinks["dsl"] = self.uplinks["dsl"]._replace(enabled=enabled)


DEAD = ("dsl", "ipv4", "unknown", "offline")


@pytest.mark.parametrize("word", [LIMITED, PORTALLED])
@pytest.mark.parametrize("fall", [1, 3])
def test_what_probes_find_dead_is_told_after_as_many_rounds_as_an_online_one_is_given(
    word: Connectivity, fall: int
) -> None:
    site = Told(fall=fall)
    for at in range(fall):
        assert site.told == []
        site.run(at, dsl=word)
    assert site.told == [DEAD]
    site.run(10, dsl=word)
    site.run(20, dsl=FULL)
    site.run(30, dsl=word)
    assert site.told[:2] == [DEAD, ("dsl", "ipv4", "offline", "online")]
    assert [old for _, _, old, _ in site.told].count("unknown") == 1
    assert site.memory("dsl").transitions == 0, "counted where a run stores it"


def test_a_first_round_that_is_lost_tells_nothing() -> None:
    site = Told()
    site.run(0, dsl=LIMITED)
    site.run(1, dsl=FULL)
    assert site.told == [("dsl", "ipv4", "offline", "online")]


def test_a_link_without_address_is_given_a_minute() -> None:
    site = Told()
    site.lose("dsl", "no address")
    for at in (0, 30, 59.9):
        site.run(at)
    assert site.told == []
    site.run(60)
    site.run(70)
    assert site.told == [DEAD]
    site.lose("dsl", "")
    site.run(80, dsl=FULL)
    assert site.told[1:] == [("dsl", "ipv4", "offline", "online")]


def test_an_address_that_comes_in_time_is_no_outage() -> None:
    site = Told()
    site.lose("dsl", "no address")
    site.run(0)
    site.lose("dsl", "")
    site.run(5, dsl=FULL)
    site.run(100, dsl=FULL)
    assert site.told == [("dsl", "ipv4", "offline", "online")]


def test_what_never_appeared_or_is_switched_off_is_not_known_to_be_dead() -> None:
    site = Told()
    site.uplinks["dsl"] = site._uplink("dsl", 1, "interface is gone")._replace(index=0, link=None)
    site.run(0)
    site.run(3600)
    site.uplinks["dsl"] = site._uplink("dsl", 1)
    site.switch(enabled=False)
    site.run(3700)
    site.run(7200)
    assert site.told == []
    site.switch(enabled=True)
    for at in (7300, 7301, 7302):
        site.run(at, dsl=LIMITED)
    assert site.told == [DEAD]


def test_a_link_that_comes_long_after_the_boot_is_given_its_minute_too() -> None:
    site = Told()
    site.uplinks["dsl"] = site._uplink("dsl", 1, "interface is gone")._replace(index=0, link=None)
    site.run(0)
    site.uplinks["dsl"] = site._uplink("dsl", 1, "no address")
    for at in (3600, 3659):
        site.run(at)
        assert site.told == []
    site.run(3660)
    assert site.told == [DEAD]


@pytest.mark.parametrize(
    ("families", "ipv4", "ipv6", "told"),
    [
        ((Family.IPV4, Family.IPV6), "no address", "no address", "ipv4"),
        ((Family.IPV6,), "ipv4 is not used", "no gateway", "ipv6"),
        ((Family.IPV6, Family.IPV4), "no gateway", "no address", "ipv4"),
        ((Family.IPV4, Family.IPV6), "no address", "", ""),  # a line of IPv6 alone
        ((Family.IPV4, Family.IPV6), "", "no address", ""),
    ],
)
def test_a_family_that_a_line_does_not_have_is_not_dead(
    families: tuple[Family, ...], ipv4: str, ipv6: str, told: str
) -> None:
    site = Told()
    one = site.uplinks["dsl"]
    own = Address(1, Family.IPV6, "2001:db8:5::2", 64, True)
    site.uplinks["dsl"] = one._replace(
        link=Link(1, "eth1", True, True),
        config=one.config._replace(families=families),
        ipv4=one.ipv4._replace(missing=ipv4),
        ipv6=Way(Family.IPV6, (own,), "fe80::1", missing=ipv6),
    )
    for at in (0, 61, 122):
        site.run(at)
    assert [one[1] for one in site.told if one[2:] == ("unknown", "offline")] == ([told] if told else [])


def test_one_that_was_online_is_not_told_of_twice() -> None:
    site = Told(fall=1)
    site.run(0, dsl=FULL)
    site.run(1, dsl=LIMITED)
    site.lose("dsl")
    site.run(2)
    site.run(200)
    site.uplinks["dsl"] = site._uplink("dsl", 2)  # plugged in anew
    site.run(300)
    site.run(301, dsl=LIMITED)
    assert [new for _, _, _, new in site.told] == ["online", "offline"]
    assert site.memory("dsl").status is Status.OFFLINE
