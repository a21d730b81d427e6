"""DynMHS: a table and a rule for each network, no probes."""

from __future__ import annotations

import pytest

from mwan_hook.model import UsageError
from tests.unit.imports.made import made

SHIPPED = """
# ====== Logging ============
LOGLEVEL=2
LOGCOLOR=ON
# LOGFILE="/var/log/dynmhs.log"
NETWORK="enp0s3:1000"    # Network 1
NETWORK="enp0s8:2000"    # Network 2
NETWORK = ppp0:29999
NETWORK=
"""


def test_each_network_has_its_table_and_the_priority_of_its_rules() -> None:
    done = made("dynmhs", SHIPPED)
    found = [(one.literal, one.table, one.rule_priority) for one in done.config.uplinks]
    assert found == [("enp0s3", 1000, 1000), ("enp0s8", 2000, 2000), ("ppp0", 29999, 29999)]
    assert not done.loses


def test_sources_decide_before_main_and_nothing_is_probed() -> None:
    config = made("dynmhs", SHIPPED).config
    assert not config.routing.main_first
    assert config.routing.copy_routes.value == "own"
    assert {one.probe.targets for one in config.uplinks} == {()}


@pytest.mark.parametrize("table", [1000, 1001])
def test_the_shared_default_gives_way_to_a_table_of_its_number(table: int) -> None:
    config = made("dynmhs", f"NETWORK=eth0:{table}\n").config
    assert config.routing.default_table != table
    assert (config.routing.default_table == 1000) == (table != 1000)


def test_metrics_are_those_of_main() -> None:
    assert {one.metric for one in made("dynmhs", SHIPPED).config.uplinks} == {None}


def test_log_settings_are_notes() -> None:
    done = made("dynmhs", "LOGLEVEL=0\nLOGFILE=/x\nNETWORK=eth0:2000\n")
    assert done.said("LOGLEVEL")
    assert done.said("LOGFILE")
    assert not done.loses


def test_the_first_table_of_an_interface_wins_and_old_keys_come_after_the_new_one() -> None:
    done = made("dynmhs", "NETWORK1=eth0:1500\nNETWORK=eth0:1600\nNETWORK5=eth1:1700\n")
    assert [(one.name, one.table) for one in done.config.uplinks] == [("eth0", 1600), ("eth1", 1700)]
    assert done.said("line 1", "passes over")
    assert not done.loses


def test_a_device_can_have_another_name_here() -> None:
    assert made("dynmhs", "NETWORK=eth0:1500\n", eth0="enp1s0").uplink("eth0").literal == "enp1s0"


def test_an_unknown_key_is_lost() -> None:
    done = made("dynmhs", "METRIC=3\nNETWORK=eth0:1500\n")
    assert done.loses
    assert done.said("line 1", "METRIC=3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no uplinks"),
        ("LOGLEVEL=2\n", "no uplinks"),
        ("NETWORK=eth0:999\n", "line 1"),
        ("\nNETWORK=eth0:30000\n", "line 2"),
        ("NETWORK=eth0\n", "line 1"),
        ("NETWORK=:1500\n", "line 1"),
        ("NETWORK=eth0:15x\n", "line 1"),
        ("config interface 'wan'\n", "line 1"),
    ],
)
def test_what_dynmhs_would_refuse_is_not_understood(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        made("dynmhs", text)
