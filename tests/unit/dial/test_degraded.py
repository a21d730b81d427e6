"""A backup that is dialled for a line which is to be offline while it is degraded."""

from __future__ import annotations

import pytest

from mwan_hook.dial import wanted
from mwan_hook.model import Allotment, Family, Probe, State, Status
from mwan_hook.routing.uplinks import Inputs
from tests.unit import builders as b


@pytest.mark.parametrize(("action", "stands"), [("", True), ("demote", True), ("keep", True), ("offline", False)])
def test_what_would_be_offline_if_another_one_were_online_has_its_backup_dialled(action: str, stands: bool) -> None:
    """Else each of the two would wait for the other."""
    config = b.config(b.uplink("fiber", metric=1, probe=Probe(degraded=action)))
    [fiber] = b.bound(config, Inputs(b.snapshot("fiber"), State(), Allotment())).uplinks
    memory = b.state(fiber=Status.ONLINE).uplinks["fiber"]
    bad = memory._replace(ipv4=memory.ipv4._replace(degraded=True))
    assert wanted._stands(fiber, Family.IPV4, memory)
    assert wanted._stands(fiber, Family.IPV4, bad) is stands
