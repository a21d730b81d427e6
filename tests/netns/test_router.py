"""[router]: connections that keep their uplink, masquerade, and a table that is ours alone, with real traffic."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from tests.lab import Lab, Netns, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.router import Router
from tests.lab.topologies import Network
from tests.lab.uplinks import ONE_TWO, probing

CLOSE = probing(interval=0.2)
PINNED = (
    f"""
[router]
pin = yes
masquerade = yes
nat6 = masquerade
{CLOSE}
"""
    + ONE_TWO
)
LAN6 = "fd00:aa::"


def network(lab: Lab, config: str = PINNED, count: int = 2) -> Network:
    """Uplinks and a LAN of both families; only mwan-hook masquerades."""
    net = topologies.probed(lab, count, client=True)
    net.router.ns.nft("delete table ip lab\n")
    net.router.ns.sysctl({"ipv6/fib_multipath_hash_policy": 1})
    net.give_ipv6(LAN6, 10)
    net.router.configure(config)
    net.router.check()
    return net


def table(ns: Netns) -> str:
    """Our nft table without counters; empty if there is none."""
    return ns.run("nft", "-s", "list", "table", "inet", "mwan_hook", check=False).stdout


def prefer(router: Router, config: str, first: str) -> None:
    """The configuration with the other uplink first."""
    other = {"one": "two", "two": "one"}[first]
    text = config.replace(
        f"[[{first}]]\nmatch = {_dev(first)}\nmetric = 200", f"[[{first}]]\nmatch = {_dev(first)}\nmetric = 50"
    )
    router.configure(
        text.replace(
            f"[[{other}]]\nmatch = {_dev(other)}\nmetric = 50", f"[[{other}]]\nmatch = {_dev(other)}\nmetric = 200"
        )
    )
    router.check()


def _dev(name: str) -> str:
    return {"one": "eth1", "two": "eth2"}[name]


@pytest.mark.parametrize("address", [INTERNET4[0], INTERNET6[-1]])
def test_a_connection_keeps_its_uplink_when_another_becomes_better(lab: Lab, address: str) -> None:
    net = network(lab)
    assert net.client
    flow = lab.flow(net.client, address)
    assert flow.carried_by() == "isp1"
    prefer(net.router, PINNED, "two")
    assert net.router.way_out() == ["two"]
    assert set(lab.connect(net.client, 5, address)) == {"isp2"}
    assert flow.carried_by() == "isp1"
    flow.stop()


@pytest.mark.parametrize("address", [INTERNET4[0], INTERNET6[-1]])
def test_without_pin_the_same_flow_moves(lab: Lab, address: str) -> None:
    config = PINNED.replace("pin = yes", "pin = no")
    net = network(lab, config)
    assert net.client
    flow = lab.flow(net.client, address)
    assert flow.carried_by() == "isp1"
    prefer(net.router, config, "two")
    time.sleep(0.2)
    assert flow.carried_by() == "isp2"
    flow.stop()


@pytest.mark.parametrize("address", [INTERNET4[0], INTERNET6[-1]])
def test_without_carrier_a_pinned_flow_moves_before_any_run_and_the_address_goes_nowhere(
    lab: Lab, address: str
) -> None:
    net = network(lab)
    assert net.client
    ns, family = net.router.ns, "ipv6" if ":" in address else "ipv4"
    source, client = ("2001:db8:1:1::2", f"{LAN6}10") if family == "ipv6" else ("10.1.0.2", "192.168.2.10")
    flow = lab.flow(net.client, address)
    assert flow.carried_by() == "isp1"
    net.isps[1].forget()
    lost = time.monotonic()
    net.router.carrier("eth1", False)
    wait_for("the flow to move", lambda: flow.carried_by() == "isp2")
    first = next(one["at"] for one in flow.answers() if one["isp"] == "isp2")
    assert first - lost < 1, "no run has taken the mark's rule away"
    way = ns.route_get(f"{address} from {client} iif lan0 mark 0x100", family)
    assert way
    assert way["dev"] == "eth2"
    assert ns.route_get(f"{address} from {source}", family) is None
    assert source not in {packet.source for packet in net.isps[1].seen()}
    flow.stop()


@pytest.mark.parametrize("address", [INTERNET4[0], INTERNET6[-1]])
def test_a_dead_uplinks_flow_moves_within_a_second_and_stays_where_it_went(lab: Lab, address: str) -> None:
    net = network(lab)
    assert net.client
    flow = lab.flow(net.client, address)
    assert flow.carried_by() == "isp1"
    with net.isps[0].broken("blackhole"):
        net.router.check()
        switched = time.monotonic()
        family = "ipv6" if ":" in address else "ipv4"
        assert net.router.verdict("one", family) == "offline"
        assert flow.carried_by() == "isp2"
        first = next(one["at"] for one in flow.answers() if one["isp"] == "isp2")
        assert first - switched < 1
    net.router.check()
    assert net.router.way_out(family) == ["one"]
    assert set(lab.connect(net.client, 3, address)) == {"isp1"}
    assert flow.carried_by() == "isp2"
    flow.stop()


@pytest.mark.parametrize("address", [INTERNET4[0], INTERNET6[-1]])
def test_a_hard_failback_takes_flows_from_the_backup(lab: Lab, address: str) -> None:
    net = network(lab, PINNED + "failback = hard\n")
    assert net.client
    with net.isps[0].broken("blackhole"):
        net.router.check()
        flow = lab.flow(net.client, address)
        assert flow.carried_by() == "isp2"
    net.router.check()
    time.sleep(0.2)
    assert flow.carried_by() == "isp1"
    flow.stop()


def test_the_table_is_taken_away_by_flush_and_when_nothing_needs_it(lab: Lab) -> None:
    net = network(lab)
    ns = net.router.ns
    assert "masquerade" in table(ns)
    net.router.configure(
        PINNED.replace("pin = yes", "").replace("masquerade = yes", "").replace("nat6 = masquerade", "")
    )
    net.router.check()
    assert table(ns) == ""
    net.router.configure(PINNED)
    net.router.check()
    assert table(ns)
    net.router.mwan("flush")
    assert table(ns) == ""


def test_a_table_of_a_run_that_is_not_remembered_goes(lab: Lab) -> None:
    net = network(lab)
    net.router.state_file.unlink()
    net.router.configure(
        PINNED.replace("pin = yes", "").replace("masquerade = yes", "").replace("nat6 = masquerade", "")
    )
    net.router.check()
    assert table(net.router.ns) == ""


@pytest.mark.parametrize(
    "harm",
    [
        "delete table inet mwan_hook",
        "flush ruleset",
        "flush chain inet mwan_hook prerouting",
        "add rule inet mwan_hook output drop",
        "add chain inet mwan_hook more",
    ],
)
def test_what_others_do_to_the_table_is_undone_by_the_next_run(lab: Lab, harm: str) -> None:
    net = network(lab)
    before = table(net.router.ns)
    net.router.ns.nft(harm + "\n")
    assert table(net.router.ns) != before
    net.router.check()
    assert table(net.router.ns) == before


def _without_nft(router: Router) -> dict[str, str]:
    """A PATH in which a trap stands for nft(8)."""
    trap = router.write("trap/nft", f'#!/bin/sh\necho "$@" >> {router.root}/called\nexec /usr/sbin/nft "$@"\n')
    trap.chmod(0o755)
    return {"PATH": f"{trap.parent}:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_a_second_run_starts_no_program_and_one_after_foreign_changes_only_reads(lab: Lab) -> None:
    net = network(lab)
    called = net.router.root / "called"
    trap = _without_nft(net.router)
    monitor = lab.monitor(net.router.ns)
    net.router.mwan("check", "--now", env=trap)
    assert not called.exists()
    net.router.ns.nft("table ip other { chain x { }; }\n")
    net.router.mwan("check", "--now", env=trap)
    assert called.read_text() == "-s -t list table inet mwan_hook\n"
    net.router.mwan("check", "--now", env=trap)
    assert called.read_text().count("\n") == 1
    del monitor


FOREIGN = """
table ip nat {
 chain DOCKER { iifname "docker0" return; tcp dport 8080 dnat to 172.17.0.2:80; }
 chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local jump DOCKER; }
 chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept;
  ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
}
table ip filter {
 chain FORWARD { type filter hook forward priority filter; policy accept; counter jump DOCKER-USER; }
 chain DOCKER-USER { counter return; }
}
table inet firewalld {
 chain mangle_PREROUTING { type filter hook prerouting priority mangle + 10; policy accept; jump zones; }
 chain zones { meta mark set meta mark | 0x10000; return; }
 chain nat_POSTROUTING { type nat hook postrouting priority srcnat + 10; policy accept; }
}
table ip mangle {
 chain PREROUTING { type filter hook prerouting priority mangle; policy accept;
  ct mark 0x1000000 counter meta mark set ct mark; }
}
"""


def test_foreign_tables_stay_byte_for_byte(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    ns = net.router.ns
    ns.nft(FOREIGN)
    before = ns.run("nft", "-s", "-a", "list", "ruleset").stdout
    net.router.configure(PINNED)
    net.router.check()
    with_ours = ns.run("nft", "-s", "-a", "list", "ruleset").stdout
    start = with_ours.index("table inet mwan_hook")
    end = with_ours.find("\ntable ", start)
    assert with_ours[:start] + (with_ours[end + 1 :] if end > 0 else "") == before
    prefer(net.router, PINNED, "two")
    net.router.mwan("flush")
    assert ns.run("nft", "-s", "-a", "list", "ruleset").stdout == before


def test_plan_shows_nft_commands_that_make_the_same_table(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(PINNED)
    net.router.check()
    made = table(net.router.ns)
    net.router.ns.nft("delete table inet mwan_hook\n")
    lines = [line for line in net.router.mwan("plan").stdout.splitlines() if line.startswith("nft ")]
    assert table(net.router.ns) == ""
    for line in lines:
        net.router.ns.run("sh", "-ec", line)
    assert table(net.router.ns) == made
    assert net.router.mwan("plan").stdout == ""


def test_without_nft_routing_goes_on_and_each_run_says_so_until_it_is_there(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(PINNED)
    hidden = ("unshare", "--mount", "--", "sh", "-ec", 'mount -t tmpfs none /usr/sbin; exec "$@"', "sh")
    first = net.router.mwan("check", "--now", wrap=hidden, code=1)
    assert net.router.way_out() == ["one"]
    second = net.router.mwan("check", "--now", wrap=hidden, code=1)
    for done in (first, second):
        assert done.stderr.count("nft(8) is not installed") == 1
    assert RULE in first.stdout and RULE not in second.stdout
    assert "nft(8) is not installed" in net.router.status()["errors"][0]
    assert RULE in net.router.mwan("plan").stdout
    net.router.check()  # it is there now
    assert table(net.router.ns)
    assert net.router.status()["errors"] == []


RULE = "nft 'add rule inet mwan_hook "
LISTS = '*" list "*) exec /usr/sbin/nft "$@" ;;'
BROKEN = {
    "refuses": ("echo 'Error: Could not process rule: No such device' >&2; exit 1", "nft: Error: Could not process"),
    "is killed": ("kill -9 $$", "killed by signal 9"),
    "says yes": ("exit 0", "said yes, but "),
    "is undone": ('/usr/sbin/nft "$@" && exec /usr/sbin/nft flush ruleset', "has another program flushed the ruleset?"),
}


def broken_nft(router: Router, what: str) -> dict[str, str]:
    """A PATH with an nft(8) that does ``what`` instead of making tables, and keeps a list of its calls."""
    trap = router.write(
        "trap/nft", f'#!/bin/sh\necho "$@" >> {router.root}/called\ncase " $* " in {LISTS} esac\n{what}\n'
    )
    trap.chmod(0o755)
    return {"PATH": f"{trap.parent}:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_nft_does_not_do_is_said_and_asked_for_again_until_it_stands(lab: Lab, fault: str) -> None:
    net = topologies.probed(lab, 2)
    trap, called = broken_nft(net.router, BROKEN[fault][0]), net.router.root / "called"
    net.router.configure(PINNED)
    for run in (1, 2):  # the second is not the first one that fails
        done = net.router.mwan("check", "--now", env=trap, code=1)
        assert done.stderr.count(BROKEN[fault][1]) == 1
        assert called.read_text().count("-f -") == run
        assert net.router.way_out() == ["one"]
    assert RULE in net.router.mwan("plan").stdout
    assert BROKEN[fault][1] in net.router.status()["errors"][0]
    net.router.check()
    made = table(net.router.ns)
    assert made and net.router.mwan("plan").stdout == ""
    # The same where another table stands, and nothing else changes any.
    net.router.configure(PINNED.replace("nat6 = masquerade", ""))
    done = net.router.mwan("check", "--now", env=trap, code=1)
    assert RULE in net.router.mwan("plan").stdout
    net.router.check()
    assert table(net.router.ns) not in (made, "")
    assert net.router.mwan("plan").stdout == "" == net.router.check().stdout
    # It is to go, and stays.
    net.router.configure(CLOSE + ONE_TWO)
    if fault != "is undone":
        assert "nft" in net.router.mwan("check", "--now", env=trap, code=1).stderr
        assert table(net.router.ns)
        assert net.router.mwan("plan").stdout
    net.router.check()
    assert table(net.router.ns) == ""


def test_routes_and_probes_do_not_wait_for_an_nft_that_hangs(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    pid = net.router.root / "pid"
    hangs = broken_nft(net.router, f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 100")
    net.router.configure(PINNED)
    run = net.router.start("check", "--now", wrap=("env", f"PATH={hangs['PATH']}"))
    wait_for("the default", lambda: net.router.way_out() == ["one"], 30)
    assert run.poll() is None  # at the end of the run it is asked patiently
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert run.wait(30) == 1
    pid.unlink()
    # The next runs know, and ask it last.
    with net.isps[0].broken("blackhole"):
        run = net.router.start("check", "--now", wrap=("env", f"PATH={hangs['PATH']}"))
        wait_for("nft(8)", pid.exists, 30)
        assert net.router.way_out() == ["two"]
        os.kill(int(pid.read_text()), signal.SIGKILL)
        assert run.wait(30) == 1
    net.router.check()
    assert table(net.router.ns)


SERVER = """
import socket, sys
from threading import Thread
def serve(family, address):
    server = socket.create_server((address, 4000), family=family)
    while True:
        connection, peer = server.accept()
        connection.sendall(b"served\\n")
        connection.close()
Thread(target=serve, args=(socket.AF_INET, "0.0.0.0")).start()
serve(socket.AF_INET6, sys.argv[1])
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 4000), timeout=3, source_address=(sys.argv[2], 0)) as sock:
    print(sock.recv(100).decode().strip())
"""


def _asked(ns: Netns, address: str) -> str:
    """What port 4000 of an address says to one and the same machine in the internet, or the error."""
    source = INTERNET6[-1] if ":" in address else INTERNET4[0]
    done = ns.run(sys.executable, "-IS", "-c", ASK, address, source, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


FORWARD = """
table inet forward { chain pre { type nat hook prerouting priority dstnat
 iifname { "eth1", "eth2" } tcp dport 4000 dnat ip to 192.168.2.10
 iifname { "eth1", "eth2" } tcp dport 4000 dnat ip6 to fd00:aa::10
}; }
"""


def _served(lab: Lab, config: str) -> Network:
    """A server in the LAN, with its port forwarded."""
    net = network(lab, config)
    assert net.client
    client = net.client
    net.router.ns.nft(FORWARD)
    lab.spawn(client.argv(sys.executable, "-IS", "-c", SERVER, f"{LAN6}10"), "server")
    wait_for("the server", lambda: f"{LAN6}10" in client.run("ss", "-Hnlt").stdout)
    net.router.check()
    return net


def test_a_port_forward_is_reached_through_every_uplink_at_once(lab: Lab) -> None:
    net = _served(lab, PINNED)
    for n, isp in enumerate(net.isps, 1):
        assert _asked(isp.ns, f"10.{n}.0.2") == "served"
        assert _asked(isp.ns, f"2001:db8:{n}:1::2") == "served"


def test_a_hard_failback_leaves_what_came_in_by_the_backup(lab: Lab) -> None:
    net = _served(lab, PINNED + "failback = hard\n")
    assert net.router.way_out() == ["one"]
    assert _asked(net.isps[1].ns, "10.2.0.2") == "served"
    assert _asked(net.isps[1].ns, "2001:db8:2:1::2") == "served"


def test_without_pin_a_port_forward_is_answered_by_one_uplink_only(lab: Lab) -> None:
    net = _served(lab, PINNED.replace("pin = yes", "pin = no"))
    assert _asked(net.isps[0].ns, "10.1.0.2") == "served"
    assert "served" not in _asked(net.isps[1].ns, "10.2.0.2")


TALK = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7), timeout=1) as sock:
    while True:
        try:
            sock.sendall(b"hello\\n")
            print(time.monotonic(), sock.recv(100).decode().split()[0], flush=True)
        except OSError as error:
            print(time.monotonic(), type(error).__name__, flush=True)
            break
        time.sleep(0.05)
"""


def test_a_tcp_connection_of_a_dead_uplink_is_reset_within_a_second(lab: Lab) -> None:
    net = network(lab)
    assert net.client
    log = lab.spawn(net.client.argv(sys.executable, "-IS", "-c", TALK, INTERNET4[0]), "talk")
    wait_for("the connection", lambda: "isp1" in log.read_text())
    net.router.unplug("eth1")
    gone = time.monotonic()
    net.router.event("remove", "eth1")
    wait_for("the reset", lambda: "Error" in log.read_text(), 10)
    at, word = log.read_text().splitlines()[-1].split()
    assert word == "ConnectionResetError"
    assert float(at) - gone < 1


def test_a_tcp_connection_goes_on_while_a_better_uplink_comes(lab: Lab) -> None:
    net = network(lab)
    assert net.client
    log = lab.spawn(net.client.argv(sys.executable, "-IS", "-c", TALK, INTERNET4[0]), "talk")
    wait_for("the connection", lambda: "isp1" in log.read_text())
    prefer(net.router, PINNED, "two")
    count = len(log.read_text().splitlines())
    wait_for("more answers", lambda: len(log.read_text().splitlines()) > count + 5)
    assert {line.split()[1] for line in log.read_text().splitlines()} == {"isp1"}


def test_a_run_killed_at_the_worst_moment_is_finished_by_the_next(lab: Lab) -> None:
    net = network(lab)
    made = table(net.router.ns)
    net.router.configure(PINNED.replace("nat6 = masquerade", ""))
    stop = net.router.write("trap/nft", '#!/bin/sh\n/usr/sbin/nft "$@"\nkill -9 $PPID\n')
    stop.chmod(0o755)
    trap = {"PATH": f"{stop.parent}:/usr/sbin:/usr/bin:/sbin:/bin"}
    assert net.router.mwan("check", "--now", env=trap, code=None).returncode != 0
    changed = table(net.router.ns)
    assert changed and changed != made
    net.router.check()
    assert table(net.router.ns) == changed
    net.router.configure(PINNED)
    net.router.check()
    assert table(net.router.ns) == made
    assert net.router.mwan("plan").stdout == ""


def test_marks_outside_our_mask_and_marks_for_an_uplink_stay(lab: Lab) -> None:
    net = network(lab)
    assert net.client
    allotment = json.loads((net.router.root / "var/lib/mwan-hook/allotment.json").read_text())
    two = allotment["marks"]["two"]
    net.router.ns.nft(
        "table inet users { chain pre { type filter hook prerouting priority mangle;"
        " udp dport 7 ct mark set ct mark | 0x10000;"
        f' iifname "lan0" udp dport 7 meta mark set 0x20000 | {two:#x}; }};'
        " chain post { type filter hook postrouting priority 300; udp dport 7 meta mark & 0x20000 == 0x20000 counter;"
        " udp dport 7 ct mark & 0x10000 == 0x10000 counter; }; }\n"
    )
    flow = lab.flow(net.client)
    assert flow.carried_by() == "isp2"  # the user chose it, although the other is better
    flow.stop()
    listed = net.router.ns.run("nft", "list", "chain", "inet", "users", "post").stdout
    assert "packets 0" not in listed


def test_nat6_prefix_gives_each_host_an_address_of_the_uplinks_prefix(lab: Lab) -> None:
    config = PINNED.replace("nat6 = masquerade", "nat6 = prefix").replace(
        "metric = 200", "metric = 200\nnat6_prefix = 2001:db8:99::/64"
    )
    net = network(lab, config)
    assert net.client
    net.isps[1].ns.ip("route add 2001:db8:99::/64 via 2001:db8:2:1::2")
    with net.isps[0].broken("blackhole"):
        net.router.check()
        for isp in net.isps:
            isp.forget()
        assert set(lab.connect(net.client, 3, INTERNET6[-1])) == {"isp2"}
        assert "2001:db8:99::10" in {packet.source for packet in net.isps[1].seen()}
