"""What is stored is held against what a run of ours can have stored, before it leads to the kernel or names a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook import credible
from mwan_hook.config.values import protocol
from mwan_hook.model import (
    Allotment,
    Delegated,
    Family,
    Nexthop,
    Notice,
    OnLink,
    PathManager,
    Route,
    State,
    Sysctl,
    UplinkState,
    Usage,
)
from mwan_hook.store import codec, files, outbox, state

LINKDOWN = "net/ipv4/conf/eth1/ignore_routes_with_linkdown"
HOP = Nexthop(3, "192.0.2.1")
FOREIGN = Route(Family.IPV4, 254, metric=100, nexthops=(HOP,), protocol=16)
FOREIGN6 = FOREIGN._replace(family=Family.IPV6, nexthops=(Nexthop(3, "fe80::1"),))
NOTICE = Notice("00000000000000000012-0000", "online")


def gateway(address: str | None) -> State:
    return State(foreign=(FOREIGN._replace(nexthops=(Nexthop(3, address),)),))


STATES = [
    *(State(protocols=(172, number)) for number in (0, 2, 4, 16, 256, 999)),
    *(State(tables=(number,)) for number in (0, 253, 255, 1 << 32)),
    *(
        State(sysctls=(Sysctl(key, "0"),))
        for key in (
            "x",
            "kernel/core_pattern",
            "net/ipv4/conf/all/ignore_routes_with_linkdown",
            "net/ipv4/conf/../ignore_routes_with_linkdown",
            "net/ipv4/conf/eth1/forwarding",
            "net/ipv6/conf/eth1/rp_filter",
            "net/ipv5/conf/eth1/ignore_routes_with_linkdown",
            "net/ipv4/conf/eth1/ignore_routes_with_linkdown/..",
            f"net/ipv4/conf/{'e' * 16}/ignore_routes_with_linkdown",
        )
    ),
    *(State(sysctls=(Sysctl(LINKDOWN, value),)) for value in ("", "yes", "1\n0", "²", "-")),
    State(sysctls=(Sysctl(LINKDOWN, "0", 1 << 31),)),
    State(sharing="both"),
    State(mptcp=PathManager({"192.0.2.1%3": 256})),
    State(mptcp=PathManager({"192.0.2.1%3": 0})),
    State(mptcp=PathManager(before=2, raised=(300,))),
    State(ignored={"icmp://192.0.2.9": 1.0}),
    State(ignored={"ipv4 icmp://192.0.2.9": 1.0}, dark=("dsl", "../lte")),
    *(
        State(usage={"lte": Usage(**values)})
        for values in (
            {"period": "2026-13-01"},
            {"period": "2026-02-29"},
            {"period": "20261-1-01"},
            {"periods": {"today": 1}},
            {"first": "²026-01-01"},
            {"index": 1 << 31},
            {"reset_day": 0},
            {"reset_day": 32},
            {"at": -1.0},
        )
    ),
    State(usage={"a/b": Usage()}),
    State(uplinks={"a b": UplinkState("a b", 3)}),
    State(uplinks={"../../x": UplinkState("../../x", 3)}),
    State(uplinks={"lte": UplinkState("usb0", 1 << 31)}),
    *(
        State(delegated=(Delegated(prefix, interface, lans=lans),))
        for prefix, interface, lans in (
            ("default", "eth1", ()),
            ("2001:db8::/65", "eth1", ()),
            ("2001:db8::/0", "eth1", ()),
            ("2001:db8::", "eth1", ()),
            ("192.0.2.0/24", "eth1", ()),
            ("2001:db8::/56", "../x", ()),
            ("2001:db8::/56", "eth1", (OnLink(0, "2001:db8::/64"),)),
            ("2001:db8::/56", "eth1", (OnLink(3, "nowhere"),)),
        )
    ),
    State(deprecated=("2001:db8::/56 drop",)),
    *(
        State(foreign=(FOREIGN._replace(**values),))
        for values in (
            {"table": 255},
            {"table": 1 << 32},
            {"dst": "192.0.2.0/24"},
            {"metric": 1 << 32},
            {"nexthops": ()},
            {"nexthops": (HOP, HOP)},
            {"nexthops": (HOP._replace(index=0),)},
            {"nexthops": (HOP._replace(index=1 << 31),)},
            {"nexthops": (HOP._replace(weight=257),)},
            {"nhid": 7},
            {"kind": "local"},
            {"kind": "unheard-of"},
            {"src": "2001:db8::1"},
            {"mtu": 1 << 32},
            {"scope": 256},
            {"tos": 4},
            {"protocol": 256},
            {"from_": "2001:db8::/64"},
        )
    ),
    *(gateway(address) for address in ("", "x", "fe80::1", "192.0.2.1\0", "\udcff", "inet6 192.0.2.1")),
    State(outbox=(NOTICE._replace(id="../../../../etc/passwd"),)),
    State(outbox=(NOTICE._replace(id=""),)),
    State(outbox=(NOTICE._replace(event="../../x"),)),
]


@pytest.mark.parametrize("stored", STATES)
def test_a_state_that_leads_to_what_is_not_ours_is_set_aside(tmp_path: Path, stored: State) -> None:
    state.save(str(tmp_path), stored)
    found, messages = state.load(str(tmp_path), writes=True)
    assert found == State()
    assert len(messages) == 1
    assert "state.json.bad, going on from nothing" in messages[0]
    assert (tmp_path / f"{files.STATE}.bad").exists()


@pytest.mark.parametrize(
    "stored",
    [
        State(protocols=(5, 172, 255), tables=(1, 254, 1000, 0xFFFFFFFF)),
        State(uplinks={"lte@usb0": UplinkState("usb0", 7), "fibré": UplinkState("", 0), "w\udcff": UplinkState()}),
        State(sysctls=(Sysctl(LINKDOWN, "0", 3), Sysctl("net/ipv6/conf/eth0.7/ignore_routes_with_linkdown", "-2"))),
        State(sysctls=(Sysctl("net/ipv4/conf/usb0/rp_filter", "1", 3),)),
        State(foreign=(FOREIGN, FOREIGN6, FOREIGN._replace(src="192.0.2.2", mtu=1400, scope=253, protocol=3))),
        gateway(None),
        gateway("inet6 fe80::1"),
        State(outbox=(NOTICE, NOTICE._replace(id="12345678901234567890-123456", event="default-route"))),
        State(delegated=(Delegated("2001:db8::/56", "lte0", 7.5, 8.5, True, (OnLink(3, "2001:db8:0:1::/64"),)),)),
        State(delegated=(Delegated("2001:db8::/64"),), deprecated=("2001:db8::/56",)),
    ],
)
def test_what_a_run_can_have_stored_is_believed(tmp_path: Path, stored: State) -> None:
    state.save(str(tmp_path), stored)
    found, messages = state.load(str(tmp_path), writes=True)
    assert (found._replace(boot_id=""), messages) == (stored, ())


def test_a_stored_protocol_is_ours_just_where_the_configuration_may_name_it() -> None:
    def may_be_named(number: int) -> bool:
        try:
            return protocol(str(number)) == number
        except ValueError:
            return False

    for number in range(257):
        assert (credible.state(State(protocols=(number,))) == "") is may_be_named(number), number


@pytest.mark.parametrize(
    "stored",
    [
        *(Allotment({"a": number}) for number in (0, 253, 254, 255, 1 << 32)),
        *(Allotment(marks={"a": number}) for number in (0, 1 << 32)),
        Allotment({"a": 1001, "b": 1001}),
        Allotment(marks={"a": 256, "b": 256}),
        Allotment(marks={"a": 256}, policy_marks={"web": 256}),
        Allotment(policy_marks={"web": 256, "web/a": 256}),
        Allotment(policy_marks={"web": 0}),
        Allotment(policy_marks={"web/../a b": 256}),
        Allotment(policies={"web": 1 << 32}),
        Allotment({"a\n254 x": 1001}),
        Allotment(enabled={"": False}),
    ],
)
def test_an_allotment_that_cannot_be_is_set_aside(tmp_path: Path, stored: Allotment) -> None:
    state.save_allotment(str(tmp_path), stored)
    found, messages = state.load_allotment(str(tmp_path), writes=True)
    assert found == Allotment()
    assert "allotment.json.bad" in messages[0]


def test_a_notice_that_would_name_another_directory_is_removed_from_the_spool(tmp_path: Path) -> None:
    directory = tmp_path / files.NOTIFY
    directory.mkdir(parents=True)
    (directory / NOTICE.id).write_bytes(codec.encode(NOTICE))
    (directory / "by-hand").write_bytes(codec.encode(NOTICE._replace(event="../x")))
    notices, messages = outbox.waiting(str(tmp_path), files.NOTIFY)
    assert (notices, len(messages)) == ((NOTICE,), 1)
    assert [path.name for path in directory.iterdir()] == [NOTICE.id]


@pytest.mark.parametrize("far", [1e10, -1e10])
def test_a_time_that_no_calendar_knows_is_no_state(tmp_path: Path, far: float) -> None:
    state.save(str(tmp_path), State(saved_at=far))
    assert "a number was expected" in state.load(str(tmp_path), writes=True)[1][0]
