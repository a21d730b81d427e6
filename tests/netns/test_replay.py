"""What a machine has lived through is played as it was, and otherwise under another configuration."""

from __future__ import annotations

import json

import pytest

from tests.lab import Lab, topologies
from tests.lab.router import AS_NOBODY
from tests.lab.topologies import Network

TWO = """
[probe]
portal_interval = 0
hysteresis_delay = 0
timeout = 1
burst_interval = 0.1
targets = icmp://9.9.9.9
[uplinks]
[[one]]
match = eth1
metric = 100
[[two]]
match = eth2
metric = 200
metered = yes
"""


@pytest.fixture(scope="module")
def net() -> Network:  # type: ignore[misc]
    """A machine whose first line was dead for a while."""
    with Lab() as lab:
        net = topologies.probed(lab, 2)
        net.router.configure(TWO)
        net.router.check()
        net.isps[0].fault("blackhole")
        net.router.check()
        net.isps[0].heal()
        for _ in range(3):
            net.router.check()
        assert net.router.way_out() == ["one"]
        yield net


def test_the_same_configuration_makes_the_same_history(net: Network) -> None:
    told = net.router.history()
    assert {one["event"] for one in told} >= {"offline", "online", "full", "default-route", "plugged"}
    said = net.router.mwan("replay", wrap=AS_NOBODY).stdout
    assert f"the history is the recorded one, exactly ({len(told)} transitions)" in " ".join(said.split())


def test_another_configuration_makes_another_history(net: Network) -> None:
    before = (net.router.root / "run/mwan-hook/record").read_bytes()
    words = ("replay", "--with", "one.fall=4", "--with", "probe.rise=2")
    found = json.loads(net.router.mwan(*words, "--json").stdout)
    assert (found["recorded"]["failovers"], found["replayed"]["failovers"]) == (1, 0)
    assert found["recorded"]["metered_seconds"] > 0 == found["replayed"]["metered_seconds"]
    assert found["recorded"]["uplinks"]["one"]["outages"] == 1
    gone = {(one["event"], one["uplink"], one["family"]) for one in found["only_recorded"]}
    assert gone >= {("offline", "one", "ipv4"), ("default-route", "two", "ipv4")}
    said = net.router.mwan(*words).stdout.splitlines()
    assert max(map(len, said)) <= 80
    assert "failovers                                  1             0" in said
    assert (net.router.root / "run/mwan-hook/record").read_bytes() == before


def test_what_cannot_be_played_is_said(net: Network) -> None:
    refused = net.router.mwan("replay", "--with", "one.fal=4", "--with", "probe.interval=5", code=2).stderr
    assert "(did you mean fall?)" in refused
    assert "what was not asked is not on record" in refused
    assert "no uplink three is on record" in net.router.mwan("replay", "--with", "three.fall=4", code=2).stderr
    assert "expected a time" in net.router.mwan("replay", "--since", "soon", code=2).stderr
    assert "--since is not before --until" in net.router.mwan("replay", "--since", "1h", "--until", "2h", code=2).stderr
    nothing = net.router.mwan("replay", "--until", "1d", code=1).stderr
    assert "no run of that time is on record" in nothing and "[record] keep" in nothing


def test_where_the_program_judges_otherwise_that_is_said(net: Network) -> None:
    file = net.router.root / "run/mwan-hook/record"
    record = file.read_bytes()
    try:
        file.write_bytes(record.replace(b'"event":"offline"', b'"event":"elsewhere"'))
        said = net.router.mwan("replay", code=1).stdout
    finally:
        file.write_bytes(record)
    assert "the history differs from the recorded one" in " ".join(said.split())
    assert "+ 20" in said
