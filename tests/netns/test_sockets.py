"""The kernel's sockets as values, and ending them: what the program that has them gets."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.lab import Lab

MANY = 1200  # more than one buffer of a dump holds


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    with Lab() as lab:
        ns = lab.netns("sockets")
        ns.batch("link set lo up", "address add 192.0.2.1/30 peer 192.0.2.65/30 dev lo")
        ns.ip("-6 address add 2001:db8::1/64 dev lo nodad")
        argv = (sys.executable, "-m", "tests.netns.sockets_agent", str(MANY))
        made: dict[str, Any] = json.loads(ns.run(*argv).stdout)
    return made


def test_sockets_are_told_with_what_decides_about_them(found: dict[str, Any]) -> None:
    four, six = "192.0.2.1", "2001:db8::1"
    assert found["seen"] == {
        "four": [2, 6, 1, four, four, False, 0, 0, True],
        "mapped": [10, 6, 1, four, four, False, 0, 0, True],
        "six": [10, 6, 1, six, six, False, 0, 0, True],
        "bound": [2, 6, 1, four, four, True, 0, 0, True],
        "udp": [2, 17, 1, four, four, False, 77, 26, True],
        "udp6": [10, 17, 1, six, six, False, 0, 26, True],
    }


def test_a_dump_for_some_addresses_has_all_of_theirs_and_listeners(found: dict[str, Any]) -> None:
    assert found["same"], "every socket here has one of the two"
    assert found["waiting"] == [["192.0.2.1", False], ["2001:db8::1", True], ["::", False]]
    assert found["alone"] == [["192.0.2.1", 10], ["2001:db8::1", 10], ["::", 10]]


def test_networks_are_those_of_addresses_and_of_the_other_ends(found: dict[str, Any]) -> None:
    assert set(found["networks"]) == {"127.0.0.0/8", "::1/128", "192.0.2.1/32", "192.0.2.64/30", "2001:db8::/64"}


def test_programs_get_an_error_at_once_and_only_those_that_were_chosen(found: dict[str, Any]) -> None:
    names = sorted(found["seen"])
    assert found["unable"] == "" and found["late"] == [0, len(names)]
    assert found["ended"] == names and found["again"] == 0
    assert found["errors"] == dict.fromkeys(names, "ECONNABORTED")
    assert found["crowd"] == 0
