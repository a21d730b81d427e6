"""`mwan-hook why` on a real router that is led through one situation after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.lab import Lab, Network, topologies, wait_for
from tests.lab.uplinks import probing
from tests.netns.unprivileged import as_nobody

PING = "icmp://1.1.1.1, icmp://2606:4700:4700::1111"
UPLINKS = """
[uplinks]
[[fiber]]
match = eth1
metric = 100
[[cable]]
match = eth2
metric = 200
[[lte]]
match = eth3
metric = 300
metered = yes
"""
POLICY = """
[policies]
[[voip]]
to = 9.9.9.9
uplinks = lte, cable
"""


def conf(more: str = "", **probe: object) -> str:
    return f"{probing(PING, **{'rise': 3, 'interval': 5, 'hysteresis_delay': 180, **probe})}{UPLINKS}{more}"


@pytest.fixture(scope="module")
def lab3() -> Iterator[tuple[Lab, Network]]:
    with Lab() as lab:
        yield lab, topologies.probed(lab, 3)


@pytest.fixture
def net(lab3: tuple[Lab, Network]) -> Network:
    """All three lines online."""
    made = lab3[1].anew()
    made.router.configure(conf())
    made.router.mwan("check")
    return made


def why(net: Network, *words: str, code: int = 0) -> str:
    """What is said, without line breaks."""
    done = net.router.mwan("why", *words, code=code)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    return " ".join((done.stdout + done.stderr).split())


def test_the_default_and_those_that_stand_by(net: Network) -> None:
    assert why(net).startswith(
        "fiber (eth1) carries the IPv4 and IPv6 default: of all that are online its metric is the lowest (100). If it"
        " fails, cable takes over. fiber (eth1) carries the IPv4 and IPv6 default, and has been online since "
    )
    said = why(net, "lte")
    assert said.startswith("lte (eth3) is online and stands by: fiber carries the IPv4 and IPv6 default, because a")
    assert said.endswith("It is metered, and is probed only every 5 min while another one is online.")


def test_a_line_that_is_pulled_and_one_that_comes_back_too_often(net: Network) -> None:
    net.router.carrier("eth1", False)
    net.router.mwan("event")
    assert why(net, "fiber").startswith("fiber (eth1) is not used: eth1 has no carrier. ")
    net.router.carrier("eth1", True)
    net.router.mwan("check")
    with net.isps[0].broken("blackhole"):
        net.router.mwan("check", "--now")
        said = why(net, "fiber")
        assert said.startswith("fiber (eth1) is offline") and "0 of 1 targets answered: timed out" in said
        assert "It takes that long because it then has come back twice within 10 min" in said
    net.router.mwan("check", "--now")
    said = why(net, "fiber")
    assert said.startswith("fiber (eth1) answers again")
    assert "is held back: it came back twice within 10 min, so it has to stay good for 3 min." in said
    found = json.loads(net.router.mwan("why", "fiber", "--json").stdout)["uplinks"]["fiber"]["ipv4"]
    held = net.router.family("fiber")["held_until"]
    assert (found["used"], found["reasons"][0]["kind"], found["reasons"][0]["until"]) == (False, "held", held)


def test_a_hand_a_drain_and_the_only_way(net: Network) -> None:
    names = ("fiber", "cable", "lte")
    try:
        net.router.mwan("disable", "fiber")
        assert "fiber (eth1) is disabled: `mwan-hook disable`" in why(net, "fiber")
        net.router.mwan("enable", "fiber")
        net.router.mwan("drain", "fiber", "--wait", "5m")
        drained = "is drained (`mwan-hook drain`): it keeps the connections that it has, and new ones go by cable"
        assert drained in why(net)
        net.router.mwan("enable", "fiber")
        for name in names[1:]:
            net.router.mwan("disable", name)
        net.router.mwan("drain", "fiber")
        assert "It is drained (`mwan-hook drain`), and carries because no other one is online." in why(net, "fiber")
        net.router.mwan("disable", "fiber")
        assert why(net).startswith("No uplink is online for IPv4 or IPv6. Packets take what the main table has, if")
    finally:
        for name in names:
            net.router.mwan("enable", name)


def test_a_quota_that_is_used_up(net: Network) -> None:
    net.router.configure(conf().replace("metered = yes", "metered = yes\nquota = 10M"))
    net.router.mwan("usage", "lte", "--set", "12M")
    net.router.mwan("check")
    assert "comes after all others because its quota is used up: 12 MB of 10 MB used (120 %)" in why(net, "lte")


def test_a_destination_and_by_whose_order(net: Network) -> None:
    net.router.configure(conf(POLICY))
    net.router.mwan("check")
    by_default = "leaves by fiber (eth1). No rule or route takes it before: it goes with the IPv{} default. fiber"
    assert f"to 1.1.1.1 {by_default.format(4)}" in why(net, "1.1.1.1")
    assert f"to 2606:4700:4700::1111 {by_default.format(6)}" in why(net, "2606:4700:4700::1111")
    said = why(net, "9.9.9.9")
    assert "leaves by lte (eth3). Policy voip takes it: 1400: from all to 9.9.9.9 lookup policy-voip. Of the" in said
    assert (
        "its order (lte, cable) this is the first that is online. lte (eth3) is online for IPv4 and stands by" in said
    )
    assert "Policy voip sends its IPv4 packets by it." in why(net, "lte")
    assert "Policy voip lists it, and sends its IPv4 packets by lte." in why(net, "cable")


def test_a_rule_of_another_program(net: Network) -> None:
    net.router.ns.batch("route add default via 10.3.0.1 dev eth3 table 777", "rule add priority 500 lookup 777")
    try:
        taken = "A rule of another program takes IPv4 packets of this machine before that: 500: from all lookup 777."
        assert f"{taken} They leave by lte (eth3)." in why(net)
        assert "leaves by lte (eth3). A rule of another program comes first and takes it: 500:" in why(net, "8.8.8.8")
    finally:
        net.router.ns.batch("rule del priority 500", "route flush table 777")
    assert taken not in why(net)


def test_words_that_mean_nothing(net: Network) -> None:
    assert "fibre is neither an uplink nor a destination; did you mean fiber?" in why(net, "fibre", code=2)
    assert "224.0.0.1 is neither an uplink nor a destination" in why(net, "224.0.0.1", code=2)
    assert "fe80::2%eth1 leaves by eth1" in why(net, "fe80::2%eth1", code=2)
    assert "192.0.2.0/24 is neither an uplink nor" in why(net, "192.0.2.0/24", "--at", "0s", code=2)
    assert "--at: expected a time, as in 03:12," in why(net, "--at", "25:00", code=2)


def test_a_user_without_rights_is_told_what_runs_have_stored(lab3: tuple[Lab, Network], net: Network) -> None:
    (net.router.root / "etc/mwan-hook/mwan-hook.conf").chmod(0o600)
    done = as_nobody(lab3[0], net, "why")
    assert done.returncode == 0 and "cannot be read by this user" in done.stderr
    assert "fiber (eth1) carries the IPv4 and IPv6 default, and has been online since" in " ".join(done.stdout.split())
    done = as_nobody(lab3[0], net, "why", "1.1.1.1")
    assert "leaves by fiber (eth1)." in done.stdout, done.stderr


def test_how_it_was(net: Network) -> None:
    net.router.mwan("check", "--now")
    before = time.time()
    wait_for("the next second", lambda: time.time() > before + 1, 5)
    with net.isps[0].broken("blackhole"):
        net.router.mwan("check", "--now")
    assert why(net).startswith("cable (eth2) carries the IPv4 and IPv6 default")
    then = datetime.fromtimestamp(before + 1).isoformat(timespec="seconds")
    assert "fiber (eth1) carries the IPv4 and IPv6 default" in why(net, "fiber", "--at", then)
    assert "Rules and routes are not recorded: what follows is the IPv6 default" in why(net, "::2", "--at", then)
    assert "is not recorded; the nearest that is: after it" in why(net, "--at", "-3h", code=1)
