"""What a run sees of dialled uplinks."""

from __future__ import annotations

import pytest

from mwan_hook.model import Allotment, Family, Nexthop, Pool, Route, Snapshot, State
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import activation
from mwan_hook.run.scene import Judged, Scene
from tests.unit import builders as b

GROUP = Route(Family.IPV4, 1000, metric=1, nhid=1720000004)


@pytest.mark.parametrize(
    ("online", "by", "carried"),
    [
        (("lte",), "lte", False),
        (("fiber", "lte"), "lte", False),  # its verdict is not in the kernel yet
        (("fiber", "lte"), "fiber", True),
        (("lte",), "fiber", False),
    ],
)
def test_another_line_carries_once_the_kernel_leads_by_it_a_group_of_the_dialled_one_alone_does_not(
    online: tuple[str, ...], by: str, carried: bool
) -> None:
    config = b.config(b.uplink("fiber"), b.uplink("lte"))
    plain = Route(Family.IPV4, 1000, metric=2, nexthops=(Nexthop(b.NAMES[by], "192.0.2.1"),))
    there = Snapshot(links=tuple(map(b.link, ("fiber", "lte"))), shared=(GROUP, plain), pool=Pool(use=True))
    bound = b.bound(config, Inputs(there, State(), Allotment()))
    seen = Scene("/", config, "", State(), Allotment(), bound, there, 100.0, 2000.0)
    found = Judged(seen, State(), Desired(online={Family.IPV4: online}), ())
    lte = next(one for one in bound.uplinks if one.name == "lte")
    assert activation._is_carried(found, lte) is carried
