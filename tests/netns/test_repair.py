"""Repair ladders on real lines, with the real command.

Mocked, because no namespace has it: the USB device of `replug` (a directory that looks like sysfs, below --root), and
ModemManager (a script that answers as mmcli does).  networkd's steps are in tests/system/test_repair.py.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mwan_hook.repair import ladder
from mwan_hook.store import files
from tests.lab import Lab, Line, Network, router, topologies, wait_for
from tests.lab.process import run
from tests.netns import dying, operators

PROBE = """
[probe]
portal_interval = 0
timeout = 0.5
burst_interval = 0.1
hysteresis_delay = 0
fall = 1
rise = 1
targets = icmp://9.9.9.9
[hooks]
timeout = 5
[uplinks]
"""
UPLINK = "[[{name}]]\nmatch = eth{n}\nmetric = {n}00\nfamilies = ipv4\n{more}\n"
SOON = "0.2"  # seconds; what is waited for here is what comes of it
# `repair` beside what takes the address away when all was put back, and gives it anew.
AS_NETWORKD = """
import os, subprocess, sys, time, types
from mwan_hook.kernel import interfaces
def ip(words):
    return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout
def sleep(seconds):
    interfaces.time = time
    ip(os.environ["GONE"])
    with open(os.environ["LEFT"], "w") as file:
        file.write(ip("route show table 777"))
    for words in os.environ["BACK"].split(";"):
        ip(words)
    time.sleep(seconds)
interfaces.time = types.SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""
MMCLI = """#!/bin/sh
case "$*" in
*--list-modems*) echo '{"modem-list": ["/Modem/0", "/Modem/3"]}' ;;
*Modem/3*--output-json) echo '{"modem": {"generic": {"ports": ["cdc-wdm0 (mbim)", "eth2 (net)"]}}}' ;;
*--output-json) echo '{"modem": {"generic": {"ports": ["wwan9 (net)"]}}}' ;;
*) echo "$*" >>"$TOLD" ;;
esac
"""


class Lines:
    """Uplinks fiber (eth1), lte (eth2), cable (eth3), and what was done to them."""

    def __init__(self, net: Network) -> None:
        self.net, self.router, self.root = net, net.router, net.router.root

    def configure(self, **more: str) -> None:
        """More keys of uplinks by name."""
        names = ("fiber", "lte", "cable")[: len(self.net.lines)]
        entries = [UPLINK.format(name=name, n=n, more=more.get(name, "")) for n, name in enumerate(names, 1)]
        self.router.configure(PROBE + "".join(entries))

    def fault(self, *numbers: int) -> None:
        """Break providers by number; a run sees it, with a configuration that repairs nothing."""
        self.configure()
        for number in numbers:
            self.net.isps[number - 1].fault("blackhole")
        self.router.check()

    def earlier(self, name: str, seconds: float) -> None:
        """Have a line gone offline so long before."""
        state = json.loads(self.router.state_file.read_text())
        state["uplinks"][name]["ipv4"]["since"] -= seconds
        self.router.write_state(json.dumps(state))

    def hook(self, text: str, event: str = "repair") -> None:
        """A program of the operator's."""
        path = self.router.write(f"etc/mwan-hook/{event}.d/50-test", f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def lines(self, name: str = "told") -> list[str]:
        """What programs have written."""
        path = self.root / name
        return path.read_text().splitlines() if path.exists() else []

    def due(self) -> str:
        """What mwan-hook-repair.service runs."""
        done = self.router.mwan("repair", "--due", code=None)
        return done.stdout + done.stderr

    def until(self, what: str, true: Callable[[], object]) -> None:
        """Do what is due, again and again."""

        def look() -> object:
            self.due()
            return true()

        wait_for(what, look, step=0.1)

    def climb(self, uplink: str = "lte") -> dict[str, Any]:
        """What is remembered."""
        path = self.root / files.REPAIRS
        found: dict[str, Any] = json.loads(path.read_text())["uplinks"][uplink] if path.exists() else {}
        return found

    def impatient(self) -> None:
        """What keeps a step back is looked at again now, and not in a minute."""
        known = {"version": 1, "uplinks": {"lte": {**self.climb(), "held_until": 0.0}}}
        (self.root / files.REPAIRS).write_text(json.dumps(known))

    def steps(self) -> list[tuple[str, str]]:
        """Uplinks and steps of the history."""
        return [(one["uplink"], one["new"]) for one in self.router.history() if one["event"] == "repair-step"]


@pytest.fixture
def lines(lab: Lab, request: pytest.FixtureRequest) -> Lines:
    """Two uplinks online, or as many as a test asks for."""
    made = Lines(topologies.probed(lab, getattr(request, "param", 2)))
    made.configure()
    made.router.check()
    return made


def test_a_check_has_the_step_done_that_is_due_and_tells_of_it(lines: Lines) -> None:
    tell = 'echo "$EVENT|$UPLINK|$IFACE|$STEP|$REASON" >>"$MWAN_HOOK_ROOT/told"'
    lines.hook(tell)
    lines.hook(tell, "repair-step")
    lines.fault(2)
    lines.configure(lte=f"repair = hook@{SOON}, hook@600")

    def told() -> bool:
        lines.router.mwan("check")
        return len(lines.lines()) == 2

    wait_for("the step to be done and told", told)
    done, heard = (line.split("|") for line in lines.lines())
    assert done[:4] == ["repair", "lte", "eth2", "hook"] and done[4].endswith("step 1 of 2")
    assert heard[:4] == ["repair-step", "lte", "eth2", "hook"] and heard[4].endswith("step 1 of 2: done")
    assert lines.steps() == [("lte", "hook")]
    status = lines.router.status()["uplinks"]
    assert status["fiber"]["repair"] is None
    known = status["lte"]["repair"]
    assert (known["last"], known["outcome"], known["next"], known["counts"]) == ("hook", "done", "hook", {"hook": 1})
    assert "repair: hook in " in lines.router.mwan("status").stdout
    assert "# lte: repair: repair.d/* (eth2) in " in lines.router.mwan("plan").stdout
    lines.net.isps[1].heal()
    lines.router.check()
    assert lines.router.verdict("lte") == "online" and "since" not in lines.climb()
    known = lines.router.status()["uplinks"]["lte"]["repair"]
    assert (known["next"], known["last"], known["outcome"]) == (None, "hook", "done"), "what was done is still said"


@pytest.mark.parametrize("lines", [3], indirect=True)
def test_two_dead_lines_get_their_steps_one_after_the_other(lines: Lines) -> None:
    lines.hook('echo "begin $UPLINK" >>"$MWAN_HOOK_ROOT/told"; sleep 0.3; echo "end $UPLINK" >>"$MWAN_HOOK_ROOT/told"')
    lines.fault(2, 3)
    lines.configure(lte=f"repair = hook@{SOON}, hook@600", cable=f"repair = hook@{SOON}, hook@600")
    wait_for("both to be due", lambda: lines.router.mwan("plan").stdout.count(" is due") == 2)
    others = [lines.router.start("repair", "--due") for _ in range(3)]
    lines.due()
    assert {other.wait(30) for other in others} == {0}
    told = lines.lines()
    assert sorted(told[::2]) == ["begin cable", "begin lte"]
    assert [line.split()[1] for line in told[::2]] == [line.split()[1] for line in told[1::2]], "never both at once"


def test_all_dead_together_with_gateways_that_answer_get_no_step(lines: Lines) -> None:
    lines.hook('echo "$UPLINK" >>"$MWAN_HOOK_ROOT/told"')
    lines.fault(1)
    lines.earlier("fiber", 100)  # all at once is another thing
    lines.fault(2)
    lines.configure(lte=f"repair = hook@{SOON}")
    lines.until("it to be kept back", lambda: lines.climb().get("held"))
    assert lines.lines() == [] and "their gateways answer" in lines.router.mwan("status").stdout
    lines.router.mwan("check")
    lines.net.isps[0].fault("gwdead")
    lines.router.check()
    lines.impatient()
    lines.until("its step, now that one of the gateways is silent", lines.lines)


def test_a_line_that_is_disabled_down_or_online_again_gets_none(lines: Lines) -> None:
    lines.hook('echo "$UPLINK" >>"$MWAN_HOOK_ROOT/told"')
    lines.fault(2)
    lines.router.mwan("disable", "lte")
    lines.configure(lte=f"repair = hook@{SOON}")
    assert lines.router.status()["uplinks"]["lte"]["repair"]["next"] is None
    lines.due()
    lines.router.mwan("enable", "lte")
    lines.router.ns.ip("link set eth2 down")
    lines.due()
    assert lines.router.status()["uplinks"]["lte"]["repair"]["next"] is None
    assert lines.lines() == [] and lines.steps() == []


# ---------------------------------------------------------------- kills, reboots, and no more than allowed


def test_a_process_that_is_killed_anywhere_does_no_step_twice_and_loses_none(lines: Lines) -> None:
    lines.hook('echo "$STEP" >>"$MWAN_HOOK_ROOT/told"')
    lines.fault(2)
    lines.configure(lte=f"repair = hook@{SOON}, hook@600")
    wait_for("it to be due", lambda: " is due" in lines.router.mwan("plan").stdout)
    number = 0
    found: list[tuple[bool, int, str]] = []
    while not found or found[-1][0]:
        number += 1
        for when in ("before", "after") if number == 1 else ("before",):
            for name in (files.REPAIRS, files.HISTORY, "told"):  # as if it had never been done
                (lines.root / name).unlink(missing_ok=True)
            killed = dying.killed(lines.router, number, when, "repair", "--due")
            lines.due()
            lines.router.mwan("check")  # what waits in the state to be told goes on its way
            done, climb = len(lines.lines()), lines.climb()
            assert done <= 1 and climb["place"] == 1, (number, when)
            assert climb["counts"] == {"hook": 1} and len(climb["done"]) == 1, (number, when)
            assert lines.steps() == [("lte", "hook")], "told once"
            found.append((killed, done, climb["outcome"]))
    assert len(found) > 4
    assert (True, 0, ladder.HURT) in found, "stored and not done: it counts as done"
    assert found[0][1:] == (1, "done"), "not stored: it is done by the next process"


def test_a_step_stored_before_a_reboot_is_not_done_again_and_the_next_one_is(lines: Lines) -> None:
    lines.hook('echo "$REASON" >>"$MWAN_HOOK_ROOT/told"')
    lines.router.reboot_files()
    lines.router.wrap = router.up_for(1000)  # a step counts for a day, and is no younger than the boot after it
    lines.fault(2)
    ladder_of_two = f"repair = hook@{SOON}, hook@0.4, hook@0.6\nrepair_max = 2"
    lines.configure(lte=ladder_of_two)
    before = {"boot_id": "earlier", "at": 5.2, "wall": time.time() - 100}
    stored = {"boot_id": "earlier", "since": 5.0, "place": 1, "base": 5.2, "step": "hook", "begun": 5.2}
    known = {"version": 1, "uplinks": {"lte": {**stored, "done": [before]}}}
    (lines.root / files.REPAIRS).write_text(json.dumps(known))
    lines.until("the second step", lines.lines)
    assert [line.partition(", ")[2] for line in lines.lines()] == ["step 2 of 3"]
    assert lines.steps() == [("lte", "hook"), ("lte", "hook")], "the first one is told of as not ended"
    lines.due()
    assert len(lines.lines()) == 1 and "repair_max is 2" in lines.router.mwan("status").stdout


# ---------------------------------------------------------------- the operator's way, and by hand


def test_the_way_that_the_operator_has_come_by_is_spared_and_by_hand_it_takes_a_yes(lines: Lines) -> None:
    lines.hook('echo "$REASON" >>"$MWAN_HOOK_ROOT/told"')
    line = lines.net.lines["eth2"]
    client = operators.come_by(lines.net.lab, lines.router, line)
    lines.fault(2)
    lines.configure(lte=f"repair = hook@{SOON}", fiber=f"repair = hook@{SOON}")
    lines.until("it to be kept back", lambda: lines.climb().get("held"))
    words = f"the operator's session from {line.isp.gateway} goes by it"
    assert lines.climb()["held"] == words and lines.lines() == []
    refused = lines.router.mwan("repair", "lte", "--step", "hook", code=1)
    assert f"lte: {words}; --yes does it all the same" in refused.stderr and lines.lines() == []
    assert "lte: repair hook (by hand)" in lines.router.mwan("repair", "lte", "--step", "hook", "--yes").stdout
    lines.router.mwan("repair", "fiber", "--step", "hook")
    assert lines.lines() == ["by hand", "by hand"] and "place" not in lines.climb(), "the ladder did not move"
    client.kill()
    wait_for("the session to end", lambda: operators.gone(lines.router))
    lines.impatient()
    lines.until("the step, now that nobody is there", lambda: lines.lines()[2:])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("lte", "--step", "renew"), 1, "systemd-networkd does not manage eth2"),
        (("eth2", "--step", "reconfigure"), 1, "systemd-networkd does not manage eth2"),
        (("lte", "--step", "replug"), 1, "eth2 belongs to no USB device"),
        (("lte", "--step", "hook"), 1, "there is no program in repair.d"),
        (("lte", "--step", "walk"), 2, "there is no step walk"),
        (("lan9", "--step", "renew"), 2, "no uplink is called lan9"),
        (("--step", "renew"), 2, "needs an UPLINK"),
    ],
)
def test_a_step_that_cannot_be_is_refused_with_the_reason(
    unprobed: Lines, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in unprobed.router.mwan("repair", *words, code=code).stderr


@pytest.fixture(scope="module")
def unprobed() -> Iterator[Lines]:
    """Two uplinks that no run has seen."""
    with Lab() as lab:
        made = Lines(topologies.probed(lab, 2))
        made.configure(lte="repair = renew@60, replug@600")
        yield made


def test_the_ladders_are_shown_with_what_each_step_lacks(unprobed: Lines) -> None:
    shown = unprobed.router.mwan("repair").stdout
    assert [" ".join(line.split()) for line in shown.splitlines()[1:]] == [
        "lte eth2 renew 60 s - systemd-networkd does not manage eth2",
        "lte eth2 replug 600 s - eth2 belongs to no USB device",
    ]
    assert "no uplink here has a ladder" in unprobed.router.mwan("repair", "fiber").stdout


# ---------------------------------------------------------------- what the steps do


def test_what_others_have_on_a_link_is_there_after_a_bounce_and_ours_after_the_next_run(lines: Lines) -> None:
    ns, line = lines.router.ns, lines.net.lines["eth2"]
    ns.batch(
        "addr add 2001:db8:77::7/64 dev eth2 nodad",
        "addr add 2001:db8:78::7/64 dev eth2 nodad noprefixroute",
        f"route add 198.51.100.0/24 via {line.isp.gateway} dev eth2 table 777",
        f"route add 203.0.113.0/24 via {line.isp.gateway} dev eth2 metric 5 mtu 1400 proto static",
        f"route add 192.0.2.0/24 nexthop via 10.1.0.1 dev eth1 weight 2 nexthop via {line.isp.gateway} dev eth2",
        "route add 2001:db8:99::/48 via fe80::1 dev eth2 table 778",
        "route add 2001:db8:98::/48 dev eth2 metric 77",
        "route add unreachable 198.18.0.0/15",
    )
    before = foreign(lines)
    assert len([one for one in before if "eth2" in one]) > 8
    bounced_beside_networkd(lines, line)
    assert foreign(lines) == before
    lines.router.event("change", "eth2")
    lines.router.check()
    assert lines.router.verdict("lte") == "online" and lines.router.mwan("plan").stdout == ""


def bounced_beside_networkd(lines: Lines, line: Line) -> None:
    """Have it bounced; the lease is taken away and given anew a moment after what others have was put back."""
    words = ("--root", str(lines.root), "repair", "lte", "--step", "bounce")
    argv = lines.router.ns.argv(lines.router.python, "-c", AS_NETWORKD, *words)
    gone, left = f"addr del {line.address} dev eth2", lines.root / "left"
    env = {"GONE": gone, "BACK": ";".join(lines.router.leased(line)), "LEFT": str(left)}
    assert "is done" in run(argv, env={**env, **lines.router.environment()}).stdout
    assert left.read_text() == "", "the kernel takes all IPv4 routes with the last address"


def foreign(lines: Lines) -> list[str]:
    """Addresses and routes that are neither ours nor come back by a lease, an advertisement or the link."""
    show = ("-o addr show dev eth2", "-4 route show table all", "-6 route show table all")
    found = [line for words in show for line in lines.router.ns.ip(f"-N {words}").splitlines()]
    own = (" proto 172", " proto 16", " proto 9", " proto 2", " scope 253", " scope link")
    return sorted(" ".join(one.split()) for one in found if not any(f"{word} " in f"{one} " for word in own))


def test_a_device_that_was_taken_away_is_given_back_also_when_the_process_is_killed(lines: Lines) -> None:
    port = lines.root / "sys/devices/pci0/usb3/3-1/3-1.4"
    (port / "3-1.4:1.0").mkdir(parents=True)
    for place, name in (("sys/class/net/eth2/device", "3-1.4:1.0"), ("sys/bus/usb/devices/3-1.4", "")):
        (lines.root / place).parent.mkdir(parents=True)
        (lines.root / place).symlink_to(port / name)
    switch = port / "authorized"
    switch.write_text("1")
    lines.fault(2)
    lines.configure(lte=f"repair = replug@{SOON}, hook@600")
    wait_for("it to be due", lambda: " is due" in lines.router.mwan("plan").stdout)
    process = lines.router.start("repair", "--due")
    wait_for("the device to be away", lambda: switch.read_text() == "0")
    process.kill()
    process.wait()
    assert (lines.climb()["step"], lines.climb().get("outcome")) == ("replug", None)
    assert "lte: repair replug was not ended" in lines.due()
    assert switch.read_text() == "1" and lines.climb()["outcome"] == ladder.HURT
    assert "is done" in lines.router.mwan("repair", "lte", "--step", "replug").stdout
    assert switch.read_text() == "1" and lines.climb()["counts"] == {"replug": 2}


def test_the_modem_that_has_the_port_is_reset(lines: Lines) -> None:
    program = lines.router.write("bin/mmcli", MMCLI)
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "TOLD": str(lines.root / "told")}
    lines.router.mwan("repair", "lte", "--step", "modem-reset", env=env)
    assert lines.lines() == ["--modem=/Modem/3 --reset"]
    refused = lines.router.mwan("repair", "fiber", "--step", "modem-reset", env=env, code=1).stderr
    assert "ModemManager knows no modem with the port eth1" in refused
