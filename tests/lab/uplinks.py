"""Sections of most tests: two [uplinks], the first one preferred, and a [probe] that is over soon."""

from __future__ import annotations

FIBER_LTE = """[uplinks]
[[fiber]]
match = eth1
metric = 100
[[lte]]
match = eth2
metric = 200
"""
FIBER_LTE_IPV4 = """[uplinks]
[[fiber]]
match = eth1
metric = 100
families = ipv4
[[lte]]
match = eth2
metric = 200
families = ipv4
"""
ONE_TWO = FIBER_LTE.replace("fiber", "one").replace("lte", "two")

BOTH = "icmp://1.1.1.1, icmp://2606:4700:4700::1111"
QUAD9 = "icmp://9.9.9.9, icmp://2620:fe::fe"


def probing(targets: str = BOTH, **changed: object) -> str:
    """[probe] of tests that wait for few rounds and for no hold."""
    quick = {"portal_interval": 0, "timeout": 1, "burst_interval": 0.1, "fall": 2, "rise": 1, "hysteresis_delay": 0}
    keys = {**quick, **changed, "targets": targets}
    return "[probe]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
