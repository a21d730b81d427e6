"""What a look reads beside the uplinks' own: a reader that says what it was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mwan_hook import config
from mwan_hook.kernel import nexthops
from mwan_hook.model import (
    LOCAL_TABLE,
    MAIN_TABLE,
    PROTOCOL,
    Allotment,
    Config,
    Family,
    Lease,
    Nexthop,
    Pool,
    Route,
    Rule,
    Sharing,
    Snapshot,
    State,
    Status,
)
from mwan_hook.routing.uplinks import Bound, Inputs, bind
from mwan_hook.run import details, gateways, look, sharing
from tests.unit import builders as b

V4, V6 = Family.IPV4, Family.IPV6
ON, OFF = Status.ONLINE, Status.OFFLINE
HALF = Route(V4, MAIN_TABLE, "0.0.0.0/1", nexthops=(Nexthop(9),))
LOCAL = Rule(V4, 0, LOCAL_TABLE)


class Asked:
    """A reader that finds one route wherever it is asked."""

    def __init__(self) -> None:
        self.questions: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def answer(*given: Any) -> tuple[Route, ...]:
            self.questions.append((name, *given))
            return (HALF,)

        return answer


def bound(*entries: Any, there: Snapshot, state: State) -> Bound:
    return bind(b.config(*entries), Inputs(there, state, Allotment()))


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        ((), []),
        ((LOCAL,), []),
        ((Rule(V4, 5270, 52),), [("wide", V4, 52)]),
        ((LOCAL, Rule(V4, 5270, 52), Rule(V6, 5270, 53)), [("wide", V4, 52), ("wide", V6, 53)]),
        ((Rule(V4, 5270, 52, src="192.0.2.1"),), []),
    ],
)
def test_tables_that_others_lead_everything_into_are_read(rules: tuple[Rule, ...], asked: list[Any]) -> None:
    reader: Any = Asked()
    assert details._wide(reader, rules) == (HALF,) * len(asked)
    assert reader.questions == asked


@pytest.mark.parametrize(
    ("fiber", "cable", "pieces", "asked"),
    [
        (ON, ON, (), []),
        (OFF, OFF, (), []),
        (ON, OFF, (), [(V4, 3)]),  # one beside another that works
        (OFF, ON, (), [(V4, 2)]),
        (ON, ON, (HALF,), [(V4, 2), (V4, 3)]),  # all beside a tunnel
        (ON, ON, (HALF._replace(family=V6, dst="2000::/3"),), [(V6, 2)]),  # cable has no IPv6
        (OFF, OFF, (HALF,), [(V4, 2), (V4, 3)]),
    ],
)
def test_host_routes_are_read_of_lines_that_they_may_lead_astray_by(
    fiber: Status, cable: Status, pieces: tuple[Route, ...], asked: list[tuple[Family, int]]
) -> None:
    there = b.snapshot("fiber", "cable", families=(V4, V6))._replace(pieces=pieces)
    state = b.state(fiber=fiber, cable=cable)
    entries = b.uplink("fiber"), b.uplink("cable", families=(V4,)), b.uplink("lte")
    state = state._replace(uplinks={n: one._replace(ipv6=one.ipv4) for n, one in state.uplinks.items()})
    reader: Any = Asked()
    uplinks = bound(*entries, there=there, state=state).uplinks
    found = [question for question in asked if question]
    assert list(details._hosts(reader, uplinks, state, there)) == [HALF] * len(found)
    assert reader.questions == [("hosts_of_main", *one) for one in asked]


EQUAL = b.uplink("fiber", metric=100), b.uplink("cable", metric=100)
BACKUP = b.uplink("fiber", metric=100), b.uplink("cable", metric=200)
KNOWN = State(config="print")


@pytest.mark.parametrize(
    ("entries", "nexthops_", "state", "read", "wanted"),
    [
        (EQUAL, Sharing.OBJECTS, KNOWN, True, True),
        (EQUAL, Sharing.ROUTES, KNOWN, False, False),
        (BACKUP, Sharing.OBJECTS, KNOWN, False, False),
        (EQUAL, Sharing.AUTO, KNOWN, True, True),  # not known yet
        (EQUAL, Sharing.AUTO, KNOWN._replace(sharing="objects"), True, True),
        (EQUAL, Sharing.AUTO, KNOWN._replace(sharing="routes"), False, False),
        (EQUAL, Sharing.OBJECTS, KNOWN._replace(sharing="routes"), True, True),  # what `auto` found is no matter then
        (EQUAL, Sharing.AUTO, State(sharing="routes"), True, True),  # asked anew after the configuration changed
        (BACKUP, Sharing.OBJECTS, State(), True, False),  # ours may be left
        (EQUAL, Sharing.ROUTES, KNOWN._replace(objects=True), True, False),
    ],
)
def test_nexthop_objects_are_read_where_one_is_wanted_or_may_be_left(
    monkeypatch: pytest.MonkeyPatch, entries: Any, nexthops_: Sharing, state: State, read: bool, wanted: bool
) -> None:
    there, state = b.snapshot("fiber", "cable"), state._replace(protocols=(99,))
    given = Config(uplinks=entries)
    given = given._replace(routing=given.routing._replace(nexthops=nexthops_))
    calls: list[str] = []

    def pool(_: str, __: object, known: str, ours: Any, taken: Any) -> Pool:
        calls.append(known)
        return Pool(True, ours, taken)

    monkeypatch.setattr(sharing, "pool", pool)
    monkeypatch.setattr(
        nexthops, "decoded", lambda objects, protocols: (tuple(sorted(protocols)), frozenset({len(objects)}))
    )
    reader: Any = Asked()
    loaded = config.Loaded(given, (), "print", (), "/")
    found = details._pool(reader, loaded, bound(*entries, there=there, state=state), state, there)
    assert (found is not None, [one[0] for one in reader.questions]) == (read, ["objects"] * read)
    assert calls == ([state.sharing if state.config else ""] if wanted else [])
    if found:
        assert (found.use, found.taken, found.own) == (wanted, frozenset({1}), 999)
        assert str(found.ours) == f"(99, {PROTOCOL})", "of earlier numbers too"


@pytest.mark.parametrize(
    ("table", "commands", "fingerprint", "looked"),
    [(False, (), "print", False), (True, (), "print", True), (False, ("x",), "print", True), (False, (), "old", True)],
)
def test_our_nft_table_is_looked_for_where_one_is_wanted_known_or_may_be_left(
    monkeypatch: pytest.MonkeyPatch, table: bool, commands: tuple[str, ...], fingerprint: str, looked: bool
) -> None:
    from mwan_hook.kernel import nft

    monkeypatch.setattr(nft, "look", lambda known: known)
    given = Config()
    given = given._replace(router=given.router._replace(pin=table))
    state = State(config=fingerprint)
    state = state._replace(firewall=state.firewall._replace(commands=commands))
    found = details._firewall(config.Loaded(given, (), "print", (), "/"), state)
    assert found == (state.firewall if looked else None)


@pytest.mark.parametrize(
    ("lease", "gateway"),
    [
        (Lease("192.168.4.254"), "192.168.4.254"),  # networkd's
        (Lease(servers=("9.9.9.9",)), "192.168.4.1"),
        (Lease(), "192.168.4.1"),
    ],
)
def test_another_client_s_lease_is_read_where_networkd_has_none(tmp_path: Path, lease: Lease, gateway: str) -> None:
    path = tmp_path / "var/lib/dhcp/dhclient.lte.leases"
    path.parent.mkdir(parents=True)
    path.write_text('lease {\n  interface "lte";\n  fixed-address 192.168.4.2;\n  option routers 192.168.4.1;\n}\n')
    there = b.snapshot("fiber", "lte")._replace(defaults=(b.foreign("fiber", 100),))
    config = b.config(b.uplink("fiber"), b.uplink("lte"))
    around = Inputs(there, State(), Allotment(), lease=lambda _: lease)
    reader: Any = Silent()
    _, found = gateways.settled(reader, str(tmp_path), config, around, bind(config, around), 0.0)
    assert [up.ipv4.gateway for up in found.uplinks] == ["192.168.2.1", gateway]


class Silent:
    """A reader that finds no default in any table."""

    def defaults_elsewhere(self, *_: object) -> tuple[Route, ...]:
        return ()


@pytest.mark.parametrize(("managed", "penalised"), [("true", {4}), ("false", set())])
def test_only_a_high_metric_asks_who_set_it(tmp_path: Path, managed: str, penalised: set[int]) -> None:
    path = tmp_path / "run/NetworkManager/devices/4"
    path.parent.mkdir(parents=True)
    path.write_text(f"[device]\nmanaged={managed}\nconnection-uuid=1-2\n")
    there = b.snapshot("fiber", "lte")
    assert look._penalised(str(tmp_path), there) == set()
    there = there._replace(defaults=(b.foreign("fiber", 20100), b.foreign("lte", 20000)))
    assert look._penalised(str(tmp_path), there) == penalised
