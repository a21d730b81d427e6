"""Sticky sources and packets chosen by nft, with real clients behind the real router."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from tests.lab import Lab, Netns, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.topologies import Network
from tests.lab.uplinks import probing

BASE = (
    """
[routing]
{routing}
[router]
pin = {pin}
masquerade = yes
nat6 = masquerade
"""
    + probing(fall=3)
    + """[uplinks]
[[one]]
match = eth1
metric = 100
[[two]]
match = eth2
metric = 100
[[three]]
match = eth3
metric = 200
[policies]
"""
)
STICKY = "[[web]]\nproto = tcp\nuplinks = one + two\nsticky = {}\n"
FAMILIES = ("ipv4", "ipv6")
ASK = """
import json, socket, sys
sources, destinations, count, tos = json.loads(sys.argv[1])
for source in sources:
    for number in range(count):
        to = destinations[number % len(destinations)]
        sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
        sock.settimeout(0.7)
        if tos:
            kind = (socket.IPPROTO_IPV6, 67) if ":" in to else (socket.IPPROTO_IP, socket.IP_TOS)
            sock.setsockopt(*kind, tos)
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((to, 7))
            sock.sendall(b"hello\\n")
            print(json.dumps([source, sock.recv(200).decode().split()[0]]))
        except OSError as error:
            print(json.dumps([source, type(error).__name__]))
        sock.close()
"""
_numbers = count(20)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """Three lines, and a LAN of both families whose clients are addresses of one machine."""
    with Lab() as lab:
        made = topologies.probed(lab, 3, client=True)
        assert made.client
        made.router.ns.nft("delete table ip lab\n")
        made.router.ns.sysctl({"ipv6/conf/all/forwarding": 1, "ipv6/fib_multipath_hash_policy": 1})
        made.router.ns.ip("addr add fd00:2::1/64 dev lan0 nodad")
        made.client.batch("addr add fd00:2::10/64 dev eth0 nodad", "route add default via fd00:2::1")
        yield made


def put(net: Network, policies: str, pin: str = "no", routing: str = "") -> None:
    """In force, without errors."""
    net.router.configure(BASE.format(pin=pin, routing=routing) + policies)
    assert net.router.check().stderr == ""


def clients(net: Network, many: int, family: str = "ipv4") -> list[str]:
    """Addresses in the LAN that were not used before."""
    assert net.client
    form, length = ("192.168.2.{}", 24) if family == "ipv4" else ("fd00:2::{}", 64)
    made = [form.format(next(_numbers)) for _ in range(many)]
    net.client.batch(*(f"addr add {address}/{length} dev eth0 nodad" for address in made))
    return made


def ask(ns: Netns, sources: Sequence[str], family: str = "ipv4", times: int = 6, tos: int = 0) -> dict[str, list[str]]:
    """Connections of each source to several places: which provider carried them."""
    to = INTERNET4 if family == "ipv4" else INTERNET6[:3]
    words = json.dumps([sources, to, times, tos])
    found: dict[str, list[str]] = {source: [] for source in sources}
    for line in ns.run(sys.executable, "-IS", "-c", ASK, words).stdout.splitlines():
        source, isp = json.loads(line)
        found[source].append(isp)
    return found


def one_each(found: dict[str, list[str]]) -> dict[str, str]:
    """The one provider of each source; fails where there were more."""
    assert {source: sorted(set(isps)) for source, isps in found.items() if len(set(isps)) != 1} == {}
    return {source: isps[0] for source, isps in found.items()}


@pytest.mark.parametrize("pin", ["no", "yes"])
def test_each_client_keeps_one_uplink_and_clients_are_spread_over_both(net: Network, pin: str) -> None:
    assert net.client
    put(net, STICKY.format(600), pin)
    for family in FAMILIES:
        sources = clients(net, 16, family)
        first = one_each(ask(net.client, sources, family))
        assert set(first.values()) == {"isp1", "isp2"}
        assert one_each(ask(net.client, sources, family, 3)) == first


def test_without_sticky_the_same_clients_use_both(net: Network) -> None:
    assert net.client
    put(net, STICKY.format("no"))
    found = ask(net.client, clients(net, 4), times=12)
    assert all(set(isps) == {"isp1", "isp2"} for isps in found.values())


def learned(net: Network) -> dict[str, str]:
    """Sources in the sets, with the uplink that they belong to."""
    found = {}
    listed = json.loads(net.router.ns.run("nft", "-j", "list", "table", "inet", "mwan_hook").stdout)["nftables"]
    for one in (entry["set"] for entry in listed if "set" in entry):
        for element in one.get("elem", []):
            address = element["elem"]["val"]
            assert address not in found, "held by two uplinks"
            found[address] = one["name"].split("_")[2]
    return found


def test_an_idle_client_is_forgotten_and_one_that_goes_on_is_not(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(2))
    idle, busy = clients(net, 2)
    ask(net.client, [idle, busy])
    assert set(learned(net)) == {idle, busy}
    for _ in range(6):
        ask(net.client, [busy], times=1)
        time.sleep(0.4)
    assert set(learned(net)) == {busy}


@pytest.mark.parametrize("pin", ["no", "yes"])
def test_clients_of_a_dead_uplink_move_at_once_and_stay_where_they_went(net: Network, pin: str) -> None:
    assert net.client
    put(net, STICKY.format(600), pin)
    sources = {family: clients(net, 10, family) for family in FAMILIES}
    for family, own in sources.items():
        assert set(one_each(ask(net.client, own, family, 3)).values()) == {"isp1", "isp2"}
    with net.isps[0].broken("blackhole"):
        net.router.check()
        for family, own in sources.items():
            assert set(one_each(ask(net.client, own, family, 3)).values()) == {"isp2"}
    net.router.check()
    for family, own in sources.items():
        assert set(one_each(ask(net.client, own, family, 3)).values()) == {"isp2"}
        new = clients(net, 10, family)
        assert set(one_each(ask(net.client, new, family, 2)).values()) == {"isp1", "isp2"}


def test_a_backup_keeps_no_client_when_a_better_uplink_is_back(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(600).replace("one + two", "one, three"))
    sources = clients(net, 3)
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert set(one_each(ask(net.client, sources)).values()) == {"isp3"}
        assert {learned(net)[source] for source in sources} == {"three"}
    net.router.check()
    assert set(one_each(ask(net.client, sources)).values()) == {"isp1"}
    assert {learned(net)[source] for source in sources} == {"one"}


def test_a_table_that_is_made_anew_keeps_what_was_learned(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(600))
    sources = clients(net, 8)
    first = one_each(ask(net.client, sources))
    before = learned(net)
    assert set(sources) <= set(before)
    net.router.ns.nft("add rule inet mwan_hook learning counter\nadd chain inet mwan_hook more\n")
    put(net, STICKY.format(600).replace("one + two", "one + two, three"), pin="yes")
    assert learned(net) == before
    listed = net.router.ns.run("nft", "list", "table", "inet", "mwan_hook").stdout
    assert "more" not in listed and "counter" not in listed and "_three_" in listed
    assert one_each(ask(net.client, sources)) == first
    put(net, STICKY.format(300))
    assert learned(net) == {}, "another time is another set"
    made = net.router.ns.run("nft", "list", "table", "inet", "mwan_hook").stdout
    net.router.ns.nft("delete table inet mwan_hook\n")
    for line in net.router.mwan("plan").stdout.splitlines():
        net.router.ns.run("sh", "-ec", line)
    assert net.router.ns.run("nft", "list", "table", "inet", "mwan_hook").stdout == made


@pytest.fixture(scope="module")
def other(net: Network) -> Netns:
    """A second machine in the LAN."""
    made = net.lab.client(net.router, "192.168.2.9/24", "192.168.2.1", "lan0", "other")
    made.batch("addr add fd00:2::9/64 dev eth0 nodad", "route add default via fd00:2::1")
    return made


def mac(ns: Netns) -> str:
    return str(ns.objects("link show eth0")[0]["address"])


FROM = {"ipv4": "192.168.2.9", "ipv6": "fd00:2::9"}
EF = 0xB8


@pytest.mark.parametrize("pin", ["no", "yes"])
def test_a_sender_is_chosen_by_its_mac_address(net: Network, other: Netns, pin: str) -> None:
    assert net.client
    put(net, f"[[guest]]\nmac = {mac(other)}\nuplinks = three\nfallback = unreachable\n", pin)
    for family, source in FROM.items():
        assert "isp3" not in ask(net.client, [""], family)[""]
        assert one_each(ask(other, [source], family, 3)) == {source: "isp3"}
    flow = net.lab.flow(other)
    assert flow.carried_by() == "isp3"
    with net.isps[2].broken("blackhole"):
        net.router.check()
        for family, source in FROM.items():
            assert ask(other, [source], family, 1)[source][0].endswith(("Error", "timeout"))
            assert "isp3" not in ask(net.client, [""], family, 2)[""]
    net.router.check()
    assert flow.carried_by() == "isp3"
    assert {answer["isp"] for answer in flow.stop()} == {"isp3"}, "it leaked while its uplink was dead"


def test_packets_are_chosen_by_dscp_forwarded_and_own(net: Network, other: Netns) -> None:
    put(net, "[[voice]]\nproto = tcp\ndscp = ef\nuplinks = three\nfallback = unreachable\n")
    for family in FAMILIES:
        for ns in (other, net.router.ns):
            assert one_each(ask(ns, [""], family, tos=EF)) == {"": "isp3"}
            assert "isp3" not in ask(ns, [""], family, tos=0x28)[""]
    with net.isps[2].broken("blackhole"):
        net.router.check()
        for family in FAMILIES:
            for ns in (other, net.router.ns):
                assert ask(ns, [""], family, 1, tos=EF)[""][0].endswith(("Error", "timeout"))


CHANGING = """
import socket, sys
to = sys.argv[1]
with socket.create_connection((to, 7), timeout=2) as sock:
    for tos in (0xB8, 0x28, 0):
        sock.setsockopt(*((socket.IPPROTO_IPV6, 67) if ":" in to else (socket.IPPROTO_IP, socket.IP_TOS)), tos)
        sock.sendall(b"hello\\n")
        print(sock.recv(200).decode().split()[0])
"""


@pytest.mark.parametrize("pin", ["no", "yes"])
def test_a_connection_stays_with_the_policy_that_chose_it_first(net: Network, other: Netns, pin: str) -> None:
    put(net, "[[plain]]\nproto = tcp\ndscp = 0\nuplinks = three\n", pin)
    for ns in (other, net.router.ns):
        for to in (INTERNET4[0], INTERNET6[0]):
            assert ns.run(sys.executable, "-IS", "-c", CHANGING, to).stdout.split() == ["isp3"] * 3


def test_the_first_policy_with_an_uplink_decides_with_rules_and_with_marks(net: Network, other: Netns) -> None:
    assert net.client
    sender, source = mac(other), FROM["ipv4"]
    first = "[[first]]\nproto = tcp\nfrom = 192.168.2.9\nuplinks = one\n"
    by_mac = f"[[sender]]\nmac = {sender}\nuplinks = three\n"
    last = "[[last]]\nproto = tcp\nuplinks = two, one\nsticky = yes\n"
    put(net, first + by_mac + last)
    assert one_each(ask(other, [source])) == {source: "isp1"}
    put(net, by_mac + first + last)
    assert one_each(ask(other, [source])) == {source: "isp3"}
    assert source not in learned(net)
    put(net, by_mac + last)
    with net.isps[2].broken("blackhole"):
        net.router.check()
        one_each(ask(other, [source]))
        assert source in learned(net)


def test_an_old_connection_elsewhere_does_not_take_its_source_along(net: Network) -> None:
    assert net.client
    put(net, STICKY.replace("tcp", "tcp, udp").format(600), pin="yes")
    flow = net.lab.flow(net.client)
    old = flow.carried_by()
    (source,) = [address for address in learned(net) if address == "192.168.2.10"]
    sets = net.router.ns.run("nft", "-t", "list", "table", "inet", "mwan_hook").stdout
    names = {word.split("_")[2]: word for word in sets.split() if word.startswith("sticky_") and "ipv4" in word}
    here, there = ("one", "two") if old == "isp1" else ("two", "one")
    net.router.ns.nft(
        f"delete element inet mwan_hook {names[here]} {{ {source} }}\n"
        f"add element inet mwan_hook {names[there]} {{ {source} }}\n"
    )
    assert flow.carried_by() == old
    assert one_each(ask(net.client, [source])) == {source: "isp2" if old == "isp1" else "isp1"}
    assert flow.carried_by() == old
    assert learned(net)[source] == there
    flow.stop()


def test_a_second_run_writes_nothing_while_sources_come_and_go(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(1))
    called = net.router.root / "called"
    trap = net.router.write("trap/nft", f'#!/bin/sh\necho "$@" >> {called}\nexec /usr/sbin/nft "$@"\n')
    trap.chmod(0o755)
    path = {"PATH": f"{trap.parent}:/usr/sbin:/usr/bin:/sbin:/bin"}
    sources = clients(net, 4)
    for wait in (0, 0.3, 1.2):  # known, refreshed, run out
        time.sleep(wait)
        state = net.router.state_file.read_bytes() if wait == 1.2 else b""
        ask(net.client, sources, times=1)
        done = net.router.mwan("event", env=path)
        assert "[#]" not in done.stdout
        assert not called.exists(), called.read_text()
        assert not state or net.router.state_file.read_bytes() == state
    net.router.ns.nft("table ip elsewhere { chain x { }; }\n")
    net.router.mwan("event", env=path)
    assert called.read_text() == "-s -t list table inet mwan_hook\n"
    net.router.ns.nft("delete table ip elsewhere\n")


def test_a_run_killed_at_the_worst_moment_loses_no_source(net: Network) -> None:
    assert net.client
    put(net, STICKY.format(600))
    ask(net.client, clients(net, 3), times=1)
    before = learned(net)
    assert len(before) >= 3
    net.router.configure(BASE.format(pin="yes", routing="") + STICKY.format(600).replace("two", "two, three"))
    stop = net.router.write("trap/nft", '#!/bin/sh\n/usr/sbin/nft "$@"\n[ "$1" != -f ] || kill -9 $PPID\n')
    stop.chmod(0o755)
    path = {"PATH": f"{stop.parent}:/usr/sbin:/usr/bin:/sbin:/bin"}
    assert net.router.mwan("event", env=path, code=None).returncode != 0
    assert learned(net) == before
    net.router.check()
    assert learned(net) == before
    assert net.router.mwan("plan").stdout == ""


def test_flush_leaves_nothing_and_foreign_tables_stay_byte_for_byte(net: Network, other: Netns) -> None:
    ns = net.router.ns
    net.router.mwan("flush")
    rules = [ns.rules(family) for family in FAMILIES]
    ns.nft(
        "table inet theirs { set s { type ipv4_addr; flags dynamic,timeout; timeout 1h; };"
        " chain x { type filter hook forward priority 0; ct mark 0x10000 counter; }; }\n"
    )
    before = ns.run("nft", "-s", "-a", "list", "ruleset").stdout
    policies = f"[[guest]]\nmac = {mac(other)}\ndscp = ef\nuplinks = one + two\nsticky = yes\nfallback = blackhole\n"
    put(net, policies + STICKY.format(600), pin="yes", routing="mark_mask = 0xff00000")
    assert {one["mark"] for one in net.router.status()["policies"].values()} == {0xFF00000, 0xFE00000}
    one_each(ask(other, [FROM["ipv4"]], tos=EF))
    with_ours = ns.run("nft", "-s", "-a", "list", "ruleset").stdout
    start = with_ours.index("table inet mwan_hook")
    assert with_ours[:start] == before
    net.router.mwan("flush")
    assert ns.run("nft", "-s", "-a", "list", "ruleset").stdout == before
    assert [ns.rules(family) for family in FAMILIES] == rules
    ns.nft("delete table inet theirs\n")


def test_a_trace_tells_of_what_nft_may_do_and_of_the_mark_to_ask_for(net: Network, other: Netns) -> None:
    by_mac = f"[[guest]]\nmac = {mac(other)}\nuplinks = three\nfallback = unreachable\n"
    put(net, by_mac + STICKY.format(600))
    policies = net.router.status()["policies"]
    asked = ["trace", "8.8.8.8", "--iif", "lan0", "--from", "192.168.2.9", "--proto", "tcp"]
    said = net.router.mwan(*asked).stdout
    assert f"nft: policy guest chooses by mac, in nft; what it chose: --mark {policies['guest']['mark']:#x}\n" in said
    assert "nft: policy web is sticky: a source that nft has learned in the last 600 s keeps its uplink: --mark" in said
    done = json.loads(net.router.mwan(*asked, "--mark", hex(policies["guest"]["mark"]), "--json").stdout)
    assert (done["agrees"], done["result"]["legs"][0]["uplink"], done["nft"]) == (True, "three", [])
    mark = said.partition(" by one")[0].rpartition(" ")[2]
    done = json.loads(net.router.mwan(*asked, "--mark", mark, "--json").stdout)
    assert (done["agrees"], [leg["uplink"] for leg in done["result"]["legs"]]) == (True, ["one"])
    assert "sticky" not in net.router.mwan(*asked[:-1], "udp").stdout
    assert "nft:" not in net.router.mwan("trace", "8.8.8.8").stdout


SERVER = """
import socket
with socket.create_server(("0.0.0.0", 4000)) as server:
    server.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        connection.sendall(b"served")
        connection.close()
"""
REACH = """
import socket, sys
with socket.create_connection((sys.argv[1], 4000), timeout=2, source_address=("8.8.8.8", 0)) as sock:
    print(sock.recv(9).decode())
"""


def test_an_answer_of_this_machine_leaves_where_the_question_came_in_with_any_dscp(net: Network) -> None:
    put(net, "[[voice]]\ndscp = ef\nuplinks = three\n")
    log = net.lab.spawn(net.router.ns.argv(sys.executable, "-IS", "-c", SERVER), "server")
    wait_for("the server", lambda: "ready" in log.read_text())
    for number, isp in enumerate(net.isps, 1):
        assert isp.ns.run(sys.executable, "-IS", "-c", REACH, f"10.{number}.0.2").stdout == "served\n"
