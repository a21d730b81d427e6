"""The beds are what they claim to be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, ledger, wait_for
from tests.lab.process import run, started
from tests.lab.router import PROJECT
from tests.system import running
from tests.system.beds import Container, Link

STICK = "enp0s20u1"
LOG = "#!/bin/sh\necho $0 $IFACE $STATE >>/run/dispatched\n"
WANTED = 'ACTION=="add|move", SUBSYSTEM=="net", TAG+="systemd", ENV{SYSTEMD_WANTS}+="seen@$name.service"\n'
SEEN = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo %i >>/run/seen'\n"


@pytest.fixture(scope="module")
def bed(image: Path, checkout: dict[str, str]) -> Iterator[Container]:
    """One container for the tests that leave it as it was."""
    files = {
        "etc/networkd-dispatcher/routable.d/50-log": LOG,
        "etc/udev/rules.d/90-seen.rules": WANTED,
        "etc/systemd/system/seen@.service": SEEN,
    }
    with Container(binds=checkout, files=files) as made:
        made.wait_configured("wan1", "wan2")
        yield made


def ways(bed: Container) -> dict[str, str]:
    """Which provider each uplink reaches; empty if none."""
    return {
        interface: bed.sh(f"curl -s -m2 --interface {interface} http://9.9.9.9/isp", check=False).strip()
        for interface in bed.ports
    }


def test_a_container_boots_to_running_with_leases_on_two_uplinks(bed: Container) -> None:
    assert bed.state == "running"
    assert bed.address("wan1").startswith("192.168.1.")
    assert bed.address("wan2").startswith("192.168.3.")
    assert ways(bed) == {"wan1": "isp1", "wan2": "isp2"}
    assert bed.sh("getent ahostsv6 probe.test").split()[0] == "2001:db8:9::9"


def test_a_command_gives_code_output_and_errors_and_takes_input(bed: Container) -> None:
    done = bed.run("sh", "-c", "cat; echo error >&2; exit 7", data="input", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "input", "error\n")


def test_the_checkout_is_inside_and_cannot_be_written(bed: Container) -> None:
    assert bed.sh("cat /opt/mwan-hook/install.sh") == (PROJECT / "install.sh").read_text()
    assert bed.run("touch", "/opt/mwan-hook/new", check=False).returncode != 0


def test_the_program_that_a_bed_cannot_write_to_is_compiled_for_its_python(bed: Container) -> None:
    tag = bed.sh("python3 -c 'import sys; print(sys.implementation.cache_tag)'").strip()
    for source in (running.laid_out(bed.suite) / running.PROGRAM[1:]).rglob("*.py"):
        bytecode = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert bytecode.read_bytes()[8:12] == int(source.stat().st_mtime).to_bytes(4, "little"), source


def test_what_the_program_imports_is_compiled_in_the_image(bed: Container) -> None:
    """Services that are not root cannot do it, and would compile all of it in each of their starts."""
    tag = bed.sh("python3 -c 'import sys; print(sys.implementation.cache_tag)'").strip()
    for name in ("requests", "urllib3", "configobj", "filelock", "pyroute2", "dns"):
        place = f"/usr/lib/python3/dist-packages/{name}"
        assert bed.sh(f"ls {place}/__pycache__/__init__.{tag}.pyc", check=False), name


def test_the_host_is_out_of_reach(bed: Container) -> None:
    """Only the network's own values of /proc/sys may be changed inside."""
    bed.sh("sysctl -qw net.ipv4.ip_forward=1")
    assert bed.run("sysctl", "-qw", "kernel.printk_ratelimit=6", check=False).returncode != 0
    assert set(os.listdir("/sys/class/net")) != set(bed.sh("ls /sys/class/net").split())


def test_a_stick_is_renamed_by_udev_gets_a_lease_and_is_gone(bed: Container) -> None:
    bed.plug(3, STICK)
    bed.wait_configured(STICK)
    bed.wait("udev's unit", lambda: STICK in bed.sh("cat /run/seen", check=False))
    assert ways(bed)[STICK] == "isp3"
    bed.unplug(STICK)
    bed.wait("the stick to be gone", lambda: STICK not in bed.devices())


def test_a_link_without_carrier_loses_its_lease_and_gets_it_back(bed: Container) -> None:
    bed.carrier("wan2", on=False)
    bed.wait("the loss", lambda: not bed.address("wan2"))
    bed.sh("echo >/run/dispatched")
    bed.carrier("wan2", on=True)
    bed.wait_configured("wan2")
    bed.wait("the dispatcher", lambda: "wan2 routable" in bed.sh("cat /run/dispatched"))


def test_a_fault_of_one_provider_is_seen_on_its_uplink_only(bed: Container) -> None:
    with bed.provider[1].broken("blackhole"):
        assert ways(bed) == {"wan1": "", "wan2": "isp2"}
    assert ways(bed) == {"wan1": "isp1", "wan2": "isp2"}


def test_the_internet_tells_who_asked(bed: Container) -> None:
    bed.sh("curl -s --interface wan2 http://1.1.1.1/query?told")
    assert bed.requests()[-1] == {"isp": "isp2", "client": bed.address("wan2"), "port": 80, "path": "/query?told"}


def test_a_client_behind_the_container_is_carried_out(bed: Container) -> None:
    bed.sh("sysctl -qw net.ipv4.ip_forward=1")
    nat = "add table ip t; add chain ip t c { type nat hook postrouting priority srcnat; }; add rule ip t c masquerade"
    bed.run("nft", nat)
    assert set(bed.connect(bed.lan, 4)) <= {"isp1", "isp2"}
    bed.sh("nft delete table ip t")


def test_files_are_put_into_the_running_container(bed: Container) -> None:
    bed.write({"opt/say": "#!/bin/sh\necho said\n", "opt/link": Link("say"), "opt/bytes": b"\x00\xff"})
    assert bed.run("/opt/link").stdout == "said\n"
    assert bed.sh("od -An -tx1 /opt/bytes").split() == ["00", "ff"]


def test_a_provider_hands_out_another_address_and_gateway_while_the_link_stays_up(bed: Container) -> None:
    before = bed.sh("cat /sys/class/net/wan2/carrier_changes")
    bed.renumber(2, "192.168.77.0/24")
    assert bed.wait_lease("wan2", "192.168.77.0/24")
    assert "via 192.168.77.1 dev wan2" in bed.sh("ip route show default")
    assert ways(bed)["wan2"] == "isp2"
    assert bed.sh("cat /sys/class/net/wan2/carrier_changes") == before


def test_no_address_is_handed_out_while_the_server_is_off(bed: Container) -> None:
    bed.dhcp(3, on=False)
    bed.plug(3, STICK)
    bed.wait("the stick", lambda: STICK in bed.devices() and bed.devices()[STICK].operational == "degraded")
    assert bed.address(STICK) == ""
    bed.dhcp(3, on=True)
    assert bed.wait_lease(STICK, bed.networks[3])
    bed.unplug(STICK)


@pytest.mark.parametrize("crash", [False, True], ids=["shut down", "power cut"])
def test_a_reboot_keeps_files_and_nothing_else(container: Container, crash: bool) -> None:
    container.plug(3, STICK)
    container.write({"etc/kept": "kept\n"})
    container.sh("touch /run/gone; ip rule add pref 77 lookup 77; nft add table inet gone")
    born = container.sh("cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic")
    container.reboot(crash=crash)
    assert container.state == "running"
    assert container.sh("cat /etc/kept") == "kept\n"
    assert container.sh("ls /run/gone; ip rule show pref 77; nft list tables", check=False) == ""
    assert container.sh("cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic") != born
    container.wait_configured("wan1", "wan2", STICK)
    assert ways(container) == {"wan1": "isp1", "wan2": "isp2", STICK: "isp3"}


def test_a_path_of_the_image_is_taken_out_and_isps_and_uplinks_are_chosen(image: Path) -> None:
    mask = "etc/systemd/system/systemd-tmpfiles-clean.timer"
    with Container({2: "wan9"}, isps=[2], networks={2: "10.9.8.0/24"}, removed=[mask], client=False) as bed:
        bed.wait_configured("wan9")
        assert bed.address("wan9").startswith("10.9.8.")
        assert bed.sh("systemctl is-active systemd-tmpfiles-clean.timer") == "active\n"


def left(tag: str) -> list[str]:
    """What is still there of a bed."""
    named = run(["ip", "netns", "list"]).stdout + Path("/proc/mounts").read_text()
    places = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{tag}*")]
    return [line for line in [*named.splitlines(), *places, *map(str, ledger.STATE.iterdir())] if tag in line]


def test_nothing_is_left_of_a_bed_whose_owner_was_killed(image: Path) -> None:
    script = (
        "import time\nfrom tests.system.beds import Container\n"
        "with Container() as bed:\n  print(bed.ledger.tag, bed.pid, flush=True)\n  time.sleep(600)\n"
    )
    words = ["env", f"PYTHONPATH={PROJECT}", sys.executable, "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        tag, pid = owner.stdout.readline().split()
        os.kill(owner.pid, signal.SIGKILL)
    wait_for("the container's end", lambda: started(int(pid)) is None)
    with Lab():
        wait_for("the traces to go", lambda: not left(tag))
