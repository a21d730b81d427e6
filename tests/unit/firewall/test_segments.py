"""What our nft table says of the size of segments, from values alone."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.firewall import segments, table
from mwan_hook.model import Allotment, Config, Family, Firewall, Nat6, Policy, Router, Snapshot, State, Status
from mwan_hook.routing.uplinks import Inputs
from tests.unit import builders as b

V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)
ALL = b.state(fiber=Status.ONLINE, lte=Status.ONLINE)


def seen(families: tuple[Family, ...] = BOTH, **sizes: int) -> Snapshot:
    """Fiber and LTE with these MTUs, IPv6's own in `fiber6` and `lte6`; 1500 else."""
    found = b.snapshot("fiber", "lte", families=families)
    links = tuple(one._replace(mtu=sizes.get(one.name, 1500)) for one in found.links)
    return found._replace(links=links, mtu6={b.NAMES[n]: sizes[f"{n}6"] for n in ("fiber", "lte") if f"{n}6" in sizes})


def config(mss: int | None = None, **router: Any) -> Config:
    entries = b.uplink("fiber", metric=100), b.uplink("lte", metric=200)
    return b.config(*entries)._replace(router=Router(**{"pin": True, **router}, mss=mss))


def commands(made: Config, snapshot: Snapshot, state: State = ALL) -> tuple[str, ...]:
    bound = b.bound(made, Inputs(snapshot, state, Allotment()))
    return table.wanted(made, bound.uplinks, state, snapshot, bound.policies)


def lowered(lines: tuple[str, ...]) -> dict[tuple[str, str], list[int]]:
    """The size for what comes in and for what goes out, by interface and family."""
    found: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        words = line.split()
        if words[4:5] == [segments.CHAIN] and "nfproto" in words:
            way, name, _, _, family, *_, size = words[5:]
            assert words[-5:] == ["option", "maxseg", "size", "set", size]
            assert f"tcp option maxseg size > {size} " in line  # a smaller one stays
            assert way == ("iifname", "oifname")[len(found.get((name.strip('"'), family), ()))]
            found.setdefault((name.strip('"'), family), []).append(int(size))
    return found


@pytest.mark.parametrize(
    ("mss", "sizes", "expected"),
    [
        (None, {}, {}),
        (None, {"fiber": 9000}, {}),
        (None, {"fiber": 0}, {}),  # an MTU that is not known
        (None, {"fiber": 1492}, {("fiber", V4): 1452, ("fiber", V6): 1432}),
        (None, {"lte": 1499, "fiber": 1280}, {("fiber", V4): 1240, ("fiber", V6): 1220, ("lte", V4): 1459,
                                              ("lte", V6): 1439}),
        (None, {"lte": 1279}, {("lte", V4): 1239}),  # no IPv6 on such a link
        (None, {"lte6": 1480}, {("lte", V6): 1420}),  # as the router advertises
        (None, {"lte": 1400, "lte6": 1480}, {("lte", V4): 1360, ("lte", V6): 1340}),
        (0, {"fiber": 1400}, {}),
        (1300, {}, dict.fromkeys([(name, family) for name in ("fiber", "lte") for family in BOTH], 1300)),
        (1300, {"fiber": 1330}, {("fiber", V4): 1290, ("fiber", V6): 1270, ("lte", V4): 1300, ("lte", V6): 1300}),
    ],
)  # fmt: skip
def test_both_directions_are_lowered_to_what_the_uplink_takes(
    mss: int | None, sizes: dict[str, int], expected: dict[tuple[str, Family], int]
) -> None:
    lines = commands(config(mss), seen(BOTH, **sizes))
    assert lowered(lines) == {(name, family.value): [size, size] for (name, family), size in expected.items()}
    chain = f"add chain inet mwan_hook {segments.CHAIN} {{ type filter hook forward priority -145; policy accept; }}"
    assert (chain in lines) == bool(expected)


def test_only_families_that_the_kernel_has_are_named() -> None:
    assert set(lowered(commands(config(), seen((V4,), fiber=1400)))) == {("fiber", "ipv4")}


def test_the_mtu_of_the_uplinks_own_default_counts() -> None:
    there = seen(lte=1450)
    default = tuple(one._replace(mtu=1380) if one.family is V4 else one for one in there.defaults)
    found = lowered(commands(config(), there._replace(defaults=default)))
    assert {key: sizes[0] for key, sizes in found.items()} == {
        ("fiber", "ipv4"): 1340,
        ("lte", "ipv4"): 1340,
        ("lte", "ipv6"): 1390,
    }


def test_it_joins_a_table_that_only_counts() -> None:
    assert any("maxseg" in line for line in commands(config(1300, pin=False, evidence="traffic"), seen(BOTH)))


@pytest.mark.parametrize("mss", [None, 1300])
def test_it_makes_no_table_by_itself(mss: int | None) -> None:
    made = config(mss, pin=False)
    assert not made.firewall
    assert commands(made, seen(fiber=1400)) == ()
    deprecating = config(mss, pin=False, deprecate_prefixes=True)
    assert deprecating.firewall
    assert commands(deprecating, seen(fiber=1400)) == ()  # as long as there is nothing to deprecate


@pytest.mark.parametrize(
    ("router", "policies"),
    [
        ({"pin": True}, ()),
        ({"masquerade": BOTH}, ()),
        ({"nat6": Nat6.MASQUERADE}, ()),
        ({}, (Policy("calls", order=b.order("lte"), dscp=(46,)),)),
    ],
)
def test_it_joins_a_table_that_is_there_for_anything(router: dict[str, Any], policies: tuple[Policy, ...]) -> None:
    made = config(**{"pin": False, **router})._replace(policies=policies)
    assert ("lte", "ipv4") in lowered(commands(made, seen(lte=1400)))


@pytest.mark.parametrize("mss", [None, 1300])
def test_an_uplink_that_is_away_keeps_what_it_had(mss: int | None) -> None:
    """A line that is dialled anew needs no other table."""
    whole = commands(config(mss), seen(lte=1492))
    gone = b.snapshot("fiber", families=BOTH)
    gone = gone._replace(links=(gone.links[0]._replace(mtu=1500),))
    known = ALL._replace(firewall=Firewall(7, "digest", whole))
    assert lowered(commands(config(mss), gone, known)) == lowered(whole)
    if mss is None:
        assert commands(config(mss), gone, known) == whole
        assert lowered(commands(config(mss), gone)) == {}
    assert lowered(commands(config(0), gone, known)) == {}


def test_a_default_that_is_gone_takes_its_mtu_with_it_and_the_rules_stay() -> None:
    """Carrier loss withdraws it: a failover, and the way back, change routes and not the table."""
    there = seen()
    small = there._replace(defaults=tuple(one._replace(mtu=1380) for one in there.defaults))
    whole = commands(config(), small)
    known = ALL._replace(firewall=Firewall(7, "digest", whole))
    assert len(lowered(whole)) == 4
    assert commands(config(), there._replace(defaults=()), known) == whole


def test_a_link_that_takes_more_or_less_than_before_leads_to_another_table() -> None:
    before = commands(config(), seen(lte=1400))
    known = Firewall(7, "digest", before)
    memory = ALL._replace(firewall=known)
    assert table.difference(commands(config(), seen(lte=1400), memory), known, known) == ()
    for size in (1500, 1480, 1380):
        after = commands(config(), seen(lte=size), memory)
        assert table.difference(after, known, known)


def test_a_name_that_nft_would_misread_is_told_by_its_index() -> None:
    entries = (b.uplink("fiber", metric=100),)
    there = b.snapshot("fiber")
    odd = there._replace(links=(there.links[0]._replace(name='a"b', mtu=1400),))
    made = b.config(entries[0]._replace(match=(entries[0].match[0]._replace(glob='a"b'),)))
    lines = commands(made._replace(router=Router(pin=True)), odd)
    assert any(f" {segments.CHAIN} iif 2 meta nfproto ipv4 " in line for line in lines)
