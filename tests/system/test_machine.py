"""The virtual machine is what it claims to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.router import PROJECT
from tests.system.beds import Files, Machine
from tests.system.beds.kernel import kernel
from tests.system.beds.qemu import obstacle

FILES: Files = {
    "etc/networkd-dispatcher/routable.d/50-log": "#!/bin/sh\necho $IFACE $STATE >>/run/dispatched\n",
    "etc/udev/rules.d/90-log.rules": 'SUBSYSTEM=="net", RUN+="/usr/local/bin/log"\n',
    "usr/local/bin/log": "#!/bin/sh\necho $ACTION $INTERFACE $ID_BUS $ID_NET_DRIVER >>/run/udev.log\n",
}
pytestmark = pytest.mark.skipif(bool(obstacle()), reason=obstacle())


@pytest.fixture(scope="module")
def bed() -> Iterator[Machine]:
    """One machine for all."""
    with Machine(files=FILES) as made:
        made.wait_configured("enp0s6", "enp0s7")
        yield made


def test_a_machine_runs_with_leases_on_two_uplinks(bed: Machine) -> None:
    assert bed.run("systemctl", "is-system-running", check=False).stdout == "running\n"
    assert bed.address("enp0s6").startswith("192.168.1.")
    ways = [bed.sh(f"curl -s -m9 --interface {name} http://9.9.9.9/isp") for name in ("enp0s6", "enp0s7")]
    assert ways == ["isp1\n", "isp2\n"]


def test_a_command_gives_code_output_and_errors_and_takes_input(bed: Machine) -> None:
    done = bed.run("sh", "-c", "cat; echo error >&2; exit 7", data="input", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "input", "error\n")


def test_a_stick_that_is_plugged_gets_a_lease_and_is_gone_when_pulled(bed: Machine) -> None:
    stick = bed.plug(3)
    bed.wait_lease(stick, "192.168.4.0/24")
    assert bed.sh(f"curl -s -m9 --interface {stick} http://9.9.9.9/isp") == "isp3\n"
    bed.unplug(stick)
    bed.wait("the stick to be gone", lambda: stick not in bed.devices())
    # the kernel takes the device away before udev has told of it
    bed.wait("udev to tell of it", lambda: f"remove {stick}" in bed.sh("cat /run/udev.log"))
    assert f"add {stick} usb cdc_ether" in bed.sh("cat /run/udev.log").splitlines()


def test_a_link_without_carrier_loses_its_lease_and_gets_it_back(bed: Machine) -> None:
    bed.carrier("enp0s7", on=False)
    bed.wait("the loss", lambda: not bed.address("enp0s7"))
    bed.sh("echo >/run/dispatched")
    bed.carrier("enp0s7", on=True)
    bed.wait_lease("enp0s7", "192.168.3.0/24")
    bed.wait("the dispatcher", lambda: "enp0s7 routable" in bed.sh("cat /run/dispatched"))


def test_the_checkout_is_copied_in(bed: Machine) -> None:
    bed.copy(PROJECT, "/opt/mwan-hook")
    assert bed.sh("cat /opt/mwan-hook/install.sh") == (PROJECT / "install.sh").read_text()
    assert "/opt/mwan-hook/.git" not in bed.sh("ls -d /opt/mwan-hook/.git*").split()


def test_the_machine_has_debians_kernel(bed: Machine) -> None:
    assert bed.sh("uname -r").strip() == kernel().modules.name
    bed.sh("ip link add vrf9 type vrf table 9 && ip link del vrf9")
