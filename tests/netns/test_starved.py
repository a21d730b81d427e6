"""On a machine that has no time healthy lines stay online, although one bad round would take them offline."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.uplinks import ONE_TWO

BUSY_FOR = 60  # seconds, if nothing ends them before
ROUNDS = 2
CONFIG = f"""
[probe]
portal_interval = 0
fall = 1
rise = 1
hysteresis_delay = 0
targets = icmp://9.9.9.9, icmp://2001:db8:9::9, tcp://9.9.9.9:80, dns://9.9.9.9/a.test, http://9.9.9.9/generate_204
required = 5
{ONE_TWO}"""


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """Processes that never wait."""
    words = ["timeout", str(BUSY_FOR), "sh", "-c", "while :; do :; done"]
    busy = [subprocess.Popen(words, start_new_session=True) for _ in range(processes)]
    try:
        yield
    finally:
        for one in busy:
            os.killpg(one.pid, 9)
            one.wait()


@pytest.fixture
def net(lab: Lab) -> Network:
    return topologies.probed(lab, 2)


def test_healthy_lines_stay_online_under_five_times_the_load(net: Network) -> None:
    net.router.configure(CONFIG)
    net.router.check()
    with load(5 * (os.cpu_count() or 1)):
        for _ in range(ROUNDS):
            net.router.check()
    for name in ("one", "two"):
        state = net.router.family(name)
        assert (state["status"], state["bad"]) == ("online", 0), state["reason"]
        assert not [t for t in net.router.history(name) if t["event"] == "offline"]
