"""mwan-hook beside other managers than networkd alone: the same sentences for each, a row each of docs/managers.md."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab import LabError
from tests.system import running
from tests.system.beds import Container, rootfs
from tests.system.managers import ALL, ALONE, NETWORK_MANAGER, Manager

INSTALL = "/opt/mwan-hook/install.sh"
# nothing waits: a run by hand decides
QUICK = "[probe]\nhysteresis_delay = 0\nfall = 1\nrise = 1\n"
UPLINKS = "[uplinks]\n[[one]]\nmatch = wan1\nmetric = 7\n[[two]]\nmatch = wan2\nmetric = 7\n"
CONF = "etc/mwan-hook/conf.d/50-test.conf"
# who asks by the first provider is told its name, which is not what is expected
CHECK = "[connectivity]\nenabled=true\nuri=http://9.9.9.9/isp\nresponse=isp2\ninterval=60\n"
SOON = 25.0  # seconds that only a very busy host needs: hooks and the kernel's news start runs at once
SHOWN = "mwan-hook status; mwan-hook plan; ip route; ip -o -4 address; networkctl; journalctl -b -q --no-pager -n 40"


@pytest.fixture(scope="session")
def managers_image() -> Path:
    """The root directory with the managers, so that no test has the making in its time."""
    return rootfs.managers(rootfs.suite())


@pytest.fixture(scope="module")
def machine(managers_image: Path, checkout: dict[str, str]) -> Iterator[Container]:
    """One machine for all, without networkd."""
    files = {**ALONE, "etc/mwan-hook/mwan-hook.conf": QUICK}
    with Container(binds=checkout, files=files, isps=(1, 2), image=rootfs.managers, client=False) as made:
        yield made


class Managed(NamedTuple):
    """The machine while one of them looks after its lines, and what install.sh has said of that."""

    machine: Container
    manager: Manager
    said: str


@pytest.fixture(scope="module", params=list(ALL.values()), ids=list(ALL))
def managed(machine: Container, request: pytest.FixtureRequest) -> Iterator[Managed]:
    """Each manager in turn; install.sh finds it there."""
    manager: Manager = request.param
    machine.write(manager.files)
    machine.sh(manager.start, timeout=90)
    wait_leases(machine)
    said = machine.run(INSTALL, timeout=180).stdout
    machine.sh(manager.installed)
    wait_leases(machine)
    yield Managed(machine, manager, said)
    machine.sh(f"rm -f /{CONF}; {manager.stop}; ip addr flush dev wan1; ip addr flush dev wan2", check=False)


def wait_leases(machine: Container) -> None:
    for n, interface in ((1, "wan1"), (2, "wan2")):
        with shown(machine):
            machine.wait_lease(interface, machine.networks[n])


def configure(machine: Container, text: str) -> None:
    machine.write({CONF: text})


def looked(machine: Container) -> dict[str, str]:
    """What a check by hand finds of IPv4: interface -> verdict."""
    machine.run("mwan-hook", "check", "--now", check=False)
    return running.verdicts(machine)


def carrier(machine: Container) -> str:
    """The interface that the kernel sends by."""
    words = machine.sh("ip route get 9.9.9.9", check=False).split()
    return words[words.index("dev") + 1] if "dev" in words else ""


@contextlib.contextmanager
def shown(machine: Container) -> Iterator[None]:
    """Say what the machine shows where a wait in it is in vain."""
    try:
        yield
    except LabError as error:
        raise LabError(f"{error}\n{machine.sh(SHOWN, check=False)}") from None


def wait(machine: Container, what: str, probe: Callable[[], object]) -> None:
    with shown(machine):
        machine.wait(what, probe, SOON)


def wait_both(machine: Container) -> None:
    both = {"wan1": "online", "wan2": "online"}
    wait(machine, "both to be online", lambda: looked(machine) == both and running.settled(machine))


def ours(machine: Container) -> list[str]:
    """IPv4 rules and routes of ours, without numbers of nexthop objects; a new lease may bring another address."""
    lines = re.sub(r" nhid \d+", "", machine.sh("ip -N -4 rule show; ip -N -o -4 route show table all"))
    for interface in ("wan1", "wan2"):
        lines = lines.replace(machine.address(interface) or "none", f"[{interface}]")
    return sorted(" ".join(line.split()) for line in lines.splitlines() if " proto 172" in line)


def test_install_says_who_looks_after_the_lines_and_the_better_metric_carries(
    managed: Managed,
) -> None:
    machine, manager, said = managed
    wait_both(machine)
    assert {one["interface"]: one["metric"] for one in running.told(machine)} == {"wan1": 100, "wan2": 200}
    assert carrier(machine) == "wan1"
    for interface in ("wan1", "wan2"):
        assert f"{interface} is looked after by {manager.name}" in said
    assert "recommended" not in said or manager.name.endswith("networkd")


def test_a_line_that_is_dead_is_left_and_taken_again(managed: Managed) -> None:
    machine = managed.machine
    wait_both(machine)
    with machine.provider[1].broken("blackhole"):
        wait(machine, "the other line", lambda: looked(machine)["wan1"] == "offline" and carrier(machine) == "wan2")
    wait_both(machine)
    assert carrier(machine) == "wan1"


def test_lines_of_one_metric_share(managed: Managed) -> None:
    machine = managed.machine
    configure(machine, UPLINKS)
    wait_both(machine)
    shared = running.shared(machine)
    assert all(f"dev {interface} weight 1" in shared for interface in ("wan1", "wan2"))


def test_a_renewal_is_told_and_takes_nothing_of_ours(managed: Managed) -> None:
    machine, manager, _ = managed
    configure(machine, UPLINKS)
    wait_both(machine)
    before = ours(machine)
    running.stop_ours(machine)
    machine.sh(manager.renew.format("wan2"), timeout=90)
    if manager.event:
        wanted = manager.event.format("wan2")
        wait(
            machine,
            f"{wanted} in the spool",
            lambda: wanted in machine.sh("cat /run/mwan-hook/events/*", check=False).splitlines(),
        )
    wait_leases(machine)
    running.start_ours(machine)
    wait(machine, "all of ours", lambda: ours(machine) == before and running.settled(machine))


def test_all_of_ours_is_back_by_itself_when_the_manager_was_started_anew(managed: Managed) -> None:
    machine, manager, _ = managed
    configure(machine, UPLINKS)
    wait_both(machine)
    before = ours(machine)
    machine.sh(manager.restart, timeout=90)
    wait_leases(machine)
    wait(machine, "all of ours", lambda: ours(machine) == before and running.settled(machine))


def test_a_line_that_is_unplugged_leaves_and_comes_back(managed: Managed) -> None:
    machine = managed.machine
    configure(machine, UPLINKS)
    wait_both(machine)
    machine.unplug("wan2")
    wait(
        machine, "the other line alone", lambda: "weight" not in running.shared(machine) and carrier(machine) == "wan1"
    )
    machine.plug(2, "wan2")
    wait_leases(machine)
    wait_both(machine)


@pytest.mark.parametrize("managed", [NETWORK_MANAGER], ids=["NetworkManager"], indirect=True)
def test_what_networkmanager_s_own_check_does_to_its_metrics_moves_no_uplink(managed: Managed) -> None:
    machine = managed.machine
    machine.run("rm", "-f", f"/{CONF}")
    machine.write({"etc/NetworkManager/conf.d/check.conf": CHECK})
    machine.sh(NETWORK_MANAGER.restart)
    wait(machine, "the penalty", lambda: " metric 20100" in machine.sh("ip -4 route show default dev wan1"))
    wait_both(machine)
    assert {one["interface"]: one["metric"] for one in running.told(machine)} == {"wan1": 100, "wan2": 200}
    assert carrier(machine) == "wan1"
    machine.sh(f"rm /etc/NetworkManager/conf.d/check.conf; {NETWORK_MANAGER.restart}")
    machine.sh("nmcli -w 20 connection up wan1; nmcli -w 20 connection up wan2", timeout=90)  # it has read all profiles


def test_the_gateway_of_a_line_without_a_default_is_in_its_lease(managed: Managed) -> None:
    machine, manager, _ = managed
    configure(machine, UPLINKS)
    machine.write(manager.bare)
    machine.sh(manager.again, timeout=90)
    wait_leases(machine)
    wait(machine, "no default", lambda: machine.sh("ip route show default dev wan2") == "")
    wait_both(machine)
    gateway = machine.provider[2].gateway
    table = next(one["table"] for one in running.told(machine) if one["interface"] == "wan2")
    assert f"via {gateway} dev wan2" in machine.sh(f"ip route show table {table}")
    assert "no-gateway" not in machine.sh("mwan-hook doctor", check=False)
