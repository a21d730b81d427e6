"""Whose a delegated prefix is, by what networkd, its journal and files of other clients tell, from values alone."""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path

import pytest

from mwan_hook.machine import claims, programs
from mwan_hook.model import Address, Allotment, Claims, Config, Delegated, Family, Snapshot, State, Uplink
from mwan_hook.routing import delegated
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.run import delegation
from tests.unit import builders as b

FIBER, CABLE, NEW = "2001:db8:1100::/56", "2001:db8:2200::/56", "2001:db8:3300::/56"
LAN = 9
LINKS = "run/systemd/netif/links"


# ---------------------------------------------------------------- what is said


def told(name: str, *prefixes: str) -> str:
    """What networkd 257 tells of a link, as far as it is read."""
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
    leases = [
        {"Prefix": list(one.network_address.packed), "PrefixLength": one.prefixlen, "ValidLifetimeUSec": 57814345009}
        for one in networks
    ]
    client = {"Lease": {"Timeout1USec": 54814345009}, "Prefixes": leases, "DUID": [0, 2]} if leases else {"DUID": [0]}
    return json.dumps({"Index": 3, "Name": name, "Kind": "veth", "DHCPv6Client": client})


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leases: str = "", journal: str = "") -> Claims:
    """What is found out where networkd and its journal say this."""
    (tmp_path / LINKS).mkdir(parents=True, exist_ok=True)
    # the journal is read backwards
    said = {"networkctl": leases, "journalctl": "\n".join(journal.splitlines()[::-1])}
    monkeypatch.setattr(programs, "run", lambda words, _: programs.Ran(said[words[0]]))
    return claims.read(str(tmp_path), ["wan1", "wan2"])


def test_networkd_tells_its_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (told("wan1", FIBER, "2001:db8:9:4::/64"), told("wan2"), told("wan3", CABLE))
    assert asked(tmp_path, monkeypatch, "\n".join(lines)).leases == {
        FIBER: ["wan1"],
        "2001:db8:9:4::/64": ["wan1"],
        CABLE: ["wan3"],
    }


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"Name": "wan1", "Flags": 69699}),  # 252
        json.dumps(["wan1"]),
        json.dumps({"Name": "wan1", "DHCPv6Client": {"Prefixes": [{"Prefix": [32, 1], "PrefixLength": 56}]}}),
        json.dumps({"Name": "wan1", "DHCPv6Client": {"Prefixes": [{"Prefix": [999] * 16, "PrefixLength": 56}]}}),
        json.dumps({"Name": "wan1", "DHCPv6Client": {"Prefixes": {"Prefix": 3}}}),
        told("wan1", "2001:db8::/72"),
        told("wan1", "::/0"),
        "Interface \"wan1\" not found.",
        "",
    ],
)  # fmt: skip
def test_what_networkd_says_otherwise_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    assert asked(tmp_path, monkeypatch, f"{line}\n{told('wan2', CABLE)}").leases == {CABLE: ["wan2"]}


def test_the_journal_tells_who_has_a_lease_of_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{name}: DHCP: received delegated prefix {FIBER}" for name in ("wan1", "wan2", "wan1")]
    ended = [lines[0], lines[1], "wan1: DHCPv6 lease lost"]
    forged = [f"wan2: Could not set hostname: wan1: DHCP: received delegated prefix {CABLE}"]
    cases = [(lines, {FIBER: ["wan1", "wan2"]}), (ended, {FIBER: ["wan2"]}), (forged, {})]
    for journal, holders in (*cases, ([*ended, lines[0]], {FIBER: ["wan2", "wan1"]})):
        assert asked(tmp_path, monkeypatch, "", "\n".join(journal)).holders() == holders


def test_of_files_of_clients_the_oldest_counts_and_what_is_no_prefix_is_passed_over(tmp_path: Path) -> None:
    written = tmp_path / claims.WRITTEN
    written.mkdir(parents=True)
    for age, name in enumerate(("wan1", "wan0", "wan2")):
        (written / name).write_text(f"{FIBER} 2001:DB8:2200:0::/56\n::/0 2001:db8::/129 10.0.0.0/24 wan1 /56 x/56\n")
        os.utime(written / name, (1000 - age, 1000 - age))
    order = ["wan2", "wan0", "wan1"]
    assert claims.read(str(tmp_path), ["wan1"]).holders() == {FIBER: order, CABLE: order}


def test_what_networkd_has_leases_of_counts_and_the_journal_tells_who_was_first() -> None:
    journal = {FIBER: ["wan3", "wan2", "wan1"], NEW: ["wan1"]}
    leases = {FIBER: ["wan1", "wan2"], CABLE: ["wan2"]}
    assert Claims(leases, journal, {CABLE: ["wan4"]}).holders() == {FIBER: ["wan2", "wan1"], CABLE: ["wan2", "wan4"]}
    assert Claims({}, journal).holders() == journal


# ---------------------------------------------------------------- what becomes of it


def three() -> Config:
    return b.config(*(b.uplink(name, metric=100) for name in b.NAMES))


class Machine:
    """A router whose kernel and networkd change, and that remembers what it found out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: tuple[Delegated, ...] = ()
        self.said = Claims()
        self.now = self.times = 100
        self.dead: tuple[str, ...] = ()
        monkeypatch.setattr(claims, "read", self._read)

    def _read(self, root: str, interfaces: list[str]) -> Claims:
        self.times += 1
        return self.said

    def run(self, blocked: tuple[str, ...] = (), lan: tuple[str, ...] = ()) -> dict[str, str]:
        """One run: interface by prefix, of those that are there; how often it asked is in `asked`."""
        before, self.now = self.times, self.now + 10
        there = b.snapshot("fiber", "cable", "lte", families=(Family.IPV4, Family.IPV6))
        links = tuple(b.link(name, carrier=name not in self.dead) for name in b.NAMES)
        hosts = tuple(Address(LAN, Family.IPV6, one.replace("::/56", ":3::1"), 64, True) for one in lan)
        there = there._replace(blocked=blocked, links=links, addresses=(*there.addresses, *hosts))
        self.known = delegation.known("/", None, three(), self.bound(there), self.state, there, self.now)  # type: ignore[arg-type]
        self.asked = self.times - before
        return {one.prefix: one.interface for one in self.known if not one.gone}

    @property
    def state(self) -> State:
        return State(delegated=self.known)

    def bound(self, there: Snapshot) -> tuple[Uplink, ...]:
        return bind(three(), Inputs(there, self.state, Allotment())).uplinks


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """fiber and cable have leases of a prefix each; networkd tells."""
    made = Machine(monkeypatch)
    made.said = Claims({FIBER: ["fiber"], CABLE: ["cable"]})
    return made


BOTH = {FIBER: "fiber", CABLE: "cable"}


@pytest.mark.parametrize(
    ("blocked", "lan"),
    [
        ((FIBER, CABLE), ()),  # networkd 252
        ((CABLE,), (FIBER, CABLE)),  # 257: the first one's route is taken away
        ((FIBER,), (CABLE,)),
        ((FIBER,), ()),  # one network for both: the other one shows nowhere
        ((), (CABLE,)),
    ],
)
def test_after_a_boot_each_is_found_once(machine: Machine, blocked: tuple[str, ...], lan: tuple[str, ...]) -> None:
    assert machine.run(blocked, lan) == BOTH
    assert machine.asked == 1
    for _ in range(9):
        assert machine.run(blocked, lan) == BOTH
        assert machine.asked == 0


@pytest.mark.parametrize("lan", [(), (FIBER,), (FIBER, CABLE)])
def test_the_first_stays_when_the_second_comes_and_takes_its_route(machine: Machine, lan: tuple[str, ...]) -> None:
    machine.said = Claims({FIBER: ["fiber"]})
    assert machine.run((FIBER,), lan[:1]) == {FIBER: "fiber"}
    machine.said = Claims({FIBER: ["fiber"], CABLE: ["cable"]})
    assert machine.run((CABLE,), lan) == BOTH
    assert (machine.run((CABLE,), lan), machine.asked) == (BOTH, 0)


def test_another_prefix_of_the_same_uplink_takes_the_hidden_ones_place(machine: Machine) -> None:
    machine.run((CABLE,))
    machine.said = Claims({NEW: ["fiber"], CABLE: ["cable"]})
    assert machine.run((NEW,)) == {NEW: "fiber", CABLE: "cable"}
    assert [one for one in machine.known if one.gone] == []


def test_one_that_is_shown_no_more_is_asked_for_and_remembered(machine: Machine) -> None:
    """Its provider has taken it back: hosts have its addresses still."""
    machine.run((CABLE,), (FIBER,))
    machine.said = Claims({CABLE: ["cable"]})
    assert (machine.run((CABLE,)), machine.asked) == ({CABLE: "cable"}, 1)
    assert [(one.prefix, one.interface) for one in machine.known if one.gone] == [(FIBER, "fiber")]
    assert (machine.run((CABLE,)), machine.asked) == ({CABLE: "cable"}, 0)
    machine.said = Claims({CABLE: ["cable"], FIBER: ["lte"]})
    assert machine.run((FIBER, CABLE)) == {FIBER: "lte", CABLE: "cable"}


@pytest.mark.parametrize("lan", [(), (CABLE,)])
def test_with_the_carrier_it_is_gone_and_comes_back(machine: Machine, lan: tuple[str, ...]) -> None:
    machine.run((CABLE,), (FIBER, *lan))
    machine.dead = ("fiber",)
    assert machine.run((CABLE,), lan) == {CABLE: "cable"}
    machine.dead = ()
    assert machine.run((CABLE,), (FIBER, *lan)) == BOTH
    assert (machine.run((CABLE,), (FIBER, *lan)), machine.asked) == (BOTH, 0)


def test_a_client_that_makes_no_route_is_believed_for_the_networks_inside(machine: Machine) -> None:
    machine.said = Claims(written={FIBER: ["fiber"], CABLE: ["cable"]})
    assert machine.run((), (FIBER,)) == {FIBER: "fiber"}
    assert (machine.run((), (FIBER,)), machine.asked) == ({FIBER: "fiber"}, 0)


def test_where_networkd_does_not_tell_the_journal_counts_for_what_is_shown(machine: Machine) -> None:
    machine.said = Claims(journal={FIBER: ["fiber"], CABLE: ["cable"]})
    assert machine.run((FIBER,)) == {FIBER: "fiber"}
    assert machine.run((FIBER, CABLE)) == BOTH
    assert machine.run((CABLE,)) == {CABLE: "cable"}


def test_of_leases_inside_each_other_the_narrowest_is_meant() -> None:
    whole = "2001:db8:1100::/40"
    said = Claims({whole: ["cable"], FIBER: ["fiber"]})
    there = b.snapshot("fiber", "cable", families=(Family.IPV4, Family.IPV6))
    bound = bind(three(), Inputs(there, State(), Allotment())).uplinks
    found = delegated.confirmed((Delegated("2001:db8:1100:3::/64", since=1.0, asked=1.0),), said, bound, 1.0)
    assert [(one.prefix, one.interface, one.hidden) for one in found] == [
        (FIBER, "fiber", False),
        (whole, "cable", True),
    ]
