"""A real USB network stick at a virtual machine with Debian's kernel, and with mwan-hook in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab import wait_for
from tests.system import running
from tests.system.beds import Files, Machine
from tests.system.beds.kernel import SUITE, kernel
from tests.system.beds.qemu import obstacle

# what an emulated processor need not do twice: another family, and a portal check that loads all of requests
CONFIG = """\
[probe]
portal_interval = 0
hysteresis_delay = 0
timeout = 5
[uplinks]
[[fixed]]
match = enp0s6, enp0s7
metric = 100
families = ipv4
[[lte]]
match = {match}
metric = 200
families = ipv4
"""
NETWORK = "[Match]\nName=enp0s6 enp0s7\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\n"
FILES: Files = {
    "etc/systemd/network/20-uplink.network": NETWORK,
    "etc/udev/rules.d/90-log.rules": 'SUBSYSTEM=="net", RUN+="/usr/local/bin/log"\n',
    "usr/local/bin/log": "#!/bin/sh\necho $ACTION $INTERFACE $ID_BUS $ID_NET_DRIVER >>/run/udev.log\n",
    # a run costs an emulated processor seconds, and beside other tests more than the minute that a unit is given
    "etc/systemd/system/mwan-hook-.service.d/slow.conf": "[Service]\nTimeoutStartSec=5min\n",
    "etc/systemd/system/mwan-hook-check.timer.d/slow.conf": "[Timer]\nOnUnitActiveSec=\nOnUnitActiveSec=60s\n",
}
pytestmark = pytest.mark.skipif(bool(obstacle()), reason=obstacle())
SLOW = 240  # seconds; without KVM a run takes some


def config(match: str) -> Files:
    """The configuration whose template finds sticks in one way."""
    return {"etc/mwan-hook/mwan-hook.conf": CONFIG.format(match=match)}


@pytest.fixture(scope="module")
def bed() -> Iterator[Machine]:
    """A machine with mwan-hook in it.  The installer itself takes minutes where there is no KVM."""
    with Machine(files={**running.units(), **FILES, **config("driver:cdc_ether, driver:rndis_host")}) as made:
        made.copy(running.laid_out(SUITE) / running.PROGRAM[1:], running.PROGRAM)
        made.run("systemctl", "restart", "systemd-networkd")
        made.run("systemctl", "start", "--no-block", *running.TRIGGERS)
        wait("both to be online", lambda: online(made) == {"enp0s6", "enp0s7"})
        yield made


def status(bed: Machine) -> dict[str, Any]:
    """The uplinks of the state file: a look at it costs an emulated machine less than `mwan-hook status`."""
    found: dict[str, Any] = json.loads(bed.sh("cat /run/mwan-hook/state.json", check=False) or "{}")
    return dict(found.get("uplinks", {}))


def online(bed: Machine) -> set[str]:
    """Interfaces that are online by IPv4."""
    return {u["interface"] for u in status(bed).values() if u.get("ipv4", {}).get("status") == "online"}


def wait(what: str, probe: Callable[[], bool]) -> None:
    """Each look takes processor time from what is waited for."""
    wait_for(what, probe, SLOW, 1)


def test_the_machine_is_what_it_claims_to_be(bed: Machine) -> None:
    done = bed.run("sh", "-c", "cat; echo error >&2; exit 7", data="input", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "input", "error\n")
    assert bed.sh("uname -r").strip() == kernel().modules.name
    bed.sh("ip link add vrf9 type vrf table 9 && ip link del vrf9")
    ways = [bed.sh(f"curl -s -m9 --interface {name} http://9.9.9.9/isp") for name in ("enp0s6", "enp0s7")]
    assert ways == ["isp1\n", "isp2\n"]


def test_a_stick_is_our_templates_and_an_uplink_found_by_its_driver(bed: Machine) -> None:
    stick = bed.plug(3)
    wait("the stick to be online", lambda: online(bed) == {"enp0s6", "enp0s7", stick})
    assert f"lte@{stick}" in status(bed)
    assert f"add {stick} usb cdc_ether" in bed.sh("cat /run/udev.log").splitlines()
    told = bed.sh(f"networkctl status --no-pager {stick}")
    assert "Network File: /usr/lib/systemd/network/89-mwan-hook-usb.network" in told
    assert "Required For Online: no" in told
    assert "metric 2048" in bed.sh(f"ip route show default dev {stick}")
    assert "from 192.168.4." in "\n".join(running.ours(bed))
    assert stick in running.shared(bed).splitlines()[-1]


def test_when_it_is_pulled_traffic_goes_on_and_another_port_is_another_uplink(bed: Machine) -> None:
    stick = next(iter(bed.sticks))
    bed.unplug(stick)
    wait("it to be gone", lambda: stick not in "\n".join(running.ours(bed)))
    # the kernel takes the device away before udev has told of it
    wait("udev to tell of it", lambda: f"remove {stick}" in bed.sh("cat /run/udev.log"))
    assert bed.sh("curl -s -m9 http://9.9.9.9/isp").strip() in ("isp1", "isp2")
    properties = "path:*-usb-0:2*, id:0525:a4a2"
    bed.write(config(properties))
    other = bed.plug(3, port=2)
    assert other != stick
    wait("the other to be an uplink", lambda: f"lte@{other}" in status(bed))


def test_a_carrier_that_is_lost_is_left_at_once(bed: Machine) -> None:
    bed.carrier("enp0s7", on=False)
    wait("it to be left", lambda: "enp0s7" not in running.shared(bed).partition("\n")[0])
    assert bed.sh("curl -s -m9 http://9.9.9.9/isp").strip() == "isp1"
    bed.carrier("enp0s7", on=True)
    wait("it to be back", lambda: "enp0s7" in online(bed))


def test_nothing_went_wrong(bed: Machine) -> None:
    assert running.unwell(bed) == []
