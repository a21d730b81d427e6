"""The [uplinks] of most tests: two lines, the first one preferred."""

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
