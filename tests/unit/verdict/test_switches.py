"""Who says whether an uplink is on: the configuration, or a command since; the last word wins and is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook.commands import config as command
from mwan_hook.model import Allotment, Match, State, UplinkConfig
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.store import state as states
from mwan_hook.verdict.switches import overruled, said, standing
from tests.unit import builders as b


def entry(enabled: bool, name: str = "fiber") -> UplinkConfig:
    return b.uplink(name, enabled=enabled)


class Machine:
    """One uplink, its configuration and what is remembered."""

    def __init__(self, enabled: bool = True, remembered: Allotment | None = None) -> None:
        self.allotment = remembered or Allotment()
        self.configure(enabled)

    def configure(self, enabled: bool) -> bool:
        """A run after the configuration was written; whether the uplink is on."""
        self.entry = entry(enabled)
        found = bind(b.config(self.entry), Inputs(b.snapshot("fiber"), State(), self.allotment))
        self.lines = list(overruled(self.allotment, found.uplinks))
        self.allotment, self.uplink = found.allotment, found.uplinks[0]
        return self.uplink.enabled

    def say(self, word: bool) -> bool:
        """A command, and the run that it makes."""
        self.allotment = said(self.allotment, [self.entry], {"fiber"}, word)
        return self.configure(self.entry.enabled)


def test_only_what_differs_from_the_configuration_is_remembered() -> None:
    machine = Machine(enabled=True)
    assert machine.say(True)
    assert machine.allotment.enabled == {}
    assert not machine.say(False)
    assert (machine.allotment.enabled, machine.uplink.switched) == ({"fiber": False}, False)
    assert machine.say(True)
    assert (machine.allotment.enabled, machine.allotment.configured, machine.uplink.switched) == ({}, {}, None)


@pytest.mark.parametrize("first", [True, False])
def test_a_later_configuration_beats_the_command_and_a_later_command_beats_it(first: bool) -> None:
    machine = Machine(enabled=first)
    assert machine.say(not first) is not first
    assert machine.configure(first) is not first, "nothing changed"
    assert machine.configure(not first) is not first
    assert machine.allotment.enabled == {}, "the configuration says the same now, and later than the command"
    assert machine.configure(first) is first, "no old word comes back"
    assert machine.say(not first) is not first


def test_enable_and_then_no_in_the_configuration_is_off() -> None:
    machine = Machine(enabled=True)
    machine.say(False)
    machine.say(True)
    assert machine.configure(False) is False
    assert machine.say(True)
    assert machine.uplink.switched is True


def test_that_the_configuration_has_overruled_a_command_is_said() -> None:
    remembered = Allotment(enabled={"fiber": True}, configured={"fiber": True})
    assert not Machine(enabled=False, remembered=remembered).uplink.enabled
    assert Machine(enabled=False, remembered=remembered).lines == [
        "uplink fiber: enabled = no in the configuration is newer than `mwan-hook enable` and counts"
    ]
    assert Machine(enabled=True, remembered=remembered).lines == []


@pytest.mark.parametrize(
    ("word", "configured", "kept"), [(False, True, True), (True, True, False), (True, False, True)]
)
def test_a_word_of_an_earlier_version_stays_where_it_differs(word: bool, configured: bool, kept: bool) -> None:
    machine = Machine(configured, Allotment(enabled={"fiber": word}))
    assert machine.uplink.enabled is word
    assert machine.allotment.enabled == ({"fiber": word} if kept else {})
    assert machine.allotment.configured == ({"fiber": configured} if kept else {})


def test_a_word_about_one_stick_stands_beside_that_about_its_template() -> None:
    sticks = [UplinkConfig("lte", (Match("driver", "cdc_ether"),))]
    told = said(Allotment(), sticks, {"lte"}, False)
    told = said(told, sticks, {"lte@usb0"}, True)
    assert told.enabled == {"lte": False, "lte@usb0": True}
    assert said(told, sticks, {"lte"}, False).enabled == {"lte": False}, "the later one is about all"
    assert standing(told, [sticks[0]._replace(enabled=False)]).enabled == {}
    assert said(told, sticks, {"lte@usb0"}, False).enabled == {"lte": False}


def test_a_word_about_an_uplink_that_is_not_configured_now_is_kept() -> None:
    told = Allotment(enabled={"gone": False}, configured={"gone": True})
    assert standing(told, [entry(True)]) == told


def test_config_effective_says_which_command_speaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "etc/mwan-hook/mwan-hook.conf"
    file.parent.mkdir(parents=True)
    file.write_text("[uplinks]\n[[fiber]]\nmatch = eth0\nenabled = no\n[[lte]]\nmatch = usb*\n")
    stored = Allotment(enabled={"fiber": True, "lte@usb1": False}, configured={"fiber": False, "lte@usb1": True})
    states.save_allotment(str(tmp_path), stored)
    command.run(str(tmp_path), check=False, effective=True)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"enabled = yes # `mwan-hook enable`; no by {file}:4" in lines
    assert "# lte@usb1: enabled = no, by `mwan-hook disable`" in lines
    file.write_text(file.read_text().replace("enabled = no", "enabled = yes"))
    command.run(str(tmp_path), check=False, effective=True)
    assert f"enabled = yes # {file}:4" in [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
