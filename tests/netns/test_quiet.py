"""The short way on a real kernel: it says `same` only where the whole program would do nothing but count."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from mwan_hook.run import listening, quick_round, quiet
from tests.lab import Lab, Router, topologies, wait_for
from tests.lab.inside import inside
from tests.lab.topologies import Network
from tests.netns.passed import GROUPS, listen, start

CONFIG = """\
[probe]
  targets = icmp://9.9.9.9, tcp://1.1.1.1:80, icmp://[2620:fe::fe]
  portal_targets = http://gstatic.com/generate_204
  interval = 1
[uplinks]
  [[one]]
    match = eth1
    metric = 100
  [[two]]
    match = eth2
    metric = 200
    metered = yes
"""
ASK = "import sys; from mwan_hook.run import quiet; print(quiet.same(sys.argv[1], sys.argv[2] == 'now'))"
HEARD = """
import sys
opened = set()
sys.addaudithook(lambda event, found: opened.add((event, str(found[0]))) if event in ("open", "os.listdir") else None)
from mwan_hook import __main__
__main__.main(["--root", sys.argv[1], "check", "--now"])
print(*sorted(f"{event} {path}" for event, path in opened), sep="\\n")
"""


class Peace:
    """A router with two lines that are online, and a memo of it."""

    def __init__(self, net: Network) -> None:
        self.net, self.router = net, net.router
        self.memo = self.router.root / quiet.MEMO
        self.router.configure(CONFIG)

    def restore(self) -> None:
        """A memo of how things are now."""

        def kept() -> bool:
            self.memo.unlink(missing_ok=True)
            self.router.mwan("check", "--now")
            return self.memo.is_file() and self.memo.stat().st_size > 0

        wait_for("a memo", kept)

    def python(self, code: str, *words: str, env: dict[str, str] | None = None) -> str:
        """What a program of ours prints in the router."""
        return self.router.ns.run(self.router.python, "-c", code, *words, env={**os.environ, **(env or {})}).stdout

    def same(self, now: bool = True, **env: str) -> str:
        return self.python(ASK, str(self.router.root), "now" if now else "", env=env).strip()

    def surely_same(self) -> None:
        """On a machine with much to do an answer may be late; not every one."""
        wait_for("the short way", lambda: self.same() == "True", 20)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.router.state_file.read_text())
        return found


@pytest.fixture(scope="module")
def peace() -> Iterator[Peace]:
    with Lab() as lab:
        yield Peace(topologies.probed(lab, 2))


@pytest.fixture(autouse=True)
def remembered(peace: Peace) -> None:
    peace.restore()


def families(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [one[family] for one in state["uplinks"].values() for family in ("ipv4", "ipv6")]


def test_what_the_short_way_stores_is_what_the_whole_program_would(peace: Peace) -> None:
    states = [peace.state]
    for _ in range(2):
        peace.surely_same()
        states.append(peace.state)
    peace.memo.unlink()
    peace.router.mwan("check", "--now")
    states.append(peace.state)
    assert all(quiet.at_rest(state) == quiet.at_rest(states[0]) for state in states)
    for before, after in pairwise(states):
        for old, new in zip(families(before), families(after), strict=True):
            assert (new["rounds"], new["good"]) == (old["rounds"] + 1, old["good"] + 1)
            assert new["probe_bytes"] - old["probe_bytes"] in (72, 112, 224)
            assert list(old) == list(new) and new["reason"] == "1 of 1 targets answered"
    assert peace.router.mwan("plan").stdout.strip() == ""


def test_what_is_not_due_is_not_asked_and_nothing_is_stored(peace: Peace) -> None:
    peace.surely_same()
    stored = peace.router.state_file.read_bytes()
    assert peace.same(now=False) == "True"
    assert peace.router.state_file.read_bytes() == stored


def ip(line: str) -> Callable[[Router], object]:
    return lambda router: router.ns.ip(line)


def rewritten(path: str) -> Callable[[Router], object]:
    """Another content of the same size, with the old time of change set back."""

    def change(router: Router) -> None:
        file = router.root / path
        was = file.stat()
        time.sleep(0.02)  # a tick of the kernel's clock
        file.write_bytes(file.read_bytes()[::-1])
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))

    return change


def written(path: str, text: str = "") -> Callable[[Router], object]:
    return lambda router: router.write(path, text)


def lease(router: Router) -> str:
    """Where networkd keeps that of eth1."""
    return f"run/systemd/netif/leases/{router.ns.run('cat', '/sys/class/net/eth1/ifindex').stdout.strip()}"


def edited(**values: Any) -> Callable[[Router], object]:
    """A state that another run has stored."""

    def change(router: Router) -> None:
        router.write_state(json.dumps({**json.loads(router.state_file.read_text()), **values}) + "\n")

    return change


# What is done to the router, and how it is taken back.
CHANGES: dict[str, tuple[Callable[[Router], object], Callable[[Router], object]]] = {
    "an address": (ip("addr add 10.9.9.9/32 dev lo"), ip("addr del 10.9.9.9/32 dev lo")),
    "a deprecated address": (
        ip("addr change 2001:db8:1:1::2/64 dev eth1 preferred_lft 0 valid_lft forever"),
        ip("addr change 2001:db8:1:1::2/64 dev eth1 preferred_lft forever valid_lft forever"),
    ),
    "a rule of another program": (ip("rule add pref 77 from 192.0.2.1 lookup 77"), ip("rule del pref 77")),
    "a rule of ours": (
        ip("rule del pref 1100 oif eth1"),
        ip("rule add pref 1100 oif eth1 lookup 1001 proto 172"),
    ),
    "an IPv6 rule": (ip("-6 rule add pref 77 lookup 77"), ip("-6 rule del pref 77")),
    "a route of ours": (
        ip("route del default dev eth1 table 1001"),
        ip("route add default via 10.1.0.1 dev eth1 table 1001 proto 172 src 10.1.0.2 metric 100"),
    ),
    "a route to copy": (ip("route add 198.51.100.0/24 dev eth2"), ip("route del 198.51.100.0/24 dev eth2")),
    "an IPv6 route": (ip("-6 route add 2001:db8:77::/64 dev eth2"), ip("-6 route del 2001:db8:77::/64 dev eth2")),
    "half a default": (ip("route add 0.0.0.0/1 dev lo"), ip("route del 0.0.0.0/1 dev lo")),
    "a default": (
        ip("route add default via 10.2.0.1 dev eth2 metric 7"),
        ip("route del default via 10.2.0.1 dev eth2 metric 7"),
    ),
    "a device": (ip("link add extra type veth peer name other"), ip("link del extra")),
    "a name": (
        ip("link property add dev eth2 altname uplink-two"),
        ip("link property del dev eth2 altname uplink-two"),
    ),
    "a setting": (
        lambda router: router.ns.sysctl({"ipv4/conf/eth1/ignore_routes_with_linkdown": 0}),
        lambda router: router.ns.sysctl({"ipv4/conf/eth1/ignore_routes_with_linkdown": 1}),
    ),
    "a file of the configuration": (
        written("etc/mwan-hook/mwan-hook.conf", CONFIG.replace("metric = 100", "metric = 101")),
        written("etc/mwan-hook/mwan-hook.conf", CONFIG),
    ),
    "another file of it": (
        written("etc/mwan-hook/conf.d/x.conf", "[routing]\n"),
        lambda router: (router.root / "etc/mwan-hook/conf.d/x.conf").unlink(),
    ),
    "the cache with its old time": (
        rewritten("run/mwan-hook/config.cache"),
        lambda router: (router.root / "run/mwan-hook/config.cache").unlink(),
    ),
    "a lease": (
        lambda router: written(lease(router), "ROUTER=10.1.0.1\n")(router),
        lambda router: (router.root / lease(router)).unlink(),
    ),
    "an event": (
        written("run/mwan-hook/events/1", "{}"),
        lambda router: (router.root / "run/mwan-hook/events/1").unlink(),
    ),
    "a channel that must be told again": (
        written("run/mwan-hook/again"),
        lambda router: (router.root / "run/mwan-hook/again").unlink(),
    ),
    "a notice that was not handed over": (edited(outbox=[{"id": "1", "event": "x"}]), edited(outbox=[])),
    "an error that stays": (edited(errors=["x"]), edited(errors=[])),
    "the state of another boot": (edited(boot_id="x"), lambda router: router.state_file.unlink()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_change_is_for_the_whole_program(peace: Peace, what: str) -> None:
    peace.surely_same()
    change, back = CHANGES[what]
    change(peace.router)
    changed = peace.router.state_file.read_bytes()
    try:
        assert peace.same() != "True", what
        assert peace.router.state_file.read_bytes() == changed
    finally:
        back(peace.router)


@pytest.mark.parametrize("fault", ["blackhole", "reject", "carrier"])
def test_an_answer_that_is_missing_or_bad_is_for_the_whole_program(peace: Peace, fault: str) -> None:
    peace.surely_same()
    stored, isp = peace.state, peace.router.lines["eth1"].isp
    if fault == "carrier":
        peace.router.carrier("eth1", on=False)
    else:
        isp.fault(fault)
    try:
        assert peace.same() != "True"
        assert peace.state == stored, "a lost round is not counted"
    finally:
        if fault == "carrier":
            peace.router.carrier("eth1", on=True)
        isp.heal()


def test_another_boot_user_root_or_time_is_for_the_whole_program(peace: Peace) -> None:
    peace.surely_same()
    assert peace.same(MWAN_HOOK_BOOT_ID="0" * 32) == "None"
    memo = peace.memo.read_bytes()
    text, _, replies = memo.partition(b"\n")
    known = json.loads(text)
    for change in ({"until": known["made"]}, {"made": known["until"]}, {"program": [0, *known["program"][1:]]}):
        peace.memo.write_bytes(json.dumps({**known, **change}).encode() + b"\n" + replies)
        assert peace.same() == "None", change
    peace.memo.write_bytes(memo)
    assert peace.same() == "True"


def test_a_run_beside_another_one_waits_as_ever(peace: Peace) -> None:
    for name in (quiet.PROBE_LOCK, quiet.STATE_LOCK):
        locks = quiet.Locks()
        locks.take(str(peace.router.root / name))
        assert peace.same() == "False"
        locks.release()


@pytest.fixture
def listeners(peace: Peace) -> Iterator[list[socket.socket]]:
    """Sockets as mwan-hook-netlink.socket opens them, in the router."""
    with contextlib.ExitStack() as closing:
        with inside(peace.router.ns.name):
            sockets = [closing.enter_context(listen(groups)) for groups in GROUPS]
        yield sockets


def heard(peace: Peace, listeners: list[socket.socket]) -> int:
    """Start what systemd starts for news; its exit code."""
    return start(listeners, peace.router.argv("event", "--facts"))


def blind(peace: Peace) -> None:
    """Spoil the remembered replies: a run that compares them finds a difference."""
    memo, _, replies = peace.memo.read_bytes().partition(b"\n")
    peace.memo.write_bytes(memo + b"\n" + bytes(len(replies)))


def test_where_systemd_has_heard_of_no_change_nothing_is_dumped(peace: Peace, listeners: list[socket.socket]) -> None:
    assert heard(peace, listeners) == 0
    peace.restore()
    peace.surely_same()
    blind(peace)
    peace.surely_same()
    peace.router.ns.ip("route add 203.0.113.0/24 dev eth1")  # news
    assert peace.same() == "None"
    assert heard(peace, listeners) == 0  # they were looked at: nothing of it matters
    peace.surely_same()
    for sock in listeners:  # the unit is stopped
        sock.close()
    assert peace.same() == "None"


def test_a_nexthop_object_that_takes_a_route_with_it_is_news(peace: Peace, listeners: list[socket.socket]) -> None:
    """The kernel tells of the object alone: a default of main is gone without a word."""
    ip = peace.router.ns.ip
    ip("nexthop add id 77 via 10.2.0.1 dev eth2")
    ip("route add default nhid 77 metric 777")
    try:
        assert heard(peace, listeners) == 0
        peace.restore()
        peace.surely_same()
    finally:
        ip("nexthop del id 77")
    assert "777" not in ip("route show default")
    assert peace.same() == "None"
    assert heard(peace, listeners) == 0


def test_a_look_at_the_news_that_fails_ends_the_trust(peace: Peace, listeners: list[socket.socket]) -> None:
    assert heard(peace, listeners) == 0
    peace.restore()
    blind(peace)
    peace.surely_same()
    peace.router.configure("[uplinks]\n[[one]]\nnonsense = 1\n")
    assert heard(peace, listeners) == 2
    peace.router.configure(CONFIG)
    assert not (peace.router.root / listening.NOTE).exists()
    assert peace.same() == "None"


NETWORK = "[Match]\nDriver=veth\n[ConnectivityMonitord]\nInterval=1\n"


@pytest.mark.parametrize("described", [False, True])
def test_every_file_that_a_run_in_peace_reads_is_compared(peace: Peace, described: bool) -> None:
    """By the interpreter's own words, of the whole program; what sysfs says of a device lasts as long as the device."""
    if described:
        peace.router.write("etc/systemd/network/50-line.network", NETWORK)
        peace.router.configure(CONFIG.replace("match = eth2", "match = eth2, driver:unknown"))
        peace.restore()
    known = json.loads(peace.memo.read_bytes().partition(b"\n")[0])
    peace.memo.write_bytes(b"")  # so that none is made
    lines = [line.split(" ", 1) for line in peace.python(HEARD, str(peace.router.root)).splitlines()]
    own = {
        "open": (quiet.STATE, quiet.STATE_LOCK, quiet.PROBE_LOCK, f"{quiet.STATE}.new", quick_round.RECORD),
        "os.listdir": (quiet.EVENTS,),
    }
    compared = {*known["files"], *known["values"], "/proc/sys/kernel/random/boot_id"}
    read = [
        (event, path) for event, path in lines if path.startswith((str(peace.router.root), "/proc", "/run", "/etc"))
    ]
    for event, path in read:
        inside = path.removeprefix(f"{peace.router.root}/")
        assert path in compared or inside in own[event], path
    assert {path for _, path in read} >= {path for path in known["values"] if path.endswith("linkdown")}
    if described:
        (peace.router.root / "etc/systemd/network/50-line.network").unlink()
        peace.router.configure(CONFIG)


def test_where_time_alone_would_lead_to_a_change_nothing_is_remembered(peace: Peace) -> None:
    """A line without an address is told as dead after a minute."""
    peace.router.ns.batch("link add eth9 type veth peer name eth9p", "link set eth9 up", "link set eth9p up")
    peace.router.configure(CONFIG + "  [[three]]\n    match = eth9\n")
    try:
        for _ in range(3):
            peace.memo.unlink(missing_ok=True)
            peace.router.check()
        assert peace.memo.read_bytes() == b""
    finally:
        peace.router.ns.ip("link del eth9")
        peace.router.configure(CONFIG)


def test_a_backup_that_stands_by_goes_the_short_way_and_one_that_is_dialled_does_not(peace: Peace) -> None:
    peace.router.ns.ip("link add eth9 type veth peer name eth9p")
    settings = ("match = eth9", "metric = 300", "activate = on-demand", "start = command:/bin/true")
    section = "\n    ".join(("  [[three]]", *settings, "stop = command:/bin/true"))
    peace.router.configure(f"{CONFIG}{section}\n")
    try:
        peace.restore()
        peace.surely_same()
        peace.router.mwan("dial", "three")
        assert peace.same() == "None"
    finally:
        peace.router.mwan("hangup", "three", code=None)
        peace.router.ns.ip("link del eth9")
        peace.router.configure(CONFIG)
