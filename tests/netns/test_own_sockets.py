"""Sockets of this machine whose uplink is offline, or is left for a better one: which are ended, and which never."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator

import pytest

from mwan_hook.store import state as states
from tests.lab import Lab, Netns, Network, topologies, wait_for
from tests.lab.inside import inside
from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.uplinks import FIBER_LTE, probing
from tests.netns.dying import killed

QUICK = probing("icmp://8.8.8.8, icmp://2001:4860:4860::8888", interval=0.2)
FOUR, SIX = INTERNET4[0], INTERNET6[0]
ECHO = 7
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def conf(after: float = 0, own: str = "abort", fiber: str = "", lte: str = "", more: str = "") -> str:
    uplinks = FIBER_LTE.replace("metric = 100\n", f"metric = 100\n{fiber}") + lte
    return f"[router]\nown = {own}\nown_after = {after}\n{QUICK}{uplinks}{more}"


@pytest.fixture(scope="module")
def lines() -> Iterator[Network]:
    with Lab() as lab:
        net = topologies.probed(lab, 2)
        net.router.ns.sysctl({"ipv4/tcp_syn_retries": 2})
        yield net


@pytest.fixture
def net(lines: Network) -> Iterator[Network]:
    """After a boot, all well."""
    lines.router.mwan("flush")
    lines.router.reboot_files()
    lines.router.configure(conf(3600))
    lines.router.check()
    assert lines.router.way_out() == lines.router.way_out("ipv6") == ["fiber"]
    yield lines
    for isp in lines.isps:
        isp.heal()


def connected(
    ns: Netns, kind: int = TCP, to: str = FOUR, source: str = "", device: str = "", port: int = ECHO
) -> socket.socket:
    """A socket of a namespace that has a peer; ``::ffff:`` addresses make one of IPv6."""
    with inside(ns.name):
        one = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, kind)
    one.settimeout(20)
    if device:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    if source:
        one.bind((source, 0))
    one.connect((to, port))
    return one


def fate(one: socket.socket) -> str:
    """The error that its program has got; empty: none."""
    one.setblocking(False)
    try:
        one.recv(100)
    except BlockingIOError:
        return ""
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "end"


def fates(socks: dict[str, socket.socket]) -> dict[str, str]:
    return {name: fate(one) for name, one in socks.items()}


def aborted(net: Network, uplink: str) -> tuple[int, int]:
    found = net.router.status()["uplinks"][uplink]
    return found["ipv4"]["aborted"], found["ipv6"]["aborted"]


def accepted(net: Network, family: int, host: str, to: str) -> tuple[socket.socket, socket.socket, socket.socket]:
    """A server of the router, a connection to it from the first provider's internet, and the router's end of that."""
    with inside(net.router.ns.name):
        server = socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::")
    server.settimeout(20)
    source = SIX if ":" in to else FOUR
    other = connected(net.isps[0].ns, to=to, source=source, port=server.getsockname()[1])
    return server, other, server.accept()[0]


def test_a_program_gets_an_error_by_own_after_and_what_is_no_affair_of_the_uplink_stays(net: Network) -> None:
    router, ns, line = net.router, net.router.ns, net.lines["eth1"]
    there, spared = dict[str, socket.socket](), dict[str, socket.socket]()
    there = {
        "tcp": connected(ns),
        "bound": connected(ns, source=line.source),
        "mapped": connected(ns, to=f"::ffff:{FOUR}"),
        "udp": connected(ns, UDP),
        "tcp6": connected(ns, to=SIX),
        "udp6": connected(ns, UDP, SIX),
    }
    spared = {
        "device": connected(ns, device="eth1", source=line.source),
        "device6": connected(ns, to=SIX, device="eth1"),
        "neighbour": connected(ns, to=line.isp.gateway, source=line.source),
        "neighbour6": connected(ns, UDP, "2001:db8:1:1::1", source=line.source6),
        "the other": connected(ns, source=net.lines["eth2"].source),
        "elsewhere": connected(net.isps[1].ns, source=net.isps[1].gateway),
    }
    servers = [accepted(net, socket.AF_INET, line.source, line.source)]
    servers += [accepted(net, socket.AF_INET6, "::", address) for address in (line.source, line.source6)]
    with inside(ns.name):
        waiting = socket.socket(socket.AF_INET, UDP)
    waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    waiting.bind((line.source, 0))
    spared |= {f"accepted {number}": one[2] for number, one in enumerate(servers)}
    spared["listening"] = waiting
    after = 3.0
    router.configure(conf(after))
    router.check()
    with net.isps[0].broken("blackhole"):
        begun = time.monotonic()  # the verdict is younger
        said = router.check().stdout
        assert router.way_out() == router.way_out("ipv6") == ["lte"]
        assert "ss -K" not in said and set(fates(there).values()) == {""}

        def ended() -> bool:
            nonlocal said
            said += router.mwan("check").stdout
            return "" not in fates(there).values()

        wait_for("the errors", ended, 30)
        took = time.monotonic() - begun
        assert said.count("ss -K") == 2, said
        assert set(fates(spared).values()) == {""}, fates(spared)
        assert aborted(net, "fiber") == (4, 2) and aborted(net, "lte") == (0, 0)
        assert took >= after
        assert connected(ns).getsockname()[0] == net.lines["eth2"].source, "connects again by the other way"
        stamp = states.stamp(str(router.root))
        assert "ss -K" not in router.mwan("event", "--facts").stdout
        assert states.stamp(str(router.root)) == stamp, "a second run writes nothing"


def test_it_is_also_done_once_the_interface_is_gone_and_by_the_address_of_before(net: Network) -> None:
    router, line = net.router, net.lines["eth1"]
    there = {"tcp": connected(router.ns), "tcp6": connected(router.ns, to=SIX), "udp": connected(router.ns, UDP)}
    router.configure(conf())
    router.check()
    router.unplug("eth1")
    try:
        said = router.mwan("event", "--facts").stdout
        assert set(fates(there).values()) == {"ECONNABORTED"}
        assert f"[#] ss -K -tu 'src {line.source}'  # 2 sockets: fiber is offline" in said
    finally:
        router.plug(line)
        router.check()


@pytest.mark.parametrize("how", ["disabled", "kept", "alone"])
def test_nothing_is_ended(net: Network, how: str) -> None:
    """By ``disable``, with ``own = keep``, or while nothing else is online."""
    router = net.router
    there = {"tcp": connected(router.ns), "udp6": connected(router.ns, UDP, SIX)}
    router.configure(conf(own="keep" if how == "kept" else "abort"))
    router.check()
    try:
        if how == "disabled":
            router.mwan("disable", "fiber")
        else:
            router.carrier("eth1", False)
        if how == "alone":
            router.carrier("eth2", False)
        said = router.check().stdout + router.check().stdout
        assert "ss -K" not in said and set(fates(there).values()) == {""}
        assert router.way_out() == ([] if how == "alone" else ["lte"])
        if how == "alone":
            router.carrier("eth2", True)
            assert router.check().stdout.count("ss -K") == 2, "as soon as another one is online"
            assert set(fates(there).values()) == {"ECONNABORTED"}
    finally:
        router.carrier("eth1", True)
    router.mwan("enable", "fiber")


def test_a_hard_failback_ends_what_went_out_by_the_one_that_is_left(net: Network) -> None:
    router, ns, line = net.router, net.router.ns, net.lines["eth2"]
    policy = "[policies]\n[[calls]]\nto = {}\nuplinks = lte\n".format(", ".join((INTERNET4[1], INTERNET6[2])))
    router.configure(conf(lte="failback = hard\n", more=policy))
    router.check()
    with net.isps[0].broken("blackhole"):
        router.check()
        assert router.way_out() == ["lte"]
        there = {
            "tcp": connected(ns),
            "udp": connected(ns, UDP),
            "mapped": connected(ns, to=f"::ffff:{FOUR}"),
            "tcp6": connected(ns, to=SIX),
        }
        spared = {
            "policy": connected(ns, to=INTERNET4[1]),
            "policy6": connected(ns, UDP, INTERNET6[2]),
            "device": connected(ns, device="eth2"),
            "neighbour": connected(ns, to=line.isp.gateway),
        }
        with inside(ns.name):
            server = socket.create_server(("", 0))
        other = connected(net.isps[1].ns, to=line.source, source=FOUR, port=server.getsockname()[1])
        spared["accepted"] = server.accept()[0]
        assert router.check().stdout == "" and set(fates({**there, **spared}).values()) == {""}
    said = router.check().stdout
    assert router.way_out() == ["fiber"] and said.count("ss -K") == 2, said
    assert "lte has `failback = hard` and fiber is back" in said
    assert set(fates(there).values()) == {"ECONNABORTED"} and set(fates(spared).values()) == {""}, fates(spared)
    assert fate(other) == "" and aborted(net, "lte") == (3, 1)
    by_lte = connected(ns, source=line.source)
    assert router.check().stdout == "" and fate(by_lte) == "", "only when it is left"


@pytest.mark.parametrize("fallback", ["soft", "metered"])
def test_without_a_hard_failback_they_stay_and_metered_uplinks_have_one(net: Network, fallback: str) -> None:
    router = net.router
    router.configure(conf(lte="metered = yes\n" if fallback == "metered" else ""))
    router.check()
    with net.isps[0].broken("blackhole"):
        router.check()
        there = connected(router.ns)
        assert there.getsockname()[0] == net.lines["eth2"].source
    router.check()
    assert router.way_out() == ["fiber"]
    assert fate(there) == ("ECONNABORTED" if fallback == "metered" else "")


def test_a_plan_has_the_line_and_ends_nothing(net: Network) -> None:
    router = net.router
    there = connected(router.ns)
    with net.isps[0].broken("blackhole"):
        router.check()
        router.configure(conf())
        line = f"ss -K -tu 'src {net.lines['eth1'].source}'  # 1 socket: fiber is offline"
        assert line in router.mwan("plan").stdout.splitlines()
        assert line in json.loads(router.mwan("plan", "--json").stdout)["changes"]
        assert fate(there) == ""
        words = line.partition("'")[2].partition("'")[0]
        listed = router.ns.run("ss", "-Htun", words).stdout.split()
        assert f"{FOUR}:{ECHO}" in listed and len(listed) == 6, "an operator's filter finds the same"
        router.check()
        assert fate(there) == "ECONNABORTED"
        assert "ss -K" not in router.mwan("plan").stdout


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_that_is_killed_leaves_it_to_the_next(net: Network, number: int) -> None:
    router = net.router
    router.configure(conf(lte="failback = hard\n"))
    router.check()
    there = connected(router.ns)
    with net.isps[0].broken("blackhole"):
        killed(router, number, "after", "check", "--now")
        router.check()
        assert router.way_out() == ["lte"] and fate(there) == "ECONNABORTED"
        there = connected(router.ns)
    killed(router, number, "after", "check", "--now")
    router.check()
    assert router.way_out() == ["fiber"] and fate(there) == "ECONNABORTED"
    assert "ss -K" not in router.check().stdout


def test_a_trace_tells_what_becomes_of_connections_to_the_destination(net: Network) -> None:
    router, line = net.router, net.lines["eth1"]

    def told(*words: str) -> list[str]:
        lines = router.mwan("trace", FOUR, "--proto", "tcp", *words).stdout.splitlines()
        return [one for one in lines if one.startswith("socket: ")]

    assert told() == [
        f"socket: none is open; one from {line.source} would be kept: "
        "fiber is online; ended 3600 s after it goes offline"
    ]
    there = connected(router.ns), connected(router.ns, device="eth1")
    port, bound = (one.getsockname()[1] for one in there)
    with net.isps[0].broken("blackhole"):
        router.check()
        fates = told()
        assert f"socket: tcp {line.source} port {bound} to port {ECHO}: kept: it is bound to eth1" in fates
        start = f"socket: tcp {line.source} port {port} to port {ECHO}: ended in "
        assert len(fates) == 2 and any(one.startswith(start) for one in fates), fates
        router.configure(conf())
        found = json.loads(router.mwan("trace", FOUR, "--json").stdout)["connections"]
        assert sorted((one["sport"], one["kept"], one["open"]) for one in found) == sorted(
            ((port, False, True), (bound, True, True))
        )
        assert {one["why"] for one in found} == {"by the next run: fiber is offline", "it is bound to eth1"}
