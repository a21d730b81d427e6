"""What commands that only look leave as their exit code is what mwan-hook(8) says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook import cli
from mwan_hook.__main__ import guarded
from tests.unit.test_man_pages import codes, headings, put

CONFIG = "[probe]\ntargets = icmp://192.0.2.1\n[uplinks]\n[[fiber]]\nmatch = nosuch0\n[[lte]]\nmatch = nosuch*\n"
SAID_OF_ALL = {"0", "2"}  # done, and usage or configuration
LINES = [
    ("status", 0),
    ("history fiber", 0),
    ("plan", 0),
    ("config --check", 0),
    ("repair", 0),
    ("record", 0),
    ("notify", 0),
    ("probe fiber", 1),
    ("probe fibre", 2),
    ("wait-online --timeout 0", 1),
    ("track", 1),
    ("why fiber", 0),
    ("why lte", 1),
    ("why fibre", 2),
    ("why 192.0.2.1/24", 2),
    ("why --at 1h", 1),
    ("why --at soon", 2),
    ("trace 224.0.0.1", 2),
    ("replay", 1),
    ("replay --with probe.fal=5", 2),
    ("replay --since soon", 2),
    ("report", 1),
    ("report --since soon", 2),
    ("report --since 1h --until 2h", 2),
    ("report --for fibre", 2),
    ("usage fibre", 2),
    ("repair fiber --step bounce", 1),
    ("dial fiber", 2),
    ("mail", 2),
    ("mail --test", 2),
    ("webhook", 2),
    ("import mwan3 /dev/null", 2),
]


# They change something, want a program beside them, or end in one way only: tests of their own run them.
ELSEWHERE = {"check", "event", "enable", "disable", "drain", "hangup", "flush", "doctor", "chores"}
ELSEWHERE |= {"modem", "bus", "snmp", "connectivity-state", "complete"}


def test_each_command_is_held_to_its_codes_here_or_elsewhere() -> None:
    assert set(headings()) == {line.split()[0] for line, _ in LINES} | ELSEWHERE


@pytest.mark.parametrize(("line", "code"), LINES, ids=[line for line, _ in LINES])
def test_a_command_ends_with_the_code_that_its_entry_has(tmp_path: Path, line: str, code: int) -> None:
    put(tmp_path, CONFIG)
    words = line.split()
    assert guarded(lambda: cli.run(["--root", str(tmp_path), *words])) == code
    assert str(code) in codes(headings()[words[0]]) | SAID_OF_ALL


@pytest.mark.parametrize("line", ["status", "probe fiber", "usage", "plan", "why", "check", "mail", "config --check"])
def test_a_configuration_with_a_mistake_is_code_2(tmp_path: Path, line: str) -> None:
    put(tmp_path, CONFIG + "[nonsense]\n")
    assert guarded(lambda: cli.run(["--root", str(tmp_path), *line.split()])) == 2
