"""``track`` doubts the last verdict: it is not renewed, or the device that it stands on is gone since."""

from __future__ import annotations

import re

from tests.lab import Lab, Line
from tests.netns.test_keepalived import CONFIG


def test_a_router_whose_timer_is_dead_does_not_keep_the_address(lab: Lab) -> None:
    isp = lab.isp("a1", "10.1.0.0/24")
    router = lab.router(Line(isp, "eth1", "10.1.0.2/24", 100))
    router.configure(CONFIG)
    router.check()
    assert router.mwan("track").stderr == ""
    aged = re.sub(r'"next_probe_at":([0-9.]+)', r'"next_probe_at":1.5', router.state_file.read_text())
    router.write_state(aged)
    said = router.mwan("track", code=1).stderr
    assert "one was online by ipv4, but was to be probed" in said
    router.check()
    router.mwan("track", "one")
    router.ns.ip("link set eth1 down")
    assert "its interface is down or without carrier" in router.mwan("track", code=1).stderr
    router.lease(router.lines["eth1"])
    router.carrier("eth1", False)
    assert "its interface is down or without carrier" in router.mwan("track", code=1).stderr
    router.carrier("eth1", True)
    router.mwan("track", "eth1")
    router.unplug("eth1")
    assert "its interface is gone" in router.mwan("track", "one", code=1).stderr
