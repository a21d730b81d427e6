"""``mwan-hook modem`` with a real bus, real addresses and real routes; ModemManager is mocked (tests/lab/modems.py)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mwan_hook.dial import causes
from tests.lab import Lab, modems, starts
from tests.lab.modems import IP4, Modems
from tests.lab.netns import Netns
from tests.lab.process import PATIENCE, Done, spawn, wait_for
from tests.netns.private_bus import private_bus

PIN, PASSWORD = "4711", "open-sesame"
IP6 = {
    "method": 2,
    "address": "2001:db8:64::91",
    "prefix": 64,
    "gateway": "fe80::1",
    "dns1": "2001:db8::53",
    "mtu": 1400,
}


IN_MAIN = 4096 + 217  # behind what main prefers without our rules


def wire(name: str) -> list[str]:
    """ip(8) commands that make an interface with a carrier."""
    return [f"link add {name} type veth peer name to-{name}", f"link set to-{name} addrgenmode none up"]


class Machine:
    """A namespace with an interface, files below a root, a bus, and modems."""

    def __init__(self, ns: Netns, root: Path, address: str, log: Path) -> None:
        self.ns, self.root, self.address, self.log = ns, root, address, log
        self.modems = Modems(address)

    def fresh(self) -> None:
        """As before any dial of any boot, with a new interface."""
        for path in ("var/lib/mwan-hook-root/pins.json", "run/mwan-hook-root/modem/wwan0.json"):
            (self.root / path).unlink(missing_ok=True)
        for name in ("wwan0", "other0"):
            self.ns.ip(f"link del {name}", check=False)
        self.plug()
        self.ns.batch(*wire("other0"), "link set other0 up")
        self.modems.plug()
        self.secret("pin", PIN)
        self.secret("password", PASSWORD)
        self.configure("apn=internet")

    def plug(self, neighbours: bool = False) -> None:
        """A new interface, which as a modem's has no neighbours to ask."""
        self.ns.batch(*wire("wwan0"), *([] if neighbours else ["link set wwan0 arp off"]))

    def configure(self, words: str, more: str = "ready_timeout = 30", match: str = "wwan0") -> None:
        """The uplink's `start = modem:`."""
        text = f"[uplinks]\n[[lte]]\nmatch = {match}\nmetric = 217\nstart = modem:{words}\n{more}\n"
        (self.root / "etc/mwan-hook/mwan-hook.conf").write_text(text)

    def secret(self, name: str, text: str, mode: int = 0o600) -> None:
        """A file that only root reads."""
        path = self.root / "etc" / name
        path.write_text(f"{text}\n")
        path.chmod(mode)

    def argv(self, *words: str) -> list[str]:
        """The real command in the namespace."""
        return self.ns.argv(sys.executable, "-m", "mwan_hook", "--root", str(self.root), "modem", *words)

    def modem(self, *words: str, code: int = 0) -> Done:
        """Run it to its end."""
        whole = ["--root", str(self.root), "modem", *words]
        ran = starts.run(starts.PROGRAM, whole, namespace=self.ns.name, timeout=60 * PATIENCE)
        done = Done(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())
        assert done.returncode == code, done.stdout + done.stderr
        for hidden in (PIN, PASSWORD):
            assert hidden not in done.stdout + done.stderr
        return done

    def dial(self, code: int = 0) -> Done:
        """Dial wwan0."""
        return self.modem("wwan0", code=code)

    def hang_up(self, code: int = 0) -> Done:
        """Hang up wwan0."""
        return self.modem("wwan0", "--hang-up", code=code)

    def addresses(self, interface: str = "wwan0") -> list[str]:
        """Global addresses of an interface."""
        told = self.ns.objects(f"addr show dev {interface} scope global")
        return [f"{a['local']}/{a['prefixlen']}" for one in told for a in one.get("addr_info", []) if a]

    def defaults(self, family: str = "ipv4") -> list[tuple[str, int, str]]:
        """Defaults of main: device, metric, gateway."""
        found = [route for route in self.ns.routes("main", family) if route["dst"] == "default"]
        return [(route["dev"], route["metric"], route.get("gateway", "")) for route in found]

    def nothing_is_left(self) -> None:
        """Neither on the interface, nor at the modem, nor with the resolver."""
        assert self.addresses() == []
        assert self.defaults() == self.defaults("ipv6") == []
        seen = self.modems.seen()
        assert seen["servers"] == {}
        assert [modem["bearers"] for modem in seen["modems"]] == [{}] * len(seen["modems"])
        assert not (self.root / "run/mwan-hook-root/modem/wwan0.json").exists()

    def connected(self) -> None:
        """Once, with all that belongs to it."""
        assert self.addresses() == ["10.64.7.91/30"]
        assert self.defaults() == [("wwan0", IN_MAIN, "")]
        assert self.modems.seen()["servers"] == {str(self.ns.index("wwan0")): ["01010101"]}
        assert list(self.modems.modem["bearers"].values()) == [True]


@pytest.fixture(scope="module")
def made() -> Iterator[Machine]:
    """One namespace, one bus and one ModemManager for all tests."""
    with Lab() as lab, private_bus(modems.POLICY) as bus:
        ns = lab.netns("machine")
        ns.batch("link set lo up")
        root = Path(bus.root)
        (root / "etc/mwan-hook").mkdir(parents=True)
        log = lab.own("modems", bus.address, name="modems")
        wait_for(f"the modems: {log}", lambda: bus.client_named(modems.NAME))
        machine = Machine(ns, root, bus.address, log)
        yield machine
        machine.modems.close()


@pytest.fixture
def machine(made: Machine) -> Machine:
    """Nothing was dialled."""
    made.fresh()
    return made


def test_a_dial_sets_address_default_mtu_and_name_servers_and_a_second_changes_nothing(machine: Machine) -> None:
    assert "connected (APN internet), 10.64.7.91/30, default of ipv4 with metric 4313" in machine.dial().stdout
    machine.connected()
    link = machine.ns.objects("link show dev wwan0")[0]
    assert link["mtu"] == 1430
    assert [route["dst"] for route in machine.ns.routes()] == ["default"]  # no route to a network that is not there
    before = machine.ns.ip("-s addr show dev wwan0"), machine.modems.count("Connect")
    machine.dial()
    assert (machine.ns.ip("-s addr show dev wwan0"), machine.modems.count("Connect")) == before
    machine.hang_up()
    machine.nothing_is_left()
    assert "UP" not in machine.ns.objects("link show dev wwan0")[0]["flags"]
    assert machine.hang_up().stdout == ""


def test_both_families_and_a_link_with_neighbours_go_by_gateways(machine: Machine) -> None:
    machine.ns.ip("link del wwan0")
    machine.plug(neighbours=True)
    machine.modems.change(ip6=IP6)
    machine.dial()
    assert machine.addresses() == ["10.64.7.91/30", "2001:db8:64::91/64"]
    assert machine.defaults() == [("wwan0", IN_MAIN, "10.64.7.89")]
    assert machine.defaults("ipv6") == [("wwan0", IN_MAIN, "fe80::1")]
    assert machine.ns.objects("link show dev wwan0")[0]["mtu"] == 1400
    machine.hang_up()
    machine.nothing_is_left()


def test_defaults_of_other_programs_stay_and_another_metric_is_found_beside_them(machine: Machine) -> None:
    machine.ns.ip("route add default dev other0 metric 4313")
    machine.ns.ip("-6 route add default dev other0 metric 4313")
    machine.modems.change(ip6=IP6)
    machine.dial()
    assert machine.defaults() == [("other0", IN_MAIN, ""), ("wwan0", IN_MAIN + 1, "")]
    assert machine.defaults("ipv6") == [("other0", IN_MAIN, ""), ("wwan0", IN_MAIN + 1, "")]
    machine.dial()
    assert machine.defaults() == [("other0", IN_MAIN, ""), ("wwan0", IN_MAIN + 1, "")]
    machine.hang_up()
    assert machine.defaults() == machine.defaults("ipv6") == [("other0", IN_MAIN, "")]


def test_of_two_modems_the_one_that_has_the_interface_is_dialled(machine: Machine) -> None:
    machine.modems.plug({"interface": "wwan7", "state": 2, "lock": 2, "pin": "0000"}, {"interface": "wwan0"})
    machine.configure("apn=internet,pin_file=/etc/pin")
    machine.dial()
    other, own = machine.modems.seen()["modems"]
    assert (other["bearers"], len(own["bearers"])) == ({}, 1)
    assert machine.modems.count("SendPin") == 0
    machine.hang_up()
    machine.nothing_is_left()


@pytest.mark.parametrize(
    ("how", "words", "code", "said"),
    [
        ({"apn": "web.example"}, "apn=internet", causes.WRONG_APN, "wrong APN (APN internet): MissingOrUnknownApn"),
        (
            {"password": "other"},
            "apn=internet,user=me,password_file=/etc/password",
            causes.WRONG_PASSWORD,
            "check user and password_file",
        ),
        ({"roaming": True}, "apn=internet", causes.ROAMING, "allow_roaming=yes"),
        ({"error": "MobileEquipment.NetworkTimeout"}, "apn=internet", causes.NO_NETWORK, "NetworkTimeout"),
        ({"error": "MobileEquipment.PlmnNotAllowed"}, "apn=internet", causes.REFUSED, "ask the carrier"),
        ({"state": -1, "reason": 2}, "apn=internet", causes.NO_SIM, "no SIM"),
        ({"state": -1, "reason": 4}, "apn=internet", causes.FAILED, "plug it in again"),
        ({"state": 2, "lock": 2, "pin": PIN}, "apn=internet", causes.LOCKED, "set pin_file"),
        ({"state": 2, "lock": 4}, "pin_file=/etc/pin", causes.PUK, "SIM PUK"),
        ({"state": 2, "lock": 8}, "pin_file=/etc/pin", causes.LOCKED, "network PIN"),
        ({"state": 2, "lock": 2, "pin": PIN, "tries": {}}, "pin_file=/etc/pin", causes.LOCKED, "does not say"),
        ({"state": 2, "lock": 2, "pin": PIN, "tries": {"2": 2}}, "pin_file=/etc/pin", causes.PIN_REFUSED, "2 tries"),
        ({"ip4": {"method": 2, "address": "127.0.0.1", "prefix": 8}}, "apn=internet", causes.NO_NETWORK, "no address"),
        ({"ip4": {"method": 1}}, "apn=internet", causes.CONFIGURATION, "pppd"),
    ],
)
def test_what_went_wrong_is_told_by_exit_status_and_in_a_line(
    machine: Machine, how: dict[str, Any], words: str, code: int, said: str
) -> None:
    machine.modems.change(**how)
    machine.configure(words)
    done = machine.dial(code)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert machine.modems.count("SendPin") == 0
    machine.hang_up()
    machine.nothing_is_left()


@pytest.mark.parametrize(
    ("words", "match", "said"),
    [
        ("apn=internet,pin_file=/etc/open", "wwan0", "/etc/open can be read by others"),
        ("apn=internet,pin_file=/etc/none", "wwan0", "cannot read"),
        ("apn=internet,pin_file=/etc/empty", "wwan0", "is empty"),
        ("apn=internet", "eth9", "no uplink in the configuration matches"),
    ],
)
def test_mistakes_in_the_configuration_are_told_before_anything_is_done(
    machine: Machine, words: str, match: str, said: str
) -> None:
    machine.secret("open", PIN, 0o644)
    machine.secret("empty", "")
    machine.configure(words, match=match)
    assert said in machine.dial(causes.CONFIGURATION).stderr
    assert machine.modems.seen()["calls"] == []


def test_a_right_pin_is_sent_in_each_boot_and_a_wrong_one_once_for_ever(machine: Machine) -> None:
    machine.configure("apn=internet,pin_file=/etc/pin")
    locked: dict[str, Any] = {"state": 2, "lock": 2, "pin": PIN}
    for _ in range(2):
        machine.modems.plug(locked)
        machine.dial()
        machine.connected()
        machine.hang_up()
        assert machine.modems.count("SendPin") == 1
    machine.modems.plug({**locked, "pin": "0815"})
    assert "refused the PIN in /etc/pin" in machine.dial(causes.PIN_REFUSED).stderr
    assert machine.modems.modem["tries"]["2"] == 2
    (machine.root / "run/mwan-hook-root/modem/wwan0.json").unlink(missing_ok=True)
    machine.modems.change(tries={"2": 3})  # unlocked by hand, and locked again by a boot
    assert "is not sent again" in machine.dial(causes.PIN_REFUSED).stderr
    assert machine.modems.count("SendPin") == 1
    record = machine.root / "var/lib/mwan-hook-root/pins.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert PIN not in record.read_text()
    machine.secret("pin", "0815")
    machine.dial()
    machine.connected()


def test_another_connection_of_the_interface_makes_way_and_old_bearers_go(machine: Machine) -> None:
    machine.dial()
    machine.modems.change(apn="web.example", ip4={**IP4, "address": "10.64.9.2", "gateway": "10.64.9.1"})
    machine.configure("apn=web.example")
    machine.dial()
    assert machine.addresses() == ["10.64.9.2/30"]
    assert machine.defaults() == [("wwan0", IN_MAIN, "")]
    assert machine.ns.routes()[0]["prefsrc"] == "10.64.9.2"
    assert list(machine.modems.modem["bearers"].values()) == [True]
    machine.modems.change(dropped=True, ip4={**IP4, "address": "10.64.9.6"})
    machine.dial()
    assert machine.addresses() == ["10.64.9.6/30"]
    assert list(machine.modems.modem["bearers"].values()) == [True]


def test_a_dial_that_is_killed_while_modemmanager_connects_is_given_up(machine: Machine) -> None:
    machine.modems.change(delay=1.5)
    process = spawn(machine.argv("wwan0"), machine.log)
    wait_for("the connect", lambda: machine.modems.modem["state"] == modems.CONNECTING)
    process.kill()
    process.wait()
    machine.hang_up()
    machine.nothing_is_left()
    assert machine.modems.modem["pending"] == 0  # nor comes it later
    machine.modems.change(delay=0.1)
    machine.dial()
    machine.connected()


def test_firmware_that_never_disconnects_is_told_by_a_status_of_its_own(machine: Machine) -> None:
    machine.dial()
    machine.modems.change(stuck=True)
    assert "firmware may be stuck" in machine.hang_up(causes.STUCK).stderr
    assert (machine.addresses(), machine.defaults()) == ([], [])
    machine.configure("apn=internet", "ready_timeout = 3")
    assert "disconnecting: its firmware is stuck" in machine.dial(causes.STUCK).stderr
    machine.modems.plug()  # new power
    machine.dial()
    machine.connected()


def test_a_modem_that_is_pulled_leaves_nothing_and_is_dialled_when_it_is_back(machine: Machine) -> None:
    machine.dial()
    machine.modems.unplug()
    machine.ns.ip("link del wwan0")
    machine.hang_up()
    machine.configure("apn=internet", "ready_timeout = 3")
    assert "mmcli -L" in machine.dial(causes.NO_MODEM).stderr
    machine.plug()
    machine.modems.plug()
    machine.dial()
    machine.connected()


def test_no_file_of_ours_holds_a_secret(machine: Machine) -> None:
    machine.modems.plug({"state": 2, "lock": 2, "pin": PIN, "password": PASSWORD})
    machine.configure("apn=internet,user=me,password_file=/etc/password,pin_file=/etc/pin")
    machine.dial()
    machine.connected()
    ours = [path for place in ("run", "var") for path in (machine.root / place).rglob("*") if path.is_file()]
    assert ours
    for path in ours:
        assert not {PIN, PASSWORD} & {word for word in (PIN, PASSWORD) if word in path.read_text()}


def test_killed_at_any_point_a_dial_can_be_hung_up_and_dialled_again(machine: Machine) -> None:
    """A kill before each call, message and file; then a hang-up, or another dial, as a unit does it."""
    points = killed(machine, {"state": 2, "lock": 2, "pin": PIN})
    assert len(points) > 12
    for point in points:
        assert point["hung_up"] == {"addresses": [], "defaults": [], "bearers": [], "code": 0}, point
        again = {"addresses": ["10.64.7.91/30"], "defaults": [f"ipv4 {IN_MAIN}"], "bearers": [True], "code": 0}
        assert point["dialled"] == again, point


def test_killed_at_any_point_a_dial_sends_a_wrong_pin_once(machine: Machine) -> None:
    """A SIM that allows ten tries: what was sent is remembered, not only how many are left."""
    points = killed(machine, {"state": 2, "lock": 2, "pin": "0815", "tries": {"2": 10}})
    assert {point["pins"] for point in points} == {1}


def killed(machine: Machine, modem: dict[str, Any]) -> list[dict[str, Any]]:
    """What each kill has led to."""
    machine.configure("apn=internet,pin_file=/etc/pin")
    words = [sys.executable, "-m", "tests.netns.modem_killed", str(machine.root), machine.address, json.dumps(modem)]
    done = machine.ns.run(*words, timeout=120, env={"PYTHONPATH": f"{Path.cwd()}:{Path.cwd()}/lib"})
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
