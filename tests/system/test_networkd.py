"""What networkd does to addresses and routes on a booted system, and how ours follow."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system import running
from tests.system.beds import Container

PERIOD = 10.0  # of the timer
EXPIRED = 180.0  # seconds: a client that missed the new server until then asks for a new lease, at the latest
FRESH = itertools.count(71)  # networks that no try has had yet
UPLINK = "[Match]\nName=wan*\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\n"


@pytest.fixture(scope="module")
def bed(image: Path) -> Iterator[Container]:
    """A router with two uplinks and mwan-hook in it."""
    with Container(binds=running.program(), files={**running.units(), **running.NO_HOLD}) as made:
        made.wait_configured("wan1", "wan2")
        made.sh(running.ROUTER)
        yield made
        assert running.unwell(made) == []


@pytest.fixture(autouse=True)
def calm(bed: Container) -> None:
    """Each test begins when all is well."""
    bed.wait("both to be online", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed))


@pytest.mark.parametrize(("n", "dispatcher"), [(1, True), (2, False)], ids=["with a dispatcher", "with it stopped"])
def test_another_address_and_gateway_are_followed_and_the_old_rule_goes(
    bed: Container, n: int, dispatcher: bool
) -> None:
    wan, network = f"wan{n}", f"192.168.{next(FRESH)}.0/24"
    bed.run("systemctl", "start" if dispatcher else "stop", "networkd-dispatcher")
    old, table = bed.address(wan), 1000 + n
    bed.renumber(n, network)
    new = bed.wait_lease(wan, network, EXPIRED)
    gateway = bed.provider[n].gateway

    def followed() -> bool:
        kernel = "\n".join(running.ours(bed))
        return (
            old not in kernel and f"from {new} lookup" in kernel and f"via {gateway} dev {wan} table {table}" in kernel
        )

    bed.wait("rules and tables to follow", followed, PERIOD)
    # a run that met the old way between the provider's move and ours has rightly found it dead: it earns its rise
    bed.wait("its place to be taken again", lambda: f"via {gateway} dev {wan} weight" in running.shared(bed))
    assert bed.sh(f"curl -s -m2 --interface {new} http://9.9.9.9/isp").strip() == f"isp{n}"


class Outage:
    """Lookups of a destination, as often as they can be made; how long there was no way out."""

    def __init__(self, bed: Container) -> None:
        self.bed = bed
        self.longest = 0.0

    def until(self, done: Callable[[], bool], timeout: float) -> float:
        """Look until it is done; seconds that took."""
        begun = time.monotonic()
        words = ["ip", "-n", self.bed.hut.name, "route", "get", "9.9.9.9"]
        gone = 0.0
        next_look = begun
        while True:
            now = time.monotonic()
            found = subprocess.run(words, capture_output=True, text=True, check=False)
            gone = 0.0 if found.returncode == 0 else gone or now
            self.longest = max(self.longest, now - gone if gone else 0.0)
            if now >= next_look:
                if done():
                    return time.monotonic() - begun
                next_look = time.monotonic() + 0.2
            assert now - begun < timeout, "\n".join(running.ours(self.bed))


RELOAD = "networkctl reload"
CASES = {
    "restarted": "systemctl restart systemd-networkd",
    "reloaded with a changed file": RELOAD,
    "told to reconfigure": "networkctl reconfigure wan1",
}


@pytest.mark.parametrize("command", CASES.values(), ids=CASES.keys())
def test_all_is_back_within_one_period_when_networkd_is(bed: Container, command: str) -> None:
    before = running.ours(bed)
    if command == RELOAD:
        bed.write({"etc/systemd/network/20-uplink.network": f"{UPLINK}# {time.time()}\n"})
    since, outage = running.clock(), Outage(bed)
    bed.sh(command)
    lost = running.ours(bed) != before

    def back() -> bool:
        answered = running.starts(bed, since)["mwan-hook-netlink"]  # before that networkd may not have begun
        return bool(answered) and running.ours(bed) == before and running.settled(bed)

    took = outage.until(back, PERIOD + 5)
    print(f"{command}: lost {lost}, back after {took:.2f} s, without a way out {outage.longest:.2f} s")
    assert took < PERIOD
    if command == CASES["told to reconfigure"]:
        assert outage.longest == 0.0, "wan2 was not touched"


# ---------------------------------------------------------------- dead lines repaired

LADDER = "[uplinks]\n[[wan1]]\nmetric = 1024\n[[wan2]]\nmetric = 1024\nfall = 1\nrise = 1\nrepair = {}\n"


def requests(bed: Container) -> int:
    """Count what the provider's DHCP server was asked for leases."""
    return sum(log.read_text().count("DHCPREQUEST(") for log in bed.dir.glob("dhcp2-*.log"))


@pytest.fixture
def ladder(bed: Container) -> Iterator[Callable[[str], None]]:
    """Give wan2 a repair ladder, for one test."""
    path = "etc/mwan-hook/conf.d/50-ladder.conf"
    yield lambda steps: bed.write({path: LADDER.format(steps)})
    bed.run("rm", "-f", f"/{path}")


def test_a_line_whose_other_side_waits_for_a_renewal_is_renewed_once(
    bed: Container, ladder: Callable[[str], None]
) -> None:
    bed.run("networkctl", "renew", "wan2")  # the next one that networkd sends by itself is a minute away
    provider, before = bed.provider[2], requests(bed)
    ladder("renew@2, reconfigure@900")
    steps = 'mwan-hook history --json wan2 | grep -c \'"event": "repair-step"\''
    with provider.broken("blackhole"):  # until networkd asks again
        bed.wait("the step", lambda: bed.sh(f"systemctl start mwan-hook-check; {steps}", check=False).strip() == "1")
        bed.wait("networkd to have asked again", lambda: requests(bed) > before)
    bed.run("systemctl", "start", "mwan-hook-check")
    bed.wait("wan2 to be online", lambda: running.verdicts(bed).get("wan2") == "online")
    known = json.loads(bed.run("mwan-hook", "status", "--json").stdout)["uplinks"]["wan2"]["repair"]
    assert (known["last"], known["outcome"], known["next"], known["counts"]) == ("renew", "done", None, {"renew": 1})
    told = bed.journal("-u", "mwan-hook-repair.service", "-o", "cat")
    assert [line for line in told if "networkctl" in line] == ["[#] networkctl renew wan2"]
