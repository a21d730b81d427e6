"""The profiles of docs/examples that need a kernel's help, as they stand there: real programs dial and answer."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab import LabError, wait_for
from tests.system import answering, roaming, running
from tests.system.beds import Machine
from tests.system.beds.kernel import SUITE
from tests.system.beds.qemu import obstacle
from tests.system.profiles import profile

pytestmark = pytest.mark.skipif(bool(obstacle()), reason=obstacle())
SLOW, PAUSE = 240, 5  # seconds; without KVM a run takes some
WITHIN = 10  # seconds in which a tunnel goes back
LOOKS = 1  # seconds between two looks, which take the processor's time from what is waited for
MWAN = "mwan-hook"
FIBER = """[probe]
targets = icmp://1.1.1.1
portal_interval = 0
hysteresis_delay = 0
timeout = 2
fall = 2
rise = 1
[uplinks]
[[fiber]]
match = enp0s6
metric = 100
families = ipv4
"""
QUICK = "[uplinks]\n[[{}]]\nfamilies = ipv4\nlinger = 0\n"
FRESH = f"{MWAN} flush; systemctl reset-failed; rm -rf /etc/mwan-hook/conf.d /etc/systemd/network/10-*"
TAKE_UP = """chmod -R go= /etc/ppp/peers /etc/chatscripts /etc/wireguard /etc/wpa_supplicant /etc/openvpn/client \
  /etc/mwan-hook/lte.pin
cd /etc/isp
for file in /etc/wireguard/*.conf; do
  [ ! -e $file ] || sed -i "s,PRIVATE-.*,$(cat wg.here),; s,PUBLIC-.*,$(cat wg.there.pub)," $file
done
networkctl reload"""
LOOK = "cat /run/mwan-hook/state.json; ip -br a; ip r; networkctl; journalctl -b --no-pager | grep -v guest- | tail -60"


class Line(NamedTuple):
    """A profile, what it dials, and what that gives."""

    folder: str
    uplink: str
    interface: str
    address: str
    more: str = ""  # keys of the uplink


LINES = [
    Line("pppoe", "dsl", "ppp-dsl", "10.67.15."),
    Line("gsm", "gsm", "ppp-gsm", "10.67.17.2"),
    Line("wifi", "wifi", "wlan0", "10.77.0."),
    Line("wireguard", "wireguard", "wg-backup", "10.8.0.2"),
    Line("openvpn", "openvpn", "tun-backup", "10.9.0."),
    Line("pptp", "pptp", "ppp-pptp", "10.67.16."),
]
LTE = Line("lte", "lte", "wwan0", "10.64.9.2")
HUNG = LTE._replace(more="ready_timeout = 30\nrepair = replug@5\n")


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with mwan-hook and what answers in it, online by its fibre; nothing starts runs by itself.

    It has the units of all profiles, so that systemd reads them once: that takes as long as seven runs.
    """
    here: Path = tmp_path_factory.mktemp("isp")
    ours = {path: data for path, data in running.units().items() if ".wants/" not in path}
    units = {path: text for line in LINES for path, text in profile(line.folder).items() if "/systemd/system/" in path}
    files = {**ours, **answering.FILES, **answering.certificate(here), **units, "etc/mwan-hook/mwan-hook.conf": FIBER}
    with Machine(files=files, isps=(1, 2)) as made:
        made.carrier("enp0s7", on=False)
        made.copy(running.laid_out(SUITE) / running.PROGRAM[1:], running.PROGRAM)
        made.sh("/usr/local/sbin/build")
        made.wait_configured("enp0s6")
        check(made)
        yield made


def check(bed: Machine) -> None:
    """A run that probes now."""
    bed.sh(f"{MWAN} check --now")


def until(bed: Machine, what: str, good: Callable[[], object]) -> None:
    """Wait for it, with a run now and then as a timer would start."""
    last = time.monotonic()

    def is_so() -> object:
        nonlocal last
        if time.monotonic() - last > PAUSE:
            check(bed)
            last = time.monotonic()
        return good()

    try:
        wait_for(what, is_so, SLOW, LOOKS)
    except LabError as error:
        raise LabError(f"{error}\n{bed.sh(LOOK)}") from None


def carrying(bed: Machine) -> str:
    """The interface of the shared default that comes first."""
    return running.shared(bed).partition(" dev ")[2].partition(" ")[0]


def phase(bed: Machine, uplink: str) -> Any:
    """How far a dialled uplink is, as remembered."""
    return json.loads(bed.sh("cat /run/mwan-hook/state.json"))["dials"][uplink].get("phase", "idle")


def address(bed: Machine, line: Line) -> str:
    """Its IPv4 address."""
    told = bed.sh(f"ip -4 -br addr show dev {line.interface}", check=False).split()
    return told[2] if len(told) > 2 else ""


@contextlib.contextmanager
def outage(bed: Machine, line: Line) -> Iterator[None]:
    """The line carries while the fibre is dead, and is hung up after that."""
    bed.sh(FRESH)
    bed.write(
        {**profile(line.folder, "enp0s6"), "etc/mwan-hook/conf.d/quick.conf": QUICK.format(line.uplink) + line.more}
    )
    bed.sh(TAKE_UP)
    check(bed)  # the fibre is online
    with bed.provider[1].broken("blackhole"):
        check(bed)
        until(bed, f"an address of {line.folder}", lambda: address(bed, line).startswith(line.address))
        check(bed)
        until(bed, f"{line.folder} to carry", lambda: carrying(bed) == line.interface)
        until(bed, f"{line.folder} to be up", lambda: phase(bed, line.uplink) == "up")
        bed.sh("ping -c1 -W5 9.9.9.9")
        yield
    check(bed)
    until(bed, "the fibre to carry", lambda: carrying(bed) == "enp0s6")
    until(bed, f"the end of {line.folder}", lambda: not address(bed, line))
    assert phase(bed, line.uplink) in ("idle", "stopping")
    assert bed.sh("systemctl list-units --failed --plain --no-legend") == "", bed.sh(LOOK)


@pytest.mark.parametrize("line", LINES, ids=[line.folder for line in LINES])
def test_a_profile_is_dialled_in_an_outage_and_hung_up_after_it(bed: Machine, line: Line) -> None:
    with outage(bed, line):
        pass


def modem(bed: Machine) -> tuple[str, str, str]:
    """State of the modem, the number of its bearers, and the last one, as ModemManager tells."""
    told = [line.partition(":") for line in bed.sh("mmcli -m any -K", check=False).splitlines()]
    found = {key.strip(): value.strip() for key, _, value in told}
    bearers = "modem.generic.bearers."
    return found.get("modem.generic.state", ""), found.get(f"{bearers}length", "0"), found.get(f"{bearers}value[1]", "")


def test_a_mobile_session_that_the_network_ends_is_dialled_again(bed: Machine) -> None:
    """By ModemManager and a modem in software; in the end no bearer is left."""
    until(bed, "ModemManager to have the modem", lambda: modem(bed)[0] == "disabled")
    with outage(bed, LTE):
        state, bearers, first = modem(bed)
        assert (state, bearers) == ("connected", "1")
        assert f"src {LTE.address} metric 4296" in bed.sh(f"ip route show default dev {LTE.interface}")
        bed.sh("echo drop >/run/mbim-stick")
        until(bed, "another session", lambda: modem(bed)[2] not in ("", "--", first))
        until(bed, "it to pass packets", lambda: bed.run("ping", "-qc1", "-W5", "9.9.9.9", check=False).returncode == 0)
    until(bed, "the end of the session", lambda: modem(bed)[:2] == ("registered", "0"))


# ModemManager 1.20 gives a modem up whose network interface comes a moment after its control port ("Failed to find a
# net port"), as it does on an emulated processor beside other load.
@pytest.mark.skipif(not os.environ.get("MWAN_TEST_ALONE"), reason="needs a quiet machine: set MWAN_TEST_ALONE=1")
def test_a_modem_that_hangs_is_plugged_in_again_and_dialled(bed: Machine) -> None:
    """Its firmware answers nothing before USB configures it anew."""
    bed.sh("echo stuck >/run/mbim-stick")
    with outage(bed, HUNG):
        told = bed.sh(f"{MWAN} history")
        assert "dial-failed" in told
        assert "replug" in told


def test_a_pin_that_the_sim_refuses_is_sent_once(bed: Machine) -> None:
    bed.write(profile("gsm", "enp0s6"))
    bed.sh("echo 4711 >/etc/isp/gsm.pin; rm /run/gsm.log; systemctl restart isp-gsm; " + TAKE_UP)
    for _ in range(2):
        ended = bed.run("timeout", "100", "pppd", "call", "gsm", "nodetach", check=False, timeout=120)
        assert ended.returncode == 18, ended
    assert bed.sh("grep CPIN /run/gsm.log").splitlines() == ["AT+CPIN?", 'AT+CPIN="1234"', "AT+CPIN?"]


def test_a_tunnel_moves_within_seconds_and_goes_back_to_the_better_uplink(bed: Machine) -> None:
    """Of WireGuard in the kernel; only the far end speaks, which is what brings the old address back."""
    roaming.build(bed)
    roaming.check(bed)
    before = roaming.settings(bed)
    with roaming.spoken_to(bed) as answered:
        roaming.until_heard(bed, "first")
        roaming.carries(bed, "first", on=False)
        assert roaming.sets(roaming.check(bed)) == {roaming.FAR}, "the other peer's endpoint is where it was"
        roaming.until_heard(bed, "second")
        dead = answered()[-1]
        wait_for("answers by the backup", lambda: answered()[-1] > dead + 4, SLOW)
        roaming.carries(bed, "first", on=True)
        last = answered()[-1]
        assert roaming.sets(roaming.check(bed)) == {roaming.FAR}
        assert roaming.until_heard(bed, "first") < WITHIN
        wait_for("answers by the first", lambda: answered()[-1] > last + 8, SLOW)
        after = [one for one in answered() if one > last]
        assert after == list(range(after[0], after[-1] + 1)), "none is lost on the way back"
    assert roaming.settings(bed) == before
