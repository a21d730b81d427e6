"""D-Bus names, files and answers, without a bus."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.commands import connectivity_state
from mwan_hook.model import Connectivity, FamilyState, MwanError, State, UplinkState
from mwan_hook.notify.bus import announce, files, names, objects
from mwan_hook.notify.bus.names import BusDevice

FULL = BusDevice("eth0", Connectivity.FULL)


def state(*uplinks: tuple[str, int, int, int]) -> State:
    """Interface, index, connectivity of IPv4 and of IPv6."""
    return State(
        uplinks={
            f"{interface}-{number}": UplinkState(interface, index, FamilyState(connectivity=Connectivity(four)), ipv6)
            for number, (interface, index, four, six) in enumerate(uplinks)
            for ipv6 in (FamilyState(connectivity=Connectivity(six)),)
        }
    )


@given(st.text(min_size=1, max_size=15))
def test_every_name_becomes_a_legal_element(interface: str) -> None:
    assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", names.element(interface))


@pytest.mark.parametrize(
    ("interface", "expected"), [("eth0", "eth0"), ("eth0.100", "eth0_100"), ("a-b_c:d", "a_b_c_d"), ("4g", "_4g")]
)
def test_what_a_name_may_not_hold_is_an_underscore(interface: str, expected: str) -> None:
    assert names.element(interface) == expected


def test_of_two_interfaces_with_one_element_the_exact_one_has_it() -> None:
    found = names.published(state(("a.1", 2, 4, 0), ("a_1", 3, 1, 0), ("b.1", 4, 2, 0), ("b-1", 5, 3, 0)))
    assert found == {"a_1": BusDevice("a_1", Connectivity.NONE), "b_1": BusDevice("b.1", Connectivity.PORTAL)}


def test_the_value_is_the_best_of_both_families_and_a_gone_interface_has_none() -> None:
    seen = state(("eth0", 2, 1, 4), ("usb0", 0, 4, 4), ("", 0, 0, 0), ("ppp0", 3, 0, 0))
    assert names.devices(seen) == (FULL, BusDevice("ppp0", Connectivity.UNKNOWN))


def test_connectivity_state_prints_what_the_original_prints() -> None:
    seen = state(("eth0", 2, 4, 0), ("enp0s31f6mac", 3, 2, 0), ("wlan0", 4, 0, 0))
    rows = ["eth0       4    full", "enp0s31f6mac 2    portal", "wlan0      0    unknown"]
    assert connectivity_state.lines(seen, True) == ["IFACE      #   STATE", *rows]
    assert connectivity_state.lines(seen, False) == rows
    assert connectivity_state.lines(State(), True) == ["IFACE      #   STATE"]


def test_files_come_and_go_and_a_second_time_nothing_changes(tmp_path: Path) -> None:
    root = str(tmp_path)
    services = tmp_path / files.SERVICES
    assert files.sync(root, ["eth0", "wlan0"])
    assert not files.sync(root, ["wlan0", "eth0"])
    assert {file.name.rpartition(".")[0] for file in services.iterdir()} == {
        names.bus_name(word) for word in ("eth0", "wlan0")
    }
    assert files.sync(root, ["wlan0"])
    assert [file.name for file in services.iterdir()] == [f"{names.BASE}.wlan0.service"]
    assert files.sync(root, [])
    assert not (tmp_path / files.PLACE).exists()
    assert not files.sync(root, [])


def test_a_service_file_names_its_file_the_unit_and_a_command(tmp_path: Path) -> None:
    lines = files.service(f"{tmp_path}/a b", "x.y").decode().splitlines()
    assert lines[:2] == ["[D-BUS Service]", "Name=x.y"]
    assert lines[2].startswith("Exec=/")
    assert lines[2].endswith(f" --root '{tmp_path}/a b' bus")
    assert f"SystemdService={files.UNIT}" in lines
    assert (Path(__file__).parents[3] / "systemd" / files.UNIT).exists()


def test_policies_are_well_formed_and_name_the_places() -> None:
    installed = ElementTree.parse(Path(__file__).parents[3] / "dbus/mwan-hook.conf").getroot()
    assert installed.findtext("servicedir") == f"/{files.SERVICES}"
    assert installed.findtext("includedir") == f"/{files.POLICIES}"
    written = ElementTree.fromstring(files.policy(["a.b", "a.c"]).decode())
    assert [one.get("send_destination") for one in written.iter("allow")] == ["a.b", "a.c"]


def test_introspection_leads_from_the_top_to_every_object() -> None:
    devices = {"eth0": FULL, "wlan0": BusDevice("wlan0", Connectivity.NONE)}
    place, found = "/", []
    while nodes := ElementTree.fromstring(objects.introspection(place, devices)).findall("node"):
        found = [str(node.get("name")) for node in nodes]
        place = f"{place.rstrip('/')}/{found[0]}"
    assert found == ["eth0", "wlan0"]
    assert place == names.path("eth0")


def test_a_call_without_an_interface_finds_its_method() -> None:
    call = objects.BusCall(names.path("eth0"), "", "Get", (names.DEVICE, "Connectivity"))
    assert objects.answer(call, {"eth0": FULL}) == objects.BusReply("v", (("u", 4),))
    assert objects.answer(call._replace(member="Ping", body=()), {"eth0": FULL}) == objects.BusReply()
    nowhere = objects.answer(call._replace(path="/org"), {"eth0": FULL})
    assert nowhere.error == "org.freedesktop.DBus.Error.UnknownObject"


def test_without_jeepney_there_are_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jeepney" else find(name))
    with pytest.raises(MwanError, match="python3-jeepney"):
        announce.serve(str(tmp_path), 1)
