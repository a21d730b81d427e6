"""Steps by name, as the configuration writes them, and what is found out for them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mwan_hook.config.values_uplinks import ladder
from mwan_hook.doctor.checks import repair as checks
from mwan_hook.doctor.finding import Case, Severity
from mwan_hook.machine import sessions, usbdevice
from mwan_hook.model import Allotment, Dial, Rung, State
from mwan_hook.repair import steps
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.run.steps import STEPS
from tests.unit import builders


def test_each_step_has_a_name_and_something_that_does_it() -> None:
    assert tuple(STEPS) == steps.NAMES
    assert all("wwan7" in steps.line(name, "wwan7") for name in steps.NAMES)
    assert ladder(list(steps.SUGGESTED)) == list(steps.SUGGESTED) and "bounce" not in str(steps.SUGGESTED)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("none", []),
        ("", []),
        ("renew@60", ["renew@60"]),
        (["renew@0.5", "hook@20", "hook@30"], ["renew@0.5", "hook@20", "hook@30"]),
    ],
)
def test_a_ladder_is_a_list_of_steps_with_times_that_rise(value: str | list[str], expected: list[str]) -> None:
    assert ladder(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("renew", "STEP@SECONDS"),
        ("renew@", "STEP@SECONDS"),
        ("renew@soon", "STEP@SECONDS"),
        ("renew@0", "STEP@SECONDS"),
        ("renew@-3", "STEP@SECONDS"),
        ("renew@nan", "STEP@SECONDS"),
        ("renew@1e9", "STEP@SECONDS"),
        ("renew@6_0", "STEP@SECONDS"),
        ("walk@60", "renew, reconfigure, bounce, replug, modem-reset, hook"),
        (["renew@60", "hook@60"], "hook@60 follows @60"),
        (["renew@60", "hook@30"], "times that rise"),
    ],
)
def test_a_mistake_in_a_ladder_is_told_with_what_was_expected(value: str | list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ladder(value)


@pytest.mark.parametrize(
    ("name", "device"),
    [("1-1", True), ("3-1.4.2", True), ("usb1", False), ("3-1.4:1.0", False), ("1-", False), ("../1-1", False)],
)
def test_what_is_written_to_is_a_device_behind_a_port_and_nothing_else(name: str, device: bool) -> None:
    assert usbdevice.is_device(name) is device


def test_the_device_of_an_interface_is_the_nearest_one_and_a_card_has_none(tmp_path: Path) -> None:
    for place in ("pci0/usb3/3-1/3-1.4/3-1.4:1.0/net/usb0", "pci0/0000:00:1f.6/net/eth0"):
        path = tmp_path / "sys/devices" / place
        path.mkdir(parents=True)
        (path / "device").symlink_to(path.parents[1])
        link = tmp_path / "sys/class/net" / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    for name in ("3-1", "3-1.4"):
        switch = tmp_path / "sys/bus/usb/devices" / name
        switch.mkdir(parents=True)
        (switch / "authorized").write_text("1")
    found = [usbdevice.of_interface(str(tmp_path), interface) for interface in ("usb0", "eth0", "none")]
    assert found == ["3-1.4", "", ""]


def test_a_session_is_known_by_its_connection_in_any_spelling() -> None:
    told = sessions._parsed(b"::ffff:192.0.2.7 50000 2001:0db8::1%eth0 22")
    assert told == ("192.0.2.7", 50000, "2001:db8::1", 22)
    assert sessions._parsed(b"192.0.2.7 50000 192.0.2.1") is None and sessions._parsed(b"a b c d") is None
    mapped = bytes(10) + b"\xff\xff" + socket.inet_aton("198.51.100.9")
    digits = "".join(f"{int.from_bytes(mapped[at : at + 4], 'little'):08X}" for at in range(0, 16, 4))
    assert sessions._end(socket.AF_INET6, f"{digits}:0016") == ("198.51.100.9", 22)


def test_the_doctor_tells_what_a_ladder_lacks_and_suggests_one_for_sticks() -> None:
    entries = (builders.uplink("fiber", repair=(Rung("renew", 60), Rung("hook", 90))), builders.uplink("lte"))
    dialled = builders.uplink("cable", dial=Dial("networkd"))
    config, seen = builders.config(*entries, dialled), builders.snapshot("fiber", "lte", "cable")
    one = Case(config, bind(config, Inputs(seen, State(), Allotment())).uplinks, State(), seen)
    lacks = {("fiber", "renew"): "there is no networkctl", ("fiber", "hook"): ""}
    found = list(checks.check(one, {"lte", "fiber", "cable"}, lacks))
    assert [(each.code, each.severity, each.about) for each in found] == [
        ("repair-step", Severity.WARNING, "fiber"),
        ("repair-none", Severity.NOTE, "lte"),
        ("repair-none", Severity.NOTE, "cable"),
    ]
    assert "renew" in found[0].what and "there is no networkctl" in found[0].what
    assert "repair = renew@60, reconfigure@180, replug@600 in [[lte]]" in found[1].fix.words
    assert "repair = replug@600 in [[cable]]" in found[2].fix.words
    assert list(checks.check(one, (), {})) == []
