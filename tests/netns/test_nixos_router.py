"""The router of docs/nixos.md, with the configuration as it stands there."""

from __future__ import annotations

import json

from tests.lab import Lab, Line, topologies, wait_for
from tests.lab.router import PROJECT, Router

INI = (PROJECT / "docs/nixos.md").read_text().partition("```ini\n")[2].partition("```")[0]
DRIVERS = "driver:cdc_ether, driver:rndis_host, driver:cdc_ncm"  # which veths have not


def ways(router: Router, *packet: str) -> dict[str, int]:
    """Uplinks that carry a packet of the LAN, with their weights."""
    words = ("trace", "9.9.9.9", "--iif", "enp2s0", "--json", *packet)
    legs = json.loads(router.mwan(*words).stdout)["result"]["legs"]
    return {leg["uplink"]: leg["weight"] for leg in legs}


def test_a_fixed_line_and_two_sticks_share_but_voice_mail_and_guests_have_their_own(lab: Lab) -> None:
    assert DRIVERS in INI
    fixed, *sticks = (
        Line(lab.isp(name, f"192.168.{n}.0/24"), interface, f"192.168.{n}.2/24", metric)
        for name, n, interface, metric in (
            ("fixed", 1, "enp1s0", 100),
            ("usb1", 3, "enp0s20u1", 2048),
            ("usb2", 4, "enp0s20u2", 2048),
        )
    )
    router = lab.router(fixed)
    topologies.behind(lab, router, "enp2s0")
    lab.serve(tls=False)
    router.configure(INI.replace(DRIVERS, "enp0s20u*"))
    router.check()
    for stick in sticks:
        router.plug(stick)
        router.mwan("event", "add", stick.interface)
    both = {"lte@enp0s20u1": 1, "lte@enp0s20u2": 1}
    wait_for("the sticks to be online", lambda: {*router.way_out()} == {"fiber", *both} or not router.check())
    assert ways(router, "--from", "192.168.2.10", "--proto", "tcp", "--dport", "443") == {"fiber": 4, **both}
    assert ways(router, "--from", "192.168.2.10", "--proto", "udp", "--dport", "5060") == {"fiber": 1}
    assert ways(router, "--from", "192.168.2.10", "--proto", "tcp", "--dport", "25") == {"fiber": 1}
    assert ways(router, "--from", "192.168.50.10") == both
