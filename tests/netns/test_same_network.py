"""Two of three lines in one provider's network: each reaches it by itself, by source and by mark, in both families."""

from __future__ import annotations

import pytest

from tests.lab import Lab
from tests.netns.shares import config, network

OWN = {"ipv4": ("100.70.1.2", "100.71.9.3"), "ipv6": ("2001:db8:70::2", "2001:db8:70:9::3")}
HOSTS = {"ipv4": "100.68.0.53", "ipv6": "2001:db8:70::53"}


@pytest.mark.parametrize("table", ["1000", "main"])
def test_a_line_s_own_packets_reach_the_network_by_it(lab: Lab, table: str) -> None:
    net = network(lab)
    ns = net.router.ns
    for place, device in enumerate(("eth1", "eth2")):
        four, six = f"{OWN['ipv4'][place]}/10", f"{OWN['ipv6'][place]}/48"
        ns.batch(f"addr add {four} dev {device}", f"addr add {six} dev {device} nodad")
        net.isps[place].ns.batch("addr add 100.64.0.1/10 dev lan", "addr add 2001:db8:70::1/48 dev lan nodad")
    net.router.configure(config(1, 1, 1, routing=f"default_table = {table}"))
    net.router.check()
    uplinks = net.router.status()["uplinks"]
    for family, host in HOSTS.items():
        for place, device in enumerate(("eth1", "eth2")):
            found = ns.route_get(f"{host} from {OWN[family][place]}", family)
            assert found
            assert found["dev"] == device
            marked = ns.route_get(f"{host} mark {uplinks[f'w{place + 1}']['mark'].partition('/')[0]}", family)
            assert marked
            assert marked["dev"] == device
        back = ns.route_get(f"{OWN[family][0]} from {OWN[family][1]}", family)
        assert back
        assert back["dev"] == "lo", "what is the machine's own stays inside"
    assert net.router.mwan("plan").stdout == ""
    ns.ip(f"addr del {OWN['ipv4'][1]}/10 dev eth2")
    net.router.event("change", "eth2")
    assert [rule for rule in ns.rules("ipv4") if rule["priority"] == 999] == []
