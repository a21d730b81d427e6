"""A backup that units, networkd and transient units dial on a booted system, asked by services that are not root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system import running
from tests.system.beds import Container, Files
from tests.system.profiles import profile

LINE = "/usr/local/sbin/line"
SCRIPT = """#!/bin/sh
echo "$1" >>/var/lib/calls
read -r code </etc/line.code && [ "$1" = up ] && [ "$code" != 0 ] && exit "$code"
exec networkctl "$1" wan2
"""
UNIT = f"""[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={LINE} up
ExecStop={LINE} down
"""
NETWORK = "etc/systemd/network/10-enp2s0.network"


def network(name: str) -> str:
    """The file of a profile for networkd, with the names and addresses of the bed."""
    text = str(profile(name)[NETWORK])
    return text.replace("enp2s0", "wan2").replace("198.51.100.", "192.168.3.")


CONFIG = """[probe]
hysteresis_delay = 0
portal_interval = 0
[uplinks]
[[fiber]]
match = wan1
metric = 100
[[lte]]
match = wan2
metric = 200
activate = on-demand
linger = 0
"""
FILES: Files = {
    "usr/local/sbin/line": SCRIPT.encode(),
    "etc/line.code": "0\n",
    "etc/systemd/system/line.service": UNIT,
    NETWORK: network("dhcp"),
    "etc/mwan-hook/mwan-hook.conf": CONFIG + "start = networkd\n",
}


@pytest.fixture(scope="module")
def bed(image: Path) -> Iterator[Container]:
    with Container(binds=running.program(), files={**running.units(), **FILES}) as made:
        made.sh(f"chmod 755 {LINE}")
        made.wait_configured("wan1")
        yield made


def configure(bed: Container, start: str, code: int = 0, name: str = "dhcp") -> None:
    """Another way to dial, with everything as after a boot; ``name``: the profile that networkd's file is of."""
    bed.write({NETWORK: network(name)})
    bed.run("networkctl", "reload")
    bed.sh(f"echo {code} >/etc/line.code; : >/var/lib/calls")
    bed.run("sh", "-c", "cat >/etc/mwan-hook/mwan-hook.conf", data=f"{CONFIG}{start}\n")
    bed.carrier("wan1", True)
    bed.run("mwan-hook", "check")
    bed.wait("the fibre alone", lambda: running.online(bed, "wan1") and activation(bed)["state"] == "idle")


def activation(bed: Container) -> dict[str, Any]:
    """How far the mobile line is."""
    told = json.loads(bed.run("mwan-hook", "status", "--json").stdout)["uplinks"]["lte"]["activation"]
    assert isinstance(told, dict)
    return told


def calls(bed: Container) -> list[str]:
    """What its script was asked."""
    return bed.sh("cat /var/lib/calls").split()


@pytest.mark.parametrize(
    ("start", "called", "name"),
    [
        ("start = networkd", False, "dhcp"),
        ("start = networkd", False, "static"),
        ("start = unit:line", True, "dhcp"),
        (f"start = command:{LINE} up\nstop = command:{LINE} down", True, "dhcp"),
    ],
    ids=["dhcp", "static", "unit", "command"],
)
def test_an_outage_dials_once_and_the_return_hangs_up(bed: Container, start: str, called: bool, name: str) -> None:
    configure(bed, start, name=name)
    assert calls(bed) == []
    assert "state DOWN" in bed.sh("ip -o link show wan2")
    bed.carrier("wan1", False)
    bed.wait("the mobile line to carry", lambda: running.online(bed, "wan2") and "dev wan2" in running.shared(bed), 60)
    assert activation(bed)["state"] == "up"
    assert calls(bed) == ["up"] * called
    bed.carrier("wan1", True)
    bed.wait("the mobile line to be down", lambda: "state DOWN" in bed.sh("ip -o link show wan2"), 60)
    bed.wait("idle", lambda: activation(bed)["state"] == "idle", 60)
    assert running.online(bed, "wan1")
    assert calls(bed) == ["up", "down"] * called
    assert running.unwell(bed) == []


def test_a_unit_that_is_refused_by_the_other_end_is_waited_for(bed: Container) -> None:
    configure(bed, "start = unit:line.service", code=19)
    bed.carrier("wan1", False)
    bed.wait("a failed dial", lambda: activation(bed)["state"] == "waiting", 60)
    assert activation(bed)["reason"] == "exit code 19: wrong user or password"
    assert calls(bed) == ["up"]
    bed.sh("echo 0 >/etc/line.code")
    bed.run("mwan-hook", "dial", "lte", check=False)
    bed.wait("the mobile line to carry", lambda: running.online(bed, "wan2"), 60)
    assert calls(bed) == ["up", "up"]
    bed.run("mwan-hook", "hangup", "lte", check=False)
    bed.wait("idle", lambda: activation(bed)["state"] == "idle", 60)


def test_a_unit_that_is_not_there_is_tried_once(bed: Container) -> None:
    configure(bed, "start = unit:nowhere")
    bed.carrier("wan1", False)
    bed.wait("an end of it", lambda: activation(bed)["state"] == "waiting", 60)
    assert "nowhere.service not found" in activation(bed)["reason"]
    assert "not tried again" in bed.run("mwan-hook", "status").stdout


def test_a_boot_while_dialling_begins_anew_and_counts_on(bed: Container) -> None:
    configure(bed, f"start = command:/bin/sleep 1000\nstop = command:{LINE} down")
    bed.carrier("wan1", False)
    bed.wait("a dial", lambda: activation(bed)["state"] == "dialling", 60)
    name = "mwan-hook-dial-lte.service"
    bed.wait("its unit", lambda: "sleep 1000" in bed.sh(f"systemctl show -p ExecStart {name}"), 30)
    tries = activation(bed)["tries"]
    assert tries > 0
    bed.reboot(crash=True)
    bed.wait_configured("wan1")
    bed.wait("the fibre", lambda: running.online(bed, "wan1"), 60)
    assert activation(bed)["state"] == "idle"
    assert activation(bed)["tries"] == tries
