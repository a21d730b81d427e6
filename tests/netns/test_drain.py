"""`mwan-hook drain`: old connections stay, new ones go elsewhere, and the uplink is disabled when it has none left."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Lab, Netns, Network, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.process import LabError
from tests.lab.router import AS_NOBODY
from tests.lab.starts import Process
from tests.lab.uplinks import FIBER_LTE, probing
from tests.netns import dying

LAN6 = "fd00:dd::"
QUICK = probing("icmp://8.8.8.8, icmp://2001:4860:4860::8888", interval=0.2)
PINNED = f"[router]\npin = yes\nmasquerade = yes\nnat6 = masquerade\n{QUICK}{FIBER_LTE}"
UNPINNED = f"[router]\nmasquerade = yes\nnat6 = masquerade\n{QUICK}{FIBER_LTE}"
HOLD = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7)) as sock:
    while True:
        sock.sendall(b"hello\\n")
        print(sock.recv(100).decode().split()[0], flush=True)
        time.sleep(0.05)
"""
SERVER = """
import socket
with socket.create_server(("::", 4000), family=socket.AF_INET6, dualstack_ipv6=True) as waiting:
    print("ready", flush=True)
    while True:
        one, _ = waiting.accept()
        one.sendall(b"served")
        one.close()
"""
VISIT = """
import socket, sys
with socket.create_connection((sys.argv[2], 4000), timeout=10, source_address=(sys.argv[1], 0)) as sock:
    print(sock.recv(100).decode())
"""
# What conntrack knows: NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE without a tuple, with NLM_F_ACK.
FORGET = """
import socket, struct
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:
    sock.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
    assert struct.unpack_from("=i", sock.recv(4096), 16)[0] == 0
"""
TRANSLATED = 'table ip forward { chain pre { type nat hook prerouting priority dstnat; iifname "eth1" tcp dport 4001 '
TRANSLATED += "dnat to 192.168.2.10:4000; }; }"


class Held:
    """A TCP connection that goes on, of a client or of the router."""

    def __init__(self, net: Network, ns: Netns, address: str = INTERNET4[0]) -> None:
        self.log = net.lab.spawn(ns.argv(sys.executable, "-IS", "-c", HOLD, address), f"held{len(net.lab.children)}")
        self.process: Process = net.lab.children[-1]
        wait_for("the connection", self.log.read_text, 30)

    def carried_by(self) -> str:
        """Which provider answered last, after some more answers."""
        count = len(self.log.read_text().split())
        wait_for("more answers", lambda: len(self.log.read_text().split()) > count + 2, 30)
        return self.log.read_text().split()[-1]

    def end(self) -> None:
        """Close it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    """Two lines and a LAN of both families."""
    with Lab() as lab:
        net = topologies.probed(lab, 2, client=True)
        net.give_ipv6(LAN6, 20)
        yield net


@pytest.fixture
def net(lines: Network) -> Network:
    """Before the first run ever."""
    lines.router.mwan("flush")
    lines.router.reboot_files()
    for name in ("allotment.json", "history.jsonl"):
        (lines.router.root / "var/lib/mwan-hook" / name).unlink(missing_ok=True)
    lines.router.ns.nft("flush ruleset\n")
    lines.router.ns.run(sys.executable, "-IS", "-c", FORGET)
    return lines


def client(net: Network) -> Netns:
    assert net.client
    return net.client


def uplink(net: Network, name: str = "fiber") -> dict[str, Any]:
    found: dict[str, Any] = net.router.status()["uplinks"][name]
    return found


def told(net: Network) -> list[tuple[str, str]]:
    return [(one["event"], one["reason"]) for one in net.router.history("fiber") if one["event"].startswith("drain")]


ROUTINGS = [
    ("[routing]\nnexthops = routes\n", INTERNET4[0]),
    ("[routing]\nnexthops = objects\n", INTERNET6[-1]),
    ("[routing]\ndefault_table = main\n", INTERNET6[-1]),
]


@pytest.mark.parametrize(("routing", "address"), ROUTINGS, ids=["routes", "objects", "main"])
def test_old_connections_stay_new_ones_go_elsewhere_and_with_the_last_one_it_is_disabled(
    net: Network, routing: str, address: str
) -> None:
    text = PINNED.replace("metric = 200", "metric = 100") if "objects" in routing else PINNED
    net.router.configure(routing + text)
    net.router.check()
    if "objects" in routing:  # both share: those of the drained one are looked for
        net.router.ns.sysctl({"ipv4/fib_multipath_hash_policy": 1, "ipv6/fib_multipath_hash_policy": 1})
    mine, theirs = by_fiber(net, net.router.ns, address), by_fiber(net, client(net), address)
    assert net.router.mwan("drain", "fiber", "--wait", "2h").stderr == ""
    assert net.router.way_out() == net.router.way_out("ipv6") == ["lte"]
    assert set(net.lab.connect(client(net), 4, address) + net.lab.connect(net.router.ns, 4, address)) == {"isp2"}
    assert mine.carried_by() == theirs.carried_by() == "isp1"
    net.router.check()
    shown = net.router.mwan("status", "-H").stdout
    assert re.search(r"^fiber .* draining \(2 connections\) until [-0-9: ]*\d\d:\d\d; ", shown, re.MULTILINE), shown
    assert (uplink(net)["draining"], uplink(net)["connections"], uplink(net)["enabled"]) == (True, 2, True)
    theirs.end()
    wait_for("the count", lambda: net.router.check() and uplink(net)["connections"] == 1, 30)
    assert mine.carried_by() == "isp1"
    mine.end()
    wait_for("the end", lambda: net.router.check() and not uplink(net)["draining"], 30)
    assert (uplink(net)["enabled"], uplink(net)["connections"], net.router.verdict("fiber")) == (
        False,
        None,
        "disabled",
    )
    assert told(net) == [
        ("draining", "`mwan-hook drain`, for at most 2 h"),
        ("drained", "no connection is left"),
    ]


def by_fiber(net: Network, ns: Netns, address: str) -> Held:
    """A connection by the first provider."""
    for _ in range(40):
        held = Held(net, ns, address)
        if held.carried_by() == "isp1":
            return held
        held.end()
    raise LabError("no connection by the first provider")


def test_when_the_time_is_up_it_is_disabled_though_a_connection_is_left(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.check()
    held = Held(net, client(net))
    net.router.mwan("drain", "fiber", "--wait", "1s")
    wait_for("the end", lambda: net.router.mwan("check") and not uplink(net)["draining"], 30)
    assert told(net)[-1] == ("drained", "the time is up, with 1 connection")
    assert uplink(net)["enabled"] is False
    held.end()


def test_what_comes_in_meanwhile_is_answered(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.ns.nft(TRANSLATED + "\n")
    net.router.check()
    held = Held(net, net.router.ns)
    served = [net.lab.spawn(ns.argv(sys.executable, "-IS", "-c", SERVER), f"served-{ns.name}") for ns in both(net)]
    servers = net.lab.children[-2:]
    wait_for("the servers", lambda: all("ready" in one.read_text() for one in served), 30)
    net.router.mwan("drain", "fiber")
    visitor = net.isps[0].ns
    for port in ("4000", "4001"):
        words = VISIT.replace("4000", port)
        assert visitor.run(sys.executable, "-IS", "-c", words, INTERNET4[0], "10.1.0.2").stdout == "served\n"
    held.end()
    for one in servers:
        one.kill()


def both(net: Network) -> tuple[Netns, Netns]:
    return net.router.ns, client(net)


def test_enable_takes_it_back_and_a_second_drain_has_its_own_time(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.check()
    held = Held(net, net.router.ns)
    net.router.mwan("drain", "fiber", "--wait", "1s")
    net.router.mwan("drain", "fiber", "--wait", "3h")
    assert uplink(net)["draining_until"] > net.router.status()["time"]
    net.router.mwan("enable", "fiber")
    assert (uplink(net)["draining"], net.router.way_out()) == (False, ["fiber"])
    assert [reason for _, reason in told(net)][1:] == ["`mwan-hook drain`, for at most 3 h", "`mwan-hook enable`"]
    net.router.mwan("drain", "fiber")
    net.router.mwan("disable", "fiber")
    assert (net.router.verdict("fiber"), told(net)[-1]) == ("disabled", ("drained", "`mwan-hook disable`"))
    assert "disabled already" in net.router.mwan("drain", "fiber").stdout
    assert net.router.verdict("fiber") == "disabled"
    held.end()


def test_it_is_remembered_across_a_boot_and_a_kill_at_any_point_loses_nothing(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.check()
    held = Held(net, net.router.ns)
    for when in ("before", "after"):
        number = 1
        while dying.killed(net.router, number, when, "drain", "fiber"):
            number += 1
        assert number > 2
        assert (uplink(net)["draining"], net.router.way_out()) == (True, ["lte"])
        net.router.mwan("enable", "fiber")
    net.router.mwan("drain", "fiber")
    net.router.reboot_files()
    net.router.check()
    assert (uplink(net)["draining"], uplink(net)["connections"], net.router.way_out()) == (True, 1, ["lte"])
    monitor = net.lab.monitor(net.router.ns)
    monitor.written()
    net.router.check()
    assert monitor.written() == []
    held.end()
    number = 1
    while dying.killed(net.router, number, "after", "check", "--now"):
        number += 1
    assert (net.router.verdict("fiber"), net.router.way_out()) == ("disabled", ["lte"])


def test_the_only_way_out_carries_on_and_is_not_disabled_before_there_is_another(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.check()
    net.router.mwan("drain", "fiber", "--wait", "1s")
    with net.isps[1].broken("blackhole"):
        wait_for("the other one to be found dead", lambda: net.router.check() and net.router.way_out() == ["fiber"], 30)
        assert net.lab.connect(client(net), 1) == ["isp1"]
        wait_for(
            "the time to be up",
            lambda: net.router.mwan("check") and "nothing else is online" in net.router.mwan("status").stdout,
            30,
        )
        assert uplink(net)["draining"] is True
    wait_for("the end", lambda: net.router.check() and not uplink(net)["draining"], 30)
    assert (net.router.verdict("fiber"), net.router.way_out()) == ("disabled", ["lte"])


def test_a_hard_failback_takes_nothing_from_a_backup_that_is_drained(net: Network) -> None:
    net.router.configure(f"{PINNED}failback = hard\n")
    net.router.check()
    with net.isps[0].broken("blackhole"):
        net.router.check()
        mine, theirs = Held(net, net.router.ns), Held(net, client(net))
        assert (mine.carried_by(), theirs.carried_by()) == ("isp2", "isp2")
        net.router.mwan("drain", "lte")
    wait_for("the better one", lambda: net.router.check() and net.router.way_out() == ["fiber"], 30)
    net.router.check()
    assert (mine.carried_by(), theirs.carried_by()) == ("isp2", "isp2")
    assert net.lab.connect(client(net), 1) == ["isp1"]
    assert uplink(net, "lte")["connections"] == 2
    net.router.mwan("disable", "lte")
    mine.end()
    theirs.end()


def test_without_pin_it_says_what_is_counted(net: Network) -> None:
    net.router.configure(UNPINNED)
    net.router.check()
    held = Held(net, net.router.ns)
    assert "only this machine's own connections are counted" in net.router.mwan("drain", "fiber").stdout
    assert (uplink(net)["connections"], held.carried_by()) == (1, "isp1")
    shown = net.router.mwan("status", wrap=AS_NOBODY).stdout
    assert "draining (1 connection) until" in shown, "what a run has counted is there for everybody"
    held.end()


def test_wrong_words_are_told(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.check()
    assert "no uplink is called dsl" in net.router.mwan("drain", "dsl", code=2).stderr
    assert "expected a time" in net.router.mwan("drain", "fiber", "--wait", "soon", code=2).stderr
    said = net.router.mwan("drain", "fiber", wrap=AS_NOBODY, code=1).stderr
    assert "root" in said or "not permitted" in said or "denied" in said, said
    assert uplink(net)["draining"] is False


PING = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto(b"x", ("203.0.113.9", 9))
"""


def test_what_is_no_connection_does_not_count_and_a_datagram_that_was_answered_does(lab: Lab) -> None:
    """Names, pings, probes, what has ended and what gets no answer: all of it has the mark."""
    net = topologies.probed(lab, 2, client=True)
    assert net.client
    targets = "dns://8.8.8.8/example.org, tcp://9.9.9.9:80, http://1.1.1.1/generate_204, icmp://1.0.0.1"
    net.router.configure(PINNED.replace(QUICK, probing(targets, interval=0.2)))
    net.router.check()
    assert lab.connect(net.client, 2) + lab.connect(net.router.ns, 2) == ["isp1"] * 4
    net.client.run("ping", "-c", "1", "-W", "9", INTERNET4[0])
    net.client.run(sys.executable, "-IS", "-c", PING)
    flow = lab.flow(net.client)
    assert flow.carried_by() == "isp1"
    net.router.mwan("drain", "fiber")
    assert uplink(net)["connections"] == 1
    assert flow.carried_by() == "isp1", "it was pinned"
    flow.stop()
    net.router.mwan("enable", "fiber")
    net.router.mwan("drain", "lte")
    net.router.check()
    assert uplink(net, "lte")["enabled"] is False


def test_what_a_run_that_compares_would_do_it_does_while_anything_is_drained(net: Network) -> None:
    net.router.configure(f"{QUICK}{FIBER_LTE}")
    net.router.check()
    held, memo = Held(net, net.router.ns), net.router.root / "run/mwan-hook/quiet"
    wait_for("a memo", lambda: net.router.mwan("check") and memo.exists() and memo.stat().st_size, 30)
    net.router.mwan("drain", "fiber")
    held.end()
    wait_for("the end", lambda: net.router.mwan("check") and not uplink(net)["draining"], 30)
    assert net.router.way_out() == ["lte"]


def test_plan_says_what_a_run_would_type(net: Network) -> None:
    net.router.configure(PINNED)
    net.router.check()
    assert net.router.status()["uplinks"]["lte"]["connections"] is None
    net.router.mwan("drain", "fiber")
    assert net.router.mwan("plan").stdout == "mwan-hook disable fiber\n"
    assert "[#] mwan-hook disable fiber" in net.router.check().stdout
    assert net.router.mwan("plan").stdout == ""
