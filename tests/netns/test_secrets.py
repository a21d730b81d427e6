"""A token in the URL of a target, in a configuration that only root may read: nothing else says it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.lab import Lab, Network, topologies
from tests.netns.unprivileged import as_nobody

SECRET = "b7Jq0token"
CONFIG = f"""\
[probe]
targets = http://9.9.9.9/check?key={SECRET}, http://no-such-name.example/x?key={SECRET}, https://9.9.9.9/y?key={SECRET}
portal_interval = 0
timeout = 1
fall = 1
[uplinks]
[[fiber]]
match = eth1
families = ipv4
"""


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 1)
    made.router.configure(CONFIG)
    (made.router.root / "etc/mwan-hook/mwan-hook.conf").chmod(0o600)
    return made


def test_a_secret_of_the_configuration_stands_nowhere_else(lab: Lab, net: Network) -> None:
    said = net.router.mwan("check", "--now", code=None)
    net.isps[0].fault("blackhole")
    again = net.router.mwan("check", "--now", code=None)
    shown = [
        net.router.mwan(*words, code=None) for words in (("status",), ("status", "--json"), ("history",), ("plan",))
    ]
    for done in (said, again, *shown):
        assert SECRET not in done.stdout + done.stderr
    for directory, _, names in os.walk(net.router.root):
        for path in (Path(directory, name) for name in names):
            if path.is_file() and path.stat().st_mode & 0o044:
                assert SECRET not in path.read_text(errors="replace"), path
    targets = net.router.family("fiber")["targets"]
    assert [target["target"] for target in targets] == [
        "http://9.9.9.9/check?***",
        "http://no-such-name.example/x?***",
        "https://9.9.9.9/y?***",
    ]


def test_status_of_a_user_without_rights_is_that_of_the_state(lab: Lab, net: Network) -> None:
    net.router.mwan("check", "--now", code=None)
    known = net.router.status()
    done = as_nobody(lab, net, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and SECRET not in done.stdout + done.stderr
    seen = json.loads(done.stdout)
    assert seen["default"]["ipv4"] == known["default"]["ipv4"]
    for key in ("status", "connectivity", "gateway", "targets", "reason"):
        assert seen["uplinks"]["fiber"]["ipv4"][key] == known["uplinks"]["fiber"]["ipv4"][key]
    assert seen["uplinks"]["fiber"]["table"] is None
    text = as_nobody(lab, net, "status")
    assert text.returncode == 0
    assert text.stdout.splitlines()[1].split()[:2] == ["fiber", "eth1"]
    assert "cannot be read by this user" in text.stderr


def test_a_bad_value_is_named_without_its_secret(net: Network) -> None:
    net.router.configure(CONFIG.replace("/y?key", "/y y?key"))
    done = net.router.mwan("check", code=2)
    assert "targets" in done.stderr
    assert SECRET not in done.stderr
