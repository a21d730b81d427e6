"""Boots with mwan-hook in place: what is missing holds up nothing, and what was there is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import running
from tests.system.beds import Container, Files, Link

STICK = "enp0s20u1"
WAIT = "systemd-networkd-wait-online.service"
UPLINK = "[Match]\nName=wan* enp*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\n"
# a unit that wants to be online, as many services do
WANTING = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n[Service]\nType=oneshot\nExecStart=true\n"
FILES: Files = {
    "etc/systemd/network/20-uplink.network": UPLINK,
    f"etc/systemd/system/network-online.target.wants/{WAIT}": Link(f"/lib/systemd/system/{WAIT}"),
    "etc/systemd/system/wanting.service": WANTING,
    "etc/systemd/system/multi-user.target.wants/wanting.service": Link("../wanting.service"),
}


@pytest.fixture(scope="module")
def bed(image: Path) -> Iterator[Container]:
    """A machine with two uplinks, a unit that waits for the network, and no networkd-dispatcher."""
    without = ["etc/systemd/system/multi-user.target.wants/networkd-dispatcher.service", "usr/bin/networkd-dispatcher"]
    with Container(binds=running.program(), files={**running.units(), **FILES}, removed=without) as made:
        made.wait_configured("wan1", "wan2")
        made.wait("both to be online", lambda: running.online(made, "wan1", "wan2") and running.settled(made))
        yield made


def booted(bed: Container) -> float:
    """Seconds until the network was online; the boot is over, with nothing wrong."""
    assert bed.state == "running", bed.sh("systemctl --failed; systemctl list-jobs")
    assert bed.run("systemctl", "is-active", "network-online.target", check=False).stdout == "active\n"
    assert running.unwell(bed) == []
    words = ("systemctl", "show", "--value", "-p")
    online = int(bed.run(*words, "ActiveEnterTimestampMonotonic", "network-online.target").stdout)
    born = int(bed.run(*words, "UserspaceTimestampMonotonic").stdout)
    return (online - born) / 1e6


def test_all_is_back_after_a_reboot_without_a_dispatcher(bed: Container) -> None:
    before = running.ours(bed)
    assert len(before) > 20
    bed.reboot()
    assert booted(bed) < 20
    bed.wait("rules, tables and verdicts", lambda: running.online(bed, "wan1", "wan2") and running.ours(bed) == before)
    assert running.unwell(bed) == []


def test_a_boot_with_one_cable_out_does_not_hang(bed: Container) -> None:
    bed.carrier("wan2", on=False)
    ports = dict(bed.ports)
    bed.unplug("wan2")  # a stick that is at home
    bed.reboot()
    assert booted(bed) < 20
    bed.wait("the one", lambda: running.online(bed, "wan1") and running.settled(bed))
    bed.plug(ports["wan2"], "wan2")
    bed.wait("the other", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed))


def test_the_network_is_online_with_an_uplink_and_not_with_the_lan_alone(bed: Container) -> None:
    uplinks = ("wan1", "wan2")
    for name in uplinks:
        bed.carrier(name, on=False)
    bed.wait("no way out", lambda: running.online(bed))
    bed.run("systemctl", "stop", "network-online.target", WAIT)
    bed.run("systemctl", "start", "--no-block", "network-online.target")
    bed.wait("our part", lambda: "mwan-hook wait-online" in bed.run("systemctl", "status", WAIT, check=False).stdout)
    assert bed.run("systemctl", "is-active", WAIT, check=False).stdout == "activating\n"
    for name in uplinks:
        bed.carrier(name, on=True)
    bed.wait("online", lambda: bed.run("systemctl", "is-active", WAIT, check=False).stdout == "active\n")
    assert any(line.endswith(" online") for line in bed.journal("-u", WAIT)), "by our command's words"
    bed.wait("both", lambda: running.online(bed, *uplinks) and running.settled(bed))


def test_hotplug_before_the_boot_is_over_is_not_lost(bed: Container) -> None:
    bed.plug(3, STICK)
    bed.wait("the stick", lambda: running.online(bed, "wan1", "wan2", STICK) and running.settled(bed))
    bed.reboot()  # usb0 is there at boot, and renamed in it
    booted(bed)
    bed.wait("all of them", lambda: running.online(bed, "wan1", "wan2", STICK) and running.settled(bed))
    bed.unplug(STICK)
