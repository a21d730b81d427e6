"""`event --facts`: what the socket unit starts.  Quick, without probes, and with the kernel's news at an end."""

from __future__ import annotations

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.uplinks import FIBER_LTE_IPV4
from tests.netns import passed
from tests.netns.layout import layout

CONFIG = f"""
[probe]
portal_interval = 0
timeout = 2
burst_interval = 0.1
targets = icmp://9.9.9.9
{FIBER_LTE_IPV4}"""


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 2)
    made.router.configure(CONFIG)
    made.router.check()
    return made


def spooled(net: Network) -> list[str]:
    """What is left for a run that probes."""
    return [file.read_text() for file in sorted((net.router.root / "run/mwan-hook/events").glob("*"))]


def woken(net: Network, *words: str) -> str:
    """The command, started with sockets as the unit has them: `CODE BEFORE AFTER`."""
    starter = (net.router.python, passed.__file__, ",".join(map(str, passed.GROUPS)))
    return net.router.mwan(*words, wrap=starter).stdout.splitlines()[-1]


def test_a_lost_link_leaves_at_once_and_nothing_is_probed(net: Network) -> None:
    net.router.ns.ip("link set eth1 down")
    probed = net.router.family("lte")["probe_bytes"]
    net.router.mwan("event", "--facts")
    assert net.router.way_out() == ["lte"]
    assert net.router.family("lte")["probe_bytes"] == probed
    assert spooled(net) == []


def test_what_came_back_is_left_to_a_run_that_probes(net: Network) -> None:
    wanted = layout(net.router.ns)
    net.router.ns.ip("link set eth1 down")
    net.router.mwan("event", "--facts")
    net.router.ns.ip("link set eth1 up")
    net.router.lease(net.lines["eth1"])
    net.router.mwan("event", "--facts")
    assert len(spooled(net)) == 1
    assert "eth1" in spooled(net)[0]
    assert net.router.verdict("fiber") == "offline"
    net.router.mwan("event")
    assert spooled(net) == []
    assert layout(net.router.ns) == wanted


@pytest.mark.parametrize("change", ["nothing", "carrier", "rules", "table"])
def test_the_news_are_over_when_the_run_has_ended_its_own_changes_too(net: Network, change: str) -> None:
    if change == "carrier":
        net.router.carrier("eth1", False)
    elif change == "rules":
        net.router.ns.ip("rule flush")
    elif change == "table":
        net.router.ns.ip("route flush table 1001")
    assert woken(net, "event", "--facts") == "0 True False"


def test_a_bad_configuration_ends_the_news_too(net: Network) -> None:
    net.router.configure("[probe]\nfall = many\n")
    assert woken(net, "event", "--facts").split()[1:] == ["True", "False"]


def test_sockets_meant_for_another_process_are_not_taken(net: Network) -> None:
    """An interpreter between: LISTEN_PID names the shell that systemd started, not the command."""
    starter = (net.router.python, passed.__file__, "1", "sh", "-c", '"$@"; exit $?', "sh")
    assert net.router.mwan("event", "--facts", wrap=starter).stdout.splitlines()[-1] == "0 True True"


def test_facts_takes_no_event_of_its_own(net: Network) -> None:
    assert "--facts and --early go without" in net.router.mwan("event", "--facts", "add", "eth1", code=2).stderr
