"""Network devices come and go on a booted system."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import INTERNET4, Flow
from tests.lab.process import run
from tests.system import running
from tests.system.beds import Container

STICK = "enp0s20u1"
CONFIG = "etc/mwan-hook/mwan-hook.conf"
PLAIN = "[probe]\nhysteresis_delay = 0\n"  # who is pulled again and again would be held offline
# the stick carries all, the others stand by
STICK_FIRST = f"{PLAIN}[uplinks]\n[[lte]]\nmatch = enp0s20u*\nmetric = 50\n[[fixed]]\nmatch = wan*\nmetric = 100\n"
BED = {
    CONFIG: PLAIN,
    # so that sticks are left to our template, which their driver would match on a real machine
    "etc/systemd/network/20-uplink.network": "[Match]\nName=wan*\n\n[Network]\nDHCP=yes\n",
    "etc/systemd/network/89-mwan-hook-usb.network.d/bed.conf": "[Match]\nDriver=veth\n",
    # as ours does for what hangs on USB
    "etc/udev/rules.d/91-bed.rules": 'SUBSYSTEM=="net", KERNEL!="lo", ACTION=="add|move", TAG+="systemd", '
    'ENV{SYSTEMD_WANTS}+="mwan-hook-plugged@$env{IFINDEX}.service"\n',
}
OWN = "[Match]\nName=enp0s20u4\n\n[Link]\nActivationPolicy=manual\n\n[Network]\nDHCP=yes\n"
# udev makes _ of the others
ODD = ("$(reboot)", "it's;`id`", '"\\x-[*]?^,', "--root=x", "{x}|&<>~#=")
STORM = 20


@pytest.fixture(scope="module")
def bed(image: Path) -> Iterator[Container]:
    """A router with two uplinks and mwan-hook in it."""
    with Container(binds=running.program(), files={**running.units(), **BED}) as made:
        made.wait_configured("wan1", "wan2")
        made.sh(running.ROUTER)
        made.wait("both to be online", lambda: running.online(made, "wan1", "wan2"))
        yield made


@pytest.fixture(autouse=True)
def calm(bed: Container) -> Iterator[None]:
    """Each test begins and ends with two uplinks, and leaves nothing to be said of it."""
    yield
    bed.wait("the two to be alone", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed))
    assert running.unwell(bed) == []


@pytest.fixture
def stick(bed: Container, calm: None) -> Iterator[float]:
    """A stick that is online, and when it was plugged."""
    since = running.clock()
    bed.plug(3, STICK)
    bed.wait("the stick to be online", lambda: running.online(bed, "wan1", "wan2", STICK) and running.settled(bed))
    yield since
    if STICK in bed.ports:
        bed.unplug(STICK)


def said(bed: Container, words: str, since: float) -> float:
    """When the journal was told something; 0 if it was not."""
    lines = bed.run("journalctl", "-b", "-q", "--no-pager", "-o", "json").stdout.splitlines()
    found = [entry for entry in map(json.loads, lines) if words in str(entry["MESSAGE"])]
    times = [int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6 for entry in found]
    return next((at for at in times if at > since), 0.0)


def test_a_stick_is_brought_up_by_our_template(bed: Container, stick: float) -> None:
    told = bed.sh(f"networkctl status --no-pager {STICK}")
    assert "Network File: /usr/lib/systemd/network/89-mwan-hook-usb.network" in told
    assert "Required For Online: no" in told
    assert "metric 2048" in bed.sh(f"ip route show default dev {STICK}")


def test_a_stick_is_online_within_five_seconds_of_its_lease(bed: Container, stick: float) -> None:
    leased = said(bed, f"{STICK}: DHCPv4 address", stick)
    assert 0 < leased < said(bed, f"{STICK}: ipv4 offline -> online", stick) < leased + 5


def test_a_stick_has_its_table_its_rules_and_its_place_in_the_shared_default(bed: Container, stick: float) -> None:
    address, kernel = bed.address(STICK), running.ours(bed)
    assert f"default via 192.168.4.1 dev {STICK}" in bed.sh(f"ip route show table {STICK}")
    assert [line for line in kernel if line.startswith("1200:") and address in line]
    assert len([line for line in kernel if line.startswith("1100:") and STICK in line]) == 2  # IPv4 and IPv6
    for family in (4, 6):
        assert f"dev {STICK}" in running.shared(bed, family).splitlines()[-1]  # after both of metric 1024
    assert bed.sh(f"curl -s -m2 --interface {address} http://{INTERNET4[0]}/isp").strip() == "isp3"
    bed.unplug(STICK)
    bed.wait("it to be gone", lambda: not [line for line in running.ours(bed) if STICK in line or address in line])


def is_up(bed: Container, interface: str) -> bool:
    """What the operator, or networkd, has set."""
    return "UP" in bed.sh(f"ip -br link show {interface}").partition("<")[2].rstrip(">\n").split(",")


def test_what_the_operator_takes_down_stays_down_until_it_is_taken_up(bed: Container, stick: float) -> None:
    for disturbance in ("networkctl reload", "systemctl restart systemd-networkd", "udevadm trigger -s net -c change"):
        bed.run("networkctl", "down", STICK)
        bed.sh(disturbance)
        bed.sh("udevadm settle")
        bed.wait_configured("wan1", "wan2")
        bed.wait("the stick to be left", lambda: running.online(bed, "wan1", "wan2"))
        assert not is_up(bed, STICK), disturbance
        bed.run("networkctl", "up", STICK)
        bed.wait("the stick to be back", lambda: bed.address(STICK) != "")


def test_a_stick_that_a_file_of_the_operator_has_is_brought_up_by_the_operator(bed: Container) -> None:
    other = "enp0s20u4"
    bed.write({"etc/systemd/network/20-own.network": OWN})
    bed.sh("networkctl reload")
    bed.plug(3, other)
    bed.wait(
        "its own file to be taken", lambda: "20-own" in bed.sh(f"networkctl status --no-pager {other}", check=False)
    )
    index = bed.sh(f"cat /sys/class/net/{other}/ifindex").strip()
    unit = f"mwan-hook-plugged@{index}.service"
    bed.wait("ours to have looked", lambda: "Finished" in bed.sh(f"journalctl -b -q -u {unit}"))
    assert not is_up(bed, other)
    bed.run("networkctl", "up", other)
    bed.wait_lease(other, "192.168.4.0/24")
    bed.unplug(other)
    bed.sh("rm /etc/systemd/network/20-own.network; networkctl reload")


def longest_gap(flow: Flow) -> float:
    """Seconds between two answers."""
    times = [float(answer["at"]) for answer in flow.stop()]
    return max(after - before for before, after in itertools.pairwise(times))


def test_when_the_stick_is_pulled_traffic_goes_on_with_no_run_of_ours(bed: Container, stick: float) -> None:
    try:
        bed.write({CONFIG: STICK_FIRST})
        bed.run("mwan-hook", "event")
        bed.wait(
            "the stick to carry all", lambda: running.shared(bed).startswith(f"default via 192.168.4.1 dev {STICK}")
        )
        bed.wait("it to be settled", lambda: running.settled(bed))
        running.stop_ours(bed)
        address, flow = bed.address(STICK), bed.flow(bed.lan)
        assert flow.carried_by() == "isp3"
        bed.unplug(STICK)
        assert flow.carried_by() in ("isp1", "isp2")
        assert set(bed.connect(bed.lan, 4)) <= {"isp1", "isp2"}
        assert longest_gap(flow) < 1
    finally:
        bed.write({CONFIG: PLAIN})  # before a run can meet half of it
        running.start_ours(bed)
    bed.wait("it to be gone", lambda: not [line for line in running.ours(bed) if STICK in line or address in line])
    bed.run("mwan-hook", "check")


def plug_odd(bed: Container, name: str, number: int) -> None:
    """As `bed.plug`, with a name that nothing but execve(2) carries unharmed."""
    far = bed.provider[3].ns.name
    run(["ip", "-n", bed.hut.name, "link", "add", "name", name, "type", "veth", "peer", "name", f"odd{number}",
         "netns", far])  # fmt: skip
    bed.provider[3].ns.ip(f"link set odd{number} addrgenmode none master lan up")


def test_names_with_odd_characters_are_names(bed: Container) -> None:
    since = running.clock()
    try:
        for number, name in enumerate(ODD):
            plug_odd(bed, name, number)
        bed.wait("all to be online", lambda: running.online(bed, "wan1", "wan2", *ODD), 30)
        bed.wait("it to be settled", lambda: running.settled(bed))
        rules = bed.sh("ip -N -j rule show")
        assert {rule["oif"] for rule in json.loads(rules) if "oif" in rule} == {"wan1", "wan2", *ODD}
        assert running.starts(bed, since)["mwan-hook-event"]
    finally:
        for number in range(len(ODD)):
            bed.provider[3].ns.run("ip", "link", "del", f"odd{number}", check=False)


def test_twenty_sticks_at_once_end_in_few_runs(bed: Container) -> None:
    """networkd-dispatcher tells of them one by one, for seconds, and each of its words was a run once.

    A slow machine's seconds are more, and there is a run in each: but never one for every stick.
    """
    far, names = bed.provider[3].ns, [f"st{n}" for n in range(STORM)]
    since = running.clock()
    far.batch(
        *[f"link add p-{name} type veth peer name {name} netns {bed.hut.name}" for name in names],
        *[f"link set p-{name} addrgenmode none master lan up" for name in names],
    )
    bed.wait("all to be online", lambda: running.online(bed, "wan1", "wan2", *names), 120)
    bed.wait("the end", lambda: at_rest(bed))
    plugged, pulled = len(running.starts(bed, since)["mwan-hook-event"]), running.clock()
    far.batch(*[f"link del p-{name}" for name in names])
    bed.wait("all to be gone", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed))
    bed.wait("the end", lambda: at_rest(bed))
    assert 1 <= plugged < STORM
    assert 1 <= len(running.starts(bed, pulled)["mwan-hook-event"]) < STORM


def at_rest(bed: Container) -> bool:
    """The last run by events is a while ago."""
    return running.clock() - max(running.starts(bed)["mwan-hook-event"]) > 3
